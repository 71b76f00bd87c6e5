"""The parts of an archive: for each name, the bytes as they are now. Media are named here and copied nowhere.

Read inside one transaction where the database can give one view of all rows; a part is written line by line.
"""

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from typing import Any

from django.conf import settings
from django.utils.module_loading import import_string

from payouts import statements
from server.accounts.models import Account, Block, Follow, Mute, WaitingRelation
from server.core import canonical, clock, keys, storage
from server.core.errors import NotFound
from server.identity import outbox_heads
from server.identity import queries as identities
from server.identity.models import Identity
from server.portability import csvs, paths
from server.portability.models import Carried, Earlier, Original
from server.portability.verify import ACTOR, HEADS, LOG, OUTBOX, RECEIPTS, STATEMENT, VIDEOS, WITNESSES
from server.videos import states
from server.videos.models import Comment, Like, Video

ROWS_AT_ONCE = 200
EARLIER = "objects/earlier.jsonl"
TOMBSTONES = "objects/tombstones.jsonl"
MAP = "migration/map.jsonl"
FOLLOWING = "graph/following.csv"


@dataclass(frozen=True)
class Medium:
    """A media file: in the media store under ``media_name``, or in the vault (empty)."""

    sha256: str
    media_name: str


def jsonl(rows: Iterable[Any]) -> Iterator[bytes]:
    """Each value as JCS and a line feed."""
    for row in rows:
        yield canonical.jcs(row) + b"\n"


def full_address(account: Account) -> str:
    """``alice@example.org``, also for accounts of this server."""
    return f"{account.handle}@{account.domain or settings.HOST}"


# --- public ---


def _log(account: Account) -> Iterable[bytes]:
    return [identities.log_bytes(_identity(account))]


def _witnesses(account: Account) -> Iterable[bytes]:
    return [identities.witness_file(_identity(account)) or b""]


def _receipts(account: Account) -> Iterable[bytes]:
    return (each + b"\n" for each in identities.receipt_bytes(_identity(account)))


def _heads(account: Account) -> Iterable[bytes]:
    return (each + b"\n" for each in outbox_heads.all_heads(account.scid or ""))


def _identity(account: Account) -> Identity:
    return identities.by_scid(account.scid or "")


def _actor(account: Account) -> Iterable[bytes]:
    document: dict[str, Any] = import_string(settings.PUBLISHED_ACTOR)(account)
    return [canonical.jcs(document)]


def _outbox(account: Account) -> Iterable[bytes]:
    activities: Iterator[dict[str, Any]] = import_string(settings.PUBLISHED_OUTBOX)(account)
    return jsonl(activities)


def published(account: Account) -> Iterator[Video]:
    """The videos that are in an archive: what is published, also without being listed."""
    rows = Video.objects.filter(account=account, is_local=True, state=states.PUBLISHED).select_related("original")
    yield from rows.prefetch_related("hashtags").order_by("pk").iterator(ROWS_AT_ONCE)


def _videos(account: Account) -> Iterable[bytes]:
    return jsonl(_video(video) for video in published(account))


def _video(video: Video) -> dict[str, Any]:
    """What the published form cannot say word for word."""
    return {
        "id": video.uri,
        "uuid": str(video.uuid),
        "url": video.url,
        "caption": video.caption,
        "alt_text": video.alt_text,
        "language": video.language,
        "sensitive": video.sensitive,
        "visibility": video.visibility,
        "comments_open": video.comments_open,
        "published": clock.iso(video.published_at or video.created_at),
        "edited": clock.iso(video.edited_at) if video.edited_at else None,
        "video": medium_of(video).sha256,
        "poster": digest_in(video.poster_file) if video.poster_file else None,
    }


def digest_in(media_name: str) -> str:
    """The SHA-256 in the name of a stored file."""
    return media_name.rpartition("/")[2].partition(".")[0]


def medium_of(video: Video) -> Medium:
    """The best file of a video that is still here: the original of an imported one, else the MP4 that is shown."""
    original = getattr(video, "original", None)
    if isinstance(original, Original):
        return Medium(original.sha256, "")
    return Medium(digest_in(video.mp4_file), video.mp4_file)


def media(account: Account) -> Iterator[Medium]:
    """Every media file, some perhaps more than once."""
    if account.avatar_file:
        yield Medium(digest_in(account.avatar_file), account.avatar_file)
    for video in published(account):
        if video.mp4_file:
            yield medium_of(video)
        if video.poster_file:
            yield Medium(digest_in(video.poster_file), video.poster_file)


def _earlier(account: Account) -> Iterable[bytes]:
    for line in Earlier.objects.filter(account=account).order_by("pk").values_list("line", flat=True).iterator(ROWS_AT_ONCE):
        yield line.encode() + b"\n"


def _tombstones(account: Account) -> Iterable[bytes]:
    deleted = Video.objects.filter(account=account, is_local=True, state=states.DELETED).order_by("pk")
    emptied = Comment.objects.filter(account=account, is_local=True).exclude(deleted_at=None).order_by("pk")
    for rows in (deleted, emptied):
        for uri in rows.values_list("uri", flat=True).iterator(ROWS_AT_ONCE):
            yield canonical.jcs({"id": uri, "type": "Tombstone"}) + b"\n"


