"""``manage.py ledger`` and ``manage.py selfcheck``: what they say, what they write, and their exit status."""

import io
import json
import subprocess
import sys
from collections.abc import Callable
from dataclasses import asdict, replace
from datetime import timedelta
from hashlib import sha256
from pathlib import Path
from typing import Any

import pytest
from django.core.management import CommandError, call_command
from hypothesis import given
from hypothesis import strategies as st

from payouts import checks, exports, log, peers, pins, selfcheck, store
from payouts.ledger.__main__ import main as offline
from payouts.ledger.entries import Draft, parse_entry
from payouts.ledger.money import Account, account, in_units, parse_account
from payouts.models import AccountHead, Agreement, Balance, EntryOfAccount, LogEntry, PeerLog, SignedHead, Witness
from server.core import clock, metrics
from server.wiring import CHORES
from tests.payouts.ledger_world import MemoryTiles, alpha_log
from tests.payouts.neighbour import Neighbour
from tests.payouts.played_month import play_month
from tests.payouts.room import MONTH, Room, entry_id

# Loads a file as beancount does, and says every balance: a second opinion in a process of its own.
BALANCES = """
import json, sys
from beancount import loader
from beancount.core import data, realization
entries, errors, _ = loader.load_file(sys.argv[1])
tree = realization.realize([one for one in entries if isinstance(one, data.Transaction)])
found = {f"{one.account} {position.units.currency}": str(position.units.number)
         for one in realization.iter_children(tree) for position in one.balance}
print(json.dumps({"errors": [str(error.message) for error in errors], "balances": found}))
"""


def run(*arguments: object) -> tuple[int, str]:
    """The exit status and the standard output."""
    out = io.StringIO()
    try:
        call_command(*map(str, arguments), stdout=out, stderr=io.StringIO())
    except CommandError as error:
        return error.returncode, out.getvalue()
    return 0, out.getvalue()


def asked(*arguments: object) -> tuple[int, dict[str, Any]]:
    status, text = run(*arguments, "--json")
    return status, json.loads(text)


def second_opinion(file: Path) -> dict[str, Any]:
    done = subprocess.run([sys.executable, "-c", BALANCES, str(file)], capture_output=True, text=True, timeout=60, check=True)
    found: dict[str, Any] = json.loads(done.stdout)
    return found


def bean_check(file: Path) -> subprocess.CompletedProcess[str]:
    argv = [Path(sys.executable).with_name("bean-check"), "--no-cache", file]
    return subprocess.run(argv, capture_output=True, text=True, timeout=60, check=False)


# Exports.


def test_beancount_accepts_a_month_with_everything_in_it_and_counts_alike(tmp_path: Path) -> None:
    log_ = alpha_log()
    file = tmp_path / "alpha.beancount"
    file.write_text("".join(exports.beancount("alpha.example/ledger/1", log_.entries)))
    done = bean_check(file)
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")
    ours: dict[str, int] = {}
    for entry in log_.entries:
        for one, amount in entry.postings:
            name = f"{exports.account_name(one)} {one.currency}"
            ours[name] = ours.get(name, 0) + amount
    said = second_opinion(file)
    assert said == {"errors": [], "balances": {name: in_units(amount) for name, amount in ours.items() if amount}}
    assert len(said["balances"]) > 8
    # The same file with one amount changed is refused: the checker does check.
    file.write_text(file.read_text().replace("  10.000000 EUR", "  10.000001 EUR", 1))
    assert bean_check(file).returncode == 1
    assert second_opinion(file)["errors"]


def test_an_export_without_money_is_a_file_too(tmp_path: Path) -> None:
    file = tmp_path / "empty.beancount"
    file.write_text("".join(exports.beancount("x.example/ledger/1", alpha_log().entries[:1])))
    assert bean_check(file).returncode == 0


NAMES = st.from_regex(r"[a-z0-9]([a-z0-9_.-]{0,8}[a-z0-9])?", fullmatch=True)


