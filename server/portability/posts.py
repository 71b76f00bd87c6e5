"""The posts in an archive: whose they are, and whether her key signed those that carry a proof. Pure."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from server.core import canonical, hosts, proofs
from server.identity import keylog
from server.identity.keylog import PolicyLog
from server.identity.keylog.errors import V17Object
from server.portability.errors import BadPart, ForgedPost

POST_DEPTH_MAX = 32
KINDS = frozenset({"Create", "Announce"})


@dataclass(frozen=True)
class Post:
    """One activity of an outbox. ``object`` is the embedded object, or the id of somebody else's."""

    uri: str
    kind: str
    actor: str
    object: Any
    line: bytes

    @property
    def about(self) -> str:
        """The id of the object."""
        return str(self.object["id"]) if isinstance(self.object, dict) else str(self.object)


@dataclass(frozen=True)
class Owner:
    """Who may have written the posts: the identity, her actors' addresses, and the keys her actor document lists.

    ``covered_at``: when the archive was first seen; it covers what is in it (rule V17).
    """

    log: PolicyLog
    actors: frozenset[str]
    methods: Mapping[str, str]
    covered_at: datetime | None


def owner(log: PolicyLog, *, actor: Mapping[str, Any] | None, covered_at: datetime | None) -> Owner:
    """The owner of ``log``; ``actor`` is her actor document where the archive has one."""
    documents = [keylog.read(version.entry.state) for version in log.versions]
    listed = actor.get("assertionMethod") if actor is not None else None
    methods = {
        str(each.get("id")): str(each.get("publicKeyMultibase"))
        for each in (listed if isinstance(listed, list) else [])
        if isinstance(each, dict)
    }
    return Owner(log, frozenset(document.actor for document in documents), methods, covered_at)


def parse(line: bytes) -> Any:
    """The JSON object of a line. Raises BadPart."""
    try:
        value = canonical.parse(line, depth_max=POST_DEPTH_MAX)
    except ValueError as error:
        raise BadPart(f"A line is not strict JSON: {error}") from error
    if not isinstance(value, dict):
        raise BadPart("A line is not an object.")
    return value


def read(line: bytes, *, by: Owner, now: datetime) -> Post:
    """A line of ``objects/outbox.jsonl``, judged. Raises BadPart, ForgedPost."""
    activity = parse(line)
    uri, actor, content = activity.get("id"), activity.get("actor"), activity.get("object")
    if activity.get("type") not in KINDS or not isinstance(uri, str) or not isinstance(actor, str):
        raise BadPart("A line of the outbox is neither a Create nor an Announce.")
    if actor not in by.actors:
        raise ForgedPost(f"{uri} is not by the owner of this archive.")
    ids = [uri]
    if isinstance(content, dict):
        if content.get("attributedTo") != actor or not isinstance(content.get("id"), str):
            raise ForgedPost(f"{uri} contains a post of somebody else.")
        ids.append(content["id"])
    elif activity["type"] == "Create" or not isinstance(content, str):
        raise BadPart(f"{uri} contains no object.")
    if not all(_same_origin(each, actor) for each in ids):
        raise ForgedPost(f"{uri} has an id of another server.")
    for document in (activity, content):
        if isinstance(document, dict) and "proof" in document:
            _check_proof(document, by=by, now=now)
    return Post(uri, activity["type"], actor, content, line)


def _same_origin(one: str, other: str) -> bool:
    try:
        return hosts.same_origin(one, other)
    except hosts.BadAddress:
        return False


def _check_proof(document: Mapping[str, Any], *, by: Owner, now: datetime) -> None:
    """FEP-8b32: the proof is by a key that the actor document lists and that the identity's log had then (FORMATS 1.9)."""
    proof = document["proof"]
    method = proof.get("verificationMethod") if isinstance(proof, dict) else None
    key = by.methods.get(method) if isinstance(method, str) else None
    if key is None:
        raise ForgedPost(f"{document.get('id')} is signed by a key that is not the owner's.")
    try:
        checked = proofs.verify_proof(document, proof, public=canonical.multikey_ed25519_decode(key), now=now)
        if checked.created is None:
            raise ForgedPost(f"{document.get('id')} is signed without a time.")
        keylog.check_object(by.log, scid=by.log.scid, key=key, created=checked.created, covered_at=by.covered_at)
    except (proofs.BadProof, proofs.BadSignature, V17Object, ValueError) as error:
        raise ForgedPost(f"{document.get('id')}: {error}") from error
