"""Hostile logs: every changed byte, every size, every depth; and what judging costs."""

import json
import time
from datetime import timedelta

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from server.core import canonical
from server.identity import keylog
from server.identity.keylog import HARD, SOFT, KeyLogError
from server.identity.keylog.errors import V1Form, V5Scid, V13Witness
from tests.pure.identities import LATER, NOW, approvals, by_hand, commit, judge, judge_by_spec, key, owned, public, under_server


def small() -> keylog.PolicyLog:
    """Two entries with hardly any document, so that every bit can be turned."""
    log = under_server()
    return keylog.extend(
        log.first(1),
        by_hand(log, signer="root-2", state={"id": log.did.text}, updateKeys=[public("root-2")], nextKeyHashes=[]),
        now=LATER,
    )


def refused(data: bytes, log: keylog.PolicyLog) -> bool:
    """Refused, or not what somebody with a pin, or with the SCID alone, would take for this identity."""
    try:
        keylog.check_pin(judge(data, requested=log.scid), pinned=log.version_ids)
    except KeyLogError:
        return True
    return False


def test_every_flipped_bit_of_an_entry_is_refused() -> None:
    log = small()
    data = log.data
    start = len(log.versions[0].entry.line) + 1
    assert not refused(data, log)
    for place in range(start, len(data) - 1):
        for bit in range(8):
            assert refused(data[:place] + bytes([data[place] ^ 1 << bit]) + data[place + 1 :], log), (place, bit)


def test_a_flipped_bit_in_every_byte_of_a_long_log_is_refused() -> None:
    """Judged entry by entry, as they arrive: what ``extend`` refuses, the replay of the whole refuses too."""
    log = owned()
    for number, version in enumerate(log.versions, start=1):
        line = version.entry.line
        for place in range(len(line)):
            changed = line[:place] + bytes([line[place] ^ 1 << place % 8]) + line[place + 1 :]
            with pytest.raises(KeyLogError):
                judge(changed) if number == 1 else keylog.extend(log.first(number - 1), changed, now=LATER)


def test_two_names_that_the_placeholder_makes_one_are_refused() -> None:
    first = small().versions[0].entry.line
    scid = small().scid
    hostile = first.replace(b'"state":{', f'"state":{{"{scid}":1,"{{SCID}}":2,'.encode(), 1)
    assert hostile != first
    with pytest.raises(V5Scid):
        judge(hostile)


def test_the_final_line_feed_is_no_place_to_hide() -> None:
    log = small()
    for last in range(256):
        assert refused(log.data[:-1] + bytes([last]), log) == (last != 10)
    assert not refused(log.data[:-1], log)


@settings(max_examples=150, deadline=None)
@given(st.data())
def test_every_cut_swap_and_insertion_is_refused(data: st.DataObject) -> None:
    log = owned()
    whole = log.data
    place = data.draw(st.integers(0, len(whole) - 2))
    kind = data.draw(st.sampled_from(["cut", "insert", "replace", "drop line", "swap lines", "repeat line"]))
    lines = whole.splitlines(keepends=True)
    one, other = data.draw(st.permutations(range(len(lines))))[:2]
    if kind == "cut":
        changed = whole[:place] + whole[place + data.draw(st.integers(1, 40)) :]
    elif kind == "insert":
        changed = (
            whole[:place]
            + data.draw(st.binary(min_size=1, max_size=4).filter(lambda noise: noise.strip(b" \t\r\n") != b""))
            + whole[place:]
        )
    elif kind == "replace":
        changed = (
            whole[:place] + bytes([data.draw(st.integers(0, 255).filter(lambda byte: byte != whole[place]))]) + whole[place + 1 :]
        )
    elif kind == "drop line":
        changed = b"".join(line for number, line in enumerate(lines) if number != one)
    elif kind == "swap lines":
        lines[one], lines[other] = lines[other], lines[one]
        changed = b"".join(lines)
    else:
        changed = b"".join([*lines[: one + 1], lines[one], *lines[one + 1 :]])
    assert changed in (whole, whole[:-1]) or refused(changed, log)


@settings(max_examples=80, deadline=None)
@given(st.binary(max_size=200) | st.text(max_size=200).map(str.encode))
def test_noise_is_refused_by_name(noise: bytes) -> None:
    log = small()
    for data in (noise, log.data + noise, noise + log.data):
        if data == log.data:
            continue
        with pytest.raises(KeyLogError) as caught:
            judge_by_spec(data)
        assert caught.value.rule


