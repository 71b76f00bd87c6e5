"""Checking what is new since the last check, and a part of what is old: for the hourly run.

What was verified is remembered as a size, its root, and one hash of every account and balance at that size. The next run goes on
from there, in five steps; it trusts nothing else that it kept.

    1. books     today's rows, taken back through the new entries, are the rows of then   (else everything is checked)
    2. tree      the old tree is that of then (else the same); with the new entries it gives the signed root, as the new files say
    3. entries   each new one keeps every rule, from the state of then; its rows and blobs say the same
    4. result    the state after them is that of today's rows
    5. old part  one of 24 parts of the old entries: files, entries, rows, blobs, closes run again
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from hashlib import sha256
from itertools import islice

from payouts import checks, instance_keys, log, store
from payouts.ledger.chain import AccountKey, Head, Move
from payouts.ledger.entries import Entry, parse_entry
from payouts.ledger.errors import BadTile, EntryIdRepeated, LedgerError
from payouts.ledger.growth import grow, read_edge
from payouts.ledger.merkle import check_inclusion, hashes, prove_inclusion
from payouts.ledger.money import OF_AN_IDENTITY, account, parse_account
from payouts.ledger.replay import Replay
from payouts.ledger.rotation import GENESIS, ROTATE, keys_of_genesis
from payouts.ledger.tiles import TILE_WIDTH, Bundle, Tile, TreeReader, parse_path, read_entries, unpack_bundle, width_of
from payouts.models import AccountHead, Balance, LogEntry, SignedHead
from payouts.statements import open_head
from payouts.store import DiskTiles, HeadCell
from server.core.errors import TributaryError

PARTS = 24
IDS_AT_ONCE = 500
AGREEMENT = "agreement"
# What of the entries before the checkpoint the rules of later ones rest on, besides accounts and balances.
REMEMBERED = (
    AGREEMENT, GENESIS, ROTATE, "hold", "release", "payout.intent", "payout.sent", "payout.settled", "payout.failed",
)  # fmt: skip


class CannotGoOn(Exception):
    """Today's rows or files do not lead back to those of the last check: everything must be looked at."""


@dataclass(frozen=True, slots=True)
class Verified:
    """Everything below ``size`` held: the root (hex) and the hash of the books then; ``part``: which old part is next."""

    size: int
    root: str
    state: str
    part: int = 0


@dataclass(frozen=True, slots=True)
class Books:
    """The rows of accounts and balances, as of one head."""

    head: HeadCell
    heads: dict[AccountKey, Head]
    balances: dict[str, int]

    def digest(self) -> str:
        """One hash of all of it. An account that is at zero says no more than one that never was."""
        accounts = [f"{scid} {currency} {' '.join(map(str, head))}\n" for (scid, currency), head in sorted(self.heads.items())]
        sums = [f"{name} {amount}\n" for name, amount in sorted(self.balances.items()) if amount]
        return sha256("".join([*accounts, "\n", *sums]).encode()).hexdigest()


def verified_at(size: int, root: bytes) -> Verified:
    """What a check of everything below ``size``, that found nothing, leaves for the next one. Raises CannotGoOn."""
    books = _books()
    return Verified(size, root.hex(), _take_back(books, _parsed(size, books.head.size)).digest())


def check(verified: Verified) -> tuple[Verified, list[str]]:
    """What is wrong since then, in words, and what to go on from when nothing is. Raises CannotGoOn."""
    books = _books()
    if books.head.size < verified.size:
        raise CannotGoOn(f"{books.head.size} entries, where {verified.size} were checked")
    try:
        fresh = _parsed(verified.size, books.head.size)
    except LedgerError as error:
        return verified, [f"entries from {verified.size} on: {error.code}: {error}"]
    then = _take_back(books, fresh)
    if then.digest() != verified.state:
        raise CannotGoOn(f"the accounts and balances of size {verified.size} are not those that were checked")
    problems = list(islice(_problems(verified, books, then, fresh), checks.PROBLEMS_MAX))
    return Verified(books.head.size, books.head.root.hex(), books.digest(), verified.part + 1), problems


