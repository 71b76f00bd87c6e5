"""A cursor comes back as it went, and nothing else is taken for one."""

import base64
import contextlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from server.core.errors import Invalid
from server.feed.cursor import CHARACTERS_MAX, WINDOW_COUNT_MAX, Cursor, decode, encode, mark

times = st.integers(0, 2**52)
cursors = st.builds(
    Cursor,
    as_of_us=times,
    after_us=times,
    after_id=st.integers(0, 2**63 - 1),
    seen_part=st.booleans(),
    served=st.frozensets(st.integers(0, 2**32 - 1), max_size=WINDOW_COUNT_MAX),
)


@given(cursors)
def test_there_and_back(cursor: Cursor):
    text = encode(cursor)
    assert decode(text) == cursor
    assert len(text) <= CHARACTERS_MAX
    assert set(text) <= set("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_")


@given(st.text(max_size=200))
def test_any_text_is_a_cursor_or_refused(text: str):
    with contextlib.suppress(Invalid):
        assert decode(encode(decode(text))) == decode(text)


@given(st.binary(max_size=80))
def test_any_bytes_are_a_cursor_or_refused(data: bytes):
    text = base64.urlsafe_b64encode(data).rstrip(b"=").decode()
    try:
        cursor = decode(text)
    except Invalid:
        return
    assert decode(encode(cursor)) == cursor


@pytest.mark.parametrize("text", ["", "x", "AAAA", "?" * 36, "A" * (CHARACTERS_MAX + 1), "\N{SNOWMAN}" * 8])
def test_refusals(text: str):
    with pytest.raises(Invalid):
        decode(text)


@pytest.mark.parametrize(
    "changed",
    [
        lambda data: b"\x02" + data[1:],
        lambda data: data[:1] + b"\x02" + data[2:],
        lambda data: data[:2] + b"\xff" * 8 + data[10:],
        lambda data: data[:2] + b"\x7f" * 8 + data[10:],
        lambda data: data + b"\x00",
        lambda data: data[:-1],
    ],
    ids=["version", "part", "negative time", "time out of range", "one byte more", "one byte less"],
)
def test_a_changed_head_is_refused(changed):
    data = base64.urlsafe_b64decode(encode(Cursor(as_of_us=1_700_000_000_000_000)) + "==")
    with pytest.raises(Invalid):
        decode(base64.urlsafe_b64encode(changed(data)).rstrip(b"=").decode())


def test_neighbours_in_time_have_different_marks():
    milliseconds = 1_795_000_000_000
    assert len({mark((milliseconds + step << 16) | 7) for step in range(1_000)}) == 1_000
