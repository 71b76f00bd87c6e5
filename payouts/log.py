"""The one pen: the only writer of our log.

An append takes six steps; a crash after any of them is mended by the next append, with the same functions.

    1. alone         a database lock, then a file lock: one writer
    2. catch up      entries that the log has and the database lacks are read from the files   (a crash after 5)
    3. plan          drafts already written are left out (same id, same body); account chains go on
    4. files         tiles and bundles, each durable; what is not below the head was never promised   (a crash: overwritten)
    5. head          witnesses know of no other; what was written reads back and gives the root; the head cell moves: the promise
    6. catch up      the new entries become rows, in the caller's transaction   (a rollback: done by the next step 2)

Whoever calls gives ids that a second try repeats: after a crash between 5 and 6 the wish is found fulfilled.
"""

from collections.abc import Callable, Iterable, Mapping, Sequence
from hashlib import sha256

from django.conf import settings
from django.db import connection, transaction

from payouts import freezes, instance_keys, may_sign, rows, standing, store
from payouts.facts import CheckpointSigned
from payouts.ledger import canonical
from payouts.ledger.chain import AccountKey, Head
from payouts.ledger.checkpoint import Checkpoint, SignedCheckpoint, sign_checkpoint
from payouts.ledger.entries import Draft, Entry, parse_entry, write_batch
from payouts.ledger.errors import LiabilityOverdrawn
from payouts.ledger.growth import Edge, grow, read_edge
from payouts.ledger.money import OF_AN_IDENTITY, Account, account, parse_account
from payouts.ledger.note import Signer, parse_vkey
from payouts.ledger.replay import GUARDED
from payouts.ledger.rotation import ROTATE
from payouts.ledger.statement import keep_signatures
from payouts.ledger.tiles import read_entries
from payouts.models import AccountHead, Balance, LogEntry, SignedHead
from payouts.store import DiskTiles, HeadCell, LogDamaged
from server.core import clock, facts, locators, storage
from server.core.errors import Conflict, NotFound

ADVISORY_LOCK = 0x7472_6962  # "trib"
CURRENCIES = ["EUR/6", "USD/6"]
# More than one append ever needs; what is left below the configured minimum is for the rest of the instance.
APPEND_BYTES_MAX = 64 * 1024 * 1024

# The index of the first entry of the batch -> its drafts.
MakeDrafts = Callable[[int], Sequence[Draft]]


def make_id(*names: object) -> str:
    """An entry id that the same wish always gets: 32 hex digits of the SHA-256 of its names."""
    return sha256(canonical.encode([instance_keys.origin(), *map(str, names)])).hexdigest()[:32]


@transaction.atomic
def append(drafts: Sequence[Draft]) -> list[Entry]:
    """Write ``drafts`` in order, sign the new head, and give the entries; repeated drafts give the entries of the first time.

    Records CheckpointSigned. Raises Conflict for an id that stands with another content, the errors of write_batch,
    LiabilityOverdrawn, StorageFull, LogDamaged, HeadMoved, LogReadOnly, LogUnconfirmed; then nothing was promised.
    """
    with _Pen():
        written = _already_written(drafts)
        fresh = [draft for draft in drafts if draft.id not in written]
        if fresh:
            written |= {entry.id: entry for entry in _write(fresh)}
    return [written[draft.id] for draft in drafts]


@transaction.atomic
def append_batch(make_drafts: MakeDrafts) -> list[Entry]:
    """As ``append``, for a batch that depends on where it begins and on what stands before it: all of it or nothing.

    Repeated, it gives the entries of the first time, found by their ids alone.
    """
    with _Pen():
        drafts = make_drafts(store.read_head().size)
        written = _already_written(drafts, bodies=False)
        if not written:
            return _write(drafts)
        if len(written) < len(drafts):
            raise Conflict("A part of this batch stands in the log already.")
        return [written[draft.id] for draft in drafts]


