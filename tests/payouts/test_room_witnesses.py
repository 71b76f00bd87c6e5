"""Before a head is signed, witnesses are asked; afterwards they cosign it. Dead ones, liars, strangers, and one from outside."""

import shutil
import time
from collections.abc import Iterator
from hashlib import sha256
from pathlib import Path

import pytest
from django.db import transaction
from django.test import Client

from payouts import checks, cosigning, instance_keys, log, may_sign, peers, standing, statements, store, witness_policy, witnesses
from payouts.ledger.checkpoint import Checkpoint, sign_checkpoint
from payouts.ledger.entries import Draft
from payouts.ledger.policy import parse_policy
from payouts.ledger.statement import parse_statement
from payouts.models import LogEntry, SignedHead, Witness
from server.core.errors import Conflict, Invalid
from server.wiring import CHORES
from tests.payouts.c2sp_witness import C2spWitness
from tests.payouts.neighbour import Neighbour
from tests.payouts.room import Room, entry_id

pytestmark = pytest.mark.django_db


@pytest.fixture
def outside() -> Iterator[C2spWitness]:
    it = C2spWitness()
    yield it
    it.close()


@pytest.fixture(autouse=True)
def _ask_always(monkeypatch: pytest.MonkeyPatch) -> None:
    """Each append asks anew; the burst has a test of its own."""
    monkeypatch.setattr(witnesses, "ANSWER_SECONDS", 0.0)


def note(name: str) -> Draft:
    return Draft("shutdown", entry_id(name), {"reason": name, "until": "2027-01-01T00:00:00Z"}, {})


def ours() -> str:
    return instance_keys.origin()


def pick(neighbour: Neighbour) -> Witness:
    """The neighbour knows us, cosigns our heads and shows what it has seen."""
    log.begin_log()
    neighbour.follow(ours(), instance_keys.signer("ledger").verifier)
    peers.follow_log(instance_origin=neighbour.origin)
    return Witness.objects.get(peer__origin=neighbour.instance.origin)


def pick_outside(outside: C2spWitness) -> Witness:
    log.begin_log()
    outside.logs[ours()] = str(instance_keys.signer("ledger").verifier)
    monitoring = outside.url if outside.monitoring else ""
    return witnesses.add(vkey=outside.vkey, url=outside.url, monitoring_url=monitoring)


def set_back(files: Path, size: int) -> None:
    """Put an older ledger folder in place, forget the rows beyond, and what the machine and the database knew."""
    shutil.rmtree(store.folder())
    shutil.copytree(files, store.folder())
    LogEntry.objects.filter(index__gte=size).delete()
    SignedHead.objects.filter(size__gt=size).delete()
    Witness.objects.update(saw_size=0)
    forget_machine()


def forget_machine() -> None:
    store.folder().with_name(f"{store.folder().name}.here").unlink(missing_ok=True)
    witnesses.forget_answers()


def keep(tmp_path: Path) -> tuple[Path, int]:
    shutil.copytree(store.folder(), tmp_path / "kept")
    return tmp_path / "kept", store.read_head().size


# --- asking before signing ---


@pytest.mark.parametrize("monitoring", [True, False])
def test_an_old_backup_signs_nothing_when_a_witness_saw_more(outside: C2spWitness, tmp_path: Path, monitoring: bool) -> None:
    outside.monitoring = monitoring
    pick_outside(outside)
    log.append([note("one")])
    cosigning.push_head()
    kept = keep(tmp_path)
    log.append([note("two")])
    cosigning.push_head()
    set_back(*kept)
    with pytest.raises(standing.LogReadOnly):
        log.append([note("another two")])
    assert store.read_head().size == kept[1]
    # What can be shown is kept as evidence; a bare claim stops this signature only.
    stands = standing.suspension()
    assert (stands is not None) == monitoring
    if stands is not None:
        assert (stands.reason, stands.here, stands.seen, stands.by) == ("set_back", 2, 3, outside.name)
        assert ours() in stands.note
    outside.close()
    witnesses.forget_answers()
    with pytest.raises((standing.LogReadOnly, standing.LogUnconfirmed)):
        log.append([note("another two")])


def test_the_state_outlives_the_transaction_that_found_it(outside: C2spWitness, tmp_path: Path) -> None:
    outside.monitoring = True
    pick_outside(outside)
    kept = keep(tmp_path)
    log.append([note("one")])
    cosigning.push_head()
    set_back(*kept)
    with pytest.raises(standing.LogReadOnly), transaction.atomic():
        log.append([note("another one")])
    Witness.objects.update(is_active=False)
    with pytest.raises(standing.LogReadOnly, match="set_back"):
        log.append([note("another one")])


