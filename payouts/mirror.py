"""The mirror: a copy of another's log, entry by entry, proven to stand under the checkpoint that we accepted, kept and served.

    1. copy     bundles are fetched; the tree is grown from our own edge; each step is proven to be a beginning of the accepted
                tree before a byte of it is kept; then the row moves   (a crash before it: the step is fetched again)
    2. cosign   once all of it is here our mirror key says so: "stored and served", nothing else
    3. judge    the entries, one after the other (``judging``); what breaks a rule is disputed, and mirrored all the same

A run has limits of time and bytes and goes on where the last one ended.
"""

import logging
import time
from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass, field
from typing import Any

from django.conf import settings
from django.db.models import F, Min

from payouts import instance_keys, judging, peers, pins
from payouts.judging import RunBudget
from payouts.ledger.checkpoint import Checkpoint, SignedCheckpoint, cosign
from payouts.ledger.errors import BadTile, Inconsistent, LedgerError
from payouts.ledger.follower import Pin, advance, first_pin, proof_between
from payouts.ledger.growth import Edge, grow, read_edge
from payouts.ledger.note import NOTE_BYTES_MAX
from payouts.ledger.tiles import BUNDLED_BYTES_MAX, TILE_WIDTH, Bundle, TileReader, read_entries
from payouts.mirror_files import MirrorFiles
from payouts.models import Dispute, PeerLog, PeerMirror
from payouts.peers import HttpTiles
from payouts.refusals import MirrorDamaged, MirrorFull
from server.core import clock, limits
from server.core.errors import Conflict, TributaryError

logger = logging.getLogger(__name__)


class _Tiles(HttpTiles):
    """Others may write entries that are too large for us: they break a rule and are evidence, so they are fetched."""

    def bundle(self, bundle: Bundle) -> bytes:
        """The bytes of a bundle, of entries of up to 64 KiB."""
        return self._get(bundle.path(), bundle.width * (BUNDLED_BYTES_MAX + 2))


@dataclass(frozen=True)
class MirrorReport:
    """How far our copy of a log is: of ``target`` entries that it signed, ``size`` are here and ``judged`` kept every rule.

    ``entries`` and ``fetched_bytes`` are those of this run; ``disputes`` the rules that were broken, with the index; ``missing``
    the published blobs that the log does not show; ``error`` why the run ended early or saw
    no newer checkpoint, empty when neither.
    """

    origin: str
    target: int
    size: int
    judged: int
    entries: int
    fetched_bytes: int
    disputes: tuple[str, ...]
    missing: tuple[str, ...]
    branches: Mapping[str, int] = field(default_factory=dict)
    error: str = ""

    @property
    def is_complete(self) -> bool:
        """Everything is here and judged."""
        return self.size == self.judged == self.target and not self.error

    def as_json(self) -> dict[str, Any]:
        """For ``--json`` and for pages."""
        return {**asdict(self), "branches": dict(self.branches), "complete": self.is_complete}


def mirror_peer(
    peer: PeerLog,
    *,
    look: bool = True,
    seconds_max: float = limits.MIRROR_SECONDS_MAX,
    bytes_max: int = limits.MIRROR_BYTES_PER_RUN_MAX,
) -> MirrorReport:
    """Copy what is new of a peer's log, and judge it. ``look``: first ask it for its newest checkpoint.

    Goes on where the last run ended. Never raises for what the peer shows: the reason stands in the report and on the row.
    """
    unseen = ""
    if look and peer.forked_at is None:
        try:
            peer = peers.refresh(peer)
        except (LedgerError, TributaryError) as error:
            unseen = f"{error.code}: {error}"
            logger.info("no newer checkpoint", extra={"peer": peer.origin, "error": unseen})
            peer.refresh_from_db()
    budget = RunBudget(seconds_max, bytes_max)
    main = mirror_of(peer)
    before, error_text = main.size, ""
    branches: dict[str, int] = {}
    for mirror, signed in _copies(peer, main):
        problem = _run(mirror, signed, budget)
        if mirror.pk == main.pk:
            error_text = problem
        else:
            branches[mirror.branch] = mirror.size
    main.refresh_from_db()
    return MirrorReport(
        origin=peer.origin, target=peer.size, size=main.size, judged=main.judged, entries=main.size - before,
        fetched_bytes=budget.spent_bytes, disputes=_disputes(peer), missing=tuple(sorted(digest for digest, _ in main.missing)),
        branches=branches,
        error=error_text or unseen,
    )  # fmt: skip


def mirror_all() -> list[MirrorReport]:
    """The chore: every peer that is to be mirrored, those first that waited longest, for a bounded time."""
    stop_at = time.monotonic() + limits.MIRROR_SECONDS_MAX
    wanted = PeerLog.objects.filter(is_mirrored=True, size__gt=0).annotate(mirrored_at=Min("mirrors__seen_at"))
    reports = []
    for peer in wanted.order_by(F("mirrored_at").asc(nulls_first=True), "pk"):
        left = stop_at - time.monotonic()
        if left <= 0:
            break
        reports.append(mirror_peer(peer, look=False, seconds_max=left))
    return reports


def mirror_of(peer: PeerLog) -> PeerMirror:
    """The row of our copy of the history that we pinned."""
    return _row(peer, "")


def _run(mirror: PeerMirror, signed: SignedCheckpoint, budget: RunBudget) -> str:
    """One copy, as far as the budget reaches; the reason why it ended early."""
    error_text = ""
    try:
        _copy(mirror, signed, budget)
        _finish(mirror, signed)
        if not mirror.branch:
            judging.judge(mirror, budget)
    except (LedgerError, TributaryError) as error:
        error_text = f"{error.code}: {error}"
        logger.warning("mirror stopped", extra={"peer": mirror.peer.origin, "error": error_text})
    PeerMirror.objects.filter(pk=mirror.pk).update(error=error_text[: limits.ERROR_CHARACTERS_MAX], seen_at=clock.now())
    return error_text


