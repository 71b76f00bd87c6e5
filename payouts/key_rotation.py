"""Changing the key that signs our log. Three signatures are asked for: by the offline root, the old key and the new one.

A ``key.rotate`` entry says it; the first head over it is signed by the new key, and the old one signs nothing after it. Whoever
stole the old key can show heads up to that place only, whatever time they claim.
"""

from dataclasses import dataclass

from django.db import transaction

from payouts import instance_keys, log, standing
from payouts.ledger import ed25519
from payouts.ledger.entries import Draft, parse_entry
from payouts.ledger.multikey import multikey
from payouts.ledger.note import VerifierKey
from payouts.ledger.rotation import ROTATE, rotation_body
from payouts.models import LogEntry
from server.core.errors import Invalid

SEED_BYTES = 32


@dataclass(frozen=True)
class Rotated:
    """A rotation that stands in the log."""

    index: int
    old: VerifierKey
    new: VerifierKey


def rotate_ledger_key(*, root_seed: bytes) -> Rotated:
    """Replace the ledger key by a new one. ``root_seed``: the 32 bytes of the offline instance root.

    Raises Invalid for another root than the genesis names; nothing has changed then. A crash before the entry is written leaves a
    key that signs nothing; the next try uses it.
    """
    log.begin_log()
    standing.require_writable()
    genesis = parse_entry(bytes(LogEntry.objects.get(index=0).data))
    if len(root_seed) != SEED_BYTES or multikey(ed25519.public_of(root_seed), "ed25519") != genesis.body["root"]:
        raise Invalid("This is not the root key that the genesis of this ledger names.")
    # Outside of the append: the new key is durable before an entry names it.
    with transaction.atomic():
        new = instance_keys.next_ledger_key()
    old = instance_keys.signer("ledger")
    body = rotation_body(genesis.origin, root_seed=root_seed, old=old, new=new)
    (entry,) = log.append([Draft(ROTATE, log.make_id(ROTATE, new.verifier), body, {})])
    return Rotated(entry.index, old.verifier, new.verifier)
