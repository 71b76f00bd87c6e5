"""The life of an identity: what each change writes, who may make it, and what waits after it."""

import subprocess
import sys
from dataclasses import replace
from datetime import timedelta

import pytest

from server.core import canonical
from server.identity import hostgrant, keylog, receipts
from server.identity.keylog import KeyLogError, document
from server.identity.keylog.errors import BadDocument, NotCommitted, V12Deactivated, V15Fork, V15Stale, V16Fork
from tests.pure.identities import (
    LATER,
    NOW,
    approvals,
    box,
    by_hand,
    commit,
    home,
    judge,
    key,
    moved,
    owned,
    public,
    under_server,
)

HOURS, DAYS = (lambda n: timedelta(hours=n)), (lambda n: timedelta(days=n))


def read(log: keylog.PolicyLog) -> keylog.Document:
    return keylog.read(log.head.entry.state)


# -- beginning ----------------------------------------------------------------------------------------------------------


def test_genesis_under_server_custody() -> None:
    log = under_server()
    assert log.scid == log.did.scid == log.head.parameters.scid
    assert log.did.text == f"did:webvh:{log.scid}:alpha.example:u:alice"
    assert log.did.url() == "https://alpha.example/u/alice/did.jsonl"
    assert log.did.url("did-witness.json") == "https://alpha.example/u/alice/did-witness.json"
    assert log.custody == "server"
    assert log.head.parameters.portable
    assert log.head.parameters.next_key_hashes == tuple(commit("root-2"))
    assert (log.head.key, log.head.key_index) == (public("root-1"), None)
    assert judge(log.data, requested=log.scid) == log
    assert read(log).user == keylog.NumberedKey(1, public("user-1"))
    assert read(log).prior == ()


def test_two_people_get_two_scids_and_the_same_words_the_same_bytes() -> None:
    assert under_server("alice").scid != under_server("bob").scid
    assert under_server().data == under_server().data


def test_genesis_for_an_owner_with_all_parts() -> None:
    first = keylog.first_document(
        home("alpha.example", "home-1"), user_key=public("user-1"), custody="owner", box_key=box("box-1")
    )
    full = replace(
        first, replicas=("https://r1.example/webvh", "https://r2.example/webvh"), archives=("https://r1.example/archive",)
    )
    log = keylog.genesis(
        document=full, key=key("paper-0"), next_keys=commit("paper-1", "device-1"), now=NOW, watchers=["https://r1.example"]
    )
    assert read(log) == replace(full, did=log.did.text)
    assert log.head.parameters.watchers == ("https://r1.example",)
    assert log.custody == "owner"


def test_genesis_at_localhost_needs_the_development_setting() -> None:
    there = replace(
        home("localhost", "home-1"), port=8001, actor="http://localhost:8001/users/alice", acct="acct:alice@localhost:8001"
    )
    first = keylog.first_document(there, user_key=public("user-1"), custody="server")
    log = keylog.genesis(document=first, key=key("root-1"), next_keys=commit("root-2"), now=NOW, loopback=True)
    assert log.did.url(loopback=True) == "http://localhost:8001/u/alice/did.jsonl"
    assert judge(log.data, loopback=True).scid == log.scid
    for act in (lambda: judge(log.data), log.did.url):
        with pytest.raises(KeyLogError, match="V9"):
            act()
    with pytest.raises(KeyLogError, match="V9"):
        keylog.genesis(document=first, key=key("root-1"), next_keys=commit("root-2"), now=NOW)


@pytest.mark.parametrize("next_keys", [(), ("a", "b", "c", "d", "e", "f"), ("a", "a")])
def test_genesis_refuses_what_a_peer_would_refuse(next_keys: tuple[str, ...]) -> None:
    first = keylog.first_document(home("alpha.example", "home-1"), user_key=public("user-1"), custody="server")
    with pytest.raises(KeyLogError, match=r"V7|V8b"):
        keylog.genesis(document=first, key=key("root-1"), next_keys=commit(*next_keys), now=NOW)


