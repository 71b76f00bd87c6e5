"""What we know of another's log, and only ever extend: the pin, its compare-and-set, and the evidence when it is broken."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import lru_cache
from hashlib import sha256
from typing import Any
from unicodedata import is_normalized

from django.conf import settings
from django.db import transaction
from django.db.models import QuerySet

from payouts import instance_keys
from payouts.facts import NoteHeard
from payouts.group_commit import GroupCommit
from payouts.ledger.checkpoint import CHECKPOINT_BYTES_MAX, SignedCheckpoint, cosign, open_checkpoint, parse_checkpoint
from payouts.ledger.entries import parse_entry
from payouts.ledger.errors import LedgerError, MalformedCheckpoint, NotAFork
from payouts.ledger.follower import Pin
from payouts.ledger.fork import prove_fork
from payouts.ledger.keyhistory import KeyHistory, history_of
from payouts.ledger.note import VerifierKey, add_signatures, split_note
from payouts.ledger.rotation import keys_of_genesis
from payouts.ledger.statement import parse_statement
from payouts.ledger.tiles import TileReader, TreeReader
from payouts.ledger.witness import CONFLICT, FORBIDDEN, OK, UNPROCESSABLE, Answer, Request, judge
from payouts.models import HeardNote, PeerLog
from payouts.refusals import LogForked
from server.core import budget, clock, facts
from server.core.errors import Conflict, TributaryError

# Three lines, and a few that a log may add.
TEXT_BYTES_MAX = 2048
# Notes of one log that are kept at a time; who signs more than this has said enough.
HEARD_PER_LOG_MAX = 64
HEARD_AGAIN_SECONDS = 3600
HISTORIES_KEPT = 256

_commits = GroupCommit()


def history(peer: PeerLog) -> KeyHistory:
    """Which keys of this log were right at which size, by its genesis and its known rotations. Raises BadRotation."""
    return _history(peer.origin, bytes(peer.genesis), peer.rotations)


@lru_cache(maxsize=HISTORIES_KEPT)
def _history(origin: str, genesis: bytes, rotations: str) -> KeyHistory:
    entries = [parse_entry(line.encode(), origin=origin) for line in rotations.splitlines()]
    return history_of(keys_of_genesis(parse_entry(genesis)), entries)


def log_keys(peer: PeerLog) -> Sequence[VerifierKey]:
    """The keys that signed this log at any size; ``log_key`` says which was right where."""
    known = history(peer)
    return [known.first, *(key for _, key in known.later)]


def log_key(peer: PeerLog, note: bytes) -> VerifierKey:
    """The only key that may have signed this note, by the size that it says. Raises LedgerError."""
    return history(peer).at(parse_checkpoint(split_note(note)[0]).size)


def pin_of(peer: PeerLog) -> Pin:
    """The newest checkpoint that was accepted."""
    return Pin(peer.origin, peer.size, bytes.fromhex(peer.root))


def open_note(peer: PeerLog, note: bytes) -> SignedCheckpoint:
    """A checkpoint of this log, signed by the key that is right at its size. Raises LedgerError.

    What a log signs must be able to stand in a proof: a note whose text could not be quoted there would convict nobody.
    """
    return _quotable(open_checkpoint(note, origin=peer.origin, log_keys=[log_key(peer, note)]))


def plain(peer: PeerLog, signed: SignedCheckpoint) -> SignedCheckpoint:
    """The checkpoint with the signatures of the log's own keys alone: whoever adds lines makes no proof larger or impossible."""
    text = signed.note.text.encode()
    lines = signed.data[len(text) + 1 :].decode().splitlines()
    # The key of a log has the log's name; of two that have it, the one that is right here verifies.
    own = [line for line in lines if line.split(" ")[1] == peer.origin and _is_signed(peer, text, line)]
    return open_note(peer, add_signatures(text + b"\n", own))


def _is_signed(peer: PeerLog, text: bytes, line: str) -> bool:
    try:
        open_note(peer, add_signatures(text + b"\n", [line]))
    except LedgerError:
        return False
    return True


