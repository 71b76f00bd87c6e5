"""Which videos may come next: the query of each tab, newest first."""

from datetime import UTC, datetime, timedelta

from django.db.models import Exists, OuterRef, Q, QuerySet

from server.accounts.models import Account, Follow
from server.feed.cursor import Cursor
from server.feed.models import Seen
from server.videos import queries as videos
from server.videos.models import Share, Video

EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


def moment(microseconds: int) -> datetime:
    """The point in time of a cursor's number."""
    return EPOCH + timedelta(microseconds=microseconds)


def microseconds(when: datetime) -> int:
    """The number of a point in time, exact to the microsecond."""
    return (when - EPOCH) // timedelta(microseconds=1)


def of_tab(tab: str, viewer: Account | None) -> QuerySet[Video]:
    """The public videos that belong to ``tab``, in no order. A stranger follows nobody."""
    every = videos.visible_to(viewer)
    if tab == "local":
        return every.filter(is_local=True)
    if tab == "federated":
        return every.filter(is_local=False)
    if tab == "following":
        return _from_followed(every, viewer) if viewer else every.none()
    return every


def _from_followed(every: QuerySet[Video], viewer: Account) -> QuerySet[Video]:
    followed = Follow.objects.filter(follower=viewer, state="accepted").values("target_id")
    passed_on = Share.objects.filter(video_id=OuterRef("pk"), account_id__in=followed)
    return every.filter(Q(account_id__in=followed) | Exists(passed_on))


def older(every: QuerySet[Video], cursor: Cursor) -> QuerySet[Video]:
    """Those at or before the reader's beginning and behind the cursor, newest first."""
    found = every.filter(published_at__lte=moment(cursor.as_of_us))
    if cursor.after_id:
        last = moment(cursor.after_us)
        found = found.filter(Q(published_at__lt=last) | Q(published_at=last, id__lt=cursor.after_id))
    return found.order_by("-published_at", "-id")


def seen_before(every: QuerySet[Video], viewer: Account | None, cursor: Cursor) -> QuerySet[Video]:
    """Split by whether ``viewer`` had seen the video before she began reading; what she sees meanwhile changes nothing."""
    if viewer is None:
        return every.none() if cursor.seen_part else every
    seen = Exists(Seen.objects.filter(account=viewer, video_id=OuterRef("pk"), at__lt=moment(cursor.as_of_us)))
    return every.filter(seen if cursor.seen_part else ~seen)