# -- changes ------------------------------------------------------------------------------------------------------------


def test_a_new_home_key() -> None:
    before = under_server()
    log = keylog.rotate_home(before, home_key=public("home-2"), key=key("root-2"), next_keys=commit("root-3"), now=NOW + HOURS(1))
    assert read(log) == replace(read(before), home=keylog.NumberedKey(2, public("home-2")))
    assert log.first(1) == before
    assert log.head.key_index == 0
    assert (keylog.payout_freeze(log, 2), keylog.effect_wait(log, 2)) == (timedelta(0), timedelta(0))


def test_a_move() -> None:
    log = moved()
    old, new = log.versions[1].did.text, log.did.text
    assert new == f"did:webvh:{log.scid}:beta.example:u:alice"
    assert log.head.entry.state["alsoKnownAs"] == [
        old,
        "https://alpha.example/users/alice",
        "https://beta.example/users/alice",
        "acct:alice@beta.example",
    ]
    assert read(log).home == keylog.NumberedKey(3, public("home-3"))
    assert read(log).user == keylog.NumberedKey(1, public("user-1"))
    for name in (log.scid, old, new):
        assert judge(log.data, requested=name).did.text == new


def test_the_old_home_can_write_nothing_after_a_move_of_all_keys() -> None:
    log = moved()
    for name in ("root-1", "root-2", "root-3", "home-2", "user-1"):
        with pytest.raises(NotCommitted):
            keylog.rotate_home(log, home_key=public("home-9"), key=key(name), next_keys=commit("root-9"), now=LATER)
        with pytest.raises(KeyLogError, match="V8"):
            keylog.extend(log, by_hand(log, signer=name, updateKeys=[public(name)], nextKeyHashes=commit("root-9")), now=LATER)


def test_moving_back_and_forth_keeps_every_name_once() -> None:
    log = moved()
    log = keylog.move(log, home=home("alpha.example", "home-4"), key=key("root-4"), next_keys=commit("root-5"), now=LATER)
    alpha, beta = (f"did:webvh:{log.scid}:{host}.example:u:alice" for host in ("alpha", "beta"))
    assert log.head.entry.state["alsoKnownAs"] == [
        beta,
        "https://beta.example/users/alice",
        "https://alpha.example/users/alice",
        "acct:alice@alpha.example",
    ]
    log = keylog.move(
        log, home=home("beta.example", "home-5"), key=key("root-5"), next_keys=commit("root-6"), now=LATER + HOURS(1)
    )
    assert log.head.entry.state["alsoKnownAs"][:2] == [alpha, "https://alpha.example/users/alice"]
    assert log.did.text == beta


def test_many_moves_forget_the_oldest_names_first() -> None:
    log = under_server()
    for number in range(2, 50):
        log = keylog.move(
            log,
            home=home(f"h{number}.example", f"home-{number}"),
            key=key(f"root-{number}"),
            next_keys=commit(f"root-{number + 1}"),
            now=NOW + HOURS(number),
        )
    names = log.head.entry.state["alsoKnownAs"]
    assert len(names) == 64
    assert log.versions[-2].did.text in names
    assert judge(log.data, requested=log.versions[0].did.text).head.entry.number == 49


def test_keys_pass_to_the_owner_and_the_server_keeps_none() -> None:
    log = owned()
    assert log.custody == "owner"
    assert log.head.parameters.next_key_hashes == tuple(commit("paper-1", "device-1", "custodian-1"))
    assert read(log).user == keylog.NumberedKey(2, public("user-2"))
    assert read(log).box == keylog.NumberedKey(1, box("box-1"))
    with pytest.raises(NotCommitted):
        keylog.rotate_home(log, home_key=public("home-9"), key=key("root-5"), next_keys=commit("root-9"), now=LATER)