def _quotable(signed: SignedCheckpoint) -> SignedCheckpoint:
    text = signed.note.text
    if len(text.encode()) > TEXT_BYTES_MAX or not is_normalized("NFC", text):
        raise MalformedCheckpoint("too long, or not in Unicode normalisation form C")
    return signed


def note_of_statement(peer: PeerLog, data: bytes) -> SignedCheckpoint:
    """The checkpoint of the only debtor of a statement, signed by the key that we pinned."""
    return open_note(peer, parse_statement(data).debtors[0].checkpoint)


@transaction.atomic
def move(peer: PeerLog, signed: SignedCheckpoint) -> None:
    """Store a checkpoint that was proven to extend the pin of ``peer`` as it was read, and its rotations up to there; cosign it.

    Compare-and-set: raises Conflict when another was stored since, WrongState for a log that forked; then nothing has changed.
    """
    if not _store(peer, signed, _cosignature(signed)):
        raise Conflict("Another checkpoint of this log was stored just now.")


def witness(request: Request) -> tuple[Answer, bool]:
    """Answer add-checkpoint: judge, and store before the answer is given; and whether the pin moved.

    What a request is judged against is held without a lock, and the new pin is stored only if it is still there: check and store
    are one step. Of two at once one wins, and the other is judged again by what the first one stored.
    """
    kept = _kept.get(_kept_name(request.origin))
    if kept is not None:
        answer = _judge(request, kept)
        # What this process remembers may be old. A pin that moves shows that it was not; all else the row decides.
        if _is_growth(answer, kept.pin) and _advance(kept, answer):
            return answer, True
    return _witness_by_row(request)


def _witness_by_row(request: Request) -> tuple[Answer, bool]:
    """Judge by what is stored, and keep as evidence what the log should not have signed.

    A second root at one size convicts the log; both notes are kept and nothing of it is cosigned any more: its key is not
    trusted from then on, which C2SP answers with 403. Other notes that its key signed and that we cannot place are judged later
    (``gossip``), by looking at the tiles.
    """
    peer = PeerLog.objects.filter(origin=request.origin).first()
    known = _Known(peer, pin_of(peer)) if peer is not None else None
    answer = _judge(request, known)
    if peer is None or known is None or answer.signed is None:
        return answer, False
    _quotable(answer.signed)
    if peer.forked_at:
        hear(peer, request.note, source="add-checkpoint")
        return Answer(FORBIDDEN, f"{LogForked.code}: {LogForked()}\n", signed=answer.signed, error=LogForked()), False
    checkpoint = answer.signed.checkpoint
    has_other_root = checkpoint.size == peer.size and checkpoint.root != known.pin.root
    if has_other_root and peer.size:
        keep_both(peer, answer.signed, None)
    elif answer.status == UNPROCESSABLE or (answer.status == CONFLICT and checkpoint.size < peer.size):
        hear(peer, request.note, source="add-checkpoint")
    if not _is_growth(answer, known.pin):
        return answer, False
    return (answer, True) if _advance(known, answer) else _witness_by_row(request)


@dataclass(frozen=True, slots=True)
class _Known:
    """What a request is judged against: a log as it was read (its keys, not its pin), and the pin."""

    peer: PeerLog
    pin: Pin


# What this process stored last of each followed log, so that one that goes on growing costs one statement a head.
_kept: dict[tuple[str, str], _Known] = {}


def _kept_name(origin: str) -> tuple[str, str]:
    return str(settings.LEDGER_DIR), origin


def _judge(request: Request, known: _Known | None) -> Answer:
    return judge(
        request,
        pin=known.pin if known else Pin(request.origin, 0, b""),
        log_keys=[log_key(known.peer, request.note)] if known else (),
        signer=instance_keys.witness(),
        timestamp=int(clock.now().timestamp()),
    )


