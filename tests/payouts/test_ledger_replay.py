"""A whole log replayed: what a mirror stores, what it refuses, and what the pen knows of its own log."""

import json
from collections.abc import Callable
from typing import Any

import pytest

from payouts.ledger import canonical
from payouts.ledger.entries import Draft, Entry, write_batch
from payouts.ledger.errors import (
    AccountBalanceWrong,
    AccountSequenceBroken,
    AccountsRootWrong,
    AgreementNotAnnounced,
    BadKey,
    BadOrigin,
    BadRotation,
    CloseBatchCut,
    CloseOutputsWrong,
    EntryIdRepeated,
    GenesisMisplaced,
    HoldBroken,
    LedgerError,
    LiabilityOverdrawn,
    PayoutOutOfOrder,
    TimeWentBackwards,
)
from payouts.ledger.multikey import multikey, multikey_bytes
from payouts.ledger.replay import Replay
from payouts.ledger.rotation import keys_of_genesis, ledger_key_at, rotation_body
from tests.payouts.ledger_world import Signer, alpha, alpha_log, beta, beta_log, digest, draft_id, offer, person, seed

ALICE = person("alice").scid
LOG = alpha_log()


def replayed(count: int | None = None) -> Replay:
    replay = Replay(alpha.origin)
    for entry in LOG.entries[:count]:
        replay.add(entry.data)
    return replay


def first(type_name: str) -> Entry:
    return next(entry for entry in LOG.entries if entry.type == type_name)


def test_a_replay_knows_what_the_pen_knows() -> None:
    replay = replayed()
    assert replay.heads == LOG.heads
    assert replay.size == LOG.edge.size
    assert replay.at_rest
    assert replay.ledger_key == alpha.ledger.verifier
    assert sum(replay.balances.values()) + sum(-head.balance - head.held - head.unclaimed for head in replay.heads.values()) == 0


def test_a_checkpoint_may_not_end_inside_a_close() -> None:
    resting = [index for index in range(len(LOG.entries) + 1) if replayed(index).at_rest]
    cut = {entry.index for entry in LOG.entries if entry.type == "accrue"}
    assert set(range(len(LOG.entries) + 1)) - set(resting) == cut


CHANGES: list[tuple[str, Callable[[dict[str, Any]], object], type[LedgerError]]] = [
    ("genesis", lambda d: d.update(type="shutdown", body={"reason": "", "until": "2027-01-01T00:00:00Z"}), GenesisMisplaced),
    ("revenue", lambda d: d.update(type="genesis", body=LOG.entries[0].body, postings=[]), GenesisMisplaced),
    ("revenue", lambda d: d.update(at="2026-10-01T00:00:00Z"), TimeWentBackwards),
    ("revenue", lambda d: d.update(id=LOG.entries[0].id), EntryIdRepeated),
    ("revenue", lambda d: d.update(origin="beta.example/ledger/1"), BadOrigin),
    ("charge", lambda d: d.update(postings=[["L:advertiser:acme#EUR/6", "100000001"], ["L:pool:ads:2026-11#EUR/6", "-100000001"]]), LiabilityOverdrawn),
    ("charge", lambda d: d.update(postings=[["L:advertiser:zeta#EUR/6", "1"], ["L:pool:ads:2026-11#EUR/6", "-1"]]), LiabilityOverdrawn),
    ("accrue", lambda d: d["body"].update(batch=4), CloseBatchCut),
    ("accrue", lambda d: d["body"].update(close=4), CloseBatchCut),
    ("accrue", lambda d: d["body"].update(period="2026-12"), CloseOutputsWrong),
    ("accrue", lambda d: d["body"].update(agreements=[digest("x")]), AgreementNotAnnounced),
    ("accrue", lambda d: d["accounts"][0].update(seq=2, prev=digest("x")), AccountSequenceBroken),
    ("accrue", lambda d: d["accounts"][0].update(balance_after="7"), AccountBalanceWrong),
    ("accounts.root", lambda d: d["body"].update(root=digest("x")), AccountsRootWrong),
    ("accounts.root", lambda d: d["body"].update(count=9), AccountsRootWrong),
    ("payout.sent", lambda d: d["body"].update(rail="card"), PayoutOutOfOrder),
    ("release", lambda d: d.update(at="2026-12-01T09:00:05Z"), HoldBroken),
]  # fmt: skip


