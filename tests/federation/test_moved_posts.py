"""Old and new ids of posts that moved (FEP-1580): the map that a new home shows, and how an old home sends on by one."""

import urllib.parse
from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest
from django.db import transaction
from django.test import Client

from federation import migration
from federation.fetch import fetch_actor
from federation.models import Delivery, Migration, MovedPost
from server.accounts import actions as accounts
from server.accounts.facts import PostsMoved
from server.accounts.models import Account
from server.core import clock, facts
from server.videos import actions as videos
from tests.federation.other_rules import mastodon_takes_proof
from tests.federation.proving import key, method, prove
from tests.federation.stranger import ACTIVITY, Person, Server
from tests.world import World
from tests.world import published as published_row

pytestmark = pytest.mark.django_db
AS = {"Accept": ACTIVITY}
OLD = "https://old.example/users/alice"


def path(uri: str) -> str:
    return urllib.parse.urlsplit(uri).path


# --- at the new home ---


def test_a_new_home_shows_what_came(world: World, client: Client, work: Callable[[], int]) -> None:
    assert client.get("/users/alice/migration", headers=AS).status_code == 404
    assert "migration" not in client.get("/users/alice", headers=AS).json()
    moved = [[f"{OLD}/posts/{number}", published_row(world.alice).uri] for number in range(45)]

    def tell(pairs: list[list[str]], *, complete: bool) -> None:
        with transaction.atomic():
            facts.record(PostsMoved(account_id=world.alice.pk, old_actor_uri=OLD, moved=pairs, is_complete=complete))
        work()

    tell(moved[:30], complete=False)
    actor = client.get("/users/alice", headers=AS).json()
    assert client.get(path(actor["migration"]), headers=AS).json()["migrationComplete"] is False
    tell(moved, complete=True)
    # Said twice it is there once; an old id keeps its first new one.
    tell([[moved[0][0], "http://localhost:8000/users/alice/posts/1"]], complete=True)
    whole = client.get(path(actor["migration"]), headers=AS)
    assert (whole.json()["type"], whole.json()["totalItems"], whole.json()["migrationComplete"]) == (
        "OrderedCollection",
        45,
        True,
    )
    assert client.get(path(actor["migration"]), headers=AS).content == whole.content
    mastodon_takes_proof(whole.json(), actor)
    seen, following = [], whole.json()["first"]
    while following:
        page = client.get(following.removeprefix("http://localhost:8000"), headers=AS).json()
        mastodon_takes_proof(page, actor)
        seen += [[item["origin"], item["target"]] for item in page["orderedItems"]]
        assert {(item["type"], item["actor"]) for item in page["orderedItems"]} == {("Move", OLD)}
        following = page.get("next")
    assert sorted(seen) == sorted(moved)


# --- at the old home ---


class NewHome:
    """The account at a played server to which alice moved, and the map it shows."""

    def __init__(self, server: Server, world: World) -> None:
        self.server = server
        self.uri = server.url("/users/alice", "new")
        self.person = Person(self.uri, "alice")
        self.map_uri = f"{self.uri}/migration"
        self.listed = [method(self.person, "home-1", key("new"))]
        server.person("alice", on="new", assertionMethod=self.listed, migration=self.map_uri)
        Account.objects.filter(pk=world.alice.pk).update(moved_to=fetch_actor(self.uri).account, updated_at=clock.now())

    def show(self, moved: list[tuple[str, str]], *, complete: bool = True, by: str = "new", **changes: Any) -> None:
        """The map in two pages."""
        half = (len(moved) + 1) // 2
        pages = [f"{self.map_uri}?page=1", f"{self.map_uri}?page=2"]
        whole = {"id": self.map_uri, "type": "OrderedCollection", "first": pages[0], "migrationComplete": complete}
        self._serve(whole, by, **changes)
        for page, part, more in ((pages[0], moved[:half], {"next": pages[1]}), (pages[1], moved[half:], {})):
            items = [{"type": "Move", "origin": old, "target": new} for old, new in part]
            self._serve({"id": page, "type": "OrderedCollectionPage", "items": items, **more}, by, **changes)

    def _serve(self, document: dict[str, Any], by: str, **changes: Any) -> None:
        document = {**document, "attributedTo": self.uri, **changes}
        self.server.serve(document["id"], prove(document, key(by), f"{self.uri}#home-1") if by else document)


@pytest.fixture
def new_home(server: Server, world: World) -> NewHome:
    return NewHome(server, world)


