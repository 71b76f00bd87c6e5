"""Portable identities of remote actors: their key logs are learnt when somebody here follows, and decide when they move."""

from federation.fetch import fetch_actor
from federation.fetch.documents import fetch_ap
from federation.wire.objects import ActorDocument, read_actor
from server.accounts import actions as accounts
from server.accounts import queries
from server.accounts.facts import FollowRequested
from server.accounts.models import Account, Follow
from server.core import budget, clock, hosts, limits, locators
from server.core.errors import NotAllowed, TributaryError
from server.identity import actions, contests, hostgrant, keylog, resolver
from server.identity import queries as identity_queries
from server.identity.facts import IdentityChanged
from server.identity.models import Identity


class TooManyMoves(TributaryError):
    """Too many accounts moved to one server at once; try again in a minute."""

    code, status = "too_many_moves", 429


def learn(fact: FollowRequested) -> None:
    """Somebody here follows a remote actor: keep the log of her identity, so that her move can be judged without her old home."""
    follow = Follow.objects.select_related("target").filter(pk=fact.follow_id).first()
    if follow is None or follow.target.is_local or not follow.target.scid:
        return
    document = _document(follow.target.uri)
    if not document.key_log or not document.scid:
        return
    identity = actions.accept_log(data=resolver.fetch_log(document.key_log), requested=document.scid)
    if identity.actor_uri != document.uri:
        # Her server claims an identity that lives elsewhere.
        Account.objects.filter(pk=follow.target_id).update(scid=None)


def check_moved(*, old: Account, new: Account) -> None:
    """The rule for re-pointing follows: all of the log, the new actor's document and the HostGrant say the same.

    The log names the new actor; the actor's document lists the identity and its current home key; the new host shows the
    grant that the owner gave it. Raises NotAllowed with what is missing, KeyLogError, GrantRefused; nothing has changed.
    """
    if new.is_local:
        identity = identity_queries.by_scid(old.scid or "")
        if not identity.is_home or new.scid != old.scid:
            raise NotAllowed("the identity did not arrive here")
        return
    document = _document(new.uri)
    if document.scid != old.scid or not document.key_log:
        raise NotAllowed("the new account does not list the identity")
    identity = actions.accept_log(data=resolver.fetch_log(document.key_log), requested=old.scid, source=new.uri)
    contests.require_uncontested(identity.scid)
    log = identity_queries.log_of(identity)
    named = keylog.document.read(log.head.entry.state)
    if named.actor != new.uri:
        raise NotAllowed("the identity's log does not name the new account")
    if named.home.multikey not in document.home_keys:
        raise NotAllowed("the new account does not list the identity's home key")
    grant = resolver.fetch_host_grant(new.uri)
    granted = hostgrant.check_host_grant(grant, log=log, audience=hosts.parse_url(new.uri).origin, now=clock.now())
    if granted.actor != new.uri:
        raise NotAllowed("the grant is for another account")


def follow_the_log(fact: IdentityChanged) -> None:
    """A log we keep names another home than before: re-point without being told by anyone (the old home may be dead)."""
    identity = Identity.objects.filter(scid=fact.scid).first()
    if identity is None or identity.contested_at is not None:
        return
    left = Account.objects.filter(scid=fact.scid).exclude(uri=identity.actor_uri).exclude(domain="")
    followed = [old for old in left if Follow.objects.filter(target=old, follower__domain="").exists()]
    if not followed:
        return
    new = _account_at(identity.actor_uri)
    if new is None:
        raise NotAllowed("the log names an account that does not exist")
    for old in followed:
        repoint_by_log(old=old, new=new)


def repoint_by_log(*, old: Account, new: Account) -> None:
    """Re-point the follows of ``old`` because her log says so. Raises as ``check_moved``, and TooManyMoves."""
    check_moved(old=old, new=new)
    if not budget.spend(f"moves-to:{new.domain}", per_minute_max=limits.MOVES_PER_HOST_AND_MINUTE_MAX):
        raise TooManyMoves
    accounts.repoint_follows(old=old, new=new, by_log=True)


def _account_at(uri: str) -> Account | None:
    return queries.by_uri(uri) if locators.is_ours(uri) else fetch_actor(uri, seconds_old_max=0).account


def _document(uri: str) -> ActorDocument:
    _, document = fetch_ap(uri, size_bytes_max=limits.ACTOR_BYTES_MAX)
    return read_actor(document)
