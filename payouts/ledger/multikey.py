"""Multikeys: a public key as ``z`` and base58btc of its kind and bytes (W3C Controlled Identifiers 2.2.2)."""

from typing import Final

from payouts.ledger.errors import BadKey

_ALPHABET: Final = "123456789ABCDEFGHJKLMNPQRSTUVWXYZabcdefghijkmnopqrstuvwxyz"
_VALUES: Final = {digit: value for value, digit in enumerate(_ALPHABET)}
_KINDS: Final = {"ed25519": b"\xed\x01", "x25519": b"\xec\x01"}
_KEY_BYTES: Final = 32
_DIGITS_MAX: Final = 64


def multikey_bytes(text: str, kind: str) -> bytes:
    """The 32 bytes of a Multikey of this kind (``ed25519``, ``x25519``). Raises BadKey."""
    digits, prefix = text[1:], _KINDS[kind]
    if text[:1] != "z" or len(digits) > _DIGITS_MAX or not all(digit in _VALUES for digit in digits):
        raise BadKey(f"{text[:80]!r} is no Multikey")
    number = 0
    for digit in digits:
        number = number * 58 + _VALUES[digit]
    # Both prefixes begin with a bit that is set, so that no key is spelt with leading ones.
    data = number.to_bytes((number.bit_length() + 7) // 8)
    if len(data) != len(prefix) + _KEY_BYTES or not data.startswith(prefix) or digits.startswith("1"):
        raise BadKey(f"{text[:80]!r} is no {kind} Multikey")
    return data[len(prefix) :]


def multikey(public: bytes, kind: str) -> str:
    """The Multikey of 32 bytes."""
    number = int.from_bytes(_KINDS[kind] + public)
    digits = ""
    while number:
        number, value = divmod(number, 58)
        digits = _ALPHABET[value] + digits
    return "z" + digits
