"""Moves between servers that keep key logs: the log, the new actor and the new host must all say the same."""

from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest
from django.test import Client
from nacl.signing import SigningKey

from federation.models import InboxItem
from server.accounts import actions as accounts
from server.accounts.models import Account, Follow
from server.core import canonical, clock
from server.identity import contests, hostgrant, keylog
from server.identity.models import Identity
from tests.federation.stranger import Answer, Person, Server
from tests.pure.identities import commit, key, public
from tests.world import World

NONCE = "n" * 32


class Grace:
    """Grace of ``old``, who moves to ``new``; both played. Each part of the evidence can be spoilt."""

    def __init__(self, server: Server) -> None:
        self.server = server
        self.past = clock.now() - timedelta(hours=1)
        self.log = keylog.genesis(
            document=keylog.first_document(self.home("old", "home-1"), user_key=public("user-1"), custody="server"),
            key=key("root-1"), next_keys=commit("root-2"), now=self.past, loopback=True,
        )  # fmt: skip
        self.old = self.serve("old", self.log, "home-1")

    def home(self, name: str, home_key: str) -> keylog.Home:
        return keylog.Home(
            host=f"{name}.localhost", port=self.server.port, path=("u", "grace"), key=public(home_key),
            actor=self.server.url("/users/grace", name), acct=f"acct:grace@{self.server.host(name)}",
        )  # fmt: skip

    def serve(self, name: str, log: keylog.PolicyLog | None, home_key: str = "", **changes: Any) -> Person:
        """The actor document at ``name``, and the log beside it."""
        address = self.server.url("/users/grace", name)
        if log is not None:
            log_address = self.server.url("/u/grace/did.jsonl", name)
            self.server.answers[self.server.host(name), "/u/grace/did.jsonl"] = Answer(log.data, content_type="text/jsonl")
            method = {
                "id": f"{address}#home-1", "type": "Multikey", "controller": address, "publicKeyMultibase": public(home_key),
            }  # fmt: skip
            changes = {"scid": log.scid, "keyLog": log_address, "assertionMethod": [method], **changes}
        return self.server.person("grace", on=name, **changes)

    def moved(self) -> keylog.PolicyLog:
        """Her log with one more entry that names the new home."""
        return keylog.move(
            self.log, home=self.home("new", "home-2"), key=key("root-2"), next_keys=commit("root-3"),
            now=self.past + timedelta(minutes=30), loopback=True,
        )  # fmt: skip

    def grant(self, log: keylog.PolicyLog, signer: SigningKey | None = None) -> dict[str, Any]:
        made = hostgrant.make_host_grant(
            log, audience=self.server.url("", "new"), nonce=NONCE, key=signer or key("user-1"), now=log.head.entry.time
        )  # fmt: skip
        self.serve_grant(made)
        return made

    def serve_grant(self, grant: dict[str, Any]) -> None:
        self.server.serve(self.server.url("/users/grace/host-grant", "new"), grant, content_type="application/json")

    def move(self) -> dict[str, Any]:
        return self.old.activity("Move", self.old.uri, target=self.server.url("/users/grace", "new"))


@pytest.fixture
def grace(server: Server, world: World, client: Client, work: Callable[[], int]) -> Grace:
    """Alice follows grace at her old home, so that her log is kept here."""
    played = Grace(server)
    played.old.request(played.old.activity("Follow", world.bob.uri)).send(client)
    work()
    accounts.follow(follower=world.alice, target=Account.objects.get(uri=played.old.uri))
    Follow.objects.filter(follower=world.alice).update(state="accepted")
    work()
    assert Identity.objects.get(scid=played.log.scid).actor_uri == played.old.uri
    return played


@pytest.fixture
def ring(grace: Grace, client: Client, work: Callable[[], int]) -> Callable[[], InboxItem]:
    """Send the Move and let it be handled."""

    def send() -> InboxItem:
        activity = grace.move()
        assert grace.old.request(activity).send(client).status_code == 202
        work()
        return InboxItem.objects.get(uri=activity["id"])

    return send


Ring = Callable[[], InboxItem]


