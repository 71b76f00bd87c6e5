"""Canonical bytes against the public vectors, and what strict reading refuses."""

import csv
import json
import unicodedata
from datetime import UTC, datetime, timedelta, timezone
from pathlib import Path

import base58
import pytest
from hypothesis import given
from hypothesis import strategies as st
from nacl.signing import SigningKey

from payouts.ledger import canonical as profile
from payouts.ledger.errors import LedgerError
from server.core import canonical

VECTORS = Path(__file__).parent.parent / "vectors" / "identity"
TEXT = st.text(st.characters(exclude_categories=["Cs"]))
WHOLE = st.none() | st.booleans() | st.integers(-(2**53) + 1, 2**53 - 1) | TEXT


def json_of(leaves: st.SearchStrategy) -> st.SearchStrategy:
    return st.recursive(
        leaves, lambda inner: st.lists(inner, max_size=4) | st.dictionaries(TEXT, inner, max_size=4), max_leaves=12
    )


JSON_WHOLE = json_of(WHOLE)
JSON = json_of(WHOLE | st.floats(-(2.0**53) + 1, 2.0**53 - 1))


# The ledger's strict profile: ASCII names, NFC texts, no fractions, at most six levels.
PROFILE = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**53) + 1, 2**53 - 1) | TEXT.map(lambda text: unicodedata.normalize("NFC", text)),
    lambda inner: (
        st.lists(inner, max_size=4) | st.dictionaries(st.text(st.characters(max_codepoint=127), max_size=8), inner, max_size=4)
    ),
    max_leaves=12,
)


def rows(name: str) -> list[list[str]]:
    with (VECTORS / name).open(encoding="utf-8", newline="") as file:
        return list(csv.reader(file, skipinitialspace=True))


@pytest.mark.parametrize("name", ["arrays", "french", "structures", "unicode", "values", "weird"])
def test_jcs_vectors(name: str) -> None:
    value = canonical.parse((VECTORS / "jcs/input" / f"{name}.json").read_bytes(), depth_max=16)
    expected = bytes.fromhex((VECTORS / "jcs/outhex" / f"{name}.txt").read_text())
    assert canonical.jcs(value) == expected == (VECTORS / "jcs/output" / f"{name}.json").read_bytes()


@given(JSON)
def test_what_jcs_writes_parse_reads_and_jcs_writes_again(value: object) -> None:
    data = canonical.jcs(value)
    assert canonical.jcs(canonical.parse(data, depth_max=64)) == data


@given(JSON_WHOLE)
def test_the_fast_way_writes_the_same_bytes(value: object) -> None:
    assert canonical.jcs_whole(value) == canonical.jcs(value)


def test_the_fast_way_orders_names_by_utf_16() -> None:
    """Beyond 16 bits a name begins with a surrogate (d83d), which comes before U+FB33; as a code point it comes after."""
    names = {"\ufb33": 1, "\U0001f600": 2, "\u20ac": 3, "a": {"\ue000": 1, "\U00010000": 2}}
    assert canonical.jcs_whole(names) == canonical.jcs(names)
    assert list(canonical.parse(canonical.jcs_whole(names), depth_max=2)) == ["a", "\u20ac", "\U0001f600", "\ufb33"]


@given(PROFILE)
def test_full_jcs_and_the_strict_profile_agree_on_the_profile(value: object) -> None:
    try:
        data = profile.encode(value)
    except LedgerError:
        return  # deeper than six levels: outside of the profile
    assert data == canonical.jcs(value) == canonical.jcs_whole(value)
    assert profile.decode(data, bytes_max=10_000) == canonical.parse(data, depth_max=profile.DEPTH_MAX, fractions=False) == value


@given(PROFILE, st.data())
def test_what_the_strict_profile_reads_full_jcs_reads_alike(value: object, data: st.DataObject) -> None:
    """Also of bytes nobody wrote as canonical: whatever the profile lets pass, JCS writes back byte for byte."""
    text = canonical.jcs(value)
    place = data.draw(st.integers(0, len(text) - 1))
    changed = text[:place] + data.draw(st.binary(max_size=2)) + text[place + 1 :]
    try:
        read = profile.decode(changed, bytes_max=10_000)
    except LedgerError:
        return
    assert canonical.jcs(canonical.parse(changed, depth_max=profile.DEPTH_MAX, fractions=False)) == changed
    assert canonical.jcs(read) == changed


@pytest.mark.parametrize(
    "text",
    [
        b"",
        b"{",
        b'{"a":1}x',
        b'\xef\xbb\xbf{"a":1}',
        b'{"a":"\xff"}',
        b'{"a":1,"a":1}',
        b'{"a":{"b":1,"b":2}}',
        b'{"a":NaN}',
        b'{"a":Infinity}',
        b'{"a":-Infinity}',
        b'{"a":1e999}',
        b'{"a":9007199254740992}',
        b'{"a":-9007199254740992}',
        b'{"a":' + b"9" * 5_000 + b"}",
        b'{"a":"\\ud800"}',
        b'{"\\udc00x":1}',
        b"[" * 17 + b"]" * 17,
        b"[" * 100_000,
        b"'a'",
        b'{"a":01}',
        b'{"a":1,}',
    ],
)
def test_parse_refuses(text: bytes) -> None:
    with pytest.raises(ValueError, match=r"."):
        canonical.parse(text, depth_max=16)


