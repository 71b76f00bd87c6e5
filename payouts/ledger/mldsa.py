"""ML-DSA-44 cosignatures (C2SP tlog-cosignature, note type 0x06): what they sign. The primitive is the caller's.

libsodium has no ML-DSA, so this core only knows the message. ``verifier`` turns a primitive into what ``open_note`` takes as
``more``; without it such signatures are ignored, never believed.
"""

from collections.abc import Callable
from typing import Final

from payouts.ledger.checkpoint import Checkpoint, parse_checkpoint
from payouts.ledger.errors import BadSignature
from payouts.ledger.note import Verifier, VerifierKey, split_timestamp

SIGNATURE_BYTES: Final = 2420
NAME_BYTES_MAX: Final = 255
_LABEL: Final = b"subtree/v1\n\0"

# (public key, message, signature) -> nothing. Raises BadSignature.
Primitive = Callable[[bytes, bytes, bytes], None]


def cosigned_message(cosigner: str, checkpoint: Checkpoint, timestamp: int) -> bytes:
    """What is signed: the ``cosigned_message`` of a whole tree. Extension lines are no part of it. Raises BadSignature."""
    names = cosigner.encode(), checkpoint.origin.encode()
    if any(not 1 <= len(name) <= NAME_BYTES_MAX for name in names):
        raise BadSignature("a name of no byte, or of more than 255")
    name, origin = (bytes([len(name)]) + name for name in names)
    start = (0).to_bytes(8)
    return _LABEL + name + timestamp.to_bytes(8) + origin + start + checkpoint.size.to_bytes(8) + checkpoint.root


def verifier(primitive: Primitive) -> Verifier:
    """The verifier of notes over a primitive. A text that is no checkpoint raises MalformedCheckpoint."""

    def verify(key: VerifierKey, text: str, signed: bytes) -> int:
        timestamp, signature = split_timestamp(signed)
        if len(signature) != SIGNATURE_BYTES:
            raise BadSignature("wrong length")
        primitive(key.public, cosigned_message(key.name, parse_checkpoint(text), timestamp), signature)
        return timestamp

    return verify
