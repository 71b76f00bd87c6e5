"""The life of a video: the table, its illegal steps, and the page that shows it."""

import re
from itertools import product
from pathlib import Path

import pytest

from server.core.errors import WrongState
from server.videos import states

PAGE = Path(__file__).parents[2] / "docs" / "reference" / "video-states.md"
STEP_NAMES = sorted({step for _, step in states.STEPS})


@pytest.mark.parametrize(("state", "step"), list(product(states.STATES, STEP_NAMES)))
def test_every_pair_is_in_the_table_or_refused(state: str, step: str) -> None:
    if (state, step) in states.STEPS:
        assert states.move(state, step) == states.STEPS[state, step]
    else:
        with pytest.raises(WrongState):
            states.move(state, step)


def test_every_state_is_reached_and_deleted_is_final() -> None:
    assert set(states.STEPS.values()) | {states.UPLOADING} == set(states.STATES)
    assert {state for state, _ in states.STEPS} == set(states.STATES) - {states.DELETED}


def test_the_page_says_what_the_table_says() -> None:
    rows = re.findall(r"^\| (\w+) \| (\w+) \| (\w+) \|", PAGE.read_text(), re.MULTILINE)
    shown = {(state, step): to for state, step, to in rows if state != "from"}
    assert shown == states.STEPS
