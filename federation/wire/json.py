"""JSON from strangers, parsed once and strictly (rule R4). Pure.

``json.loads`` alone takes NaN, duplicate keys (the last wins), lone surrogates and 1e400, and breaks on deep nesting;
two parsers that disagree on such a text are how a checked copy and a used copy come apart.
"""

import json
import math
from typing import Any, NoReturn

from server.core import limits
from server.core.errors import Invalid

JsonObject = dict[str, Any]

INTEGER_DIGITS_MAX = 17


class BadJson(Invalid):
    """This is not JSON that we accept."""

    code, status = "bad_json", 400


def parse(data: bytes, *, size_bytes_max: int = limits.INBOX_BYTES_MAX) -> JsonObject:
    """The JSON object in ``data``. Raises BadJson.

    Refused: more than ``size_bytes_max`` bytes, other text than UTF-8, nesting deeper than ``JSON_DEPTH_MAX``, duplicate
    keys, NaN, Infinity and numbers that become infinite, integers beyond 2^53 - 1, lone surrogates, U+0000, and anything
    that is no object at the top.
    """
    if len(data) > size_bytes_max:
        raise BadJson(f"more than {size_bytes_max} bytes")
    try:
        value = json.loads(
            data.decode("utf-8"),
            object_pairs_hook=_object,
            parse_constant=_constant,
            parse_int=_integer,
            parse_float=_number,
        )
    except UnicodeDecodeError as error:
        raise BadJson("not UTF-8") from error
    except RecursionError as error:
        raise BadJson("nested too deep") from error
    except BadJson:
        raise
    except ValueError as error:
        raise BadJson(f"not JSON: {error}") from error
    if not isinstance(value, dict):
        raise BadJson("not an object")
    _check(value, 1)
    return value


def dump(value: JsonObject) -> str:
    """``value`` as compact JSON text, the form in which our own documents leave."""
    return json.dumps(value, ensure_ascii=False, separators=(",", ":"), allow_nan=False)


def _object(pairs: list[tuple[str, Any]]) -> JsonObject:
    made = dict(pairs)
    if len(made) != len(pairs):
        raise BadJson("a key stands twice in one object")
    return made


def _constant(text: str) -> NoReturn:
    raise BadJson(f"{text} is not a JSON value")


def _integer(text: str) -> int:
    # Checked before int(): a million digits cost quadratic time.
    if len(text) > INTEGER_DIGITS_MAX or abs(int(text)) > limits.JSON_INTEGER_MAX:
        raise BadJson("an integer beyond 2^53 - 1")
    return int(text)


def _number(text: str) -> float:
    value = float(text)
    if math.isinf(value):
        raise BadJson("a number beyond the range of a double")
    return value


def _check(value: Any, depth: int) -> None:
    if isinstance(value, str):
        _check_text(value)
    elif isinstance(value, dict):
        _check_depth(depth)
        for key, each in value.items():
            _check_text(key)
            _check(each, depth + 1)
    elif isinstance(value, list):
        _check_depth(depth)
        for each in value:
            _check(each, depth + 1)


def _check_depth(depth: int) -> None:
    if depth > limits.JSON_DEPTH_MAX:
        raise BadJson(f"nested deeper than {limits.JSON_DEPTH_MAX}")


def _check_text(text: str) -> None:
    if "\x00" in text:
        raise BadJson("U+0000 in a text")
    if not text.isascii() and any("\ud800" <= character <= "\udfff" for character in text):
        raise BadJson("half of a surrogate pair")
