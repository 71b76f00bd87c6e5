"""The figures of docs/explanation/from-view-to-share.md, computed by the function that a close uses."""

import re
from pathlib import Path

import pytest

from payouts.algorithms import find

PAGE = Path(__file__).resolve().parents[2] / "docs" / "explanation" / "from-view-to-share.md"
TABLE = {"contributors": 100_000, "creator": 650_000, "operating": 250_000}


@pytest.mark.parametrize(("cost", "shown"), [(0, "0.00"), (10_000, "0.01"), (25_000, "0.025")])
def test_the_page_says_what_is_computed(cost: int, shown: str) -> None:
    works = [("A", "alice", 30_000, 3), ("B", "bob", 20_000, 2)]
    outputs = find("ad-impression/1").settle({
        "period": "2026-11", "currency": "EUR", "pool": "ads", "operating_cost": str(cost), "carry": "0",
        "campaigns": [{"campaign": "spring", "amount": "100000"}],
        "impressions": [{"campaign": "spring", "work": work, "table": "contextual", "count": count} for work, _, _, count in works],
        "works": [{"work": work, "creator": who, "agreement": "x", "weight_ms": ms} for work, who, ms, _ in works],
        "agreements": {"x": {"parties": [], "shares": {"contextual": TABLE, "personal": TABLE}}},
    })  # fmt: skip
    alice, bob = (int(payee["amount"]) for payee in outputs["payees"])
    places = outputs["places"]
    row = re.search(rf"^\| {re.escape(shown)} EUR \|(.+)\|$", PAGE.read_text(), re.MULTILINE)
    assert row is not None
    figures = [int(cell.replace(",", "")) for cell in row[1].split("|")]
    assert figures == [alice, bob, int(places["contributors"]), int(places["operating"]), 100_000]
    assert sum(figures[:-1]) == 100_000