@transaction.atomic
def begin_log() -> None:
    """Write the genesis entry if there is none yet, and catch up. Cheap when nothing is to do."""
    with _Pen():
        pass


class _Pen:
    """Alone, caught up, and with a genesis: steps 1 and 2. ``begins=False``: only alone, for what is put back."""

    def __init__(self, *, begins: bool = True) -> None:
        self._only = store.only_writer()
        self._begins = begins

    def __enter__(self) -> None:
        if connection.vendor == "postgresql":
            # Held until the caller's transaction ends, so that nobody else sees rows that lag behind the files.
            with connection.cursor() as cursor:
                cursor.execute("SELECT pg_advisory_xact_lock(%s)", [ADVISORY_LOCK])
        self._only.__enter__()
        try:
            if self._begins:
                catch_up()
                if store.read_head().size == 0:
                    _write([_genesis()])
        except BaseException:
            self._only.__exit__(None, None, None)
            raise

    def __exit__(self, *_: object) -> None:
        self._only.__exit__(None, None, None)


def catch_up(fresh: Sequence[Entry] = ()) -> int:
    """Make rows of the entries that the log has and the database lacks. Returns how many. Called with the pen in hand.

    ``fresh``: the newest entries, where the caller has them already. Raises LogReadOnly when the database has more than the log.
    """
    head = store.read_head()
    have = LogEntry.objects.count()
    if have > head.size:
        raise standing.suspend(reason="set_back", here=head.size, seen=have, by="the database")
    if have == head.size:
        return 0
    entries = list(fresh) if len(fresh) == head.size - have else [
        parse_entry(data, origin=instance_keys.origin(), index=index)
        for index, data in enumerate(read_entries(DiskTiles(), have, head.size, head.size), start=have)
    ]  # fmt: skip
    _edge_of(head)
    rows.make_rows(entries)
    SignedHead.objects.get_or_create(size=head.size, defaults={"note": head.note})
    store.publish_checkpoint(SignedHead.objects.get(size=head.size).full_note)
    facts.record(CheckpointSigned(size=head.size))
    return len(entries)


@transaction.atomic
def put_back(entries: Sequence[bytes], signed: SignedCheckpoint) -> int:
    """Continue the log with entries that it signed once and lost; ``signed`` is our own note over them. Returns how many.

    The same steps as an append, but nothing is signed and no index is given out anew. Raises HeadMoved, and LogDamaged when the
    entries do not lead from what is here to the signed root: then our own note contradicts our files, and a person must look.
    """
    with _Pen(begins=False):
        head, checkpoint = store.read_head(), signed.checkpoint
        growth = grow(_edge_of(head), entries)
        if (growth.edge.size, growth.edge.root()) != (checkpoint.size, checkpoint.root):
            raise LogDamaged(f"these entries do not lead from {head.size} to the root that was signed at {checkpoint.size}")
        _promise(head, HeadCell(checkpoint.size, checkpoint.root, keep_signatures(signed)), growth.files)
        stands = standing.suspension()
        if stands is not None and stands.reason == "set_back" and checkpoint.size >= stands.seen:
            standing.lift()
        if LogEntry.objects.count() <= checkpoint.size:
            catch_up()
    return len(entries)


def _already_written(drafts: Sequence[Draft], *, bodies: bool = True) -> dict[str, Entry]:
    stand = LogEntry.objects.filter(entry_id__in=[draft.id for draft in drafts])
    written = {row.entry_id: parse_entry(bytes(row.data)) for row in stand}
    for draft in drafts if bodies else ():
        entry = written.get(draft.id)
        if entry is not None and not _is_same(draft, entry):
            raise Conflict(f"Entry {draft.id} stands in the log with another content.")
    return written


def _is_same(draft: Draft, entry: Entry) -> bool:
    postings = {_name(one): amount for one, amount in entry.postings}
    return (draft.type, dict(draft.body), dict(draft.postings)) == (entry.type, dict(entry.body), postings)


