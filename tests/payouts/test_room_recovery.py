"""Old backups, old folders, copies that lie: the missing entries come back as they were, or nothing changes."""

import shutil
from collections.abc import Iterator
from hashlib import sha256
from pathlib import Path

import pytest

from payouts import accounts_root, checks, cosigning, instance_keys, log, peers, recovery, reexecution, standing, store, witnesses
from payouts.ledger.checkpoint import Checkpoint, sign_checkpoint
from payouts.ledger.entries import Draft, parse_entry
from payouts.models import Acceptance, AccountHead, Agreement, Balance, EntryOfAccount, LogEntry, Period, SignedHead, Witness
from tests.payouts.neighbour import Neighbour
from tests.payouts.room import Room, entry_id
from tests.payouts.test_room_pen import PowerCut, cut_at

pytestmark = pytest.mark.django_db


class Mirror(Neighbour):
    """A neighbour that keeps a copy of our files, and shows it where a mirror does."""

    def __init__(self) -> None:
        super().__init__()
        self.copy: dict[str, bytes] = {}

    def take_copy(self) -> None:
        base = f"/ledger/peers/{sha256(instance_keys.origin().encode()).hexdigest()}"
        public = store.folder() / "1"
        self.copy = {f"{base}/{path.relative_to(public)}": path.read_bytes() for path in public.rglob("*") if path.is_file()}
        self.copy[f"{base}/mirrored"] = self.copy[f"{base}/checkpoint"]
        # Blobs stand in folders by their first digits here, and under their name there.
        for path in (public / "blob").rglob("*"):
            self.copy[f"{base}/blob/{path.name}"] = path.read_bytes() if path.is_file() else b""

    def get(self, path: str) -> tuple[int, bytes]:
        return (200, self.copy[path]) if path in self.copy else super().get(path)


@pytest.fixture
def mirror() -> Iterator[Mirror]:
    from server.core import http

    it = Mirror()
    yield it
    it.close()
    http.forget_connections()


def note(name: str) -> Draft:
    return Draft("shutdown", entry_id(name), {"reason": name, "until": "2027-01-01T00:00:00Z"}, {})


def followed_by(mirror: Mirror) -> None:
    log.begin_log()
    mirror.follow(instance_keys.origin(), instance_keys.signer("ledger").verifier)
    peers.follow_log(instance_origin=mirror.origin)


def keep(tmp_path: Path) -> Path:
    return shutil.copytree(store.folder(), tmp_path / "kept")


def put_old_folder(kept: Path) -> None:
    """An older folder as a whole; evidence, which nobody else has, is put back from the staff's own records."""
    records = kept.with_name("records")
    if (store.folder() / "evidence").exists():
        shutil.copytree(store.folder() / "evidence", records, dirs_exist_ok=True)
    shutil.rmtree(store.folder())
    shutil.copytree(kept, store.folder())
    if records.exists():
        shutil.copytree(records, store.folder() / "evidence", dirs_exist_ok=True)
    witnesses.forget_answers()


def put_old_database(size: int) -> None:
    """As a dump of the database knew it, when the log had ``size`` entries and nobody was owed anything."""
    for model in (Period, Acceptance, Agreement, EntryOfAccount, AccountHead, Balance):
        model.objects.all().delete()
    LogEntry.objects.filter(index__gte=size).delete()
    SignedHead.objects.filter(size__gt=size).delete()
    Witness.objects.update(saw_size=0)


def forget_machine() -> None:
    store.folder().with_name(f"{store.folder().name}.here").unlink(missing_ok=True)


def everything() -> dict[int, bytes]:
    return {row.index: bytes(row.data) for row in LogEntry.objects.all()}


def test_an_old_backup_comes_back_from_the_mirror_entry_by_entry(mirror: Mirror, room: Room, tmp_path: Path) -> None:
    followed_by(mirror)
    kept = keep(tmp_path)
    room.month()
    accounts_root.commit_accounts(name="day/2026-11-22")
    cosigning.push_head()
    mirror.take_copy()
    before, head = everything(), store.read_head()
    balances = dict(Balance.objects.values_list("name", "amount"))
    put_old_folder(kept)
    put_old_database(1)
    forget_machine()
    with pytest.raises(standing.LogReadOnly):
        log.append([note("a new history")])
    done = recovery.recover()
    assert done == recovery.Recovered(head.size - 1, head.size, mirror.instance.witness.name)
    assert (everything(), store.read_head()) == (before, head)
    assert dict(Balance.objects.values_list("name", "amount")) == balances
    assert (standing.suspension(), checks.find_problems()) == (None, [])
    (entry,) = log.append([note("goes on")])
    assert entry.index == head.size
    assert recovery.recover() is None


def test_an_old_folder_beside_a_newer_database_comes_back_from_the_database(room: Room, tmp_path: Path) -> None:
    log.begin_log()
    kept = keep(tmp_path)
    room.fund()
    log.append([note("one")])
    before, head = everything(), store.read_head()
    put_old_folder(kept)
    with pytest.raises(standing.LogReadOnly):
        log.append([note("two")])
    recovery.recover_if_suspended()
    assert (everything(), store.read_head(), standing.suspension()) == (before, head, None)
    assert log.append([note("two")])[0].index == head.size
    assert checks.find_problems() == []


def test_an_old_database_beside_the_newest_folder_catches_up(room: Room) -> None:
    room.fund()
    log.append([note("one")])
    before = everything()
    put_old_database(1)
    recovery.finish_append()
    assert everything() == before
    assert checks.find_problems() == []


