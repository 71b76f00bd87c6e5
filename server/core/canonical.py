"""Canonical bytes: strict JSON in, JCS (RFC 8785) out; multibase base58btc, multihash SHA-256, Multikeys, times. Pure."""

import functools
import hashlib
import json
import operator
import re
from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Any

import base58
import rfc8785

# Multicodec prefixes as unsigned varints.
ED25519_PUBLIC = b"\xed\x01"
X25519_PUBLIC = b"\xec\x01"
RSA_PUBLIC = b"\x85\x24"
SHA2_256 = b"\x12\x20"

# The 46 characters of the base58 text of a SHA-256 multihash, which always begins with Qm.
MULTIHASH = re.compile(r"Qm[1-9A-HJ-NP-Za-km-z]{44}")
# Decoding base58 takes quadratic time; the longest text we read is an RSA-8192 Multikey.
MULTIBASE_CHARACTERS_MAX = 2_048
# Public names and keys recur in every entry of a log; what a decoder once took is remembered.
_DECODED_MAX = 1_024
JSON_INTEGER_MAX = 2**53 - 1
_BASE58 = re.compile(r"[1-9A-HJ-NP-Za-km-z]*")
_TIME = re.compile(r"(\d{4})-(\d\d)-(\d\d)T(\d\d):(\d\d):(\d\d)Z", re.ASCII)
_MANY_DIGITS = re.compile(rb"[0-9]{16}")
_BEYOND_16_BITS = re.compile("[\U00010000-\U0010ffff]")
_ABOVE_SURROGATES = re.compile("[\ue000-\uffff]")
_UTF_16 = operator.methodcaller("encode", "utf-16-be")
_NESTED = (dict, list)
_AS_GIVEN = json.JSONEncoder(ensure_ascii=False, separators=(",", ":"))
_BY_CODE_POINT = json.JSONEncoder(ensure_ascii=False, separators=(",", ":"), sort_keys=True)


def jcs(value: Any) -> bytes:
    """The RFC 8785 bytes of a JSON value. Raises ValueError for what JSON cannot say (NaN, huge integers, lone surrogates)."""
    try:
        return rfc8785.dumps(value)
    except (rfc8785.CanonicalizationError, UnicodeEncodeError) as error:
        raise ValueError(str(error)) from error


def jcs_whole(value: Any) -> bytes:
    """The bytes ``jcs`` would write for a value without fractions (``parse`` with ``fractions=False``), several times faster.

    Without fractions the standard library writes RFC 8785, but for the order of names, which goes by UTF-16 units. That is
    the order of code points, which the library knows, unless some lie beyond 16 bits and others just below.
    """
    text = _BY_CODE_POINT.encode(value)
    if not text.isascii() and _BEYOND_16_BITS.search(text) and _ABOVE_SURROGATES.search(text):
        text = _AS_GIVEN.encode(_ordered(value))
    return text.encode()


def _ordered(value: Any) -> Any:
    if isinstance(value, dict):
        return {
            name: _ordered(value[name]) if value[name].__class__ in _NESTED else value[name]
            for name in sorted(value, key=_UTF_16)
        }
    return [_ordered(one) if one.__class__ in _NESTED else one for one in value] if isinstance(value, list) else value


def parse(data: bytes, *, depth_max: int, fractions: bool = True) -> Any:
    """The value of strict JSON text, so that ``jcs`` can write it again.

    Refuses what I-JSON (RFC 7493) forbids and parsers treat differently: text that is not UTF-8, a byte order mark,
    duplicate names, lone surrogates, NaN and infinities, integers beyond 2^53-1, nesting deeper than ``depth_max``.
    With ``fractions=False`` also every number written with a point or an exponent. Raises ValueError.
    """
    try:
        value = json.loads(
            data.decode("utf-8"),
            object_pairs_hook=_object,
            # A call for each number is dear; only one of many digits can be too large.
            parse_int=_integer if _MANY_DIGITS.search(data) else None,
            parse_float=_fraction if fractions else _no_fraction,
            parse_constant=_no_fraction,
        )
    except RecursionError:
        raise ValueError("nested too deeply") from None
    _check_depth(value, depth_max)
    # Only an escape can bring in a surrogate: UTF-8 has none.
    if b"\\u" in data and not _encodable(value):
        raise ValueError("a lone surrogate")
    return value


def _object(pairs: Sequence[tuple[str, Any]]) -> dict[str, Any]:
    value = dict(pairs)
    if len(value) != len(pairs):
        raise ValueError("a name occurs twice in one object")
    return value


def _integer(text: str) -> int:
    if len(text) > len(str(-JSON_INTEGER_MAX)) or abs(value := int(text)) > JSON_INTEGER_MAX:
        raise ValueError("an integer beyond 2^53-1")
    return value


