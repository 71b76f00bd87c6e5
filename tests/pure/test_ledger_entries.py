"""Entries, account chains and bodies: what is written is read, and everything else is refused by name."""

import json
from collections.abc import Callable
from typing import Any

import pytest

from payouts.ledger import canonical, money
from payouts.ledger.bodies import TYPES
from payouts.ledger.chain import START, Head, Link, Move, check_link, next_link
from payouts.ledger.entries import Draft, Entry, parse_entry, write_batch
from payouts.ledger.errors import (
    AccountBalanceWrong,
    AccountChainBroken,
    AccountLinkMissing,
    AccountLinkUnexpected,
    AccountOverdrawn,
    AccountSequenceBroken,
    AccountsUnsorted,
    AmountMismatch,
    BadAccount,
    BadAmount,
    BadBody,
    BadEntryId,
    BadIndex,
    BadMember,
    BadOrigin,
    BadPosting,
    BadTime,
    EntryTooLarge,
    LedgerError,
    MissingMember,
    PostingNotAllowed,
    PostingsUnbalanced,
    PostingsUnsorted,
    UnknownAccount,
    UnknownMember,
    UnknownType,
    UnknownVersion,
)
from payouts.ledger.merkle import leaf_hash
from tests.payouts.ledger_world import alpha, alpha_log, digest, draft_id, person

ALICE, BOB = person("alice").scid, person("bob").scid
LOG = alpha_log()


def entry_of(type_name: str) -> Entry:
    return next(entry for entry in LOG.entries if entry.type == type_name)


def changed(entry: Entry, change: Callable[[dict[str, Any]], object]) -> bytes:
    document = json.loads(entry.data)
    change(document)
    return canonical.encode(document)


def test_what_is_written_is_read() -> None:
    for entry in LOG.entries:
        again = parse_entry(entry.data, origin=alpha.origin, index=entry.index)
        assert again == entry
        assert again.leaf == leaf_hash(entry.data)
        assert sum(amount for _, amount in again.postings) == 0
    accrual = entry_of("accrue")
    assert accrual.link((accrual.body["scid"], "EUR")) == accrual.links[0]
    assert accrual.link(("nobody", "EUR")) is None


