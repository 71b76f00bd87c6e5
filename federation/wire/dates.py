"""The two ways in which the federation writes a moment: the Date header and ``published``. Pure."""

import re
from datetime import UTC, datetime

from server.core.errors import Invalid

_MONTHS = ("Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec")
_DAYS = ("Mon", "Tue", "Wed", "Thu", "Fri", "Sat", "Sun")
_HTTP_DATE = re.compile(
    rf"(?:{'|'.join(_DAYS)}), ([0-9]{{2}}) ({'|'.join(_MONTHS)}) ([0-9]{{4}}) ([0-9]{{2}}):([0-9]{{2}}):([0-9]{{2}}) GMT"
)
_TIMESTAMP = re.compile(
    r"([0-9]{4}-[0-9]{2}-[0-9]{2})[Tt]([0-9]{2}:[0-9]{2}:[0-9]{2})(?:\.[0-9]{1,12})?(?:[Zz]|([+-][0-9]{2}:[0-9]{2}))"
)


class BadDate(Invalid):
    """This is not a moment in the form that the federation uses."""

    code = "bad_date"


def read_http_date(text: str) -> datetime:
    """An IMF-fixdate (RFC 9110 5.6.7). Raises BadDate for every other spelling."""
    match = _HTTP_DATE.fullmatch(text)
    if match is None:
        raise BadDate(f"not an HTTP date: {text[:50]!r}")
    day, month, year, hour, minute, second = match.groups()
    try:
        return datetime(int(year), _MONTHS.index(month) + 1, int(day), int(hour), int(minute), int(second), tzinfo=UTC)
    except ValueError as error:
        raise BadDate(f"not an HTTP date: {text[:50]!r}") from error


def write_http_date(moment: datetime) -> str:
    """An IMF-fixdate, whatever the locale."""
    moment = moment.astimezone(UTC)
    return f"{_DAYS[moment.weekday()]}, {moment.day:02} {_MONTHS[moment.month - 1]} {moment.year} {moment:%H:%M:%S} GMT"


def read_timestamp(text: str) -> datetime:
    """An RFC 3339 timestamp in UTC, fractions of a second dropped. Raises BadDate."""
    match = _TIMESTAMP.fullmatch(text)
    if match is None:
        raise BadDate(f"not a timestamp: {text[:50]!r}")
    day, time, offset = match.groups()
    try:
        return datetime.fromisoformat(f"{day}T{time}{offset or '+00:00'}").astimezone(UTC)
    except (ValueError, OverflowError) as error:
        raise BadDate(f"not a timestamp: {text[:50]!r}") from error
