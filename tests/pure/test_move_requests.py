"""Move requests: nothing is signed that the key log does not tell, and what was signed is sent as it is or not at all."""

import json
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric import rsa

from federation.wire import signatures
from federation.wire.keys import Key
from federation.wire.signatures import Message
from server.core import canonical
from server.core.errors import Conflict
from server.identity import keylog, moverequests, owner
from server.identity.keylog import PolicyLog
from server.identity.moverequests import BadMoveRequests, MoveRequests, WrongMoveSignature
from tests.pure.identities import NOW, key, moved
from tests.world import rsa_pair

OLD, NEW = "https://alpha.example/users/alice", "https://beta.example/users/alice"
GOLDEN = Path(__file__).parents[1] / "vectors/golden/identity/signed-move.json"
INBOXES = ["https://masto.example/inbox", "https://gts.example/users/bob/inbox?x=1"]
LATER = NOW + timedelta(days=3)


@pytest.fixture
def log() -> PolicyLog:
    return moved()


@pytest.fixture
def actor_key() -> rsa.RSAPrivateKey:
    return moverequests.load_actor_key(rsa_pair("alice of alpha")[0].encode())


def asked(log: PolicyLog) -> MoveRequests:
    return moverequests.plan(log, old_actor=OLD, inboxes=INBOXES)


def signed(log: PolicyLog, actor_key: rsa.RSAPrivateKey | None) -> dict[str, Any]:
    return moverequests.sign(asked(log), log=log, user_key=key("user-1"), actor_key=actor_key, now=LATER)


def read(log: PolicyLog, document: Any, **more: Any) -> moverequests.SignedMove:
    data = json.dumps(document).encode()
    return moverequests.read_signed(data, **{"requests": asked(log), "log": log, "now": LATER, **more})


def test_each_request_counts_as_the_old_homes_own(log: PolicyLog, actor_key: rsa.RSAPrivateKey) -> None:
    document = json.dumps(moverequests.requests_document(asked(log))).encode()
    assert moverequests.read_requests(document, log=log) == asked(log)
    move = read(log, signed(log, actor_key))
    assert set(move.headers) == set(INBOXES)
    for inbox, target in zip(INBOXES, ("/inbox", "/users/bob/inbox?x=1"), strict=True):
        host = inbox.split("/")[2]
        headers = {name.lower(): value for name, value in move.headers[inbox].items()}
        claim = signatures.read(Message("POST", target, headers, move.body.encode()))
        old_key = Key(id=f"{OLD}#main-key", owner=OLD, pem=rsa_pair("alice of alpha")[1])
        signatures.verify(claim, old_key, now=LATER + timedelta(hours=11, minutes=59), own_hosts={host})
        with pytest.raises(signatures.BadSignature):
            signatures.verify(claim, old_key, now=LATER + timedelta(hours=12), own_hosts={host})
    activity = json.loads(move.body)
    assert (activity["actor"], activity["object"], activity["target"]) == (OLD, OLD, NEW)
    assert activity["proof"]["verificationMethod"] == f"{OLD}#user-1"


def test_without_the_old_accounts_key_the_proof_remains(log: PolicyLog) -> None:
    move = read(log, signed(log, None))
    assert (move.headers, "proof" in json.loads(move.body)) == ({}, True)


# Held against the browser's as well: tests/browser/test_identity_tool.py.
SPOILS: list[dict[str, Any]] = [
        {"more": 1}, {"v": 2}, {"v": True}, {"type": "SignedMoveRequests"}, {"scid": "Qm"}, {"oldActor": NEW},
        {"oldActor": "https://other.example/users/alice"}, {"newActor": "https://mallory.example/users/alice"},
        {"audience": "https://mallory.example"}, {"keyId": "https://other.example/users/alice#main-key"},
        {"keyId": OLD + '"'}, {"userMethod": f"{OLD}#home-1"}, {"inboxes": [*INBOXES, INBOXES[0]]}, {"inboxes": [5]},
        {"inboxes": ["https://masto.example:443/inbox"]}, {"inboxes": ["file:///etc/passwd"]},
        {"activity": {"type": "Delete", "actor": OLD, "object": OLD}},
        {"inboxes": ["https://Masto.example/inbox"]}, {"inboxes": ["https://a@masto.example/inbox"]},
        {"inboxes": ["https://masto.example./inbox"]}, {"inboxes": ["https://masto.example/in box"]},
        {"inboxes": ["https://m\u00e4sto.example/inbox"]}, {"inboxes": ["https://0x7f.1/inbox"]}, {"inboxes": ["https://"]},
        {"inboxes": ["https://masto.example/" + 2048 * "a"]}, {"inboxes": ""}, {"keyId": 5}, {"keyId": "key"},
]  # fmt: skip


