"""``python -m payouts.ledger verify-dispute`` about a log in memory: what it says, and its exit status."""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from payouts.dispute_document import TYPE
from payouts.ledger import __main__ as command
from payouts.ledger import canonical
from payouts.ledger.fields import to_base64
from payouts.ledger.growth import grow
from payouts.ledger.merkle import prove_inclusion
from payouts.ledger.multikey import multikey
from payouts.ledger.tiles import TreeReader
from server.core import proofs
from tests.payouts.ledger_world import NOW, Log, alpha, beta


def dispute(folder: Path, log: Log, index: int, entry: bytes, rule: str) -> list[str]:
    """The command about alpha's dispute with beta, and its file."""
    size, nodes = log.edge.size, TreeReader(log.tiles, log.edge.size)
    document: dict[str, Any] = {
        "v": 1, "type": TYPE, "by": alpha.origin, "origin": beta.origin, "size": size, "index": index, "rule": rule,
        "text": "so it is", "created": "2026-12-01T10:00:00Z", "checkpoint": log.checkpoint().data.decode(),
        "entry": to_base64(entry), "inclusion": [to_base64(node) for node in prove_inclusion(nodes, index, size)],
        "finding": {},
    }  # fmt: skip
    method = f"{alpha.actor}#instance-1"
    proof = proofs.create_proof(document, key=alpha.instance_key, verification_method=method, created=NOW)
    file = folder / "dispute.json"
    file.write_bytes(canonical.encode({**document, "proof": proof}))
    accuser = multikey(bytes(alpha.instance_key.verify_key), "ed25519")
    return ["verify-dispute", str(file), "--key", str(beta.ledger.verifier), "--by", accuser]


@pytest.fixture
def log() -> Log:
    """Beta's, and the last entry is none."""
    log = Log(beta)
    log.fund("2026-11-02T09:00:00Z", 5)
    growth = grow(log.edge, [b"{}"])
    log.edge = growth.edge
    log.files.update(growth.files)
    return log


def test_an_entry_that_breaks_a_rule_all_by_itself(log: Log, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    arguments = dispute(tmp_path, log, 3, b"{}", "missing-member")
    assert command.main(arguments) == 0
    said = capsys.readouterr().out
    assert said.startswith(
        "alpha.example/ledger/1 says that entry 3 of beta.example/ledger/1, signed at size 4, breaks missing-member\n"
    )
    assert said.endswith("DISPUTE HOLDS: the rule was run again and is broken\n")
    assert command.main([*arguments, "--json"]) == 0
    report = json.loads(capsys.readouterr().out)
    assert (report["verified"], report["verdict"], report["needs"]) == (True, "holds", "")
    # Another rule than the one that is broken.
    assert command.main(dispute(tmp_path, log, 3, b"{}", "too-deep")) == 1
    assert "REFUSED: dispute_unfounded" in capsys.readouterr().out


def test_a_rule_that_takes_the_log_is_left_open(log: Log, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    arguments = dispute(tmp_path, log, 2, log.entries[2].data, "time-went-backwards")
    assert command.main(arguments) == 3
    assert capsys.readouterr().out.endswith("to run the rule again takes the log, as a folder (--log)\n")
    assert command.main([*arguments, "--json"]) == 3
    report = json.loads(capsys.readouterr().out)
    assert (report["verified"], report["verdict"], report["index"]) == (None, "open", 2)
    # Behind a log that ends in something else, it is not so.
    write(tmp_path / "log", log.files)
    assert command.main([*arguments, "--log", str(tmp_path / "log")]) == 1
    assert "REFUSED: dispute_unfounded" in capsys.readouterr().out


def write(folder: Path, files: Mapping[str, bytes]) -> None:
    for name, data in files.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(data)