def test_another_history_that_we_signed_stops_the_pen(neighbour: Neighbour) -> None:
    pick(neighbour)
    log.append([note("one")])
    signer = instance_keys.signer("ledger")
    neighbour.seen[ours()] = sign_checkpoint(Checkpoint(ours(), 2, b"\x05" * 32), signer)
    with pytest.raises(standing.LogReadOnly, match="forked"):
        log.append([note("two")])
    assert store.read_head().size == 2


@pytest.mark.parametrize("size", [1, 2, 900])
def test_charlie_cannot_stop_the_pen_with_a_note_of_his_own(neighbour: Neighbour, size: int) -> None:
    pick(neighbour)
    log.append([note("one")])
    neighbour.seen[ours()] = sign_checkpoint(Checkpoint(ours(), size, b"\x05" * 32), neighbour.instance.ledger)
    log.append([note("two")])
    assert standing.suspension() is None
    assert store.read_head().size == 3


def test_a_dead_witness_stops_nothing_and_is_shown(neighbour: Neighbour, outside: C2spWitness) -> None:
    pick(neighbour)
    pick_outside(outside)
    outside.close()
    started = time.monotonic()
    log.append([note("one")])
    cosigning.push_head()
    log.append([note("two")])
    assert time.monotonic() - started < 5
    head = SignedHead.objects.order_by("-size").first()
    cosigning.push_head()
    head.refresh_from_db()
    assert [line.split(" ")[1] for line in head.cosignatures.splitlines()] == [neighbour.instance.witness.name]
    assert Witness.objects.get(name=outside.name).error == "unreachable"
    assert Witness.objects.get(name=neighbour.instance.witness.name).error == ""


def test_nobody_waits_with_the_pen_in_hand_for_who_did_not_answer_the_chore(
    outside: C2spWitness, neighbour: Neighbour, caplog: pytest.LogCaptureFixture
) -> None:
    def unheard() -> list[str]:
        found = [one.witness for one in caplog.records if one.message == "witness not heard"]
        caplog.clear()
        return found

    pick(neighbour)
    pick_outside(outside)
    log.append([note("one")])
    cosigning.push_head()
    outside.close()
    log.append([note("two")])
    assert unheard() == [outside.name], "found out once, by waiting"
    cosigning.push_head()
    assert Witness.objects.get(name=outside.name).error in witnesses.UNHEARD
    # Another process, or a minute later: nobody waits for it again, and the other one is heard.
    witnesses.forget_answers()
    neighbour.asked.clear()
    log.append([note("three")])
    assert unheard() == []
    assert any(path.endswith("/checkpoint") for path in neighbour.asked)
    # Who may have forgotten something asks everybody.
    witnesses.forget_answers()
    forget_machine()
    log.append([note("four")])
    assert unheard() == [outside.name]
    # It answers the chore again, and is asked again.
    Witness.objects.filter(name=outside.name).update(error="")
    witnesses.forget_answers()
    log.append([note("five")])
    assert unheard() == [outside.name]


def test_all_witnesses_silent_stop_a_machine_that_may_have_forgotten_and_no_other(outside: C2spWitness) -> None:
    pick_outside(outside)
    log.append([note("one")])
    cosigning.push_head()
    outside.close()
    witnesses.forget_answers()
    # The same machine, the same run: it has signed the head itself.
    log.append([note("two")])
    forget_machine()
    with pytest.raises(standing.LogUnconfirmed):
        log.append([note("three")])
    mark = store.folder().with_name(f"{store.folder().name}.here")
    mark.write_bytes(b'{"boot":"another boot","size":3}')
    with pytest.raises(standing.LogUnconfirmed):
        log.append([note("three")])
    assert (standing.suspension(), store.read_head().size) == (None, 3)
    # Without a witness there is nobody to ask.
    Witness.objects.update(is_active=False)
    log.append([note("three")])


def test_an_older_folder_on_the_same_machine_is_refused_without_any_witness(tmp_path: Path) -> None:
    log.append([note("one")])
    files, size = keep(tmp_path)
    log.append([note("two")])
    shutil.rmtree(store.folder())
    shutil.copytree(files, store.folder())
    LogEntry.objects.filter(index__gte=size).delete()
    with pytest.raises(standing.LogReadOnly, match="this machine"):
        log.append([note("another two")])
    assert store.read_head().size == size


