"""The quick way through a statement accepts nothing that the long way refuses, and reads the same out of what both accept."""

import json
from collections.abc import Iterator
from typing import Any

import pytest

from payouts.ledger import canonical, container, statement, usual
from payouts.ledger.__main__ import check_agreement, verify_identity_log
from payouts.ledger.chain import NO_MOVE, START, Head, check_link, head_after
from payouts.ledger.entries import ENTRY_BYTES_MAX, parse_entry
from payouts.ledger.errors import BadBase64, LedgerError, TooLarge
from payouts.ledger.fields import from_base64
from payouts.ledger.money import AMOUNT_MAX
from payouts.ledger.usual import Usual, read_entries
from payouts.ledger.verdict import Verdict, verify
from tests.payouts.ledger_world import Log, alices_statement, alpha_log, beta_log, person
from tests.payouts.test_ledger_verifier import CASES, FOLDER, corpus
from tests.pure.test_ledger_shapes import ODD, changes

ALICE = person("alice").scid


def told(log: Log) -> list[tuple[Usual, Head]]:
    """Alice's entries that go the quick way, each with the head before it."""
    own = [(entry.index, [entry.data]) for entry in log.entries if any(link.scid == ALICE for link in entry.links)]
    read = read_entries(own, origin=log.instance.origin, scid=ALICE)
    return [(entry, entry.before) for entry in read if isinstance(entry, Usual)]


TOLD = told(alpha_log())


def agree(data: bytes, index: int, before: Head, currency: str = "EUR") -> bool:
    """Whether the quick way took it; then the long way does, and says the same."""
    heads = {currency: before}
    quick = usual._read_usual(data, alpha_log().instance.origin, ALICE, index, heads)
    if quick is None:
        assert heads == {currency: before}
        return False
    entry = parse_entry(data, origin=alpha_log().instance.origin, index=index)
    for name in ("origin", "index", "type", "at", "id", "body", "leaf", "links", "data"):
        assert getattr(quick, name) == getattr(entry, name), name
    (link,) = entry.links
    move = entry.moves.get(quick.key, NO_MOVE)
    assert quick.moves == {quick.key: move}
    check_link(link, quick.before, move)
    assert quick.before == (before if link.currency == currency else START)
    assert quick.after == heads[link.currency] == head_after(link, entry.leaf, quick.before, move)
    return True


def test_what_a_pen_writes_goes_the_quick_way() -> None:
    assert [entry.type for entry, _ in TOLD] == [
        "accrue", "hold", "release", "payout.intent", "payout.sent", "payout.settled", "payout.intent", "payout.failed",
        "payout.intent", "accrue",
    ]  # fmt: skip
    assert {entry.type for entry, _ in TOLD} == usual.POSTINGS.keys()
    for entry, before in TOLD:
        assert agree(entry.data, entry.index, before, entry.key[1])
    # Money that nobody signed for is not usual: the long way reads it.
    assert told(beta_log()) == []


@pytest.mark.parametrize("place", range(len(TOLD)), ids=lambda place: f"{place} {TOLD[place][0].type}")
def test_whatever_is_changed_both_ways_agree(place: int) -> None:
    entry, before = TOLD[place]
    taken = 0
    for document in changes(json.loads(entry.data), ODD):
        data = json.dumps(document, sort_keys=True, separators=(",", ":"), ensure_ascii=False).encode()
        taken += agree(data, entry.index, before, entry.key[1])
    # Another id, hash, time or word is as good; nothing else is.
    assert taken > 1
    for at in range(len(entry.data)):
        for mask in (1, 2, 16, 32, 128):
            agree(entry.data[:at] + bytes([entry.data[at] ^ mask]) + entry.data[at + 1 :], entry.index, before, entry.key[1])
        for letter in (b" ", b"0", b'"', b"\\", b",", b"]"):
            agree(entry.data[:at] + letter + entry.data[at:], entry.index, before, entry.key[1])


def test_an_entry_that_does_not_follow_is_not_usual() -> None:
    entry, before = next((entry, before) for entry, before in TOLD if entry.type == "payout.intent")
    assert agree(entry.data, entry.index, before)
    for other in (
        before._replace(seq=before.seq + 1),
        before._replace(leaf="f" * 64),
        before._replace(balance=before.balance + 1),
        before._replace(held=before.held + 1),
        START,
    ):
        assert not agree(entry.data, entry.index, other)
    assert not agree(entry.data, entry.index + 1, before)
    for origin, scid in ((alpha_log().instance.origin, person("bob").scid), ("alphb.example/ledger/1", ALICE)):
        assert usual._read_usual(entry.data, origin, scid, entry.index, {"EUR": before}) is None
    assert not agree(entry.data.replace(b"2026-12-01T", b"2026-02-30T"), entry.index, before)
    assert not agree(entry.data + b" " * ENTRY_BYTES_MAX, entry.index, before)
    far = 10**15
    assert not agree(entry.data.replace(b'"index":%d' % entry.index, b'"index":%d' % far), far, before)


