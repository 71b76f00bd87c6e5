"""Flat checks of members that all documents of the ledger share: exact member sets, hashes, times, base64."""

import json
import re
from binascii import Error as BinasciiError
from binascii import a2b_base64, b2a_base64
from collections.abc import Callable, Iterable
from collections.abc import Set as AbstractSet
from datetime import datetime
from functools import lru_cache
from itertools import pairwise, starmap
from operator import itemgetter, lt
from typing import Any, Final, NamedTuple

from payouts.ledger.canonical import INTEGER_MAX
from payouts.ledger.errors import BadBase64, BadHash, BadMember, BadTime, MissingMember, UnknownMember, UnknownVersion

VERSION: Final = 1
HASH_BYTES: Final = 32
ZERO_HASH: Final = "0" * 64

HEX_HASH: Final = "[0-9a-f]{64}"
TIME: Final = "[0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9]{2}:[0-9]{2}:[0-9]{2}Z"
_HEX32 = re.compile(HEX_HASH)
_TIME = re.compile(TIME)


class Form(NamedTuple):
    """A regular expression for plain JSON of what a check lets through, and how a text that matches is read.

    ``rest``: what the expression does not say of the value; None when whatever matches passes the check.
    """

    pattern: str
    read: Callable[[str], Any]
    rest: Callable[[Any], bool] | None = None


_FORMS: Final[dict[Callable[[Any], bool], Form]] = {}


def form_of(check: Callable[[Any], bool]) -> Form | None:
    """The form of a check, if it was given one."""
    return _FORMS.get(check)


def give_form(check: Callable[[Any], bool], form: Form) -> Callable[[Any], bool]:
    """The check itself, from now on with a form."""
    _FORMS[check] = form
    return check


_in_quotes: Final[Callable[[str], str]] = itemgetter(slice(1, -1))
_raw_decode: Final = json.JSONDecoder().raw_decode


def _from_json(text: str) -> Any:
    return _raw_decode(text)[0]


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


def is_text(pattern: str, *, plain: bool = True) -> Callable[[Any], bool]:
    """A check for texts that match the whole pattern. ``plain``: no text that matches holds a character that JSON escapes."""
    fullmatch = re.compile(pattern).fullmatch

    def check(value: Any) -> bool:
        return type(value) is str and fullmatch(value) is not None

    return give_form(check, Form(f'"(?:{pattern})"', _in_quotes)) if plain else check


def is_integer(least: int = 0, most: int = INTEGER_MAX) -> Callable[[Any], bool]:
    """A check for integers from ``least`` to ``most``; true and false are none."""

    def check(value: Any) -> bool:
        return type(value) is int and least <= value <= most

    # Fifteen digits are below 2^53; the few larger ones are for the check.
    smallest = "[1-9][0-9]{0,14}" if least else "(?:0|[1-9][0-9]{0,14})"
    return give_form(check, Form(smallest, int, None if least in (0, 1) and most == INTEGER_MAX else check))


def is_list(
    check: Callable[[Any], bool], *, count_max: int, count_min: int = 0, ascending: bool = False
) -> Callable[[Any], bool]:
    """A check for lists of so many values that pass ``check``, each greater than the one before it if they are ``ascending``."""

    def is_right(values: list[Any]) -> bool:
        return count_min <= len(values) <= count_max and (not ascending or is_ascending(values))

    def check_all(value: Any) -> bool:
        return type(value) is list and len(value) <= count_max and all(map(check, value)) and is_right(value)

    item = form_of(check)
    if item is None:
        return check_all
    return give_form(check_all, Form(list_form(item.pattern), _from_json, check_all if item.rest else is_right))


def list_form(item: str) -> str:
    """A regular expression for plain JSON lists of ``item``."""
    return rf"\[(?:{item}(?:,{item})*)?\]"


def is_ascending(values: Iterable[Any]) -> bool:
    """Whether every value is greater than the one before it."""
    return all(starmap(lt, pairwise(values)))


def is_hex_hash(value: Any) -> bool:
    """Whether the value is the lower-case hex of 32 bytes."""
    return type(value) is str and _HEX32.fullmatch(value) is not None


give_form(is_hex_hash, Form(f'"{HEX_HASH}"', _in_quotes))


def is_time(value: Any) -> bool:
    """Whether the value is a real time of the form YYYY-MM-DDTHH:MM:SSZ."""
    return type(value) is str and _exists(value)


@lru_cache(maxsize=256)
def _exists(text: str) -> bool:
    # Entries of a batch share their time.
    if _TIME.fullmatch(text) is None:
        return False
    try:
        datetime.fromisoformat(text)
    except ValueError:
        return False
    return True


# That it exists, no expression can say.
give_form(is_time, Form(f'"{TIME}"', _in_quotes, is_time))


def check_time(value: Any) -> str:
    """The time itself. Raises BadTime. Times of this form compare like their texts."""
    if not is_time(value):
        raise BadTime(f"{value!r} is no time")
    return str(value)


def to_base64(data: bytes) -> str:
    """Standard base64 with padding."""
    return b2a_base64(data, newline=False).decode()


def from_base64(text: Any) -> bytes:
    """The bytes of canonical base64. Raises BadBase64 also for spaces and for padding bits that are not zero."""
    if type(text) is not str or not text.isascii():
        raise BadBase64
    return bytes_from_base64(text.encode())


def bytes_from_base64(written: bytes) -> bytes:
    """As from_base64, of a text in bytes."""
    try:
        data = a2b_base64(written)
    except BinasciiError as error:
        raise BadBase64 from error
    # Lenient decoding skips what it does not know. Where the length is right nothing was skipped, and only the padding bits of
    # the last group may differ from the one right spelling.
    last = len(data) % 3
    if len(written) != (len(data) + 2) // 3 * 4 or (last and b2a_base64(data[-last:], newline=False) != written[-4:]):
        raise BadBase64("spaces, other letters, or padding bits that are not zero")
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
