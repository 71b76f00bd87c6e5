"""Activities: a stranger's JSON in, frozen typed values out, or Malformed. Pure.

What is embedded in an activity stays a raw ``document`` until somebody has decided that it may be believed
(``federation.authority``).
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from federation.wire import fields
from federation.wire.fields import Malformed
from federation.wire.json import JsonObject


@dataclass(frozen=True, kw_only=True)
class Reference:
    """The object of an activity: its id, and what was embedded of it (``None`` when only the id was given).

    ``uri`` may be empty only in what is undone or answered; then ``kind``, ``actor`` and ``object_uri`` say what is meant.
    """

    uri: str
    kind: str = ""
    actor: str = ""
    object_uri: str = ""
    document: JsonObject | None = None


@dataclass(frozen=True, kw_only=True)
class Activity:
    """Somebody did something."""

    uri: str
    actor: str
    kind: str


@dataclass(frozen=True, kw_only=True)
class Follow(Activity):
    """``actor`` wants to follow ``target``."""

    target: str


@dataclass(frozen=True, kw_only=True)
class Accept(Activity):
    """``actor`` accepts a follow."""

    answered: Reference


@dataclass(frozen=True, kw_only=True)
class Reject(Activity):
    """``actor`` refuses a follow, or ends it."""

    answered: Reference


@dataclass(frozen=True, kw_only=True)
class Undo(Activity):
    """``actor`` takes a Follow, Like or Announce back."""

    undone: Reference


@dataclass(frozen=True, kw_only=True)
class Create(Activity):
    """``actor`` posted something."""

    object: Reference


@dataclass(frozen=True, kw_only=True)
class Update(Activity):
    """``actor`` changed a post or her profile."""

    object: Reference


@dataclass(frozen=True, kw_only=True)
class Delete(Activity):
    """``actor`` deleted a post, a comment or herself."""

    object_uri: str


@dataclass(frozen=True, kw_only=True)
class Like(Activity):
    """``actor`` likes a post."""

    object_uri: str


@dataclass(frozen=True, kw_only=True)
class Announce(Activity):
    """``actor`` passes a post on."""

    object: Reference


@dataclass(frozen=True, kw_only=True)
class Move(Activity):
    """``actor`` says that she lives at ``target_uri`` now."""

    object_uri: str
    target_uri: str


@dataclass(frozen=True, kw_only=True)
class Other(Activity):
    """An activity of a kind that we do not know."""


def read(document: JsonObject) -> Activity:
    """The activity in ``document``. Raises Malformed."""
    common = {
        "uri": fields.identifier(document, "id"),
        "actor": fields.identifier(document, "actor"),
        "kind": fields.kind(document),
    }
    reader = _READERS.get(common["kind"])
    return reader(document, common) if reader else Other(**common)


def _reference(document: JsonObject, name: str = "object") -> Reference:
    value = document.get(name)
    if isinstance(value, list) and len(value) == 1:
        value = value[0]
    if not isinstance(value, dict):
        return Reference(uri=fields.address(value, name))
    return Reference(
        uri=fields.optional_address(value, "id"),
        kind=fields.kind(value) if "type" in value else "",
        actor=fields.optional_address(value, "actor"),
        object_uri=fields.optional_address(value, "object"),
        document=value,
    )


def _named(document: JsonObject) -> Reference:
    reference = _reference(document)
    if not reference.uri:
        raise Malformed("the object has no id", field="object")
    return reference


_READERS: Mapping[str, Callable[[JsonObject, Mapping[str, Any]], Activity]] = {
    "Follow": lambda document, common: Follow(target=fields.identifier(document, "object"), **common),
    "Accept": lambda document, common: Accept(answered=_reference(document), **common),
    "Reject": lambda document, common: Reject(answered=_reference(document), **common),
    "Undo": lambda document, common: Undo(undone=_reference(document), **common),
    "Create": lambda document, common: Create(object=_named(document), **common),
    "Update": lambda document, common: Update(object=_named(document), **common),
    "Delete": lambda document, common: Delete(object_uri=fields.identifier(document, "object"), **common),
    "Like": lambda document, common: Like(object_uri=fields.identifier(document, "object"), **common),
    "Announce": lambda document, common: Announce(object=_named(document), **common),
    "Move": lambda document, common: Move(
        object_uri=fields.identifier(document, "object"), target_uri=fields.identifier(document, "target"), **common
    ),
}
KINDS = tuple(_READERS)
