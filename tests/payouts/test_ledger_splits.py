"""Splits: the parts make the whole, in any order, fairly to the last millionth."""

import json
import random
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from payouts import splits
from payouts.algorithms import NAMES, Algorithm, find
from payouts.ledger.entries import write_batch
from payouts.ledger.errors import BadSettlementInput, SharesLost, UnknownAlgorithm
from payouts.ledger.replay import Replay
from tests.payouts.ledger_world import alpha_log, draft_id, person, seed

ALGORITHM = find("ad-impression/1")
GOLDEN = Path(__file__).parents[1] / "vectors" / "golden" / "ledger" / "settlement.json"
SCIDS = [person(name).scid for name in ("alice", "bob", "charlie")]


@given(st.integers(0, 10**15), st.dictionaries(st.text(max_size=5), st.integers(0, 10**9), max_size=12))
def test_apportioned_parts_keep_the_quota_rule(total: int, weights: dict[str, int]) -> None:
    try:
        parts = splits.apportion(total, weights, period="2026-11", pool="ads")
    except splits.canonical.NotNfc:  # type: ignore[attr-defined]
        return
    whole = sum(weights.values())
    assert sum(parts.values()) == (total if whole else 0)
    assert all(abs(parts[name] * whole - total * weight) < max(whole, 1) for name, weight in weights.items())
    assert all(parts[name] == 0 for name, weight in weights.items() if weight == 0)
    backwards = dict(reversed(list(weights.items())))
    assert splits.apportion(total, backwards, period="2026-11", pool="ads") == parts


def test_the_odd_cent_goes_round() -> None:
    """One unit among seven over 1,000 periods: chi squared with 6 degrees of freedom, 22.5 = 1 in 1,000."""
    wins = dict.fromkeys("abcdefg", 0)
    for number in range(1_000):
        for name, part in splits.apportion(1, dict.fromkeys("abcdefg", 1), period=f"period {number}", pool="ads").items():
            wins[name] += part
    assert sum(wins.values()) == 1_000
    assert sum((count - 1_000 / 7) ** 2 / (1_000 / 7) for count in wins.values()) < 22.5


def test_negative_numbers_are_refused() -> None:
    for total, weights in ((-1, {"a": 1}), (1, {"a": -1})):
        with pytest.raises(BadSettlementInput):
            splits.apportion(total, weights, period="p", pool="ads")


def random_shares(chance: random.Random, receivers: list[str]) -> dict[str, int]:
    cuts = sorted(chance.sample(range(1, 1_000_000), len(receivers) - 1))
    return {name: high - low for name, low, high in zip(receivers, [0, *cuts], [*cuts, 1_000_000], strict=True)}


def random_inputs(chance: random.Random) -> dict[str, Any]:
    """Any economy: agreements of any shares, works without creator, impressions without work, nothing at all."""
    agreements = {}
    for number in range(chance.randint(1, 3)):
        parties = chance.sample(SCIDS, chance.randint(0, 3))
        places = chance.sample(["contributors", "operating", "reserve", "viewers"], chance.randint(0, 4))
        tables = {
            table: random_shares(chance, sorted([*(parties or ["creator"]), *places])) for table in ("contextual", "personal")
        }
        agreements[f"terms {number}"] = {"parties": parties, "shares": tables}
    works = [
        {"work": f"w{number}", "creator": chance.choice([*SCIDS, ""]), "agreement": chance.choice(sorted(agreements)), "weight_ms": chance.choice([0, chance.randrange(10**6)])}
        for number in range(chance.randint(0, 4))
    ]  # fmt: skip
    campaigns = [
        {"campaign": f"c{number}", "amount": str(chance.choice([0, 1, chance.randrange(10**12)]))}
        for number in range(chance.randint(0, 3))
    ]
    impressions = [
        {
            "campaign": chance.choice(campaigns)["campaign"],
            "work": chance.choice([*(work["work"] for work in works), ""]),
            "table": chance.choice(["contextual", "personal"]),
            "count": chance.choice([0, 1, chance.randrange(10**4)]),
        }
        for _ in range(chance.randint(0, 6) if campaigns else 0)
    ]
    return {
        "period": "2026-11", "currency": "EUR", "pool": "ads", "campaigns": campaigns, "impressions": impressions, "works": works,
        "agreements": agreements, "operating_cost": str(chance.choice([0, chance.randrange(10**11)])), "carry": str(chance.choice([0, 0, chance.randrange(1000)])),
    }  # fmt: skip


