"""The keys of this instance that its log names (FORMATS 1.2), made on first use."""

import json
import os
import secrets
from pathlib import Path

from django.conf import settings
from nacl.signing import SigningKey

from payouts.ledger.note import COSIGNATURE, ED25519, Signer
from server.core import canonical, clock, keys, locators
from server.core.models import InstanceKey

ROLES = {"ledger": ED25519, "witness": COSIGNATURE, "auditor": COSIGNATURE, "mirror": COSIGNATURE}
NAMES = {**{f"{role}/1": "ed25519" for role in ROLES}, "instance-1": "ed25519", "instance-box-1": "x25519"}


def origin() -> str:
    """The name of our log."""
    return f"{settings.HOST}/ledger/1"


def signer(role: str) -> Signer:
    """The ledger, witness, auditor or mirror key; each says one thing only."""
    held = _held(f"{role}/1", "ed25519")
    return Signer(f"{settings.HOST}/{role}/1", ROLES[role], keys.unseal(bytes(held.private_sealed)))


def instance_signing_key() -> SigningKey:
    """``#instance-1``: agreements and receipts."""
    return SigningKey(keys.unseal(bytes(_held("instance-1", "ed25519").private_sealed)))


def instance_public() -> str:
    """The Multikey of ``#instance-1``."""
    return _held("instance-1", "ed25519").public


def instance_method() -> str:
    """The id of ``#instance-1``, as proofs name it."""
    return f"{locators.instance_actor_uri()}#instance-1"


def instance_box() -> str:
    """The Multikey of ``#instance-box-1``, to which payout routes are sealed."""
    return _held("instance-box-1", "x25519").public


def keep_apart() -> None:
    """Write the keys that the genesis will name, sealed, beside the database.

    The genesis stays in the log's files even when the transaction that made the keys is rolled back; they must stay too.
    """
    for name, algorithm in NAMES.items():
        held, path = _held(name, algorithm), _path(name)
        if not path.exists():
            text = json.dumps({"algorithm": held.algorithm, "public": held.public, "sealed": bytes(held.private_sealed).hex()})
            path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
            write_secret(path, text)


def _held(name: str, algorithm: str) -> InstanceKey:
    found = InstanceKey.objects.filter(name=name).first()
    if found is None and _path(name).exists():
        kept = json.loads(_path(name).read_text())
        found, _ = InstanceKey.objects.get_or_create(
            name=name,
            defaults={
                "algorithm": kept["algorithm"],
                "public": kept["public"],
                "private_sealed": bytes.fromhex(kept["sealed"]),
                "created_at": clock.now(),
            },
        )
    return found or keys.instance_key(name, algorithm)


def _path(name: str) -> Path:
    path: Path = settings.SECRETS_DIR / "ledger" / name.replace("/", "-")
    return path


def write_secret(path: Path, text: str) -> None:
    """Write a new file that nobody else may read; it is on the disk, whole, when this returns."""
    passing = path.with_name(f".{path.name}.{os.getpid()}")
    handle = os.open(passing, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    with os.fdopen(handle, "w") as file:
        file.write(text)
        file.flush()
        os.fsync(file.fileno())
    passing.replace(path)


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
        write_secret(path, secrets.token_hex(32))
    key = SigningKey(bytes.fromhex(path.read_text()))
    return canonical.multikey_ed25519(bytes(key.verify_key))
