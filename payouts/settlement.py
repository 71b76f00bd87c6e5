"""Closing a period, so that a crash at any point is mended by closing it again.

    1. meter    what was counted                          4. accounts   the accounts root, so that statements show the close
    2. charge   advertisers -> pool, a charge each        5. closed     the row says so, PeriodClosed is recorded
    3. share    the close and its accruals, one batch

Everything is computed from the plan, frozen before; ids of entries come from the period's name, so a stage that was written
is found written.
"""

from collections.abc import Mapping, Sequence
from typing import Any

from django.conf import settings
from django.db import transaction

from payouts import accounts_root, log, periods, revenue, splits, store
from payouts.algorithms import find
from payouts.facts import PeriodClosed
from payouts.ledger.entries import Draft, Entry
from payouts.ledger.errors import LedgerError
from payouts.ledger.fields import is_text
from payouts.ledger.money import AMOUNT_MAX, NAME, account, parse_amount
from payouts.models import Period
from payouts.periods import CampaignCharge
from server.core import clock, facts
from server.core.errors import Conflict, Invalid, NotAllowed, TributaryError, WrongState

__all__ = ["CampaignCharge", "Unfunded", "approve_period", "close_period", "plan_period", "preview"]

POOL = "ads"
_is_name = is_text(NAME)


class Unfunded(TributaryError):
    """An advertiser would be charged more than was paid in."""

    code, status, permanent = "unfunded", 409, True


@transaction.atomic
def plan_period(
    *, name: str, currency: str, campaigns: Sequence[CampaignCharge], by: str, operating_cost: int = 0, pool: str = POOL
) -> Period:
    """Freeze what a period is closed from. ``operating_cost``: the published cost, in millionths.

    ``by``: who plans it (see ``approve_period``). Raises Invalid (also when the settlement function refuses), Unfunded,
    Conflict for a period that is planned already, WrongState while another period of the pool is not closed: its rest is
    carried into this one.
    """
    periods.days_of(name)
    others = Period.objects.select_for_update().filter(currency=currency, pool=pool)
    if others.filter(name=name).exists():
        raise Conflict("This period is planned already.")
    if others.exclude(state="closed").exists():
        raise WrongState("Close the other period first: what is left of it is carried into this one.")
    last = others.order_by("-closed_at", "-id").first()
    carry, carried_from = (last.carry, last.name) if last and last.carry else (0, "")
    # In one order, whoever names them: the log does not depend on it.
    charges = sorted((one for one in campaigns if one.amount > 0), key=lambda one: (one.campaign, one.advertiser))
    _check_names(charges)
    _check_funded(charges, currency)
    amount = sum(one.amount for one in charges)
    if not 0 < amount + carry <= AMOUNT_MAX:
        raise Invalid("There is nothing to share in this period.", field="name")
    try:
        plan = periods.make_plan(
            name=name, currency=currency, pool=pool, campaigns=charges, operating_cost=operating_cost,
            carry=carry, carried_from=carried_from,
        )  # fmt: skip
        period = Period(
            name=name, currency=currency, pool=pool, plan=plan, amount=amount, carried_in=carry, planned_by=by,
            planned_at=clock.now(),
        )  # fmt: skip
        preview(period)
    except LedgerError as error:
        raise Invalid(f"{error.code}: {error}") from error
    period.save()
    return period


def preview(period: Period) -> splits.PeriodShares:
    """Who would get what: the dry run of a planned period. Nothing is written."""
    plan = periods.read_plan(period)
    return splits.share_period(plan["inputs"], find(plan["algorithm"], plan["code"]))


@transaction.atomic
def approve_period(*, period: Period, by: str) -> Period:
    """Let a planned period be closed. Raises NotAllowed for the planner above the set amount, WrongState.

    ``by``: its first word says who it is and must never change for a person; what follows is for people to read.
    """
    row = Period.objects.select_for_update().get(pk=period.pk)
    if row.state != "planned":
        raise WrongState(f"This period is {row.state}.")
    if row.amount + row.carried_in >= settings.FOUR_EYES_AMOUNT_MILLIONTHS and _is_same_person(by, row.planned_by):
        raise NotAllowed("Above the set amount another person must approve what you planned.")
    row.state, row.approved_by = "approved", by
    row.save(update_fields=["state", "approved_by"])
    return row


