"""What local people do with a published video: like, share, view."""

from django.db import transaction
from django.db.models import F

from server.accounts.models import Account
from server.core import facts, locators
from server.core.errors import Invalid, NotAllowed
from server.core.snowflake import make_id
from server.videos import states
from server.videos.checks import lock, require_reachable
from server.videos.facts import LikeAdded, LikeRemoved, ShareAdded, ShareRemoved
from server.videos.models import Like, Share, Video

# A view counts when this long was watched, or half of a shorter video.
VIEW_MS_MIN = 5_000


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


@transaction.atomic
def count_view(*, video: Video, viewer: Account | None, watched_ms: int) -> None:
    """Count a qualified view: at least five seconds, or half of a shorter video. Fewer change nothing.

    A video that ``viewer`` cannot reach counts nothing and raises nothing: players send this without looking.
    """
    if watched_ms < 0:
        raise Invalid("Time watched cannot be negative.", field="watched_ms")
    if watched_ms < min(VIEW_MS_MIN, (video.duration_ms or 2 * VIEW_MS_MIN) // 2):
        return
    seen = Video.objects.filter(pk=video.pk, state=states.PUBLISHED)
    if viewer is not None:
        seen = seen.exclude(account__blocks__target=viewer)
    seen.update(view_count=F("view_count") + 1)


def count(video: Video, field: str, by: int) -> None:
    """Add ``by`` to a counter of a locked row."""
    setattr(video, field, getattr(video, field) + by)
    video.save(update_fields=[field])
