"""Our ledger at a glance: the head, how it grows, who vouches for it and how far behind they are. Reads only."""

from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta

from django.db.models import OuterRef, Subquery

from payouts import standing, witnesses
from payouts.heads import WITNESS, Audit, Head, audits, newest_head
from payouts.models import AccountHead, LogEntry, PeerLog
from server.core import clock

DAYS_SHOWN = 30
# Calm, or something that everybody should know; the sentences are the page's.
EMPTY, WRITABLE, READ_ONLY = "empty", "writable", "read_only"


@dataclass(frozen=True)
class Day:
    """How many entries a day (UTC) brought."""

    day: date
    entries: int


@dataclass(frozen=True)
class WitnessRow:
    """Who is shown our heads. ``lag``: how many entries of our log it has not cosigned yet."""

    name: str
    saw_size: int
    lag: int
    has_cosigned: bool
    answered_at: datetime | None
    error: str


@dataclass(frozen=True)
class Overview:
    """What the first page of the ledger says. ``quorum``: how many cosignatures make a head witnessed."""

    head: Head | None
    state: str
    reason: str
    days: tuple[Day, ...]
    witnesses: tuple[WitnessRow, ...]
    quorum: int
    audits: tuple[Audit, ...]
    accounts: int
    followed: int
    mirrored: int
    forked: int

    @property
    def is_witnessed(self) -> bool:
        """Have enough of the witnesses cosigned the newest head?"""
        return 0 < self.quorum <= sum(one.has_cosigned for one in self.witnesses)

    @property
    def asked(self) -> int:
        """How many witnesses are shown our heads."""
        return len(self.witnesses)


def overview() -> Overview:
    """The state of this instance's ledger; ``head`` is None before it has begun."""
    head = newest_head()
    peers = PeerLog.objects.all()
    state, reason = state_of(head)
    return Overview(
        head=head, state=state, reason=reason,
        days=_growth(head.size if head else 0, DAYS_SHOWN),
        witnesses=_witnesses(head), quorum=witnesses.quorum(), audits=tuple(audits()),
        accounts=AccountHead.objects.count(), followed=peers.count(),
        mirrored=peers.filter(mirrors__branch="", mirrors__complete_size__gt=0).distinct().count(),
        forked=peers.exclude(forked_at=None).count(),
    )  # fmt: skip


def state_of(head: Head | None) -> tuple[str, str]:
    """Whether the log has begun, is written, or may only be read, and then why."""
    suspension = standing.suspension()
    if suspension is not None:
        # Who says so and with which note is for the staff; the sizes are what everybody can see at the witnesses.
        text = f"Since {suspension.since}: {suspension.seen} entries were signed, and {suspension.here} are here."
        return READ_ONLY, text
    return (EMPTY, "") if head is None else (WRITABLE, "")


def _witnesses(head: Head | None) -> tuple[WitnessRow, ...]:
    size = head.size if head else 0
    cosigned = {one.name for one in head.by(WITNESS)} if head else set()
    rows = []
    for row in witnesses.active():
        saw = size if row.name in cosigned else min(row.saw_size, size)
        rows.append(WitnessRow(row.name, saw, size - saw, row.name in cosigned, row.answered_at, row.error))
    return tuple(rows)


def _growth(size: int, count: int) -> tuple[Day, ...]:
    """Entries per day. Times never go down along the log, so each day begins at one index: one look-up a day, no counting."""
    if not size:
        return ()
    today = clock.now().date()
    days = [today - timedelta(days=back) for back in range(count - 1, -1, -1)]
    # A day after the last entry begins at the end of the log.
    row = LogEntry.objects.filter(index=0).values_list(*map(_first_since, days)).get()
    starts = [size if first is None else int(first) for first in row]
    ends = [*starts[1:], size]
    return tuple(Day(day, end - start) for day, start, end in zip(days, starts, ends, strict=True))


def _first_since(day: date) -> Subquery:
    midnight = datetime.combine(day, time.min, UTC)
    # The reference to the outer row keeps the subquery correlated, as values() of one row wants it; every index is at least 0.
    rows = LogEntry.objects.filter(at__gte=midnight, index__gte=OuterRef("index"))
    return Subquery(rows.order_by("at", "index").values("index")[:1])