def _write(drafts: Sequence[Draft]) -> list[Entry]:
    freezes.check(drafts)
    storage.require_room(APPEND_BYTES_MAX, settings.LEDGER_DIR)
    head = store.read_head()
    edge = _edge_of(head)
    may_sign.check(head)
    origin = instance_keys.origin()
    batch = write_batch(drafts, origin=origin, first_index=head.size, at=_time_after(), heads=_heads(drafts))
    _check_guarded(batch.entries)
    growth = grow(edge, [entry.data for entry in batch.entries], [entry.leaf for entry in batch.entries])
    size, root = growth.edge.size, growth.edge.root()
    signer = _signer_after(batch.entries)
    _promise(head, HeadCell(size, root, sign_checkpoint(Checkpoint(origin, size, root), signer)), growth.files)
    catch_up(batch.entries)
    return list(batch.entries)


def _promise(head: HeadCell, new: HeadCell, files: Mapping[str, bytes]) -> None:
    """Steps 4 and 5. Before the head moves nothing was promised; the note is shown to nobody before that."""
    store.write_files(files)
    if read_edge(DiskTiles(), new.size).root() != new.root:
        raise LogDamaged("what was written does not read back")
    store.move_head(head, new)
    standing.remember(new)


def _edge_of(head: HeadCell) -> Edge:
    edge = read_edge(DiskTiles(), head.size)
    if edge.root() != head.root:
        raise LogDamaged(f"the files of size {head.size} do not give the signed root")
    return edge


def _signer_after(entries: Sequence[Entry]) -> Signer:
    """The key that signs the head over these new entries: the one in use, or the one that a ``key.rotate`` among them names."""
    rotated = [entry for entry in entries if entry.type == ROTATE]
    try:
        key = parse_vkey(rotated[-1].body["new"]) if rotated else instance_keys.ledger_keys().newest
        return instance_keys.signer_of(key)
    except NotFound as error:
        raise LogDamaged(str(error)) from error


def _time_after() -> str:
    """The present time, or that of the last entry when the clock went backwards: ``at`` never goes down."""
    last = LogEntry.objects.order_by("-index").values_list("at", flat=True).first()
    moment = clock.now()
    return clock.iso(moment if last is None or moment > last else last)


def _heads(drafts: Iterable[Draft]) -> dict[AccountKey, Head]:
    scids = {parse_account(name).detail for draft in drafts for name in draft.postings}
    scids |= {str(draft.body["scid"]) for draft in drafts if "scid" in draft.body}
    return {
        (row.scid, row.currency): head_of(row)
        for row in AccountHead.objects.filter(scid__in=scids)
    }  # fmt: skip


def head_of(row: AccountHead) -> Head:
    """The end of an account's chain, as the core knows it."""
    return Head(row.seq, row.leaf, row.balance, row.held, row.unclaimed)


def _check_guarded(entries: Sequence[Entry]) -> None:
    """What we owe can be used up, never overdrawn; accounts of identities are guarded by their chains."""
    names = {_name(one) for entry in entries for one, _ in entry.postings}
    after = dict(Balance.objects.filter(name__in=names).values_list("name", "amount"))
    for entry in entries:
        for one, amount in entry.postings:
            name = _name(one)
            after[name] = after.get(name, 0) + amount
            if one.kind not in OF_AN_IDENTITY and one.kind.startswith(GUARDED) and after[name] > 0:
                raise LiabilityOverdrawn(f"{name} by {after[name]}")


def _name(one: Account) -> str:
    return account(one.kind, one.currency, one.detail)


def _genesis() -> Draft:
    instance_keys.keep_apart()
    body = {
        **instance_keys.public_keys(),
        "actor": locators.instance_actor_uri(),
        "currencies": CURRENCIES,
        "calendar": "UTC",
        "rounding": "largest-remainder/1",
        "retention": "forever",
    }
    return Draft("genesis", make_id("genesis"), body, {})