def test_two_entries_within_one_second() -> None:
    log = keylog.rotate_home(under_server(), home_key=public("home-2"), key=key("root-2"), next_keys=commit("root-3"), now=NOW)
    assert log.head.entry.time == NOW + timedelta(seconds=1)
    assert judge(log.data, now=NOW).version_ids == log.version_ids


def test_the_same_key_again_keeps_its_number() -> None:
    log = keylog.rotate_user(under_server(), user_key=public("user-1"), key=key("root-2"), next_keys=commit("root-3"), now=LATER)
    assert read(log).user.number == 1


def test_nothing_follows_the_end() -> None:
    log = keylog.deactivate(owned(), key=key("paper-1"), now=LATER)
    assert log.head.parameters.deactivated
    with pytest.raises(NotCommitted):
        keylog.rotate_home(log, home_key=public("home-9"), key=key("paper-2"), next_keys=commit("paper-3"), now=LATER)
    with pytest.raises(V12Deactivated):
        keylog.extend(log, by_hand(log, signer="paper-2", updateKeys=[public("paper-2")], nextKeyHashes=[]), now=LATER + DAYS(9))


def test_only_the_first_key_can_end_it() -> None:
    for name in ("device-1", "custodian-1"):
        with pytest.raises(KeyLogError, match="V8b"):
            keylog.deactivate(owned(), key=key(name), now=LATER)


# -- who outranks whom ---------------------------------------------------------------------------------------------------


def test_lower_keys_carry_higher_hashes_along_by_themselves() -> None:
    log = keylog.rotate_home(owned(), home_key=public("home-4"), key=key("device-1"), next_keys=commit("device-2"), now=LATER)
    assert log.head.parameters.next_key_hashes == tuple(commit("paper-1", "device-2"))
    assert log.head.key_index == 1
    log = keylog.rotate_home(
        owned(), home_key=public("home-4"), key=key("custodian-1"), next_keys=commit("custodian-2"), now=LATER
    )
    assert log.head.parameters.next_key_hashes == tuple(commit("paper-1", "device-1", "custodian-2"))


@pytest.mark.parametrize("wait", [HOURS(1), DAYS(400)])
def test_the_paper_key_takes_a_stolen_identity_back_at_any_time(wait: timedelta) -> None:
    """A thief with the device key moves the identity; she keeps it until the owner notices, and no longer."""
    stolen = keylog.move(
        owned(),
        home=home("evil.example", "thief-home"),
        key=key("device-1"),
        next_keys=commit("thief-1"),
        now=LATER,
        user_key=public("thief-user"),
    )
    assert (keylog.payout_freeze(stolen, 5), keylog.effect_wait(stolen, 5)) == (HOURS(72), HOURS(72))
    again = keylog.rotate_home(
        stolen, home_key=public("thief-home-2"), key=key("thief-1"), next_keys=commit("thief-2"), now=LATER + HOURS(1)
    )
    back = keylog.move(
        again,
        home=home("gamma.example", "home-4"),
        key=key("paper-1"),
        next_keys=commit("paper-2"),
        now=LATER + wait,
        user_key=public("user-3"),
    )
    assert (keylog.payout_freeze(back, 7), keylog.effect_wait(back, 7)) == (HOURS(72), timedelta(0))
    assert back.head.key_index == 0
    with pytest.raises(NotCommitted):
        keylog.rotate_home(back, home_key=public("x"), key=key("thief-2"), next_keys=commit("thief-3"), now=LATER + wait)
    keylog.check_pin(back, pinned=again.version_ids)


