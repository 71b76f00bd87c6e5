"""Move: somebody lives on another server now. She says it from the old account, or from the new one (FEP-7628)."""

from datetime import timedelta

from federation import identities
from federation.fetch import fetch_actor
from federation.handlers.outcomes import Handled, Ignored, Outcome
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
    """The followers of the old account here follow the new one, if both say that they are one person.

    Between servers that keep key logs the log decides; the activity only rings the bell. Else the new account must name the old
    one among its aliases; and where the new account is the one who speaks, the old one must have named it as well (as we last saw
    her), or one key has signed identity proofs for both.
    """
    move = activity.value
    if sender.uri not in {move.object_uri, move.target_uri}:
        raise NotAllowed("only the actor herself moves")
    is_pull = sender.uri != move.object_uri
    old = queries.by_uri(move.object_uri) if is_pull else sender
    if old is None:
        return Ignored("nobody here knows the old account")
    new = _new(move.target_uri)
    if old.scid and Identity.objects.filter(scid=old.scid).exists():
        identities.repoint_by_log(old=old, new=new)
        return Handled()
    if old.is_local:
        raise NotAllowed("an account of ours moves by its log, or by its owner")
    if _moved_lately(move, old):
        raise NotAllowed(f"an account moves at most once in {limits.MOVE_DAYS_MIN} days")
    if is_pull and not _are_linked(old, new):
        raise NotAllowed("the old account has never said that the new one is hers")
    accounts.repoint_follows(old=old, new=new, linked=is_pull)
    return Handled()


def _new(uri: str) -> Account:
    new = queries.by_uri(uri) if locators.is_ours(uri) else fetch_actor(uri, seconds_old_max=0).account
    if new is None:
        raise NotFound("the new account does not exist")
    return new


def _are_linked(old: Account, new: Account) -> bool:
    """Do both say that they are one person? What the old one said is what we last saw of her: she may be gone."""
    aliases = old.uri in new.also_known_as and new.uri in old.also_known_as
    return aliases or bool(_subjects(old) & _subjects(new))


def _subjects(account: Account) -> set[str]:
    # Only valid proofs are kept (fetch.actors).
    return {str(proof["subject"]) for proof in account.identity_proofs}


def _moved_lately(move: Move, old: Account) -> bool:
    since = clock.now() - timedelta(days=limits.MOVE_DAYS_MIN)
    told = InboxItem.objects.filter(kind="Move", state="handled", handled_at__gt=since).exclude(uri=move.uri)
    if told.filter(actor__account=old).exists():
        return True
    # A Move that the new account told stands in its name: then the old one points there already.
    return old.moved_to is not None and told.filter(actor__account=old.moved_to).exists()
