"""Gossip: every delivery carries our newest checkpoint, and what others show us of a log is held against what we know of it.

A log that shows one history here and another there must be caught by somebody who sees both. Notes come in three ways: in the
``Ledger-Checkpoint`` header of a delivery, at the witness's door, and from peers that we ask what *they* have seen. None of
them is judged where it arrives: it becomes a row, and a worker looks at tiles.
"""

import base64
import logging
from collections.abc import Iterable, Iterator
from hashlib import sha256

from django.db import transaction

from payouts import forks, pins, store
from payouts.facts import NoteHeard
from payouts.ledger.checkpoint import CHECKPOINT_BYTES_MAX, Checkpoint, SignedCheckpoint, parse_checkpoint
from payouts.ledger.errors import Inconsistent, LedgerError, WentBackwards
from payouts.ledger.follower import Pin, advance, check_tiles, proof_between
from payouts.ledger.note import NOTE_BYTES_MAX, split_note
from payouts.ledger.tiles import TileReader
from payouts.mirror_files import MirrorFiles, name_of
from payouts.models import HeardNote, PeerLog
from payouts.peers import HttpTiles
from server.core import budget, facts, http, limits
from server.core.errors import TributaryError

logger = logging.getLogger(__name__)

HEADER = "Ledger-Checkpoint"
HEARD_SECONDS = 3600
# How many (log, peer) pairs one round compares.
COMPARED_PER_ROUND_MAX = 16
COMPARED_SECONDS = 60
OK = 200


def header() -> dict[str, str]:
    """The header that every delivery carries: our newest checkpoint in base64; nothing before the log has begun."""
    note = store.published_checkpoint()
    if not note or len(note) > CHECKPOINT_BYTES_MAX:
        return {}
    return {HEADER: base64.b64encode(note).decode()}


def hear(value: str, *, host: str) -> bool:
    """Take the header of a delivery that ``host`` signed. Returns whether something is left for a worker to judge.

    Never raises for what the header says, and never opens a connection: the inbox must not wait for a ledger.
    """
    if not value or len(value) > limits.CHECKPOINT_HEADER_BYTES_MAX:
        return False
    if not budget.once(f"checkpoint-header:{sha256(value.encode('utf-8', 'replace')).hexdigest()}", HEARD_SECONDS):
        return False
    try:
        note = base64.b64decode(value, validate=True)
        return take(note, source=host)
    except (ValueError, LedgerError) as error:
        logger.info("checkpoint header refused", extra={"host": host, "error": f"{type(error).__name__}: {error}"[:200]})
        return False


def take(note: bytes, *, source: str, tiles_url: str = "") -> bool:
    """Keep a note to be judged, if its log is followed here, its key signed it, and it is not the pin. Raises LedgerError."""
    text, _ = split_note(note)
    peer = PeerLog.objects.filter(origin=parse_checkpoint(text).origin).first()
    if peer is None:
        return False
    signed = pins.open_note(peer, note)
    if (signed.checkpoint.size, signed.checkpoint.root.hex()) == (peer.size, peer.root) or signed.checkpoint.size == 0:
        return False
    return pins.hear(peer, note, source=source, tiles_url=tiles_url) is not None


def judge(fact: NoteHeard) -> None:
    """Hold a note that was heard against the pin of its log. Idempotent.

    It extends the pin (then the pin moves), stands in it (then it is forgotten), contradicts it (then the log is convicted), or
    nobody shows the tiles that would tell: then it stays, as evidence. Raises what may be better later.
    """
    heard = HeardNote.objects.select_related("peer").filter(pk=fact.heard_id, state="waiting").first()
    if heard is None:
        return
    peer = heard.peer
    if peer.forked_at is not None:
        HeardNote.objects.filter(pk=heard.pk).update(state="forked")
        return
    try:
        signed = pins.open_note(peer, bytes(heard.note))
    except LedgerError:
        # The log changed its key since: a rotation, which its own log explains.
        heard.delete()
        return
    state = _place(peer, signed, heard.tiles_url)
    if state is None:
        heard.delete()
    else:
        HeardNote.objects.filter(pk=heard.pk).update(state=state)


