"""Asking the books whether they are whole: files against the signed root, entries against each other, rows against the log.

Nothing is mended here, and nothing is locked: the log may grow while it is read. What grew is read too, and rows are only held
against a state that did not move meanwhile.
"""

from collections.abc import Iterator, Sequence
from collections.abc import Set as AbstractSet
from functools import reduce
from itertools import islice
from operator import or_
from typing import Any

from django.db.models import Q

from payouts import instance_keys, log, store
from payouts.algorithms import find
from payouts.ledger import canonical
from payouts.ledger.chain import Move
from payouts.ledger.checkpoint import Checkpoint
from payouts.ledger.entries import ENTRY_BYTES_MAX, Entry
from payouts.ledger.errors import BadTile, LedgerError
from payouts.ledger.follower import check_tiles
from payouts.ledger.merkle import tree_root
from payouts.ledger.money import OF_AN_IDENTITY, account
from payouts.ledger.note import split_note
from payouts.ledger.replay import Replay
from payouts.ledger.tiles import TreeReader, read_entries
from payouts.ledger.whole import read_whole
from payouts.models import AccountHead, Agreement, Balance, EntryOfAccount, LogEntry, SignedHead
from payouts.splits import share_period
from payouts.statements import open_head
from payouts.store import DiskTiles, HeadCell
from server.core.errors import TributaryError

# Stretches of entries: from the first up to, not including, the second.
Spans = Sequence[tuple[int, int]]
PROBLEMS_MAX = 1_000
HEADS_MAX = 1_000
TRIES_MAX = 10
INPUTS_BYTES_MAX = 256 * 1024 * 1024
# Entry type -> (the member that names a blob, whether the blob is published).
BLOBS = {
    "agreement": ("blob", True), "meter": ("works", True), "close": ("inputs", True), "accrue": ("lines", True),
    "accounts.root": ("blob", True), "revenue": ("evidence", False),
}  # fmt: skip


def find_problems() -> list[str]:
    """What is wrong, in words; an empty list when the log is whole and the rows say what it says."""
    head = store.read_head()
    if head.size == 0:
        return ["the log is gone: the database has its entries"] if LogEntry.objects.exists() else []
    return list(islice(_problems(head), PROBLEMS_MAX))


def _problems(head: HeadCell) -> Iterator[str]:
    replay = Replay(instance_keys.origin())
    try:
        newest = SignedHead.objects.get(size=head.size)
        checkpoint = open_head(newest).checkpoint
        if checkpoint.root != head.root:
            raise BadTile("the head cell has another root than was signed")
        rows, erased = Rows(), redacted()
        for data in read_whole(DiskTiles(), checkpoint):
            entry = replay.add(data)
            yield from rows.differing(entry)
            yield from wrong_blob(entry, erased)
        if not replay.at_rest:
            yield f"the log ends inside of a close, at entry {replay.size}"
    except (LedgerError, TributaryError, SignedHead.DoesNotExist) as error:
        yield f"entry {replay.size}: {getattr(error, 'code', 'signed_head_missing')}: {error}"
        return
    yield from wrong_signed_heads(head)
    yield from wrong_agreements()
    yield from _wrong_sums(replay, head)


class Rows:
    """The rows of the entries from ``start`` on, read beside the log; ``stop``: up to there, if not to the end."""

    def __init__(self, start: int = 0, stop: int | None = None) -> None:
        entries = LogEntry.objects.filter(index__gte=start).order_by("index")
        touches = EntryOfAccount.objects.filter(entry_id__gte=start).order_by("entry_id", "scid", "currency")
        if stop is not None:
            entries, touches = entries.filter(index__lt=stop), touches.filter(entry_id__lt=stop)
        self._entries, self._touches = entries.iterator(), touches.iterator()
        self._touch = next(self._touches, None)

    def differing(self, entry: Entry) -> Iterator[str]:
        """What the rows of the next entry say otherwise."""
        row = next(self._entries, None)
        if row is None or bytes(row.data) != entry.data:
            yield f"row {entry.index} is not the entry of the log"
        elif (row.index, row.entry_id, row.type) != (entry.index, entry.id, entry.type):
            yield f"row {entry.index} is filed under another index, id or type"
        told = []
        while self._touch is not None and self._touch.entry_id <= entry.index:
            one = self._touch
            told.append((one.entry_id, one.scid, one.currency, one.seq, one.payable, one.held, one.unclaimed))
            self._touch = next(self._touches, None)
        own = [
            (entry.index, one.scid, one.currency, one.seq, *entry.moves.get((one.scid, one.currency), Move()))
            for one in entry.links
        ]
        if told != own:
            yield f"the accounts that entry {entry.index} touches are filed otherwise"


def redacted() -> set[str]:
    """The blobs that were erased on purpose."""
    rows = LogEntry.objects.filter(type="redact")
    return {canonical.decode(bytes(row.data), bytes_max=ENTRY_BYTES_MAX)["body"]["blob"] for row in rows}


