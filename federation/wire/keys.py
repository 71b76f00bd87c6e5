"""Public keys of others and private keys of ours, each parsed once. Pure."""

from dataclasses import dataclass
from functools import lru_cache

from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ed25519, rsa

from server.core import limits
from server.core.errors import TributaryError

RSA_EXPONENT_MAX = 2**32

PublicKey = rsa.RSAPublicKey | ed25519.Ed25519PublicKey


class BadKey(TributaryError):
    """This is not a key that we accept: only RSA with 2048 to 8192 bits, and Ed25519."""

    code, status, permanent = "bad_key", 401, True


@dataclass(frozen=True)
class Key:
    """A public key and whose it is: ``owner`` is the id of the actor whose own document lists it."""

    id: str
    owner: str
    pem: str


@lru_cache(maxsize=4096)
def load_public(pem: str) -> PublicKey:
    """A parsed key of an acceptable kind and size. Raises BadKey."""
    try:
        key = serialization.load_pem_public_key(pem.encode())
    except (ValueError, TypeError, UnsupportedAlgorithm) as error:
        raise BadKey("not a public key in PEM") from error
    if isinstance(key, ed25519.Ed25519PublicKey):
        return key
    if not isinstance(key, rsa.RSAPublicKey):
        raise BadKey(f"a key of another kind: {type(key).__name__}")
    if not limits.RSA_BITS_MIN <= key.key_size <= limits.RSA_BITS_MAX:
        raise BadKey(f"an RSA key of {key.key_size} bits")
    if key.public_numbers().e > RSA_EXPONENT_MAX:
        raise BadKey("an RSA key with a huge exponent")
    return key


@lru_cache(maxsize=1024)
def load_private(pem: bytes) -> rsa.RSAPrivateKey:
    """Our own key. Its arithmetic is not checked again (38 ms each time): we made it ourselves."""
    key = serialization.load_pem_private_key(pem, None, unsafe_skip_rsa_key_validation=True)
    assert isinstance(key, rsa.RSAPrivateKey)
    return key