def test_shares_sum_to_the_pool_for_10_000_random_agreements() -> None:
    chance = random.Random(2026)
    print("seed 2026")
    for _ in range(10_000):
        inputs = random_inputs(chance)
        shares = splits.share_period(inputs, ALGORITHM)
        paid_in = sum(int(row["amount"]) for row in inputs["campaigns"]) + int(inputs["carry"])
        assert sum(one.amount for one in shares.accruals) + sum(shares.places.values()) + shares.carry == paid_in == shares.amount
        assert all(one.amount > 0 and 0 <= one.unclaimed <= one.amount for one in shares.accruals)
        assert all(part >= 0 for part in shares.places.values())
        assert shares.places["operating"] <= int(inputs["operating_cost"])
        assert all(sum(int(line["amount"]) for line in json.loads(one.lines)) == one.amount for one in shares.accruals)


def test_the_order_of_rows_does_not_matter() -> None:
    chance = random.Random(7)
    for _ in range(200):
        inputs = random_inputs(chance)
        shares = splits.share_period(inputs, ALGORITHM)
        mixed = {name: chance.sample(value, len(value)) if isinstance(value, list) else value for name, value in inputs.items()}
        mixed["agreements"] = dict(chance.sample(sorted(inputs["agreements"].items()), len(inputs["agreements"])))
        again = splits.share_period(mixed, ALGORITHM)
        assert again == shares
        assert again.outputs_root == shares.outputs_root
        assert again.blobs == shares.blobs


def test_golden_settlements_are_normative() -> None:
    vectors = json.loads(GOLDEN.read_text())
    assert (vectors["algorithm"], vectors["code"]) == (ALGORITHM.alg_id, ALGORITHM.code)
    for case in vectors["good"]:
        assert ALGORITHM.settle(case["inputs"]) == case["outputs"]
        assert splits.share_period(case["inputs"], ALGORITHM).outputs_root == case["outputs_root"]


GOOD = {
    "period": "2026-11", "currency": "EUR", "pool": "ads",
    "campaigns": [{"campaign": "c", "amount": "1000"}],
    "impressions": [{"campaign": "c", "work": "w", "table": "contextual", "count": 3}],
    "works": [{"work": "w", "creator": SCIDS[0], "agreement": "t", "weight_ms": 5}],
    "agreements": {"t": {"parties": [], "shares": {table: {"creator": 650_000, "operating": 350_000} for table in ("contextual", "personal")}}},
    "operating_cost": "0", "carry": "0",
}  # fmt: skip


@pytest.mark.parametrize(
    "change",
    [
        {"bonus": 1},
        {"carry": 0},
        {"carry": "-1"},
        {"carry": "01"},
        {"operating_cost": "x"},
        {"campaigns": [{"campaign": "c", "amount": "1.5"}]},
        {"campaigns": [{"campaign": "c", "amount": "1"}] * 2},
        {"campaigns": 7},
        {"campaigns": [7]},
        {"campaigns": []},
        {"impressions": [{"campaign": "c", "work": "x", "table": "contextual", "count": 1}]},
        {"impressions": [{"campaign": "c", "work": "w", "table": "secret", "count": 1}]},
        {"impressions": [{"campaign": "c", "work": "w", "table": "contextual", "count": -1}]},
        {"impressions": [{"campaign": "c", "work": "w", "table": "contextual", "count": 1.0}]},
        {"works": [{"work": "w\n", "creator": "", "agreement": "t", "weight_ms": 1}]},
        {"works": [{"work": "w", "creator": "", "agreement": "x", "weight_ms": 1}]},
        {"works": [{"work": "w", "creator": "", "agreement": "t", "weight_ms": True}]},
        {
            "agreements": {
                "t": {"parties": [], "shares": {"contextual": {"creator": 999_999}, "personal": {"creator": 1_000_000}}}
            }
        },
        {"agreements": {"t": {"parties": [], "shares": {"contextual": {}, "personal": {"creator": 1_000_000}}}}},
        {"agreements": {"t": {"parties": []}}},
    ],
)
def test_inputs_that_make_no_sense_are_refused(change: dict[str, Any]) -> None:
    splits.share_period(GOOD, ALGORITHM)
    with pytest.raises(BadSettlementInput):
        splits.share_period({**GOOD, **change}, ALGORITHM)


