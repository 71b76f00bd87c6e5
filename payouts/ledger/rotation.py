"""The instance's keys: what its genesis entry lists, and which ledger key signs at which size.

A ``key.rotate`` entry carries three signatures: by the offline root, by the key that goes and by the key that comes. The new key
signs every checkpoint that contains the entry; which key was right is so a question of log position, never of claimed time.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any, Final

from payouts.ledger import canonical, ed25519
from payouts.ledger.entries import Entry
from payouts.ledger.errors import BadKey, BadRotation, LedgerError
from payouts.ledger.fields import from_base64, to_base64
from payouts.ledger.multikey import multikey_bytes
from payouts.ledger.note import COSIGNATURE, ED25519, Signer, VerifierKey, parse_vkey

GENESIS: Final = "genesis"
ROTATE: Final = "key.rotate"


@dataclass(frozen=True, slots=True)
class InstanceKeys:
    """The keys of a genesis entry. ``root`` and ``instance`` are Ed25519, 32 bytes."""

    origin: str
    root: bytes
    ledger: VerifierKey
    witness: VerifierKey
    auditor: VerifierKey
    mirror: VerifierKey
    instance: bytes


def keys_of_genesis(entry: Entry) -> InstanceKeys:
    """The keys of the first entry of a log, each with the name that FORMATS gives it. Raises BadKey."""
    if entry.type != GENESIS or entry.index != 0:
        raise BadKey("the first entry is no genesis")
    body = entry.body
    host = entry.origin.partition("/")[0]
    names = {
        "ledger": (entry.origin, ED25519),
        "witness": (f"{host}/witness/1", COSIGNATURE),
        "auditor": (f"{host}/auditor/1", COSIGNATURE),
        "mirror": (f"{host}/mirror/1", COSIGNATURE),
    }
    keys = {}
    for member, (name, algorithm) in names.items():
        key = parse_vkey(body[member])
        if (key.name, key.algorithm) != (name, algorithm):
            raise BadKey(f"{member} is {key.name}, algorithm {key.algorithm}")
        keys[member] = key
    if len({key.public for key in keys.values()}) != len(keys):
        raise BadKey("one key says one thing only")
    root, instance = multikey_bytes(body["root"], "ed25519"), multikey_bytes(body["instance"], "ed25519")
    multikey_bytes(body["box"], "x25519")
    ed25519.check_public_key(root)
    ed25519.check_public_key(instance)
    return InstanceKeys(entry.origin, root, **keys, instance=instance)


def rotation_text(origin: str, old: str, new: str) -> bytes:
    """What the three keys sign."""
    return canonical.encode(["key.rotate/1", origin, old, new])


def rotation_body(origin: str, *, root_seed: bytes, old: Signer, new: Signer) -> dict[str, Any]:
    """The body of a ``key.rotate`` entry."""
    vkeys = str(old.verifier), str(new.verifier)
    text = rotation_text(origin, *vkeys)
    return {
        "old": vkeys[0],
        "new": vkeys[1],
        "root_signature": to_base64(ed25519.sign(root_seed, text)),
        "old_signature": to_base64(ed25519.sign(old.seed, text)),
        "new_signature": to_base64(ed25519.sign(new.seed, text)),
    }


def key_after(keys: InstanceKeys, current: VerifierKey, entry: Entry) -> VerifierKey:
    """The ledger key after a ``key.rotate`` entry. Raises BadRotation."""
    body = entry.body
    if body["old"] != str(current):
        raise BadRotation(f"entry {entry.index} does not follow the key in use")
    try:
        new = parse_vkey(body["new"])
        text = rotation_text(entry.origin, body["old"], body["new"])
        for public, member in ((keys.root, "root_signature"), (current.public, "old_signature"), (new.public, "new_signature")):
            ed25519.verify(public, text, from_base64(body[member]))
    except LedgerError as error:
        raise BadRotation(f"entry {entry.index}: {error.code}") from error
    if (new.name, new.algorithm) != (entry.origin, ED25519) or new == current:
        raise BadRotation(f"entry {entry.index}: {new.name} cannot sign this log")
    return new


def ledger_key_at(keys: InstanceKeys, rotations: Iterable[Entry]) -> VerifierKey:
    """The key that signs a checkpoint over the genesis and these ``key.rotate`` entries, all there are, in order."""
    current = keys.ledger
    for entry in rotations:
        current = key_after(keys, current, entry)
    return current
