"""What accounts of other servers do here. Every verb is told twice as well as once, and touches only rows of ``account``.

The caller has proven who speaks; whether that account may touch the row is decided here, by the stored row.
"""

import uuid

from django.db import transaction

from server.accounts.models import Account
from server.accounts.remote import is_web_url
from server.core import clock, limits, locators, richtext
from server.core.errors import Conflict, Invalid, NotAllowed, NotFound
from server.videos import states
from server.videos.checks import lock, require_active, require_reachable
from server.videos.comments import empty, require_commentable
from server.videos.models import Comment, Like, Share, Video
from server.videos.publishing import wipe
from server.videos.reactions import count
from server.videos.remote import RemoteComment, RemoteVideo
from server.videos.tagging import set_hashtags

_LANGUAGE_CHARACTERS_MAX = 20
_BLURHASH_CHARACTERS_MAX = 100
# What fits a PositiveIntegerField everywhere.
_NUMBER_MAX = 2**31 - 1


def _require_remote(account: Account, uri: str) -> None:
    if account.is_local or locators.is_ours(uri):
        raise NotAllowed("Only accounts of other servers arrive here, with ids of their own.")
    if not is_web_url(uri):
        raise Invalid("The id must be a web address.", field="uri")
    require_active(account)


def _fields(remote: RemoteVideo) -> dict[str, object]:
    """The columns of a remote video, cut to their limits and cleaned. Raises Invalid without a playable address."""
    if not is_web_url(remote.mp4_url):
        raise Invalid("The video has no web address to be played from.", field="mp4_url")
    return {
        "url": remote.url if is_web_url(remote.url) else remote.uri,
        "caption": richtext.words(remote.caption_html),
        "caption_html": richtext.sanitise(remote.caption_html),
        "alt_text": _text(remote.alt_text),
        "language": remote.language[:_LANGUAGE_CHARACTERS_MAX],
        "sensitive": remote.sensitive,
        "visibility": "public" if remote.visibility == "public" else "unlisted",
        "duration_ms": _number(remote.duration_ms),
        "width": _number(remote.width),
        "height": _number(remote.height),
        "blurhash": remote.blurhash if len(remote.blurhash) <= _BLURHASH_CHARACTERS_MAX else "",
        "remote_mp4_url": remote.mp4_url,
        "remote_poster_url": remote.poster_url if is_web_url(remote.poster_url) else "",
    }


def _text(text: str) -> str:
    # PostgreSQL refuses NUL; a lone surrogate cannot be written as UTF-8.
    return text.replace("\0", "").encode("utf-8", "ignore").decode()[: limits.REMOTE_TEXT_CHARACTERS_MAX]


def _number(value: int | None) -> int | None:
    return value if value is not None and 0 < value <= _NUMBER_MAX else None


@transaction.atomic
def receive_remote(*, account: Account, remote: RemoteVideo) -> Video:
    """Keep a video another server published; one that is known is left as it is, one that was deleted stays deleted.

    Raises NotAllowed (an id of ours, or the id of somebody else's video), Invalid.
    """
    _require_remote(account, remote.uri)
    fields = _fields(remote)
    video, new = Video.objects.get_or_create(
        uri=remote.uri,
        defaults={
            **fields,
            "account": account,
            "uuid": _uuid(remote),
            "is_local": False,
            "state": states.PUBLISHED,
            # A date in the future would stand on top of every list until it comes.
            "published_at": min(remote.published_at, clock.now()),
        },
    )
    if video.account_id != account.pk:
        raise NotAllowed("This id belongs to another account.")
    if new:
        set_hashtags(video, remote.hashtags)
    return video


def _uuid(remote: RemoteVideo) -> uuid.UUID:
    """The uuid the other server gave, unless it is taken: then one made from the id, so that nobody can claim another's."""
    if remote.uuid is not None and not Video.objects.filter(uuid=remote.uuid).exists():
        return remote.uuid
    return uuid.uuid5(uuid.NAMESPACE_URL, remote.uri)


@transaction.atomic
def receive_remote_edit(*, account: Account, remote: RemoteVideo) -> Video:
    """Take over the present form of a known video. Raises NotFound (unknown, deleted), NotAllowed (somebody else's), Invalid."""
    _require_remote(account, remote.uri)
    video = Video.objects.select_for_update(of=("self",)).filter(uri=remote.uri).exclude(state=states.DELETED).first()
    if video is None:
        raise NotFound("This video is not known here.")
    if video.account_id != account.pk:
        raise NotAllowed("This id belongs to another account.")
    fields = _fields(remote)
    for name, value in fields.items():
        setattr(video, name, value)
    video.edited_at = clock.now()
    video.save(update_fields=[*fields, "edited_at"])
    set_hashtags(video, remote.hashtags)
    return video


