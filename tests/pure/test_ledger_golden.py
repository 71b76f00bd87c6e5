"""The golden bytes and refusal vectors of the ledger's formats: the product gives each the verdict it must have, by name."""

import json
from base64 import b64decode
from collections.abc import Callable
from functools import cache
from pathlib import Path
from typing import Any

import pytest

from payouts.agreement import check_signed, parse_agreement
from payouts.algorithms import find
from payouts.ledger import canonical, container
from payouts.ledger.__main__ import check_agreement, verify_identity_log
from payouts.ledger.accounts_root import AccountsTree, Run, check_run, parse_leaf
from payouts.ledger.chain import START, Head, Move, check_link, head_after
from payouts.ledger.checkpoint import open_checkpoint
from payouts.ledger.entries import parse_entry
from payouts.ledger.errors import LedgerError
from payouts.ledger.fields import from_base64
from payouts.ledger.fork import check_fork
from payouts.ledger.multikey import multikey_bytes
from payouts.ledger.note import parse_vkey
from payouts.ledger.policy import parse_policy
from payouts.ledger.report import as_json
from payouts.ledger.verdict import verify
from payouts.splits import share_period
from tests.independent import check_formats
from tests.vectors.golden import make_ledger

HERE = Path(__file__).parents[1] / "vectors" / "golden" / "ledger"


@cache
def vectors(name: str) -> dict[str, Any]:
    found: dict[str, Any] = json.loads((HERE / f"{name}.json").read_text())
    return found


def bytes_of(case: dict[str, Any]) -> bytes:
    return case["text"].encode() if "text" in case else b64decode(case["base64"])


def judge_entry(case: dict[str, Any]) -> dict[str, Any]:
    return {"leaf": parse_entry(bytes_of(case)).leaf.hex()}


def judge_account_chain(case: dict[str, Any]) -> dict[str, Any]:
    heads: dict[str, Head] = {}
    for text in case["entries"]:
        entry = parse_entry(text.encode(), origin=case["origin"])
        for link in entry.links:
            if link.scid == case["scid"]:
                head, move = heads.get(link.currency, START), entry.moves.get((link.scid, link.currency), Move())
                check_link(link, head, move)
                heads[link.currency] = head_after(link, entry.leaf, head, move)
    amounts = ("balance", "held", "unclaimed")
    return {
        "heads": {
            currency: {"seq": head.seq, "leaf": head.leaf, **{name: str(getattr(head, name)) for name in amounts}}
            for currency, head in heads.items()
        }
    }


def judge_accounts_root(case: dict[str, Any]) -> dict[str, Any]:
    run = Run(case["run"]["index"], tuple(map(parse_leaf, case["run"]["leaves"])), tuple(map(from_base64, case["run"]["proof"])))
    check_run(run, case["scid"], root=bytes.fromhex(case["root"]), count=case["count"])
    tree = AccountsTree(map(parse_leaf, case["accounts"]))
    assert tree.run(case["scid"]) == run
    body = tree.body()
    return {"root": body["root"], "count": body["count"], "blob": body["blob"]}


def judge_checkpoint(case: dict[str, Any]) -> dict[str, Any]:
    keys = {name: [parse_vkey(text) for text in case[name]] for name in ("log_keys", "cosigners")}
    signed = open_checkpoint(case["note"].encode(), origin=case["origin"], only_known=True, **keys)
    signatures = [{"name": one.key.name, "timestamp": one.timestamp} for one in signed.note.signatures]
    return {"size": signed.checkpoint.size, "root": signed.checkpoint.root.hex(), "signatures": signatures}


def judge_agreement(case: dict[str, Any]) -> dict[str, Any]:
    keys = {method: multikey_bytes(text, "ed25519") for method, text in case["keys"].items()}
    agreement = parse_agreement(bytes_of(case))
    return {"unchecked": list(check_signed(agreement, keys.get)), "id": agreement.id}


def judge_statement(case: dict[str, Any]) -> dict[str, Any]:
    policy = parse_policy(case["policy"].encode()) if "policy" in case else None
    verdict = verify(bytes_of(case), verify_log=verify_identity_log, check_agreement=check_agreement, policy=policy)
    return {"verdict": as_json(verdict, own_policy=policy is not None)}