def _place(peer: PeerLog, signed: SignedCheckpoint, tiles_url: str) -> str | None:
    """None when the note goes together with the pin, else the state that it is kept in."""
    pin = pins.pin_of(peer)
    later: TributaryError | None = None
    for reader in _readers(peer, tiles_url):
        try:
            if signed.checkpoint.size > pin.size:
                check_tiles(reader, signed.checkpoint)
                advance(pin, signed.checkpoint, proof_between(reader, pin.size, signed.checkpoint.size))
                pins.move(peer, signed)
                return None
            if _stands_in(pin_size=pin.size, pin_root=pin.root, older=signed, reader=reader):
                return None
        except (Inconsistent, WentBackwards):
            pass
        except (LedgerError, TributaryError) as error:
            logger.info("tiles do not tell", extra={"peer": peer.origin, "error": f"{error.code}: {error}"})
            later = error if isinstance(error, TributaryError) and not error.permanent else later
            continue
        if forks.convict(peer, signed, reader):
            return "forked"
    if later is not None:
        raise later
    return "unclear"


def _stands_in(*, pin_size: int, pin_root: bytes, older: SignedCheckpoint, reader: TileReader) -> bool:
    if older.checkpoint.size == pin_size:
        return older.checkpoint.root == pin_root
    try:
        advance_from = Pin(older.checkpoint.origin, older.checkpoint.size, older.checkpoint.root)
        newer = Checkpoint(older.checkpoint.origin, pin_size, pin_root)
        advance(advance_from, newer, proof_between(reader, older.checkpoint.size, pin_size))
    except Inconsistent:
        return False
    return True


def _readers(peer: PeerLog, tiles_url: str) -> Iterator[TileReader]:
    """Who may show the tiles: our own copy, the log itself, whoever showed the note. None of them is trusted."""
    for mirror in peer.mirrors.filter(branch=""):
        yield MirrorFiles(mirror)
    yield HttpTiles(peer.url)
    if tiles_url:
        yield HttpTiles(tiles_url)


def compare_with_peers() -> int:
    """Ask peers which head of other logs they have seen, a few pairs a round. Returns how many notes are left to be judged.

    Notes that nobody could place an hour ago are judged again: tiles may be shown by now.
    """
    _try_again()
    return sum(_compare(log, other) for log, other in _pairs())


def _try_again() -> None:
    for heard in HeardNote.objects.filter(state="unclear", peer__forked_at=None):
        if budget.once(f"heard-again:{heard.digest}", HEARD_SECONDS):
            with transaction.atomic():
                HeardNote.objects.filter(pk=heard.pk).update(state="waiting")
                facts.record(NoteHeard(heard_id=heard.pk))


def _pairs() -> Iterable[tuple[PeerLog, PeerLog]]:
    everyone = list(PeerLog.objects.order_by("pk"))
    pairs = [(log, other) for log in everyone for other in everyone if log != other and log.forked_at is None]
    compared = 0
    for log, other in pairs:
        if compared < COMPARED_PER_ROUND_MAX and budget.once(
            f"compare:{log.pk}:{other.pk}", COMPARED_SECONDS * len(pairs) // COMPARED_PER_ROUND_MAX or 1
        ):
            compared += 1
            yield log, other


def _compare(log: PeerLog, other: PeerLog) -> bool:
    url = f"{other.url.rpartition('/ledger/')[0]}/ledger/peers/{name_of(log.origin)}"
    try:
        answer = http.get(
            f"{url}/checkpoint", headers={}, size_bytes_max=NOTE_BYTES_MAX,
            wait_seconds_max=limits.CONNECT_SECONDS_MAX,
        )  # fmt: skip
        return answer.status == OK and take(answer.body, source=other.origin, tiles_url=url)
    except (LedgerError, TributaryError) as error:
        logger.info("nothing to compare", extra={"peer": other.origin, "log": log.origin, "error": f"{error.code}: {error}"})
        return False
