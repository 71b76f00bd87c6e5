"""tlog-proof files (C2SP tlog-proof): one entry's place in a log, provable offline by anyone with a policy."""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from payouts.ledger.checkpoint import SignedCheckpoint, open_checkpoint
from payouts.ledger.errors import BadBase64, BadHash, MalformedTlogProof
from payouts.ledger.fields import from_base64, hash_from_base64, to_base64
from payouts.ledger.merkle import PROOF_HASHES_MAX, SIZE_MAX, Hash, check_inclusion
from payouts.ledger.note import NO_MORE, NOTE_BYTES_MAX, Verifier, VerifierKey
from payouts.ledger.policy import Policy

HEADER: Final = "c2sp.org/tlog-proof@v1"
TLOG_PROOF_BYTES_MAX: Final = 2 * NOTE_BYTES_MAX

_INDEX = re.compile(r"index (0|[1-9][0-9]{0,18})")


@dataclass(frozen=True, slots=True)
class TlogProof:
    """A parsed proof; ``extra`` is not authenticated by anything."""

    index: int
    hashes: tuple[Hash, ...]
    checkpoint: bytes
    extra: bytes | None = None


def format_tlog_proof(proof: TlogProof) -> bytes:
    """The bytes of the file."""
    lines = [HEADER]
    if proof.extra is not None:
        lines.append(f"extra {to_base64(proof.extra)}")
    lines += [f"index {proof.index}", *map(to_base64, proof.hashes), "", ""]
    return "\n".join(lines).encode() + proof.checkpoint


def parse_tlog_proof(data: bytes) -> TlogProof:
    """The proof in a file, not verified. Raises MalformedTlogProof."""
    if len(data) > TLOG_PROOF_BYTES_MAX:
        raise MalformedTlogProof(f"{len(data)} bytes")
    head, blank, checkpoint = data.partition(b"\n\n")
    try:
        header, *lines = head.decode("ascii").split("\n")
        extra = from_base64(lines.pop(0).removeprefix("extra ")) if lines and lines[0].startswith("extra ") else None
        index = _INDEX.fullmatch(lines.pop(0)) if lines else None
        hashes = tuple(map(hash_from_base64, lines))
    except (UnicodeDecodeError, BadBase64, BadHash) as error:
        raise MalformedTlogProof(str(error)) from error
    if header != HEADER or not blank or index is None or len(hashes) > PROOF_HASHES_MAX or int(index[1]) > SIZE_MAX:
        raise MalformedTlogProof
    return TlogProof(int(index[1]), hashes, checkpoint, extra)


def check_tlog_proof(
    proof: TlogProof,
    leaf: Hash,
    *,
    origin: str,
    log_keys: Sequence[VerifierKey],
    policy: Policy,
    more: Mapping[int, Verifier] = NO_MORE,
) -> SignedCheckpoint:
    """The cosigned checkpoint under which ``leaf`` stands at the proof's index.

    Raises the errors of open_checkpoint, of Policy.check and of check_inclusion.
    """
    cosigners = tuple(policy.witnesses.values())
    signed = open_checkpoint(proof.checkpoint, origin=origin, log_keys=log_keys, cosigners=cosigners, more=more)
    policy.check(signed)
    check_inclusion(leaf, proof.index, signed.checkpoint.size, proof.hashes, signed.checkpoint.root)
    return signed
