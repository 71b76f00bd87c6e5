"""The one-file reader of `tests/independent/fresh_reader.py` over every golden vector: same verdict, same reason, same facts."""

import base64
import json
import zlib
from hashlib import sha256
from pathlib import Path
from typing import Any

import pytest

from tests.independent import fresh_reader

GOLDEN = Path(__file__).resolve().parents[1] / "vectors" / "golden"
FILES = {path.stem: path for path in GOLDEN.rglob("*.json*")}
BYTES = {"host-grant", "receipt", "did"}  # one golden document each, compared byte for byte
# What the one-file reader leaves to the longer ones in tests/independent/, and why.
ELSEWHERE = {
    "settlement": "its page names the frozen algorithm file as the specification",
    "fork": "a proof about two logs, no document of one",
    "forks": "rule V16 compares two logs",
    "objects": "rule V17 is about posts",
    "covers": "rule V17 is about posts",
    "evidence": "a proof about two logs, no document of one",
    "fork-evidence": "one of them, byte for byte",
    "key-files": "a file of the recovery tool, read with its password",
    "signed-move": "a file of the recovery tool, whose signatures the federation verifies",
    "head-chains": "heads of outboxes are about posts",
    "heads": "heads of outboxes are about posts",
    "outbox-head": "one of them, byte for byte",
    "verifier": "whole files for the verifiers, made of the documents judged here",
    "keys": "seeds with which the vectors were made",
}
DOCUMENT = {
    "entry": "text",
    "account_chain": "entries",
    "accounts_root": "run",
    "checkpoint": "note",
    "agreement": "text",
    "statement": "base64",
    "logs": "log",
    "host-grants": "grant",
    "receipts": "receipt",
}


def loaded(stem: str) -> Any:
    return json.loads(FILES[stem].read_text())


def vectors(stem: str) -> list[tuple[dict[str, Any], str | None]]:
    """Every vector of a file with the reason for which it is to be refused."""
    content = loaded(stem)
    if isinstance(content, dict):
        assert content.keys() == {"format", "good", "bad"}, "a list that nobody would judge"
        return [(each, None) for each in content["good"]] + [(each, each["error"]) for each in content["bad"]]
    logs = {each["name"]: each for each in loaded("logs")}
    known = [each | {"log": logs[each["log"]]} if stem == "host-grants" else each for each in content]
    verdicts = [each["verdict"] if stem != "dids" else "accepted" if each["url"] else "V9" for each in known]
    return [(each, None if verdict == "accepted" else verdict) for each, verdict in zip(known, verdicts, strict=True)]


def says(facts: Any, golden: Any) -> bool:
    """Whether everything the reader found stands in the vector as well."""
    if isinstance(facts, dict):
        return facts.keys() <= golden.keys() and all(says(each, golden[name]) for name, each in facts.items())
    if isinstance(facts, list):
        return len(facts) == len(golden) and all(map(says, facts, golden))
    return bool(facts == golden)


def wrongly_judged(stem: str, cases: list[tuple[dict[str, Any], str | None]]) -> list[tuple[str, Any, Any]]:
    wrong = []
    for vector, reason in cases:
        facts, refusal = fresh_reader.judge(stem, vector)
        answers = {name: fact for name, fact in (facts or {}).items() if name in vector}
        if refusal != reason or not says(answers, vector):
            wrong.append((vector.get("name", vector.get("did")), reason, refusal or facts))
    return wrong


def test_no_golden_file_is_left_unread() -> None:
    assert len(FILES) == len(list(GOLDEN.rglob("*.json*"))), "two files of one name"
    assert set(FILES) == {*fresh_reader.READERS, *BYTES, *ELSEWHERE}


@pytest.mark.parametrize("stem", fresh_reader.READERS)
def test_every_vector_gets_its_verdict_and_its_reason(stem: str) -> None:
    cases = vectors(stem)
    assert wrongly_judged(stem, cases) == []
    assert {reason is None for _, reason in cases} == {True, False}, "good and bad ones are judged"


@pytest.mark.parametrize(("stem", "good"), [("host-grant", "host-grants"), ("receipt", "receipts")])
def test_golden_bytes_are_written_again(stem: str, good: str) -> None:
    facts, _ = fresh_reader.judge(good, vectors(good)[0][0])
    assert facts["bytes"] == FILES[stem].read_bytes()


def test_the_golden_key_log_is_read() -> None:
    owner = next(each for each in loaded("logs") if each["name"] == "owner")
    facts, refusal = fresh_reader.judge("logs", owner | {"log": FILES["did"].read_text()})
    assert (facts, refusal) == ({"expected": owner["expected"]}, None)


def flipped(value: Any, places: int = 24) -> list[Any]:
    """The value with one bit changed, at several places of it."""
    if isinstance(value, str):
        return [value[:n] + chr(ord(value[n]) ^ 1) + value[n + 1 :] for n in range(0, len(value), len(value) // places + 1)]
    if isinstance(value, dict):
        return [value | {name: each} for name in value for each in flipped(value[name], 3)]
    if isinstance(value, list):
        return [[*value[:n], each, *value[n + 1 :]] for n in range(len(value)) for each in flipped(value[n], 3)]
    return [value ^ 1]


@pytest.mark.parametrize("stem", DOCUMENT)
def test_no_bit_of_a_good_document_can_be_changed(stem: str) -> None:
    name, tried = DOCUMENT[stem], 0
    # Of a party whose key the reader has not, the proof is told and not judged.
    for vector in [vector for vector, reason in vectors(stem) if reason is None and not vector.get("unchecked")][:8]:
        facts, _ = fresh_reader.judge(stem, vector)
        for changed in flipped(vector[name]):
            found, refusal = fresh_reader.judge(stem, vector | {name: changed})
            assert refusal or (stem in ("entry", "account_chain") and found != facts), (vector["name"], changed)
            tried += 1
    assert tried > 20


def packed(text: bytes) -> str:
    """A statement whose container is right, whatever it holds."""
    stream = zlib.compressobj(9, zlib.DEFLATED, -zlib.MAX_WBITS)
    tail = zlib.crc32(text).to_bytes(4, "little") + len(text).to_bytes(4, "little")
    body = stream.compress(text) + stream.flush() + tail
    return base64.b64encode(bytes.fromhex("1f8b08040000000002ff240054532000") + sha256(body).digest() + body).decode()


def test_no_bit_inside_a_statement_can_be_changed_though_the_container_is_right() -> None:
    vector, _ = vectors("statement")[0]
    text = zlib.decompress(base64.b64decode(vector["base64"])[48:-8], -zlib.MAX_WBITS)
    assert fresh_reader.judge("statement", {"base64": packed(text)})[1] is None
    reasons = {fresh_reader.judge("statement", {"base64": packed(each.encode())})[1] for each in flipped(text.decode(), 80)}
    assert None not in reasons
    assert len(reasons) > 5, reasons


@pytest.mark.parametrize("stem", ["checkpoint", "agreement", "statement", "logs", "host-grants", "receipts"])
def test_a_reader_that_trusts_every_signature_is_found_out(stem: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(fresh_reader, "verifies", lambda *_: True)
    assert wrongly_judged(stem, vectors(stem))


@pytest.mark.parametrize(
    ("stem", "fact"), [("entry", "leaf"), ("accounts_root", "blob"), ("agreement", "id"), ("checkpoint", "root")]
)
def test_a_changed_golden_hash_is_found_out(stem: str, fact: str) -> None:
    (vector, reason), *_ = vectors(stem)
    assert wrongly_judged(stem, [(vector | {fact: "0" * 64}, reason)])
