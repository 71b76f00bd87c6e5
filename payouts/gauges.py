"""What the ledger shows to operators."""

from collections.abc import Iterable
from datetime import datetime

from payouts import selfcheck
from server.core import clock, metrics


@metrics.gauge("ledger_problems", "Broken invariants that the last check of the books and the log found; 0 is right.")
def ledger_problems() -> Iterable[tuple[tuple[str, ...], float]]:
    """Nothing before the first check."""
    report = selfcheck.last()
    return [] if report is None else [((), float(len(report.problems)))]


@metrics.gauge("ledger_checked_seconds", "Time since the books and the log were checked last.")
def ledger_checked_seconds() -> Iterable[tuple[tuple[str, ...], float]]:
    """Grows while the check does not run."""
    report = selfcheck.last()
    if report is None:
        return []
    return [((), max(0.0, (clock.now() - datetime.fromisoformat(report.at)).total_seconds()))]
