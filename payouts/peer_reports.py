"""The ledgers of others as we know them, for people: copies, verdicts, disputes, forks. Reads only."""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from django.core.cache import cache
from django.db.models import Prefetch

from payouts import forks, pins
from payouts.audit import DIFFERS, EQUAL, Verdict
from payouts.heads import AUDITOR, MIRROR, WITNESS
from payouts.ledger.entries import parse_entry
from payouts.ledger.errors import LedgerError
from payouts.ledger.tiles import read_entries
from payouts.mirror_files import MirrorFiles, name_of
from payouts.models import Dispute, PeerLog, PeerMirror
from server.core.errors import NotFound

PEERS_SHOWN = 200
VERDICTS_SHOWN = 50
DISPUTES_SHOWN = 100
# How far back in the copies of others' logs their disputes are looked for.
ENTRIES_SEARCHED = 4096
TOLD_SECONDS = 3600
DISPUTE = "audit.dispute"

# The worst first.
STATES = (FORKED, UNEQUAL, DISPUTED, FOLLOWED, COPYING, WAITS, AUDITED) = (
    "forked", "unequal", "disputed", "followed", "copying", "waits", "audited",
)  # fmt: skip


@dataclass(frozen=True)
class PeerReport:
    """What we know of one ledger. ``state`` is the worst of it; ``cosigned``: which of our keys said something of it."""

    name: str
    origin: str
    url: str
    size: int
    copied: int
    judged: int
    audited: int
    missing: int
    state: str
    error: str
    seen_at: datetime | None
    copied_at: datetime | None
    forked_at: datetime | None
    cosigned: tuple[str, ...]
    verdicts: tuple[Verdict, ...]
    disputes: int

    @property
    def run(self) -> int:
        """How many closes our auditor has looked at."""
        return len(self.verdicts)

    @property
    def equal(self) -> int:
        """How many closes came out equal when we ran them again."""
        return sum(one.verdict == EQUAL for one in self.verdicts)


@dataclass(frozen=True)
class ClosedThere:
    """A close of another ledger, and what our auditor found."""

    peer: PeerReport
    verdict: Verdict


@dataclass(frozen=True)
class Told:
    """A dispute that another ledger has written about a third one, or about ours. ``evidence``: the SHA-256 of its document."""

    by: str
    by_name: str
    entry: int
    about: str
    index: int
    rule: str
    evidence: str
    at: str


@dataclass(frozen=True)
class Convicted:
    """A ledger that signed two histories. ``vkeys``: the keys to name when the proof is verified."""

    name: str
    origin: str
    forked_at: datetime
    vkeys: tuple[str, ...]


def list_peers() -> list[PeerReport]:
    """Every ledger that is followed, by name. Two queries and one for the disputes."""
    disputes = _disputes_by_origin()
    return [_report(peer, disputes.get(peer.origin, 0)) for peer in _followed().order_by("origin")[:PEERS_SHOWN]]


def peer_report(name: str) -> PeerReport:
    """One ledger by the SHA-256 of its origin. Raises NotFound."""
    for peer in _followed():
        if name_of(peer.origin) == name:
            return _report(peer, _disputes_by_origin().get(peer.origin, 0))
    raise NotFound("This ledger is not followed here.")


def closes_there(peers: Iterable[PeerReport]) -> list[ClosedThere]:
    """What our auditor found about the closes of others, the worst first, then the newest of each."""
    found = [ClosedThere(peer, verdict) for peer in peers for verdict in peer.verdicts]
    found.sort(key=lambda one: (one.verdict.verdict != DIFFERS, -one.verdict.index))
    return found[:VERDICTS_SHOWN]


def list_disputes(origin: str | None = None) -> list[Dispute]:
    """What we say that others did wrong, the newest first."""
    rows = Dispute.objects.order_by("-raised_at", "digest").defer("document")
    return list((rows if origin is None else rows.filter(origin=origin))[:DISPUTES_SHOWN])


def told_by_others() -> list[Told]:
    """The disputes that the ledgers we copy have written lately, about us and about others."""
    copies = PeerMirror.objects.filter(branch="", complete_size__gt=0).select_related("peer").order_by("peer__origin")
    found = [one for copy in copies[:PEERS_SHOWN] for one in _told_by(copy)]
    return found[:DISPUTES_SHOWN]


