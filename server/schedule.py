"""What a bell, the sweep and the clock do, read from the tables of ``server/wiring.py``."""

from collections.abc import Mapping

from server import wiring
from server.celery import QUEUES
from server.core import clock, worker


def work(queue: str) -> bool:
    """Work off the due rows of ``queue`` for a bounded time. True when more is due."""
    worker.work(queue)
    for work_off, _ in wiring.ROWS.get(queue, []):
        work_off()
    return is_due(queue)


def is_due(queue: str) -> bool:
    """Is any row of ``queue`` due and free?"""
    return worker.due(queue, clock.now()).exists() or any(any_due() for _, any_due in wiring.ROWS.get(queue, []))


def queues_due() -> list[str]:
    """The queues with due rows, for the sweep."""
    return [queue for queue in QUEUES if is_due(queue)]


def run_chore(name: str) -> None:
    """Run one chore. Raises KeyError for an unknown name."""
    wiring.CHORES[name][0]()


def chore_seconds() -> Mapping[str, float]:
    """Chore name to its period in seconds."""
    return {name: seconds for name, (_, seconds) in wiring.CHORES.items()}
