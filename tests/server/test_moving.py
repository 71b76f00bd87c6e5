"""The machines' doors of a move: key logs, grants, offers, hand-over. Bad bodies are named, and nothing changes."""

import json
from datetime import timedelta
from typing import Any

import pytest
from django.test import Client

from server.accounts import moving
from server.accounts.models import Account
from server.core import clock, keys
from server.core.errors import Conflict, Invalid, NotAllowed, NotFound, WrongState
from server.identity import actions, queries
from server.identity.models import HomeOffer, Identity
from tests.world import World

pytestmark = pytest.mark.django_db
OLD, NEW = "http://localhost:8001", "http://localhost:8000"


def at(settings: Any, origin: str) -> None:
    """Be the instance at ``origin``: both share this database."""
    settings.ORIGIN, settings.HOST = origin, origin.removeprefix("http://")


def problem(response: Any) -> tuple[int, str]:
    assert response["Content-Type"] == "application/problem+json", response.content
    body = response.json()
    assert body["status"] == response.status_code
    return response.status_code, body["code"]


def handed(settings: Any, world: World) -> dict[str, Any]:
    """What the old home of somebody sends for alice of this instance, who expects it."""
    at(settings, OLD)
    identity = actions.create_identity(handle="alice", home_key=keys.make_ed25519().public)
    at(settings, NEW)
    home_key = world.alice.keys.get(name="home-1").public
    offer = actions.offer_home(scid=identity.scid, handle="alice", actor_uri=world.alice.uri, home_key=home_key)
    at(settings, OLD)
    log, grant = actions.sign_move(identity=identity, offer=offer)
    at(settings, NEW)
    Identity.objects.filter(scid=identity.scid).delete()
    return {"log": log.data.decode().splitlines(), "grant": grant}


def send(client: Client, body: Any, handle: str = "alice") -> Any:
    data = body if isinstance(body, bytes) else json.dumps(body).encode()
    return client.post(f"/users/{handle}/move", data, content_type="application/json")


def test_the_key_log_is_public_and_proves_itself(client: Client, world: World) -> None:
    answer = client.get("/u/alice/did.jsonl")
    assert (answer.status_code, answer["Content-Type"], answer["Access-Control-Allow-Origin"]) == (200, "text/jsonl", "*")
    assert answer.content == queries.log_bytes(queries.by_scid(world.alice.scid))
    assert problem(client.get("/u/nobody/did.jsonl")) == (404, "not_found")
    assert client.post("/u/alice/did.jsonl").status_code == 405


def test_no_grant_and_no_offer_unless_there_is_one(client: Client, world: World) -> None:
    for address in ("/users/alice/host-grant", "/users/alice/move-offer", "/users/nobody/move-offer"):
        assert problem(client.get(address)) == (404, "not_found")


def test_a_move_arrives_once(client: Client, world: World, settings: Any) -> None:
    body = handed(settings, world)
    offer = client.get("/users/alice/move-offer").json()
    assert (offer["type"], offer["audience"], offer["nonce"]) == ("HomeOffer", NEW, body["grant"]["nonce"])
    first = send(client, body)
    assert first.status_code == 200, first.content
    scid = first.json()["scid"]
    world.alice.refresh_from_db()
    assert world.alice.scid == scid
    assert f"{OLD}/users/alice" in world.alice.also_known_as
    assert client.get("/users/alice/host-grant").json() == body["grant"]
    assert problem(client.get("/users/alice/move-offer")) == (404, "not_found")
    status, code = problem(send(client, body))
    assert (status, code) == (422, "host_grant_nonce"), "a grant is good once"


@pytest.mark.parametrize(
    "body",
    [
        b"", b"x", b"[]", b"1", b'"log"', b"{}", b'{"log": [], "grant": []}', b'{"log": 7, "grant": {}}', b'{"log": [1], "grant": {}}',
        b'{"log": [], "grant": {}, "more": 1}', b"[" * 100_000, b'{"log": [], "grant": {"nonce": "\\u0000"}}',
        b'{"log": ["\\ud800"], "grant": {}}', b'{"log": [], "grant": {"nonce": "\\udfff"}}', b'{"log": [], "grant": {"v": NaN}}',
        b"\xff\xfe", b'{"log": ["' + b"x" * moving.MOVE_BYTES_MAX + b'"], "grant": {}}',
    ],
)  # fmt: skip
def test_a_body_that_is_no_move(client: Client, world: World, body: bytes) -> None:
    assert problem(send(client, body)) == (422, "invalid")