def judge_fork(case: dict[str, Any]) -> dict[str, Any]:
    fork = check_fork(bytes_of(case), [parse_vkey(text) for text in case["keys"]])
    return {"sizes": [fork.older.size, fork.newer.size]}


def judge_settlement(case: dict[str, Any]) -> dict[str, Any]:
    algorithm = find("ad-impression/1")
    root = share_period(case["inputs"], algorithm).outputs_root
    return {"outputs": algorithm.settle(case["inputs"]), "outputs_root": root}


JUDGES: dict[str, Callable[[dict[str, Any]], dict[str, Any]]] = {
    "entry": judge_entry,
    "account_chain": judge_account_chain,
    "accounts_root": judge_accounts_root,
    "checkpoint": judge_checkpoint,
    "agreement": judge_agreement,
    "statement": judge_statement,
    "fork": judge_fork,
    "settlement": judge_settlement,
}


def cases(kind: str) -> list[Any]:
    return [pytest.param(name, case, id=f"{name}: {case['name']}") for name in JUDGES for case in vectors(name)[kind]]


@pytest.mark.parametrize(("name", "case"), cases("good"))
def test_good_vectors_say_what_they_must(name: str, case: dict[str, Any]) -> None:
    found = JUDGES[name](case)
    assert {member: case[member] for member in found} == found


@pytest.mark.parametrize(("name", "case"), cases("bad"))
def test_bad_vectors_are_refused_by_name(name: str, case: dict[str, Any]) -> None:
    with pytest.raises(LedgerError) as caught:
        JUDGES[name](case)
    assert caught.value.code == case["error"]


@pytest.mark.parametrize("name", JUDGES)
def test_the_vectors_come_out_of_their_script(name: str) -> None:
    """Golden bytes never change silently: a format that changes is a new version. A new zlib may pack otherwise, not say otherwise."""
    made = json.loads(json.dumps(make_ledger.FILES[name]()))
    assert set(make_ledger.FILES) == set(JUDGES) == {path.stem for path in HERE.glob("*.json")}
    kept = vectors(name)
    if name == "statement":
        made, kept = _unpacked(made), _unpacked(kept)
    assert made == kept


def _unpacked(document: dict[str, Any]) -> dict[str, Any]:
    def text(case: dict[str, Any]) -> dict[str, Any]:
        data = b64decode(case["base64"])
        try:
            return {**case, "base64": container.unpack(data).decode()}
        except LedgerError as error:
            return {**case, "base64": error.code}

    return {**document, "good": list(map(text, document["good"])), "bad": list(map(text, document["bad"]))}


def test_the_settlement_code_is_frozen() -> None:
    assert (vectors("settlement")["algorithm"], vectors("settlement")["code"]) == (
        "ad-impression/1",
        find("ad-impression/1").code,
    )


def test_the_examples_of_the_pages_are_golden() -> None:
    def page(name: str) -> str:
        return (HERE.parents[3] / "docs" / "reference" / f"{name}.md").read_text()

    def example(name: str) -> Any:
        return json.loads(page(name).partition("```json\n")[2].partition("\n```")[0])

    accrual = next(case for case in vectors("entry")["good"] if case["name"] == "6 accrue")
    assert canonical.encode(example("ledger-format")).decode() == accrual["text"]
    assert accrual["leaf"] in page("ledger-format")
    assert vectors("checkpoint")["good"][1]["note"] in page("ledger-format")
    assert canonical.encode(example("agreement-format")).decode() == vectors("agreement")["good"][1]["text"]
    shown, whole = example("statement-format"), json.loads(container.unpack(b64decode(vectors("statement")["good"][0]["base64"])))
    debtor = whole["debtors"][0]
    assert shown["debtors"][0]["account_leaf"] == debtor["account_leaf"]
    assert shown["debtors"][0]["account_proof"][0] == debtor["account_proof"][0]
    assert debtor["checkpoint"].startswith(shown["debtors"][0]["checkpoint"].removesuffix("...\n"))
    assert page("statement-format").count("VERIFIED") == 1


def test_a_second_implementation_written_from_the_pages_agrees() -> None:
    assert check_formats.disagreements(HERE) == []
