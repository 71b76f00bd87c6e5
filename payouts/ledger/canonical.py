"""The strict JSON profile of the ledger: a subset of JCS (RFC 8785) in which every value has exactly one encoding.

ASCII member names, NFC strings, integers within 2^53 - 1, no fractions, at most six levels. Inside of the profile the
standard library's sorted, compact encoding equals RFC 8785; outside of it nothing is repaired, everything is refused.
"""

import json
from json.encoder import c_make_encoder, encode_basestring  # type: ignore[attr-defined]
from typing import Any, Final
from unicodedata import is_normalized

from payouts.ledger.errors import (
    DuplicateKey,
    FloatRefused,
    IntegerTooLarge,
    NonAsciiKey,
    NotCanonical,
    NotJson,
    NotNfc,
    NotUtf8,
    TooDeep,
    TooLarge,
)

DEPTH_MAX: Final = 6
INTEGER_MAX: Final = 2**53 - 1
INTEGER_DIGITS_MAX: Final = 16
# A text has no more values than these, and one: a string has quotes, a list or object its bracket, each further value a comma.
_MARKS: Final = (b'"', b",", b"[", b"{")

# Less than any text has, whatever is added to it.
_NEVER: Final = -(2**63)


def _refuse(value: Any) -> None:
    raise TypeError(f"{type(value).__name__} is no JSON value")


# As JSONEncoder(ensure_ascii=False, check_circular=False, sort_keys=True, separators=(",", ":")).encode, which makes this inner
# encoder anew for every value: a third of the time of a small one.
_pieces: Final = c_make_encoder(None, _refuse, encode_basestring, None, ":", ",", True, False, True)


def _encode(value: Any) -> str:
    return "".join(_pieces(value, 0))


def encode(value: Any) -> bytes:
    """The canonical bytes of a value. Raises the named error for what is outside of the profile."""
    _check(value, 1)
    try:
        return _encode(value).encode()
    except UnicodeEncodeError as error:
        raise NotUtf8 from error


def encode_unchecked(value: Any) -> str:
    """The text of a value of which something else will show whether it is within the profile. Raises NotJson."""
    try:
        return _encode(value)
    except (TypeError, ValueError) as error:
        raise NotJson(str(error)) from error


def decode(data: bytes, *, bytes_max: int) -> Any:
    """The value of canonical bytes. Raises the named error if even one byte could be different for the same value."""
    if len(data) > bytes_max:
        raise TooLarge(f"{len(data)} bytes, at most {bytes_max}")
    try:
        text = data.decode()
    except UnicodeDecodeError as error:
        raise NotUtf8 from error
    value = _parse(text, _DECODER)
    # Where nothing but these two is escaped, every other spelling of the same value than the canonical one is longer: it has
    # spaces, a member twice, or "-0". So the length decides, and most texts need not be written again to be compared.
    _, *escapes = data.split(b"\\")
    if {rest[:1] for rest in escapes} <= {b'"', b"n"} and _length(value, DEPTH_MAX) == len(text) - len(escapes):
        return value
    if encode(value) != data:
        _parse(text, _DECODER_NAMING_DUPLICATES)
        raise NotCanonical
    return value


def check_marks(data: bytes, *, marks_max: int) -> None:
    """See how many values a text may hold before it is taken apart: values can take thirty times the memory of their text.

    Raises TooLarge for more quotes, commas, ``[`` and ``{`` than ``marks_max``.
    """
    if sum(map(data.count, _MARKS)) > marks_max:
        raise TooLarge(f"more than {marks_max} quotes, commas and opening brackets")


def _length(value: Any, levels: int) -> int:
    """How long the canonical text of a value is, escapes counted as one. Below 0: outside of the profile, or not sorted."""
    kind = type(value)
    if kind is str:
        return len(value) + 2 if value.isascii() or is_normalized("NFC", value) else _NEVER
    if kind is dict:
        names, members = list(value), value.values()
        if names != sorted(names) or not all(map(str.isascii, names)):
            return _NEVER
        total = sum(map(len, names)) + 3 * len(names)
    elif kind is list:
        total, members = 0, value
    else:
        return len(_encode(value))
    if levels == 0:
        return _NEVER
    total += max(1, len(members)) + 1
    if set(map(type, members)) == {str} and all(map(str.isascii, members)):
        return total + sum(map(len, members)) + 2 * len(members)
    return total + sum([_length(member, levels - 1) for member in members])


def _check(value: Any, depth: int) -> None:
    kind = type(value)
    if kind is dict:
        for name in value:
            if type(name) is not str or not name.isascii():
                raise NonAsciiKey(f"member {name!r}")
        value = value.values()
    elif kind is not list and kind is not tuple:
        _check_scalar(kind, value)
        return
    if depth > DEPTH_MAX:
        raise TooDeep
    for member in value:
        _check(member, depth + 1)


def _check_scalar(kind: type, value: Any) -> None:
    if kind is str:
        if not value.isascii() and not is_normalized("NFC", value):
            raise NotNfc
    elif kind is int:
        if not -INTEGER_MAX <= value <= INTEGER_MAX:
            raise IntegerTooLarge
    elif kind is float:
        raise FloatRefused
    elif value is not None and kind is not bool:
        raise NotJson(f"{kind.__name__} is no JSON value")


def _integer(digits: str) -> int:
    # Before int(): thousands of digits would cost time that grows with their square.
    if len(digits) > INTEGER_DIGITS_MAX + 1 or not -INTEGER_MAX <= int(digits) <= INTEGER_MAX:
        raise IntegerTooLarge
    return int(digits)


def _fraction(digits: str) -> float:
    raise FloatRefused(digits[:40])


def _object(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    members = dict(pairs)
    if len(members) != len(pairs):
        raise DuplicateKey
    return members


# Two members of the same name shrink to one and so fail the comparison of bytes; the second decoder only finds the reason.
_DECODER = json.JSONDecoder(parse_int=_integer, parse_float=_fraction, parse_constant=_fraction)
_DECODER_NAMING_DUPLICATES = json.JSONDecoder(object_pairs_hook=_object)


def _parse(text: str, decoder: json.JSONDecoder) -> Any:
    try:
        value, end = decoder.raw_decode(text)
    except RecursionError as error:
        raise TooDeep from error
    except ValueError as error:
        raise NotJson(str(error)) from error
    if end != len(text):
        raise NotJson("something stands behind the value")
    return value