@given(st.lists(NAMES, min_size=2, max_size=2, unique=True))
def test_no_two_accounts_share_a_name(names: list[str]) -> None:
    found = {exports.account_name(parse_account(account("L:advertiser", "EUR", name))) for name in names}
    assert len(found) == 2
    pools = [Account("L:pool", f"{name}:2026-11.1", "EUR") for name in names]
    assert len({exports.account_name(one) for one in pools}) == 2


def test_the_log_is_exported_proven(room: Room, tmp_path: Path) -> None:
    room.month()
    file = tmp_path / "books.beancount"
    status, said = asked("ledger", "export", "--format", "beancount", "--to", file)
    assert (status, said["sha256"]) == (0, sha256(file.read_bytes()).hexdigest())
    assert bean_check(file).returncode == 0
    rows = {
        f"{exports.account_name(one)} {one.currency}": in_units(row.amount)
        for row in Balance.objects.exclude(amount=0)
        for one in [parse_account(row.name)]
    }
    assert second_opinion(file)["balances"] == rows
    status, text = run("ledger", "export", "--format", "jsonl")
    assert (status, [line.encode() for line in text.splitlines()]) == (0, [bytes(one.data) for one in LogEntry.objects.order_by("index")])  # fmt: skip
    # Of a log that is not whole nothing is called an export: the old file stays.
    path = next((store.folder() / "1/tile/entries").rglob(str(store.read_head().size)))
    path.write_bytes(path.read_bytes().replace(b"first", b"First").replace(b"genesis", b"Genesis", 1))
    before = file.read_bytes()
    status, said = asked("ledger", "export", "--format", "jsonl", "--to", file)
    assert (status, said["error"]) == (2, "bad_tile")
    assert file.read_bytes() == before


def test_an_export_to_nowhere_is_not_described(room: Room) -> None:
    room.fund()
    assert run("ledger", "export", "--format", "jsonl", "--json") == (2, "")
    assert asked("ledger", "export", "--format", "fork-proof", "--to", "/nowhere/x")[0] == 1


@pytest.mark.django_db
def test_nothing_is_exported_of_a_ledger_that_has_not_begun() -> None:
    assert run("ledger", "export", "--format", "jsonl")[0] == 1


def test_a_convicting_proof_is_handed_out(room: Room, neighbour: Neighbour, tmp_path: Path, capsys: Any) -> None:
    play_month(neighbour, room.alice.scid)
    peer = peers.follow_log(instance_origin=neighbour.origin)
    assert run("ledger", "export", "--format", "fork-proof")[0] == 1
    assert asked("ledger", "status")[0] == 0
    other = type(neighbour.log)(neighbour.instance)
    other.fund("2026-11-02T09:00:00Z", 6)
    files = dict(neighbour.log.files)
    pins.keep_both(peer, pins.open_note(peer, other.checkpoint().data), MemoryTiles(files))
    proof = tmp_path / "fork.json"
    assert run("ledger", "export", "--format", "fork-proof", "--origin", neighbour.instance.origin, "--to", proof)[0] == 0
    assert offline(["verify-fork", str(proof), "--key", str(neighbour.instance.ledger.verifier)]) == 0
    assert "CONVICTED" in capsys.readouterr().out
    assert run("ledger", "export", "--format", "fork-proof", "--origin", "else.example/ledger/1")[0] == 1
    status, said = asked("ledger", "status")
    assert (status, said["problems"]) == (1, [f"{neighbour.instance.origin} has forked: it shows two histories"])
    PeerLog.objects.create(origin="b.example/ledger/1", url="https://b.example/ledger/1", root="", fork_proof=b"{}", forked_at=PeerLog.objects.get(pk=peer.pk).forked_at)  # fmt: skip
    assert run("ledger", "export", "--format", "fork-proof") == (2, "")


# Verifying.


def test_a_whole_log_is_verified(room: Room) -> None:
    room.month()
    assert asked("ledger", "verify") == (0, {"size": store.read_head().size, "problems": []})
    Balance.objects.filter(name__startswith="L:pool").update(amount=-5)
    status, said = asked("ledger", "verify")
    assert (status, len(said["problems"])) == (1, 2)


