"""Disputes checked by the reader, offline; and closes behind a broken entry, run again all the same."""

import json
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from payouts import audit, instance_keys, judging, mirror, peers
from payouts.ledger import __main__ as command
from payouts.ledger import canonical
from payouts.mirror_files import MirrorFiles
from payouts.models import Dispute, PeerMirror
from payouts.peer_reports import peer_report
from server.core import limits
from tests.payouts.audited_month import one_unit_more, play
from tests.payouts.neighbour import Neighbour
from tests.payouts.test_room_mirror import write_raw
from tests.payouts.test_room_peers import grow

pytestmark = pytest.mark.django_db
ROOT = Path(__file__).parents[2]
LATER, LATEST = "2026-12-20T09:00:00Z", "2027-01-20T09:00:00Z"


@pytest.fixture(autouse=True)
def _fresh_judges() -> Iterator[None]:
    yield
    judging._judges.clear()


def seen(neighbour: Neighbour) -> tuple[mirror.MirrorReport, audit.AuditReport]:
    peer = peers.follow_log(instance_origin=neighbour.origin)
    return mirror.mirror_peer(peer), audit.audit_peer(peer)


def copy_of(neighbour: Neighbour) -> PeerMirror:
    return PeerMirror.objects.select_related("peer").get(peer__origin=neighbour.instance.origin, branch="")


def check(neighbour: Neighbour, file: Path, *more: object, capsys: Any, by: str | None = None) -> tuple[int, dict[str, Any]]:
    argv = ["verify-dispute", file, "--key", neighbour.instance.ledger.verifier, "--by", by or instance_keys.instance_public()]
    status = command.main([str(one) for one in [*argv, *more, "--json"]])
    return status, json.loads(capsys.readouterr().out)


def written(folder: Path, dispute: Dispute) -> Path:
    file = folder / f"{dispute.index}-{dispute.rule}.json"
    file.write_bytes(bytes(dispute.document))
    return file


# --- behind a broken entry ---


def test_closes_behind_a_broken_entry_are_run_again_and_every_one_that_differs_is_listed(
    neighbour: Neighbour, tmp_path: Path, capsys: Any
) -> None:
    play(neighbour)
    broken = len(neighbour.log.entries)
    write_raw(neighbour.log, b'{"no":"entry"}')
    play(neighbour, period="2026-12", at=LATER, told_shares=one_unit_more)
    write_raw(neighbour.log, b"\x00\x01")
    play(neighbour, period="2027-01", at=LATEST)
    play(neighbour, period="2027-02", at=LATEST, told_shares=one_unit_more)
    copied, report = seen(neighbour)
    assert (copied.judged, copied.size) == (broken, neighbour.log.edge.size)
    assert [(one.period, one.verdict, one.rule) for one in report.closes] == [
        ("2026-11 EUR", "equal", ""),
        ("2026-12 EUR", "differs", "payee-differs"),
        ("2027-01 EUR", "equal", ""),
        ("2027-02 EUR", "differs", "payee-differs"),
    ]
    assert [one.partition(" ")[2] for one in report.disputes] == ["missing-member", "payee-differs", "payee-differs"]
    assert (report.audited, report.cosigned_size, report.error) == (neighbour.log.edge.size, 0, "")
    assert "/auditor/" not in copy_of(neighbour).cosignatures
    assert peer_report(mirror_name(neighbour)).state == "unequal"
    # All of them hold, for a reader with a copy of the log.
    folder = MirrorFiles(copy_of(neighbour)).folder
    for dispute in Dispute.objects.all():
        assert check(neighbour, written(tmp_path, dispute), "--log", folder, capsys=capsys)[0] == 0, dispute
    # A new process makes the same state again, and what comes later is looked at too.
    judging._judges.clear()
    play(neighbour, period="2027-03", at=LATEST, told_shares=one_unit_more)
    _, again = seen(neighbour)
    assert [(one.period, one.verdict) for one in again.closes] == [("2027-03 EUR", "differs")]
    assert Dispute.objects.count() == 4


def mirror_name(neighbour: Neighbour) -> str:
    from payouts.mirror_files import name_of

    return name_of(neighbour.instance.origin)


def test_a_batch_that_is_cut_behind_a_broken_entry_differs(neighbour: Neighbour, tmp_path: Path, capsys: Any) -> None:
    play(neighbour)
    write_raw(neighbour.log, b"{}")
    play(neighbour, period="2026-12", at=LATER, drafts=lambda batch: batch[:-1])
    _, report = seen(neighbour)
    assert [(one.verdict, one.rule) for one in report.closes] == [("equal", ""), ("differs", "close-batch-cut")]
    dispute = Dispute.objects.get(rule="close-batch-cut")
    folder = MirrorFiles(copy_of(neighbour)).folder
    assert check(neighbour, written(tmp_path, dispute), "--log", folder, capsys=capsys)[0] == 0