def _fraction(text: str) -> float:
    value = float(text)
    if value in {float("inf"), float("-inf")}:
        raise ValueError("a number too large")
    return value


def _no_fraction(text: str) -> float:
    raise ValueError(f"not an integer: {text[:20]}")


def _check_depth(value: Any, depth_max: int) -> None:
    level = [value] if value.__class__ in _NESTED else []
    depth = 0
    while level:
        depth += 1
        if depth > depth_max:
            raise ValueError("nested too deeply")
        inner = (node.values() if node.__class__ is dict else node for node in level if node)
        level = [child for children in inner for child in children if child.__class__ in _NESTED]


def _encodable(value: Any) -> bool:
    try:
        json.dumps(value, ensure_ascii=False).encode()
    except UnicodeEncodeError:
        return False
    return True


def sha256_hex(data: bytes) -> str:
    """SHA-256 as 64 lower-case hex digits."""
    return hashlib.sha256(data).hexdigest()


def multibase(data: bytes) -> str:
    """Multibase base58btc: ``z`` and the base58 digits."""
    return "z" + base58.b58encode(data).decode()


def multibase_decode(text: str) -> bytes:
    """The bytes of a base58btc multibase text. Raises ValueError for another base, a wrong digit or too long a text."""
    if not text.startswith("z"):
        raise ValueError("not base58btc multibase")
    if len(text) > MULTIBASE_CHARACTERS_MAX:
        raise ValueError("multibase text too long")
    if not _BASE58.fullmatch(text, 1):
        raise ValueError("not a base58 digit")
    return base58.b58decode(text[1:])


def multihash_sha256(data: bytes) -> str:
    """The base58 (no multibase letter) of the SHA-256 multihash of ``data``, as did:webvh writes it."""
    return base58.b58encode(SHA2_256 + hashlib.sha256(data).digest()).decode()


def digest_multibase(digest: bytes) -> str:
    """``digestMultibase`` of a file with this SHA-256: the multihash in multibase base58btc, ``zQm...``."""
    return multibase(SHA2_256 + digest)


@functools.lru_cache(maxsize=_DECODED_MAX)
def multihash_sha256_decode(text: str) -> bytes:
    """The 32 bytes of a base58 SHA-256 multihash. Raises ValueError for another function, a shortened hash or a wrong digit."""
    if not MULTIHASH.fullmatch(text):
        raise ValueError("not a base58 SHA-256 multihash")
    data = base58.b58decode(text)
    if len(data) != len(SHA2_256) + 32 or not data.startswith(SHA2_256):
        raise ValueError("not a SHA-256 multihash")
    return data[len(SHA2_256) :]


def multikey_ed25519(public: bytes) -> str:
    """An Ed25519 public key as Multikey, ``z6Mk...``."""
    return multibase(ED25519_PUBLIC + public)


@functools.lru_cache(maxsize=_DECODED_MAX)
def multikey_ed25519_decode(text: str) -> bytes:
    """The 32 bytes of an Ed25519 Multikey. Raises ValueError for anything else."""
    return _multikey_decode(text, ED25519_PUBLIC, "an Ed25519 Multikey")


def multikey_x25519(public: bytes) -> str:
    """An X25519 public key as Multikey, ``z6LS...``."""
    return multibase(X25519_PUBLIC + public)


def multikey_x25519_decode(text: str) -> bytes:
    """The 32 bytes of an X25519 Multikey. Raises ValueError for anything else."""
    return _multikey_decode(text, X25519_PUBLIC, "an X25519 Multikey")


def multikey_rsa(pkcs1: bytes) -> str:
    """An RSA public key (PKCS#1 DER) as Multikey, ``z4MX...``, as FEP-521a writes it."""
    return multibase(RSA_PUBLIC + pkcs1)


def _multikey_decode(text: str, prefix: bytes, what: str) -> bytes:
    data = multibase_decode(text)
    if len(data) != len(prefix) + 32 or not data.startswith(prefix):
        raise ValueError(f"not {what}")
    return data[len(prefix) :]


def did_key(public: bytes) -> str:
    """The did:key of an Ed25519 public key."""
    return f"did:key:{multikey_ed25519(public)}"


def time_text(moment: datetime) -> str:
    """``YYYY-MM-DDTHH:MM:SSZ``; fractions of a second are cut off. Raises ValueError for a naive datetime."""
    if moment.tzinfo is None:
        raise ValueError("a time without its zone")
    return moment.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def parse_time(text: str) -> datetime:
    """The moment of ``YYYY-MM-DDTHH:MM:SSZ``. Raises ValueError for any other spelling and for days that do not exist."""
    match = _TIME.fullmatch(text)
    if match is None:
        raise ValueError("a time must be written YYYY-MM-DDTHH:MM:SSZ")
    year, month, day, hour, minute, second = (int(part) for part in match.groups())
    return datetime(year, month, day, hour, minute, second, tzinfo=UTC)
