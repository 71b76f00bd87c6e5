"""What local people do with a published video: like and share."""

from django.db import transaction

from server.accounts.models import Account
from server.core import facts, locators
from server.core.errors import NotAllowed
from server.core.snowflake import make_id
from server.videos.checks import lock, require_reachable
from server.videos.facts import LikeAdded, LikeRemoved, ShareAdded, ShareRemoved
from server.videos.models import Like, Share, Video


def _require_local(by: Account) -> None:
    if not by.is_local:
        raise NotAllowed("Remote accounts act on their own server.")


@transaction.atomic
def like(*, video: Video, by: Account) -> Like:
    """``by`` likes ``video``; liking twice is once. Raises NotFound (not published), NotAllowed (blocked)."""
    _require_local(by)
    lock(video)
    require_reachable(video, by)
    found, new = Like.objects.get_or_create(
        account=by, video=video, defaults={"uri": locators.activity_uri(by.handle, "likes", make_id())}
    )
    if new:
        count(video, "like_count", 1)
        facts.record(LikeAdded(like_id=found.id))
    return found


@transaction.atomic
def unlike(*, video: Video, by: Account) -> None:
    """Take a like back; none there is no error. Possible also when the video can no longer be reached."""
    lock(video)
    found = Like.objects.filter(account=by, video=video).first()
    if found is not None:
        found.delete()
        count(video, "like_count", -1)
        facts.record(LikeRemoved(account_id=by.id, video_id=video.id, like_uri=found.uri))


@transaction.atomic
def share(*, video: Video, by: Account) -> Share:
    """``by`` passes ``video`` on to her followers; sharing twice is once. Raises NotFound, NotAllowed (blocked, unlisted)."""
    _require_local(by)
    lock(video)
    require_reachable(video, by)
    if video.visibility != "public" and video.account_id != by.pk:
        raise NotAllowed("An unlisted video is not passed on.")
    found, new = Share.objects.get_or_create(
        account=by, video=video, defaults={"uri": locators.activity_uri(by.handle, "shares", make_id())}
    )
    if new:
        count(video, "share_count", 1)
        facts.record(ShareAdded(share_id=found.id))
    return found


@transaction.atomic
def unshare(*, video: Video, by: Account) -> None:
    """Take a share back; none there is no error."""
    lock(video)
    found = Share.objects.filter(account=by, video=video).first()
    if found is not None:
        found.delete()
        count(video, "share_count", -1)
        facts.record(ShareRemoved(account_id=by.id, video_id=video.id, share_uri=found.uri))


def count(video: Video, field: str, by: int) -> None:
    """Add ``by`` to a counter of a locked row."""
    setattr(video, field, getattr(video, field) + by)
    video.save(update_fields=[field])
