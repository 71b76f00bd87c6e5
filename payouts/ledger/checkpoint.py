"""Checkpoints (C2SP tlog-checkpoint): the signed size and root of a log."""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from payouts.ledger import ed25519
from payouts.ledger.errors import BadBase64, BadHash, BadKey, MalformedCheckpoint, NoKnownSignature, WrongOrigin
from payouts.ledger.fields import hash_from_base64, to_base64
from payouts.ledger.merkle import SIZE_MAX, Hash
from payouts.ledger.note import (
    COSIGNATURE,
    NO_MORE,
    Note,
    Signer,
    Verifier,
    VerifierKey,
    cosigned_text,
    open_note,
    sign_note,
    signature_line,
)

# FORMATS: as base64 in the Ledger-Checkpoint header, a checkpoint with its signatures stays below 8 KiB.
CHECKPOINT_BYTES_MAX: Final = 6144

_SIZE = re.compile(r"0|[1-9][0-9]{0,18}")


@dataclass(frozen=True, slots=True)
class Checkpoint:
    """What a log says of itself. ``extensions`` are opaque lines that others' logs may have; ours have none."""

    origin: str
    size: int
    root: Hash
    extensions: tuple[str, ...] = ()

    def text(self) -> str:
        """The text that is signed."""
        return "".join(f"{line}\n" for line in (self.origin, self.size, to_base64(self.root), *self.extensions))


@dataclass(frozen=True, slots=True)
class SignedCheckpoint:
    """A checkpoint whose log signature was verified, the verified note and its bytes."""

    checkpoint: Checkpoint
    note: Note
    data: bytes


def parse_checkpoint(text: str) -> Checkpoint:
    """The checkpoint that a note's text says. Raises MalformedCheckpoint."""
    lines = text.split("\n")
    if len(lines) < 4 or lines.pop() != "" or "" in lines:  # noqa: PLR2004 - three lines and the end
        raise MalformedCheckpoint("fewer than three lines, or an empty one")
    origin, size, root, *extensions = lines
    if _SIZE.fullmatch(size) is None or int(size) > SIZE_MAX:
        raise MalformedCheckpoint(f"size {size[:40]!r}")
    try:
        return Checkpoint(origin, int(size), hash_from_base64(root), tuple(extensions))
    except (BadBase64, BadHash) as error:
        raise MalformedCheckpoint(f"root {root[:80]!r}") from error


def sign_checkpoint(checkpoint: Checkpoint, *signers: Signer) -> bytes:
    """The note of a checkpoint, signed by the log's key (and, while it rotates, by the next one)."""
    return sign_note(checkpoint.text(), *signers)


def open_checkpoint(
    data: bytes,
    *,
    origin: str,
    log_keys: Sequence[VerifierKey],
    cosigners: Sequence[VerifierKey] = (),
    only_known: bool = False,
    more: Mapping[int, Verifier] = NO_MORE,
) -> SignedCheckpoint:
    """The checkpoint of the log ``origin``, signed by one of its keys; cosignatures by ``cosigners`` stand in the note.

    ``more``: as in ``open_note``.

    Raises the errors of open_note and parse_checkpoint, WrongOrigin, NoKnownSignature when only cosigners signed.
    """
    note = open_note(data, [*log_keys, *cosigners], only_known=only_known, more=more)
    if not any(note.signed_by(key) for key in log_keys):
        raise NoKnownSignature("the log itself did not sign")
    checkpoint = parse_checkpoint(note.text)
    if checkpoint.origin != origin:
        raise WrongOrigin(f"{checkpoint.origin[:200]}, not {origin}")
    return SignedCheckpoint(checkpoint, note, data)


def cosign(checkpoint: Checkpoint, signer: Signer, timestamp: int) -> str:
    """The cosignature/v1 line of a witness, mirror or auditor over a checkpoint whose consistency it has verified.

    ``timestamp``: seconds since 1970. What the key of the signer says beyond that is fixed once for each key.
    """
    key = signer.verifier
    if signer.algorithm != COSIGNATURE:
        raise BadKey("a log key does not cosign")
    signature = ed25519.sign(signer.seed, cosigned_text(checkpoint.text(), timestamp))
    return signature_line(key, timestamp.to_bytes(8) + signature)
