"""The quick way in for plain entries accepts nothing that the long way refuses, and reads the same out of what both accept."""

import gc
import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from payouts.ledger import canonical, entries, shapes
from payouts.ledger.bodies import TYPES
from payouts.ledger.chain import Link, moves
from payouts.ledger.entries import Draft, Entry, parse_entry, write_batch
from payouts.ledger.errors import LedgerError, MissingMember
from payouts.ledger.fields import form_of, from_base64
from payouts.ledger.money import SCID, Account, account, parse_account
from payouts.ledger.replay import output_line
from tests.payouts.ledger_world import Log, alpha, alpha_log, beta_log, digest, draft_id, person

GOLDEN = json.loads((Path(__file__).parents[1] / "vectors" / "golden" / "ledger" / "entry.json").read_text())
WRITTEN = [*alpha_log().entries, *beta_log().entries]


def long_way(data: bytes) -> Entry:
    return entries._check(canonical.decode(data, bytes_max=4096), data, None, None)


def quick_way(data: bytes) -> Entry | None:
    return entries._read_plain(data)


def agree(data: bytes) -> bool:
    """Whether the quick way took it; then the long way does, and reads the same."""
    quick = quick_way(data)
    if quick is not None:
        assert quick == long_way(data)
    return quick is not None


def test_what_is_written_goes_the_quick_way() -> None:
    slow = {"genesis", "revenue"}
    assert {entry.type for entry in WRITTEN if not agree(entry.data)} == slow
    assert shapes.SHAPES.keys() == TYPES.keys() - {
        "genesis",
        "revenue",
        "refund",
        "ops.cost",
        "shutdown",
        "policy.witness",
        "meter",
    }


def test_golden_entries_keep_their_verdicts() -> None:
    for case in GOLDEN["good"]:
        agree(case["text"].encode())
    for case in GOLDEN["bad"]:
        data = case["text"].encode() if "text" in case else from_base64(case["base64"])
        assert quick_way(data) is None, case["name"]


def changes(value: Any, others: list[Any]) -> Iterator[Any]:
    """The document with one thing changed, everywhere in it."""
    if isinstance(value, dict):
        for name in value:
            yield {member: one for member, one in value.items() if member != name}
            yield from ({**value, name: one} for one in changes(value[name], others))
    elif isinstance(value, list):
        yield value[::-1]
        yield value * 2
        yield value[:-1]
        for place, item in enumerate(value):
            yield from ([*value[:place], one, *value[place + 1 :]] for one in changes(item, others))
    yield from others


ODD: list[Any] = [
    0, 1, -1, 2**53 - 1, 10**15, True, None, "", "0", "-0", "00", "1", "-1", "9" * 18, "9" * 19, "EUR", "eur", [], {}, "x" * 64,
    "0" * 64, "f" * 32, "2026-11-31T00:00:00Z", "2026-11-30T00:00:00Z", "Qm" + "1" * 44, 'a"b', "a\\b", "é", "e\u0301", "\x7f",
    "2026-13", "2026-11", "alpha.example/ledger/1", "L:ops#EUR/6", "A:cash:bank#EUR/6", "a/1", ["L:ops#EUR/6", "5"], 1.0,
]  # fmt: skip


@pytest.mark.parametrize("entry", [next(one for one in WRITTEN if one.type == name) for name in ("accrue", "hold", "payout.intent", "close", "charge", "agreement", "accounts.root")], ids=lambda entry: entry.type)  # fmt: skip
def test_whatever_is_changed_both_ways_agree(entry: Entry) -> None:
    taken = 0
    for document in changes(json.loads(entry.data), ODD):
        taken += agree(json.dumps(document, sort_keys=True, separators=(",", ":"), ensure_ascii=False).encode())
    assert taken > 5


def test_every_flipped_bit_and_every_letter_put_in_both_ways_agree() -> None:
    for entry in {one.type: one for one in WRITTEN}.values():
        for place in range(len(entry.data)):
            for mask in (1, 2, 16, 32):
                agree(entry.data[:place] + bytes([entry.data[place] ^ mask]) + entry.data[place + 1 :])
            for letter in (b" ", b"0", b'"', b"\\", b","):
                agree(entry.data[:place] + letter + entry.data[place:])


