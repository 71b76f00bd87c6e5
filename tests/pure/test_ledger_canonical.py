"""The strict JSON profile: inside of it equal to RFC 8785, outside of it refused by name."""

import json
from pathlib import Path
from typing import Any

import pytest
import rfc8785
from hypothesis import given
from hypothesis import strategies as st

from payouts.ledger import canonical
from payouts.ledger.errors import (
    DuplicateKey,
    FloatRefused,
    IntegerTooLarge,
    LedgerError,
    NonAsciiKey,
    NotCanonical,
    NotJson,
    NotNfc,
    NotUtf8,
    TooDeep,
    TooLarge,
)

JCS = Path(__file__).parents[1] / "vectors" / "identity" / "jcs"

keys = st.text(st.characters(max_codepoint=127), max_size=8)
texts = st.text(st.characters(exclude_categories=["Cs"]), max_size=12)
scalars = st.none() | st.booleans() | st.integers(-canonical.INTEGER_MAX, canonical.INTEGER_MAX) | texts
values = st.recursive(
    scalars, lambda inner: st.lists(inner, max_size=4) | st.dictionaries(keys, inner, max_size=4), max_leaves=12
)


def decode(data: bytes) -> Any:
    return canonical.decode(data, bytes_max=100_000)


@given(values)
def test_inside_of_the_profile_it_equals_rfc_8785(value: Any) -> None:
    try:
        data = canonical.encode(value)
    except (NotNfc, TooDeep):
        return
    assert data == rfc8785.dumps(value)
    assert decode(data) == value


@given(
    st.recursive(
        scalars | st.integers() | st.floats(), lambda inner: st.lists(inner) | st.dictionaries(keys | st.integers(), inner)
    )
)
def test_the_encoder_that_is_made_once_writes_what_the_library_writes(value: Any) -> None:
    plain = json.JSONEncoder(ensure_ascii=False, check_circular=False, sort_keys=True, separators=(",", ":"))
    try:
        expected = plain.encode(value)
    except TypeError:  # names of two kinds have no order
        with pytest.raises(TypeError):
            canonical._encode(value)
        return
    assert canonical._encode(value) == expected


@pytest.mark.parametrize(
    ("name", "reason"),
    [
        ("arrays", None),
        ("french", NonAsciiKey),
        ("structures", None),
        ("unicode", NotNfc),
        ("values", FloatRefused),
        ("weird", NonAsciiKey),
    ],
)
def test_public_vectors_are_equal_or_outside_of_the_profile(name: str, reason: type[LedgerError] | None) -> None:
    if name == "structures":  # 56.0 is a fraction for us, however it is spelt
        reason = FloatRefused
    output = (JCS / "output" / f"{name}.json").read_bytes()
    if reason is None:
        assert canonical.encode(json.loads((JCS / "input" / f"{name}.json").read_bytes())) == output
        assert decode(output) == json.loads(output)
        return
    with pytest.raises(reason):
        decode((JCS / "input" / f"{name}.json").read_bytes().strip())


@pytest.mark.parametrize(
    ("data", "reason"),
    [
        (b"[" + b" " * 100_000 + b"]", TooLarge),
        (b'"\xff"', NotUtf8),
        (b'"\\ud800"', NotUtf8),
        (b'\xef\xbb\xbf"a"', NotJson),
        (b"", NotJson),
        (b"nul", NotJson),
        (b'"a"x', NotJson),
        (b'"\x01"', NotJson),
        (b"[[[[[[[]]]]]]]", TooDeep),
        (b'{"a":{"a":{"a":{"a":{"a":{"a":{}}}}}}}', TooDeep),
        (b"[" * 50_000, TooDeep),
        (b'{"a":1,"a":1}', DuplicateKey),
        (b'{"a":{"b":1,"b":2}}', DuplicateKey),
        ('{"é":1}'.encode(), NonAsciiKey),
        ('"e\u0301"'.encode(), NotNfc),
        (b"1.0", FloatRefused),
        (b"1e3", FloatRefused),
        (b"NaN", FloatRefused),
        (b"-Infinity", FloatRefused),
        (b"9007199254740992", IntegerTooLarge),
        (b"-9007199254740992", IntegerTooLarge),
        (b"9" * 4000, IntegerTooLarge),
        (b"-0", NotCanonical),
        (b'{"b":1,"a":1}', NotCanonical),
        (b'{"a": 1}', NotCanonical),
        (b'"\\u0061"', NotCanonical),
        (b'"\\/"', NotCanonical),
        (b"[1]\n", NotJson),
        (b" [1]", NotJson),
    ],
)
def test_what_is_outside_is_refused_by_name(data: bytes, reason: type[LedgerError]) -> None:
    with pytest.raises(reason):
        decode(data)


@pytest.mark.parametrize(
    ("value", "reason"),
    [({1: 2}, NonAsciiKey), (2**53, IntegerTooLarge), (object(), NotJson), (1.5, FloatRefused), ("\ud800", NotUtf8)],
)
def test_what_json_cannot_say_is_not_written(value: Any, reason: type[LedgerError]) -> None:
    with pytest.raises(reason):
        canonical.encode(value)


def test_the_largest_integer_and_depth_pass() -> None:
    for data in (b"9007199254740991", b"-9007199254740991", b"[[[[[[1]]]]]]", b"true", b"null", '"é"'.encode()):
        assert canonical.encode(decode(data)) == data


def test_every_flipped_bit_changes_the_value_or_is_refused() -> None:
    data = canonical.encode({"a": [1, "text", True, None], "b": {"c": "é"}})
    for bit in range(len(data) * 8):
        flipped = bytearray(data)
        flipped[bit // 8] ^= 1 << bit % 8
        try:
            value = decode(bytes(flipped))
        except LedgerError:
            continue
        assert canonical.encode(value) == bytes(flipped) != data
