"""What we know of another's log, and only ever extend: the pin, its compare-and-set, and the evidence when it is broken."""

from collections.abc import Sequence

from django.db import transaction

from payouts import instance_keys
from payouts.ledger.checkpoint import SignedCheckpoint, cosign, open_checkpoint
from payouts.ledger.entries import parse_entry
from payouts.ledger.errors import LedgerError, NotAFork
from payouts.ledger.follower import Pin
from payouts.ledger.fork import prove_fork
from payouts.ledger.note import VerifierKey
from payouts.ledger.rotation import keys_of_genesis
from payouts.ledger.statement import parse_statement
from payouts.ledger.tiles import TileReader, TreeReader
from payouts.ledger.witness import OK, Answer, Request, judge
from payouts.models import PeerLog
from server.core import clock
from server.core.errors import Conflict, WrongState


def log_keys(peer: PeerLog) -> Sequence[VerifierKey]:
    """The keys that may sign this log."""
    return [keys_of_genesis(parse_entry(bytes(peer.genesis))).ledger]


def pin_of(peer: PeerLog) -> Pin:
    """The newest checkpoint that was accepted."""
    return Pin(peer.origin, peer.size, bytes.fromhex(peer.root))


def open_note(peer: PeerLog, note: bytes) -> SignedCheckpoint:
    """A checkpoint of this log, signed by its key. Raises LedgerError."""
    return open_checkpoint(note, origin=peer.origin, log_keys=log_keys(peer))


def note_of_statement(peer: PeerLog, data: bytes) -> SignedCheckpoint:
    """The checkpoint of the only debtor of a statement, signed by the key that we pinned."""
    return open_note(peer, parse_statement(data).debtors[0].checkpoint)


@transaction.atomic
def move(peer: PeerLog, signed: SignedCheckpoint) -> None:
    """Store a checkpoint that was proven to extend the pin of ``peer`` as it was read, and cosign it.

    Compare-and-set: raises Conflict when another was stored since, WrongState for a log that forked; then nothing has changed.
    """
    if not _store(peer, signed, _cosignature(signed)):
        raise Conflict("Another checkpoint of this log was stored just now.")


@transaction.atomic
def witness(request: Request) -> Answer:
    """Answer add-checkpoint: judge, and store before the answer is given. The row lock makes check and store one step.

    A second root at one size convicts the log; both notes are kept and nothing of it is cosigned any more.
    """
    peer = PeerLog.objects.select_for_update().filter(origin=request.origin).first()
    answer = judge(
        request,
        pin=pin_of(peer) if peer else Pin(request.origin, 0, b""),
        log_keys=log_keys(peer) if peer else (),
        signer=instance_keys.signer("witness"),
        timestamp=int(clock.now().timestamp()),
    )
    if peer is None or answer.signed is None:
        return answer
    checkpoint = answer.signed.checkpoint
    if peer.forked_at:
        raise WrongState("This log has signed two histories. Nothing of it is cosigned.")
    if checkpoint.size == peer.size and peer.size and checkpoint.root != bytes.fromhex(peer.root):
        keep_both(peer, answer.signed, None)
    if answer.status == OK and not _store(peer, answer.signed, answer.body):
        raise Conflict("Another checkpoint of this log was stored just now.")
    return answer


@transaction.atomic
def keep_both(peer: PeerLog, signed: SignedCheckpoint, reader: TileReader | None) -> None:
    """Keep two notes that do not go together; when they cannot both be true, the proof that convicts the log too."""
    pinned = open_note(peer, bytes(peer.checkpoint))
    size = max(pinned.checkpoint.size, signed.checkpoint.size)
    changes: dict[str, object] = {"kept_note_a": pinned.data, "kept_note_b": signed.data}
    try:
        proof = prove_fork(pinned, signed, TreeReader(reader, size) if reader is not None else None)
    except NotAFork:
        # An older head of the same history, or tiles that do not show it: suspicious, no proof.
        changes["error"] = "went_backwards"
    except LedgerError as error:
        changes["error"] = error.code
    else:
        changes |= {"fork_proof": proof, "forked_at": clock.now(), "error": "forked"}
    PeerLog.objects.filter(pk=peer.pk).update(**changes)


def _cosignature(signed: SignedCheckpoint) -> str:
    return f"{cosign(signed.checkpoint, instance_keys.signer('witness'), int(clock.now().timestamp()))}\n"


def _store(peer: PeerLog, signed: SignedCheckpoint, cosignature: str) -> bool:
    checkpoint = signed.checkpoint
    still = PeerLog.objects.filter(pk=peer.pk, size=peer.size, root=peer.root, forked_at=None)
    return bool(
        still.update(
            size=checkpoint.size, root=checkpoint.root.hex(), checkpoint=signed.data, cosignature=cosignature,
            seen_at=clock.now(), error="",
        )
    )  # fmt: skip