def part_of(verified: Verified) -> tuple[int, int]:
    """The first and the last but one of the old entries whose turn it is."""
    bundles = -(-verified.size // TILE_WIDTH)
    each = -(-bundles // PARTS) or 1
    start = verified.part % max(1, -(-bundles // each)) * each * TILE_WIDTH
    return start, min(verified.size, start + each * TILE_WIDTH)


def _books() -> Books:
    """The rows as of one head. The pen moves the head first and the rows after it, so both are asked before and after."""
    for _ in range(checks.TRIES_MAX):
        head, count = store.read_head(), LogEntry.objects.count()
        heads = {(row.scid, row.currency): log.head_of(row) for row in AccountHead.objects.iterator()}
        balances = dict(Balance.objects.values_list("name", "amount"))
        if count == LogEntry.objects.count() == head.size and store.read_head() == head:
            return Books(head, heads, balances)
    raise CannotGoOn("the log and its rows were never as long as each other")


def _parsed(start: int, end: int) -> list[Entry]:
    data = read_entries(DiskTiles(), start, end, end)
    return [parse_entry(one, origin=instance_keys.origin(), index=index) for index, one in enumerate(data, start=start)]


def _take_back(books: Books, entries: Sequence[Entry]) -> Books:
    """The books before ``entries``, which are the newest. Raises CannotGoOn when no account's chain ends with them."""
    heads, balances = dict(books.heads), dict(books.balances)
    for entry in reversed(entries):
        for link in entry.links:
            key = link.scid, link.currency
            head, move = heads.get(key), entry.moves.get(key, Move())
            if head is None or (head.seq, head.leaf) != (link.seq, entry.leaf.hex()):
                raise CannotGoOn(f"account {link.scid} {link.currency} does not end with entry {entry.index}")
            heads[key] = Head(
                link.seq - 1, link.prev, head.balance - move.payable, head.held - move.held, head.unclaimed - move.unclaimed
            )  # fmt: skip
            if link.seq == 1:
                del heads[key]
        for one, amount in entry.postings:
            name = account(one.kind, one.currency, one.detail)
            balances[name] = balances.get(name, 0) - amount
    return replace(books, heads=heads, balances=balances)


class _Resumed(Replay):
    """A replay that goes on from books that were verified. Ids are unique by a constraint of the rows, which are compared."""

    def __init__(self, then: Books, size: int) -> None:
        super().__init__(instance_keys.origin())
        self.size, self.heads = size, dict(then.heads)
        named = {parse_account(name): amount for name, amount in then.balances.items() if amount}
        self.balances = {one: amount for one, amount in named.items() if one.kind not in OF_AN_IDENTITY}
        for row in LogEntry.objects.filter(index__lt=size, type__in=REMEMBERED).order_by("index").iterator():
            self._remember(parse_entry(bytes(row.data), origin=self.origin, index=row.index))
        last = LogEntry.objects.get(index=size - 1)
        self._at = parse_entry(bytes(last.data)).at

    def _remember(self, entry: Entry) -> None:
        if entry.type == GENESIS:
            self.keys = keys_of_genesis(entry)
            self.ledger_key = self.keys.ledger
        elif entry.type == ROTATE:
            self._rotate(entry)
        elif entry.type == AGREEMENT:
            self.agreements.add(entry.body["agreement"])
        self.payouts.add(entry)
        self.holds.add(entry)


def _problems(verified: Verified, books: Books, then: Books, fresh: Sequence[Entry]) -> Iterator[str]:
    head = books.head
    replay, redacted = _Resumed(then, verified.size), checks.redacted()
    try:
        yield from _wrong_tree(verified, head, fresh)
        _check_ids(fresh, verified.size)
        rows = checks.Rows(verified.size, head.size)
        for entry in fresh:
            replay.add(entry.data)
            yield from rows.differing(entry)
            yield from checks.wrong_blob(entry, redacted)
        if not replay.at_rest:
            yield f"the log ends inside of a close, at entry {replay.size}"
    except (LedgerError, TributaryError, SignedHead.DoesNotExist) as error:
        yield f"entry {replay.size}: {getattr(error, 'code', 'signed_head_missing')}: {error}"
        return
    if replay.heads != books.heads:
        yield "the accounts are not what the new entries make of them"
    start, stop = part_of(verified)
    spans = [(start, stop), (verified.size, head.size)]
    try:
        yield from _wrong_part(verified, start, stop, redacted)
        yield from checks.wrong_signed_heads(head, spans)
        yield from checks.wrong_agreements(spans)
    except (LedgerError, TributaryError) as error:
        yield f"entries {start} to {stop}: {error.code}: {error}"


def _check_ids(fresh: Sequence[Entry], size: int) -> None:
    for at in range(0, len(fresh), IDS_AT_ONCE):
        ids = [entry.id for entry in fresh[at : at + IDS_AT_ONCE]]
        if LogEntry.objects.filter(entry_id__in=ids, index__lt=size).exists():
            raise EntryIdRepeated(f"one of the entries from {size} on")


def _wrong_tree(verified: Verified, head: HeadCell, fresh: Sequence[Entry]) -> Iterator[str]:
    signed = open_head(SignedHead.objects.get(size=head.size)).checkpoint
    if signed.root != head.root:
        raise BadTile("the head cell has another root than was signed")
    old = read_edge(DiskTiles(), verified.size)
    if old.root().hex() != verified.root:
        raise CannotGoOn(f"the files of size {verified.size} do not give the root that was checked")
    growth = grow(old, [entry.data for entry in fresh])
    if growth.edge.root() != head.root:
        raise BadTile(f"the entries from {verified.size} on do not lead to the signed root")
    for path, data in growth.files.items():
        place = parse_path(path)
        stored = DiskTiles().tile(place) if isinstance(place, Tile) else DiskTiles().bundle(place)
        if stored != data:
            yield f"{path} is not what the entries make of it"


def _wrong_part(verified: Verified, start: int, stop: int, redacted: set[str]) -> Iterator[str]:
    """Old entries again: each bundle hashes to its tile, each tile stands under the root, rows and blobs say the same."""
    reader, nodes = DiskTiles(), TreeReader(DiskTiles(), verified.size)
    root, rows = bytes.fromhex(verified.root), checks.Rows(start, stop)
    for number in range(start // TILE_WIDTH, -(-stop // TILE_WIDTH)):
        width = width_of(0, number, verified.size)
        first = number * TILE_WIDTH
        entries = unpack_bundle(reader.bundle(Bundle(number, width)), width)
        if b"".join(hashes(entries)) != reader.tile(Tile(0, number, width)):
            raise BadTile(f"{Bundle(number, width).path()} does not hash to its tile")
        # The proof of one leaf is made from all the others of its tile.
        check_inclusion(hashes(entries)[0], first, verified.size, prove_inclusion(nodes, first, verified.size), root)
        for index, data in enumerate(entries, start=first):
            entry = parse_entry(data, origin=instance_keys.origin(), index=index)
            yield from rows.differing(entry)
            yield from checks.wrong_blob(entry, redacted)