def test_a_move_of_nobody_or_for_nobody(client: Client, world: World, settings: Any) -> None:
    body = handed(settings, world)
    assert problem(send(client, body, handle="nobody"))[0] == 404
    assert problem(send(client, body, handle="charlie"))[0] == 404, "the grant is for alice"
    assert problem(send(client, {**body, "grant": {**body["grant"], "nonce": "other"}}))[0] == 404


@pytest.mark.parametrize(
    "forge",
    [
        lambda body: {**body, "grant": {**body["grant"], "expires": "2099-01-01T00:00:00Z"}},
        lambda body: {**body, "grant": {**body["grant"], "audience": "http://localhost:9"}},
        lambda body: {**body, "grant": {**body["grant"], "homeKey": 5}},
        lambda body: {**body, "grant": {name: value for name, value in body["grant"].items() if name != "proof"}},
        lambda body: {**body, "grant": {**body["grant"], "proof": {**body["grant"]["proof"], "proofValue": "z" + "1" * 80}}},
        lambda body: {**body, "log": body["log"][:1]},
        lambda body: {**body, "log": body["log"][::-1]},
        lambda body: {**body, "log": []},
        lambda body: {**body, "log": [body["log"][0], body["log"][1].replace("alice", "alicf", 1)]},
    ],
)
def test_a_forged_move_changes_nothing(client: Client, world: World, settings: Any, forge: Any) -> None:
    body, before = handed(settings, world), world.alice.scid
    status, code = problem(send(client, forge(body)))
    assert status == 422, code
    world.alice.refresh_from_db()
    assert world.alice.scid == before
    assert Identity.objects.filter(is_home=True, scid=before).exists()
    assert HomeOffer.objects.get(actor_uri=world.alice.uri).claimed_at is None
    assert send(client, body).status_code == 200, "the challenge is still open for the true one"


def test_an_offer_is_good_for_a_day(client: Client, world: World, settings: Any) -> None:
    body = handed(settings, world)
    with clock.moved(timedelta(days=1, seconds=1)):
        assert problem(client.get("/users/alice/move-offer"))[0] == 404
        assert problem(send(client, body))[0] == 422


def test_only_the_owner_moves_and_only_elsewhere(world: World, settings: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(NotAllowed):
        moving.expect_move(account=world.alice, by=world.charlie, old_address="dora@peer.example")
    with pytest.raises(NotAllowed):
        moving.move_away(account=world.alice, by=world.charlie, to_address="dora@peer.example")
    with pytest.raises(Invalid):
        moving.expect_move(account=world.alice, by=world.alice, old_address=f"bob@{settings.HOST}")
    with pytest.raises(Invalid):
        moving.move_away(account=world.alice, by=world.alice, to_address=f"bob@{settings.HOST}")
    monkeypatch.setattr(moving.actions, "ask_account", lambda *, address: world.dora)
    with pytest.raises(Invalid, match="no portable identity"):
        moving.expect_move(account=world.alice, by=world.alice, old_address="dora@peer.example")
    Account.objects.filter(pk=world.alice.pk).update(moved_to=world.dora)
    world.alice.refresh_from_db()
    Account.objects.filter(pk=world.dora.pk).update(scid="QmDora")
    world.dora.refresh_from_db()
    with pytest.raises(Conflict):
        moving.expect_move(account=world.alice, by=world.alice, old_address="dora@peer.example")
    with pytest.raises(WrongState):
        moving.move_away(account=world.alice, by=world.alice, to_address="dora@peer.example")
    with pytest.raises(NotFound):
        moving.receive_move(handle="nobody", body=b"{}")
    assert not HomeOffer.objects.exists()
