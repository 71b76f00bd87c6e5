"""Proofs of people whose key log is kept here: the log decides which key spoke when (FORMATS, V17; acceptance test A10)."""

from collections.abc import Callable
from datetime import datetime, timedelta
from typing import Any

import pytest
from django.test import Client

from federation import proven
from federation.models import InboxItem, ProvenDocument
from server.accounts import actions as accounts
from server.accounts.models import Account, Follow
from server.core import clock
from server.identity import actions as identities
from server.identity import copies, keylog
from server.identity.models import Identity
from server.videos.models import Video
from tests.federation.proving import method, prove
from tests.federation.stranger import Answer, Person, Server
from tests.federation.test_identity_moves import Grace
from tests.pure.identities import commit, key, public
from tests.world import World

pytestmark = pytest.mark.django_db


class Signing(Grace):
    """Grace, who signs what she says by the keys of her log."""

    def serve(self, name: str, log: keylog.PolicyLog | None, home_key: str = "", **changes: Any) -> Person:
        uri = self.server.url("/users/grace", name)
        number = home_key.removeprefix("home-")
        person = Person(uri, "grace")
        listed = [method(person, f"home-{number}", key(home_key)), method(person, "user-1", key("user-1"))]
        return super().serve(name, log, home_key, **{"assertionMethod": listed, **changes})

    def rotated(self) -> keylog.PolicyLog:
        """Her log with one more entry, which removes ``home-1``."""
        return keylog.rotate_home(
            self.log,
            home_key=public("home-2"),
            key=key("root-2"),
            next_keys=commit("root-3"),
            now=self.past + timedelta(minutes=30),
            loopback=True,
        )

    def post(self, slug: str, *, by: str = "home-1", name: str = "", at: datetime | None = None) -> dict[str, Any]:
        named = f"{self.old.uri}#{name or by}"
        note = prove(self.old.note(slug), key(by), named, at=at)
        return prove(self.old.activity("Create", note), key(by), named, at=at)


@pytest.fixture
def grace(server: Server, world: World, client: Client, work: Callable[[], int]) -> Signing:
    """Alice follows her, so her log is kept here."""
    played = Signing(server)
    played.old.request(played.old.activity("Follow", world.bob.uri)).send(client)
    work()
    accounts.follow(follower=world.alice, target=Account.objects.get(uri=played.old.uri))
    Follow.objects.filter(follower=world.alice).update(state="accepted")
    work()
    assert Identity.objects.get(scid=played.log.scid).actor_uri == played.old.uri
    return played


@pytest.fixture
def frank(server: Server) -> Person:
    return server.person("frank", on="other")


@pytest.fixture
def door(client: Client, work: Callable[[], int]) -> Callable[..., tuple[int, str]]:
    def send(person: Person, activity: dict[str, Any], path: str = "/inbox") -> tuple[int, str]:
        response = person.request(activity, path=path).send(client)
        work()
        return response.status_code, "" if response.status_code == 202 else response.json()["reason"]

    return send


Door = Callable[..., tuple[int, str]]


@pytest.mark.parametrize("path", ["/inbox", "/users/alice/inbox"])
@pytest.mark.parametrize("carried", [True, False])
@pytest.mark.parametrize("still_listed", [True, False])
def test_a10_a_forged_post_dated_back_is_refused_after_the_rotation(
    door: Door, grace: Signing, frank: Person, still_listed: bool, carried: bool, path: str
) -> None:
    """The thief has ``#home-1``, which signed well before; a hostile old home may even go on listing it."""
    sender = frank if carried else grace.old
    before = grace.past + timedelta(minutes=10)
    assert door(sender, grace.post("1", at=before), path) == (202, "")
    log = grace.rotated()
    identities.accept_log(data=log.data, requested=log.scid)
    grace.serve("old", log, "home-1" if still_listed else "home-2")
    reason = "key_removed" if still_listed or carried else "unknown_proof_key"
    status, why = door(sender, grace.post("2", at=before), path)
    assert status == 401
    assert why in {reason, "key_removed"}
    # Dated after the rotation it is no better.
    assert door(sender, grace.post("3"), path)[0] == 401
    assert [video.uri for video in Video.objects.all()] == [f"{grace.old.uri}/posts/1"]
    # The key of today speaks, under the name that the log gives it.
    assert door(grace.old, grace.post("4", by="home-2"), path)[0] == (401 if still_listed else 202)


def test_what_was_here_before_the_rotation_stays_proven(door: Door, grace: Signing, frank: Person) -> None:
    """We had it when the key was good: that is as good as a head. A copy that we never had is refused."""
    before = grace.past + timedelta(minutes=10)
    kept, unseen = grace.post("1", at=before), grace.post("2", at=before)
    with clock.moved(timedelta(minutes=-45)):
        assert door(frank, {**kept}) == (202, "")
    identities.accept_log(data=grace.rotated().data, requested=grace.log.scid)
    copy = proven.check_copy(kept["object"])
    assert (copy.actor, copy.number) == (grace.old.uri, 1)
    assert ProvenDocument.objects.get().made_at < clock.now() - timedelta(minutes=40)
    with pytest.raises(copies.CopyRefused) as refused:
        proven.check_copy(unseen["object"])
    assert refused.value.reason == "key_removed"


