"""Values, canonical JSON, base64 (docs/reference/ledger-format.md, sections 2 and 3): a second implementation from the reference pages, without product code."""

import base64
import hashlib
import json
import re
import unicodedata
from datetime import datetime
from itertools import pairwise

from tests.independent import check_identity as identity

SCID, HASH, CURRENCY, NAME, HEX32 = (
    r"Qm[1-9A-HJ-NP-Za-km-z]{44}",
    "[0-9a-f]{64}",
    "[A-Z]{3}",
    r"[a-z0-9](?:[a-z0-9_.-]{0,62}[a-z0-9])?",
    "[0-9a-f]{32}",
)
PERIOD = r"[0-9]{4}-[0-9]{2}(?:-[0-9]{2})?(?:\.[1-9][0-9]{0,2})?"
ORIGIN = r"[a-z0-9](?:[a-z0-9.-]{0,251}[a-z0-9])?(?::[1-9][0-9]{0,4})?/ledger/[1-9][0-9]{0,3}"
Refused = identity.Refused


def need(code, *conditions):
    identity.need(code, *conditions)


def text(pattern, value):
    return type(value) is str and re.fullmatch(pattern, value) is not None


def number(value, least=0, most=2**53 - 1):
    return type(value) is int and least <= value <= most


def rising(values):
    return all(a < b for a, b in pairwise(values))


def is_time(value):
    return text(r"[0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9]{2}:[0-9]{2}:[0-9]{2}Z", value) and bool(datetime.fromisoformat(value))


def each(check, value, most, least=0):
    return type(value) is list and least <= len(value) <= most and all(map(check, value))


def sha256(data):
    return hashlib.sha256(data).digest()


def encode(value):
    return json.dumps(value, ensure_ascii=False, sort_keys=True, separators=(",", ":")).encode()


def walk(value, level=1):
    if isinstance(value, dict | list):
        need("non_ascii_key", not isinstance(value, dict) or all(name.isascii() for name in value))
        need("too_deep", level <= 6)
        for one in value.values() if isinstance(value, dict) else value:
            walk(one, level + 1)
    elif isinstance(value, str):
        need("not_nfc", unicodedata.is_normalized("NFC", value))
        need("not_utf8", lambda: value.encode() is not None)


def decode(data, most, over="too_large"):
    need(over, len(data) <= most)
    need("not_utf8", lambda: data.decode() is not None)
    twice = []

    def fraction(_):
        raise Refused("float_refused")

    def integer(digits):
        need("integer_too_large", len(digits) < 19 and abs(int(digits)) < 2**53)
        return int(digits)

    def members(pairs):
        twice.extend([1] if len(dict(pairs)) < len(pairs) else [])
        return dict(pairs)

    decoder = json.JSONDecoder(object_pairs_hook=members, parse_float=fraction, parse_constant=fraction, parse_int=integer)
    try:
        value, end = decoder.raw_decode(data.decode())
    except ValueError as error:
        raise Refused("not_json") from error
    need("not_json", end == len(data.decode()))
    walk(value)
    need("duplicate_key" if twice else "not_canonical", encode(value) == data)
    return value


def members(value, names, code="bad_member"):
    need(code, type(value) is dict)
    need("missing_member", names <= value.keys())
    need("unknown_member", value.keys() <= names)


def unbase64(value):
    need("bad_base64", type(value) is str, lambda: base64.b64encode(base64.b64decode(value, validate=True)).decode() == value)
    return base64.b64decode(value)


def hashes(values, most):
    need("bad_member", type(values) is list and len(values) <= most)
    found = [unbase64(one) for one in values]
    need("bad_hash", all(len(one) == 32 for one in found))
    return found


def amount(value):
    need("bad_amount", text("0|-?[1-9][0-9]{0,17}", value))
    return int(value)
