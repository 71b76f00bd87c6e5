"""The strict parser of what strangers send."""

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from federation.wire.json import BadJson, dump, parse
from server.core import limits

VALUES = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(2**53) + 1, 2**53 - 1)
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\x00")),
    lambda inner: (
        st.lists(inner, max_size=4)
        | st.dictionaries(st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\x00")), inner, max_size=4)
    ),
    max_leaves=20,
)


@given(st.dictionaries(st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\x00")), VALUES, max_size=5))
def test_reads_what_it_writes(value: dict) -> None:
    assert parse(dump(value).encode()) == value


@pytest.mark.parametrize(
    ("data", "why"),
    [
        (b"", "not JSON"),
        (b"null", "not an object"),
        (b"[]", "not an object"),
        (b'"x"', "not an object"),
        (b'{"a":1,"a":2}', "twice"),
        (b'{"a":{"b":1,"\\u0062":2}}', "twice"),
        (b'{"a":NaN}', "NaN"),
        (b'{"a":Infinity}', "Infinity"),
        (b'{"a":-Infinity}', "Infinity"),
        (b'{"a":1e400}', "range"),
        (b'{"a":-1e400}', "range"),
        (b'{"a":9007199254740992}', "2^53"),
        (b'{"a":-9007199254740992}', "2^53"),
        (b'{"a":' + b"9" * 100_000 + b"}", "2^53"),
        (b'{"a":"\\ud800"}', "surrogate"),
        (b'{"a":"\\udc00\\ud800"}', "surrogate"),
        (b'{"\\udfff":1}', "surrogate"),
        (b'{"a":"\\u0000"}', "U+0000"),
        (b'{"a":"\xff"}', "UTF-8"),
        (b'{"a":"\xed\xa0\x80"}', "UTF-8"),
        (b'\xef\xbb\xbf{"a":1}', "not JSON"),
        ('{"a":1}'.encode("utf-16"), "UTF-8"),
        (b'{"a":1} x', "not JSON"),
        (b'{"a":1,}', "not JSON"),
        (b"{'a':1}", "not JSON"),
        (b'{"a":"\n"}', "not JSON"),
        (b'{"a":' + b"[" * 100_000 + b"]" * 100_000 + b"}", "deep"),
        (b'{"a":' + b"[" * 500 + b"]" * 500 + b"}", "deep"),
    ],
)
def test_refuses(data: bytes, why: str) -> None:
    with pytest.raises(BadJson, match=why.replace("^", r"\^").replace("+", r"\+")):
        parse(data)


def test_depth_and_size_end_exactly_at_the_limit() -> None:
    deep = limits.JSON_DEPTH_MAX - 1
    assert parse(b'{"a":' + b"[" * deep + b"]" * deep + b"}")
    with pytest.raises(BadJson, match="deep"):
        parse(b'{"a":' + b"[" * (deep + 1) + b"]" * (deep + 1) + b"}")
    whole = b'{"a":"' + b"x" * (limits.INBOX_BYTES_MAX - 8) + b'"}'
    assert len(whole) == limits.INBOX_BYTES_MAX
    assert parse(whole)
    with pytest.raises(BadJson, match="bytes"):
        parse(whole + b" ")


def test_integers_end_exactly_at_the_limit() -> None:
    assert parse(b'{"a":9007199254740991,"b":-9007199254740991}') == {"a": 2**53 - 1, "b": 1 - 2**53}


@given(st.binary(max_size=200))
def test_never_raises_anything_else(data: bytes) -> None:
    try:
        value = parse(data)
    except BadJson:
        return
    assert json.loads(data) == value