def test_a_stalling_witness_costs_seconds_once(neighbour: Neighbour, monkeypatch: pytest.MonkeyPatch) -> None:
    pick(neighbour)
    log.append([note("one")])
    monkeypatch.setattr(witnesses, "ASK_SECONDS_MAX", 0.3)
    monkeypatch.setattr(neighbour, "get", lambda _path: time.sleep(5) or (200, b""))
    started = time.monotonic()
    log.append([note("two")])
    first = time.monotonic() - started
    assert 0.3 <= first < 4
    assert witnesses.ask(store.read_head()) == []
    asked = len(neighbour.asked)
    log.append([note("three")])
    assert len(neighbour.asked) == asked


def test_a_burst_asks_once(neighbour: Neighbour, monkeypatch: pytest.MonkeyPatch) -> None:
    pick(neighbour)
    monkeypatch.setattr(witnesses, "ANSWER_SECONDS", 10.0)
    witnesses.forget_answers()
    asked = len(neighbour.asked)
    for number in range(5):
        log.append([note(f"burst {number}")])
    assert len(neighbour.asked) == asked + 1


# --- a witness that is no Tributary ---


def test_a_c2sp_witness_cosigns_every_head_and_its_lag_is_known(outside: C2spWitness, room: Room) -> None:
    row = pick_outside(outside)
    room.fund()
    cosigning.push_head()
    log.append([note(f"more {number}") for number in range(300)])
    cosigning.push_head()
    head = SignedHead.objects.order_by("-size").first()
    signed = statements.open_head(head)
    assert [one.key.name for one in signed.note.signatures] == [ours(), outside.name]
    row.refresh_from_db()
    assert (row.saw_size, row.error) == (head.size, "")
    # It lost a head of ours: it tells its size, and gets the proof from there.
    outside.heads[ours()] = (0, b"", b"")
    log.append([note("last")])
    cosigning.push_head()
    assert outside.heads[ours()][0] == store.read_head().size
    assert 409 in outside.answers


def test_what_a_witness_sends_beyond_its_line_does_not_stand_under_our_head(
    outside: C2spWitness, monkeypatch: pytest.MonkeyPatch
) -> None:
    pick_outside(outside)
    honest = outside.add_checkpoint
    stranger = "\u2014 stranger.example/x AAAAAAAAAAAAAAAA\n"
    monkeypatch.setattr(outside, "add_checkpoint", lambda body: honest(body) + stranger)
    cosigning.push_head()
    lines = SignedHead.objects.get().cosignatures.splitlines()
    assert [line.split(" ")[1] for line in lines] == [outside.name]
    log.append([note("one")])
    monkeypatch.setattr(outside, "add_checkpoint", lambda body: honest(body).replace("A", "B"))
    cosigning.push_head()
    assert SignedHead.objects.order_by("-size").first().cosignatures == ""
    assert Witness.objects.get().error


# --- who is picked, and how many are enough ---


def test_what_is_no_witness_is_refused() -> None:
    log.begin_log()
    good = C2spWitness("w.example/1")
    good.close()
    assert witnesses.add(vkey=good.vkey, url=good.url) == witnesses.add(vkey=good.vkey, url=good.url)
    refused = [
        {"vkey": "nonsense", "url": good.url},
        {"vkey": str(instance_keys.signer("ledger").verifier), "url": good.url},
        {"vkey": str(instance_keys.signer("witness").verifier), "url": good.url},
        {"vkey": good.vkey.replace("w.example", "v.example"), "url": good.url},
        {"vkey": good.vkey, "url": "http://witness.example"},
        {"vkey": good.vkey, "url": good.url, "monitoring_url": "ftp://witness.example"},
    ]
    for wrong in refused:
        with pytest.raises(Invalid):
            witnesses.add(**wrong)
    other = C2spWitness("w.example/1")
    other.close()
    from nacl.signing import SigningKey

    other.key = SigningKey(bytes(32))
    with pytest.raises(Conflict):
        witnesses.add(vkey=other.vkey, url=good.url)
    assert Witness.objects.count() == 1


def test_there_is_a_last_witness(neighbour: Neighbour) -> None:
    log.begin_log()
    rows = [Witness(name=f"w{number}.example/1", vkey=str(number), url="https://w.example") for number in range(32)]
    Witness.objects.bulk_create(rows)
    one_more = C2spWitness("one-more.example/1")
    one_more.close()
    with pytest.raises(Invalid, match="At most 32"):
        witnesses.add(vkey=one_more.vkey, url=one_more.url)
    # An instance is followed all the same.
    peers.follow_log(instance_origin=neighbour.origin)
    assert not Witness.objects.get(name=neighbour.instance.witness.name).is_active


