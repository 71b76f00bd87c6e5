"""The keys of this instance that its log names (FORMATS 1.2), made on first use."""

import os
import secrets
from pathlib import Path

from django.conf import settings
from nacl.signing import SigningKey

from payouts.ledger.note import COSIGNATURE, ED25519, Signer
from server.core import canonical, keys, locators

ROLES = {"ledger": ED25519, "witness": COSIGNATURE, "auditor": COSIGNATURE, "mirror": COSIGNATURE}


def origin() -> str:
    """The name of our log."""
    return f"{settings.HOST}/ledger/1"


def signer(role: str) -> Signer:
    """The ledger, witness, auditor or mirror key; each says one thing only."""
    held = keys.instance_key(f"{role}/1", "ed25519")
    return Signer(f"{settings.HOST}/{role}/1", ROLES[role], keys.unseal(held.private_sealed))


def instance_signing_key() -> SigningKey:
    """``#instance-1``: agreements and receipts."""
    return SigningKey(keys.unseal(keys.instance_key("instance-1", "ed25519").private_sealed))


def instance_method() -> str:
    """The id of ``#instance-1``, as proofs name it."""
    return f"{locators.instance_actor_uri()}#instance-1"


def instance_box() -> str:
    """The Multikey of ``#instance-box-1``, to which payout routes are sealed."""
    return keys.instance_key("instance-box-1", "x25519").public


def root_path() -> Path:
    """The file of the instance root key; to be moved offline once it has been copied."""
    path: Path = settings.SECRETS_DIR / "instance_root"
    return path


def make_root() -> str:
    """Make the instance root if it was never made, and give its Multikey.

    Only the public half is needed afterwards: it stands in the genesis. Rotations ask for the file again.
    """
    path = root_path()
    if not path.exists():
        handle = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        with os.fdopen(handle, "w") as file:
            file.write(secrets.token_hex(32))
            file.flush()
            os.fsync(file.fileno())
    key = SigningKey(bytes.fromhex(path.read_text()))
    return canonical.multikey_ed25519(bytes(key.verify_key))

