"""Data Integrity proofs of the cryptosuite eddsa-jcs-2022 (W3C vc-di-eddsa, FEP-8b32). Pure.

One judgement everywhere: before the primitive runs, the public key, R and S must be written the one canonical way
and neither point may be of small order, so that two verifiers never differ about a signature.
"""

import hashlib
import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from nacl.exceptions import BadSignatureError
from nacl.signing import SigningKey, VerifyKey

from server.core import canonical
from server.core.errors import TributaryError

CRYPTOSUITE = "eddsa-jcs-2022"
SIGNATURE_BYTES = 64
KEY_BYTES = 32

# RFC 8032 5.1: the field's prime and the order of the base point.
_P = 2**255 - 19
_L = 2**252 + 27742317777372353535851937790883648493
_SIGN = 1 << 255
# The y coordinates of the eight points whose order divides 8.
_SMALL_ORDER_Y = frozenset(
    {
        0,
        1,
        _P - 1,
        int.from_bytes(bytes.fromhex("26e8958fc2b227b045c3f489f2ef98f0d5dfac05d3c63339b13802886d53fc05"), "little"),
        int.from_bytes(bytes.fromhex("c7176a703d4dd84fba3c0b760d10670f2a2053fa2c39ccc64ec7fd7792ac037a"), "little"),
    }
)
# What a proof may contain. A chained or bound proof (previousProof, domain, challenge) means more than we check: refused.
_REQUIRED = {"type", "cryptosuite", "verificationMethod", "proofPurpose", "proofValue"}
_OPTIONAL = {"id", "created", "expires", "@context"}
_DATE_TIME = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d{1,9})?(Z|[+-]\d\d:\d\d)", re.ASCII)


class BadSignature(TributaryError):
    """The signature is not valid."""

    code, status, permanent = "bad_signature", 400, True


class BadProof(TributaryError):
    """The proof is not one this server accepts."""

    code, status, permanent = "bad_proof", 400, True


@dataclass(frozen=True)
class VerifiedProof:
    """What a checked proof says about itself; ``created`` is None when it does not say."""

    verification_method: str
    purpose: str
    created: datetime | None


def verify_ed25519(*, public: bytes, message: bytes, signature: bytes) -> None:
    """Raises BadSignature unless ``signature`` is a valid and strictly written Ed25519 signature of ``message``."""
    if len(public) != KEY_BYTES or len(signature) != SIGNATURE_BYTES:
        raise BadSignature("a key has 32 bytes and a signature 64")
    _check_point(public, "key")
    _check_point(signature[:KEY_BYTES], "R")
    if int.from_bytes(signature[KEY_BYTES:], "little") >= _L:
        raise BadSignature("S is not canonical")
    try:
        VerifyKey(public).verify(message, signature)
    except BadSignatureError as error:
        raise BadSignature from error


def _check_point(point: bytes, name: str) -> None:
    number = int.from_bytes(point, "little")
    y = number & (_SIGN - 1)
    if y >= _P:
        raise BadSignature(f"{name} is not canonical")
    # Both encodings with x = 0 (y = 1, y = -1) are of small order, so a wrong sign bit on x = 0 is refused here too.
    if y in _SMALL_ORDER_Y:
        raise BadSignature(f"{name} is of small order")


def create_proof(
    document: Mapping[str, Any],
    *,
    key: SigningKey,
    verification_method: str,
    created: datetime,
    purpose: str = "assertionMethod",
) -> dict[str, Any]:
    """The eddsa-jcs-2022 proof of ``document`` (without its ``proof``), ready to be put beside its other members.

    Source: vc-di-eddsa 3.3.1. A document with ``@context`` hands it to the proof.
    """
    config: dict[str, Any] = {
        "type": "DataIntegrityProof",
        "cryptosuite": CRYPTOSUITE,
        "verificationMethod": verification_method,
        "proofPurpose": purpose,
        "created": canonical.time_text(created),
    }
    if "@context" in document:
        config["@context"] = document["@context"]
    unsecured = {name: value for name, value in document.items() if name != "proof"}
    signature = key.sign(_hash_data(canonical.jcs(unsecured), config)).signature
    return {**config, "proofValue": canonical.multibase(signature)}


def verify_proof(
    document: Mapping[str, Any],
    proof: Mapping[str, Any],
    *,
    public: bytes,
    now: datetime,
    purpose: str = "assertionMethod",
    bound: Mapping[str, str] | None = None,
) -> VerifiedProof:
    """Check one proof of ``document`` (whose own ``proof`` member is left out) against the Ed25519 key ``public``.

    Whose key it is, and whether the verification method names it, the caller has judged before. Raises BadProof for a
    proof of another form, BadSignature for a signature that does not hold. ``bound``: further members that the proof must have,
    with these values (``challenge``, ``domain``); without them a bound proof is refused.
    """
    unsecured = {name: value for name, value in document.items() if name != "proof"}
    if "@context" in proof:
        _check_context(unsecured.get("@context"), proof["@context"])
        unsecured["@context"] = proof["@context"]
    try:
        data = canonical.jcs(unsecured)
    except ValueError as error:
        raise BadProof(f"the document cannot be canonicalised: {error}") from error
    return verify_canonical(data, proof, public=public, now=now, purpose=purpose, bound=bound)


