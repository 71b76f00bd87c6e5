"""Planning a period: what its close will be computed from, frozen."""

import re
from calendar import monthrange
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date
from hashlib import sha256
from typing import Any

from payouts import agreements, metering
from payouts.algorithms import find
from payouts.ledger import canonical
from payouts.ledger.merkle import hashes, root_of
from payouts.models import MeteredImpression, MeteredView, Period
from payouts.splits import settlement_agreement
from server.core.errors import Invalid

ALGORITHM = "ad-impression/1"
# No grant for personal advertising exists yet.
TABLE = "contextual"
PER_THOUSAND = 1000
PLAN_BYTES_MAX = 256 * 1024 * 1024
_NAME = re.compile(r"(\d{4})-(\d\d)(?:-(\d\d))?(?:\.[1-9]\d{0,2})?", re.ASCII)


@dataclass(frozen=True)
class CampaignCharge:
    """What a campaign owes for a period: ``impressions`` by work ("" = beside no work) at a price in millionths."""

    campaign: str
    advertiser: str
    price_per_thousand: int
    impressions: Mapping[str, int] = field(default_factory=dict)

    @property
    def count(self) -> int:
        """All impressions."""
        return sum(self.impressions.values())

    @property
    def amount(self) -> int:
        """Millionths, rounded down in favour of the advertiser."""
        return self.price_per_thousand * self.count // PER_THOUSAND


def days_of(name: str) -> tuple[date, date]:
    """First and last day of ``2026-11``, ``2026-11-22``, or of a further close of the same (``2026-11.2``). Raises Invalid."""
    found = _NAME.fullmatch(name)
    if found is None:
        raise Invalid("A period is called like 2026-11 or 2026-11-22.", field="name")
    try:
        year, month = int(found[1]), int(found[2])
        first = date(year, month, int(found[3] or 1))
        return first, first if found[3] else date(year, month, monthrange(year, month)[1])
    except ValueError as error:
        raise Invalid("There is no such month or day.", field="name") from error


def key_of(name: str, currency: str, pool: str) -> str:
    """How metered rows name the period that counted them."""
    return f"{name} {currency} {pool}"


def make_plan(
    *,
    name: str,
    currency: str,
    pool: str,
    campaigns: Sequence[CampaignCharge],
    operating_cost: int,
    carry: int,
    carried_from: str,
) -> bytes:
    """Claim the metered rows and write down everything that the close is computed from."""
    first, last = days_of(name)
    key = key_of(name, currency, pool)
    for one in campaigns:
        metering.claim_impressions(period=key, campaign=one.campaign, wanted=one.impressions, first=first, last=last)
    metering.claim_views(period=key, first=first, last=last)
    works = _works(key)
    terms = {scid: agreements.in_force(scid) for scid in {work["creator"] for work in works.values()}}
    for work in works.values():
        work["agreement"] = terms[work["creator"]].id
    algorithm = find(ALGORITHM)
    return canonical.encode({
        "algorithm": algorithm.alg_id,
        "code": algorithm.code,
        "carried_from": carried_from,
        "charges": [
            {
                "campaign": one.campaign, "advertiser": one.advertiser, "amount": str(one.amount),
                "price_per_thousand": str(one.price_per_thousand), "impressions": one.count,
            }
            for one in campaigns
        ],
        "inputs": {
            "period": name, "currency": currency, "pool": pool, "operating_cost": str(operating_cost), "carry": str(carry),
            "campaigns": [{"campaign": one.campaign, "amount": str(one.amount)} for one in campaigns],
            "impressions": [
                {"campaign": one.campaign, "work": work, "table": TABLE, "count": count}
                for one in campaigns
                for work, count in sorted(one.impressions.items())
                if count
            ],
            "works": [
                {name: work[name] for name in ("work", "creator", "agreement", "weight_ms")} for work in works.values()
            ],
            "agreements": {row.id: settlement_agreement(agreements.terms_of(row)) for row in terms.values()},
        },
        "meter": _meter(name, key, works, sum(one.count for one in campaigns)),
        "works": [[work["work"], work["views"], work["weight_ms"], work["impressions"]] for work in works.values()],
    })  # fmt: skip


def read_plan(period: Period) -> dict[str, Any]:
    """The frozen plan."""
    plan: dict[str, Any] = canonical.decode(bytes(period.plan), bytes_max=PLAN_BYTES_MAX)
    return plan


def _works(key: str) -> dict[str, dict[str, Any]]:
    works: dict[str, dict[str, Any]] = {}

    def work_of(row: MeteredView | MeteredImpression) -> dict[str, Any]:
        work = works.setdefault(row.work, {"work": row.work, "creator": "", "weight_ms": 0, "views": 0, "impressions": 0})
        work["creator"] = row.creator_scid or work["creator"]
        return work

    for view in MeteredView.objects.filter(period=key, rejected="").order_by("day", "work"):
        work = work_of(view)
        work["views"] += view.count
        work["weight_ms"] += view.weight_ms
    for shown in MeteredImpression.objects.filter(period=key).exclude(work="").order_by("day", "work"):
        work_of(shown)["impressions"] += shown.count
    return dict(sorted(works.items()))


def _meter(name: str, key: str, works: Mapping[str, Mapping[str, Any]], impressions: int) -> dict[str, Any]:
    """The body of the ``meter`` entry. The views' tree has one leaf for each work and day: no leaf is about a person."""
    leaves: list[bytes] = []
    rejected: dict[str, int] = {}
    qualified = 0
    for row in MeteredView.objects.filter(period=key).order_by("day", "work", "rejected"):
        leaves.append(canonical.encode([row.day.isoformat(), row.work, row.rejected, row.count, row.weight_ms]))
        if row.rejected:
            rejected[row.rejected] = rejected.get(row.rejected, 0) + row.count
        else:
            qualified += row.count
    return {
        "period": name,
        "works": sha256(works_blob(
            [[work["work"], work["views"], work["weight_ms"], work["impressions"]] for work in works.values()]
        )).hexdigest(),
        "views_root": root_of(hashes(sorted(leaves))).hex(),
        "qualified": qualified,
        "impressions": impressions,
        # Session certificates that were issued to viewers: none are, yet.
        "sessions": 0,
        "rejected": [list(pair) for pair in sorted(rejected.items())],
    }  # fmt: skip


def works_blob(works: Sequence[Any]) -> bytes:
    """The published counts by work: [work, qualified views, watched ms, impressions]."""
    return canonical.encode(list(works))


def reopen(period: Period) -> None:
    """Give back what a plan had claimed."""
    key = key_of(period.name, period.currency, period.pool)
    metering.reopen(period=key)
