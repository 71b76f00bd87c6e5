"""FEDERATION.md and docs/reference/federation.md say what the code does."""

import re
from pathlib import Path
from typing import Any

import pytest

from federation.handlers import HANDLERS
from federation.wire import activities
from tests.federation import examples

ROOT = Path(__file__).resolve().parents[2]


def table(heading: str) -> list[list[str]]:
    """The cells of the table under a heading of FEDERATION.md."""
    text = (ROOT / "FEDERATION.md").read_text()
    section = text.split(f"### {heading}\n", 1)[1].split("\n#", 1)[0]
    rows = [line.strip("|").split("|") for line in section.splitlines() if line.startswith("|")]
    return [[cell.strip() for cell in row] for row in rows[2:]]


def test_the_table_is_the_table_of_handlers() -> None:
    named = [re.sub("`", "", row[0]) for row in table("Activities we handle")]
    assert list(dict.fromkeys(named)) == list(HANDLERS)
    assert set(HANDLERS) == set(activities.KINDS)


def test_each_example_is_what_we_send(db: None, settings: Any) -> None:
    settings.ORIGIN, settings.HOST = examples.ORIGIN, "tributary.example"
    settings.INSTANCE_NAME, settings.ALLOW_LOOPBACK = "tributary.example", False
    assert examples.on_page() == examples.examples()


@pytest.mark.parametrize("fep", ["67ff", "521a", "8b32", "fe34", "1580", "1311", "2677", "5feb"])
def test_each_fep_is_linked(fep: str) -> None:
    assert f"/fep/{fep}/fep-{fep}.md" in (ROOT / "FEDERATION.md").read_text()
