"""The hourly look at our own books: what ``checks`` found, kept where pages, metrics and the next run find it.

Once a day everything is looked at, from the first byte. In between a run goes on from where the last one ended, and looks at a
part of what is old (``checks_since``), so that a large log costs as much as it grows. After a problem everything is looked at
until nothing is found.
"""

import json
import logging
import os
import time
from dataclasses import asdict, dataclass
from datetime import datetime, timedelta
from typing import Any

from payouts import checks, checks_since, store
from payouts.checks_since import CannotGoOn, Verified
from server.core import clock

logger = logging.getLogger(__name__)

FILE = "selfcheck.json"
FULL_EVERY = timedelta(days=1)


@dataclass(frozen=True)
class Report:
    """What a check found: ``at`` when it ended, ``size`` of the log, ``seconds`` it took, ``problems`` in words.

    ``full``: everything was looked at, at ``full_at`` for the last time. Else what is new from ``since`` on, and of what is older
    the entries of ``part``.
    """

    at: str
    size: int
    seconds: float
    problems: tuple[str, ...]
    full: bool = True
    full_at: str = ""
    since: int = 0
    part: tuple[int, int] = (0, 0)
    # What the next run goes on from; None: it looks at everything.
    verified: Verified | None = None

    def as_json(self) -> dict[str, Any]:
        """For ``--json``, and for the file."""
        return asdict(self)


def run(*, full: bool = False) -> Report:
    """Check every invariant of the books and the log, keep the report, and log each problem as an error. Mends nothing.

    ``full``: everything, whatever was checked before.
    """
    started = time.monotonic()
    before = None if full else last()
    report = _go_on(before, started) if before is not None and _may_go_on(before) else None
    if report is None:
        report = _look_at_everything(started)
    _keep(report)
    for problem in report.problems:
        logger.error("the ledger is not whole", extra={"problem": problem, "size": report.size})
    return report


def run_hourly() -> None:
    """The chore."""
    run()


def _may_go_on(before: Report) -> bool:
    return before.verified is not None and datetime.fromisoformat(before.full_at) > clock.now() - FULL_EVERY


def _go_on(before: Report, started: float) -> Report | None:
    """None when the books do not lead back to those that were checked: then only a look at everything says what is wrong."""
    assert before.verified is not None
    try:
        after, problems = checks_since.check(before.verified)
    except CannotGoOn as error:
        logger.warning("the last check cannot be gone on from", extra={"reason": str(error)})
        return None
    return Report(
        clock.iso(clock.now()), after.size, round(time.monotonic() - started, 3), tuple(problems), full=False,
        full_at=before.full_at, since=before.verified.size, part=checks_since.part_of(before.verified),
        verified=None if problems else after,
    )  # fmt: skip


def _look_at_everything(started: float) -> Report:
    head, began = store.read_head(), clock.iso(clock.now())
    problems = tuple(checks.find_problems())
    verified = None
    if head.size and not problems:
        try:
            verified = checks_since.verified_at(head.size, head.root)
        except CannotGoOn as error:
            logger.warning("nothing to go on from", extra={"reason": str(error)})
    return Report(
        clock.iso(clock.now()), head.size, round(time.monotonic() - started, 3), problems, full_at=began, verified=verified
    )  # fmt: skip


def last() -> Report | None:
    """The newest report; None before the first check, or when its file was cut off by a crash."""
    path = store.folder() / FILE
    try:
        document: dict[str, Any] = json.loads(path.read_text())
        kept = document.get("verified")
        made = {"problems": tuple(document["problems"]), "part": tuple(document.get("part", (0, 0)))}
        return Report(**{**document, **made, "verified": Verified(**kept) if kept else None})
    except (FileNotFoundError, ValueError, TypeError, KeyError):
        return None


def _keep(report: Report) -> None:
    path = store.folder() / FILE
    path.parent.mkdir(mode=0o755, parents=True, exist_ok=True)
    passing = path.with_name(f".{FILE}.{os.getpid()}")
    passing.write_text(json.dumps(report.as_json()))
    passing.replace(path)
