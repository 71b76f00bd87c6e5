"""The one pen: the only writer of our log.

An append takes six steps; a crash after any of them is mended by the next append, with the same functions.

    1. alone         a database lock, then a file lock: one writer on this host
    2. catch up      entries that the log has and the database lacks are read from the files   (a crash after 5)
    3. plan          drafts already written are left out (same id, same body); account chains go on
    4. files         tiles and bundles, each durable; what is not below the head was never promised   (a crash: overwritten)
    5. head          the edge is read back from disk, must give the root; the note is signed; the head cell moves: the promise
    6. catch up      the new entries become rows, in the caller's transaction   (a rollback: done by the next step 2)
"""

from collections.abc import Sequence
from datetime import datetime

from django.db import connection, transaction

from payouts import instance_keys, store
from payouts.facts import CheckpointSigned
from payouts.ledger.chain import AccountKey, Head
from payouts.ledger.checkpoint import Checkpoint, sign_checkpoint
from payouts.ledger.entries import Draft, Entry, parse_entry, write_batch
from payouts.ledger.growth import grow, read_edge
from payouts.ledger.tiles import read_entries
from payouts.models import AccountHead, Balance, EntryOfAccount, LogEntry
from payouts.store import DiskTiles, HeadCell
from server.core import clock, facts, storage
from server.core.errors import Conflict, StorageFull, TributaryError

ADVISORY_LOCK = 0x7472_6962  # "trib"
CURRENCIES = ["EUR/6"]


class LogDamaged(TributaryError):
    """The stored log does not give the root that was signed. Nothing is written until this is understood."""

    code, status = "ledger_damaged", 503


@transaction.atomic
def append(drafts: Sequence[Draft]) -> list[Entry]:
    """Write ``drafts`` in order, sign the new head, and give the entries; repeated drafts give the entries of the first time.

    Records CheckpointSigned. Raises Conflict for an id that stands with another content, the errors of write_batch,
    StorageFull, LogDamaged, HeadMoved; then nothing was promised.
    """
    _lock()
    with store.only_writer():
        begin()
        written = _already_written(drafts)
        fresh = [draft for draft in drafts if draft.id not in written]
        if fresh:
            for entry in _write(fresh):
                written[entry.id] = entry
    return [written[draft.id] for draft in drafts]


def next_index() -> int:
    """The index that the next appended entry gets. Only right while the caller holds ``hold``."""
    return store.read_head().size


@transaction.atomic
def append_at(make_drafts: "MakeDrafts") -> list[Entry]:
    """As ``append``, for a batch whose entries name each other's index: ``make_drafts(first_index)``."""
    _lock()
    with store.only_writer():
        begin()
        drafts = make_drafts(store.read_head().size)
        written = _already_written(drafts, bodies=False)
        if len(written) == len(drafts):
            return [written[draft.id] for draft in drafts]
        if written:
            raise Conflict("A part of this batch stands in the log already.")
        return _write(drafts)


def begin() -> None:
    """Catch up, and write the genesis entry of a log that has none."""
    catch_up()
    if store.read_head().size == 0:
        _write([_genesis()])


def catch_up() -> int:
    """Make rows of the entries that the log has and the database lacks. Returns how many."""
    head = store.read_head()
    have = LogEntry.objects.count()
    if have > head.size:
        raise LogDamaged(f"the database has {have} entries, the log was signed at {head.size}")
    if have == head.size:
        return 0
    entries = [
        parse_entry(data, origin=instance_keys.origin(), index=index)
        for index, data in enumerate(read_entries(DiskTiles(), have, head.size, head.size), start=have)
    ]
    _make_rows(entries)
    facts.record(CheckpointSigned(size=head.size))
    return len(entries)


def _lock() -> None:
    """One appending transaction at a time: SQLite's write lock does it; PostgreSQL's advisory lock is held to the commit."""
    if connection.vendor == "postgresql":
        with connection.cursor() as cursor:
            cursor.execute("SELECT pg_advisory_xact_lock(%s)", [ADVISORY_LOCK])