def test_the_log_of_another_instance_is_verified_from_afar(room: Room, neighbour: Neighbour) -> None:
    play_month(neighbour, room.alice.scid)
    status, said = asked("ledger", "verify", "--origin", neighbour.origin)
    size = neighbour.log.edge.size
    assert (status, said["size"], said["pinned"], said["problems"]) == (0, size, False, [])
    assert (said["origin"], said["key"]) == (neighbour.instance.origin, str(neighbour.instance.ledger.verifier))
    assert said["accounts"] == len(neighbour.log.heads)
    peers.follow_log(instance_origin=neighbour.origin)
    assert asked("ledger", "verify", "--origin", neighbour.origin)[1]["pinned"] is True
    # One bit in one file of it.
    name = f"tile/entries/000.p/{size}"
    whole = neighbour.log.files[name]
    neighbour.log.files[name] = whole[:500] + bytes([whole[500] ^ 1]) + whole[501:]
    status, said = asked("ledger", "verify", "--origin", neighbour.origin)
    assert (status, said["problems"]) == (1, [f"entry 0: bad_tile: {name} does not hash to its tile"])
    del neighbour.log.files[name]
    assert asked("ledger", "verify", "--origin", neighbour.origin)[0] == 1
    # A shorter history than the one that was pinned, and another one.
    neighbour.log.files[name] = whole
    peer = PeerLog.objects.get()
    PeerLog.objects.update(size=size + 1)
    assert "went_backwards" in asked("ledger", "verify", "--origin", neighbour.origin)[1]["problems"][0]
    PeerLog.objects.update(size=peer.size, genesis=b"{}")
    assert asked("ledger", "verify", "--origin", neighbour.origin)[1]["problems"] == ["the genesis is not the one that we pinned"]
    Witness.objects.all().delete()
    PeerLog.objects.all().delete()
    # Signed by nobody whom the genesis names.
    neighbour.note = neighbour.checkpoint().replace(b"\n\n", b"\nmore\n\n", 1)
    assert "bad_signature" in asked("ledger", "verify", "--origin", neighbour.origin)[1]["problems"][0]


def test_what_cannot_be_asked_is_neither_whole_nor_broken(room: Room, neighbour: Neighbour) -> None:
    neighbour.note = b"no note"
    assert asked("ledger", "verify", "--origin", neighbour.origin) == (2, {"error": "malformed_note", "detail": "no blank line before the signatures, or no newline after them"})  # fmt: skip
    neighbour.note = alpha_log().checkpoint().data
    assert asked("ledger", "verify", "--origin", neighbour.origin)[1]["error"] == "peer_unclear"
    assert asked("ledger", "verify", "--origin", f"{neighbour.origin}/elsewhere")[1]["error"] == "invalid"
    assert asked("ledger", "verify", "--origin", "http://127.0.0.1:9")[0] == 2
    assert asked("ledger", "statement", room.charlie.scid)[0] == 1


def test_a_statement_is_written_and_verifies_offline(room: Room, tmp_path: Path, capsys: Any) -> None:
    room.month()
    file = tmp_path / "alice.gz"
    status, said = asked("ledger", "statement", room.alice.scid, "--to", file)
    assert (status, said) == (0, {"file": str(file), "bytes": len(file.read_bytes())})
    assert offline(["verify", str(file)]) == 0


def test_a_followed_log_is_mirrored_and_audited(room: Room, neighbour: Neighbour) -> None:
    play_month(neighbour, room.alice.scid)
    assert asked("ledger", "mirror") == (0, {"logs": [], "problems": [], "unfinished": []})
    assert asked("ledger", "mirror", neighbour.origin)[1]["error"] == "not_found"
    peer = peers.follow_log(instance_origin=neighbour.origin)
    status, said = asked("ledger", "mirror", neighbour.origin)
    (report,) = said["logs"]
    # The neighbour shows its log and not the blobs that it names: copied and judged, yet no close can be run again.
    assert (status, report["size"], report["judged"], said["problems"]) == (0, peer.size, peer.size, [])
    assert asked("ledger", "mirror", peer.origin)[0] == asked("ledger", "mirror")[0] == 0
    status, said = asked("ledger", "audit", neighbour.origin)
    assert (status, said["problems"]) == (2, [])
    assert said["unfinished"] == [f"{peer.origin}: {said['logs'][0]['audited']} of {peer.size} entries audited"]
    # What is not there any more cannot be copied.
    neighbour.log.fund("2026-12-03T09:00:00Z", 5)
    neighbour.log.files.pop(f"tile/entries/000.p/{peer.size + 2}")
    status, said = asked("ledger", "mirror", neighbour.origin)
    assert (status, said["problems"], len(said["unfinished"])) == (2, [], 1)


