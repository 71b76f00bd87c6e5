"""What the ground shows to operators: waiting and given-up work, room on the disk, the size of the database."""

from collections.abc import Iterable
from pathlib import Path

from django.conf import settings
from django.db import connection
from django.db.models import Count, Min

from server.core import clock, facts, metrics, storage
from server.core.models import Task


def _queues() -> set[str]:
    return {subscriber.queue for subscribers in facts.wiring().values() for subscriber in subscribers}


def _seconds_since(moments: dict[str, float], names: Iterable[str]) -> Iterable[tuple[tuple[str, ...], float]]:
    now = clock.now().timestamp()
    return [((name,), max(0.0, now - moments[name]) if name in moments else 0.0) for name in sorted(names)]


@metrics.gauge("tasks_waiting", "Background tasks that wait for a worker or for their next try, by queue.", "queue")
def tasks_waiting() -> Iterable[tuple[tuple[str, ...], float]]:
    """Every queue has a line, with 0 when nothing waits."""
    found = dict(Task.objects.filter(dead_at=None).values_list("queue").annotate(count=Count("id")).order_by())
    return [((queue,), found.get(queue, 0)) for queue in sorted(_queues() | set(found))]


@metrics.gauge("tasks_dead", "Background tasks that were given up and wait for an administrator, by queue.", "queue")
def tasks_dead() -> Iterable[tuple[tuple[str, ...], float]]:
    """Every queue has a line."""
    found = dict(Task.objects.exclude(dead_at=None).values_list("queue").annotate(count=Count("id")).order_by())
    return [((queue,), found.get(queue, 0)) for queue in sorted(_queues() | set(found))]


@metrics.gauge("tasks_oldest_seconds", "Age of the oldest background task that is not done, by queue.", "queue")
def tasks_oldest() -> Iterable[tuple[tuple[str, ...], float]]:
    """Grows while a task fails and is tried again."""
    rows = Task.objects.filter(dead_at=None).values_list("queue").annotate(first=Min("created_at")).order_by()
    found = {queue: first.timestamp() for queue, first in rows}
    return _seconds_since(found, _queues() | set(found))


@metrics.gauge("tasks_overdue_seconds", "How long the longest waiting task has been due without being run, by queue.", "queue")
def tasks_overdue() -> Iterable[tuple[tuple[str, ...], float]]:
    """Grows while workers are missing or too slow."""
    rows = Task.objects.filter(dead_at=None, next_try_at__lte=clock.now()).values_list("queue")
    found = {queue: first.timestamp() for queue, first in rows.annotate(first=Min("next_try_at")).order_by()}
    return _seconds_since(found, _queues() | set(found))


@metrics.gauge("disk_free_bytes", "Free bytes on the disks of the data and media directories.", "directory")
def disk_free() -> Iterable[tuple[tuple[str, ...], float]]:
    """Uploads stop below TRIBUTARY_FREE_DISK_BYTES_MIN."""
    return [(("data",), storage.free_bytes(settings.DATA_DIR)), (("media",), storage.free_bytes(settings.MEDIA_ROOT))]


@metrics.gauge("database_bytes", "Size of the database.")
def database_size() -> Iterable[tuple[tuple[str, ...], float]]:
    """SQLite: the file with its log; PostgreSQL: what it says."""
    if connection.vendor == "postgresql":
        with connection.cursor() as cursor:
            cursor.execute("SELECT pg_database_size(current_database())")
            return [((), cursor.fetchone()[0])]
    name = str(connection.settings_dict["NAME"])
    paths = [Path(name + ending) for ending in ("", "-wal")]
    return [((), sum(path.stat().st_size for path in paths if path.exists()))]


@metrics.gauge("build_info", "Always 1; the label is the version that runs.", "version")
def build_info() -> Iterable[tuple[tuple[str, ...], float]]:
    """For dashboards."""
    return [((settings.VERSION,), 1)]