def _is_growth(answer: Answer, pin: Pin) -> bool:
    """Is there something to store? The same head again is stored already."""
    return answer.status == OK and answer.pin is not None and answer.pin.size > pin.size


def _advance(known: _Known, answer: Answer) -> bool:
    """Store the new pin, durably, if the one it was judged against is still there, with the same keys, and the log trusted."""
    assert answer.signed is not None
    assert answer.pin is not None
    changes = _pinned(known.peer, _quotable(answer.signed), answer.body)
    still = _still(known.pin, pk=known.peer.pk, rotations=known.peer.rotations)
    if not _commits.run(lambda: bool(still.update(**changes)), order=known.peer.pk):
        return False
    _kept[_kept_name(known.pin.origin)] = replace(known, pin=answer.pin)
    return True


@transaction.atomic
def hear(peer: PeerLog, note: bytes, *, source: str, tiles_url: str = "") -> HeardNote | None:
    """Keep a note that the log's key signed until it was judged (records NoteHeard); None when it is known or there are too many.

    The caller has verified the signature, so only the log itself can make us keep anything.
    """
    # The signatures under it change, what it says does not.
    digest = sha256(split_note(note)[0].encode()).hexdigest()
    if not budget.once(f"heard:{digest}", HEARD_AGAIN_SECONDS) or peer.heard.count() >= HEARD_PER_LOG_MAX:
        return None
    heard, made = HeardNote.objects.get_or_create(
        peer=peer, digest=digest, defaults={"note": note, "source": source[:300], "tiles_url": tiles_url}
    )
    if made:
        facts.record(NoteHeard(heard_id=heard.pk))
    return heard if made else None


def keep_both(peer: PeerLog, signed: SignedCheckpoint, reader: TileReader | None) -> None:
    """Keep two notes that do not go together; when they cannot both be true, the proof that convicts the log too.

    A log is convicted once: the first proof stays, however many notes come after it.
    """
    pinned, signed = plain(peer, open_note(peer, bytes(peer.checkpoint))), plain(peer, signed)
    size = max(pinned.checkpoint.size, signed.checkpoint.size)
    changes: dict[str, object] = {"kept_note_a": pinned.data, "kept_note_b": signed.data}
    try:
        proof = prove_fork(pinned, signed, TreeReader(reader, size) if reader is not None else None)
    except NotAFork:
        # An older head of the same history, or tiles that do not show it: suspicious, no proof.
        changes["error"] = "went_backwards"
    except (LedgerError, TributaryError) as error:
        # The notes are kept even when nobody shows the tiles now.
        changes["error"] = error.code
    else:
        changes |= {"fork_proof": proof, "forked_at": clock.now(), "error": "forked"}
    PeerLog.objects.filter(pk=peer.pk, forked_at=None).update(**changes)


def _cosignature(signed: SignedCheckpoint) -> str:
    return f"{cosign(signed.checkpoint, instance_keys.signer('witness'), int(clock.now().timestamp()))}\n"


def _store(peer: PeerLog, signed: SignedCheckpoint, cosignature: str) -> bool:
    changes = _pinned(peer, signed, cosignature) | {"rotations": peer.rotations, "read_size": peer.read_size}
    return bool(_still(pin_of(peer), pk=peer.pk).update(**changes))


def _still(pin: Pin, **same: object) -> QuerySet[PeerLog]:
    """The row, if its pin is still the one that was read and the log did not fork since."""
    return PeerLog.objects.filter(size=pin.size, root=pin.root.hex(), forked_at=None, **same)


def _pinned(peer: PeerLog, signed: SignedCheckpoint, cosignature: str) -> dict[str, Any]:
    checkpoint = signed.checkpoint
    kept = signed if len(signed.data) <= CHECKPOINT_BYTES_MAX else plain(peer, signed)
    return {
        "size": checkpoint.size, "root": checkpoint.root.hex(), "checkpoint": kept.data, "cosignature": cosignature,
        "seen_at": clock.now(), "error": "",
    }  # fmt: skip
