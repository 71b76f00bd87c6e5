"""A month on the neighbour's instance with everything that an auditor asks for: the meter, the charge, the inputs, the terms."""

from collections.abc import Callable, Mapping
from dataclasses import replace
from hashlib import sha256
from typing import Any

from payouts import agreement, offers, splits
from payouts.algorithms import find
from payouts.ledger import canonical
from payouts.ledger.entries import Draft
from payouts.splits import PeriodShares
from tests.payouts.ledger_world import NOW, UNIT, digest, draft_id, person
from tests.payouts.neighbour import Neighbour

NAMES = ("alice", "bob", "charlie")
AMOUNT = 100 * UNIT
Twist = Callable[[Any], Any]


def same(value: Any) -> Any:
    return value


def scids() -> list[str]:
    return sorted(person(name).scid for name in NAMES)


def show(neighbour: Neighbour, data: bytes) -> str:
    name = sha256(data).hexdigest()
    neighbour.blobs[name] = data
    return name


def terms_of(neighbour: Neighbour, **changes: Any) -> agreement.Agreement:
    """The default offer of the neighbour, signed by it."""
    instance = neighbour.instance
    document = offers.default_offer(instance.origin, created="2026-10-01T00:00:00Z", effective_from="2026-11-01T00:00:00Z")
    document = offers.draft({**{name: document[name] for name in document if name not in ("id", "proof", "v")}, **changes})
    signed = offers.sign(
        document, key=instance.instance_key, verification_method=f"{instance.actor}#instance-1", created=NOW
    )  # fmt: skip
    return agreement.parse_agreement(canonical.encode(signed))


def inputs_of(terms: agreement.Agreement, period: str) -> dict[str, Any]:
    works = {f"work-{number}": (scid, 10 * (number + 1)) for number, scid in enumerate(scids())}
    return {
        "period": period, "currency": "EUR", "pool": "ads",
        "campaigns": [{"campaign": "spring", "amount": str(AMOUNT)}],
        "impressions": [
            {"campaign": "spring", "work": work, "table": "contextual", "count": count} for work, (_, count) in works.items()
        ],
        "works": [
            {"work": work, "creator": scid, "agreement": terms.id, "weight_ms": count * 1000}
            for work, (scid, count) in works.items()
        ],
        "agreements": {terms.id: splits.settlement_agreement(terms)},
        "operating_cost": "5000000", "carry": "0",
    }  # fmt: skip


def play(
    neighbour: Neighbour,
    *,
    period: str = "2026-11",
    at: str = "2026-11-20T09:00:00Z",
    terms: agreement.Agreement | None = None,
    used_inputs: Twist = same,
    told_shares: Callable[[PeriodShares], PeriodShares] = same,
    drafts: Twist = same,
    charge: Mapping[str, Any] | None = None,
) -> PeriodShares:
    """An honest month; each argument is a place to lie: the inputs, the shares, the drafts of the close, the charge."""
    log = neighbour.log
    terms = terms or terms_of(neighbour)
    if terms.id not in log.agreements:
        show(neighbour, terms.data)
        log.agree("2026-11-01T12:00:01Z" if len(log.entries) == 1 else at, terms)
    inputs = inputs_of(terms, period)
    count = sum(row["count"] for row in inputs["impressions"])
    works = canonical.encode([[row["work"], 7, row["weight_ms"], row["weight_ms"] // 1000] for row in inputs["works"]])
    meter = {
        "period": period, "works": show(neighbour, works), "views_root": digest("views"), "qualified": 21,
        "impressions": count, "sessions": 0, "rejected": [],
    }  # fmt: skip
    advertiser, pool = "L:advertiser:acme#EUR/6", f"L:pool:ads:{period}#EUR/6"
    revenue = {
        "source": "bank", "currency": "EUR", "gross": str(AMOUNT), "fee": "0", "net": str(AMOUNT), "reference": "invoice 7",
        "evidence": digest("bank statement"),
    }  # fmt: skip
    charged = {
        "period": period, "campaign": "spring", "currency": "EUR", "impressions": count, "price_per_thousand": str(AMOUNT),
        "amount": str(AMOUNT), "evidence": meter["works"], **(charge or {}),
    }  # fmt: skip
    *_, charge_entry = log.append(
        at,
        Draft("revenue", draft_id("revenue", period), revenue, {"A:cash:bank#EUR/6": AMOUNT, advertiser: -AMOUNT}),
        Draft("meter", draft_id("meter", period), meter, {}),
        Draft("charge", draft_id("charge", period), charged, {advertiser: AMOUNT, pool: -AMOUNT}),
    )
    shares = told_shares(splits.share_period(used_inputs(inputs), find("ad-impression/1")))
    for blob in shares.blobs.values():
        show(neighbour, blob)
    first = len(log.entries)
    batch = splits.close_drafts(
        shares, first_index=first, entries=[charge_entry.index], make_id=lambda name: draft_id("close", period, name)
    )
    log.append(at, *drafts(batch))
    log.commit_accounts(at)
    return shares


def one_unit_more(shares: PeriodShares) -> PeriodShares:
    """The lie: the last creator gets one unit more than is her share, at the cost of the operating share."""
    *rest, last = shares.accruals
    places = {**shares.places, "operating": shares.places["operating"] - UNIT}
    return replace(
        shares, accruals=(*rest, replace(last, amount=last.amount + UNIT, unclaimed=last.unclaimed + UNIT)), places=places
    )