@pytest.mark.parametrize(("type_name", "change", "reason"), CHANGES)
def test_an_entry_that_breaks_a_rule_is_refused_and_changes_nothing(
    type_name: str, change: Callable[[dict[str, Any]], object], reason: type[LedgerError]
) -> None:
    entry = first(type_name)
    document = json.loads(entry.data)
    change(document)
    replay = replayed(entry.index)
    heads, balances = dict(replay.heads), dict(replay.balances)
    with pytest.raises(reason):
        replay.add(canonical.encode(document))
    assert (replay.heads, replay.balances, replay.size) == (heads, balances, entry.index)
    for right in LOG.entries[entry.index :]:
        replay.add(right.data)
    assert replay.heads == LOG.heads


def raw(replay: Replay, *drafts: Draft) -> list[bytes]:
    batch = write_batch(drafts, origin=alpha.origin, first_index=replay.size, at="2027-01-01T00:00:00Z", heads=replay.heads)
    return [entry.data for entry in batch.entries]


def test_nothing_else_stands_in_a_close_and_no_accrual_outside() -> None:
    replay = replayed(6)
    idle = Draft("shutdown", draft_id("idle"), {"reason": "", "until": "2027-01-01T00:00:00Z"}, {})
    with pytest.raises(CloseBatchCut):
        replay.add(raw(replay, idle)[0])
    replay = replayed()
    pool = "L:pool:ads:2027-01#EUR/6"
    replay.add(raw(replay, Draft("revenue", draft_id("r"), first("revenue").body, {"A:cash:bank#EUR/6": 5, pool: -5}))[0])
    body = {**first("accrue").body, "scid": ALICE, "amount": "5"}
    with pytest.raises(CloseBatchCut):
        replay.add(raw(replay, Draft("accrue", draft_id("x"), body, {f"L:payee:{ALICE}#EUR/6": -5, pool: 5}))[0])


def test_a_claim_needs_an_announced_agreement() -> None:
    replay = Replay(beta.origin)
    for entry in beta_log().entries:
        replay.add(entry.data)
    amount = replay.heads[ALICE, "EUR"].unclaimed
    postings = {f"L:unclaimed:{ALICE}#EUR/6": amount, f"L:payee:{ALICE}#EUR/6": -amount}

    def claim(agreement: str) -> bytes:
        body = {"scid": ALICE, "currency": "EUR", "amount": str(amount), "agreement": agreement}
        draft = Draft("claim", draft_id("claim"), body, postings)
        return (
            write_batch([draft], origin=beta.origin, first_index=replay.size, at="2027-01-01T00:00:00Z", heads=replay.heads)
            .entries[0]
            .data
        )

    with pytest.raises(AgreementNotAnnounced):
        replay.add(claim(digest("x")))
    replay.add(claim(offer("beta.example").id))
    assert replay.heads[ALICE, "EUR"].balance == amount


def test_a_close_says_what_its_accruals_add_up_to() -> None:
    for member, value in (("outputs", digest("x")), ("amount", "99999999"), ("carry", "1")):
        replay = replayed(5)
        document = json.loads(LOG.entries[5].data)
        document["body"][member] = value
        replay.add(canonical.encode(document))
        replay.add(LOG.entries[6].data)
        replay.add(LOG.entries[7].data)
        with pytest.raises(CloseOutputsWrong):
            replay.add(LOG.entries[8].data)
        assert not replay.at_rest
    replay = replayed(5)
    document = json.loads(LOG.entries[5].data)
    document["body"]["accruals"] = 0
    with pytest.raises(CloseOutputsWrong):
        replay.add(canonical.encode(document))