def test_an_old_home_sends_on(world: World, new_home: NewHome, client: Client) -> None:
    one, two, three = (published_row(world.alice) for _ in range(3))
    comment = videos.comment(video=published_row(world.bob), by=world.bob, text="x")
    moved = [(one.uri, f"{new_home.uri}/posts/1"), (two.uri, f"{new_home.uri}/posts/2")]
    assert client.get(path(one.uri), headers=AS).status_code == 200
    new_home.show(moved)
    assert migration.learn_due() == 1
    for uri, target in moved:
        for headers in (AS, {"Accept": "text/html"}):
            answer = client.get(path(uri), headers=headers)
            assert (answer.status_code, answer.headers["Location"]) == (301, target)
    # What is not in the map stays as it is, and so does what others said.
    assert client.get(path(three.uri), headers=AS).json()["type"] == "Note"
    assert client.get(path(comment.uri), headers=AS).status_code == 200
    # It is complete: nobody is asked again.
    with clock.moved(timedelta(days=1)):
        assert migration.learn_due() == 0


def test_a_map_that_grows_is_asked_for_again(world: World, new_home: NewHome, client: Client) -> None:
    one, two = published_row(world.alice), published_row(world.alice)
    new_home.show([(one.uri, f"{new_home.uri}/posts/1")], complete=False)
    assert migration.learn_due() == 1
    assert migration.learn_due() == 0
    new_home.show([(one.uri, f"{new_home.uri}/posts/1"), (two.uri, f"{new_home.uri}/posts/2")])
    with clock.moved(timedelta(hours=2)):
        assert migration.learn_due() == 1
    assert client.get(path(two.uri), headers=AS).status_code == 301


@pytest.mark.parametrize(("by", "changes", "error"), [
    ("", {}, "wrong_proof"),
    ("thief", {}, "wrong_proof"),
    ("new", {"attributedTo": "http://other.localhost/users/mallory"}, "wrong_document"),
])  # fmt: skip
def test_a_map_that_she_did_not_sign_is_none(
    world: World, new_home: NewHome, client: Client, by: str, changes: dict[str, Any], error: str
) -> None:
    one = published_row(world.alice)
    new_home.show([(one.uri, f"{new_home.uri}/posts/1")], by=by, **changes)
    assert migration.learn_due() == 1
    assert Migration.objects.get().error.startswith(error)
    assert not MovedPost.objects.exists()
    assert client.get(path(one.uri), headers=AS).status_code == 200


def test_only_her_own_posts_and_only_to_her_new_home(world: World, new_home: NewHome, client: Client) -> None:
    hers, bobs = published_row(world.alice), published_row(world.bob)
    new_home.show(
        [(bobs.uri, f"{new_home.uri}/posts/1"), (hers.uri, "https://evil.example/posts/1"), (world.bob.uri, new_home.uri)]
    )
    assert migration.learn_due() == 1
    assert not MovedPost.objects.exists()
    for video in (hers, bobs):
        assert client.get(path(video.uri), headers=AS).status_code == 200


def test_without_a_map_everything_stays(world: World, server: Server, client: Client) -> None:
    """FEP-1580: the source goes on hosting the originals; never 410 for somebody who moved."""
    home = NewHome(server, world)
    one = published_row(world.alice)
    assert migration.learn_due() == 1
    assert "missing" in Migration.objects.get().error
    assert client.get(path(one.uri), headers=AS).json()["type"] == "Note"
    actor = client.get("/users/alice", headers=AS).json()
    assert actor["movedTo"] == home.uri
    assert "migration" not in actor


def test_nobody_who_moved_is_ever_gone(world: World, new_home: NewHome, client: Client, work: Callable[[], int]) -> None:
    """She closes the empty shell at the old home: her posts still lead to the new one, and nothing answers 410 for her."""
    one, two = published_row(world.alice), published_row(world.alice)
    new_home.show([(one.uri, f"{new_home.uri}/posts/1")])
    assert migration.learn_due() == 1
    alice = Account.objects.get(pk=world.alice.pk)
    accounts.close_account(account=alice, by=alice)
    work()
    assert client.get("/users/alice", headers=AS).status_code == 404
    assert client.get(path(one.uri), headers=AS).status_code == 301
    assert client.get(path(two.uri), headers=AS).status_code == 404
    # Others are not told that she is gone either: they would drop her followers.
    assert not Delivery.objects.filter(kind="Delete").exists()
    # Who did not move and leaves is gone.
    accounts.close_account(account=world.bob, by=world.bob)
    work()
    assert client.get("/users/bob", headers=AS).status_code == 410
