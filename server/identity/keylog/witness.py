"""Rule V13: enough of the witnesses in force approved every entry that needs them.

A witness signs ``{"versionId": ...}``; its approval covers every entry before that one too. Proofs for entries that are
not in this log say nothing about it (a shared witness could otherwise be replayed from another identity's file).
"""

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any

from server.core import canonical
from server.core.proofs import BadProof, BadSignature, did_key_of_method, verify_proof
from server.identity.keylog import limits
from server.identity.keylog.errors import V13Witness
from server.identity.keylog.parameters import Witness


def parse_witness_file(data: bytes) -> list[Mapping[str, Any]]:
    """The items of a did-witness.json. Raises V13Witness when it is not one."""
    if len(data) > limits.WITNESS_FILE_BYTES_MAX:
        raise V13Witness("the witness file is too large")
    try:
        value = canonical.parse(data, depth_max=limits.ENTRY_DEPTH_MAX, fractions=False)
    except ValueError as error:
        raise V13Witness(f"the witness file is not strict JSON: {error}") from error
    if not isinstance(value, list) or not all(_is_item(item) for item in value):
        raise V13Witness("the witness file must be a list of versionId and proof")
    return value


def _is_item(item: Any) -> bool:
    return (
        isinstance(item, dict)
        and item.keys() == {"versionId", "proof"}
        and isinstance(item["versionId"], str)
        and isinstance(item["proof"], list)
        and len(item["proof"]) <= limits.WITNESSES_MAX
        and all(isinstance(proof, dict) for proof in item["proof"])
    )


def check_witnesses(
    version_ids: Sequence[str], required: Sequence[Witness], approvals: Sequence[Mapping[str, Any]], *, now: datetime
) -> None:
    """Raises V13Witness unless each entry has ``required`` approvals (one item per entry) of itself or of a later entry."""
    wanted = {key for witness in required for key in witness.keys}
    if not wanted:
        return
    latest = _latest_approved(version_ids, wanted, approvals, now=now)
    for number, witness in enumerate(required, start=1):
        count = sum(latest.get(key, 0) >= number for key in witness.keys)
        if count < witness.threshold:
            raise V13Witness(f"entry {number} has {count} of {witness.threshold} approvals")


def _latest_approved(
    version_ids: Sequence[str], wanted: set[str], approvals: Sequence[Mapping[str, Any]], *, now: datetime
) -> dict[str, int]:
    """For each witness the number of the last entry it validly approved."""
    numbers = {version_id: number for number, version_id in enumerate(version_ids, start=1)}
    latest: dict[str, int] = {}
    for item in approvals:
        number = numbers.get(item["versionId"])
        if number is None:
            continue
        for proof in item["proof"]:
            key = _approving_key(item["versionId"], proof, wanted, now=now)
            if key is not None:
                latest[key] = max(number, latest.get(key, 0))
    return latest


def _approving_key(version_id: str, proof: Mapping[str, Any], wanted: set[str], *, now: datetime) -> str | None:
    """The witness whose valid proof this is. A proof that does not hold counts for nobody and hurts nobody."""
    try:
        key = did_key_of_method(proof.get("verificationMethod"))
        if key not in wanted:
            return None
        verify_proof({"versionId": version_id}, proof, public=canonical.multikey_ed25519_decode(key), now=now)
    except (BadProof, BadSignature):
        return None
    return key