@pytest.mark.parametrize(
    "parameters",
    [
        {"nextKeyHashes": commit("thief-1")},
        {"nextKeyHashes": commit("thief-1", "paper-1")},
        {"nextKeyHashes": []},
        {"nextKeyHashes": commit("paper-1"), "deactivated": True},
        {"nextKeyHashes": commit("paper-1"), "portable": False},
        {"nextKeyHashes": commit("paper-1"), "witness": {"threshold": 1, "witnesses": [{"id": f"did:key:{public('thief-1')}"}]}},
    ],
)
def test_a_thief_with_the_device_key_cannot_keep_the_owner_out(parameters: dict) -> None:
    log = owned()
    line = by_hand(log, signer="device-1", updateKeys=[public("device-1")], **parameters)
    with pytest.raises(KeyLogError, match="V8b"):
        keylog.extend(log, line, now=LATER)
    with pytest.raises(KeyLogError, match="V8b"):
        judge(log.data + line)


def test_the_paper_key_may_change_witnesses_and_they_must_approve() -> None:
    log = owned()
    line = by_hand(
        log,
        signer="paper-1",
        updateKeys=[public("paper-1")],
        nextKeyHashes=commit("paper-2"),
        witness={"threshold": 1, "witnesses": [{"id": f"did:key:{public('w')}"}]},
    )
    version_id = canonical.parse(line, depth_max=16)["versionId"]
    with pytest.raises(KeyLogError, match="V13"):
        keylog.extend(log, line, now=LATER)
    assert keylog.extend(log, line, now=LATER, witness_file=approvals(version_id, "w")).head.entry.version_id == version_id


# -- what waits -----------------------------------------------------------------------------------------------------------


def test_what_waits_after_each_entry() -> None:
    """No entry of the first three changes #user or comes from a lower key; the fourth changes #user, under server custody before."""
    log = owned()
    assert [keylog.payout_freeze(log, number) for number in (1, 2, 3, 4)] == [timedelta(0), timedelta(0), timedelta(0), DAYS(7)]
    assert [keylog.effect_wait(log, number) for number in (1, 2, 3, 4)] == [timedelta(0)] * 4
    user = keylog.rotate_user(log, user_key=public("user-3"), key=key("paper-1"), next_keys=commit("paper-2"), now=LATER)
    assert (keylog.payout_freeze(user, 5), keylog.effect_wait(user, 5)) == (HOURS(72), timedelta(0))


# -- pins, forks, objects ---------------------------------------------------------------------------------------------------


def test_pins() -> None:
    log = owned()
    for count in range(5):
        keylog.check_pin(log, pinned=log.version_ids[:count])
    keylog.check_pin(log, pinned=[log.version_ids[-1]])
    with pytest.raises(V15Stale):
        keylog.check_pin(log.first(3), pinned=[log.version_ids[-1]])
    other = keylog.rotate_home(log.first(3), home_key=public("x"), key=key("root-4"), next_keys=commit("y"), now=LATER)
    with pytest.raises(V15Fork) as caught:
        keylog.check_pin(other, pinned=log.version_ids)
    assert caught.value.number == 4
    with pytest.raises(KeyLogError, match="V3"):
        keylog.check_pin(log, pinned=["four"])


def test_fork_evidence() -> None:
    log = owned()
    left = keylog.rotate_home(log, home_key=public("x"), key=key("device-1"), next_keys=commit("y"), now=LATER)
    right = keylog.rotate_home(log, home_key=public("z"), key=key("device-1"), next_keys=commit("y"), now=LATER)
    evidence = keylog.find_fork(left, right)
    assert evidence is not None
    assert (evidence.scid, evidence.number) == (log.scid, 5)
    assert {evidence.left, evidence.right} == {left.head.entry.line, right.head.entry.line}
    assert keylog.find_fork(log, left) is None
    with pytest.raises(V16Fork):
        keylog.find_fork(log, under_server("bob"))


def test_a_spent_paper_key_cannot_overturn_a_branch_that_the_paper_key_sealed() -> None:
    log = owned()
    honest = keylog.rotate_home(log, home_key=public("home-4"), key=key("paper-1"), next_keys=commit("paper-2"), now=LATER)
    thief = keylog.move(log, home=home("evil.example", "thief"), key=key("paper-1"), next_keys=commit("thief-1"), now=LATER)
    seen = {f"https://r{n}.example": honest.version_ids[4] for n in range(3)}
    branch = keylog.settle_fork(thief, honest, first_seen=seen)
    assert branch is not None
    assert (branch.log, branch.reason) == (honest, "seen")
    with pytest.raises(V15Fork):
        keylog.check_pin(thief, pinned=honest.version_ids)


