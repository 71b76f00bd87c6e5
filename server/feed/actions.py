"""What a viewer's watching changes."""

from django.db import transaction
from django.db.models.functions import Greatest

from server.accounts.models import Account
from server.feed.models import Seen
from server.videos.models import Video

# Longer than any video: a made-up number must not overflow the column.
WATCHED_MS_MAX = 24 * 3600 * 1000


@transaction.atomic
def mark_seen(*, account: Account, video: Video, watched_ms: int) -> Seen:
    """Note that ``account`` was shown ``video``. Repeated calls keep the longest time and the first moment."""
    watched_ms = max(0, min(watched_ms, WATCHED_MS_MAX))
    seen, made = Seen.objects.get_or_create(account=account, video=video, defaults={"watched_ms": watched_ms})
    if not made and seen.watched_ms < watched_ms:
        Seen.objects.filter(pk=seen.pk).update(watched_ms=Greatest("watched_ms", watched_ms))
        seen.watched_ms = watched_ms
    return seen