def verify_canonical(
    data: bytes,
    proof: Mapping[str, Any],
    *,
    public: bytes,
    now: datetime,
    purpose: str,
    bound: Mapping[str, str] | None = None,
) -> VerifiedProof:
    """As ``verify_proof``, for a document whose canonical bytes the caller already holds."""
    checked = _check_form(proof, now=now, purpose=purpose, bound=bound or {})
    try:
        signature = canonical.multibase_decode(proof["proofValue"])
        hashed = _hash_data(data, {name: value for name, value in proof.items() if name != "proofValue"})
    except ValueError as error:
        raise BadProof(str(error)) from error
    verify_ed25519(public=public, message=hashed, signature=signature)
    return checked


def plain_created(proof: Any) -> datetime:
    """When the proof of a document of our own formats was made.

    Raises BadProof unless it has exactly the six members that ``create_proof`` writes, with ``created`` in UTC and seconds.
    """
    if not isinstance(proof, Mapping) or proof.keys() != _REQUIRED | {"created"}:
        raise BadProof("a proof has exactly the six members of eddsa-jcs-2022")
    try:
        return canonical.parse_time(proof["created"])
    except (ValueError, TypeError) as error:
        raise BadProof(f"created: {error}") from error


def did_key_of_method(verification_method: Any) -> str:
    """The Multikey of ``did:key:X#X``. Raises BadProof unless body and fragment are byte for byte the same Ed25519 key."""
    if not isinstance(verification_method, str) or not verification_method.startswith("did:key:"):
        raise BadProof("verificationMethod must be a did:key")
    body, mark, fragment = verification_method.removeprefix("did:key:").partition("#")
    if not mark or body != fragment:
        raise BadProof("the body and the fragment of the did:key differ")
    try:
        canonical.multikey_ed25519_decode(body)
    except ValueError as error:
        raise BadProof(str(error)) from error
    return body


def _check_form(proof: Mapping[str, Any], *, now: datetime, purpose: str, bound: Mapping[str, str]) -> VerifiedProof:
    if not isinstance(proof, Mapping):
        raise BadProof("a proof must be an object")
    if missing := _REQUIRED - proof.keys():
        raise BadProof(f"the proof lacks {', '.join(sorted(missing))}")
    if any(proof.get(name) != value for name, value in bound.items()):
        raise BadProof(f"the proof must be bound by {', '.join(sorted(bound))} to what is asked here")
    if unknown := proof.keys() - _REQUIRED - _OPTIONAL - bound.keys():
        raise BadProof(f"the proof has unknown members: {', '.join(sorted(unknown))}")
    if not all(isinstance(proof[name], str) for name in (_REQUIRED | _OPTIONAL - {"@context"}) & proof.keys()):
        raise BadProof("the proof's members must be text")
    if proof["type"] != "DataIntegrityProof" or proof["cryptosuite"] != CRYPTOSUITE:
        raise BadProof("only DataIntegrityProof with eddsa-jcs-2022 is accepted")
    if proof["proofPurpose"] != purpose:
        raise BadProof(f"the proof's purpose must be {purpose}")
    created = _date_time(proof["created"]) if "created" in proof else None
    if "expires" in proof and _date_time(proof["expires"]) <= now:
        raise BadProof("the proof has expired")
    return VerifiedProof(proof["verificationMethod"], purpose, created)


def _date_time(text: str) -> datetime:
    """XML Schema dateTimeStamp, as vc-data-integrity asks."""
    if not _DATE_TIME.fullmatch(text):
        raise BadProof("a time in the proof is not a dateTimeStamp")
    try:
        return datetime.fromisoformat(text).astimezone(UTC)
    except (ValueError, OverflowError) as error:
        raise BadProof("a time in the proof does not exist") from error


def _check_context(secured: Any, claimed: Any) -> None:
    """The document's ``@context`` must begin with the proof's (vc-di-eddsa 3.3.2): else its terms could change their meaning."""
    whole = secured if isinstance(secured, list) else [secured]
    start = claimed if isinstance(claimed, list) else [claimed]
    if whole[: len(start)] != start:
        raise BadProof("the document's @context does not begin with the proof's")


def _hash_data(data: bytes, config: Mapping[str, Any]) -> bytes:
    """vc-di-eddsa 3.3.4: the hash of the proof's configuration, then the hash of the document."""
    # Without @context all members are texts, which the fast way writes too.
    config_bytes = canonical.jcs(config) if "@context" in config else canonical.jcs_whole(config)
    return hashlib.sha256(config_bytes).digest() + hashlib.sha256(data).digest()
