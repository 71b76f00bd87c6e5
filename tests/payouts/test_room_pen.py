"""The pen: every call failed once, failed but persisted, old heads, flipped bits, replayed ids."""

import os
import resource
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from datetime import timedelta
from pathlib import Path
from typing import Any
from unittest import mock

import pytest
from django.db import transaction

from payouts import checks, durable, instance_keys, log, standing, store
from payouts.ledger.entries import Draft
from payouts.ledger.errors import BadTile, LiabilityOverdrawn
from payouts.models import AccountHead, Balance, EntryOfAccount, LogEntry, SignedHead, Witness
from server.core import clock
from server.core.errors import Conflict, StorageFull
from tests.payouts.room import UNIT, Room, entry_id

pytestmark = pytest.mark.django_db


class PowerCut(Exception):
    """The process ends here."""


def note(name: str) -> Draft:
    return Draft("shutdown", entry_id(name), {"reason": name, "until": "2027-01-01T00:00:00Z"}, {})


@contextmanager
def cut_at(number: int, *, after: bool) -> Iterator[list[str]]:
    """The ``number``-th call of anything that touches the disk or signs fails: before it acts, or when it has acted."""
    calls: list[str] = []

    def wrap(name: str, function: Callable[..., Any]) -> Callable[..., Any]:
        def call(*args: Any, **kwargs: Any) -> Any:
            calls.append(name)
            mine = len(calls) == number
            if mine and not after:
                raise PowerCut(name)
            result = function(*args, **kwargs)
            if mine:
                raise PowerCut(name)
            return result

        return call

    places = [
        *((durable, name) for name in ("_write", "_make_folder", "_sync_all")),
        *((store, name) for name in ("write_files", "move_head", "publish_checkpoint")),
        *((log, name) for name in ("write_batch", "grow", "read_edge", "sign_checkpoint", "catch_up")),
        (log.rows, "make_rows"),
        (log.facts, "record"),
        (log.may_sign, "check"),
        (log.standing, "remember"),
        (os, "fsync"),
    ]
    with ExitStack() as stack:
        for module, name in places:
            stack.enter_context(mock.patch.object(module, name, wrap(name, getattr(module, name))))
        yield calls


def count_calls() -> int:
    with cut_at(0, after=False) as calls:
        log.append([note("counted")])
    return len(calls)


@pytest.mark.parametrize("after", [False, True], ids=["failed", "failed but persisted"])
def test_a_power_cut_at_every_call_is_mended_by_the_next_append(after: bool) -> None:
    log.begin_log()
    total = count_calls()
    assert total > 15
    for number in range(1, total + 1):
        wish = note(f"wish {number} {after}")
        with cut_at(number, after=after), pytest.raises(PowerCut), transaction.atomic():
            log.append([wish])
        promised = store.read_head().size
        (entry,) = log.append([wish])
        # What was promised before the cut is still there, and the wish stands once.
        assert promised in (entry.index, entry.index + 1)
        assert LogEntry.objects.filter(entry_id=wish.id).count() == 1
        assert LogEntry.objects.count() == store.read_head().size == entry.index + 1
    assert checks.find_problems() == []


def test_the_same_id_twice_is_the_same_wish_and_with_another_content_a_conflict() -> None:
    first = log.append([note("one")])
    assert log.append([note("one")]) == first
    size = store.read_head().size
    with pytest.raises(Conflict):
        log.append([Draft("shutdown", entry_id("one"), {"reason": "two", "until": "2027-01-01T00:00:00Z"}, {})])
    assert store.read_head().size == size


def test_rows_that_were_rolled_back_come_back_from_the_files(room: Room) -> None:
    before = transaction.savepoint()
    room.fund()
    transaction.savepoint_rollback(before)
    assert not LogEntry.objects.exists()
    log.begin_log()
    assert [row.type for row in LogEntry.objects.order_by("index")] == ["genesis", "revenue"]
    assert Balance.objects.get(name="L:advertiser:acme#EUR/6").amount == -50 * UNIT
    # The keys that the genesis names were rolled back too, and came back.
    assert checks.find_problems() == []
    room.fund()
    assert LogEntry.objects.count() == 2


def test_an_older_head_is_refused_and_nothing_is_written() -> None:
    log.append([note("one")])
    old = (store.folder() / "head").read_bytes()
    log.append([note("two")])
    (store.folder() / "head").write_bytes(old)
    with pytest.raises(standing.LogReadOnly):
        log.append([note("three")])
    assert LogEntry.objects.count() == 3
    assert standing.suspension().reason == "set_back"


def test_head_and_database_set_back_together_are_refused_when_a_witness_has_seen_more() -> None:
    log.append([note("one")])
    Witness.objects.create(name="beta.example/witness/1", vkey="x", url="https://beta.example", saw_size=9, is_active=False)
    with pytest.raises(standing.LogReadOnly, match="9 entries according to beta"):
        log.append([note("two")])
    assert store.read_head().size == 2