def test_what_no_expression_can_say_is_left_to_the_long_way() -> None:
    accrual = next(one for one in WRITTEN if one.type == "accrue")
    document = json.loads(accrual.data)
    payee, pool = document["postings"]
    for change in (
        # An account named twice, its amounts ascending: the names alone must.
        {"postings": [payee, [payee[0], payee[1] + "0"], pool]},
        {"postings": [payee, [pool[0], str(int(pool[1]) + 1)]]},
        {"postings": [payee, [pool[0].replace("EUR", "USD"), pool[1]]]},
        {"at": "2026-02-30T00:00:00Z"},
        {"accounts": [{**document["accounts"][0], "prev": "1" * 64}]},
        {"accounts": [{**document["accounts"][0], "seq": 7}]},
        {"accounts": []},
        {"body": {**document["body"], "agreements": []}},
        {"body": {**document["body"], "amount": "1"}},
    ):
        data = canonical.encode({**document, **change})
        assert quick_way(data) is None
        with pytest.raises(LedgerError):
            parse_entry(data)
    assert shapes.read_plain(b"[" * 5000) is None
    assert shapes.read_plain(b'{"v":' + b"1" * 4500 + b"}") is None
    assert shapes.read_plain(b'{"type":["accrue"]}') is None
    assert shapes.read_plain(b"\xff") is None


def test_an_entry_of_three_postings_in_two_currencies() -> None:
    log, alice = Log(alpha), person("alice")
    body = {"document": digest("x")}
    (entry,) = log.append("2026-11-02T09:00:00Z", Draft("will", draft_id("w"), body, {}))
    assert agree(entry.data)
    clawback = {
        "scid": alice.scid, "currency": "EUR", "amount": "0", "reason": "x", "evidence": digest("x"), "about": 0,
        "deadline": "2026-12-01T00:00:00Z",
    }  # fmt: skip
    for postings in ({"L:ops#EUR/6": 5, "E:reserve#EUR/6": -5, "L:ops#USD/6": 2, "E:reserve#USD/6": -2}, {"L:ops#EUR/6": 5, "E:reserve#EUR/6": -5, "L:ops#USD/6": 2}):  # fmt: skip
        with pytest.raises(LedgerError):
            write_batch([Draft("clawback", draft_id("c"), clawback, postings)], origin=alpha.origin, first_index=2, at="2026-11-02T09:00:00Z", heads={})  # fmt: skip


@settings(max_examples=300)
@given(st.data())
def test_no_form_holds_what_json_escapes(data: st.DataObject) -> None:
    """Else a text could end, for the expression, elsewhere than for the parser."""
    checks = sorted({(name, member) for name in shapes.SHAPES for member in TYPES[name].body})
    name, member = data.draw(st.sampled_from(checks))
    form = form_of(TYPES[name].body[member])
    assert form is not None
    text = data.draw(st.from_regex(re.compile(form.pattern, re.ASCII), fullmatch=True))
    assert canonical._encode(json.loads(text)) == text
    value = form.read(text)
    assert value == json.loads(text)
    if form.rest is None or form.rest(value):
        assert TYPES[name].body[member](value)


def test_the_search_for_garbage_is_on_again_after_a_batch_and_after_a_refusal() -> None:
    good, bad = (Draft("will", draft_id("w"), {"document": document}, {}) for document in (digest("x"), "x"))
    for was_on in (True, False):
        gc.enable() if was_on else gc.disable()
        try:
            write_batch([good], origin=alpha.origin, first_index=0, at="2026-11-02T09:00:00Z", heads={})
            with pytest.raises(LedgerError):
                write_batch([bad], origin=alpha.origin, first_index=0, at="2026-11-02T09:00:00Z", heads={})
            assert gc.isenabled() == was_on
        finally:
            gc.enable()


