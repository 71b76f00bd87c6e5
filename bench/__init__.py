"""Measurements with a number to reach, each beside a peer, a limit or a plain tool measured in the same run."""

from dataclasses import asdict, dataclass
from typing import Any


@dataclass(frozen=True)
class Measurement:
    """One line of a bench: ``ok`` says whether the target is met; ``reference`` names and gives what was measured beside it."""

    metric: str
    value: float
    unit: str
    target: str
    reference: str
    ok: bool

    def as_json(self) -> dict[str, Any]:
        """The row as ``--json`` prints it."""
        return asdict(self)


def at_most(metric: str, value: float, unit: str, limit: float, reference: str) -> Measurement:
    """A measurement that must not exceed ``limit``."""
    return Measurement(metric, round(value, 3), unit, f"<= {limit:g}", reference, value <= limit)


def at_least(metric: str, value: float, unit: str, limit: float, reference: str) -> Measurement:
    """A measurement that must reach ``limit``."""
    return Measurement(metric, round(value, 3), unit, f">= {limit:g}", reference, value >= limit)