@transaction.atomic
def receive_remote_comment(*, account: Account, remote: RemoteComment) -> Comment:
    """Keep a reply to a video or a comment that is known here.

    Raises NotFound (unknown what it answers), NotAllowed (blocked, comments closed, an id of ours or somebody else's), Invalid.
    """
    _require_remote(account, remote.uri)
    known = Comment.objects.filter(uri=remote.uri).first()
    if known is not None:
        if known.account_id != account.pk:
            raise NotAllowed("This id belongs to another account.")
        return known
    video, parent = _answered(remote.in_reply_to)
    lock(video)
    require_commentable(video, account, parent)
    made = Comment.objects.create(
        video=video,
        parent=parent,
        account=account,
        uri=remote.uri,
        is_local=False,
        created_at=min(remote.published_at, clock.now()),
        **_comment_fields(remote),
    )
    count(video, "comment_count", 1)
    return made


def _comment_fields(remote: RemoteComment) -> dict[str, str]:
    text = richtext.words(remote.html)
    if not text:
        raise Invalid("The comment says nothing.", field="html")
    return {
        "text": text,
        "html": richtext.sanitise(remote.html),
        "url": remote.url if is_web_url(remote.url) else "",
    }


def _answered(uri: str) -> tuple[Video, Comment | None]:
    video = Video.objects.select_related("account").filter(uri=uri).first()
    if video is not None:
        return video, None
    parent = Comment.objects.select_related("account", "video__account").filter(uri=uri).first()
    if parent is None:
        raise NotFound("What this answers is not known here.")
    return parent.video, parent


@transaction.atomic
def receive_remote_comment_edit(*, account: Account, remote: RemoteComment) -> Comment:
    """Take over the present words of a known comment. Raises NotFound (unknown, deleted), NotAllowed (not hers), Invalid."""
    _require_remote(account, remote.uri)
    known = Comment.objects.select_for_update(of=("self",)).filter(uri=remote.uri, deleted_at=None).first()
    if known is None:
        raise NotFound("This comment is not known here.")
    if known.account_id != account.pk:
        raise NotAllowed("This id belongs to another account.")
    fields = _comment_fields(remote)
    for name, value in fields.items():
        setattr(known, name, value)
    known.edited_at = clock.now()
    known.save(update_fields=[*fields, "edited_at"])
    return known


@transaction.atomic
def receive_like(*, account: Account, video: Video, uri: str) -> Like:
    """A remote account likes ``video``; a second Like gives the row its newer id. Raises NotFound, NotAllowed, Conflict."""
    _require_remote(account, uri)
    lock(video)
    require_reachable(video, account)
    if Like.objects.filter(uri=uri).exclude(account=account, video=video).exists():
        raise Conflict("This id already names another like.")
    found, new = Like.objects.update_or_create(account=account, video=video, defaults={"uri": uri})
    if new:
        count(video, "like_count", 1)
    return found


@transaction.atomic
def receive_unlike(*, account: Account, video: Video) -> None:
    """Take a like back; none there is no error."""
    lock(video)
    deleted, _ = Like.objects.filter(account=account, video=video).delete()
    count(video, "like_count", -deleted)


@transaction.atomic
def receive_share(*, account: Account, video: Video, uri: str) -> Share:
    """A remote account passes ``video`` on. Raises NotFound, NotAllowed, Conflict."""
    _require_remote(account, uri)
    lock(video)
    require_reachable(video, account)
    if Share.objects.filter(uri=uri).exclude(account=account, video=video).exists():
        raise Conflict("This id already names another share.")
    found, new = Share.objects.update_or_create(account=account, video=video, defaults={"uri": uri})
    if new:
        count(video, "share_count", 1)
    return found


@transaction.atomic
def receive_unshare(*, account: Account, video: Video) -> None:
    """Take a share back; none there is no error."""
    lock(video)
    deleted, _ = Share.objects.filter(account=account, video=video).delete()
    count(video, "share_count", -deleted)


@transaction.atomic
def receive_delete(*, account: Account, uri: str) -> bool:
    """Delete the video or comment ``uri`` if it belongs to ``account``. True if there was something to delete."""
    if account.is_local or locators.is_ours(uri):
        raise NotAllowed("Only accounts of other servers arrive here, with ids of their own.")
    video = Video.objects.select_for_update(of=("self",)).filter(uri=uri, account=account).exclude(state=states.DELETED).first()
    if video is not None:
        wipe(video)
        return True
    comment = Comment.objects.select_related("video").filter(uri=uri, account=account, deleted_at=None).first()
    if comment is None:
        return False
    lock(comment.video)
    comment.refresh_from_db()
    if comment.deleted_at is not None:
        return False
    empty(comment, comment.video)
    return True