@given(st.from_regex(re.compile(SCID, re.ASCII), fullmatch=True))
def test_names_of_accounts_are_taken_apart_alike(scid: str) -> None:
    for name in (account("L:payee", "EUR", scid), account("L:ops", "USD"), account("L:pool", "EUR", "ads:2026-11.1"), account("A:peer", "EUR", "x.example:8000/ledger/1"), account("X:psp-fee", "EUR")):  # fmt: skip
        ((whole, kind, detail, currency, amount),) = shapes._find_postings(f'[["{name}","-5"]]')
        assert (whole, Account(kind, detail, currency), amount) == (name, parse_account(name), "-5")


def names_of(plain: shapes.Plain) -> list[str]:
    return [account.name for account, _ in plain.postings]


def test_what_is_written_the_quick_way_is_what_the_encoder_writes() -> None:
    for entry in WRITTEN:
        plain = shapes.read_plain(entry.data)
        if plain is not None:
            assert shapes.write_plain(plain, names_of(plain)) == entry.data.decode()
            assert entries._write(plain, names_of(plain)) == long_way(entry.data)


HOSTILE = [
    '"', "\\", "", "é", '1","b":"2', '"}', '"},"id":"' + "f" * 32, "L:ops#EUR/6", '0"],["L:ops#EUR/6","5', 5, True, None, [], {}, {"a": "b"},
    "Qm" + "1" * 44, "Qm" + "1" * 44 + '","seq":1},{"balance_after":"0', 10**18, -1,
]  # fmt: skip


def test_no_value_of_a_draft_can_write_what_the_encoder_would_not() -> None:
    """Only the body goes through the encoder: whatever stands elsewhere must not reach beyond its place."""
    for entry in {one.type: one for one in WRITTEN}.values():
        plain = shapes.read_plain(entry.data)
        if plain is None:
            continue
        (first, *others), links = plain.postings or (None,), plain.links
        changed = [
            plain._replace(**{name: odd}) for odd in HOSTILE for name in ("origin", "index", "type", "at", "id") if odd.__hash__
        ]
        changed += [plain._replace(body={**plain.body, name: odd}) for odd in HOSTILE for name in (*plain.body, "more", 'x":"y')]
        if first is not None:
            changed += [plain._replace(postings=((first[0], odd), *others)) for odd in HOSTILE]
        changed += [
            plain._replace(links=(links[0]._replace(**{name: odd}),)) for odd in HOSTILE for name in Link._fields if links
        ]
        for one in changed:
            text = shapes.write_plain(one, names_of(plain))
            assert text is None or shapes.read_plain(text.encode()) == one._replace(moves=moves(one.postings)), one


@given(
    st.from_regex(re.compile(SCID, re.ASCII), fullmatch=True),
    st.integers(0, 10**18 - 1),
    st.integers(0, 10**18 - 1),
)
def test_a_line_of_a_close_is_canonical(scid: str, amount: int, unclaimed: int) -> None:
    assert output_line(scid, str(amount), unclaimed) == canonical.encode([scid, str(amount), str(unclaimed)])


def test_a_draft_that_json_cannot_say_is_refused_by_name() -> None:
    for odd in ({1, 2}, float("nan"), 10**20):
        with pytest.raises(LedgerError):
            write_batch([Draft("will", draft_id("w"), {"document": odd}, {})], origin=alpha.origin, first_index=0, at="2026-11-02T09:00:00Z", heads={})  # fmt: skip
    with pytest.raises(LedgerError):
        canonical.encode_unchecked({"a": {1}})
    body = {"scid": "x", "currency": "EUR"}
    with pytest.raises(LedgerError):
        write_batch(
            [Draft("hold", draft_id("w"), body, {})], origin=alpha.origin, first_index=0, at="2026-11-02T09:00:00Z", heads={}
        )
    with pytest.raises(MissingMember):
        write_batch(
            [Draft("hold", draft_id("w"), {"scid": "x"}, {})],
            origin=alpha.origin,
            first_index=0,
            at="2026-11-02T09:00:00Z",
            heads={},
        )
