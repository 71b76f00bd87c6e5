"""Sealed parts: libsodium sealed boxes to the owner's ``#box`` key. Whoever seals cannot open. Pure."""

from nacl.exceptions import CryptoError
from nacl.public import PrivateKey, PublicKey, SealedBox

from server.core import canonical
from server.portability.errors import BadPart

OVERHEAD_BYTES = 48


def seal(data: bytes, *, box: str) -> bytes:
    """``data`` for the holder of the X25519 Multikey ``box`` alone. Each call gives other bytes."""
    return bytes(SealedBox(PublicKey(canonical.multikey_x25519_decode(box))).encrypt(data))


def unseal(data: bytes, *, key: bytes) -> bytes:
    """What was sealed to the X25519 private key ``key``. Raises BadPart."""
    try:
        return bytes(SealedBox(PrivateKey(key)).decrypt(data))
    except (CryptoError, ValueError, TypeError) as error:
        raise BadPart("This part is sealed to another key, or damaged.") from error
