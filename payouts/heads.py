"""The newest signed head of our log, and who vouches for it: for readers. The keys come from the log, not from the key store."""

from dataclasses import dataclass
from datetime import UTC, datetime

from payouts.ledger.checkpoint import open_checkpoint
from payouts.ledger.entries import parse_entry
from payouts.ledger.errors import LedgerError
from payouts.ledger.note import VerifierKey, parse_vkey
from payouts.ledger.rotation import ROTATE, InstanceKeys, keys_of_genesis
from payouts.models import LogEntry, PeerLog, SignedHead
from payouts.store import LogDamaged

WITNESS, AUDITOR, MIRROR = "witness", "auditor", "mirror"


@dataclass(frozen=True)
class Cosigner:
    """Who put a verified cosignature on a head, when, and what its key says: ``witness``, ``auditor`` or ``mirror``."""

    name: str
    role: str
    at: datetime


@dataclass(frozen=True)
class Head:
    """A signed head. ``note`` is the note with all signatures it has; ``cosigners`` those that verify."""

    origin: str
    size: int
    root: bytes
    signed_at: datetime
    note: bytes
    cosigners: tuple[Cosigner, ...]

    def by(self, role: str) -> tuple[Cosigner, ...]:
        """The cosigners of one role."""
        return tuple(one for one in self.cosigners if one.role == role)


def newest_head() -> Head | None:
    """The newest head that was signed; None before the log has begun."""
    row = SignedHead.objects.order_by("-size").first()
    return open_row(row) if row is not None else None


def open_row(row: SignedHead) -> Head:
    """A head whose signatures were verified. Raises LogDamaged for one that our key did not sign, or with a false cosignature."""
    keys = log_keys()
    try:
        signed = open_checkpoint(row.full_note, origin=keys[0].name, log_keys=keys, cosigners=cosigner_keys())
    except LedgerError as error:
        raise LogDamaged(f"the head of size {row.size}: {error.code}") from error
    cosigners = tuple(
        Cosigner(one.key.name, role_of(one.key.name), datetime.fromtimestamp(one.timestamp, UTC))
        for one in signed.note.signatures
        if one.key not in keys
    )
    checkpoint = signed.checkpoint
    return Head(checkpoint.origin, checkpoint.size, checkpoint.root, row.signed_at, row.full_note, cosigners)


def log_keys() -> list[VerifierKey]:
    """The keys that may have signed our heads: that of the genesis, and those that came by rotation."""
    rows = LogEntry.objects.filter(type__in=("genesis", ROTATE)).order_by("index")
    entries = [parse_entry(bytes(row.data)) for row in rows]
    return [keys_of_genesis(entries[0]).ledger, *(parse_vkey(entry.body["new"]) for entry in entries[1:])]


def cosigner_keys() -> list[VerifierKey]:
    """The keys of everybody whose cosignature we can tell: witness, auditor and mirror of each ledger that we follow."""
    known = [keys for keys in map(_keys_of, PeerLog.objects.order_by("origin").only("genesis")) if keys is not None]
    return [key for keys in known for key in (keys.witness, keys.auditor, keys.mirror)]


def role_of(name: str) -> str:
    """What a cosigner's key says by its name (``HOST/auditor/1``); the key of any other witness says no more than a witness."""
    role = name.partition("/")[2].partition("/")[0]
    return role if role in (AUDITOR, MIRROR) else WITNESS


def _keys_of(peer: PeerLog) -> InstanceKeys | None:
    try:
        return keys_of_genesis(parse_entry(bytes(peer.genesis)))
    except LedgerError:
        return None
