"""Bringing an identity home whose old home is gone: its owner has the keys, and any copy of its log will do."""

import re
from datetime import datetime
from typing import Any

from django.db import transaction

from server.accounts.addresses import parse_address
from server.accounts.facts import FollowersKnown
from server.accounts.following import check_may_act
from server.accounts.models import Account, FormerFollower
from server.core import clock, facts, hosts, limits
from server.core.errors import Conflict, Invalid, NotAllowed, NotFound
from server.identity import actions as identities
from server.identity import queries as identity_queries
from server.identity import resolving
from server.identity.models import Identity
from server.identity.offer import Offer
from server.identity.resolving import NotResolved

_SCID = re.compile(r"Qm[1-9A-HJ-NP-Za-km-z]{44}")


def bring(*, account: Account, by: Account, named: str, log: bytes | None = None) -> Offer:
    """Make ``account`` ready to become the home of the identity ``named``, whose owner holds the keys. Good for one day.

    ``named`` is its SCID or an address it has or had (``alice@old.example``). The log is looked for among those who keep copies;
    ``log`` is the owner's own copy, which is as good, and then ``named`` may be empty. Nothing is asked of the old home but its
    copy, if it still answers. Raises NotAllowed, NotFound, Invalid, Conflict, KeyLogError.
    """
    check_may_act(by)
    if by.pk != account.pk:
        raise NotAllowed("This is not your account.")
    named = named.strip()
    scid = identities.accept_log(data=log).scid if log is not None else _scid(named)
    identity = _find(scid)
    if named and not _is_named(identity, named):
        raise Invalid("The log belongs to another identity than the one you named.", field="log")
    if Account.objects.filter(scid=identity.scid, domain="").exists() and identity.is_home:
        raise Conflict("This identity lives here already.")
    if account.moved_to_id is not None and account.scid != identity.scid:
        raise Conflict("Another identity has moved away from this account.")
    document = identity_queries.document_of(identity)
    if document.custody != "owner":
        raise NotAllowed(
            "The keys of this identity are held by its old home, so only that server can let it go. "
            "If it still answers, move away there."
        )
    with transaction.atomic():
        account = Account.objects.select_for_update().get(pk=account.pk)
        names = [*account.also_known_as, *(name for name in document.prior if _is_actor(name)), document.actor]
        # On a domain of her own the old address is the new one.
        others = dict.fromkeys(name for name in names if name != account.uri)
        account.also_known_as = list(others)[-limits.ALIASES_COUNT_MAX :]
        account.save(update_fields=["also_known_as"])
        return identities.offer_home(
            scid=identity.scid, handle=account.handle, actor_uri=account.uri, home_key=account.keys.get(name="home-1").public
        )


def log_for(offer: Offer) -> bytes:
    """The log that the next entry is to extend, as it is kept here."""
    return identity_queries.log_bytes(identity_queries.by_scid(offer.scid))


def _find(scid: str) -> Identity:
    """The identity, its log brought up to date where anybody answers. Raises NotFound, Conflict."""
    try:
        found = resolving.resolve(scid, keep=True)
    except NotResolved as error:
        raise NotFound("Nobody we know has the log of this identity. If you have your copy of it, add the file.") from error
    if found.is_contested:
        raise Conflict("The keys of this identity have signed two histories. Until one of them counts, it cannot move.")
    return identity_queries.by_scid(scid)


def _scid(named: str) -> str:
    """Whose SCID or address this is. Raises NotFound, Invalid."""
    if _SCID.fullmatch(named):
        return named
    address = parse_address(named)
    known = Account.objects.filter(handle__iexact=address.handle, domain=address.host).exclude(scid=None).first()
    if known is None or known.scid is None:
        raise NotFound(
            "We have not met this address. Enter the identity itself (it begins with Qm), or add your copy of the log."
        )
    return known.scid


def _is_named(identity: Identity, named: str) -> bool:
    if _SCID.fullmatch(named):
        return named == identity.scid
    address = parse_address(named)
    log = identity_queries.log_of(identity)
    return any(f"acct:{address}" in version.entry.state["alsoKnownAs"] for version in log.versions)


def _is_actor(name: str) -> bool:
    return name.startswith(("http://", "https://"))


# --- whom to tell ---


@transaction.atomic
def keep_followers(*, account: Account, rows: list[dict[str, Any]]) -> int:
    """Keep who followed ``account`` at its former home, out of its archive (``graph/followers.jsonl``), and tell them.

    Each row has ``actor``, ``inbox`` and perhaps ``sharedInbox``, all on one server. Returns how many are new; twice is once.
    Raises Invalid.
    """
    if len(rows) > limits.FORMER_FOLLOWERS_COUNT_MAX:
        raise Invalid(f"At most {limits.FORMER_FOLLOWERS_COUNT_MAX} followers can be told.")
    made = [_former_follower(account, row) for row in rows]
    before = account.former_followers.count()
    FormerFollower.objects.bulk_create(made, ignore_conflicts=True, batch_size=500)
    facts.record(FollowersKnown(account_id=account.pk))
    return account.former_followers.count() - before


def _former_follower(account: Account, row: dict[str, Any]) -> FormerFollower:
    if not isinstance(row, dict) or row.keys() - {"actor", "inbox", "sharedInbox"}:
        raise Invalid("A follower has an actor, an inbox and perhaps a sharedInbox.", field="followers")
    actor, inbox, shared = (row.get(name) or "" for name in ("actor", "inbox", "sharedInbox"))
    try:
        places = [hosts.canonical_url(one) for one in (actor, inbox, *([shared] if shared else []))]
        if len({hosts.origin(one) for one in places}) != 1:
            raise Invalid("The inboxes of a follower must be on her own server.", field="followers")
    except hosts.BadAddress as error:
        raise Invalid("An address of a follower cannot be used.", field="followers") from error
    return FormerFollower(account=account, uri=places[0], inbox=places[1], shared_inbox=places[2] if shared else "")


# --- while it is being checked ---


@transaction.atomic
def hold_back(*, account: Account) -> None:
    """What came along with an identity is being checked: ``account`` is in no feed and posts nothing until ``let_go``."""
    Account.objects.filter(pk=account.pk, held_back_at=None).update(held_back_at=clock.now())


@transaction.atomic
def let_go(*, account: Account) -> None:
    """Identity, graph and objects that came along are verified and counted; media may still be missing. Twice is once."""
    Account.objects.filter(pk=account.pk).update(held_back_at=None)


def held_back_since(account: Account) -> datetime | None:
    """Since when ``account`` waits for its archive to be checked; None when it does not."""
    return account.held_back_at
