"""Moves that the new account tells, because the old home may be dead (FEP-7628): believed when both sides are linked."""

from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest
from django.core.cache import cache
from django.test import Client

from federation import identities
from federation.models import Actor, Delivery, InboxItem, Peer
from federation.wire import json
from server.accounts import actions as accounts
from server.accounts import bringing
from server.accounts.models import Account, Follow
from server.core import clock, worker
from server.identity import statements
from tests.federation.stranger import Answer, Person, Server
from tests.federation.test_identity_moves import Grace, grace
from tests.pure.identities import key
from tests.server.test_moving import send
from tests.server.wanderers import wanderer
from tests.world import World

__all__ = ["grace"]
pytestmark = pytest.mark.django_db
Arrive = Callable[[Person, dict[str, Any]], InboxItem]


@pytest.fixture
def arrive(client: Client, work: Callable[[], int]) -> Arrive:
    def send_it(sender: Person, activity: dict[str, Any]) -> InboxItem:
        assert sender.request(activity).send(client).status_code == 202
        work()
        return InboxItem.objects.get(uri=activity["id"])

    return send_it


def followed(world: World, arrive: Arrive, server: Server, **changes: Any) -> Person:
    """Grace of ``old``, whom alice follows; then her home dies."""
    old = server.person("grace", on="old", **changes)
    arrive(old, old.activity("Follow", world.bob.uri))
    accounts.follow(follower=world.alice, target=Account.objects.get(uri=old.uri))
    Follow.objects.filter(follower=world.alice).update(state="accepted")
    for place in list(server.answers):
        if place[0] == server.host("old"):
            server.answers[place] = Answer(b"", 502, "text/plain")
    return old


def pull(new: Person, old: Person) -> dict[str, Any]:
    return new.activity("Move", old.uri, target=new.uri)


def target(world: World) -> str:
    return Follow.objects.get(follower=world.alice).target.uri


def test_aliases_both_ways(world: World, arrive: Arrive, server: Server) -> None:
    new_uri = server.url("/users/grace", "new")
    old = followed(world, arrive, server, alsoKnownAs=[new_uri])
    new = server.person("grace", on="new", alsoKnownAs=[old.uri])
    stranger = server.person("mallory", on="new", alsoKnownAs=[old.uri])
    assert "never said" in arrive(stranger, pull(stranger, old)).error, "an alias on one side is what anybody can write"
    assert arrive(new, stranger.activity("Move", old.uri, target=stranger.uri) | {"actor": new.uri}).state == "failed"
    assert target(world) == old.uri
    assert arrive(new, pull(new, old)).state == "handled"
    assert target(world) == new_uri


def test_identity_proofs_by_one_key(world: World, arrive: Arrive, server: Server) -> None:
    def proven(name: str, by: str) -> list[Any]:
        return [statements.make_statement(key=key(by), actor=server.url("/users/grace", name), now=clock.now())]

    old = followed(
        world, arrive, server, attachment=[*proven("old", "grace"), {"type": "PropertyValue", "name": "x", "value": "y"}]
    )
    assert len(Account.objects.get(uri=old.uri).identity_proofs) == 1
    for attachment in ([], proven("new", "mallory"), proven("old", "grace")):
        new = server.person("grace", on="new", attachment=attachment)
        assert "never said" in arrive(new, pull(new, old)).error
    new = server.person("grace", on="new", attachment=proven("new", "grace"))
    assert arrive(new, pull(new, old)).state == "handled"
    assert target(world) == new.uri


def test_one_month_whoever_tells(world: World, arrive: Arrive, server: Server) -> None:
    places = [server.url("/users/grace", name) for name in ("new", "third")]
    old = followed(world, arrive, server, alsoKnownAs=places)
    new, third = (server.person("grace", on=name, alsoKnownAs=[old.uri]) for name in ("new", "third"))
    assert arrive(new, pull(new, old)).state == "handled"
    assert "once in 30 days" in arrive(third, pull(third, old)).error
    assert target(world) == new.uri


def test_of_somebody_nobody_here_knows(world: World, arrive: Arrive, server: Server) -> None:
    new = server.person("grace", on="new", alsoKnownAs=["https://unknown.example/users/grace"])
    item = arrive(new, new.activity("Move", "https://unknown.example/users/grace", target=new.uri))
    assert item.state == "ignored"
    ours = arrive(new, new.activity("Move", world.bob.uri, target=new.uri))
    assert ours.state == "failed", "an account of ours is nobody's to move"


def test_where_there_is_a_log_the_log_decides(world: World, grace: Grace, arrive: Arrive) -> None:
    new = grace.serve("new", grace.moved(), "home-2", alsoKnownAs=[grace.old.uri])
    assert arrive(new, pull(new, grace.old)).state != "handled", "no grant is shown"
    grace.grant(grace.moved())
    log = grace.moved()
    grace.serve("new", log, "home-2", alsoKnownAs=[grace.old.uri])
    grace.grant(log)
    item = arrive(new, pull(new, grace.old))
    assert (item.state, item.error) == ("handled", "")
    assert target(world) == new.uri


