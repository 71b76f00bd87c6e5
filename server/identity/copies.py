"""Whether a copy of a published document proves itself, without asking its home (rule V17). Pure."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from server.core import canonical, proofs
from server.core.errors import TributaryError
from server.identity.keylog.errors import V17Object
from server.identity.keylog.objects import asserting_key, check_object
from server.identity.keylog.replay import PolicyLog


class CopyRefused(TributaryError):
    """This copy does not prove whose it is. ``reason`` is a stable word: see docs/reference/federation.md."""

    code, status, permanent = "copy_refused", 422, True

    def __init__(self, reason: str, message: str = "") -> None:
        super().__init__(message or reason.replace("_", " "))
        self.reason = reason


@dataclass(frozen=True)
class ProvenCopy:
    """Who said it and when. ``digest`` is what an outbox head names it by, ``number`` the entry under which its key spoke."""

    actor: str
    key: str
    created: datetime
    digest: str
    number: int


def owner_of(document: Mapping[str, Any]) -> str:
    """The actor whose a document is (FEP-fe34, ownership): of an activity its actor, of a post its author, else itself."""
    for name in ("actor", "attributedTo", "id"):
        value = document.get(name)
        if isinstance(value, list) and value:
            value = value[0]
        if isinstance(value, Mapping):
            value = value.get("id")
        if isinstance(value, str):
            return value
    return ""


def check_copy(document: Mapping[str, Any], *, log: PolicyLog, now: datetime, covered_at: datetime | None = None) -> ProvenCopy:
    """The proven copy, if a key of the identity of ``log`` signed it while it could speak for the account that it names.

    ``covered_at``: when an outbox head that covers it (``keylog.digest_of(document)``) was first seen; needed once the key
    has been removed. Raises CopyRefused: ``no_proof``, ``malformed_proof``, ``foreign_key``, ``key_not_in_log``,
    ``wrong_proof``, ``key_removed`` (V17).
    """
    proof, actor = document.get("proof"), owner_of(document)
    if not isinstance(proof, Mapping):
        raise CopyRefused("no_proof")
    method, _, fragment = str(proof.get("verificationMethod", "")).partition("#")
    if not actor or method != actor or not fragment:
        raise CopyRefused("foreign_key", "the proof is by a key of somebody else than the document names")
    key = _key_of(log, actor, fragment)
    unsigned = {name: value for name, value in document.items() if name != "signature"}
    try:
        created = proofs.verify_proof(unsigned, proof, public=canonical.multikey_ed25519_decode(key), now=now).created
        digest = canonical.sha256_hex(canonical.jcs(document))
    except proofs.BadSignature as error:
        raise CopyRefused("wrong_proof") from error
    except (proofs.BadProof, ValueError) as error:
        raise CopyRefused("malformed_proof", str(error)) from error
    if created is None:
        raise CopyRefused("malformed_proof", "the proof does not say when it was made")
    try:
        version = check_object(log, scid=log.scid, key=key, created=created, covered_at=covered_at)
    except V17Object as error:
        raise CopyRefused("key_removed", str(error)) from error
    return ProvenCopy(actor=actor, key=key, created=created, digest=digest, number=version.entry.number)


def _key_of(log: PolicyLog, actor: str, fragment: str) -> str:
    """The Multikey that the newest entry to name ``actor`` as the home lists under ``#fragment``."""
    for version in reversed(log.versions):
        if _home_of(version.entry.state) == actor:
            key = asserting_key(version.entry.state, f"{version.did.text}#{fragment}")
            if key is not None:
                return key
    raise CopyRefused("key_not_in_log", "no entry of the key log gives this account that key")


def _home_of(state: Mapping[str, Any]) -> object:
    services = state.get("service")
    for service in services if isinstance(services, list) else []:
        if isinstance(service, Mapping) and service.get("id") == f"{state.get('id')}#home":
            return service.get("serviceEndpoint")
    return None
