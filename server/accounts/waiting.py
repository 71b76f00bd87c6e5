"""Follows, blocks and mutes of people nobody here has met yet: they stand as soon as she is met."""

from server.accounts.blocking import block, mute
from server.accounts.models import Account, WaitingRelation


def apply_waiting(met: Account) -> None:
    """Somebody of another server became known: block and mute her for those who wanted that, before anything of hers counts.

    Called in the transaction that makes her row. Follows are asked for by whoever wanted them, not by the one who came.
    """
    address = f"{met.handle}@{met.domain}".lower()
    verbs = {"block": block, "mute": mute}
    for row in WaitingRelation.objects.filter(address=address, kind__in=verbs).select_related("account"):
        verbs[row.kind](account=row.account, target=met)
        row.delete()