def test_every_flipped_bit_of_an_entry_changes_its_leaf_or_is_refused() -> None:
    entry = entry_of("accrue")
    for bit in range(len(entry.data) * 8):
        flipped = bytearray(entry.data)
        flipped[bit // 8] ^= 1 << bit % 8
        try:
            found = parse_entry(bytes(flipped))
        except LedgerError:
            continue
        assert found.leaf != entry.leaf


def _set(*path: Any) -> Callable[[dict[str, Any]], object]:
    *names, last, value = path

    def change(document: dict[str, Any]) -> None:
        for name in names:
            document = document[name]
        document[last] = value

    return change


REFUSALS: list[tuple[str, Callable[[dict[str, Any]], object], type[LedgerError]]] = [
    ("accrue", lambda d: d.pop("body"), MissingMember),
    ("accrue", _set("note", ""), UnknownMember),
    ("accrue", _set("v", 2), UnknownVersion),
    ("accrue", _set("v", True), UnknownVersion),
    ("accrue", _set("origin", "Alpha.example/ledger/1"), BadOrigin),
    ("accrue", _set("origin", 7), BadOrigin),
    ("accrue", _set("index", -1), BadIndex),
    ("accrue", _set("index", True), BadIndex),
    ("accrue", _set("index", "6"), BadIndex),
    ("accrue", _set("type", "gift"), UnknownType),
    ("accrue", _set("type", []), UnknownType),
    ("accrue", _set("at", "2026-11-31T00:00:00Z"), BadTime),
    ("accrue", _set("at", "2026-11-30T24:00:00Z"), BadTime),
    ("accrue", _set("at", "2026-11-30T00:00:00+00:00"), BadTime),
    ("accrue", _set("at", "2026-11-30 00:00:00Z"), BadTime),
    ("accrue", _set("at", 7), BadTime),
    ("accrue", _set("id", "A" * 32), BadEntryId),
    ("accrue", _set("id", 7), BadEntryId),
    ("accrue", _set("body", []), BadBody),
    ("accrue", lambda d: d["body"].pop("lines"), MissingMember),
    ("accrue", _set("body", "tip", "1"), UnknownMember),
    ("accrue", _set("body", "lines", "x"), BadBody),
    ("accrue", _set("body", "amount", "-5"), BadBody),
    ("accrue", _set("body", "batch", 0), BadBody),
    ("accrue", _set("body", "agreements", []), BadBody),
    ("accrue", _set("body", "agreements", [digest("b")] * 2), BadBody),
    ("accrue", _set("body", "scid", "Qm0"), BadBody),
    ("accrue", _set("body", "amount", "1"), AmountMismatch),
    ("accrue", _set("body", "scid", person("dora").scid), AmountMismatch),
    ("accrue", _set("postings", {}), BadMember),
    ("accrue", _set("postings", [["L:pool:ads:2026-11#EUR/6"]]), BadPosting),
    ("accrue", _set("postings", [["L:pool:ads:2026-11#EUR/6", 5]]), BadPosting),
    ("accrue", _set("postings", ["ab"]), BadPosting),
    ("accrue", _set("postings", [["L:pool:ads:2026-11#EUR/6", "0"]]), BadPosting),
    ("accrue", _set("postings", [["L:pool:ads:2026-11#EUR/6", "05"]]), BadAmount),
    ("accrue", _set("postings", [["L:pool", "5"]]), BadAccount),
    ("accrue", _set("postings", [["L:loot#EUR/6", "5"]]), UnknownAccount),
    ("accrue", _set("postings", [["L:ops#EUR/6", "5"]]), PostingNotAllowed),
    ("accrue", lambda d: d["postings"].reverse(), PostingsUnsorted),
    ("accrue", lambda d: d["postings"].insert(0, d["postings"][0]), PostingsUnsorted),
    ("accrue", _set("postings", 0, 1, "-1"), PostingsUnbalanced),
    ("accrue", _set("postings", []), AmountMismatch),
    ("accrue", _set("accounts", {}), BadMember),
    ("accrue", _set("accounts", []), AccountLinkMissing),
    ("accrue", lambda d: d["accounts"].append(d["accounts"][0]), AccountsUnsorted),
    ("accrue", lambda d: d["accounts"].append({**d["accounts"][0], "currency": "USD"}), AccountLinkUnexpected),
    ("accrue", lambda d: d["accounts"][0].pop("seq"), MissingMember),
    ("accrue", _set("accounts", 0, "seq", 0), BadMember),
    ("accrue", _set("accounts", 0, "seq", 2), AccountChainBroken),
    ("accrue", _set("accounts", 0, "prev", digest("x")), AccountChainBroken),
    ("accrue", _set("accounts", 0, "prev", "x"), BadMember),
    ("accrue", _set("accounts", 0, "currency", "eur"), BadMember),
    ("accrue", _set("accounts", 0, "balance_after", "-1"), AccountOverdrawn),
    ("accrue", _set("accounts", 0, "held_after", "-1"), AccountOverdrawn),
    ("genesis", _set("accounts", [{}]), MissingMember),
    ("genesis", _set("body", "currencies", ["USD/6", "EUR/6"]), BadBody),
    ("hold", _set("body", "amount", "6999999"), AmountMismatch),
    ("payout.sent", _set("accounts", []), AccountLinkMissing),
    ("payout.intent", _set("body", "amount", "1"), AmountMismatch),
    ("close", _set("body", "entries", [2, 1]), BadBody),
    ("close", _set("body", "period", "November"), BadBody),
]  # fmt: skip


@pytest.mark.parametrize(("type_name", "change", "reason"), REFUSALS)
def test_what_is_odd_is_refused_by_name(
    type_name: str, change: Callable[[dict[str, Any]], object], reason: type[LedgerError]
) -> None:
    with pytest.raises(reason):
        parse_entry(changed(entry_of(type_name), change))


def test_an_entry_stands_in_its_log_and_place_only() -> None:
    entry = entry_of("accrue")
    with pytest.raises(BadOrigin):
        parse_entry(entry.data, origin="beta.example/ledger/1")
    with pytest.raises(BadIndex):
        parse_entry(entry.data, index=entry.index + 1)
    with pytest.raises(EntryTooLarge):
        parse_entry(entry.data + b" " * 4096)


def test_what_does_not_fit_is_not_written() -> None:
    body = {**entry_of("close").body, "entries": list(range(10**15, 10**15 + 256))}
    with pytest.raises(EntryTooLarge):
        write_batch(
            [Draft("close", draft_id("c"), body, {})], origin=alpha.origin, first_index=1, at="2026-11-30T00:00:00Z", heads={}
        )


def test_a_repeated_tally_of_reasons_is_refused() -> None:
    body = {
        "period": "2026-11", "works": digest("w"), "views_root": digest("v"), "qualified": 5, "impressions": 2, "sessions": 1,
        "rejected": [["bot", 3], ["self", 1]],
    }  # fmt: skip
    write_batch(
        [Draft("meter", draft_id("m"), body, {})], origin=alpha.origin, first_index=1, at="2026-11-30T00:00:00Z", heads={}
    )
    for rejected in (
        [["self", 1], ["bot", 3]],
        [["bot", 3], ["bot", 1]],
        [["bot", True]],
        [["bot", -1]],
        [["Bot", 1]],
        ["ab"],
        {},
    ):
        with pytest.raises(BadBody):
            write_batch(
                [Draft("meter", draft_id("m"), {**body, "rejected": rejected}, {})],
                origin=alpha.origin, first_index=1, at="2026-11-30T00:00:00Z", heads={},
            )  # fmt: skip


def test_a_batch_continues_the_chains_and_says_only_what_changed() -> None:
    head = Head(3, digest("leaf"), 5_000_000, 0, 0)
    other = Head(9, digest("other"), 1, 0, 0)
    body = {
        "scid": ALICE, "currency": "EUR", "amount": "2000000", "reason": "card.reserve", "evidence": digest("x"),
        "until": "2027-01-01T00:00:00Z",
    }  # fmt: skip
    draft = Draft("hold", draft_id("h"), body, {f"L:payee:{ALICE}#EUR/6": 2_000_000, f"L:hold:{ALICE}#EUR/6": -2_000_000})
    batch = write_batch(
        [draft, Draft("hold", draft_id("h2"), body, draft.postings)],
        origin=alpha.origin, first_index=40, at="2026-12-01T00:00:00Z", heads={(ALICE, "EUR"): head, (BOB, "EUR"): other},
    )  # fmt: skip
    first, second = batch.entries
    assert [entry.index for entry in batch.entries] == [40, 41]
    assert first.links == (Link(ALICE, "EUR", 4, head.leaf, 3_000_000, 2_000_000),)
    assert second.links == (Link(ALICE, "EUR", 5, first.leaf.hex(), 1_000_000, 4_000_000),)
    assert batch.heads == {(ALICE, "EUR"): Head(5, second.leaf.hex(), 1_000_000, 4_000_000, 0)}
    with pytest.raises(AccountOverdrawn):
        write_batch([draft], origin=alpha.origin, first_index=0, at="2026-12-01T00:00:00Z", heads={(ALICE, "EUR"): START})
    with pytest.raises(UnknownType):
        write_batch(
            [Draft("gift", draft_id("g"), {}, {})], origin=alpha.origin, first_index=0, at="2026-12-01T00:00:00Z", heads={}
        )


def test_a_link_must_follow_its_head() -> None:
    head = Head(3, digest("leaf"), 5, 1, 7)
    good = next_link((ALICE, "EUR"), head, Move(2, 0, -7))
    check_link(good, head, Move(2, 0, -7))
    for wrong, reason in (
        (good._replace(seq=5), AccountSequenceBroken),
        (good._replace(seq=3), AccountSequenceBroken),
        (good._replace(prev=digest("other")), AccountChainBroken),
        (good._replace(balance_after=8), AccountBalanceWrong),
        (good._replace(held_after=0), AccountBalanceWrong),
    ):
        with pytest.raises(reason):
            check_link(wrong, head, Move(2, 0, -7))
    for move in (Move(-6), Move(0, -2), Move(0, 0, -8)):
        with pytest.raises(AccountOverdrawn):
            check_link(good, head, move)


@pytest.mark.parametrize("text", ["", "00", "-0", "+1", "1.0", "1e3", " 1", "1\n", "1" * 19, "٣", 5, None])
def test_amounts_have_one_spelling(text: object) -> None:
    with pytest.raises(BadAmount):
        money.parse_amount(text)


def test_amounts_and_accounts_go_both_ways() -> None:
    for millionths in (0, 1, -1, 650_000, 10**18 - 1, 1 - 10**18):
        assert money.parse_amount(money.format_amount(millionths)) == millionths
    with pytest.raises(BadAmount):
        money.format_amount(10**18)
    assert money.account("L:ops", "EUR") == "L:ops#EUR/6"
    assert money.parse_account(f"L:payee:{ALICE}#EUR/6") == money.Account("L:payee", ALICE, "EUR")
    assert money.parse_account("A:peer:beta.example:8443/ledger/1#EUR/6").detail == "beta.example:8443/ledger/1"
    assert [money.in_units(amount) for amount in (0, 1, -1, 12_345_678, -12_000_000)] == [
        "0.000000",
        "0.000001",
        "-0.000001",
        "12.345678",
        "-12.000000",
    ]


@pytest.mark.parametrize(
    "name",
    ["", "L:payee#EUR/6", "L:payee:x#EUR/6", "L:ops:x#EUR/6", "L:ops:#EUR/6", "L:ops#eur/6", "L:ops#EUR/2", "L:ops", "B:ops#EUR/6", "L:pool:ads#EUR/6", "L:ops#EUR/6 "],
)  # fmt: skip
def test_account_names_have_one_spelling(name: str) -> None:
    with pytest.raises(BadAccount):
        money.parse_account(name)


def test_every_type_says_which_accounts_it_touches() -> None:
    for row in TYPES.values():
        assert row.touches <= money.KINDS.keys()


def test_a_clawback_takes_and_an_accrual_gives() -> None:
    def write(type_name: str, body: dict[str, Any], postings: dict[str, int]) -> None:
        heads = {(ALICE, "EUR"): Head(1, digest("x"), 50, 50, 50)}
        draft = Draft(type_name, draft_id("c"), body, postings)
        write_batch([draft], origin=alpha.origin, first_index=9, at="2026-12-01T00:00:00Z", heads=heads)

    payee, hold = f"L:payee:{ALICE}#EUR/6", f"L:hold:{ALICE}#EUR/6"
    clawback = {
        "scid": ALICE, "currency": "EUR", "amount": "30", "reason": "fraud", "evidence": digest("e"), "about": 4,
        "deadline": "2027-01-01T00:00:00Z",
    }  # fmt: skip
    write("clawback", clawback, {payee: 10, hold: 20, "X:refund#EUR/6": -30})
    for postings in (
        {payee: -10, hold: 40, "X:refund#EUR/6": -30},
        {payee: 10, "X:refund#EUR/6": -10},
        {"L:ops#EUR/6": 30, "X:refund#EUR/6": -30},
    ):
        with pytest.raises(AmountMismatch):
            write("clawback", clawback, postings)
