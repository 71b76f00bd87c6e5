"""Strangers who sign what they say: eddsa-jcs-2022 written anew, with the canonical JSON of the independent reader."""

import hashlib
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

import base58
from nacl.signing import SigningKey

from tests.federation.stranger import AS, Person
from tests.independent import fresh_reader

DATA_INTEGRITY = "https://w3id.org/security/data-integrity/v2"


def key(name: str) -> SigningKey:
    return SigningKey(hashlib.sha256(name.encode()).digest())


def multikey(signer: SigningKey) -> str:
    return "z" + base58.b58encode(b"\xed\x01" + bytes(signer.verify_key)).decode()


def method(person: Person, name: str, signer: SigningKey, **changes: Any) -> dict[str, Any]:
    """An entry of her assertionMethod (FEP-521a)."""
    return {
        "id": f"{person.uri}#{name}",
        "type": "Multikey",
        "controller": person.uri,
        "publicKeyMultibase": multikey(signer),
        **changes,
    }


def prove(
    document: Mapping[str, Any], signer: SigningKey, verification_method: str, *, at: datetime | None = None, **changes: Any
) -> dict[str, Any]:
    """``document`` with its proof; ``changes`` replaces members of the proof before it is signed."""
    whole = {"@context": [AS, DATA_INTEGRITY], **{name: value for name, value in document.items() if name != "@context"}}
    proof = {
        "@context": whole["@context"],
        "type": "DataIntegrityProof",
        "cryptosuite": "eddsa-jcs-2022",
        "verificationMethod": verification_method,
        "proofPurpose": "assertionMethod",
        "created": (at or datetime.now(UTC)).strftime("%Y-%m-%dT%H:%M:%SZ"),
        **changes,
    }
    data = fresh_reader.sha(fresh_reader.canon(proof)) + fresh_reader.sha(fresh_reader.canon(whole))
    return {**whole, "proof": {**proof, "proofValue": "z" + base58.b58encode(signer.sign(data).signature).decode()}}
