"""Who may not be paid now: whose keys changed lately, or signed two histories (docs/reference/key-log.md)."""

from collections.abc import Iterable

from payouts.ledger.entries import Draft
from server.core import clock
from server.core.errors import WrongState
from server.identity.models import Identity

PAYING = "payout.intent"


class PayoutFrozen(WrongState):
    """Payouts to this identity wait."""

    code = "payout_frozen"


def check(drafts: Iterable[Draft]) -> None:
    """The pen asks this before it writes: a payout that begins now is to somebody whose log stands still and undisputed.

    Raises PayoutFrozen. What has begun is not stopped: it discharges the debt whatever follows.
    """
    scids = {str(draft.body.get("scid")) for draft in drafts if draft.type == PAYING}
    for identity in Identity.objects.filter(scid__in=scids):
        if identity.contested_at is not None:
            raise PayoutFrozen(f"The keys of {identity.scid} signed two histories. Nothing is paid until one of them counts.")
        until = identity.payouts_frozen_until
        if until is not None and clock.now() < until:
            raise PayoutFrozen(f"The keys of {identity.scid} changed. Payouts wait until {clock.iso(until)}.")
