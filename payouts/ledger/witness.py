"""The judgement of a witness on add-checkpoint (C2SP tlog-witness). Pure: the caller holds the heads and answers HTTP.

The caller reads the stored pin of ``request.origin``, calls ``judge`` and, for an accepted request, stores the new pin only if
the old one is still there, *before* it answers. Two requests at once are so decided by the store: one wins, the other is 409.
"""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from payouts.ledger.checkpoint import SignedCheckpoint, cosign, open_checkpoint, parse_checkpoint
from payouts.ledger.errors import (
    BadBase64,
    BadHash,
    BadSignature,
    Inconsistent,
    LedgerError,
    MalformedNote,
    NoKnownSignature,
    WrongOrigin,
)
from payouts.ledger.fields import hash_from_base64
from payouts.ledger.follower import Pin, advance
from payouts.ledger.merkle import PROOF_HASHES_MAX, SIZE_MAX, Hash
from payouts.ledger.note import NOTE_BYTES_MAX, Signer, VerifierKey, split_note

REQUEST_BYTES_MAX: Final = NOTE_BYTES_MAX + 64 * 46
SIZE_CONTENT_TYPE: Final = "text/x.tlog.size"

OK, BAD_REQUEST, FORBIDDEN, NOT_FOUND, CONFLICT, UNPROCESSABLE = 200, 400, 403, 404, 409, 422

_OLD = re.compile(rb"old (0|[1-9][0-9]{0,18})")


@dataclass(frozen=True, slots=True)
class Request:
    """A parsed request, nothing verified. ``origin`` only says which pin and keys to look up."""

    old_size: int
    proof: tuple[Hash, ...]
    note: bytes
    origin: str


@dataclass(frozen=True, slots=True)
class Answer:
    """The HTTP status, its body, and for 200 the pin to store. ``error`` is the reason of a refusal."""

    status: int
    body: str
    pin: Pin | None = None
    signed: SignedCheckpoint | None = None
    error: LedgerError | None = None

    @property
    def content_type(self) -> str:
        """409 says the size that the witness knows; everything else is plain text."""
        return SIZE_CONTENT_TYPE if self.status == CONFLICT and self.error is None else "text/plain; charset=utf-8"


def parse_request(data: bytes) -> Request:
    """The parts of a request body. Raises MalformedNote or MalformedCheckpoint: status 400."""
    head, blank, note = data.partition(b"\n\n")
    old, *lines = head.split(b"\n")
    found = _OLD.fullmatch(old)
    if len(data) > REQUEST_BYTES_MAX or not blank or found is None or len(lines) > PROOF_HASHES_MAX or int(found[1]) > SIZE_MAX:
        raise MalformedNote("no old size, blank line or checkpoint, or too long")
    try:
        proof = tuple(hash_from_base64(line.decode("ascii")) for line in lines)
    except (UnicodeDecodeError, BadBase64, BadHash) as error:
        raise MalformedNote("a proof line is no hash") from error
    text, _ = split_note(note)
    return Request(int(found[1]), proof, note, parse_checkpoint(text).origin)


def judge(
    request: Request,
    *,
    pin: Pin,
    log_keys: Sequence[VerifierKey],
    signer: Signer,
    timestamp: int,
) -> Answer:
    """The answer to a request about a log with these keys, of which ``pin`` is stored. No keys: the log is unknown, 404."""
    if not log_keys:
        return _refusal(NOT_FOUND, WrongOrigin("unknown log"))
    try:
        signed = open_checkpoint(request.note, origin=request.origin, log_keys=log_keys)
    except (BadSignature, NoKnownSignature) as error:
        return _refusal(FORBIDDEN, error)
    except LedgerError as error:
        return _refusal(BAD_REQUEST, error)
    checkpoint = signed.checkpoint
    if request.old_size > checkpoint.size:
        return _refusal(BAD_REQUEST, Inconsistent("the old size is larger than the checkpoint"))
    if request.old_size != pin.size:
        return Answer(CONFLICT, f"{pin.size}\n", signed=signed)
    try:
        newer = advance(pin, checkpoint, request.proof)
    except LedgerError as error:
        # Same size, other root: C2SP answers 409 with the size; whoever holds both notes holds a fork.
        if checkpoint.size == pin.size and checkpoint.root != pin.root:
            return Answer(CONFLICT, f"{pin.size}\n", signed=signed)
        return _refusal(UNPROCESSABLE, error, signed)
    return Answer(OK, f"{cosign(checkpoint, signer, timestamp)}\n", newer, signed)


def _refusal(status: int, error: LedgerError, signed: SignedCheckpoint | None = None) -> Answer:
    return Answer(status, f"{error}\n", signed=signed, error=error)