def test_a_head_moved_by_another_writer_is_refused() -> None:
    log.append([note("one")])
    now = store.read_head()
    with pytest.raises(store.HeadMoved):
        store.move_head(store.HeadCell(), now)
    with pytest.raises(store.HeadMoved):
        store.move_head(now, store.HeadCell())
    assert store.read_head() == now


def test_every_flipped_bit_of_what_is_stored_stops_the_pen() -> None:
    log.append([note("one"), note("two")])
    files = [path for path in (store.folder() / "1" / "tile").rglob("*") if path.is_file() and path.name == "3"]
    assert len(files) == 2
    for path in files:
        whole = path.read_bytes()
        for place in range(0, len(whole), 7):
            path.write_bytes(whole[:place] + bytes([whole[place] ^ 1]) + whole[place + 1 :])
            with pytest.raises((store.LogDamaged, BadTile)):
                log.append([note("three")])
            assert checks.find_problems()
        path.write_bytes(whole)
    log.append([note("three")])
    assert checks.find_problems() == []


def test_a_changed_row_is_found(room: Room) -> None:
    room.month()
    AccountHead.objects.filter(scid=room.alice.scid).update(balance=1)
    Balance.objects.filter(name__startswith="L:pool").update(amount=-5)
    problems = checks.find_problems()
    assert f"account {room.alice.scid} EUR differs from the log" in problems
    assert any("do not balance" in one for one in problems)
    LogEntry.objects.filter(index=1).update(data=b"{}")
    assert "row 1 is not the entry of the log" in checks.find_problems()


def test_a_full_disk_stops_the_pen_before_it_is_full(settings: Any) -> None:
    log.append([note("one")])
    settings.FREE_DISK_BYTES_MIN = 1 << 60
    with pytest.raises(StorageFull):
        log.append([note("two")])
    assert store.read_head().size == 2


def test_a_file_that_does_not_fit_stops_the_pen_and_leaves_nothing_half() -> None:
    log.append([note("one")])
    before = sorted(store.folder().rglob("*"))
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (50, hard))
    try:
        with pytest.raises(StorageFull):
            log.append([note("two")])
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    assert sorted(store.folder().rglob("*")) == before
    assert log.append([note("two")])[0].index == 2
    assert checks.find_problems() == []


def test_a_clock_that_goes_backwards_does_not_take_the_log_along() -> None:
    (first,) = log.append([note("one")])
    with clock.moved(timedelta(days=-3)):
        (second,) = log.append([note("two")])
    assert second.at == first.at
    with clock.moved(timedelta(seconds=5)):
        assert log.append([note("three")])[0].at > first.at
    assert checks.find_problems() == []


def test_a_large_batch_costs_few_more_syncs_than_it_has_files() -> None:
    log.begin_log()
    with cut_at(0, after=False) as small:
        log.append([note("one")])
    with cut_at(0, after=False) as large:
        log.append([note(f"many {number}") for number in range(600)])
    files = [path for path in (store.folder() / "1").rglob("*") if path.is_file()]
    assert small.count("fsync") <= 10
    assert large.count("fsync") <= small.count("fsync") + len(files)


def test_what_we_owe_cannot_be_overdrawn(room: Room) -> None:
    room.fund(UNIT)
    body = {
        "period": "2026-11", "campaign": "spring", "currency": "EUR", "impressions": 1, "price_per_thousand": "1",
        "amount": str(2 * UNIT), "evidence": "0" * 64,
    }  # fmt: skip
    postings = {"L:advertiser:acme#EUR/6": 2 * UNIT, "L:pool:ads:2026-11#EUR/6": -2 * UNIT}
    with pytest.raises(LiabilityOverdrawn):
        log.append([Draft("charge", entry_id("too much"), body, postings)])
    assert store.read_head().size == 2


def test_another_key_than_the_genesis_names_signs_nothing() -> None:
    from server.core.models import InstanceKey

    log.append([note("one")])
    InstanceKey.objects.filter(name="ledger/1").update(private_sealed=InstanceKey.objects.get(name="witness/1").private_sealed)
    with pytest.raises(store.LogDamaged, match="key of this log"):
        log.append([note("two")])


def test_the_root_key_is_a_file_of_its_own_and_nobody_elses() -> None:
    log.begin_log()
    path: Path = instance_keys.root_path()
    assert path.stat().st_mode & 0o077 == 0
    kept = path.parent / "ledger"
    assert {one.name for one in kept.iterdir()} == {name.replace("/", "-") for name in instance_keys.NAMES}
    assert all(one.stat().st_mode & 0o077 == 0 for one in kept.iterdir())


def test_a_head_is_signed_once_for_each_size(room: Room) -> None:
    room.month()
    assert EntryOfAccount.objects.count() == 2
    assert SignedHead.objects.order_by("-size").first().size == store.read_head().size