def _map(account: Account) -> Iterable[bytes]:
    """FEP-1580: one Move per object that lives on under another id."""
    moved = Earlier.objects.filter(account=account).exclude(video=None).order_by("pk")
    for uri, actor, new in moved.values_list("uri", "actor", "video__uri").iterator(ROWS_AT_ONCE):
        yield canonical.jcs({"type": "Move", "actor": actor, "origin": uri, "target": new}) + b"\n"


def _following(account: Account) -> Iterable[bytes]:
    rows = Follow.objects.filter(follower=account).select_related("target").order_by("-pk")
    waiting = WaitingRelation.objects.filter(account=account, kind="follow").values_list("address", flat=True)
    names = [*(full_address(row.target) for row in rows), *waiting]
    return [csvs.write("following", ((name, "true", "false", "") for name in dict.fromkeys(names)))]


def _statement(account: Account) -> Iterable[bytes]:
    try:
        return [statements.build(account.scid or "")]
    except NotFound:
        return []


# --- private ---


def _keys(account: Account) -> Iterable[bytes]:
    """The RSA key with which servers that know only RSA know her: with it a Move can be signed when this server is gone."""
    rows = account.keys.filter(algorithm="rsa").order_by("pk")
    listed = [
        {"id": f"{account.uri}#{row.name}", "algorithm": "rsa", "privateKeyPem": keys.unseal(bytes(row.private_sealed)).decode()}
        for row in rows
    ]
    return [canonical.jcs({"v": 1, "keys": listed})]


def _blocks(account: Account) -> Iterable[bytes]:
    rows = Block.objects.filter(account=account).select_related("target").order_by("-pk")
    return [csvs.write("blocks", ((name,) for name in _names(account, "block", (row.target for row in rows))))]


def _mutes(account: Account) -> Iterable[bytes]:
    rows = Mute.objects.filter(account=account).select_related("target").order_by("-pk")
    return [csvs.write("mutes", ((name, "true") for name in _names(account, "mute", (row.target for row in rows))))]


def _names(account: Account, kind: str, known: Iterable[Account]) -> list[str]:
    waiting = WaitingRelation.objects.filter(account=account, kind=kind).order_by("-pk").values_list("address", flat=True)
    return list(dict.fromkeys([*map(full_address, known), *waiting]))


def _carried(name: str) -> Callable[[Account], Iterable[bytes]]:
    def read(account: Account) -> Iterable[bytes]:
        return [bytes(data) for data in Carried.objects.filter(account=account, name=name).values_list("data", flat=True)]

    return read


def _followers(account: Account) -> Iterable[bytes]:
    rows = Follow.objects.filter(target=account, state="accepted").select_related("follower__actor").order_by("pk")
    for row in rows.iterator(ROWS_AT_ONCE):
        actor = getattr(row.follower, "actor", None)
        yield (
            canonical.jcs(
                {
                    "actor": row.follower.uri,
                    "inbox": actor.inbox if actor is not None else f"{row.follower.uri}/inbox",
                    "sharedInbox": actor.shared_inbox if actor is not None else f"{settings.ORIGIN}/inbox",
                }
            )
            + b"\n"
        )


def _likes(account: Account) -> Iterable[bytes]:
    rows = Like.objects.filter(account=account).order_by("pk").values_list("uri", "video__uri")
    return jsonl({"id": uri, "object": video} for uri, video in rows.iterator(ROWS_AT_ONCE))


def _settings(account: Account) -> Iterable[bytes]:
    return [
        canonical.jcs(
            {
                "v": 1,
                "display_name": account.display_name,
                "bio": account.bio,
                "manually_approves_followers": account.manually_approves_followers,
                "avatar": digest_in(account.avatar_file) if account.avatar_file else None,
            }
        )
    ]


# name -> its bytes in pieces; a part without bytes is left out.
PARTS: dict[str, Callable[[Account], Iterable[bytes]]] = {
    LOG: _log,
    WITNESSES: _witnesses,
    RECEIPTS: _receipts,
    ACTOR: _actor,
    OUTBOX: _outbox,
    VIDEOS: _videos,
    HEADS: _heads,
    EARLIER: _earlier,
    TOMBSTONES: _tombstones,
    MAP: _map,
    FOLLOWING: _following,
    STATEMENT: _statement,
    "actor/keys.json": _keys,
    "graph/blocks.csv": _blocks,
    "graph/bookmarks.csv": _carried("bookmarks"),
    "graph/domain_blocks.csv": _carried("domain_blocks"),
    "graph/followers.jsonl": _followers,
    "graph/lists.csv": _carried("lists"),
    "graph/mutes.csv": _mutes,
    "objects/likes.jsonl": _likes,
    "settings.json": _settings,
}
# Whoever finds a key in an open file could speak with it, so it only ever leaves sealed.
NEVER_OPEN = frozenset({"actor/keys.json"})


def table(account: Account, kind: str) -> bytes:
    """One of Mastodon's CSV files (``csvs.TABLES``), to be downloaded by itself."""
    return b"".join(PARTS[f"graph/{kind}.csv"](account)) or csvs.write(kind, [])


def stored_size(medium: Medium) -> int | None:
    """The bytes of a file in the media store; None when it is gone."""
    from django.core.files.storage import default_storage

    return default_storage.size(medium.media_name) if storage.exists(medium.media_name) else None


def name_in_archive(part: str, *, box: str | None) -> str:
    """The name under which a part lies: private ones are sealed where there is a key to seal them to."""
    return paths.PRIVATE[part].sealed if box is not None and part in paths.PRIVATE else part
