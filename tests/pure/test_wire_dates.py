"""The two ways to write a moment."""

from datetime import UTC, datetime, timedelta, timezone

import pytest
from hypothesis import given
from hypothesis import strategies as st

from federation.wire.dates import BadDate, read_http_date, read_timestamp, write_http_date

MOMENTS = st.datetimes(min_value=datetime(1970, 1, 1), max_value=datetime(9999, 12, 31), timezones=st.just(UTC)).map(  # noqa: DTZ001
    lambda moment: moment.replace(microsecond=0)
)


@given(MOMENTS)
def test_reads_the_http_date_it_writes(moment: datetime) -> None:
    assert read_http_date(write_http_date(moment)) == moment


def test_an_http_date_is_in_gmt_whatever_the_zone() -> None:
    there = datetime(2026, 11, 22, 1, 2, 3, tzinfo=timezone(timedelta(hours=5)))
    assert write_http_date(there) == "Sat, 21 Nov 2026 20:02:03 GMT"


@pytest.mark.parametrize(
    ("text", "moment"),
    [
        ("2026-11-22T20:45:45Z", datetime(2026, 11, 22, 20, 45, 45, tzinfo=UTC)),
        ("2026-11-22T20:45:45.123456789Z", datetime(2026, 11, 22, 20, 45, 45, tzinfo=UTC)),
        ("2026-11-22T22:45:45+02:00", datetime(2026, 11, 22, 20, 45, 45, tzinfo=UTC)),
        ("2026-11-22t20:45:45z", datetime(2026, 11, 22, 20, 45, 45, tzinfo=UTC)),
    ],
)
def test_timestamps(text: str, moment: datetime) -> None:
    assert read_timestamp(text) == moment


@pytest.mark.parametrize(
    "text",
    [
        "",
        "now",
        "2026-11-22",
        "2026-11-22T20:45:45",
        "2026-13-22T20:45:45Z",
        "2026-11-22 20:45:45Z",
        "20261122T204545Z",
        "2026-11-22T20:45:45+99:00",
        "9999-12-31T23:59:59-23:00",
        "٢026-11-22T20:45:45Z",
    ],
)
def test_no_timestamps(text: str) -> None:
    with pytest.raises(BadDate):
        read_timestamp(text)