def refused(world: World, grace: Grace, item: InboxItem, words: str) -> None:
    assert item.state == "failed"
    assert words in item.error, item.error
    assert Follow.objects.get(follower=world.alice).target.uri == grace.old.uri
    assert Account.objects.get(uri=grace.old.uri).moved_to is None


@pytest.mark.django_db
def test_a_move_that_everything_agrees_on(world: World, grace: Grace, ring: Ring) -> None:
    log = grace.moved()
    grace.serve("new", log, "home-2", alsoKnownAs=[grace.old.uri])
    grace.grant(log)
    item = ring()
    assert (item.state, item.error) == ("handled", "")
    assert Follow.objects.get(follower=world.alice).target.uri == grace.server.url("/users/grace", "new")
    assert Identity.objects.get(scid=log.scid).head_number == 2


@pytest.mark.django_db
def test_the_log_does_not_name_the_new_account(world: World, grace: Grace, ring: Ring) -> None:
    grace.serve("new", grace.log, "home-1", alsoKnownAs=[grace.old.uri])
    refused(world, grace, ring(), "does not name the new account")


@pytest.mark.django_db
def test_the_new_account_does_not_list_the_identity(world: World, grace: Grace, ring: Ring) -> None:
    grace.serve("new", None, alsoKnownAs=[grace.old.uri])
    refused(world, grace, ring(), "does not list the identity")


@pytest.mark.django_db
def test_the_new_account_has_another_home_key(world: World, grace: Grace, ring: Ring) -> None:
    log = grace.moved()
    grace.serve("new", log, "home-1", alsoKnownAs=[grace.old.uri])
    grace.grant(log)
    refused(world, grace, ring(), "home key")


@pytest.mark.django_db
def test_the_new_host_shows_no_grant(world: World, grace: Grace, ring: Ring) -> None:
    grace.serve("new", grace.moved(), "home-2", alsoKnownAs=[grace.old.uri])
    item = ring()
    assert item.state != "handled"
    assert Follow.objects.get(follower=world.alice).target.uri == grace.old.uri


@pytest.mark.django_db
@pytest.mark.parametrize("spoil", [{"nonce": "m" * 32}, {"homeKey": "z6Mk"}, {"audience": "https://other.example"}, {"v": 2}])
def test_a_forged_grant(world: World, grace: Grace, ring: Ring, spoil: dict[str, Any]) -> None:
    log = grace.moved()
    grace.serve("new", log, "home-2", alsoKnownAs=[grace.old.uri])
    grace.serve_grant({**grace.grant(log), **spoil})
    refused(world, grace, ring(), "grant")


@pytest.mark.django_db
def test_a_log_with_one_byte_changed(world: World, grace: Grace, ring: Ring) -> None:
    log = grace.moved()
    grace.serve("new", log, "home-2", alsoKnownAs=[grace.old.uri])
    grace.grant(log)
    lines = log.data.split(b"\n")
    lines[1] = lines[1].replace(b"grace@new", b"grice@new", 1)
    grace.server.answers[grace.server.host("new"), "/u/grace/did.jsonl"] = Answer(b"\n".join(lines), content_type="text/jsonl")
    item = ring()
    assert item.state == "failed"
    assert Follow.objects.get(follower=world.alice).target.uri == grace.old.uri
    assert Identity.objects.get(scid=log.scid).head_number == 1


@pytest.mark.django_db
def test_nobody_follows_a_contested_identity_by_itself(world: World, grace: Grace, ring: Ring) -> None:
    log = grace.moved()
    rival = keylog.rotate_home(
        grace.log, home_key=public("rival"), key=key("root-2"), next_keys=commit("root-3"), now=grace.past + timedelta(minutes=20),
        loopback=True,
    )  # fmt: skip
    fork = keylog.find_fork(log, rival)
    assert fork is not None
    contests.take_evidence(data=canonical.jcs(keylog.prove_fork(fork)))
    grace.serve("new", log, "home-2", alsoKnownAs=[grace.old.uri])
    grace.grant(log)
    refused(world, grace, ring(), "two histories")
    # The log itself was taken, and the change of homes was not acted upon.
    assert Identity.objects.get(scid=log.scid).head_number == 2
