"""A statement: everything that shows what this instance owes to one identity, in a file that anyone can check offline."""

from collections.abc import Iterable
from dataclasses import dataclass

from payouts import instance_keys, store, witnesses
from payouts.ledger.accounts_root import parse_blob
from payouts.ledger.checkpoint import SignedCheckpoint, open_checkpoint
from payouts.ledger.debtor import ACCOUNTS_ROOT
from payouts.ledger.entries import Entry, parse_entry
from payouts.ledger.errors import LedgerError
from payouts.ledger.policy import counted_cosignatures
from payouts.ledger.rotation import ROTATE
from payouts.ledger.statement import assemble, debtor_part
from payouts.ledger.tiles import TreeReader
from payouts.models import EntryOfAccount, LogEntry, SignedHead
from payouts.store import DiskTiles
from server.core.errors import NotFound
from server.identity import queries as identities

# Witnesses answer within a minute; whoever asks for a statement while they are slow gets an older head, not a search.
HEADS_LOOKED_AT_MAX = 32


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
    root = _newest_root(scid)
    signed = _signed_head(root.index)
    books = _books(scid, root, signed.checkpoint.size)
    genesis = bytes(LogEntry.objects.get(index=0).data)
    part = debtor_part(
        signed=signed,
        genesis=genesis,
        entries=books.entries,
        agreements=books.agreements,
        run=parse_blob(store.read_blob(books.root.body["blob"], public=True)).run(scid),
        nodes=TreeReader(DiskTiles(), signed.checkpoint.size),
    )
    return assemble(
        scid=scid, identity=lines, parts=[part], logs=[instance_keys.ledger_keys().at(signed.checkpoint.size)], signed=[signed]
    )


def open_head(head: SignedHead) -> SignedCheckpoint:
    """A signed head with the cosignatures that verify."""
    key = instance_keys.ledger_keys().at(head.size)
    return open_checkpoint(head.full_note, origin=instance_keys.origin(), log_keys=[key], cosigners=witnesses.keys())


def _newest_root(scid: str) -> LogEntry:
    last = LogEntry.objects.filter(type=ACCOUNTS_ROOT).order_by("-index").first()
    if last is None or not EntryOfAccount.objects.filter(scid=scid, entry_id__lt=last.index).exists():
        raise NotFound("Nothing is owed to this identity here, or its account was not committed yet: try again tomorrow.")
    return last


def _books(scid: str, root: LogEntry, size: int) -> Books:
    # What came after the root is for the next one: a statement speaks as of one moment.
    touches = EntryOfAccount.objects.filter(scid=scid, entry_id__lt=root.index)
    own = LogEntry.objects.filter(index__in=touches.values("entry_id"))
    rotations = LogEntry.objects.filter(type=ROTATE, index__lt=size)
    entries = {row.index: bytes(row.data) for row in [*own, *rotations, root]}
    return Books(parse_entry(bytes(root.data)), entries, _agreements(entries.values()))


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
    """The newest head over entry ``index`` that our policy calls witnessed; else that somebody has cosigned; else the newest."""
    heads = SignedHead.objects.filter(size__gt=index).order_by("-size")
    newest = heads.first()
    if newest is None:
        raise LedgerError("the accounts root is not signed")
    cosigned = [open_head(head) for head in heads.exclude(cosignatures="")[:HEADS_LOOKED_AT_MAX]]
    least = max(1, witnesses.quorum())
    good = (one for one in cosigned if len(counted_cosignatures(one)) >= least)
    return next(good, None) or next(iter(cosigned), None) or open_head(newest)