@pytest.mark.parametrize("spoil", SPOILS)
def test_the_owner_signs_only_the_move_that_her_log_tells(log: PolicyLog, spoil: dict[str, Any]) -> None:
    document = {**moverequests.requests_document(asked(log)), **spoil}
    with pytest.raises(BadMoveRequests):
        moverequests.read_requests(json.dumps(document).encode(), log=log)


def test_only_the_key_that_the_old_account_listed(log: PolicyLog, actor_key: rsa.RSAPrivateKey) -> None:
    with pytest.raises(Conflict):
        moverequests.sign(asked(log), log=log, user_key=key("home-2"), actor_key=actor_key, now=LATER)


@pytest.mark.parametrize(
    ("change", "refusal"),
    [
        (lambda made: {**made, "more": 1}, BadMoveRequests),
        (lambda made: {**made, "scid": "Qm"}, BadMoveRequests),
        (lambda made: {**made, "expires": made["date"]}, BadMoveRequests),
        (lambda made: {**made, "date": "yesterday"}, BadMoveRequests),
        (lambda made: {**made, "body": made["body"].replace("beta.example", "evil.example")}, BadMoveRequests),
        (lambda made: {**made, "body": made["body"].replace("#user-1", "#home-1")}, WrongMoveSignature),
        (lambda made: {**made, "body": made["body"].replace('"proofValue":"z', '"proofValue":"z2')}, WrongMoveSignature),
        (lambda made: {**made, "body": "{}"}, BadMoveRequests),
        (lambda made: {**made, "requests": made["requests"] * 2}, BadMoveRequests),
        (lambda made: {**made, "requests": [{**made["requests"][0], "inbox": "https://victim.example/inbox"}]}, BadMoveRequests),
        (lambda made: {**made, "requests": [{**made["requests"][0], "signature": 'x",keyId="y'}]}, BadMoveRequests),
        (lambda made: {**made, "requests": [{**made["requests"][0], "more": ""}]}, BadMoveRequests),
        (lambda made: {**made, "requests": {}}, BadMoveRequests),
    ],
)
def test_what_is_not_sent(log: PolicyLog, actor_key: rsa.RSAPrivateKey, change: Any, refusal: type[Exception]) -> None:
    made = signed(log, actor_key)
    assert read(log, made).body == made["body"]
    with pytest.raises(refusal):
        read(log, change(made))


def test_signatures_grow_old(log: PolicyLog, actor_key: rsa.RSAPrivateKey) -> None:
    made = signed(log, actor_key)
    assert read(log, made, now=LATER + timedelta(hours=11, minutes=59, seconds=59))
    for now in (LATER + timedelta(hours=12), LATER - timedelta(hours=1, seconds=1)):
        with pytest.raises(BadMoveRequests, match="Sign them again"):
            read(log, made, now=now)


def test_the_golden_bytes() -> None:
    """What one version signs every later one reads; the browser signs the same (tests/browser/test_identity_tool.py)."""
    golden = json.loads(GOLDEN.read_text())
    now = canonical.parse_time(golden["now"])
    log = keylog.verify_policy(golden["log"].encode(), now=now, caps=keylog.SOFT)
    requests = moverequests.read_requests(json.dumps(golden["requests"]).encode(), log=log)
    user = owner.former_user_signer(log, bytes.fromhex(golden["seed"]), actor=requests.old_actor)
    actor_key = moverequests.load_actor_key(golden["pem"].encode())
    assert moverequests.sign(requests, log=log, user_key=user, actor_key=actor_key, now=now) == golden["signed"]
    data = canonical.jcs(golden["signed"])
    assert set(moverequests.read_signed(data, requests=requests, log=log, now=now).headers) == set(golden["requests"]["inboxes"])
    with pytest.raises(owner.NotTheseWords):
        owner.former_user_signer(log, bytes(64), actor=requests.old_actor)


def test_a_key_that_is_none() -> None:
    for pem in (b"", b"nonsense", rsa_pair("alice of alpha")[1].encode()):
        with pytest.raises(BadMoveRequests):
            moverequests.load_actor_key(pem)
