"""The only source of the present time, so that tests can move it, in this process and in others."""

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path

from django.conf import settings

_offset = timedelta()


def now() -> datetime:
    """The present time in UTC, moved by the test clock when one is set.

    The development setting ``TRIBUTARY_CLOCK_OFFSET_FILE`` names a file with a number of seconds to add;
    ``check --deploy`` refuses it.
    """
    offset = _offset
    path: Path | None = settings.CLOCK_OFFSET_FILE
    if path is not None and path.exists():
        offset += timedelta(seconds=float(path.read_text() or 0))
    return datetime.now(UTC) + offset


@contextmanager
def moved(by: timedelta) -> Iterator[None]:
    """Move this process's clock by ``by`` inside the block (tests and simulations)."""
    global _offset  # noqa: PLW0603 (one clock per process is the point)
    before, _offset = _offset, _offset + by
    try:
        yield
    finally:
        _offset = before


def iso(moment: datetime) -> str:
    """``YYYY-MM-DDTHH:MM:SSZ``, the one time format of everything signed or published."""
    return moment.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
