"""The document of a dispute: what one instance says another's log did wrong, for a reader who knows both keys. Pure."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from payouts.ledger import canonical
from payouts.ledger.checkpoint import SignedCheckpoint, open_checkpoint
from payouts.ledger.errors import BadMember, BadSignature
from payouts.ledger.fields import check_members, check_version, from_base64, hashes_from_base64, is_integer
from payouts.ledger.merkle import PROOF_HASHES_MAX, check_inclusion, leaf_hash
from payouts.ledger.note import VerifierKey
from server.core import proofs

# An entry may have 64 KiB, which is too much and so the reason of the dispute.
DISPUTE_BYTES_MAX = 131_072
TYPE = "audit.dispute"
MEMBERS = frozenset({
    "v", "type", "by", "origin", "size", "index", "rule", "text", "created", "checkpoint", "entry", "inclusion", "finding",
    "proof",
})  # fmt: skip


@dataclass(frozen=True, slots=True)
class Finding:
    """A dispute whose signature and evidence were verified; whether the rule was broken is for the reader to re-run."""

    by: str
    origin: str
    size: int
    index: int
    rule: str
    entry: bytes
    finding: Mapping[str, Any]
    signed: SignedCheckpoint


def check_dispute(data: bytes, *, log_keys: Sequence[VerifierKey], instance: bytes) -> Finding:
    """The claim in a dispute's document, signed by the accuser's ``#instance-1`` key; its entry stands in the accused log.

    Raises BadMember, BadSignature, the errors of canonical.decode, of open_checkpoint and of check_inclusion.
    """
    document = canonical.decode(data, bytes_max=DISPUTE_BYTES_MAX)
    check_members(document, MEMBERS, "dispute")
    check_version(document)
    numbers = is_integer()(document["size"]) and is_integer()(document["index"])
    texts = all(
        type(document[name]) is str for name in ("type", "by", "origin", "rule", "text", "created", "checkpoint", "entry")
    )
    if not (numbers and texts) or document["type"] != TYPE or type(document["finding"]) is not dict:
        raise BadMember("dispute")
    _check_proof(document, instance)
    signed = open_checkpoint(document["checkpoint"].encode(), origin=document["origin"], log_keys=log_keys)
    if signed.checkpoint.size != document["size"]:
        raise BadMember("the checkpoint is of another size")
    entry = from_base64(document["entry"])
    inclusion = hashes_from_base64(document["inclusion"], count_max=PROOF_HASHES_MAX)
    check_inclusion(leaf_hash(entry), document["index"], document["size"], inclusion, signed.checkpoint.root)
    told = {name: document[name] for name in ("by", "origin", "size", "index", "rule", "finding")}
    return Finding(**told, entry=entry, signed=signed)


def _check_proof(document: Mapping[str, Any], instance: bytes) -> None:
    text = canonical.encode({name: value for name, value in document.items() if name != "proof"})
    try:
        proofs.verify_canonical(
            text, document["proof"], public=instance, now=datetime.min.replace(tzinfo=UTC), purpose="assertionMethod"
        )
    except (proofs.BadProof, proofs.BadSignature) as error:
        raise BadSignature(f"dispute: {error}") from error