def test_parse_keeps_what_is_allowed() -> None:
    assert canonical.parse(b" [1, -0, 1.5, 9007199254740991] ", depth_max=1) == [1, 0, 1.5, 2**53 - 1]
    assert canonical.parse(b'"\\ud83d\\ude00"', depth_max=0) == "\U0001f600"
    assert canonical.parse(b"[" * 16 + b"]" * 16, depth_max=16)


@pytest.mark.parametrize("text", [b"1.0", b"1e2", b"[0.5]", b"NaN"])
def test_parse_without_fractions_refuses(text: bytes) -> None:
    with pytest.raises(ValueError, match="not an integer"):
        canonical.parse(text, depth_max=4, fractions=False)


@pytest.mark.parametrize("value", [float("nan"), float("inf"), 2**53, "\ud800", object(), {"a": {1, 2}}, {1: 2}])
def test_jcs_refuses_what_json_cannot_say(value: object) -> None:
    with pytest.raises(ValueError, match=r"."):
        canonical.jcs(value)


@pytest.mark.parametrize("name", ["basic", "leading_zero", "two_leading_zeros", "case_insensitivity"])
def test_multibase_vectors(name: str) -> None:
    (_, plain), *lines = rows(f"multibase/{name}.csv")
    data = plain.replace("\\x00", "\x00").encode()
    for encoding, text in lines:
        if encoding == "base58btc":
            assert canonical.multibase_decode(text) == data
            assert canonical.multibase(data) == text
        else:
            with pytest.raises(ValueError, match="multibase"):
                canonical.multibase_decode(text)


@pytest.mark.parametrize("text", ["", "z0", "zI", "z l", "z7paNL19xttacUY\n", "z\u00e9", "m7paNL19xttacUY", "z" + "1" * 2_048])
def test_multibase_refuses(text: str) -> None:
    with pytest.raises(ValueError, match=r"."):
        canonical.multibase_decode(text)


def test_multihash_vectors() -> None:
    _, *lines = rows("multihash/test_cases.csv")
    seen = 0
    for algorithm, bits, source, expected in lines:
        text = base58.b58encode(bytes.fromhex(expected)).decode()
        if algorithm == "sha2-256" and bits == "256":
            seen += 1
            assert canonical.multihash_sha256(source.encode()) == text
            assert canonical.multihash_sha256_decode(text) == bytes.fromhex(expected)[2:]
        else:
            with pytest.raises(ValueError, match="multihash"):
                canonical.multihash_sha256_decode(text)
    assert seen > 10


def test_did_key_vectors() -> None:
    for did, case in json.loads((VECTORS / "didkey/ed25519-x25519.json").read_text()).items():
        key = SigningKey(bytes.fromhex(case["seed"]))
        assert canonical.did_key(bytes(key.verify_key)) == did
        assert canonical.multikey_ed25519_decode(did.removeprefix("did:key:")) == bytes(key.verify_key)
        box_key = case["keyAgreementKeyPair"]["id"].partition("#")[2]
        public = bytes(key.verify_key.to_curve25519_public_key())
        assert canonical.multikey_x25519(public) == box_key
        assert canonical.multikey_x25519_decode(box_key) == public


def test_keys_of_other_curves_are_refused() -> None:
    other = [
        case["publicDidKey"]
        for name in ("K256", "P256")
        for case in json.loads((VECTORS / f"didkey/w3c_didkey_{name}.json").read_text())
    ]
    other += [case["publicKeyDid"] for case in json.loads((VECTORS / "didkey/signature-fixtures.json").read_text())]
    assert len(other) > 6
    for did in other:
        for decode in (canonical.multikey_ed25519_decode, canonical.multikey_x25519_decode):
            with pytest.raises(ValueError, match=r"."):
                decode(did.removeprefix("did:key:"))


def test_fep_521a_multikeys() -> None:
    text = (VECTORS / "fep/fep-521a.feature").read_text()
    ed25519, rsa = (bytes.fromhex(part.split('"')[1]) for part in text.split("as a hex string ")[1:])
    shown = [part.split('"')[1] for part in text.split('"publicKeyMultibase": ')[1:]]
    assert [canonical.multikey_ed25519(ed25519), canonical.multikey_rsa(rsa)] == shown


def test_times() -> None:
    moment = datetime(2026, 2, 28, 23, 59, 59, tzinfo=UTC)
    assert canonical.time_text(moment) == "2026-02-28T23:59:59Z"
    assert canonical.time_text(moment.astimezone(timezone(timedelta(hours=5)))) == "2026-02-28T23:59:59Z"
    assert canonical.parse_time("2026-02-28T23:59:59Z") == moment
    with pytest.raises(ValueError, match="zone"):
        canonical.time_text(datetime(2026, 1, 1))  # noqa: DTZ001 - a naive time is what the function must refuse


@pytest.mark.parametrize(
    "text",
    [
        "2026-02-30T00:00:00Z",
        "2026-02-28T24:00:00Z",
        "2026-02-28 00:00:00Z",
        "2026-02-28T00:00:00.0Z",
        "2026-02-28T00:00:00+00:00",
        "\uff12026-02-28T00:00:00Z",
        "2026-02-28T00:00:00Z\n",
    ],
)
def test_other_spellings_of_a_time_are_refused(text: str) -> None:
    with pytest.raises(ValueError, match=r"."):
        canonical.parse_time(text)
