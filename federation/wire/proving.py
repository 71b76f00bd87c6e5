"""Proofs in what strangers send (FEP-8b32): which of them we judge, and the judgement. Pure.

As the FEP asks, a proof of another kind, or by a key that is not its owner's own, is passed over: then the request's
signature must do. One that says it is the owner's must hold, whatever else speaks for the document.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta

from federation.wire.json import JsonObject
from federation.wire.verified import SEAL, Verified
from server.core import canonical, limits, proofs
from server.core.errors import TributaryError


class WrongProof(TributaryError):
    """The proof of this document does not hold. ``reason`` is a stable word for logs and metrics."""

    code, status, permanent = "wrong_proof", 401, True

    def __init__(self, reason: str, message: str = "") -> None:
        super().__init__(message or reason.replace("_", " "))
        self.reason = reason


@dataclass(frozen=True)
class ProofClaim:
    """A document that says it was signed by the key ``method`` of its owner; nothing of it is believed yet."""

    method: str
    document: JsonObject
    proof: JsonObject


@dataclass(frozen=True)
class Proved:
    """A document, the key that signed it, and when it says that it was signed."""

    document: JsonObject
    method: str
    multikey: str
    created: datetime | None


def read(document: JsonObject, *, owner: str) -> ProofClaim | None:
    """The proof that ``owner`` is said to have made; None where there is none that is hers to answer for."""
    proof = document.get("proof")
    if isinstance(proof, list) and len(proof) == 1:
        proof = proof[0]
    if not isinstance(proof, dict) or proof.get("cryptosuite") != proofs.CRYPTOSUITE or "expires" in proof:
        return None
    method = proof.get("verificationMethod")
    if not isinstance(method, str) or method.partition("#")[0] != owner or len(method) > limits.URL_CHARACTERS_MAX:
        return None
    # A Linked Data signature is added after the proof and is not part of what it covers.
    unsigned = {name: value for name, value in document.items() if name != "signature"}
    return ProofClaim(method, unsigned, proof)


def verify(claim: ProofClaim, keys: Mapping[str, str], *, now: datetime) -> Verified[Proved]:
    """The document, if it was signed by the key that ``keys`` (ids to Multikeys of the owner's actor document) lists.

    Raises WrongProof: ``unknown_proof_key``, ``wrong_proof``, ``malformed_proof``, ``proof_in_the_future``.
    """
    multikey = keys.get(claim.method)
    if multikey is None:
        raise WrongProof("unknown_proof_key", "the actor lists no such key")
    try:
        public = canonical.multikey_ed25519_decode(multikey)
        checked = proofs.verify_proof(claim.document, claim.proof, public=public, now=now)
    except proofs.BadSignature as error:
        raise WrongProof("wrong_proof") from error
    except (proofs.BadProof, ValueError) as error:
        raise WrongProof("malformed_proof", str(error)) from error
    if checked.created is not None and checked.created > now + timedelta(seconds=limits.SIGNATURE_FUTURE_SECONDS_MAX):
        raise WrongProof("proof_in_the_future")
    return Verified(Proved(claim.document, claim.method, multikey, checked.created), seal=SEAL)
