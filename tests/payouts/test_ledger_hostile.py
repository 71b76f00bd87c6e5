"""Hostile documents: whatever stands in them, the answer is a named reason, in bounded time."""

import contextlib
import json
import random
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from payouts.agreement import agreement_id, check_signed, parse_agreement
from payouts.ledger import canonical, container
from payouts.ledger.__main__ import check_agreement, verify_identity_log
from payouts.ledger.entries import parse_entry
from payouts.ledger.errors import LedgerError
from payouts.ledger.fork import check_fork, prove_fork
from payouts.ledger.policy import parse_policy
from payouts.ledger.verdict import verify
from payouts.ledger.witness import judge, parse_request
from tests.payouts.ledger_world import Log, accepted, alices_statement, alpha_log, beta, offer, outside

ODD: list[Any] = [
    None, True, False, 0, 1, -1, 2**53 - 1, "", "0", "x", "é", "\u0000", "A" * 300, [], {}, [[]], [None], {"a": 1}, [1, "x"], "2026-11-31T00:00:00Z",
    "Qm" + "1" * 44, "0" * 64, "AAAA", "=", "did:webvh:x", "alpha.example/ledger/1", ["", ""], [[], []],
]  # fmt: skip


def places(document: Any) -> Iterator[tuple[Any, Any]]:
    """Every (object or list, member or index) in a document."""
    members = document.items() if isinstance(document, dict) else enumerate(document) if isinstance(document, list) else []
    for place, value in members:
        yield document, place
        yield from places(value)


def mutants(text: bytes, count: int, chance: random.Random) -> Iterator[bytes]:
    """The document with one place made odd: another value, nothing, twice, or moved."""
    for _ in range(count):
        document = json.loads(text)
        holder, place = chance.choice(list(places(document)))
        act = chance.randrange(4)
        if act == 0:
            holder[place] = chance.choice(ODD)
        elif act == 1:
            del holder[place]
        elif act == 2 and isinstance(holder, list):
            holder.insert(place, holder[place])
        else:
            other, there = chance.choice(list(places(document)))
            holder[place] = json.loads(json.dumps(other[there]))
        try:
            yield canonical.encode(document)
        except LedgerError:
            continue


def _judge_statement(text: bytes) -> None:
    verify(container.pack(text), verify_log=verify_identity_log, check_agreement=check_agreement)


def _judge_agreement(text: bytes) -> None:
    document = json.loads(text)
    if isinstance(document, dict) and "id" in document:
        document["id"] = agreement_id(document)
    check_signed(parse_agreement(canonical.encode(document)), lambda _: bytes(32))


def _fork() -> bytes:
    one, other = Log(beta), Log(beta)
    one.agree("2026-11-01T12:00:01Z", offer("beta.example"))
    other.fund("2026-11-02T09:00:00Z", 6)
    return prove_fork(one.checkpoint(), other.checkpoint(), other.nodes())


CASES: list[tuple[str, Callable[[], bytes], Callable[[bytes], object], int]] = [
    ("statement", lambda: container.unpack(alices_statement()), _judge_statement, 500),
    ("agreement", lambda: accepted("alice").data, _judge_agreement, 1_500),
    ("fork", _fork, lambda text: check_fork(text, [beta.ledger.verifier]), 600),
    *((f"{entry.index} {entry.type}", lambda entry=entry: entry.data, parse_entry, 150) for entry in alpha_log().entries[:23:2]),  # type: ignore[misc]
]


@pytest.mark.parametrize(("name", "make", "check", "count"), CASES, ids=[case[0] for case in CASES])
def test_odd_documents_get_a_named_reason(
    name: str, make: Callable[[], bytes], check: Callable[[bytes], object], count: int
) -> None:
    text = make()
    print("seed", name)
    for mutant in mutants(text, count, random.Random(name)):
        with contextlib.suppress(LedgerError):
            check(mutant)


def test_odd_bytes_get_a_named_reason() -> None:
    chance = random.Random(2026)
    policy = f"log {beta.ledger.verifier}\nwitness w {outside.verifier}\ngroup g any w\nquorum g\n".encode()
    note = alpha_log().checkpoint().data
    request = b"old 0\n\n" + note

    def ask(data: bytes) -> None:
        from payouts.ledger.follower import first_pin

        parsed = parse_request(data)
        answer = judge(parsed, pin=first_pin(parsed.origin), log_keys=[alpha_log().signer.verifier], signer=outside, timestamp=1)
        assert answer.status in (200, 400, 403, 409, 422)

    for text, check in (
        (policy, parse_policy),
        (request, ask),
        (alices_statement(), container.unpack),
        (note, lambda data: parse_request(b"old 0\n\n" + data)),
    ):
        for _ in range(1_000):
            data = bytearray(text)
            for _ in range(chance.randint(1, 4)):
                at = chance.randrange(len(data))
                data[at : at + chance.randint(0, 3)] = chance.randbytes(chance.randint(0, 3))
            with contextlib.suppress(LedgerError):
                check(bytes(data))
