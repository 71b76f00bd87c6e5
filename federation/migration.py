"""Old and new ids of posts that moved with their author (FEP-1580): the new home shows the map, the old one sends on by it.

While there is no map, or a post is not in it, the old home goes on serving what it has: nothing of somebody who moved is
ever said to be gone.
"""

import logging
from collections.abc import Iterator
from datetime import timedelta

from django.db import transaction
from django.db.models import F, Q

from federation import collections, proven, published, translate
from federation.contexts import MIGRATION
from federation.fetch import fetch_actor, fetch_ap
from federation.fetch.documents import WrongDocument
from federation.models import Actor, Migration, MovedPost
from federation.wire import fields, proving
from federation.wire.fields import Malformed
from federation.wire.json import JsonObject
from federation.wire.proving import WrongProof
from server.accounts.facts import PostsMoved
from server.accounts.models import Account
from server.core import clock, hosts, limits
from server.core.errors import TributaryError

log = logging.getLogger(__name__)

# FEP-1580 says ``origin`` in its examples and ``object`` in its text.
_OLD = ("origin", "object")


# --- at the new home ---


def note_moved(fact: PostsMoved) -> None:
    """Posts of earlier homes stand here now. An old id keeps the first new one; twice is once."""
    account = Account.objects.get(pk=fact.account_id)
    Migration.objects.update_or_create(account=account, defaults={"is_complete": fact.is_complete, "checked_at": clock.now()})
    _keep(account, fact.moved, old_actor_uri=fact.old_actor_uri)


def document_of(row: Migration, before: str | None) -> JsonObject:
    """The map of an account that came here, or one page of it, signed by its home key. Raises NotFound for no page."""
    account = row.account
    uri = translate.migration_uri(account)
    rows = MovedPost.objects.filter(account=account)
    if before is None:
        document = {**collections.collection(uri, rows.count()), "migrationComplete": row.is_complete}
    else:
        document = collections.page(uri, rows, before, _line)
    return published.keep({"@context": MIGRATION, **document, "attributedTo": account.uri}, by=account)


def _line(row: MovedPost) -> JsonObject:
    return {"type": "Move", "actor": row.old_actor_uri, "origin": row.old_uri, "target": row.new_uri}


# --- at the old home ---


def new_uri_of(uri: str, account: Account) -> str | None:
    """Where a post of a local account that moved away stands now; None when it did not move, or is not known to."""
    if account.moved_to_id is None:
        return None
    return MovedPost.objects.filter(old_uri=uri, account=account).values_list("new_uri", flat=True).first()


def learn_due() -> int:
    """The chore: ask the new homes of those who left for the maps of their posts, until they are complete. Returns how many."""
    moment = clock.now()
    left = Account.objects.filter(
        domain="", moved_to__isnull=False, updated_at__gt=moment - timedelta(days=limits.MIGRATION_DAYS_MAX)
    )
    waited = Q(migration__checked_at__lt=moment - timedelta(seconds=limits.MIGRATION_AGAIN_SECONDS))
    due = left.filter(Q(migration=None) | waited & Q(migration__is_complete=False)).select_related("moved_to")
    longest_waiting = F("migration__checked_at").asc(nulls_first=True)
    accounts = list(due.order_by(longest_waiting)[: limits.MIGRATIONS_AT_ONCE_MAX])
    for account in accounts:
        row, _ = Migration.objects.update_or_create(account=account, defaults={"checked_at": moment})
        try:
            learn(row)
        except TributaryError as error:
            log.info("map of moved posts not learnt", extra={"account": account.uri, "error": error.code})
            Migration.objects.filter(pk=row.pk).update(error=f"{error.code}: {error}"[:300])
    return len(accounts)


def learn(row: Migration) -> None:
    """Take the map that the new home of ``row.account`` shows. Only her own posts here, only to addresses of the new home.

    Raises WrongProof for a page that the new account did not sign, WrongDocument, Malformed, and what fetching raises; what
    was taken before stays.
    """
    account = row.account
    assert account.moved_to is not None
    actor = fetch_actor(account.moved_to.uri, seconds_old_max=0)
    _, document = fetch_ap(actor.uri, size_bytes_max=limits.ACTOR_BYTES_MAX)
    uri = fields.optional_address(document, "migration")
    if not uri:
        raise WrongDocument("the new account shows no map of its posts")
    whole = _signed(uri, actor)
    for page in _pages(whole, actor):
        _keep(account, _lines(page, account, actor), old_actor_uri=account.uri)
    Migration.objects.filter(pk=row.pk).update(is_complete=whole.get("migrationComplete") is True, error="")


def _pages(whole: JsonObject, actor: Actor) -> Iterator[JsonObject]:
    following = fields.optional_address(whole, "first")
    for _ in range(limits.MIGRATION_PAGES_MAX):
        if not following:
            return
        page = _signed(following, actor)
        yield page
        following = fields.optional_address(page, "next")


def _signed(uri: str, actor: Actor) -> JsonObject:
    """The document at ``uri``, which must be on the actor's own server, hers, and signed by her."""
    if not hosts.same_origin(uri, actor.uri):
        raise WrongDocument("the map is on another server")
    _, document = fetch_ap(uri)
    if fields.optional_address(document, "attributedTo") != actor.uri:
        raise WrongDocument("the map is somebody else's")
    claim = proving.read(document, owner=actor.uri)
    if claim is None:
        raise WrongProof("no_proof", "the map is not signed")
    return proven.judge(claim, actor).value.document


def _lines(page: JsonObject, account: Account, actor: Actor) -> list[list[str]]:
    found = []
    for item in fields.objects(page, "orderedItems" if "orderedItems" in page else "items", count_max=limits.PAGE_COUNT_MAX * 10):
        try:
            old = next(address for address in (fields.optional_address(item, name) for name in _OLD) if address)
            new = fields.identifier(item, "target")
        except (StopIteration, Malformed):
            continue
        if item.get("type") == "Move" and old.startswith(f"{account.uri}/") and hosts.same_origin(new, actor.uri):
            found.append([old, new])
    return found


@transaction.atomic
def _keep(account: Account, moved: list[list[str]], *, old_actor_uri: str) -> None:
    rows = [MovedPost(account=account, old_uri=old, new_uri=new, old_actor_uri=old_actor_uri) for old, new in moved]
    MovedPost.objects.bulk_create(rows, ignore_conflicts=True)