# The self-check.


def _damage_blob(kind: str, member: str, *, public: bool = True) -> None:
    entry = parse_entry(bytes(LogEntry.objects.filter(type=kind).first().data))
    digest = entry.body[member]
    path = store.folder() / ("1/blob" if public else "evidence") / digest[:2] / digest
    path.write_bytes(path.read_bytes() + b" ")


DAMAGE: list[tuple[str, Callable[[Room], object], str]] = [
    ("an account's head", lambda room: AccountHead.objects.filter(scid=room.alice.scid).update(balance=1), "account Qm"),
    ("a balance", lambda _: Balance.objects.filter(name__startswith="L:pool").update(amount=-5), "do not balance"),
    ("a row's bytes", lambda _: LogEntry.objects.filter(index=1).update(data=b"{}"), "row 1 is not the entry of the log"),
    ("a row's type", lambda _: LogEntry.objects.filter(index=1).update(type="gift"), "row 1 is filed under another"),
    ("a touched account", lambda _: EntryOfAccount.objects.filter(scid=_.bob.scid).update(unclaimed=1), "touches are filed otherwise"),
    ("a touched account too many", lambda room: EntryOfAccount.objects.create(entry_id=0, scid=room.charlie.scid, currency="EUR", seq=1, payable=1, held=0, unclaimed=0), "entry 0 touches"),
    ("a signed head", lambda _: SignedHead.objects.filter(size=2).update(note=bytes(SignedHead.objects.get(size=1).note)), "the head signed at 2 is not that of the log"),
    ("a head's signature", lambda _: SignedHead.objects.filter(size=2).update(note=bytes(SignedHead.objects.get(size=2).note).replace(b"\n2\n", b"\n3\n")), "the head signed at 2: bad_signature"),
    ("the newest head", lambda _: SignedHead.objects.filter(size=store.read_head().size).delete(), "signed_head_missing"),
    ("the published checkpoint", lambda _: store.publish_checkpoint(bytes(SignedHead.objects.get(size=2).note).replace(b"localhost", b"elsewhere")), "the published checkpoint of size 2 is none"),
    ("no published checkpoint", lambda _: store.publish_checkpoint(b""), "the published checkpoint: malformed_note"),
    ("an agreement", lambda _: Agreement.objects.update(document=b"{}"), "is not the one of entry"),
    ("the inputs of a close", lambda _: _damage_blob("close", "inputs"), "inputs of entry"),
    ("the lines of an accrual", lambda _: _damage_blob("accrue", "lines"), "lines of entry"),
    ("the evidence of an income", lambda _: _damage_blob("revenue", "evidence", public=False), "evidence of entry 1"),
    ("the accounts of a root", lambda _: _damage_blob("accounts.root", "blob"), "blob of entry"),
    ("the log itself", lambda _: (store.folder() / "head").unlink(), "the log is gone"),
]  # fmt: skip


@pytest.mark.parametrize(("damage", "said"), [case[1:] for case in DAMAGE], ids=[case[0] for case in DAMAGE])
def test_every_kind_of_damage_is_found(room: Room, damage: Callable[[Room], object], said: str) -> None:
    room.month()
    assert run("selfcheck")[0] == 0
    damage(room)
    status, report = asked("selfcheck")
    assert status == 1
    assert any(said in problem for problem in report["problems"]), report["problems"]
    assert metrics.reading("ledger_problems") == {(): len(report["problems"])}