@transaction.atomic
def discard_plan(*, period: Period, by: str) -> None:
    """Take a plan back before it was approved; what it had claimed is open again. Raises WrongState."""
    row = Period.objects.select_for_update().get(pk=period.pk)
    if row.state != "planned":
        raise WrongState(f"This period is {row.state}.")
    periods.reopen(row)
    row.delete()


def close_period(*, period: Period, by: str) -> Period:
    """Share an approved period. Idempotent; after a crash, call it again. Records PeriodClosed.

    Raises WrongState for a period nobody approved, Unfunded, and the errors of the pen; what stands in the log then stays, and
    the next call goes on behind it.
    """
    period.refresh_from_db()
    if period.state == "closed":
        return period
    if period.state != "approved":
        raise WrongState("Nobody has approved this period yet.")
    plan = periods.read_plan(period)
    try:
        meter = _write_meter(period, plan)
        charges = _write_charges(period, plan, evidence=meter.body["works"])
        close = _write_shares(period, plan, charges)
    except LedgerError as error:
        raise Invalid(f"{error.code}: {error}") from error
    accounts_root.commit_accounts(name=f"close/{_name(period)}")
    return _finish(period, close, by)


def _write_meter(period: Period, plan: Mapping[str, Any]) -> Entry:
    store.put_blob(periods.works_blob(plan["works"]), public=True)
    (entry,) = log.append([Draft("meter", log.make_id("meter", _name(period)), plan["meter"], {})])
    return entry


def _write_charges(period: Period, plan: Mapping[str, Any], *, evidence: str) -> list[Entry]:
    drafts = [
        Draft(
            "charge",
            log.make_id("charge", _name(period), one["campaign"]),
            {
                "period": period.name, "campaign": one["campaign"], "currency": period.currency,
                "impressions": one["impressions"], "price_per_thousand": one["price_per_thousand"], "amount": one["amount"],
                "evidence": evidence,
            },
            {
                account("L:advertiser", period.currency, one["advertiser"]): parse_amount(one["amount"]),
                account("L:pool", period.currency, f"{period.pool}:{period.name}"): -parse_amount(one["amount"]),
            },
        )
        for one in plan["charges"]
    ]  # fmt: skip
    return log.append(drafts) if drafts else []


def _write_shares(period: Period, plan: Mapping[str, Any], charges: Sequence[Entry]) -> Entry:
    shares = preview(period)
    for blob in shares.blobs.values():
        store.put_blob(blob, public=True)

    def drafts(first_index: int) -> Sequence[Draft]:
        return splits.close_drafts(
            shares,
            first_index=first_index,
            entries=[entry.index for entry in charges],
            make_id=lambda name: log.make_id("close", _name(period), name),
            carried_from=plan["carried_from"],
        )

    return log.append_batch(drafts)[0]


@transaction.atomic
def _finish(period: Period, close: Entry, by: str) -> Period:
    # Compare-and-set: of two that close at once, one says so.
    won = Period.objects.filter(pk=period.pk, state="approved").update(
        state="closed", closed_at=clock.now(), closed_by=by, close_entry_id=close.index, carry=parse_amount(close.body["carry"])
    )
    if won:
        facts.record(PeriodClosed(period_id=period.pk))
    period.refresh_from_db()
    return period


def _is_same_person(one: str, other: str) -> bool:
    return one.partition(" ")[0].casefold() == other.partition(" ")[0].casefold()


def _name(period: Period) -> str:
    return periods.key_of(period.name, period.currency, period.pool)


def _check_names(charges: Sequence[CampaignCharge]) -> None:
    """An approved plan must be closed some day; a name that no entry may carry would stand in its way."""
    for one in charges:
        if not _is_name(one.campaign):
            raise Invalid(f"The log has no room for a campaign called {one.campaign[:80]!r}.", field="campaigns")
    if len({one.campaign for one in charges}) != len(charges):
        raise Invalid("A campaign is charged once in a period.", field="campaigns")


def _check_funded(charges: Sequence[CampaignCharge], currency: str) -> None:
    wanted: dict[str, int] = {}
    for one in charges:
        wanted[one.advertiser] = wanted.get(one.advertiser, 0) + one.amount
    for advertiser, amount in wanted.items():
        have = revenue.balance(advertiser=advertiser, currency=currency)
        if amount > have:
            raise Unfunded(f"{advertiser} has {have} millionths of {currency}, {amount} would be charged.")
