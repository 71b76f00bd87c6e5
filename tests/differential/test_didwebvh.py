"""Random histories of an identity, judged by us and by two implementations of did:webvh that others use.

Where a verdict differs, it stands in DIFFERENCES with the reason, and must differ each time: a list that is out of date fails.
"""

import json
import random
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from server.identity import keylog
from tests.differential import operations, peers
from tests.differential.operations import Case
from tests.vectors.golden.identity import generate

pytestmark = pytest.mark.slow
PEERS = (peers.NPM, peers.PYPI)
NOW = datetime.now(UTC)

# What an implementation accepts and did:webvh v1.0 (or, where it says so, we alone) refuses.
DIFFERENCES = {
    peers.NPM: {
        "forget_the_old_name": "the document after a move MUST list the DID before in alsoKnownAs",
        "leave_out_next_key_hashes": "while pre-rotation is active, every entry MUST name nextKeyHashes",
        "rise_again": "an entry follows the one that deactivated the DID",
        "add_an_unknown_parameter": "only the parameters of the specification are defined",
        "null_for_a_list": "parameters MUST NOT be null; readers may be lenient, and we are not",
        "text_for_a_boolean": "deactivated is a boolean",
        "move_to_a_local_name": "we alone refuse names that never leave the machine",
    },
    peers.PYPI: {
        "forget_the_old_name": "the document after a move MUST list the DID before in alsoKnownAs",
        "leave_out_next_key_hashes": "while pre-rotation is active, every entry MUST name nextKeyHashes",
        "rise_again": "an entry follows the one that deactivated the DID",
        "one_witness_listed_twice": "a witness's id MUST stand in the list once",
        "another_purpose": "the proof of an entry MUST have the purpose assertionMethod",
    },
}


def question(case: Case) -> dict[str, Any]:
    return asked(case.history.log, case.history.state["id"], case.history.approvals)


def asked(log: str, requested: str, witness: list | None = None) -> dict[str, Any]:
    return {"log": log, "requested": requested, "witness": witness or None}


def ours(case: dict[str, Any], *, policy: bool = False) -> str:
    """``accepted``, or the rule."""
    witness = json.dumps(case["witness"]).encode() if case["witness"] else None
    judge = keylog.verify_policy if policy else keylog.verify_spec
    try:
        log = judge(case["log"].encode(), now=NOW, caps=keylog.SOFT, requested=case["requested"], witness_file=witness)
    except keylog.KeyLogError as refusal:
        return refusal.rule
    assert log.did.text == case["requested"]
    return "accepted"


def compare(name: str, cases: list[Case]) -> None:
    """Every verdict of ``name`` is ours, but for the known differences, which are all seen."""
    questions = [question(case) for case in cases]
    wrong, seen = [], set()
    for case, asked_for, theirs in zip(cases, questions, peers.judge(name, questions), strict=True):
        accepted = ours(asked_for) == "accepted"
        if case.broken in DIFFERENCES[name]:
            seen.add(case.broken)
            accepted = True
        if theirs["accepted"] != accepted:
            wrong.append((case.history.seed, case.operations, ours(asked_for), theirs))
        elif accepted and case.broken is None:
            assert (theirs["versionId"], theirs["id"]) == (case.history.ids[-1], case.history.state["id"])
    assert wrong == []
    assert seen == DIFFERENCES[name].keys()


def play(seed: str, *, honest: int, each: int) -> list[Case]:
    cases = [operations.play(f"{seed}/{n}", None) for n in range(honest)]
    return cases + [operations.play(f"{seed}/{name}/{n}", name) for name in operations.FORBIDDEN for n in range(each)]


@pytest.fixture(scope="module")
def cases() -> list[Case]:
    return play("fixed", honest=40, each=2)


def test_honest_histories_are_accepted_and_broken_ones_refused(cases: list[Case]) -> None:
    assert {name for case in cases for name in case.operations} >= operations.ALLOWED.keys() | operations.FORBIDDEN.keys()
    for case in cases:
        verdicts = [ours(question(case), policy=policy) for policy in (False, True)]
        if case.broken is None:
            assert verdicts == ["accepted", "accepted"], case.operations
        elif case.broken == "drop_the_hash_above":
            # An honest log to everybody but us: the carry-over rule is ours.
            assert verdicts == ["accepted", "V8b"]
        else:
            assert "accepted" not in verdicts, case.operations


@pytest.mark.parametrize("name", PEERS)
def test_another_implementation_judges_random_histories_as_we_do(name: str, cases: list[Case]) -> None:
    compare(name, cases)


@pytest.mark.parametrize("name", PEERS)
def test_the_logs_we_write_resolve_under_their_newest_name(name: str) -> None:
    logs = list(generate.life(operations.START).values())
    verdicts = peers.judge(name, [asked(log.data.decode(), log.did.text) for log in logs])
    assert [one.get("versionId") for one in verdicts] == [log.version_ids[-1] for log in logs], verdicts
    assert [one.get("id") for one in verdicts] == [log.did.text for log in logs]
    assert sum(log.did.text != log.versions[0].did.text for log in logs) >= 5


def test_a_moved_log_under_its_old_name_and_under_a_strangers() -> None:
    """The DID asked for must be that of at least one entry: one of the two resolves by the newest alone."""
    log = generate.life(operations.START)["moved"]
    old, stranger = log.versions[0].did.text, log.did.text.replace("beta", "charlie")
    questions = [asked(log.data.decode(), name) for name in (log.did.text, old, stranger)]
    accepted = {name: [one["accepted"] for one in peers.judge(name, questions)] for name in PEERS}
    assert accepted == {peers.NPM: [True, True, False], peers.PYPI: [True, False, False]}
    assert keylog.verify_policy(log.data, now=NOW, caps=keylog.SOFT, requested=old) == log
    with pytest.raises(keylog.KeyLogError, match="V14"):
        keylog.verify_policy(log.data, now=NOW, caps=keylog.SOFT, requested=stranger)


def test_the_page_lists_the_differences() -> None:
    page = (Path(__file__).parent.parent.parent / "docs/reference/key-log.md").read_text()
    rows = [
        line.split("|")[1:4] for line in page.partition("## 9.")[2].partition("## 10.")[0].splitlines() if line.startswith("| ")
    ]
    for place, name in enumerate(PEERS, start=1):
        assert any(name in row[place] for row in rows)
        listed = {row[0].strip() for row in rows if row[place].strip() == "accepts"} - {"carry-over (V8b), our policy"}
        assert listed == set(DIFFERENCES[name].values())


@pytest.mark.long
@pytest.mark.parametrize("name", PEERS)
def test_many_more_histories(name: str) -> None:
    seed = f"{random.SystemRandom().randrange(2**32)}"
    print(f"seed {seed}")
    compare(name, play(seed, honest=200, each=10))
