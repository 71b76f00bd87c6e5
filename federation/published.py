"""What our people published, signed once and kept: every time it is served or sent again it is the same, byte for byte.

A document gets a new proof only when it says something new, and with it an outbox head, in the same transaction. Whoever
asks first makes it: the worker that sends it, or a reader who comes before (and posts from before there were proofs).
"""

from collections.abc import Callable
from datetime import datetime

from django.db import transaction

from federation import announcing, translate
from federation.models import ProvenDocument
from federation.sealing import add_head, seal, sealer
from federation.wire import json
from federation.wire.json import JsonObject
from server.accounts.models import Account
from server.core import canonical, clock
from server.videos.models import Comment, Video

# Sorts after every time: what was deleted says nothing new any more.
DELETED = "deleted"


def note(video: Video) -> JsonObject:
    """The Note of a published local video."""
    return _read(_of_video(video).text)


def create_video(video: Video) -> JsonObject:
    """The Create of a published local video, which holds its Note as it is now."""
    return _read(_of_video(video).activity)


def comment(row: Comment) -> JsonObject:
    """The Note of a local comment."""
    return _read(_of_comment(row).text)


def create_comment(row: Comment) -> JsonObject:
    """The Create of a local comment."""
    return _read(_of_comment(row).activity)


def delete(uri: str, author: Account) -> JsonObject:
    """The Delete of the post ``uri`` for good; its Tombstone stands in the place of the post from now on."""
    row = _current(
        uri,
        author,
        DELETED,
        lambda: translate.tombstone(uri, author=author.uri, deleted_at=clock.now()),
        lambda document: announcing.delete(document, author),
    )
    return _read(row.activity)


@transaction.atomic
def take_back(video: Video) -> JsonObject:
    """The Delete of a video that may be published again: then as something new."""
    _lock(video.account)
    give_proof = sealer(video.account)
    tombstone = give_proof(translate.tombstone(video.uri, author=video.account.uri, deleted_at=clock.now()))
    ProvenDocument.objects.filter(uri=video.uri).exclude(version=DELETED).delete()
    add_head(tombstone, by=video.account)
    return give_proof(announcing.delete(tombstone, video.account))


def stands_for(uri: str) -> JsonObject | None:
    """The signed Tombstone of a post that was deleted, if there is one."""
    row = ProvenDocument.objects.filter(uri=uri, version=DELETED).first()
    return _read(row.text) if row is not None else None


def person(account: Account) -> JsonObject:
    """The actor document of a local account."""
    return keep(translate.person(account), by=account)


def keep(document: JsonObject, *, by: Account) -> JsonObject:
    """A document that is no post (an actor, a page of a collection) with its proof: the one it has, while it says the same."""
    version = canonical.sha256_hex(canonical.jcs_whole(document))
    row = ProvenDocument.objects.filter(uri=document["id"], version=version).first()
    if row is None:
        fields = {"account": by, "version": version, "text": json.dump(seal(document, by=by)), "made_at": clock.now()}
        row, _ = ProvenDocument.objects.update_or_create(uri=document["id"], defaults=fields)
    return _read(row.text)


def _of_video(video: Video) -> ProvenDocument:
    moment = video.edited_at or video.published_at or video.created_at
    return _current(video.uri, video.account, _version(moment), lambda: translate.note(video), announcing.create)


def _of_comment(row: Comment) -> ProvenDocument:
    moment = row.edited_at or row.created_at
    return _current(row.uri, row.account, _version(moment), lambda: translate.comment_note(row), announcing.create)


def _version(moment: datetime) -> str:
    return f"{clock.iso(moment)[:-1]}.{moment.microsecond:06}Z"


def _current(
    uri: str,
    author: Account,
    version: str,
    write: Callable[[], JsonObject],
    publish: Callable[[JsonObject], JsonObject],
) -> ProvenDocument:
    """The kept form of ``uri`` in ``version`` or a later one, else one that is written and signed now."""
    found = ProvenDocument.objects.filter(uri=uri, version__gte=version).first()
    if found is not None:
        return found
    with transaction.atomic():
        _lock(author)
        found = ProvenDocument.objects.filter(uri=uri).first()
        if found is not None and found.version >= version:
            return found
        give_proof = sealer(author)
        document = give_proof(write())
        fields = {
            "account": author,
            "version": version,
            "text": json.dump(document),
            "activity": json.dump(give_proof(publish(document))),
            "made_at": clock.now(),
        }
        row, _ = ProvenDocument.objects.update_or_create(uri=uri, defaults=fields)
        add_head(document, by=author)
    return row


def _lock(author: Account) -> None:
    """One at a time for each author: two who ask for one post get one proof."""
    list(Account.objects.select_for_update().filter(pk=author.pk).values_list("pk", flat=True))


def _read(text: str) -> JsonObject:
    return json.parse(text.encode())
