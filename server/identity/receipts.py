"""Receipt: a replica says that it has seen a version of an identity log, and when. Pure.

The format stands in docs/reference/host-grant.md. First seen is the time of the proof.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from nacl.signing import SigningKey

from server.core import canonical, proofs
from server.core.errors import TributaryError
from server.identity.keylog.entries import version_number
from server.identity.keylog.errors import KeyLogError
from server.identity.keylog.limits import CLOCK_SKEW_SECONDS

_MEMBERS = {"type", "v", "scid", "versionId", "replica", "proof"}


class ReceiptRefused(TributaryError):
    """The receipt is not accepted."""

    code, status, permanent = "receipt", 422, True


class BadReceiptForm(ReceiptRefused):
    """The receipt is not of the form of version 1."""

    code = "receipt_form"


class WrongReplica(ReceiptRefused):
    """The receipt is another replica's, or not signed by its key."""

    code = "receipt_replica"


class FromTheFuture(ReceiptRefused):
    """The receipt says it was made in the future."""

    code = "receipt_time"


@dataclass(frozen=True)
class Receipt:
    """A checked receipt: ``replica`` had seen ``version_id`` of ``scid`` at ``first_seen``."""

    scid: str
    version_id: str
    replica: str
    first_seen: datetime


def make_receipt(
    *, scid: str, version_id: str, replica: str, verification_method: str, key: SigningKey, now: datetime
) -> dict[str, Any]:
    """A receipt of the instance at the origin ``replica``; ``key`` is its ``#instance-1``, named by ``verification_method``."""
    receipt = {"type": "Receipt", "v": 1, "scid": scid, "versionId": version_id, "replica": replica}
    proof = proofs.create_proof(receipt, key=key, verification_method=verification_method, created=now)
    return {**receipt, "proof": proof}


def verify_receipt(
    receipt: Mapping[str, Any], *, replica: str, verification_method: str, public: bytes, now: datetime
) -> Receipt:
    """The receipt, if the instance at the origin ``replica`` signed it with the key ``public``. Raises ReceiptRefused."""
    _check_form(receipt)
    proof = receipt["proof"]
    if receipt["replica"] != replica or proof["verificationMethod"] != verification_method:
        raise WrongReplica
    try:
        proofs.verify_proof(receipt, proof, public=public, now=now)
    except (proofs.BadProof, proofs.BadSignature) as error:
        raise WrongReplica(str(error)) from error
    first_seen = proofs.plain_created(proof)
    if first_seen > now + timedelta(seconds=CLOCK_SKEW_SECONDS):
        raise FromTheFuture
    return Receipt(receipt["scid"], receipt["versionId"], receipt["replica"], first_seen)


def read_unproven(receipt: Mapping[str, Any]) -> Receipt:
    """What a receipt of the right form says; whoever does not have the replica's key cannot check more. Raises BadReceiptForm."""
    _check_form(receipt)
    return Receipt(receipt["scid"], receipt["versionId"], receipt["replica"], first_seen_of(receipt))


def first_seen_of(receipt: Mapping[str, Any]) -> datetime:
    """The time that a receipt of the right form says."""
    return proofs.plain_created(receipt["proof"])


def _check_form(receipt: Mapping[str, Any]) -> None:
    if receipt.keys() != _MEMBERS:
        raise BadReceiptForm("a receipt has exactly the members of version 1")
    if not all(isinstance(receipt[name], str) for name in _MEMBERS - {"v", "proof"}):
        raise BadReceiptForm("a member is of the wrong kind")
    if receipt["type"] != "Receipt" or isinstance(receipt["v"], bool) or receipt["v"] != 1:
        raise BadReceiptForm("this is not a Receipt of version 1")
    try:
        canonical.multihash_sha256_decode(receipt["scid"])
        version_number(receipt["versionId"])
        proofs.plain_created(receipt["proof"])
    except (ValueError, KeyLogError, proofs.BadProof) as error:
        raise BadReceiptForm(str(error)) from error
