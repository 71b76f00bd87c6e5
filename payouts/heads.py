"""The newest signed head of our log, and who vouches for it: for readers."""

from dataclasses import dataclass
from datetime import UTC, datetime

from payouts import instance_keys, witnesses
from payouts.ledger.checkpoint import open_checkpoint
from payouts.ledger.entries import parse_entry
from payouts.ledger.errors import LedgerError
from payouts.ledger.note import VerifierKey
from payouts.ledger.rotation import InstanceKeys, keys_of_genesis
from payouts.models import PeerLog, SignedHead
from payouts.store import LogDamaged

WITNESS, AUDITOR, MIRROR = "witness", "auditor", "mirror"
# How far back the newest word of each auditor is looked for; whoever is silent for longer has stopped.
AUDITED_HEADS_MAX = 200


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


@dataclass(frozen=True)
class Audit:
    """The newest head of which an auditor said that every close below ``size`` came out equal."""

    size: int
    cosigner: Cosigner


def newest_head() -> Head | None:
    """The newest head that was signed; None before the log has begun."""
    row = SignedHead.objects.order_by("-size").first()
    return open_row(row) if row is not None else None


def open_row(row: SignedHead) -> Head:
    """A head whose signatures were verified. Raises LogDamaged for one that our key did not sign, or with a false cosignature."""
    key = instance_keys.ledger_keys().at(row.size)
    try:
        signed = open_checkpoint(row.full_note, origin=key.name, log_keys=[key], cosigners=cosigner_keys())
    except LedgerError as error:
        raise LogDamaged(f"the head of size {row.size}: {error.code}") from error
    cosigners = tuple(
        Cosigner(one.key.name, role_of(one.key.name), datetime.fromtimestamp(one.timestamp, UTC))
        for one in signed.note.signatures
        if one.key != key
    )
    checkpoint = signed.checkpoint
    return Head(checkpoint.origin, checkpoint.size, checkpoint.root, row.signed_at, row.full_note, cosigners)


def audits() -> list[Audit]:
    """What the auditors of others say of our settlements, as far as this instance was told: the newest word of each, by name."""
    found: dict[str, Audit] = {}
    told = SignedHead.objects.filter(cosignatures__contains=f"/{AUDITOR}/").order_by("-size")[:AUDITED_HEADS_MAX]
    for row in told:
        names = {line.split(" ")[1] for line in row.cosignatures.splitlines() if f"/{AUDITOR}/" in line}
        # Verified only where there is somebody new.
        if names - found.keys():
            for one in open_row(row).by(AUDITOR):
                found.setdefault(one.name, Audit(row.size, one))
    return [found[name] for name in sorted(found)]


def cosigner_keys() -> list[VerifierKey]:
    """The keys of everybody whose cosignature we can tell: our witnesses, and what the ledgers that we follow say with theirs."""
    known = [keys for keys in map(_keys_of, PeerLog.objects.order_by("origin").only("genesis")) if keys is not None]
    told = [key for keys in known for key in (keys.witness, keys.auditor, keys.mirror)]
    return list(dict.fromkeys([*witnesses.keys(), *told]))


def role_of(name: str) -> str:
    """What a cosigner's key says by its name (``HOST/auditor/1``); the key of any other witness says no more than a witness."""
    role = name.partition("/")[2].partition("/")[0]
    return role if role in (AUDITOR, MIRROR) else WITNESS


def _keys_of(peer: PeerLog) -> InstanceKeys | None:
    try:
        return keys_of_genesis(parse_entry(bytes(peer.genesis)))
    except LedgerError:
        return None