def test_an_algorithm_that_loses_money_is_caught() -> None:
    def lossy(inputs: Any) -> dict[str, Any]:
        outputs = ALGORITHM.settle(inputs)
        return {**outputs, "payees": [{**payee, "amount": str(int(payee["amount"]) - 1)} for payee in outputs["payees"]]}

    with pytest.raises(SharesLost):
        splits.share_period(GOOD, Algorithm("lossy/1", "", lossy))


def test_an_algorithm_is_named_with_its_code() -> None:
    assert set(NAMES) == {"ad-impression/1"}
    assert find("ad-impression/1", ALGORITHM.code) == ALGORITHM
    for call in (lambda: find("ad-impression/9"), lambda: find("ad-impression/1", "0" * 64)):
        with pytest.raises(UnknownAlgorithm):
            call()


def test_too_many_agreements_of_one_payee_are_refused() -> None:
    terms = {f"t{number}": GOOD["agreements"]["t"] for number in range(33)}  # type: ignore[index]
    works = [{"work": f"w{number}", "creator": SCIDS[0], "agreement": f"t{number}", "weight_ms": 9} for number in range(33)]
    with pytest.raises(BadSettlementInput):
        splits.share_period({**GOOD, "agreements": terms, "works": works, "impressions": []}, ALGORITHM)


def test_what_is_carried_comes_out_of_the_pool_before() -> None:
    """A period in which nobody watched carries its money; the next close shares it, and a replay of the log agrees."""
    log = alpha_log()
    replay = Replay(log.instance.origin)
    for entry in log.entries:
        replay.add(entry.data)
    terms = next(iter(sorted(log.agreements)))
    first = {
        **GOOD, "period": "2026-12", "impressions": [], "works": [],
        "agreements": {terms: GOOD["agreements"]["t"]},  # type: ignore[index]
    }  # fmt: skip
    idle = splits.share_period(first, ALGORITHM)
    assert (idle.accruals, idle.carry, idle.amount) == ((), 1000, 1000)
    busy = splits.share_period(
        {**GOOD, "period": "2027-01", "agreements": first["agreements"], "carry": "1000", "operating_cost": "200",
         "works": [{"work": "w", "creator": SCIDS[0], "agreement": terms, "weight_ms": 5}]},
        ALGORITHM,
    )  # fmt: skip
    assert (busy.carried_in, busy.amount, busy.places["operating"]) == (1000, 2000, 200)
    charge = next(entry for entry in log.entries if entry.type == "charge")
    at, size = "2027-02-01T00:00:00Z", len(log.entries)
    drafts = []
    for number, period in enumerate(("2026-12", "2027-01")):
        advertiser, pool = "L:advertiser:acme#EUR/6", f"L:pool:ads:{period}#EUR/6"
        revenue = next(entry for entry in log.entries if entry.type == "revenue")
        drafts.append(
            splits.Draft("revenue", seed(f"r{number}").hex()[:32], revenue.body, {"A:cash:bank#EUR/6": 1000, advertiser: -1000})
        )
        drafts.append(
            splits.Draft(
                "charge",
                seed(f"c{number}").hex()[:32],
                {**charge.body, "period": period, "amount": "1000"},
                {advertiser: 1000, pool: -1000},
            )
        )
    drafts += splits.close_drafts(idle, first_index=size + 4, entries=[size + 1], make_id=lambda name: draft_id("idle", name))
    drafts += splits.close_drafts(
        busy, first_index=size + 5, entries=[size + 3], make_id=lambda name: draft_id("busy", name), carried_from="2026-12"
    )
    batch = write_batch(drafts, origin=log.instance.origin, first_index=size, at=at, heads=log.heads)
    for entry in batch.entries:
        replay.add(entry.data)
    assert replay.at_rest
    pools = {account.detail: amount for account, amount in replay.balances.items() if account.kind == "L:pool"}
    assert pools["ads:2026-12"] == pools["ads:2027-01"] == 0
    assert replay.heads[SCIDS[0], "EUR"].unclaimed == busy.accruals[0].unclaimed