def test_the_log_gives_the_key_and_its_name(door: Door, grace: Signing, frank: Person) -> None:
    """Her document lists a key that her log does not know, or a known one under another name."""
    person = grace.old
    listed = [method(person, "home-1", key("thief")), method(person, "home-7", key("home-1"))]
    grace.serve("old", grace.log, "home-1", assertionMethod=listed)
    grace.server.received.clear()
    assert door(frank, grace.post("1", by="thief", name="home-1")) == (401, "wrong_proof")
    assert door(frank, grace.post("2", by="home-1", name="home-7")) == (401, "key_not_in_log")
    assert not Video.objects.exists()


def test_a_log_that_went_on_is_asked_for(door: Door, grace: Signing, frank: Person) -> None:
    """Her home rotated its key and nobody told us: the log at her home knows it."""
    Identity.objects.update(checked_at=clock.now() - timedelta(hours=1))
    log = grace.rotated()
    grace.serve("old", log, "home-2")
    assert door(frank, grace.post("1", by="home-2")) == (202, "")
    assert Identity.objects.get(scid=log.scid).head_number == 2
    assert Video.objects.count() == 1


def test_the_old_home_says_nothing_after_she_left(door: Door, grace: Signing) -> None:
    """Its key fell out of the log with the move; only its own document still lists it."""
    log = grace.moved()
    grace.serve("new", log, "home-2", alsoKnownAs=[grace.old.uri])
    identities.accept_log(data=log.data, requested=log.scid)
    assert door(grace.old, grace.post("1")) == (401, "key_removed")
    assert not Video.objects.exists()


def test_her_own_key_speaks_for_the_old_account_when_its_home_is_dead(
    door: Door, grace: Signing, frank: Person, server: Server, world: World
) -> None:
    """The Move of a dead home (T3), carried by somebody else: signed with ``#user-1``, which we know from before."""
    assert door(grace.old, grace.post("1")) == (202, "")
    log = grace.moved()
    grace.serve("new", log, "home-2", alsoKnownAs=[grace.old.uri])
    grace.grant(log)
    for address in list(server.answers):
        if address[0] == server.host("old"):
            server.answers[address] = Answer(b"", 503)
    move = prove(grace.move(), key("user-1"), f"{grace.old.uri}#user-1")
    assert door(frank, prove(grace.move(), key("thief"), f"{grace.old.uri}#user-1")) == (401, "wrong_proof")
    assert Follow.objects.get(follower=world.alice).target.uri == grace.old.uri
    assert door(frank, move) == (202, "")
    assert InboxItem.objects.get(uri=move["id"]).state == "handled"
    assert Follow.objects.get(follower=world.alice).target.uri == server.url("/users/grace", "new")


def test_a_copy_from_anywhere_is_judged_by_the_log_alone(grace: Signing, server: Server) -> None:
    """No request leaves; each way to be wrong has its name."""
    server.received.clear()
    note = grace.post("1", at=grace.past + timedelta(minutes=10))["object"]
    assert proven.check_copy(note).key == public("home-1")
    cases: list[tuple[dict[str, Any], str]] = [
        ({name: value for name, value in note.items() if name != "proof"}, "no_proof"),
        ({**note, "content": "x"}, "wrong_proof"),
        ({**note, "attributedTo": "https://nobody.example/users/x"}, "unknown_identity"),
        ({**note, "attributedTo": [grace.old.uri], "proof": {**note["proof"], "verificationMethod": "https://x.example/u#home-1"}}, "foreign_key"),
        ({**note, "proof": {**note["proof"], "verificationMethod": f"{grace.old.uri}#home-2"}}, "key_not_in_log"),
        ({**note, "proof": {**note["proof"], "cryptosuite": "other"}}, "malformed_proof"),
    ]  # fmt: skip
    for document, reason in cases:
        with pytest.raises(copies.CopyRefused) as refused:
            proven.check_copy(document)
        assert refused.value.reason == reason
    early = grace.post("2", at=grace.past - timedelta(hours=1))["object"]
    with pytest.raises(copies.CopyRefused) as refused:
        proven.check_copy(early)
    assert refused.value.reason == "key_removed"
    assert server.received == []


def test_only_a_head_from_before_covers_a_removed_key(grace: Signing) -> None:
    log, at = grace.rotated(), grace.past + timedelta(minutes=10)
    note = grace.post("1", at=at)["object"]
    assert copies.check_copy(note, log=log, now=clock.now(), covered_at=at).digest == keylog.digest_of(note)
    for covered_at in (None, log.head.entry.time, clock.now()):
        with pytest.raises(copies.CopyRefused) as refused:
            copies.check_copy(note, log=log, now=clock.now(), covered_at=covered_at)
        assert refused.value.reason == "key_removed"