def wrong_blob(entry: Entry, erased: AbstractSet[str]) -> Iterator[str]:
    """Whether what an entry names is here; of a close also whether its function gives the same again."""
    member, public = BLOBS.get(entry.type, ("", True))
    if not member or entry.body[member] in erased:
        return
    try:
        data = store.read_blob(entry.body[member], public=public)
        if entry.type == "close" and _outputs_again(entry, data) != entry.body["outputs"]:
            yield f"the close at {entry.index} comes out otherwise when it is run again"
    except (LedgerError, TributaryError) as error:
        yield f"{member} of entry {entry.index}: {error.code}: {error}"


def _outputs_again(close: Entry, inputs: bytes) -> str:
    algorithm = find(close.body["algorithm"], close.body["code"])
    return share_period(canonical.decode(inputs, bytes_max=INPUTS_BYTES_MAX), algorithm).outputs_root


def wrong_signed_heads(head: HeadCell, spans: Spans | None = None) -> Iterator[str]:
    """The newest heads that were signed are those of the log, and the published one is among them. ``spans``: over these only."""
    rows = SignedHead.objects.order_by("-size")
    if spans is not None:
        rows = rows.filter(_within("size", [(start + 1, stop + 1) for start, stop in spans]))
    for row in rows[:HEADS_MAX]:
        try:
            checkpoint = open_head(row).checkpoint
            # A head that was signed since this check began is for the next one.
            if row.size <= head.size and (
                checkpoint.size != row.size or checkpoint.root != tree_root(TreeReader(DiskTiles(), row.size), row.size)
            ):
                yield f"the head signed at {row.size} is not that of the log"
        except (LedgerError, TributaryError) as error:
            yield f"the head signed at {row.size}: {error.code}: {error}"
    published = store.published_checkpoint()
    try:
        size = int(split_note(published)[0].split("\n")[1])
        known = SignedHead.objects.filter(size=size).first()
        if known is None or split_note(bytes(known.note))[0] != split_note(published)[0]:
            yield f"the published checkpoint of size {size} is none that was signed"
    except LedgerError as error:
        yield f"the published checkpoint: {error.code}: {error}"


def wrong_agreements(spans: Spans | None = None) -> Iterator[str]:
    """The rows of agreements are what their entries name. ``spans``: those of these entries only."""
    rows = Agreement.objects.select_related("entry").order_by("entry_id")
    if spans is not None:
        rows = rows.filter(_within("entry_id", spans))
    for row in rows.iterator():
        body: dict[str, Any] = canonical.decode(bytes(row.entry.data), bytes_max=ENTRY_BYTES_MAX)["body"]
        if body.get("agreement") != row.id or store.read_blob(body["blob"], public=True) != bytes(row.document):
            yield f"agreement {row.id} is not the one of entry {row.entry_id}"


def _within(name: str, spans: Spans) -> Q:
    return reduce(or_, (Q(**{f"{name}__gte": start, f"{name}__lt": stop}) for start, stop in spans))


def _wrong_sums(replay: Replay, head: HeadCell) -> Iterator[str]:
    """Heads and balances of accounts, held against a log that stood still meanwhile."""
    for _ in range(TRIES_MAX):
        found = [*_wrong_heads(replay), *_wrong_balances(replay)]
        have = LogEntry.objects.count()
        if have != head.size:
            found.append(f"the database has {have} entries, the log was signed at {head.size}")
        now = store.read_head()
        if not found or now == head:
            yield from found
            return
        check_tiles(DiskTiles(), Checkpoint(replay.origin, now.size, now.root))
        for data in read_entries(DiskTiles(), replay.size, now.size, now.size):
            replay.add(data)
        head = now


def _wrong_heads(replay: Replay) -> list[str]:
    rows = {(row.scid, row.currency): log.head_of(row) for row in AccountHead.objects.all()}
    keys = rows.keys() | replay.heads.keys()
    return [f"account {scid} {currency} differs from the log" for scid, currency in sorted(keys)
            if rows.get((scid, currency)) != replay.heads.get((scid, currency))]  # fmt: skip


def _wrong_balances(replay: Replay) -> list[str]:
    rows = {row.name: row.amount for row in Balance.objects.all()}
    sums: dict[str, int] = {}
    for name, amount in rows.items():
        sums[name[-5:]] = sums.get(name[-5:], 0) + amount
    problems = [f"the books of {currency} do not balance: {total}" for currency, total in sorted(sums.items()) if total]
    logged = {account(one.kind, one.currency, one.detail): amount for one, amount in replay.balances.items()}
    own = {name: amount for name, amount in rows.items() if name.partition("#")[0].rpartition(":")[0] not in OF_AN_IDENTITY}
    differing = (name for name in sorted(own.keys() | logged.keys()) if own.get(name, 0) != logged.get(name, 0))
    return problems + [f"balance of {name} differs from the log" for name in differing]