def test_a_flipped_bit_in_any_file_of_the_log_is_found(room: Room) -> None:
    room.month()
    size = store.read_head().size
    for path in (store.folder() / "1/tile").rglob(str(size)):
        whole = path.read_bytes()
        for place in (0, len(whole) // 2, len(whole) - 1):
            path.write_bytes(whole[:place] + bytes([whole[place] ^ 1]) + whole[place + 1 :])
            assert "bad_tile" in checks.find_problems()[0]
        path.write_bytes(whole)
    assert checks.find_problems() == []


def test_a_close_is_run_again(room: Room, monkeypatch: pytest.MonkeyPatch) -> None:
    room.month()
    monkeypatch.setattr(checks, "_outputs_again", lambda *_: "0" * 64)
    assert "comes out otherwise when it is run again" in checks.find_problems()[0]


def test_what_was_erased_on_purpose_is_not_missed(room: Room) -> None:
    room.month()
    digest = parse_entry(bytes(LogEntry.objects.filter(type="accrue").first().data)).body["lines"]
    (store.folder() / "1/blob" / digest[:2] / digest).unlink()
    assert len(checks.find_problems()) == 1
    log.append([Draft("redact", entry_id("redact"), {"blob": digest, "reason": "erasure"}, {})])
    assert checks.find_problems() == []


def test_a_log_that_grows_while_it_is_checked_is_no_problem(room: Room, monkeypatch: pytest.MonkeyPatch) -> None:
    room.month()
    plain = checks.wrong_signed_heads

    def meanwhile(head: store.HeadCell, spans: checks.Spans | None = None) -> Any:
        room.fund(name="second")
        return plain(head, spans)

    monkeypatch.setattr(checks, "wrong_signed_heads", meanwhile)
    assert checks.find_problems() == []


def test_the_check_runs_every_hour_and_leaves_its_report(room: Room) -> None:
    assert CHORES["selfcheck"] == (selfcheck.run_hourly, 3600.0)
    assert selfcheck.last() is None
    assert metrics.reading("ledger_problems") == metrics.reading("ledger_checked_seconds") == {}
    room.month()
    selfcheck.run_hourly()
    report = selfcheck.last()
    assert report is not None
    assert (report.size, report.problems) == (store.read_head().size, ())
    assert metrics.reading("ledger_checked_seconds")[()] < 60
    (store.folder() / selfcheck.FILE).write_text('{"at"')
    assert selfcheck.last() is None


def test_the_next_check_goes_on_from_the_last(room: Room) -> None:
    room.month()
    first = selfcheck.run()
    assert (first.full, first.problems) == (True, ())
    room.fund(name="second", evidence=b"second")
    room.watch()
    room.close(f"{MONTH}.2")
    second = selfcheck.run()
    size = store.read_head().size
    assert (second.full, second.since, second.size, second.problems) == (False, first.size, size, ())
    # The very state that a full check leaves.
    assert selfcheck.run(full=True).verified == replace(second.verified, part=0)
    third = selfcheck.run()
    assert (third.full, third.since, third.size, third.problems) == (False, size, size, ())
    assert asked("selfcheck", "--full")[1]["full"] is True
    assert "new from" in run("selfcheck")[1]


def test_everything_is_looked_at_once_a_day(room: Room, monkeypatch: pytest.MonkeyPatch) -> None:
    room.month()
    assert selfcheck.run().full
    assert not selfcheck.run().full
    later = clock.now() + timedelta(hours=25)
    monkeypatch.setattr(clock, "now", lambda: later)
    assert selfcheck.run().full
    assert not selfcheck.run().full


NEW_DAMAGE: list[tuple[str, Callable[[Room], object], str]] = [
    ("a new row's bytes", lambda _: LogEntry.objects.filter(index=store.read_head().size - 1).update(data=b"{}"), "is not the entry of the log"),
    ("a new row gone", lambda _: LogEntry.objects.filter(index=store.read_head().size - 1).delete(), "the database has"),
    ("a new evidence", lambda _: (store.folder() / "evidence" / sha256(b"second").hexdigest()[:2] / sha256(b"second").hexdigest()).unlink(), "evidence of entry"),
    ("a new signed head", lambda _: SignedHead.objects.filter(size=store.read_head().size - 1).update(note=bytes(SignedHead.objects.get(size=2).note)), "is not that of the log"),
    ("the newest head", lambda _: SignedHead.objects.filter(size=store.read_head().size).delete(), "signed_head_missing"),
    ("an account", lambda room: AccountHead.objects.filter(scid=room.alice.scid).update(balance=1), "account Qm"),
    ("a balance", lambda _: Balance.objects.filter(name__startswith="X:").update(amount=-5) or Balance.objects.filter(name__startswith="A:").update(amount=-5), "balance"),
]  # fmt: skip


@pytest.mark.parametrize(("damage", "said"), [case[1:] for case in NEW_DAMAGE], ids=[case[0] for case in NEW_DAMAGE])
def test_damage_to_what_is_new_is_found_and_then_everything_is_looked_at(
    room: Room, damage: Callable[[Room], object], said: str
) -> None:
    room.month()
    assert selfcheck.run().problems == ()
    room.fund(name="second", evidence=b"second")
    room.fund(name="third", evidence=b"third")
    damage(room)
    status, report = asked("selfcheck")
    assert status == 1
    assert any(said in problem for problem in report["problems"]), report["problems"]
    assert report["verified"] is None
    assert asked("selfcheck")[1]["full"] is True


def test_a_flipped_bit_in_a_new_file_is_found(room: Room) -> None:
    room.month()
    selfcheck.run()
    room.fund(name="second", evidence=b"second")
    size = store.read_head().size
    for path in (store.folder() / "1/tile").rglob(str(size)):
        whole = path.read_bytes()
        kept = (store.folder() / selfcheck.FILE).read_bytes()
        for place in (0, len(whole) // 2, len(whole) - 1):
            path.write_bytes(whole[:place] + bytes([whole[place] ^ 1]) + whole[place + 1 :])
            report = selfcheck.run()
            assert report.problems, (path, place)
            (store.folder() / selfcheck.FILE).write_bytes(kept)
        path.write_bytes(whole)
    report = selfcheck.run()
    assert (report.full, report.problems) == (False, ())


def test_every_old_part_has_its_turn(room: Room, monkeypatch: pytest.MonkeyPatch) -> None:
    """A log of some bundles, of which each run looks at one; what rotted in it is found when its turn comes."""
    room.month()
    log.append([Draft("will", entry_id(f"more {number}"), {"document": "0" * 64}, {}) for number in range(900)])
    size = store.read_head().size
    assert selfcheck.run().full
    monkeypatch.setattr(checks, "TRIES_MAX", 3)
    parts = [selfcheck.run().part for _ in range(5)]
    assert parts == [(0, 256), (256, 512), (512, 768), (768, size), (0, 256)]
    LogEntry.objects.filter(index=600).update(type="gift")
    found = [selfcheck.run() for _ in range(2)]
    assert [(one.part, bool(one.problems)) for one in found] == [((256, 512), False), ((512, 768), True)]
    LogEntry.objects.filter(index=600).update(type="will")
    assert selfcheck.run().full
    bundle = store.folder() / "1/tile/entries/001"
    whole = bundle.read_bytes()
    bundle.write_bytes(whole.replace(b"will", b"wall", 1))
    found = [selfcheck.run() for _ in range(2)]
    assert [(one.part, bool(one.problems)) for one in found] == [((0, 256), False), ((256, 512), True)]
    bundle.write_bytes(whole)


def test_a_forged_checkpoint_is_not_gone_on_from(room: Room) -> None:
    room.month()
    report = selfcheck.run()
    path = store.folder() / selfcheck.FILE
    for changes in ({"state": "0" * 64}, {"size": report.size + 1}, {"size": report.size - 1}, {"root": "0" * 64}):
        path.write_text(json.dumps({**report.as_json(), "verified": {**asdict(report.verified), **changes}}))
        found = selfcheck.run()
        assert (found.full, found.problems) == (True, ()), changes
