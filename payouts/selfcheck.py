"""The hourly look at our own books: what ``checks`` found, kept where pages, metrics and the next run find it."""

import json
import logging
import os
import time
from dataclasses import asdict, dataclass
from typing import Any

from payouts import checks, store
from server.core import clock

logger = logging.getLogger(__name__)

FILE = "selfcheck.json"


@dataclass(frozen=True)
class Report:
    """What a check found: ``at`` when it ended, ``size`` of the log, ``seconds`` it took, ``problems`` in words."""

    at: str
    size: int
    seconds: float
    problems: tuple[str, ...]


def run() -> Report:
    """Check every invariant of the books and the log, keep the report, and log each problem as an error. Mends nothing."""
    started = time.monotonic()
    size = store.read_head().size
    problems = tuple(checks.find_problems())
    report = Report(clock.iso(clock.now()), size, round(time.monotonic() - started, 3), problems)
    _keep(report)
    for problem in problems:
        logger.error("the ledger is not whole", extra={"problem": problem, "size": size})
    return report


def run_hourly() -> None:
    """The chore."""
    run()


def last() -> Report | None:
    """The newest report; None before the first check, or when its file was cut off by a crash."""
    path = store.folder() / FILE
    try:
        document: dict[str, Any] = json.loads(path.read_text())
        return Report(**{**document, "problems": tuple(document["problems"])})
    except (FileNotFoundError, ValueError, TypeError, KeyError):
        return None


def _keep(report: Report) -> None:
    path = store.folder() / FILE
    path.parent.mkdir(mode=0o755, parents=True, exist_ok=True)
    passing = path.with_name(f".{FILE}.{os.getpid()}")
    passing.write_text(json.dumps(asdict(report)))
    passing.replace(path)