def test_looking_up_a_version() -> None:
    log = owned()
    assert log.version(log.version_ids[2]).did.host == "beta.example"
    for wrong in (f"9-{commit('x')[0]}", f"2-{commit('x')[0]}"):
        with pytest.raises(KeyLogError, match="V14"):
            log.version(wrong)


def test_custody_unstated() -> None:
    log = under_server()
    state = {name: value for name, value in log.head.entry.state.items() if name != "tributary"}
    line = by_hand(log, signer="root-2", state=state, updateKeys=[public("root-2")], nextKeyHashes=commit("root-3"))
    longer = keylog.extend(log, line, now=LATER)
    assert longer.custody == "unstated"
    assert keylog.payout_freeze(longer, 2) == timedelta(0)
    with pytest.raises(BadDocument):
        read(longer)


@pytest.mark.parametrize(
    "state", [{}, {"verificationMethod": "x"}, {"verificationMethod": [1], "assertionMethod": [], "authentication": []}]
)
def test_documents_of_strangers_hold_no_keys(state: dict) -> None:
    log = under_server()
    line = by_hand(
        log, signer="root-2", state={"id": log.did.text, **state}, updateKeys=[public("root-2")], nextKeyHashes=commit("root-3")
    )
    log = keylog.extend(log, line, now=LATER)
    with pytest.raises(KeyLogError, match="V17"):
        keylog.check_object(log, scid=log.scid, key=public("home-1"), created=LATER)
    assert keylog.payout_freeze(log, 2) == DAYS(7)


# -- documents ----------------------------------------------------------------------------------------------------------------


def test_documents_are_read_strictly() -> None:
    state = dict(owned().head.entry.state)
    assert keylog.build(keylog.read(state)) == state
    method = state["verificationMethod"][0]
    for odd in (
        {},
        {"id": 1},
        {**state, "note": "x"},
        {**state, "alsoKnownAs": state["alsoKnownAs"][:-1]},
        {**state, "alsoKnownAs": "acct:alice@beta.example"},
        {**state, "tributary": {"custody": "nobody"}},
        {**state, "tributary": {"custody": "owner", "more": 1}},
        {**state, "service": []},
        {**state, "service": [*state["service"], {"id": "x", "type": "Other", "serviceEndpoint": "https://x.example"}]},
        {**state, "verificationMethod": []},
        {**state, "verificationMethod": [*state["verificationMethod"], method]},
        {**state, "verificationMethod": [{**method, "publicKeyMultibase": ["z"]}, *state["verificationMethod"][1:]]},
        {**state, "verificationMethod": [{**method, "publicKeyMultibase": public("home-3")}, *state["verificationMethod"][1:]]},
        {**state, "verificationMethod": [{**method, "publicKeyMultibase": "z6Mk"}, *state["verificationMethod"][1:]]},
        {**state, "verificationMethod": [{**method, "controller": "did:web:evil.example"}, *state["verificationMethod"][1:]]},
        {**state, "assertionMethod": [*state["assertionMethod"], "did:web:evil.example#k"]},
        {**state, "authentication": state["assertionMethod"]},
    ):
        with pytest.raises(BadDocument):
            keylog.read(odd)