@settings(max_examples=80, deadline=None)
@given(
    st.sampled_from(["versionId", "versionTime", "parameters", "state", "proof"]),
    st.recursive(
        st.none() | st.booleans() | st.integers() | st.text(max_size=5),
        lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=9), inner, max_size=3),
        max_leaves=6,
    ),
)
def test_members_of_any_kind_are_refused_by_name(name: str, value: object) -> None:
    entry = canonical.parse(small().versions[0].entry.line, depth_max=16)
    for odd in (
        {**entry, name: value},
        {**entry, "parameters": {**entry["parameters"], "witness": value}},
        {**entry, "proof": [{**entry["proof"][0], "verificationMethod": value}]},
        {**entry, "state": {"id": value}},
    ):
        if odd != entry:
            with pytest.raises(KeyLogError):
                judge_by_spec(json.dumps(odd, ensure_ascii=True).encode())


# -- sizes --------------------------------------------------------------------------------------------------------------------


def long_log(count: int) -> bytes:
    log = under_server()
    lines, before, state = [log.head.entry.line], log.version_ids[0], {"id": log.did.text}
    for number in range(2, count + 1):
        parameters = {"updateKeys": [public(f"root-{number}")], "nextKeyHashes": commit(f"root-{number + 1}")}
        time_text = canonical.time_text(NOW + timedelta(seconds=number))
        entry = {"versionId": before, "versionTime": time_text, "parameters": parameters, "state": state}
        before = entry["versionId"] = f"{number}-{canonical.multihash_sha256(canonical.jcs_whole(entry))}"
        lines.append(keylog.sign_entry(entry, key=key(f"root-{number}"), created=NOW))
    return b"\n".join(lines) + b"\n"


def test_a_hostile_log_of_a_thousand_entries_is_refused_within_a_second() -> None:
    good = long_log(1_000)
    bad = good[:-100] + bytes([good[-100] ^ 1]) + good[-99:]
    begun = time.process_time()
    with pytest.raises(V1Form, match=r"entries|bytes"):
        judge(bad)
    assert time.process_time() - begun < 0.1
    begun = time.process_time()
    with pytest.raises(KeyLogError):
        judge(bad, caps=HARD)
    seconds = time.process_time() - begun
    print(f"hostile log of 1,000 entries, all but the last valid: {seconds:.2f} s")
    assert seconds < 1
    assert len(judge(good, caps=HARD).versions) == 1_000


@pytest.mark.parametrize(
    "data",
    [
        b"\n" * 5_000_000,
        b"{}\n" * 1_000_000,
        b"{" * 5_000_000,
        b'{"a":' * 800_000 + b"}",
        b"[" * 100_000 + b"]" * 100_000,
        b'{"a":' + b"9" * 4_000_000 + b"}",
        b'{"' + b"a" * 4_000_000 + b'":1}',
        b"\xff" * 5_000_000,
        b"{" + b" " * 5_000_000 + b"}",
        b'{"versionId":"1-Qm' + b"1" * 4_000_000 + b'"}',
    ],
)
def test_large_noise_is_refused_at_once(data: bytes) -> None:
    begun = time.process_time()
    for caps in (SOFT, HARD):
        with pytest.raises(KeyLogError):
            judge(data, caps=caps)
    assert time.process_time() - begun < 1


def test_a_log_over_its_caps_is_refused() -> None:
    log = under_server()
    with pytest.raises(V1Form, match="larger"):
        judge(log.data + b"x" * SOFT.bytes_max)
    with pytest.raises(V1Form, match="more than"):
        judge(log.data + b"{}\n" * SOFT.entries_max)
    assert judge(log.data, caps=keylog.Caps(bytes_max=len(log.data), entries_max=1)) == log


@pytest.mark.parametrize(
    "witness",
    [
        b"",
        b"{}",
        b"[1]",
        b'[{"versionId":1,"proof":[]}]',
        b'[{"versionId":"x","proof":{}}]',
        b'[{"versionId":"x","proof":[1]}]',
        b'[{"versionId":"x","proof":[],"more":1}]',
        b"[" + b" " * 300_000 + b"]",
    ],
)
def test_witness_files_are_read_strictly(witness: bytes) -> None:
    with pytest.raises(V13Witness):
        judge(under_server().data, witness_file=witness)


