"""Ed25519 as every verifier of this ledger judges it.

Implementations disagree about odd signatures (C2SP CCTV ed25519vectors). So the same pre-check runs everywhere before the
primitive: the key A, the point R and the scalar S are written in their one canonical way, and neither A nor R has small order.
Keys are also checked once, when they are registered: a point of prime order. The primitive is libsodium's.
"""

from typing import Final

from nacl.bindings import crypto_core_ed25519_is_valid_point, crypto_sign_seed_keypair
from nacl.bindings import crypto_sign_open as _open
from nacl.exceptions import CryptoError
from nacl.signing import SigningKey

from payouts.ledger.errors import BadKey, BadSignature

KEY_BYTES: Final = 32
SIGNATURE_BYTES: Final = 64

# RFC 8032 5.1: the prime of the field and the order of the base point.
_P: Final = 2**255 - 19
_L: Final = 2**252 + 27742317777372353535851937790883648493
# The y coordinates of the eight points of small order: 0, 1, -1 and two more. Both points with x = 0 are among them, so that
# a sign bit on x = 0 is refused here too.
_SMALL_ORDER_Y: Final = frozenset({
    0,
    1,
    _P - 1,
    int.from_bytes(bytes.fromhex("26e8958fc2b227b045c3f489f2ef98f0d5dfac05d3c63339b13802886d53fc05"), "little"),
    int.from_bytes(bytes.fromhex("c7176a703d4dd84fba3c0b760d10670f2a2053fa2c39ccc64ec7fd7792ac037a"), "little"),
})  # fmt: skip


def check_public_key(public: bytes) -> None:
    """Refuse a key at registration unless it is a canonical point of prime order. Raises BadKey."""
    if len(public) != KEY_BYTES or not crypto_core_ed25519_is_valid_point(public):
        raise BadKey


def verify(public: bytes, message: bytes, signature: bytes) -> None:
    """Refuse unless ``signature`` is the key's over ``message``. Raises BadSignature."""
    if len(public) != KEY_BYTES or len(signature) != SIGNATURE_BYTES:
        raise BadSignature("wrong length")
    if not (_is_good_point(public) and _is_good_point(signature[:KEY_BYTES])):
        raise BadSignature("a point is not canonical, or of small order")
    if int.from_bytes(signature[KEY_BYTES:], "little") >= _L:
        raise BadSignature("S is not canonical")
    try:
        _open(signature + message, public)
    except CryptoError as error:
        raise BadSignature from error


def sign(seed: bytes, message: bytes) -> bytes:
    """The signature by the key of a 32-byte seed."""
    return SigningKey(seed).sign(message).signature


def public_of(seed: bytes) -> bytes:
    """The public key of a 32-byte seed."""
    return crypto_sign_seed_keypair(seed)[0]


def _is_good_point(point: bytes) -> bool:
    y = int.from_bytes(point, "little") & (1 << 255) - 1
    return y < _P and y not in _SMALL_ORDER_Y