@pytest.mark.parametrize(
    "changes",
    [
        {"actor": "ftp://a.example/x"},
        {"actor": "https:///x"},
        {"actor": "https://user@a.example/x"},
        {"actor": "https://a.example/x#y"},
        {"actor": "https://[::1/x"},
        {"actor": "https://a.example/" + "x" * 3_000},
        {"actor": None},
        {"acct": "alice@a.example"},
        {"acct": None},
        {"custody": "both"},
        {"prior": ("x",) * 63},
        {"home": keylog.NumberedKey(1, public("user-1"))},
        {"box": keylog.NumberedKey(1, public("user-1"))},
        {"replicas": ("",)},
    ],
)
def test_documents_are_built_strictly(changes: dict) -> None:
    good = keylog.first_document(home("alpha.example", "home-1"), user_key=public("user-1"), custody="server")
    document.build(good)
    with pytest.raises(BadDocument):
        document.build(replace(good, **changes))


# -- grants and receipts ---------------------------------------------------------------------------------------------------------


def test_a_host_grant_is_made_only_with_the_right_key_and_values() -> None:
    log, audience, nonce = moved(), "https://beta.example", "n" * 22
    grant = hostgrant.make_host_grant(log, audience=audience, nonce=nonce, key=key("user-1"), now=LATER)
    data = canonical.jcs(grant)
    accepted = hostgrant.accept_host_grant(
        hostgrant.parse_host_grant(data), log=log, audience=audience, nonce=nonce, now=LATER, nonce_is_fresh=True
    )
    assert (accepted.home_key, accepted.actor) == (public("home-3"), "https://beta.example/users/alice")
    with pytest.raises(hostgrant.WrongKey):
        hostgrant.make_host_grant(log, audience=audience, nonce=nonce, key=key("home-3"), now=LATER)
    with pytest.raises(hostgrant.LivesTooLong):
        hostgrant.make_host_grant(log, audience=audience, nonce=nonce, key=key("user-1"), now=LATER, life_seconds=901)
    with pytest.raises(hostgrant.BadGrantForm):
        hostgrant.make_host_grant(log, audience=audience, nonce="short", key=key("user-1"), now=LATER)


@pytest.mark.parametrize("data", [b"", b"[]", b'"x"', b'{"v":1,"v":1}', b'{"v":1.0}', b"{" + b" " * 9_000 + b"}", b"\xff"])
def test_host_grants_are_parsed_strictly(data: bytes) -> None:
    with pytest.raises(hostgrant.BadGrantForm):
        hostgrant.parse_host_grant(data)


def test_every_changed_character_of_grant_and_receipt_is_refused() -> None:
    log, method = moved(), "https://gamma.example/actor#instance-1"
    grant = canonical.jcs(
        hostgrant.make_host_grant(log, audience="https://beta.example", nonce="n" * 22, key=key("user-1"), now=LATER)
    )
    receipt = canonical.jcs(
        receipts.make_receipt(
            scid=log.scid,
            version_id=log.version_ids[2],
            replica="https://gamma.example",
            verification_method=method,
            key=key("instance-1"),
            now=LATER,
        )
    )
    public_key = bytes(key("instance-1").verify_key)
    for data, refusal, check in (
        (
            grant,
            hostgrant.GrantRefused,
            lambda value: hostgrant.check_host_grant(value, log=log, audience="https://beta.example", now=LATER),
        ),
        (
            receipt,
            receipts.ReceiptRefused,
            lambda value: receipts.verify_receipt(
                value, replica="https://gamma.example", verification_method=method, public=public_key, now=LATER
            ),
        ),
    ):
        assert check(canonical.parse(data, depth_max=4))
        for place in range(len(data)):
            for bit in range(8):
                changed = data[:place] + bytes([data[place] ^ 1 << bit]) + data[place + 1 :]
                try:
                    value = canonical.parse(changed, depth_max=4)
                except ValueError:
                    continue
                assert isinstance(value, dict)
                with pytest.raises(refusal):
                    check(value)


# -- purity ------------------------------------------------------------------------------------------------------------------------


def test_a_verifier_needs_no_django() -> None:
    code = "import sys; import server.identity.keylog, server.identity.hostgrant, server.identity.receipts, server.identity.mnemonic; sys.exit('django' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, timeout=60, check=False)
    assert done.returncode == 0, done.stderr