def _already_written(drafts: Sequence[Draft], *, bodies: bool = True) -> dict[str, Entry]:
    rows = LogEntry.objects.filter(entry_id__in=[draft.id for draft in drafts])
    written = {row.entry_id: parse_entry(bytes(row.data)) for row in rows}
    for draft in drafts if bodies else ():
        stands = written.get(draft.id)
        if stands is not None and (stands.type, dict(stands.body)) != (draft.type, dict(draft.body)):
            raise Conflict(f"Entry {draft.id} stands in the log with another content.")
    return written


def _write(drafts: Sequence[Draft]) -> list[Entry]:
    if storage.free_bytes() < storage.bytes_free_min():
        raise StorageFull("The disk is nearly full; the ledger stops before it is.")
    head = store.read_head()
    edge = read_edge(DiskTiles(), head.size)
    if edge.root() != head.root:
        raise LogDamaged(f"the files of size {head.size} do not give the signed root")
    batch = write_batch(
        drafts, origin=instance_keys.origin(), first_index=head.size, at=_time_after(), heads=_heads()
    )
    growth = grow(edge, [entry.data for entry in batch.entries])
    store.write_files(growth.files)
    size = growth.edge.size
    if read_edge(DiskTiles(), size).root() != growth.edge.root():
        raise LogDamaged("what was written does not read back")
    note = sign_checkpoint(Checkpoint(instance_keys.origin(), size, growth.edge.root()), instance_keys.signer("ledger"))
    store.move_head(head, HeadCell(size, growth.edge.root(), note))
    store.publish_checkpoint(note)
    catch_up()
    return list(batch.entries)


def _time_after() -> str:
    """The present time, or that of the last entry when the clock went backwards: ``at`` never goes down."""
    last = LogEntry.objects.order_by("-index").values_list("at", flat=True).first()
    moment = clock.now()
    return clock.iso(moment if last is None or moment > last else last)


def _heads() -> dict[AccountKey, Head]:
    return {
        (row.scid, row.currency): Head(row.seq, bytes.fromhex(row.leaf), row.balance, row.held)
        for row in AccountHead.objects.all()
    }


def _make_rows(entries: Sequence[Entry]) -> None:
    LogEntry.objects.bulk_create(
        LogEntry(index=entry.index, entry_id=entry.id, type=entry.type, at=_moment(entry.at), data=entry.data)
        for entry in entries
    )
    EntryOfAccount.objects.bulk_create(
        EntryOfAccount(
            entry_id=entry.index,
            scid=link.scid,
            currency=link.currency,
            seq=link.seq,
            amount=entry.moves[link.scid, link.currency].balance if (link.scid, link.currency) in entry.moves else 0,
        )
        for entry in entries
        for link in entry.links
    )
    ends = {(link.scid, link.currency): (link, entry) for entry in entries for link in entry.links}
    AccountHead.objects.bulk_create(
        [
            AccountHead(
                scid=link.scid,
                currency=link.currency,
                seq=link.seq,
                leaf=entry.leaf.hex(),
                balance=link.balance_after,
                held=link.held_after,
            )
            for link, entry in ends.values()
        ],
        update_conflicts=True,
        unique_fields=["scid", "currency"],
        update_fields=["seq", "leaf", "balance", "held"],
    )
    sums: dict[str, int] = {}
    for entry in entries:
        for account, amount in entry.postings:
            name = f"{account.kind}:{account.detail}#{account.currency}/6" if account.detail else f"{account.kind}#{account.currency}/6"
            sums[name] = sums.get(name, 0) + amount
    known = dict(Balance.objects.filter(name__in=sums).values_list("name", "amount"))
    Balance.objects.bulk_create(
        [Balance(name=name, amount=known.get(name, 0) + amount) for name, amount in sums.items()],
        update_conflicts=True,
        unique_fields=["name"],
        update_fields=["amount"],
    )


def _moment(at: str) -> datetime:
    return datetime.fromisoformat(at)


def _genesis() -> Draft:
    from server.core import locators

    body = {
        "root": instance_keys.make_root(),
        **{role: str(instance_keys.signer(role).verifier) for role in instance_keys.ROLES},
        "instance": instance_keys.instance_public(),
        "box": instance_keys.instance_box(),
        "actor": locators.instance_actor_uri(),
        "currencies": CURRENCIES,
        "calendar": "UTC",
        "rounding": "largest-remainder/1",
        "retention": "forever",
    }
    return Draft("genesis", "0" * 32, body, {})
