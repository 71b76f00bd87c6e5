"""Flat checks of members that all documents of the ledger share: exact member sets, hashes, times, base64."""

import re
from base64 import b64decode, b64encode
from binascii import Error as BinasciiError
from collections.abc import Callable, Iterable
from collections.abc import Set as AbstractSet
from datetime import datetime
from itertools import pairwise
from typing import Any, Final

from payouts.ledger.canonical import INTEGER_MAX
from payouts.ledger.errors import BadBase64, BadHash, BadMember, BadTime, MissingMember, UnknownMember, UnknownVersion

VERSION: Final = 1
HASH_BYTES: Final = 32
ZERO_HASH: Final = "0" * 64

_HEX32 = re.compile(r"[0-9a-f]{64}")
_TIME = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9]{2}:[0-9]{2}:[0-9]{2}Z")


def check_members(document: Any, members: AbstractSet[str], name: str = "document") -> None:
    """Refuse a document that is no object or does not have exactly these members. Raises MissingMember, UnknownMember."""
    if type(document) is not dict:
        raise BadMember(f"{name} is no object")
    if document.keys() == members:
        return
    missing = members - document.keys()
    if missing:
        raise MissingMember(f"{name} lacks {', '.join(sorted(missing))}")
    raise UnknownMember(f"{name} has {', '.join(sorted(document.keys() - members))}")


def check_version(document: dict[str, Any]) -> None:
    """Refuse another ``v`` than 1. Raises UnknownVersion."""
    if type(document["v"]) is not int or document["v"] != VERSION:
        raise UnknownVersion(f"v is {document['v']!r}")


def is_text(pattern: str) -> Callable[[Any], bool]:
    """A check for texts that match the whole pattern."""
    fullmatch = re.compile(pattern).fullmatch

    def check(value: Any) -> bool:
        return type(value) is str and fullmatch(value) is not None

    return check


def is_integer(least: int = 0, most: int = INTEGER_MAX) -> Callable[[Any], bool]:
    """A check for integers from ``least`` to ``most``; true and false are none."""
    return lambda value: type(value) is int and least <= value <= most


def is_list(check: Callable[[Any], bool], *, count_max: int, count_min: int = 0) -> Callable[[Any], bool]:
    """A check for lists of so many values that pass ``check``."""
    return lambda value: type(value) is list and count_min <= len(value) <= count_max and all(map(check, value))


def is_ascending(values: Iterable[Any]) -> bool:
    """Whether every value is greater than the one before it."""
    return all(left < right for left, right in pairwise(values))


def is_hex_hash(value: Any) -> bool:
    """Whether the value is the lower-case hex of 32 bytes."""
    return type(value) is str and _HEX32.fullmatch(value) is not None


def is_time(value: Any) -> bool:
    """Whether the value is a real time of the form YYYY-MM-DDTHH:MM:SSZ."""
    if type(value) is not str or _TIME.fullmatch(value) is None:
        return False
    try:
        datetime.fromisoformat(value)
    except ValueError:
        return False
    return True


def check_time(value: Any) -> str:
    """The time itself. Raises BadTime. Times of this form compare like their texts."""
    if not is_time(value):
        raise BadTime(f"{value!r} is no time")
    return str(value)


def to_base64(data: bytes) -> str:
    """Standard base64 with padding."""
    return b64encode(data).decode()


def from_base64(text: Any) -> bytes:
    """The bytes of canonical base64. Raises BadBase64 also for spaces and for padding bits that are not zero."""
    if type(text) is not str or not text.isascii():
        raise BadBase64
    try:
        data = b64decode(text, validate=True)
    except (BinasciiError, ValueError) as error:
        raise BadBase64 from error
    if b64encode(data) != text.encode():
        raise BadBase64("padding bits are not zero")
    return data


def hash_from_base64(text: Any) -> bytes:
    """The 32 bytes of a base64 hash. Raises BadBase64, BadHash."""
    data = from_base64(text)
    if len(data) != HASH_BYTES:
        raise BadHash(f"{len(data)} bytes")
    return data


def hashes_from_base64(texts: Any, *, count_max: int) -> tuple[bytes, ...]:
    """The hashes of a list. Raises BadMember for no list or a longer one, BadBase64, BadHash."""
    if type(texts) is not list or len(texts) > count_max:
        raise BadMember("proof is no list, or longer than any proof")
    return tuple(map(hash_from_base64, texts))
