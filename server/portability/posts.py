"""The posts in an archive: whose they are, and whether her key signed those that carry a proof. Pure."""

from dataclasses import dataclass
from datetime import datetime
from typing import Any

from server.core import canonical, hosts
from server.identity import copies, keylog
from server.identity.keylog import PolicyLog
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
    """Who may have written the posts: the identity, and her actors' addresses.

    ``covered_at``: when the archive was first seen; it covers what is in it (rule V17).
    """

    log: PolicyLog
    actors: frozenset[str]
    covered_at: datetime | None


def owner(log: PolicyLog, *, covered_at: datetime | None) -> Owner:
    """The owner of ``log``."""
    documents = [keylog.read(version.entry.state) for version in log.versions]
    return Owner(log, frozenset(document.actor for document in documents), covered_at)


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
            try:
                copies.check_copy(document, log=by.log, now=now, covered_at=by.covered_at)
            except copies.CopyRefused as error:
                raise ForgedPost(f"{document.get('id')}: {error}") from error
    return Post(uri, activity["type"], actor, content, line)


def _same_origin(one: str, other: str) -> bool:
    try:
        return hosts.same_origin(one, other)
    except hosts.BadAddress:
        return False
