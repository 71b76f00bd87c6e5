"""In which order the For You tab shows its candidates. Pure.

Three rules, and nothing about the viewer but what she has already been shown:

1. What she has not seen comes before what she has (``candidates.gather`` asks for the unseen first).
2. Newer beats older: the weight of a video halves about every nine hours in its first days.
3. What people did with it lifts it: a like counts one, a comment two, a share three.

The formula is the gravity of a news page: ``(1 + reactions) / (age_hours + 2) ** 1.5``. Two videos of one author never
stand side by side while there is another author to put between them.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

GRAVITY = 1.5
# Added to every age, so that the first minutes do not decide everything.
HEAD_START_HOURS = 2.0
WEIGHT_OF_LIKE, WEIGHT_OF_COMMENT, WEIGHT_OF_SHARE = 1, 2, 3


@dataclass(frozen=True, kw_only=True)
class Candidate:
    """What the ranking may know of a video."""

    video_id: int
    account_id: int
    age_hours: float
    likes: int = 0
    comments: int = 0
    shares: int = 0


def score(candidate: Candidate) -> float:
    """How much the candidate deserves the next place; larger is sooner. An age below zero counts as zero."""
    reactions = WEIGHT_OF_LIKE * candidate.likes + WEIGHT_OF_COMMENT * candidate.comments + WEIGHT_OF_SHARE * candidate.shares
    return (1 + reactions) / (max(candidate.age_hours, 0.0) + HEAD_START_HOURS) ** GRAVITY


def rank(candidates: Iterable[Candidate]) -> list[int]:
    """The video ids, best first. The same candidates give the same order, however they were passed in."""
    best_first = sorted(candidates, key=lambda each: (-score(each), -each.video_id))
    return [each.video_id for each in _spread(best_first)]


def _spread(best_first: Sequence[Candidate]) -> list[Candidate]:
    """Take the best that is not by the author just placed; when only she is left, take hers."""
    waiting = list(best_first)
    placed: list[Candidate] = []
    while waiting:
        before = placed[-1].account_id if placed else None
        place = next((index for index, each in enumerate(waiting) if each.account_id != before), 0)
        placed.append(waiting.pop(place))
    return placed