def _row(peer: PeerLog, branch: str) -> PeerMirror:
    row, _ = PeerMirror.objects.get_or_create(peer=peer, branch=branch, defaults={"root": first_pin(peer.origin).root.hex()})
    return row


# --- 1. copy ---


def _copies(peer: PeerLog, main: PeerMirror) -> Iterator[tuple[PeerMirror, SignedCheckpoint]]:
    """What is to be copied up to where. Of a log that forked both histories, each as far as the log goes on showing it."""
    if not peer.size:
        return
    pinned = pins.open_note(peer, bytes(peer.checkpoint))
    if peer.forked_at is None or not peer.kept_note_b:
        yield main, pinned
        return
    other = pins.open_note(peer, bytes(peer.kept_note_b))
    histories = {main: pinned, _row(peer, other.checkpoint.root.hex()): other}
    shown = _shown_now(peer)
    for mirror, known in histories.items():
        yield mirror, shown if shown is not None and _goes_on(peer, known.checkpoint, shown.checkpoint) else known


def _shown_now(peer: PeerLog) -> SignedCheckpoint | None:
    try:
        return pins.open_note(peer, judging.fetch(f"{peer.url}/checkpoint", size_bytes_max=NOTE_BYTES_MAX))
    except (LedgerError, TributaryError):
        return None


def _goes_on(peer: PeerLog, known: Checkpoint, shown: Checkpoint) -> bool:
    pin = Pin(known.origin, known.size, known.root)
    try:
        advance(pin, shown, proof_between(HttpTiles(peer.url), known.size, max(known.size, shown.size)))
    except (LedgerError, TributaryError):
        return False
    return True


def _copy(mirror: PeerMirror, signed: SignedCheckpoint, budget: RunBudget) -> None:
    target, reader, files = signed.checkpoint, _Tiles(mirror.peer.url), MirrorFiles(mirror)
    edge = _edge_of(mirror)
    while edge.size < target.size and budget.is_left:
        if mirror.stored_bytes >= settings.LEDGER_MIRROR_BYTES_MAX:
            raise MirrorFull(f"{mirror.stored_bytes} bytes of {mirror.peer.origin}")
        entries = _fetch(reader, edge.size, target.size, budget)
        growth = grow(edge, entries)
        _check_step(growth.edge, target, reader)
        written = files.write(growth.files)
        _move(mirror, edge, growth.edge, written)
        edge = growth.edge


def _edge_of(mirror: PeerMirror) -> Edge:
    try:
        edge = read_edge(MirrorFiles(mirror), mirror.size)
    except BadTile as error:
        raise MirrorDamaged(f"{mirror.peer.origin}: {error}") from error
    if edge.root().hex() != mirror.root:
        raise MirrorDamaged(mirror.peer.origin)
    return edge


def _fetch(reader: TileReader, start: int, end: int, budget: RunBudget) -> list[bytes]:
    """The next entries, whole bundles, at least one: so even a slow log comes forward in every run."""
    entries: list[bytes] = []
    at, size = start, 0
    while at < end and (not entries or (budget.is_left and _is_room(len(entries), size))):
        stop = min(end, (at // TILE_WIDTH + 1) * TILE_WIDTH)
        fetched = list(read_entries(reader, at, stop, end))
        size += sum(map(len, fetched))
        budget.spent_bytes += sum(map(len, fetched))
        entries += fetched
        at = stop
    return entries


def _is_room(entries: int, size: int) -> bool:
    return entries < limits.MIRROR_ENTRIES_PER_STEP and size < limits.MIRROR_STEP_BYTES_MAX


def _check_step(edge: Edge, target: Checkpoint, reader: TileReader) -> None:
    """What was fetched is a beginning of the tree that was signed; else nothing of it is kept. Raises BadTile."""
    if edge.size == target.size:
        if edge.root() != target.root:
            raise BadTile(f"the entries up to {edge.size} do not give the signed root")
        return
    step = Pin(target.origin, edge.size, edge.root())
    try:
        advance(step, target, proof_between(reader, edge.size, target.size))
    except Inconsistent as error:
        raise BadTile(f"the entries up to {edge.size} do not stand in the signed tree") from error


def _move(mirror: PeerMirror, old: Edge, new: Edge, written: int) -> None:
    # Compare-and-set: of two that copy at once, one goes on; both wrote the same bytes.
    still = PeerMirror.objects.filter(pk=mirror.pk, size=old.size)
    if not still.update(size=new.size, root=new.root().hex(), stored_bytes=F("stored_bytes") + written):
        raise Conflict("Another worker copies this log just now.")
    mirror.refresh_from_db()


# --- 2. cosign ---


def _finish(mirror: PeerMirror, signed: SignedCheckpoint) -> None:
    checkpoint = signed.checkpoint
    if (mirror.size, mirror.root) != (checkpoint.size, checkpoint.root.hex()) or mirror.complete_size == mirror.size:
        return
    # What a mirror says is true of both branches of a fork, but nothing of a convicted log is cosigned.
    line = "" if mirror.peer.forked_at else f"{cosign(checkpoint, instance_keys.signer('mirror'), _now())}\n"
    mirror.checkpoint, mirror.complete_size, mirror.cosignatures = signed.data, mirror.size, line
    mirror.save(update_fields=["checkpoint", "complete_size", "cosignatures"])


def _now() -> int:
    return int(clock.now().timestamp())


def _disputes(peer: PeerLog) -> tuple[str, ...]:
    return tuple(f"{one.index} {one.rule}" for one in Dispute.objects.filter(origin=peer.origin).order_by("index", "rule"))
