"""What staff does with periods: plan, approve, close, discard. Every door calls these; each act stands in the audit trail."""

from django.db import transaction

from payouts import settlement
from payouts.models import Period
from server.accounts.models import User
from server.core.errors import NotAllowed
from server.moderation.actions import audit
from server.sponsors import queries


@transaction.atomic
def plan(*, name: str, currency: str, operating_cost: int, by_staff: User) -> Period:
    """Freeze what the period ``name`` is closed from. Raises NotAllowed, and as ``settlement.plan_period``."""
    _staff(by_staff)
    period = settlement.plan_period(
        name=name,
        currency=currency,
        campaigns=queries.charges(name, currency),
        by=_person(by_staff),
        operating_cost=operating_cost,
    )
    audit(by_staff=by_staff, action="plan_period", target=str(period), detail={"amount": period.amount})
    return period


@transaction.atomic
def approve(*, period: Period, by_staff: User) -> Period:
    """Let a planned period be closed. Raises NotAllowed also for whoever planned it, above the set amount; WrongState."""
    _staff(by_staff)
    approved = settlement.approve_period(period=period, by=_person(by_staff))
    audit(by_staff=by_staff, action="approve_period", target=str(period), detail={"amount": period.amount})
    return approved


@transaction.atomic
def close(*, period: Period, by_staff: User) -> Period:
    """Share an approved period; again after a crash. Raises NotAllowed, and as ``settlement.close_period``."""
    _staff(by_staff)
    was_closed = Period.objects.filter(pk=period.pk, state="closed").exists()
    closed = settlement.close_period(period=period, by=_person(by_staff))
    if not was_closed:
        audit(by_staff=by_staff, action="close_period", target=str(closed), detail={"entry": closed.close_entry_id})
    return closed


@transaction.atomic
def discard(*, period: Period, by_staff: User, reason: str = "") -> None:
    """Take a plan back before it was approved. Raises NotAllowed, WrongState."""
    _staff(by_staff)
    name = str(period)
    settlement.discard_plan(period=period, by=_person(by_staff))
    audit(by_staff=by_staff, action="discard_plan", target=name, detail={"reason": reason})


def _person(user: User) -> str:
    """Who it is, by a number that stays: somebody who changes her e-mail address is not two people."""
    return f"#{user.pk} {user.email}"


def _staff(user: User) -> None:
    if not (user.is_active and user.is_staff):
        raise NotAllowed("Only staff closes periods.")
