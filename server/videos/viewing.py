"""Views: what a counter shows, and what steers money. A view never creates money; it steers what somebody already paid."""

import hashlib
import hmac
from datetime import timedelta

from django.conf import settings
from django.db import IntegrityError, transaction
from django.db.models import F

from server.accounts.models import Account
from server.core import clock, facts
from server.core.errors import Invalid
from server.videos import states
from server.videos.facts import ViewCounted
from server.videos.models import Video, ViewMark

VIEW_MS_MIN = 5_000
# What one view weighs at most, so that a long video does not outweigh many short ones.
WEIGHT_MS_MAX = 18_000
VIEWS_OF_DAY_MAX = 500
MARKS_KEPT_DAYS = 2


def is_long_enough(*, watched_ms: int, duration_ms: int | None) -> bool:
    """At least five seconds, or half of a shorter video (a qualified view's length, rule L0)."""
    return watched_ms >= min(VIEW_MS_MIN, (duration_ms or 2 * VIEW_MS_MIN) // 2)


@transaction.atomic
def count_view(*, video: Video, viewer: Account | None, watched_ms: int) -> None:
    """Take a player's word that ``video`` was watched for ``watched_ms``. Records ViewCounted with the reason it does not count.

    A video that ``viewer`` cannot reach counts nothing and raises nothing: players send this without looking.
    Raises Invalid for a negative time.
    """
    if watched_ms < 0:
        raise Invalid("Time watched cannot be negative.", field="watched_ms")
    seen = Video.objects.filter(pk=video.pk, state=states.PUBLISHED)
    if viewer is not None:
        seen = seen.exclude(account__blocks__target=viewer)
    found = seen.select_related("account").first()
    if found is None:
        return
    long_enough = is_long_enough(watched_ms=watched_ms, duration_ms=found.duration_ms)
    if long_enough:
        Video.objects.filter(pk=found.pk).update(view_count=F("view_count") + 1)
    reason = "too-short" if not long_enough else _reason(found, viewer)
    facts.record(
        ViewCounted(
            work=found.uri,
            creator_scid=found.account.scid or "",
            weight_ms=min(watched_ms, found.duration_ms or watched_ms, WEIGHT_MS_MAX),
            reason=reason,
        )
    )


def _reason(video: Video, viewer: Account | None) -> str:
    """Why a view that is long enough steers nothing all the same; empty for one that does."""
    if viewer is None:
        return "logged-out"
    if viewer.pk == video.account_id:
        return "own-work"
    if not video.account.scid:
        return "no-identity"
    today = clock.now().date()
    who = _pseudonym(viewer, today.isoformat())
    if ViewMark.objects.filter(day=today, viewer=who).count() >= VIEWS_OF_DAY_MAX:
        return "daily-cap"
    try:
        with transaction.atomic():
            ViewMark.objects.create(day=today, viewer=who, video=video)
    except IntegrityError:
        return "repeated"
    return ""


def _pseudonym(viewer: Account, day: str) -> str:
    """A name for ``viewer`` that is good for one day and leads back to her only with this server's secret."""
    return hmac.new(settings.SECRET_KEY.encode(), f"view {day} {viewer.pk}".encode(), hashlib.sha256).hexdigest()


def forget_old_marks() -> int:
    """Forget who viewed what, once no later view could repeat it. Returns how many were forgotten."""
    before = clock.now().date() - timedelta(days=MARKS_KEPT_DAYS)
    return ViewMark.objects.filter(day__lt=before).delete()[0]