def test_a_thief_cannot_point_a_log_elsewhere(world: World, grace: Grace, arrive: Arrive) -> None:
    """Aliases and proofs count for nothing where a log is known."""
    mallory = grace.server.person("mallory", on="evil", alsoKnownAs=[grace.old.uri])
    Account.objects.filter(uri=grace.old.uri).update(also_known_as=[mallory.uri])
    item = arrive(mallory, pull(mallory, grace.old))
    assert "does not list the identity" in item.error
    assert target(world) == grace.old.uri


def test_moves_to_one_server_are_rationed(world: World, grace: Grace, monkeypatch: pytest.MonkeyPatch) -> None:
    cache.clear()
    monkeypatch.setattr(identities.limits, "MOVES_PER_HOST_AND_MINUTE_MAX", 0)
    log = grace.moved()
    grace.serve("new", log, "home-2", alsoKnownAs=[grace.old.uri])
    grace.grant(log)
    old = Account.objects.get(uri=grace.old.uri)
    with pytest.raises(identities.TooManyMoves) as refused:
        identities.repoint_by_log(old=old, new=identities.fetch_actor(grace.server.url("/users/grace", "new")).account)
    assert not refused.value.permanent, "it is tried again"
    assert target(world) == grace.old.uri


# --- what we tell ---


def test_the_new_home_tells_the_servers_of_former_followers(client: Client, world: World, work: Callable[[], int]) -> None:
    gone = wanderer()
    rows = [
        {"actor": f"https://{host}/users/{n}", "inbox": f"https://{host}/users/{n}/inbox", "sharedInbox": f"https://{host}/inbox"}
        for host in ("one.example", "two.example") for n in range(3)
    ]  # fmt: skip
    offer = bringing.bring(account=world.alice, by=world.alice, named="", log=gone.log.data)
    bringing.keep_followers(account=world.alice, rows=rows)
    work()
    assert not Delivery.objects.filter(kind="Move").exists(), "nobody has arrived"
    assert send(client, gone.move(offer)).status_code == 200
    work()
    owed = Delivery.objects.filter(kind="Move")
    assert {row.inbox for row in owed} == {"https://one.example/inbox", "https://two.example/inbox"}
    activity = json.parse(owed[0].body.encode())
    assert (activity["actor"], activity["target"]) == (world.alice.uri, world.alice.uri)
    assert activity["object"] == "http://localhost:8001/users/alice"
    # The same list again, and one who is new: nobody is told twice.
    late = {"actor": "https://three.example/users/x", "inbox": "https://three.example/users/x/inbox"}
    bringing.keep_followers(account=world.alice, rows=[*rows, late])
    work()
    assert Delivery.objects.filter(kind="Move").count() == 3


def test_what_cannot_be_taken_back_waits_after_a_key_of_lower_priority(
    client: Client, world: World, work: Callable[[], int]
) -> None:
    """Only servers that keep logs are told at once: they ask the log. The others hear of it when the owner could have spoken."""
    device = key("device")
    gone = wanderer(device=device)
    Peer.objects.create(host="ours.example", software="tributary")
    Peer.objects.create(host="masto.example", software="mastodon")
    rows = [{"actor": f"https://{host}/u/1", "inbox": f"https://{host}/u/1/inbox"} for host in ("ours.example", "masto.example")]
    offer = bringing.bring(account=world.alice, by=world.alice, named="", log=gone.log.data)
    assert send(client, gone.move_with(device, offer)).status_code == 200
    bringing.keep_followers(account=world.alice, rows=rows)
    work()
    assert [row.host for row in Delivery.objects.filter(kind="Move")] == ["ours.example"]
    with clock.moved(timedelta(hours=71, minutes=59)):
        worker.work("federation")
        assert Delivery.objects.filter(kind="Move").count() == 1
    with clock.moved(timedelta(hours=72, seconds=5)):
        worker.work("federation")
        assert {row.host for row in Delivery.objects.filter(kind="Move")} == {"ours.example", "masto.example"}


def test_followers_on_the_new_home_itself_come_along(client: Client, world: World, work: Callable[[], int]) -> None:
    gone = wanderer()
    old = Account.objects.create(handle="alice", domain="localhost:8001", uri="http://localhost:8001/users/alice", scid=gone.scid)
    Actor.objects.create(
        uri=old.uri, peer=Peer.objects.create(host="localhost:8001"), account=old, kind="Person", inbox=f"{old.uri}/inbox",
        key_id=f"{old.uri}#main-key", public_key_pem="x",
    )  # fmt: skip
    Follow.objects.create(follower=world.bob, target=old, state="accepted", uri=f"{world.bob.uri}/follows/1")
    offer = bringing.bring(account=world.alice, by=world.alice, named="", log=gone.log.data)
    assert send(client, gone.move(offer)).status_code == 200
    work()
    row = Follow.objects.get(follower=world.bob, target=world.alice)
    assert row.state == "accepted"
    assert not Follow.objects.filter(follower=world.bob, target=old).exists()
