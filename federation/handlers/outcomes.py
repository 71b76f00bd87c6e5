"""What came of an activity."""

from dataclasses import dataclass


@dataclass(frozen=True)
class Handled:
    """It had its effect (perhaps the effect was there already)."""

    state: str = "handled"
    reason: str = ""


@dataclass(frozen=True)
class Ignored:
    """It is fine but means nothing to us; ``reason`` says why."""

    reason: str
    state: str = "ignored"


Outcome = Handled | Ignored