def test_the_policy_says_who_and_how_many(outside: C2spWitness, neighbour: Neighbour, client: Client) -> None:
    log.begin_log()
    assert witnesses.find_problems()[0].startswith("unwitnessed")
    assert "quorum none" in witnesses.policy()
    pick(neighbour)
    pick_outside(outside)
    assert witnesses.quorum() == 1
    with pytest.raises(Invalid):
        witnesses.set_quorum(quorum=3, by="admin")
    witnesses.set_quorum(quorum=2, by="admin")
    assert witnesses.find_problems() == []
    cosigning.push_head()
    shown = client.get("/ledger/1/policy")
    policy = parse_policy(shown.content)
    assert sorted(policy.witnesses) == sorted([outside.name, neighbour.instance.witness.name])
    assert len(policy.check(statements.open_head(SignedHead.objects.get()))) == 2
    witnesses.set_active(witness=Witness.objects.get(name=outside.name), is_active=False)
    assert any("2 cosignatures" in one for one in witnesses.find_problems())


def test_the_policy_in_force_stands_in_the_log(
    outside: C2spWitness, neighbour: Neighbour, monkeypatch: pytest.MonkeyPatch
) -> None:
    log.begin_log()
    # Who never had a witness has nothing to log.
    assert witness_policy.log_policy() is None
    pick(neighbour)
    first = witness_policy.log_policy()
    assert first is not None
    assert first.body == {"policy": witnesses.policy()}
    assert witness_policy.log_policy() is None
    pick_outside(outside)
    witnesses.set_quorum(quorum=2, by="admin")
    second = witness_policy.log_policy()
    assert second is not None
    assert sorted(parse_policy(second.body["policy"].encode()).witnesses) == sorted(
        [outside.name, neighbour.instance.witness.name]
    )
    # Back to what was: said again, at its place.
    witnesses.set_active(witness=Witness.objects.get(name=outside.name), is_active=False)
    witnesses.set_quorum(quorum=1, by="admin")
    third = witness_policy.log_policy()
    assert third is not None
    assert (third.body, third.index > second.index) == (first.body, True)
    assert witness_policy.logged() == third
    assert CHORES["log_witness_policy"] == (witness_policy.log_policy, 60.0)
    # What no entry holds is shown, not logged, and the administrator is told.
    monkeypatch.setattr(witnesses, "POLICY_CHARACTERS_MAX", 10)
    witnesses.set_quorum(quorum=0, by="admin")
    assert witness_policy.log_policy() is None
    assert any("not logged" in one for one in witnesses.find_problems())
    assert checks.find_problems() == []


def test_a_statement_shows_the_newest_head_that_has_the_quorum(outside: C2spWitness, neighbour: Neighbour, room: Room) -> None:
    pick(neighbour)
    pick_outside(outside)
    witnesses.set_quorum(quorum=2, by="admin")
    room.month()
    cosigning.push_head()
    with_both = store.read_head().size
    log.append([note("later")])
    outside.close()
    witnesses.forget_answers()
    cosigning.push_head()
    policy = parse_statement(statements.build(room.alice.scid)).policy
    assert "group witnesses 2" in policy
    witnesses.set_quorum(quorum=1, by="admin")
    policy = parse_statement(statements.build(room.alice.scid)).policy
    assert "group witnesses 1" in policy
    assert SignedHead.objects.get(size=with_both).cosignatures.count("\n") == 2


def test_unwitnessed_is_said(room: Room) -> None:
    room.month()
    assert parse_statement(statements.build(room.alice.scid)).policy.endswith("quorum none\n")


def test_the_root_of_any_earlier_size_can_be_read_back() -> None:
    roots = {}
    for number in range(4):
        log.append([note(f"batch {number} {one}") for one in range(100)])
        head = store.read_head()
        roots[head.size] = head.root
    for path in (store.folder() / "1" / "tile").rglob("*.p/*"):
        if int(path.name) not in {401 - 256, 1}:
            path.unlink()
    assert {size: may_sign.root_at(size) for size in roots} == roots
    assert sha256(store.read_head().note).digest()


def test_a_head_is_pushed_at_once_by_the_worker(outside: C2spWitness, room: Room) -> None:
    from server.core import worker

    pick_outside(outside)
    room.fund()
    while worker.work("ledger", seconds_max=5):
        pass
    assert outside.heads[ours()][0] == store.read_head().size
