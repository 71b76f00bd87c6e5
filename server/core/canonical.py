"""Canonical bytes: JCS (RFC 8785), multibase base58btc, multihash SHA-256 and Multikeys. Pure."""

import hashlib
from typing import Any

import base58
import rfc8785

# Multicodec prefixes as unsigned varints.
ED25519_PUBLIC = b"\xed\x01"
X25519_PUBLIC = b"\xec\x01"
SHA2_256 = b"\x12\x20"


def jcs(value: Any) -> bytes:
    """The RFC 8785 bytes of a JSON value. Raises ValueError for what JSON cannot say (NaN, huge integers, lone surrogates)."""
    try:
        return rfc8785.dumps(value)
    except (rfc8785.CanonicalizationError, UnicodeEncodeError) as error:
        raise ValueError(str(error)) from error


def sha256_hex(data: bytes) -> str:
    """SHA-256 as 64 lower-case hex digits."""
    return hashlib.sha256(data).hexdigest()


def multibase(data: bytes) -> str:
    """Multibase base58btc: ``z`` and the base58 digits."""
    return "z" + base58.b58encode(data).decode()


def multibase_decode(text: str) -> bytes:
    """The bytes of a base58btc multibase text. Raises ValueError for another base or a wrong digit."""
    if not text.startswith("z"):
        raise ValueError("not base58btc multibase")
    return base58.b58decode(text[1:])


def multihash_sha256(data: bytes) -> str:
    """The base58 (no multibase letter) of the SHA-256 multihash of ``data``, as did:webvh writes it."""
    return base58.b58encode(SHA2_256 + hashlib.sha256(data).digest()).decode()


def multikey_ed25519(public: bytes) -> str:
    """An Ed25519 public key as Multikey, ``z6Mk...``."""
    return multibase(ED25519_PUBLIC + public)


def multikey_ed25519_decode(text: str) -> bytes:
    """The 32 bytes of an Ed25519 Multikey. Raises ValueError for anything else."""
    data = multibase_decode(text)
    if len(data) != len(ED25519_PUBLIC) + 32 or not data.startswith(ED25519_PUBLIC):
        raise ValueError("not an Ed25519 Multikey")
    return data[len(ED25519_PUBLIC) :]
