"""The keys of this instance that its log names (FORMATS 1.2), made on first use."""

import json
import os
import secrets
from functools import lru_cache
from pathlib import Path

from django.conf import settings
from nacl.signing import SigningKey

from payouts.ledger.entries import parse_entry
from payouts.ledger.keyhistory import KeyHistory, history_of
from payouts.ledger.note import COSIGNATURE, ED25519, Signer, VerifierKey
from payouts.ledger.rotation import ROTATE, keys_of_genesis
from payouts.models import LogEntry
from server.core import canonical, keys, locators, storage
from server.core.errors import NotFound
from server.core.models import InstanceKey

ROLES = {"ledger": ED25519, "witness": COSIGNATURE, "auditor": COSIGNATURE, "mirror": COSIGNATURE}
NAMES = {**{f"{role}/1": "ed25519" for role in ROLES}, "instance-1": "ed25519", "instance-box-1": "x25519"}


def origin() -> str:
    """The name of our log."""
    return f"{settings.HOST}/ledger/1"


def signer(role: str) -> Signer:
    """The ledger, witness, auditor or mirror key; each says one thing only. Of ledger keys: the one in use.

    Raises NotFound when the log is signed by a ledger key that is not here.
    """
    if role == "ledger":
        return signer_of(ledger_keys().newest)
    return _signer(role, keys.instance_key(f"{role}/1", "ed25519"))


def witness() -> Signer:
    """The witness key, kept in memory: it never changes, and is asked for with every head of every log."""
    return _witness(str(settings.LEDGER_DIR))


@lru_cache(maxsize=8)
def _witness(_folder: str) -> Signer:
    return signer("witness")


def signer_of(key: VerifierKey) -> Signer:
    """The private half of a ledger key of ours. Raises NotFound when it is not here: restore the secrets."""
    for name in _ledger_names():
        one = _signer("ledger", keys.instance_key(name, "ed25519"))
        if one.verifier == key:
            return one
    raise NotFound("the key of this log is not here; restore the secrets of the data directory")


def ledger_keys() -> KeyHistory:
    """Which of our ledger keys was right at which size, as our log says; before it begins, the key it will begin with."""
    rows = LogEntry.objects.filter(type__in=("genesis", ROTATE)).order_by("index")
    entries = [parse_entry(bytes(row.data)) for row in rows]
    if not entries:
        return KeyHistory(_signer("ledger", keys.instance_key("ledger/1", "ed25519")).verifier)
    return history_of(keys_of_genesis(entries[0]), entries[1:])


def next_ledger_key() -> Signer:
    """The ledger key that comes next, made on first use and kept in the database and beside it, sealed.

    It signs nothing before an entry of the log names it; asked for again, after a crash, it is the same.
    """
    history = ledger_keys()
    known = {history.first, *(key for _, key in history.later)}
    names = _ledger_names()
    for name in names:
        one = _signer("ledger", keys.instance_key(name, "ed25519"))
        if one.verifier not in known:
            return one
    made = _signer("ledger", keys.instance_key(f"ledger/1/{len(names) + 1}", "ed25519"))
    keep_apart()
    return made


def _signer(role: str, held: InstanceKey) -> Signer:
    return Signer(f"{settings.HOST}/{role}/1", ROLES[role], keys.unseal(bytes(held.private_sealed)))


def _ledger_names() -> list[str]:
    """The names of all our ledger keys, in the database or beside it, newest first."""
    names = set(InstanceKey.objects.filter(name__startswith="ledger/1").values_list("name", flat=True))
    names |= {path.name.replace("-", "/") for path in keys.kept_path("ledger/1").parent.glob("ledger-1*")}
    return sorted(names, key=lambda name: (len(name), name), reverse=True)


def instance_signing_key() -> SigningKey:
    """``#instance-1``: agreements and receipts."""
    return SigningKey(keys.unseal(bytes(keys.instance_key("instance-1", "ed25519").private_sealed)))


def instance_public() -> str:
    """The Multikey of ``#instance-1``."""
    return keys.instance_key("instance-1", "ed25519").public


def instance_method() -> str:
    """The id of ``#instance-1``, as proofs name it."""
    return f"{locators.instance_actor_uri()}#instance-1"


def instance_box() -> str:
    """The Multikey of ``#instance-box-1``, to which payout routes are sealed."""
    return keys.instance_key("instance-box-1", "x25519").public


def public_keys() -> dict[str, str]:
    """The keys that the genesis lists."""
    return {
        "root": make_root(),
        **{role: str(signer(role).verifier) for role in ROLES},
        "instance": instance_public(),
        "box": instance_box(),
    }


def keep_apart() -> None:
    """Write the keys that the log names, sealed, beside the database.

    An entry stays in the log's files even when the transaction that made the keys is rolled back; they must stay too.
    """
    for name, algorithm in {**NAMES, **dict.fromkeys(_ledger_names(), "ed25519")}.items():
        held, path = keys.instance_key(name, algorithm), keys.kept_path(name)
        if not path.exists():
            text = json.dumps({"algorithm": held.algorithm, "public": held.public, "sealed": bytes(held.private_sealed).hex()})
            path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
            write_secret(path, text)


def write_secret(path: Path, text: str) -> None:
    """Write a new file that nobody else may read; it is on the disk, whole, when this returns."""
    passing = path.with_name(f".{path.name}.{os.getpid()}")
    handle = os.open(passing, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    with os.fdopen(handle, "w") as file:
        file.write(text)
        file.flush()
        os.fsync(file.fileno())
    passing.replace(path)
    storage.sync_folder(path.parent)


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