# Keys.


def test_the_genesis_names_every_key_as_it_should() -> None:
    genesis = LOG.entries[0]
    keys = keys_of_genesis(genesis)
    assert (keys.origin, keys.ledger, keys.auditor) == (alpha.origin, alpha.ledger.verifier, alpha.auditor.verifier)
    with pytest.raises(BadKey):
        keys_of_genesis(LOG.entries[1])
    changes: list[dict[str, str]] = [
        {"witness": str(beta.witness.verifier)},
        {"witness": genesis.body["auditor"]},
        {"ledger": genesis.body["ledger"].replace("+", "x", 1)},
        {"auditor": str(Signer("alpha.example/auditor/1", 4, alpha.witness.seed).verifier)},
        {"root": multikey(bytes(32), "ed25519")},
        {"instance": genesis.body["box"]},
        {"box": genesis.body["root"]},
        {"root": "z" + "1" * 47},
    ]
    for change in changes:
        with pytest.raises(LedgerError):
            keys_of_genesis(_genesis({**genesis.body, **change}))


def _genesis(body: dict[str, Any]) -> Entry:
    draft = Draft("genesis", draft_id("g"), body, {})
    return write_batch([draft], origin=alpha.origin, first_index=0, at="2026-11-01T00:00:00Z", heads={}).entries[0]


def test_a_rotation_is_signed_by_three_keys() -> None:
    keys = keys_of_genesis(LOG.entries[0])
    new, next_one = Signer(alpha.origin, 1, seed("alpha 2")), Signer(alpha.origin, 1, seed("alpha 3"))

    def entry(body: dict[str, Any], index: int = 9) -> Entry:
        draft = Draft("key.rotate", draft_id("rotate", index), body, {})
        return write_batch([draft], origin=alpha.origin, first_index=index, at="2027-01-01T00:00:00Z", heads={}).entries[0]

    good = rotation_body(alpha.origin, root_seed=alpha.root_seed, old=alpha.ledger, new=new)
    second = rotation_body(alpha.origin, root_seed=alpha.root_seed, old=new, new=next_one)
    assert ledger_key_at(keys, []) == alpha.ledger.verifier
    assert ledger_key_at(keys, [entry(good), entry(second, 10)]) == next_one.verifier
    wrong = [
        second,
        {**good, "root_signature": good["old_signature"]},
        {**good, "old_signature": good["new_signature"]},
        {**good, "new_signature": good["old_signature"]},
        {**good, "new": str(Signer(beta.origin, 1, seed("alpha 2")).verifier)},
        rotation_body(alpha.origin, root_seed=seed("other root"), old=alpha.ledger, new=new),
        rotation_body(beta.origin, root_seed=alpha.root_seed, old=alpha.ledger, new=new),
        rotation_body(alpha.origin, root_seed=alpha.root_seed, old=alpha.ledger, new=alpha.ledger),
        rotation_body(alpha.origin, root_seed=alpha.root_seed, old=alpha.ledger, new=Signer(beta.origin, 1, seed("alpha 2"))),
        rotation_body(alpha.origin, root_seed=alpha.root_seed, old=alpha.ledger, new=Signer(alpha.origin, 4, seed("alpha 2"))),
    ]
    for body in wrong:
        with pytest.raises(BadRotation):
            ledger_key_at(keys, [entry(body)])
    replay = replayed()
    replay.add(entry(good, replay.size).data)
    assert replay.ledger_key == new.verifier


def test_multikeys_go_both_ways() -> None:
    for kind in ("ed25519", "x25519"):
        public = bytes(range(32))
        assert multikey_bytes(multikey(public, kind), kind) == public
    for text in (
        "",
        "z",
        "Q" + multikey(bytes(32), "ed25519")[1:],
        multikey(bytes(32), "x25519"),
        "z0",
        "z" + "z" * 80,
        "z1" + multikey(bytes(32), "ed25519")[1:],
    ):
        with pytest.raises(BadKey):
            multikey_bytes(text, "ed25519")