def test_a_witness_file_nobody_asked_for_does_no_harm() -> None:
    log = under_server()
    assert judge(log.data, witness_file=approvals(log.version_ids[0], "w")) == log


def test_nothing_is_changed_by_a_refused_entry() -> None:
    log = owned()
    before = log.data
    with pytest.raises(KeyLogError):
        keylog.extend(log, by_hand(log, signer="thief", updateKeys=[public("thief")], nextKeyHashes=[]), now=LATER)
    assert log.data == before
    assert (
        keylog.extend(
            log, by_hand(log, signer="paper-1", updateKeys=[public("paper-1")], nextKeyHashes=[]) + b"\n", now=LATER
        ).first(4)
        == log
    )


def test_a_full_log_takes_no_more(monkeypatch: pytest.MonkeyPatch) -> None:
    log = owned()
    line = by_hand(log, signer="paper-1", updateKeys=[public("paper-1")], nextKeyHashes=[])
    for caps in (keylog.Caps(bytes_max=10**9, entries_max=4), keylog.Caps(bytes_max=len(log.data) + len(line), entries_max=9)):
        monkeypatch.setattr("server.identity.keylog.limits.HARD", caps)
        with pytest.raises(V1Form, match="full"):
            keylog.extend(log, line, now=LATER)


# -- the defects we found in common resolvers -----------------------------------------------------------------------------------


def test_defect_move_without_the_old_name() -> None:
    """Two resolvers accept this; did:webvh v1.0, DID Portability, demands a refusal."""
    log = under_server()
    line = by_hand(
        log, signer="root-2", state={"id": log.did.text.replace("alpha", "beta")}, updateKeys=[public("root-2")], nextKeyHashes=[]
    )
    for verify in (judge, judge_by_spec):
        with pytest.raises(KeyLogError, match="V10"):
            verify(log.data + line)


def test_defect_next_key_hashes_left_out() -> None:
    """Two resolvers accept this; while pre-rotation is active both members must be there."""
    log = under_server()
    line = by_hand(log, signer="root-2", updateKeys=[public("root-2")])
    for verify in (judge, judge_by_spec):
        with pytest.raises(KeyLogError, match="V8"):
            verify(log.data + line)


def test_defect_old_did_of_a_moved_log() -> None:
    """One resolver refuses this; the DID asked for must match at least one entry."""
    log = owned()
    for verify in (judge, judge_by_spec):
        assert verify(log.data, requested=log.versions[0].did.text).did.text == log.did.text


def test_defect_body_and_fragment_of_the_proof_key_differ() -> None:
    """One resolver crashes on this."""
    log = under_server()
    entry = canonical.parse(log.head.entry.line, depth_max=16)
    for method in (f"did:key:{public('thief')}#{public('root-1')}", f"did:key:{public('root-1')}#{public('thief')}", "did:key:#"):
        entry["proof"][0]["verificationMethod"] = method
        for verify in (judge, judge_by_spec):
            with pytest.raises(KeyLogError, match="V6"):
                verify(canonical.jcs(entry))


def test_defect_new_witnesses_approve_their_own_appointment() -> None:
    log = owned()
    two = {"threshold": 2, "witnesses": [{"id": f"did:key:{public(name)}"} for name in ("w1", "w2")]}
    line = by_hand(log, signer="paper-1", updateKeys=[public("paper-1")], nextKeyHashes=commit("paper-2"), witness=two)
    first = canonical.parse(line, depth_max=16)["versionId"]
    log = keylog.extend(log, line, now=LATER, witness_file=approvals(first, "w1", "w2"))
    one = {"threshold": 1, "witnesses": [{"id": f"did:key:{public('w1')}"}]}
    line = by_hand(log, signer="paper-2", updateKeys=[public("paper-2")], nextKeyHashes=commit("paper-3"), witness=one)
    second = canonical.parse(line, depth_max=16)["versionId"]
    for verify in (judge, judge_by_spec):
        with pytest.raises(KeyLogError, match="V13"):
            verify(log.data + line, witness_file=approvals(second, "w1"))
        assert verify(log.data + line, witness_file=approvals(second, "w1", "w2")).head.entry.version_id == second


def test_clock_skew_to_the_second() -> None:
    log = under_server()
    assert judge(log.data, now=NOW - timedelta(seconds=300)) == log
    with pytest.raises(KeyLogError, match="V11"):
        judge(log.data, now=NOW - timedelta(seconds=301))
