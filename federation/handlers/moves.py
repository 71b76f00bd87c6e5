"""Move: somebody lives on another server now."""

from datetime import timedelta

from federation import identities
from federation.fetch import fetch_actor
from federation.handlers.outcomes import Handled, Outcome
from federation.models import InboxItem
from federation.wire.activities import Move
from federation.wire.verified import Verified
from server.accounts import actions as accounts
from server.accounts import queries
from server.accounts.models import Account
from server.core import clock, limits, locators
from server.core.errors import NotAllowed, NotFound
from server.identity.models import Identity


def on_move(activity: Verified[Move], sender: Account) -> Outcome:
    """The sender lives somewhere else now: her followers here follow the new account, which must name the old one."""
    if activity.value.object_uri != sender.uri:
        raise NotAllowed("only the actor herself moves")
    if _moved_lately(activity.value, sender):
        raise NotAllowed(f"an account moves at most once in {limits.MOVE_DAYS_MIN} days")
    target = activity.value.target_uri
    new = queries.by_uri(target) if locators.is_ours(target) else fetch_actor(target, seconds_old_max=0).account
    if new is None:
        raise NotFound("the new account does not exist")
    if sender.scid and Identity.objects.filter(scid=sender.scid).exists():
        # Between servers that keep key logs the log decides; the activity only rings the bell.
        identities.check_moved(old=sender, new=new)
    accounts.repoint_follows(old=sender, new=new)
    return Handled()


def _moved_lately(move: Move, sender: Account) -> bool:
    since = clock.now() - timedelta(days=limits.MOVE_DAYS_MIN)
    moves = InboxItem.objects.filter(actor__account=sender, kind="Move", state="handled", handled_at__gt=since)
    return moves.exclude(uri=move.uri).exists()
