"""A statement: everything that shows what this instance owes to one identity, in a file that anyone can check offline."""

from collections.abc import Iterable
from dataclasses import dataclass

from payouts import instance_keys, store
from payouts.ledger.accounts_root import parse_blob
from payouts.ledger.checkpoint import SignedCheckpoint, open_checkpoint
from payouts.ledger.debtor import ACCOUNTS_ROOT
from payouts.ledger.entries import Entry, parse_entry
from payouts.ledger.errors import LedgerError
from payouts.ledger.note import VerifierKey
from payouts.ledger.rotation import ROTATE, keys_of_genesis
from payouts.ledger.statement import assemble, debtor_part
from payouts.ledger.tiles import TreeReader
from payouts.models import EntryOfAccount, LogEntry, PeerLog, SignedHead
from payouts.store import DiskTiles
from server.core.errors import NotFound
from server.identity import queries as identities


@dataclass(frozen=True)
class Books:
    """What stands here about one identity up to an accounts root."""

    root: Entry
    entries: dict[int, bytes]
    agreements: list[bytes]


def build(scid: str) -> bytes:
    """The statement file of what we owe ``scid``, as of the latest accounts root.

    Raises NotFound when nothing was ever written about this identity, or its log is not known here.
    """
    lines = identities.log_bytes(identities.by_scid(scid)).splitlines()
    books = _books(scid)
    signed = _signed_head(books.root.index)
    genesis = bytes(LogEntry.objects.get(index=0).data)
    part = debtor_part(
        signed=signed,
        genesis=genesis,
        entries=books.entries,
        agreements=books.agreements,
        run=parse_blob(store.read_blob(books.root.body["blob"], public=True)).run(scid),
        nodes=TreeReader(DiskTiles(), signed.checkpoint.size),
    )
    return assemble(scid=scid, identity=lines, parts=[part], logs=[_ledger_key()], signed=[signed])


def witness_keys() -> list[VerifierKey]:
    """The witness keys of the instances that we follow."""
    return [keys_of_genesis(parse_entry(bytes(peer.genesis))).witness for peer in PeerLog.objects.order_by("origin")]


def open_head(head: SignedHead) -> SignedCheckpoint:
    """A signed head with the cosignatures that verify."""
    return open_checkpoint(
        head.full_note, origin=instance_keys.origin(), log_keys=[_ledger_key()], cosigners=witness_keys()
    )  # fmt: skip


def _ledger_key() -> VerifierKey:
    return instance_keys.signer("ledger").verifier


def _books(scid: str) -> Books:
    last = LogEntry.objects.filter(type=ACCOUNTS_ROOT).order_by("-index").first()
    touches = EntryOfAccount.objects.filter(scid=scid)
    if last is None or not touches.filter(entry_id__lt=last.index).exists():
        raise NotFound("Nothing is owed to this identity here, or its account was not committed yet: try again tomorrow.")
    # What came after the root is for the next one: a statement speaks as of one moment.
    own = LogEntry.objects.filter(index__in=touches.filter(entry_id__lt=last.index).values("entry_id"))
    rotations = LogEntry.objects.filter(type=ROTATE)
    entries = {row.index: bytes(row.data) for row in [*own, *rotations, last]}
    return Books(parse_entry(bytes(last.data)), entries, _agreements(entries.values()))


def _agreements(entries: Iterable[bytes]) -> list[bytes]:
    """The bytes of the agreements that the entries rest on, by id."""
    ids: set[str] = set()
    for entry in map(parse_entry, entries):
        if entry.type == "accrue":
            ids.update(entry.body["agreements"])
        elif entry.type == "claim":
            ids.add(entry.body["agreement"])
    announced = (parse_entry(bytes(row.data)) for row in LogEntry.objects.filter(type="agreement"))
    blobs = {entry.body["agreement"]: entry.body["blob"] for entry in announced}
    return [store.read_blob(blobs[one], public=True) for one in sorted(ids)]


def _signed_head(index: int) -> SignedCheckpoint:
    """The newest head over entry ``index`` that somebody else has cosigned; else the newest."""
    heads = SignedHead.objects.filter(size__gt=index).order_by("-size")
    head = heads.exclude(cosignatures="").first() or heads.first()
    if head is None:
        raise LedgerError("the accounts root is not signed")
    return open_head(head)
