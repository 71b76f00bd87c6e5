"""What videos show to operators."""

from collections.abc import Iterable

from django.db.models import Count

from server.core import metrics
from server.videos import states
from server.videos.models import Video


@metrics.gauge("videos", "Videos, local and remote, by state.", "state")
def videos_by_state() -> Iterable[tuple[tuple[str, ...], float]]:
    """Every state has a line."""
    found = dict(Video.objects.values_list("state").annotate(count=Count("id")).order_by())
    return [((state,), found.get(state, 0)) for state in states.STATES]