def convicted() -> list[Convicted]:
    """The ledgers that forked, the newest first."""
    return [
        Convicted(name_of(peer.origin), peer.origin, peer.forked_at, _vkeys(peer)) for peer in forks.convicted() if peer.forked_at
    ]


def _followed() -> Any:
    copies = Prefetch("mirrors", PeerMirror.objects.filter(branch="").order_by("pk"), to_attr="copies")
    return PeerLog.objects.prefetch_related(copies).defer("fork_proof", "kept_note_a", "kept_note_b")


def _disputes_by_origin() -> dict[str, int]:
    counts: dict[str, int] = {}
    for origin in Dispute.objects.values_list("origin", flat=True):
        counts[origin] = counts.get(origin, 0) + 1
    return counts


def _report(peer: PeerLog, disputes: int) -> PeerReport:
    copies: list[PeerMirror] = peer.copies  # type: ignore[attr-defined]
    copy = copies[0] if copies else PeerMirror(peer=peer)
    verdicts = tuple(Verdict(**copy.verdicts[index]) for index in sorted(copy.verdicts, key=int, reverse=True))
    return PeerReport(
        name=name_of(peer.origin), origin=peer.origin, url=peer.url, size=peer.size, copied=copy.size, judged=copy.judged,
        audited=copy.audited, missing=len(copy.missing), state=_state(peer, copy, verdicts, disputes),
        error=peer.error or copy.error, seen_at=peer.seen_at, copied_at=copy.seen_at, forked_at=peer.forked_at,
        cosigned=_cosigned(peer, copy), verdicts=verdicts, disputes=disputes,
    )  # fmt: skip


def _state(peer: PeerLog, copy: PeerMirror, verdicts: tuple[Verdict, ...], disputes: int) -> str:
    found = {one.verdict for one in verdicts}
    ladder = (
        (peer.forked_at is not None, FORKED),
        (DIFFERS in found, UNEQUAL),
        (bool(disputes) or copy.broken_at is not None, DISPUTED),
        (not peer.is_mirrored and not copy.size, FOLLOWED),
        (not copy.complete_size or copy.judged < copy.complete_size, COPYING),
        (copy.audited < copy.judged, WAITS),
    )
    return next((state for holds, state in ladder if holds), AUDITED)


def _cosigned(peer: PeerLog, copy: PeerMirror) -> tuple[str, ...]:
    lines = f"{peer.cosignature}\n{copy.cosignatures}"
    return tuple(role for role in (WITNESS, MIRROR, AUDITOR) if f"/{role}/" in lines)


def _told_by(copy: PeerMirror) -> list[Told]:
    # What stands below a root never changes, so it is read once for each whole copy.
    key = f"ledger-told:{name_of(copy.peer.origin)}:{copy.complete_size}"
    found: list[Told] | None = cache.get(key)
    if found is None:
        found = _search(copy)
        cache.set(key, found, TOLD_SECONDS)
    return found


def _search(copy: PeerMirror) -> list[Told]:
    start = max(0, copy.complete_size - ENTRIES_SEARCHED)
    try:
        entries = list(read_entries(MirrorFiles(copy), start, copy.complete_size, copy.size))
    except LedgerError:
        # A copy that does not read is the mirror's to report.
        return []
    found = [_told(copy, data) for data in reversed(entries) if f'"{DISPUTE}"'.encode() in data]
    return [one for one in found if one is not None]


def _told(copy: PeerMirror, data: bytes) -> Told | None:
    """None for an entry that only has the word in it, or that keeps no rule: another log may write anything."""
    try:
        entry = parse_entry(data)
    except LedgerError:
        return None
    if entry.type != DISPUTE:
        return None
    body, origin = entry.body, copy.peer.origin
    return Told(origin, name_of(origin), entry.index, body["origin"], body["index"], body["rule"], body["evidence"], entry.at)


def _vkeys(peer: PeerLog) -> tuple[str, ...]:
    try:
        return tuple(map(str, pins.log_keys(peer)))
    except LedgerError:
        return ()
