"""One entry of our log for people: what it says, its neighbours, and the proof that it stands in the newest signed tree.

Everything here is public already: it is read from the log. What the staff keeps (evidence) is named by its hash alone.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime

from payouts import proof_path, store, words
from payouts.heads import Head, newest_head
from payouts.ledger.entries import Entry, parse_entry
from payouts.ledger.errors import BadTile
from payouts.ledger.fields import ZERO_HASH
from payouts.ledger.merkle import prove_inclusion
from payouts.ledger.tiles import TreeReader
from payouts.ledger.tlogproof import TlogProof, format_tlog_proof
from payouts.models import EntryOfAccount, LogEntry
from payouts.proof_path import Step
from payouts.store import DiskTiles, LogDamaged
from server.core.errors import NotFound

PAGE_COUNT = 50


@dataclass(frozen=True)
class Posting:
    """Money on one account: more of it (``amount`` > 0: debit) or less, in millionths."""

    account: str
    words: str
    currency: str
    amount: int


@dataclass(frozen=True)
class Chained:
    """An identity's account that the entry touches; ``before`` and ``after`` are the entries that touched it last and next."""

    scid: str
    currency: str
    seq: int
    balance_after: int
    held_after: int
    before: int | None
    after: int | None


@dataclass(frozen=True)
class Proof:
    """That the entry stands under a signed head. ``path`` leads from the leaf up to ``head.root``."""

    leaf: bytes
    hashes: tuple[bytes, ...]
    head: Head
    path: tuple[Step, ...]

    @property
    def levels(self) -> int:
        """How many hashes lead from the entry to the root."""
        return len(self.hashes)

    @property
    def is_right(self) -> bool:
        """Does the path end in the signed root?"""
        return (self.path[-1].parent if self.path else self.leaf) == self.head.root


@dataclass(frozen=True)
class EntryReport:
    """What there is to say about an entry. ``blobs``: which of the named files are published here."""

    entry: Entry
    at: datetime
    said: tuple[words.Said, ...]
    blobs: frozenset[str]
    postings: tuple[Posting, ...]
    accounts: tuple[Chained, ...]
    proof: Proof

    @property
    def title(self) -> str:
        """What it is called for people."""
        return words.title(self.entry.type)

    @property
    def sentence(self) -> str:
        """What such an entry does."""
        return words.sentence(self.entry.type)

    @property
    def before(self) -> int | None:
        """The index of the entry in front of it."""
        return self.entry.index - 1 if self.entry.index else None

    @property
    def after(self) -> int | None:
        """The index of the next one, if it is signed."""
        return self.entry.index + 1 if self.entry.index + 1 < self.proof.head.size else None


@dataclass(frozen=True)
class Listed:
    """An entry in a list."""

    index: int
    type: str
    title: str
    at: datetime


def list_entries(*, before: int | None = None, type_name: str = "", count: int = PAGE_COUNT) -> list[Listed]:
    """The newest entries, or those in front of the entry ``before``; of one type if it is named."""
    rows = LogEntry.objects.order_by("-index").defer("data")
    if before is not None:
        rows = rows.filter(index__lt=before)
    if type_name:
        rows = rows.filter(type=type_name)
    return [Listed(row.index, row.type, words.title(row.type), row.at) for row in rows[:count]]


def report(index: int) -> EntryReport:
    """All about one entry. Raises NotFound for an index that no signed head covers, LogDamaged when files are missing."""
    row, head = _find(index)
    entry = parse_entry(bytes(row.data))
    said = tuple(words.said(entry.type, entry.body))
    return EntryReport(
        entry=entry,
        at=row.at,
        said=said,
        blobs=frozenset(one.value for one in said if one.kind == words.BLOB and is_published(one.value)),
        postings=tuple(
            Posting(one.name, words.account_words(one.kind), one.currency, amount) for one, amount in entry.postings
        ),
        accounts=_accounts(entry),
        proof=_prove(entry, head),
    )  # fmt: skip


def tlog_proof(index: int) -> bytes:
    """The proof of one entry as a file (C2SP tlog-proof), under the newest head with its cosignatures.

    Raises NotFound, LogDamaged.
    """
    row, head = _find(index)
    proof = _prove(parse_entry(bytes(row.data)), head)
    return format_tlog_proof(TlogProof(index, proof.hashes, head.note))


def is_published(digest: str) -> bool:
    """Is the blob shown at ``/ledger/1/blob/``? One that was redacted is not, and neither is evidence."""
    return (store.folder() / "1" / "blob" / digest[:2] / digest).exists()


def _find(index: int) -> tuple[LogEntry, Head]:
    head = newest_head()
    row = LogEntry.objects.filter(index=index).first() if head is not None and index < head.size else None
    if row is None or head is None:
        raise NotFound("There is no such entry.")
    return row, head


def _prove(entry: Entry, head: Head) -> Proof:
    try:
        hashes = prove_inclusion(TreeReader(DiskTiles(), head.size), entry.index, head.size)
    except BadTile as error:
        raise LogDamaged(f"the file {error} is missing") from error
    return Proof(entry.leaf, hashes, head, proof_path.steps(entry.leaf, entry.index, head.size, hashes))


def _accounts(entry: Entry) -> tuple[Chained, ...]:
    neighbours = _neighbours(entry)
    return tuple(
        Chained(
            link.scid, link.currency, link.seq, link.balance_after, link.held_after,
            before=neighbours.get((link.scid, link.currency, link.seq - 1)) if link.prev != ZERO_HASH else None,
            after=neighbours.get((link.scid, link.currency, link.seq + 1)),
        )
        for link in entry.links
    )  # fmt: skip


def _neighbours(entry: Entry) -> Mapping[tuple[str, str, int], int]:
    """The entries before and after on every account that this one touches: one query."""
    if not entry.links:
        return {}
    seqs: Sequence[int] = sorted({seq for link in entry.links for seq in (link.seq - 1, link.seq + 1)})
    rows = EntryOfAccount.objects.filter(scid__in={link.scid for link in entry.links}, seq__in=seqs)
    return {
        (scid, currency, seq): index
        for scid, currency, seq, index in rows.values_list("scid", "currency", "seq", "entry_id")
    }  # fmt: skip
