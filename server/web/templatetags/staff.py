"""What the first staff page shows: how the instance is doing, and what staff did last."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from django import template
from django.conf import settings
from django.template.defaultfilters import filesizeformat, pluralize
from django.urls import reverse

from payouts import forks
from payouts.mirror_files import name_of
from payouts.models import PeerLog
from server.core import metrics
from server.moderation.models import AuditEntry, Report

register = template.Library()

OVERDUE_SECONDS_MAX = 600
ACTS_SHOWN = 12


@dataclass(frozen=True)
class Tile:
    """One number with a link to what it counts. ``tone``: ``plain``, ``good``, ``warn`` or ``bad``."""

    label: str
    value: str
    note: str
    address: str
    tone: str = "plain"


def _page(model: str, query: str = "") -> str:
    return reverse(f"admin:{model}_changelist") + query


def _work() -> Tile:
    waiting = sum(metrics.reading("tasks_waiting").values())
    dead = sum(metrics.reading("tasks_dead").values())
    overdue = max(metrics.reading("tasks_overdue_seconds").values(), default=0)
    late = overdue > OVERDUE_SECONDS_MAX
    note = f"{dead:.0f} given up" + (f"; due for {overdue / 60:.0f} min: do workers run?" if late else "")
    return Tile(
        "Tasks waiting",
        f"{waiting:.0f}",
        note,
        _page("core_task", "?state=dead" if dead else ""),
        "bad" if dead or late else "good",
    )


def _deliveries() -> Tile:
    states = metrics.reading("deliveries")
    waiting, dead = states[("waiting",)], states[("dead",)]
    paused = metrics.reading("hosts_open")[()]
    note = f"{dead:.0f} given up; {paused:.0f} paused server{pluralize(paused)}"
    query = "?state__exact=dead" if dead else "?state__exact=waiting"
    return Tile(
        "Deliveries waiting", f"{waiting:.0f}", note, _page("federation_delivery", query), "warn" if dead or paused else "good"
    )


def _inbox() -> Tile:
    states = metrics.reading("inbox_items")
    failed = states[("failed",)]
    query = "?state__exact=failed" if failed else ""
    note = f"{states[('received',)]:.0f} not handled yet"
    return Tile("Failed activities", f"{failed:.0f}", note, _page("federation_inboxitem", query), "warn" if failed else "good")


def _videos() -> Tile:
    states = metrics.reading("videos")
    failed = states[("failed",)]
    note = f"{states[('processing',)]:.0f} in work, {failed:.0f} failed"
    return Tile(
        "Videos published", f"{states[('published',)]:.0f}", note, _page("videos_video", "?state__exact=failed" if failed else "")
    )


def _disk() -> Tile:
    free = min(metrics.reading("disk_free_bytes").values())
    database = metrics.reading("database_bytes")[()]
    tone = "bad" if free < settings.FREE_DISK_BYTES_MIN else "warn" if free < 4 * settings.FREE_DISK_BYTES_MIN else "good"
    note = f"database {filesizeformat(database)}" + ("; uploads are refused" if tone == "bad" else "")
    return Tile("Disk free", filesizeformat(free), note, _page("videos_upload"), tone)


@register.simple_tag
def overview() -> Sequence[Tile]:
    """The tiles of the first staff page; the same numbers as ``/metrics``."""
    reports = Report.objects.filter(resolved_at=None).count()
    return [
        Tile("Open reports", str(reports), "", _page("moderation_report"), "warn" if reports else "good"),
        _work(),
        _deliveries(),
        _inbox(),
        _videos(),
        _disk(),
    ]


@register.simple_tag
def unread_forks() -> Sequence[PeerLog]:
    """Ledgers that signed two books, as long as nobody has said that she read the proof."""
    return forks.unread()


@register.filter
def log_name(origin: str) -> str:
    """How a log is called in addresses."""
    return name_of(origin)


@register.simple_tag
def version() -> str:
    """Which version runs."""
    return settings.VERSION


@register.simple_tag
def latest_acts() -> Iterable[AuditEntry]:
    """The newest entries of the audit trail."""
    return AuditEntry.objects.select_related("actor").order_by("-at")[:ACTS_SHOWN]
