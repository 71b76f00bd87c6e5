"""What federation shows to operators: what we owe other servers, and what they sent that is not handled."""

from collections.abc import Iterable

from django.db.models import Count, Min

from federation.models import Delivery, InboxItem, Peer
from server.core import clock, metrics

# Delivered and handled rows are history, and too many to count at every scrape.
DELIVERY_STATES = ("waiting", "dead")
INBOX_STATES = ("received", "ignored", "failed")


@metrics.gauge("deliveries", "Activities owed to other servers, by state: waiting, dead (given up).", "state")
def deliveries_by_state() -> Iterable[tuple[tuple[str, ...], float]]:
    """Every state has a line."""
    rows = Delivery.objects.filter(state__in=DELIVERY_STATES).values_list("state")
    found = dict(rows.annotate(count=Count("id")).order_by())
    return [((state,), found.get(state, 0)) for state in DELIVERY_STATES]


@metrics.gauge("deliveries_oldest_seconds", "Age of the oldest delivery that still waits; days when a server is away.")
def deliveries_oldest() -> Iterable[tuple[tuple[str, ...], float]]:
    """Zero when nothing waits."""
    first = Delivery.objects.filter(state="waiting").aggregate(first=Min("created_at"))["first"]
    return [((), max(0.0, (clock.now() - first).total_seconds()) if first else 0.0)]


@metrics.gauge("deliveries_overdue_seconds", "How long the longest waiting delivery has been due without being tried.")
def deliveries_overdue() -> Iterable[tuple[tuple[str, ...], float]]:
    """Grows while workers are missing or too slow; servers that are known to be away do not count."""
    due = Delivery.objects.filter(state="waiting", next_try_at__lte=clock.now())
    away = Peer.objects.filter(open_until__gt=clock.now()).values("host")
    first = due.exclude(host__in=away).aggregate(first=Min("next_try_at"))["first"]
    return [((), (clock.now() - first).total_seconds() if first else 0.0)]


@metrics.gauge("hosts_open", "Servers to which nothing is sent for a while, because deliveries failed.")
def hosts_open() -> Iterable[tuple[tuple[str, ...], float]]:
    """Their circuit breaker is open."""
    return [((), Peer.objects.filter(open_until__gt=clock.now()).count())]


@metrics.gauge("inbox_items", "Activities of other servers by state: received (not yet handled), ignored, failed.", "state")
def inbox_items_by_state() -> Iterable[tuple[tuple[str, ...], float]]:
    """Every state has a line."""
    rows = InboxItem.objects.filter(state__in=INBOX_STATES).values_list("state")
    found = dict(rows.annotate(count=Count("id")).order_by())
    return [((state,), found.get(state, 0)) for state in INBOX_STATES]
