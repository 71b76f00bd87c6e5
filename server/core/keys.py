"""Key pairs this server holds for itself and for its accounts. Private halves are sealed before they touch the database."""

import functools
import json
from dataclasses import dataclass
from pathlib import Path

from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import rsa
from django.conf import settings
from django.db import transaction
from nacl.public import PrivateKey
from nacl.secret import SecretBox
from nacl.signing import SigningKey

from server.core import canonical, clock, limits
from server.core.models import InstanceKey


@dataclass(frozen=True)
class KeyPair:
    """``public``: PEM (SPKI) for RSA, Multikey for Ed25519. ``private_sealed``: a libsodium secret box."""

    algorithm: str
    public: str
    private_sealed: bytes


@functools.cache
def _box() -> SecretBox:
    path: Path = settings.SECRETS_DIR / "sealing_key"
    return SecretBox(bytes.fromhex(path.read_text().strip()))


def seal(private: bytes) -> bytes:
    """Encrypt a private key for the database, with the sealing key of the data directory."""
    return bytes(_box().encrypt(private))


def unseal(sealed: bytes) -> bytes:
    """The private key again. Raises nacl.exceptions.CryptoError when the sealing key is another one."""
    return _box().decrypt(bytes(sealed))


def make_rsa() -> KeyPair:
    """A new RSA-2048 pair, for HTTP signatures that every server knows."""
    return rsa_pair(rsa.generate_private_key(public_exponent=65537, key_size=limits.RSA_BITS_MIN))


def rsa_pair(key: rsa.RSAPrivateKey) -> KeyPair:
    """An RSA key that somebody has already."""
    private = key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    public = key.public_key().public_bytes(serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo)
    return KeyPair("rsa", public.decode(), seal(private))


def make_ed25519() -> KeyPair:
    """A new Ed25519 pair; the public half as Multikey (``z6Mk...``)."""
    key = SigningKey.generate()
    return KeyPair("ed25519", canonical.multikey_ed25519(bytes(key.verify_key)), seal(bytes(key)))


def make_x25519() -> KeyPair:
    """A new X25519 pair for sealed boxes; the public half as Multikey (``z6LS...``)."""
    key = PrivateKey.generate()
    return KeyPair("x25519", canonical.multibase(canonical.X25519_PUBLIC + bytes(key.public_key)), seal(bytes(key)))


MAKERS = {"rsa": make_rsa, "ed25519": make_ed25519, "x25519": make_x25519}


def kept_path(name: str) -> Path:
    """Where the sealed copy of an instance key lies beside the database (``payouts.instance_keys.keep_apart``)."""
    path: Path = settings.SECRETS_DIR / "ledger" / name.replace("/", "-")
    return path


def instance_key(name: str, algorithm: str) -> InstanceKey:
    """The instance's key called ``name`` (``main-key``, ``instance-1``...), made on first use.

    One that the database lost, because the transaction that made it was rolled back, is taken from its copy beside it.
    """
    found = InstanceKey.objects.filter(name=name).first()
    if found is not None:
        return found
    pair = _kept(name) or MAKERS[algorithm]()
    with transaction.atomic():
        made, _ = InstanceKey.objects.get_or_create(
            name=name,
            defaults={
                "algorithm": pair.algorithm,
                "public": pair.public,
                "private_sealed": pair.private_sealed,
                "created_at": clock.now(),
            },
        )
    return made


def _kept(name: str) -> KeyPair | None:
    path = kept_path(name)
    if not path.exists():
        return None
    kept = json.loads(path.read_text())
    return KeyPair(kept["algorithm"], kept["public"], bytes.fromhex(kept["sealed"]))
