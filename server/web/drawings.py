"""Where the lines and boxes of our server-made drawings stand. Pure: numbers in, coordinates out; templates write the SVG."""

from collections.abc import Sequence
from dataclasses import dataclass

from payouts.proof_path import Step

BAR_WIDTH, BAR_GAP, CHART_HEIGHT = 8, 2, 64
BAR_HEIGHT_MIN = 2

TREE_WIDTH, ROW_HEIGHT, BOX_WIDTH, BOX_HEIGHT, MARGIN = 360, 62, 112, 42, 4
LEFT, MIDDLE, RIGHT = 60, 180, 300
RANGE_CHARACTERS_MAX = 17
HEX_SHOWN = 10


@dataclass(frozen=True)
class Bar:
    """One bar of a chart."""

    x: int
    y: int
    height: int


@dataclass(frozen=True)
class Chart:
    """Bars beside each other, the highest as high as the drawing."""

    width: int
    height: int
    bar_width: int
    bars: tuple[Bar, ...]


@dataclass(frozen=True)
class Box:
    """A hash in a tree: what it stands for and its first digits. ``kind``: ``root``, ``path``, ``given`` or ``leaf``."""

    x: int
    y: int
    title: str
    text: str
    kind: str

    @property
    def middle(self) -> int:
        """Where its words are centred."""
        return self.x + BOX_WIDTH // 2

    @property
    def title_y(self) -> int:
        """The line of its title."""
        return self.y + 17

    @property
    def text_y(self) -> int:
        """The line of its digits."""
        return self.y + 33


@dataclass(frozen=True)
class Line:
    """A line from a hash to one of the two it was made of."""

    x1: int
    y1: int
    x2: int
    y2: int
    kind: str


@dataclass(frozen=True)
class Tree:
    """The path of an inclusion proof, the root above: what was computed in the middle, what the proof gives at the sides."""

    width: int
    height: int
    box_width: int
    box_height: int
    boxes: tuple[Box, ...]
    lines: tuple[Line, ...]


def chart(values: Sequence[int]) -> Chart:
    """A bar for each value. A day without anything has no bar, any other is seen."""
    most = max(values, default=0) or 1
    bars = []
    for number, value in enumerate(values):
        height = max(BAR_HEIGHT_MIN, value * CHART_HEIGHT // most) if value else 0
        bars.append(Bar(number * (BAR_WIDTH + BAR_GAP), CHART_HEIGHT - height, height))
    width = max(1, len(values) * (BAR_WIDTH + BAR_GAP) - BAR_GAP)
    return Chart(width, CHART_HEIGHT, BAR_WIDTH, tuple(bars))


def tree(leaf: bytes, index: int, path: Sequence[Step]) -> Tree:
    """The boxes and lines of a proof whose steps lead from the leaf up."""
    boxes, lines = [], []
    for row, step in enumerate(reversed(path)):
        y = MARGIN + row * ROW_HEIGHT
        boxes.append(_box(MIDDLE, y, step.parent_low, step.parent_high, step.parent, "path" if row else "root"))
        side = LEFT if step.sibling_is_left else RIGHT
        boxes.append(_box(side, y + ROW_HEIGHT, step.sibling_low, step.sibling_high, step.sibling, "given"))
        bottom, top = y + BOX_HEIGHT, y + ROW_HEIGHT
        lines += [Line(MIDDLE, bottom, MIDDLE, top, "path"), Line(MIDDLE, bottom, side, top, "given")]
    boxes.append(_box(MIDDLE, MARGIN + len(path) * ROW_HEIGHT, index, index, leaf, "leaf"))
    height = len(path) * ROW_HEIGHT + BOX_HEIGHT + 2 * MARGIN
    return Tree(TREE_WIDTH, height, BOX_WIDTH, BOX_HEIGHT, tuple(boxes), tuple(lines))


def _box(middle: int, y: int, low: int, high: int, digest: bytes, kind: str) -> Box:
    return Box(middle - BOX_WIDTH // 2, y, covered(low, high), f"{digest.hex()[:HEX_SHOWN]}…", kind)


def covered(low: int, high: int) -> str:
    """Which entries a hash stands for, short enough for a box."""
    if low == high:
        return f"entry {low}"
    text = f"{low} to {high}"
    return text if len(text) <= RANGE_CHARACTERS_MAX else f"from {low}"