def test_a_copy_that_lies_changes_nothing(mirror: Mirror, room: Room, tmp_path: Path) -> None:
    followed_by(mirror)
    log.append([note("one")])
    kept = keep(tmp_path)
    log.append([note(f"more {number}") for number in range(3)])
    cosigning.push_head()
    mirror.take_copy()
    honest = dict(mirror.copy)
    # What other keys signed below our own line says nothing of the entries.
    own = len(store.read_head().note)
    put_old_folder(kept)
    put_old_database(2)
    forget_machine()
    with pytest.raises(standing.LogReadOnly):
        log.append([note("two")])
    here = (store.read_head(), everything())
    bundle = next(path for path in honest if "entries" in path and path.endswith("/5"))
    checkpoint = next(path for path in honest if path.endswith("/mirrored"))
    larger = sign_checkpoint(Checkpoint(instance_keys.origin(), 6, b"\x05" * 32), mirror.instance.ledger)
    lies = [{bundle: flip(honest[bundle], place)} for place in range(len(honest[bundle]) - 400, len(honest[bundle]), 29)]
    lies += [{checkpoint: flip(honest[checkpoint], place)} for place in range(0, own, 23)]
    lies += [{bundle: b""}, {checkpoint: larger}]
    for lie in lies:
        mirror.copy = {**honest, **lie}
        assert recovery.recover() is None
        assert (store.read_head(), everything()) == here
        assert standing.suspension() is not None
    mirror.copy = honest
    assert recovery.recover() is not None
    assert store.read_head().size == 5


def flip(data: bytes, place: int) -> bytes:
    return data[:place] + bytes([data[place] ^ 1]) + data[place + 1 :]


def test_another_history_signed_by_us_is_never_put_back_over_ours(mirror: Mirror, tmp_path: Path) -> None:
    """Two machines signed after a restore: no copy is taken, and the state stays until a person has looked."""
    followed_by(mirror)
    kept = keep(tmp_path)
    log.append([note("one"), note("two")])
    cosigning.push_head()
    mirror.take_copy()
    put_old_folder(kept)
    put_old_database(1)
    forget_machine()
    Witness.objects.update(is_active=False)
    log.append([note("another one")])
    Witness.objects.update(is_active=True)
    forked = store.read_head()
    assert recovery.recover() is None
    assert store.read_head() == forked
    with pytest.raises(standing.LogReadOnly):
        log.append([note("another two")])


@pytest.mark.parametrize("after", [False, True], ids=["failed", "failed but persisted"])
def test_a_power_cut_at_every_call_of_a_recovery_is_mended_by_the_next(mirror: Mirror, tmp_path: Path, after: bool) -> None:
    followed_by(mirror)
    kept = keep(tmp_path)
    log.append([note("one"), note("two")])
    cosigning.push_head()
    mirror.take_copy()
    before, head = everything(), store.read_head()

    def set_back() -> None:
        put_old_folder(kept)
        put_old_database(1)
        forget_machine()

    set_back()
    with cut_at(0, after=False) as calls:
        assert recovery.recover() is not None
    assert len(calls) > 10
    for number in range(1, len(calls) + 1):
        set_back()
        with cut_at(number, after=after), pytest.raises(PowerCut):
            recovery.recover()
        recovery.recover()
        log.begin_log()
        assert (everything(), store.read_head()) == (before, head)
    assert checks.find_problems() == []


def test_blobs_come_back_too_and_missing_ones_are_named(mirror: Mirror, room: Room, tmp_path: Path) -> None:
    followed_by(mirror)
    kept = keep(tmp_path)
    room.month()
    cosigning.push_head()
    mirror.take_copy()
    blobs = {path.name for path in (store.folder() / "1" / "blob").rglob("*") if path.is_file()}
    assert len(blobs) > 3
    # The lines of accruals are in no mirror's copy: they follow from the inputs of the close.
    named = {parse_entry(data).body.get("lines") for data in everything().values()} - {None}
    assert named
    works = next(parse_entry(data).body["works"] for data in everything().values() if parse_entry(data).type == "meter")
    mirror.copy = {path: data for path, data in mirror.copy.items() if path.rpartition("/")[2] not in named}
    gone = works
    mirror.copy = {path: data for path, data in mirror.copy.items() if not path.endswith(gone)}
    put_old_folder(kept)
    put_old_database(1)
    forget_machine()
    done = recovery.recover()
    assert done is not None
    assert done.blobs_missing == (gone,)
    back = {path.name for path in (store.folder() / "1" / "blob").rglob("*") if path.is_file()}
    assert back == blobs - {gone}


def test_a_blob_of_more_values_than_fit_into_memory_is_refused(
    mirror: Mirror, room: Room, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    followed_by(mirror)
    kept = keep(tmp_path)
    room.month()
    cosigning.push_head()
    mirror.take_copy()
    size = store.read_head().size
    put_old_folder(kept)
    put_old_database(1)
    forget_machine()
    with monkeypatch.context() as narrow:
        narrow.setattr(reexecution, "INPUT_MARKS_MAX", 20)
        assert recovery.recover() is None
    assert [record.error.partition(":")[0] for record in caplog.records if "refused" in record.message] == ["too_large"]
    assert store.read_head().size == 1
    done = recovery.recover()
    assert done is not None
    assert done.size == size