def test_a_log_that_is_broken_from_the_start_is_mirrored_and_no_more(neighbour: Neighbour) -> None:
    play(neighbour)
    _, report = seen(neighbour)
    copy = copy_of(neighbour)
    PeerMirror.objects.filter(pk=copy.pk).update(judged=0, audited=0, broken_at=0)
    judging._judges.clear()
    assert mirror.mirror_peer(copy.peer).size == report.size


def test_disputes_with_one_log_are_bounded(neighbour: Neighbour, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(limits, "DISPUTES_PER_LOG_MAX", 1)
    play(neighbour, told_shares=one_unit_more)
    play(neighbour, period="2026-12", at=LATER, told_shares=one_unit_more)
    _, report = seen(neighbour)
    assert [one.verdict for one in report.closes] == ["differs", "differs"]
    assert Dispute.objects.count() == 1


# --- the command ---


def test_what_the_file_carries_and_what_takes_the_log(neighbour: Neighbour, tmp_path: Path, capsys: Any) -> None:
    play(neighbour, told_shares=one_unit_more)
    seen(neighbour)
    dispute = Dispute.objects.get()
    file, copy = written(tmp_path, dispute), MirrorFiles(copy_of(neighbour)).folder
    status, told = check(neighbour, file, capsys=capsys)
    assert (status, told["verified"], told["verdict"], told["rule"]) == (3, None, "open", "payee-differs")
    assert "--log" in told["needs"]
    status, told = check(neighbour, file, "--log", copy, capsys=capsys)
    assert (status, told["verified"], told["finding"]["payee"]) == (0, True, json.loads(file.read_bytes())["finding"]["payee"])
    # Without the inputs of the close nobody can run it again; with other bytes in their place neither.
    folder = shutil.copytree(copy, tmp_path / "copy")
    inputs = folder / "blob" / told["finding"]["inputs"][:2] / told["finding"]["inputs"]
    data = inputs.read_bytes()
    inputs.unlink()
    assert check(neighbour, file, "--log", folder, capsys=capsys)[0] == 3
    inputs.write_bytes(data + b" ")
    status, told = check(neighbour, file, "--log", folder, capsys=capsys)
    assert (status, told["reason"]) == (1, "blob_wrong")
    inputs.write_bytes(data)
    # A blob fetched from its address lies flat.
    flat = folder / "blob" / inputs.name
    inputs.rename(folder / "inputs")
    (folder / "inputs").rename(flat)
    assert check(neighbour, file, "--log", folder, capsys=capsys)[0] == 0
    # One bit of the log, and the copy proves nothing.
    bundle = next(path for path in (folder / "tile" / "entries").rglob("*") if path.is_file())
    bundle.write_bytes(bundle.read_bytes().replace(b"spring", b"sprong"))
    status, told = check(neighbour, file, "--log", folder, capsys=capsys)
    assert (status, told["reason"]) == (1, "bad_tile")
    assert check(neighbour, file, "--log", tmp_path / "nowhere", capsys=capsys)[0] == 1
    assert command.main(["verify-dispute", str(tmp_path / "none"), "--key", "x", "--by", "y"]) == 2
    assert "cannot read" in capsys.readouterr().err


def test_who_accuses_falsely_is_refused(neighbour: Neighbour, tmp_path: Path, capsys: Any) -> None:
    """The accuser signs well and the entry stands in the log, but the close comes out equal, or in something else."""
    play(neighbour)
    seen(neighbour)
    copy = copy_of(neighbour)
    close = next(entry.index for entry in neighbour.log.entries if entry.type == "close")
    accused = [
        ("payee-differs", close + 1, {"inputs": "0" * 64}),
        ("close-differs", close, {}),
        ("inputs-differ", 1, {}),
        ("time-went-backwards", 2, {}),
    ]
    from payouts import disputes

    for rule, index, finding in accused:
        document = disputes._sign(disputes._describe(copy, index, rule, "so it is", finding))
        file = tmp_path / f"{rule}.json"
        file.write_bytes(canonical.encode(document))
        status, told = check(neighbour, file, "--log", MirrorFiles(copy).folder, capsys=capsys)
        assert (status, told["verified"], told["reason"]) == (1, False, "dispute_unfounded"), told


def test_another_payee_than_the_first_is_refused(neighbour: Neighbour, tmp_path: Path, capsys: Any) -> None:
    play(neighbour, told_shares=one_unit_more)
    seen(neighbour)
    from payouts import disputes

    dispute, copy = Dispute.objects.get(), copy_of(neighbour)
    finding = {**json.loads(bytes(dispute.document))["finding"], "payee": "somebody"}
    file = tmp_path / "other.json"
    file.write_bytes(canonical.encode(disputes._sign(disputes._describe(copy, dispute.index, dispute.rule, "so", finding))))
    status, told = check(neighbour, file, "--log", MirrorFiles(copy).folder, capsys=capsys)
    assert (status, told["reason"]) == (1, "dispute_unfounded")


@pytest.mark.parametrize("data", [b"{}", b"\x00", b'{"no":"entry"}'])
def test_an_entry_that_breaks_a_rule_by_itself_takes_no_log(
    neighbour: Neighbour, tmp_path: Path, capsys: Any, data: bytes
) -> None:
    grow(neighbour, "one")
    write_raw(neighbour.log, data)
    seen(neighbour)
    dispute = Dispute.objects.get()
    file = written(tmp_path, dispute)
    assert check(neighbour, file, capsys=capsys)[0] == 0
    assert check(neighbour, file, "--log", MirrorFiles(copy_of(neighbour)).folder, capsys=capsys)[0] == 0
    # By another accuser, about another log, with a flipped bit: refused.
    own = instance_keys.signer("ledger").verifier
    assert check(neighbour, file, capsys=capsys, by=str(neighbour_key(neighbour)))[0] == 1
    assert command.main(["verify-dispute", str(file), "--key", str(own), "--by", instance_keys.instance_public()]) == 1
    assert "no_known_signature" in capsys.readouterr().out
    text = file.read_bytes()
    for place in range(0, len(text), 97):
        file.write_bytes(text[:place] + bytes([text[place] ^ 1]) + text[place + 1 :])
        assert check(neighbour, file, capsys=capsys)[0] == 1, place


def neighbour_key(neighbour: Neighbour) -> str:
    from server.core import canonical as multi

    return multi.multikey_ed25519(bytes(neighbour.instance.instance_key.verify_key))


def test_a_rule_among_entries_takes_the_log(neighbour: Neighbour, tmp_path: Path, capsys: Any) -> None:
    grow(neighbour, "one", "two")
    last = json.loads(neighbour.log.entries[-1].data)
    write_raw(neighbour.log, canonical.encode({**last, "index": last["index"] + 1}))
    seen(neighbour)
    dispute = Dispute.objects.get()
    assert dispute.rule == "entry-id-repeated"
    file = written(tmp_path, dispute)
    assert check(neighbour, file, capsys=capsys)[0] == 3
    assert check(neighbour, file, "--log", MirrorFiles(copy_of(neighbour)).folder, capsys=capsys)[0] == 0


def test_an_agreement_that_is_not_what_its_entry_says_is_shown(neighbour: Neighbour, tmp_path: Path, capsys: Any) -> None:
    from hashlib import sha256

    from payouts.ledger.entries import Draft
    from tests.payouts.audited_month import show, terms_of
    from tests.payouts.ledger_world import draft_id

    terms = terms_of(neighbour)
    show(neighbour, terms.data)
    body = {
        "agreement": terms.id, "blob": sha256(terms.data).hexdigest(), "kind": "channel", "prev": terms.document["prev"],
        "effective_from": terms.effective_from,
    }  # fmt: skip
    neighbour.log.append("2026-11-01T12:00:01Z", Draft("agreement", draft_id("terms"), body, {}))
    seen(neighbour)
    dispute = Dispute.objects.get()
    assert dispute.rule == "agreement-wrong"
    file = written(tmp_path, dispute)
    assert check(neighbour, file, "--log", MirrorFiles(copy_of(neighbour)).folder, capsys=capsys)[0] == 0


def test_it_runs_without_django_in_text_too(neighbour: Neighbour, tmp_path: Path) -> None:
    play(neighbour, told_shares=one_unit_more)
    seen(neighbour)
    file, folder = written(tmp_path, Dispute.objects.get()), MirrorFiles(copy_of(neighbour)).folder
    code = "import runpy, sys; status = None\ntry: runpy.run_module('payouts.ledger', run_name='__main__')\nexcept SystemExit as stop: status = stop.code\nassert 'django' not in sys.modules, 'django was imported'\nsys.exit(status)"
    argv = ["verify-dispute", file, "--key", neighbour.instance.ledger.verifier, "--by", instance_keys.instance_public()]
    for more, status, said in (((), 3, "UNDECIDED"), (("--log", folder), 0, "DISPUTE HOLDS")):
        done = subprocess.run(
            [sys.executable, "-c", code, *map(str, argv), *map(str, more)], cwd=ROOT, capture_output=True, text=True, timeout=60,
            check=False,
        )  # fmt: skip
        assert (done.returncode, done.stderr) == (status, "")
        assert f"\n{said}" in done.stdout


def test_the_one_file_verifier_knows_disputes(neighbour: Neighbour, tmp_path: Path) -> None:
    play(neighbour, told_shares=one_unit_more)
    seen(neighbour)
    file, folder = written(tmp_path, Dispute.objects.get()), MirrorFiles(copy_of(neighbour)).folder
    pyz = tmp_path / "verify.pyz"
    subprocess.run([sys.executable, "script/build_verifier.py", str(pyz)], cwd=ROOT, check=True, capture_output=True)
    argv = ["verify-dispute", file, "--key", neighbour.instance.ledger.verifier, "--by", instance_keys.instance_public()]
    done = subprocess.run(
        [sys.executable, "-I", str(pyz), *map(str, argv), "--log", str(folder)], cwd=tmp_path, capture_output=True, text=True,
        timeout=60, check=False,
    )  # fmt: skip
    assert (done.returncode, done.stderr) == (0, ""), done
