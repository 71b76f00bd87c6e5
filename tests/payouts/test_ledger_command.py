"""``python -m payouts.ledger``: what it says, and its exit status."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

from payouts.ledger import __main__ as command
from payouts.ledger import container
from payouts.ledger.debtor import AccountVerdict, DebtorVerdict
from payouts.ledger.errors import BadIdentityLog, LedgerError
from payouts.ledger.fork import prove_fork
from payouts.ledger.note import Signature
from payouts.ledger.report import as_json, as_text
from payouts.ledger.tiles import TreeReader
from payouts.ledger.verdict import Verdict
from tests.payouts.ledger_world import (
    WITNESSED_AT,
    Log,
    alices_statement,
    alpha,
    beta,
    beta_log,
    offer,
    outside,
    person,
    statement_of,
)

ALICE = person("alice")
ROOT = Path(__file__).parents[2]


def run(*arguments: object, capsys: pytest.CaptureFixture[str]) -> tuple[int, str]:
    status = command.main([str(argument) for argument in arguments])
    return status, capsys.readouterr().out


def written(path: Path, data: bytes) -> Path:
    path.write_bytes(data)
    return path


def test_it_says_per_debtor_what_is_owed(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    file = written(tmp_path / "a.statement.json.gz", alices_statement())
    status, text = run("verify", file, capsys=capsys)
    assert status == 0
    assert f"VERIFIED: what is owed to {ALICE.scid}" in text
    assert "keys held by the home server" in text
    assert (
        "alpha.example/ledger/1\n  as of index 22, at 2026-12-01T10:00:00Z, in a log of 23 entries\n  EUR owed 37.725806" in text
    )
    assert "beta.example/ledger/1\n  as of index 6, at 2026-12-01T10:00:00Z" in text
    assert "unclaimed 1.300000: waits for a signed agreement" in text
    assert "witnessed by witness.example/w1 at 2026-12-01T10:00:32Z" in text
    assert "UNWITNESSED" not in text
    status, text = run("verify", "--json", file, capsys=capsys)
    report = json.loads(text)
    assert (status, report["verified"], report["policy"]) == (0, True, "file")
    assert report["debtors"][0]["accounts"][0]["owed"] == "37725806"
    assert [one["key"].partition("+")[0] for one in report["debtors"][0]["others"]] == ["alpha.example/witness/1"]


def test_it_says_why_not(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    data = bytearray(alices_statement())
    data[500] ^= 1
    file = written(tmp_path / "bad.gz", bytes(data))
    assert run("verify", file, capsys=capsys)[0] == 1
    status, text = run("verify", "--json", file, capsys=capsys)
    assert (status, json.loads(text)["reason"], json.loads(text)["verified"]) == (1, "statement_damaged", False)
    document = json.loads(container.unpack(alices_statement()))
    del document["debtors"][0]["account_leaf"]
    from payouts.ledger import canonical

    file = written(tmp_path / "leafless.gz", container.pack(canonical.encode(document)))
    status, text = run("verify", file, capsys=capsys)
    assert (status, text.startswith("REFUSED: account_leaf_missing: ")) == (1, True)
    assert command.main(["verify", str(tmp_path / "nowhere")]) == 2


def test_it_asks_for_the_readers_policy(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    file = written(tmp_path / "a.gz", alices_statement())
    good = written(tmp_path / "good", f"witness w {outside.verifier}\nquorum w\n".encode())
    status, text = run("verify", "--policy", good, file, capsys=capsys)
    assert (status, "as your policy asks" in text) == (0, True)
    strict = written(tmp_path / "strict", f"log {alpha.ledger.verifier}\nquorum none\n".encode())
    status, text = run("verify", "--policy", strict, file, capsys=capsys)
    assert (status, "log_not_trusted" in text) == (1, True)
    status, text = run("verify", "--policy", written(tmp_path / "bad", b"?"), file, capsys=capsys)
    assert (status, "malformed_policy" in text) == (1, True)


def test_it_says_unwitnessed(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    file = written(tmp_path / "a.gz", statement_of(ALICE.scid, ALICE.lines, beta_log()))
    status, text = run("verify", file, capsys=capsys)
    assert (status, "UNWITNESSED: nobody but beta.example has signed these books" in text) == (0, True)
    assert json.loads(run("verify", "--json", file, capsys=capsys)[1])["debtors"][0]["witnessed"] is False


def test_it_says_when_the_root_is_old(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    late = statement_of(ALICE.scid, ALICE.lines, beta_log(), witnesses=[(outside, WITNESSED_AT + 3 * 86_400)])
    status, text = run("verify", written(tmp_path / "a.gz", late), capsys=capsys)
    assert (status, "STALE: the accounts root is 72 hours older than the newest signature" in text) == (0, True)


def test_it_convicts_a_fork(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    one, other = Log(beta), Log(beta)
    one.agree("2026-11-01T12:00:01Z", offer("beta.example"))
    one.fund("2026-11-02T09:00:00Z", 5)
    other.fund("2026-11-02T09:00:00Z", 6)
    proof = prove_fork(other.checkpoint(), one.checkpoint(), TreeReader(one.tiles, one.edge.size))
    file = written(tmp_path / "fork.json", proof)
    status, text = run("verify-fork", file, "--key", beta.ledger.verifier, capsys=capsys)
    assert (status, text) == (0, "CONVICTED: beta.example/ledger/1 signed two histories, at sizes 3 and 4\n")
    assert json.loads(run("verify-fork", file, "--json", "--key", beta.ledger.verifier, capsys=capsys)[1])["sizes"] == [3, 4]
    status, text = run("verify-fork", file, "--key", alpha.ledger.verifier, capsys=capsys)
    assert (status, "no_known_signature" in text) == (1, True)


def test_a_bad_identity_log_is_named() -> None:
    with pytest.raises(BadIdentityLog):
        command.verify_identity_log([b"{}"])
    assert command.verify_identity_log(ALICE.lines).scid == ALICE.scid


def test_a_report_of_a_stranger_case() -> None:
    """Held money, an owner's own keys, a party that could not be checked, a time beyond the calendar."""
    account = AccountVerdict("EUR", 5, 7, 0, 12, 0, 0, 2)
    far = Signature(outside.verifier, 2**62)
    debtor = DebtorVerdict("x.example/ledger/1", 4, "2026-12-01T10:00:00Z", 9, (account,), (far,), (), ("QmSomebody",))
    text = as_text(Verdict("QmAlice", "unstated", "1-x", (debtor,)), own_policy=False)
    assert "custody not stated" in text
    assert "not checked here: the signature of QmSomebody" in text
    assert "at 9999-12-31T23:59:59Z" in text
    assert as_json(Verdict("QmAlice", "owner", "1-x", (debtor,)), own_policy=True)["debtors"][0]["stale"] is True


def test_as_a_process_without_django(tmp_path: Path) -> None:
    file = written(tmp_path / "a.gz", alices_statement())
    code = "import runpy, sys; sys.argv = ['ledger', 'verify', sys.argv[1]]; status = None\ntry: runpy.run_module('payouts.ledger', run_name='__main__')\nexcept SystemExit as stop: status = stop.code\nassert 'django' not in sys.modules, 'django was imported'\nsys.exit(status)"
    done = subprocess.run(
        [sys.executable, "-c", code, str(file)], cwd=ROOT, capture_output=True, text=True, timeout=60, check=False
    )
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout.startswith("VERIFIED")


def test_every_reason_has_a_stable_name() -> None:
    def all_reasons(base: type[LedgerError]) -> list[type[LedgerError]]:
        return [reason for one in base.__subclasses__() for reason in (one, *all_reasons(one))]

    codes = [reason.code for reason in all_reasons(LedgerError)]
    assert len(codes) == len(set(codes)) > 80
    assert all(reason().args[0].endswith(".") for reason in all_reasons(LedgerError))
    assert LedgerError("x").code == "ledger_error"