def test_a_balance_stays_within_its_bounds() -> None:
    """A link that follows, over balances that no account may have."""
    for kind, before in (
        ("payout.intent", START._replace(seq=1, leaf="1" * 64)),
        ("release", START._replace(seq=1, leaf="1" * 64)),
        ("accrue", START._replace(seq=1, leaf="1" * 64, balance=AMOUNT_MAX)),
        ("hold", START._replace(seq=1, leaf="1" * 64, balance=AMOUNT_MAX, held=AMOUNT_MAX)),
    ):
        entry = next(entry for entry, _ in TOLD if entry.type == kind)
        document = json.loads(entry.data)
        amount = int(entry.body["amount"])
        shape = usual._SHAPES[kind]
        document["accounts"][0].update(
            seq=2, prev="1" * 64, balance_after=str(before.balance + shape.payable * amount), held_after=str(before.held + shape.held * amount)
        )  # fmt: skip
        data = canonical.encode(document)
        assert not agree(data, entry.index, before)
        with pytest.raises(LedgerError):
            parse_entry(data)


def test_lists_and_times_in_a_body_keep_their_rules() -> None:
    accrual, before = TOLD[0]
    one = accrual.body["agreements"][0]
    for agreements, right in (([one, "f" * 64], True), (["f" * 64, one], False), ([one, one], False), ([], False)):
        document = json.loads(accrual.data)
        document["body"]["agreements"] = agreements
        assert agree(canonical.encode(document), accrual.index, before) == right
    held, before = next((entry, before) for entry, before in TOLD if entry.type == "hold")
    document = json.loads(held.data)
    document["body"]["until"] = "2026-02-30T00:00:00Z"
    assert not agree(canonical.encode(document), held.index, before)


# Whole statements.


def judged(data: bytes) -> Verdict | str:
    try:
        return verify(data, verify_log=verify_identity_log, check_agreement=check_agreement)
    except LedgerError as error:
        return error.code


def plainly(text: bytes) -> tuple[Any, statement.DecodeRun]:
    """The JSON of a statement, nothing cut out of it."""
    return canonical.decode(text, bytes_max=container.TEXT_BYTES_MAX), lambda value: map(from_base64, value)


def files() -> Iterator[bytes]:
    yield alices_statement()
    for case in CASES.values():
        if case["run"] == "verify":
            yield corpus.data_of(case, FOLDER)
    text = container.unpack(alices_statement())
    for old, new in (
        (b'"entries":["', b'"entries":["!'),
        (b'"entries":["', b'"entries":["\xff'),
        (b'"entries":["', b'"entries":["\x01'),
        (b'"entries":["', b'"entries":["e\xcc\x81'),
        (b'"entries":["ey', b'"entries":["\\u0065y'),
        (b'"entries":["', b'"entries":["\\"],"'),
        (b'"entries":["', b'"entries": ["'),
        (b'{"entries":["', b'{"entries":[7,"'),
        (b'{"entries":["', b'{"entries":[],"x":["'),
        (b'{"entries":["', b'{"a":1,"entries":["'),
        (b'{"entries":["', b'{"\\u0065ntries":["'),
        (b'"proof":["', b'"proof":{"entries":["A"]},"proof":["'),
        (b'"scid":"', b'"scid":"\\"entries\\":[\\"'),
        (b'"policy":"', b'"policy":["entries"],"policy":"'),
        (b'"policy":"', b'"policy":"\\"entries\\":['),
        (b'","', b'" ,"'),
        (b'"entries":["', b'"entries":["entries","'),
        (b'"entries":["', b'"entries":["entries":["'),
        (b'"start":', b'"start":-'),
    ):
        for count in (1, -1):
            yield container.pack(text.replace(old, new, count))
    for cut in (b'"entries"', b'"entries":', b'"entries":["', b'"proof"'):
        yield container.pack(text[: text.index(cut) + len(cut)])


def test_whole_statements_get_the_same_verdict_either_way(monkeypatch: pytest.MonkeyPatch) -> None:
    every = list(files())
    quick = [judged(data) for data in every]
    assert isinstance(quick[0], Verdict)
    assert len({one for one in quick if isinstance(one, str)}) > 15
    monkeypatch.setattr(usual, "_SHAPES", {})
    monkeypatch.setattr(statement, "_read_document", plainly)
    assert [judged(data) for data in every] == quick


def test_a_number_in_the_place_of_entries_stands_for_nothing() -> None:
    document = json.loads(container.unpack(alices_statement()))
    for entries in ([0], [0, 1], ["0"], [None]):
        document["debtors"][0]["ranges"][0]["entries"] = entries
        with pytest.raises(BadBase64):
            statement.parse_statement(container.pack(canonical.encode(document)))


def test_an_account_in_two_currencies_is_two_accounts() -> None:
    log = alpha_log()
    own = [(entry.index, [entry.data]) for entry in log.entries if entry.link((ALICE, "USD"))]
    (entry,) = read_entries(own, origin=log.instance.origin, scid=ALICE)
    assert isinstance(entry, Usual)
    assert (entry.key, entry.before) == ((ALICE, "USD"), START)


def test_an_entry_about_somebody_else_moves_nothing() -> None:
    log = alpha_log()
    entries = [(entry.index, [entry.data]) for entry in log.entries if entry.type == "accrue"]
    read = read_entries(entries, origin=log.instance.origin, scid=ALICE)
    assert [(type(entry), entry.links[0].scid == ALICE) for entry in read if isinstance(entry, Usual)] == [(Usual, True)] * 2
    assert len({entry.links[0].scid for entry in read}) == 3


@pytest.mark.parametrize("text", [b'"', b"[],", b'{"":', b"0,", b'"entries":["",'])
def test_a_file_of_marks_alone_is_refused_before_it_is_taken_apart(text: bytes) -> None:
    bomb = text * (container.TEXT_BYTES_MAX // len(text))
    with pytest.raises(TooLarge):
        statement.parse_statement(container.pack(bomb))
