"""Getting back what this log signed and this machine forgot: from our own database, or from somebody who kept a copy.

Nothing that a copy gives is trusted. The newest note must be our own signature, and the entries must lead from what is here to
its root; then they are the entries that we signed, byte for byte, at the indices that they had. A copy that contradicts what is
here is a fork: nothing is changed, and a person must look (docs/howto/restore-from-backup.md).
"""

import logging
from collections.abc import Iterator
from dataclasses import dataclass
from hashlib import sha256
from itertools import islice

from payouts import instance_keys, log, splits, standing, store, witnesses
from payouts.admission import BLOBS
from payouts.algorithms import find
from payouts.ledger.checkpoint import SignedCheckpoint, open_checkpoint
from payouts.ledger.entries import Entry, parse_entry
from payouts.ledger.errors import LedgerError
from payouts.ledger.keyhistory import KeyHistory, history_of
from payouts.ledger.note import NOTE_BYTES_MAX
from payouts.ledger.rotation import GENESIS, ROTATE, keys_of_genesis
from payouts.ledger.tiles import read_entries
from payouts.ledger.witness import OK
from payouts.models import LogEntry, SignedHead
from payouts.peers import HttpTiles
from payouts.reexecution import read_blob
from payouts.store import DiskTiles, HeadCell
from payouts.witnesses import Door
from server.core import http, limits
from server.core.errors import TributaryError

logger = logging.getLogger(__name__)

ENTRIES_AT_ONCE_MAX = 250_000


@dataclass(frozen=True)
class Recovered:
    """What a recovery did: entries put back, the size now, where they came from, published blobs that nobody had."""

    entries: int
    size: int
    source: str
    blobs_missing: tuple[str, ...] = ()


def finish_append() -> None:
    """The chore: publish what a writer signed before it was killed. Looks without the lock first, for there is rarely work."""
    if LogEntry.objects.count() < store.read_head().size:
        log.begin_log()


def recover_if_suspended() -> None:
    """The chore: while the log is read-only because something is missing, look for it. Cheap when nothing is wrong."""
    stands = standing.suspension()
    if stands is not None and stands.reason == "set_back":
        recover()


def recover() -> Recovered | None:
    """Put back the entries that are missing here, from the first source that has them. None when no source had more.

    Idempotent. Raises nothing for a source that is wrong: it is logged, and the next one is asked.
    """
    for source in ("the database", *map(witnesses.door_of, witnesses.active())):
        name = source.name if isinstance(source, Door) else source
        try:
            done = _from_copy(source) if isinstance(source, Door) else _from_rows()
        except (LedgerError, TributaryError) as error:
            logger.warning("recovery refused a copy", extra={"source": name, "error": f"{error.code}: {error}"})
            continue
        if done is not None:
            logger.warning("the ledger was recovered", extra={"source": name, "entries": done.entries, "size": done.size})
            witnesses.forget_answers()
            return done
    return None


def _from_rows() -> Recovered | None:
    """An old ledger folder beside a newer database: the rows are the entries."""
    head = store.read_head()
    newest = SignedHead.objects.order_by("-size").first()
    if newest is None or newest.size <= head.size:
        return None
    rows = LogEntry.objects.filter(index__gte=head.size, index__lt=newest.size).order_by("index")
    entries = [bytes(row.data) for row in rows[:ENTRIES_AT_ONCE_MAX]]
    return _put_back(head, entries, bytes(newest.note), "the database")


def _from_copy(door: Door) -> Recovered | None:
    """Where a witness mirrors us, our files stand below its monitoring address, as they stood here."""
    if not door.monitoring_url:
        return None
    base = f"{door.monitoring_url}/{sha256(instance_keys.origin().encode()).hexdigest()}"
    head = store.read_head()
    # What it has copied whole: it may have seen a newer head, of which it has no entries yet.
    note = _get(f"{base}/mirrored", NOTE_BYTES_MAX)
    # Not verified yet: only how far to read.
    size = witnesses.size_of(note)
    if size <= head.size:
        return None
    entries = list(islice(read_entries(HttpTiles(base), head.size, size, size), ENTRIES_AT_ONCE_MAX))
    missing = tuple(_fetch_blobs(base, entries))
    done = _put_back(head, entries, note, door.name)
    return Recovered(done.entries, done.size, done.source, missing)


def _put_back(head: HeadCell, entries: list[bytes], note: bytes, source: str) -> Recovered:
    parsed = [parse_entry(data, origin=instance_keys.origin(), index=index) for index, data in enumerate(entries, head.size)]
    signed = _open(note, parsed)
    count = log.put_back(entries, signed)
    return Recovered(count, signed.checkpoint.size, source)


def _open(note: bytes, missing: list[Entry]) -> SignedCheckpoint:
    """Our own note, by the key that was right at its size; among the missing entries may be the one that made it right."""
    key = _history(missing).at(witnesses.size_of(note))
    return open_checkpoint(note, origin=instance_keys.origin(), log_keys=[key])


def _history(missing: list[Entry]) -> KeyHistory:
    head = store.read_head()
    own = [parse_entry(bytes(row.data)) for row in LogEntry.objects.filter(type__in=(GENESIS, ROTATE)).order_by("index")]
    if not own and head.size:
        own = [parse_entry(next(read_entries(DiskTiles(), 0, 1, head.size)))]
    known = {entry.index: entry for entry in [*own, *(entry for entry in missing if entry.type in {GENESIS, ROTATE})]}
    genesis, *rotations = (known[index] for index in sorted(known))
    history = history_of(keys_of_genesis(genesis), rotations)
    # Whoever takes this key for ours must hold it: another's log, or a log begun with other secrets, is not recovered.
    instance_keys.signer_of(history.newest)
    return history


def _fetch_blobs(base: str, entries: list[bytes]) -> Iterator[str]:
    """Keep the published blobs that the entries name. Gives those that the copy does not have."""
    for data in entries:
        entry = parse_entry(data)
        member = BLOBS.get(entry.type)
        if member is None or store.has_blob(entry.body[member], public=True):
            continue
        digest = entry.body[member]
        try:
            blob = _get(f"{base}/blob/{digest}", limits.MIRROR_BLOB_BYTES_MAX)
        except TributaryError:
            blob = b""
        if sha256(blob).hexdigest() == digest:
            store.put_blob(blob, public=True)
            if entry.type == "close":
                _remake_lines(entry, blob)
        else:
            # Evidence was never published; this was, and nobody shows it.
            yield digest


def _remake_lines(close: Entry, inputs: bytes) -> None:
    """The lines of the accruals of a close follow from its inputs: nobody needs to have kept them."""
    for blob in splits.share_period(read_blob(inputs), find(close.body["algorithm"])).blobs.values():
        store.put_blob(blob, public=True)


def _get(url: str, size_bytes_max: int) -> bytes:
    answer = http.get(url, headers={}, size_bytes_max=size_bytes_max, wait_seconds_max=limits.FETCH_SECONDS_MAX)
    if answer.status != OK:
        raise witnesses.WitnessUnclear(f"{url}: status {answer.status}")
    return answer.body
