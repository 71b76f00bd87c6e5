"""Requests that running servers sent, replayed at our door at the time they were made: let in by their real signatures,
and understood or ignored with a reason.
"""

import json
from collections.abc import Callable
from typing import Any

import pytest
from django.test import Client

from federation import inbox
from federation.facts import ActivityReceived
from federation.models import Actor, InboxItem, Peer
from federation.wire.objects import read_actor
from server.accounts import actions as accounts
from server.accounts.models import Account, Follow
from server.accounts.remote import RemoteProfile
from server.core import clock
from server.core.models import Task
from server.videos.models import Comment
from tests.pure import captures
from tests.world import World, published

Replay = Callable[[str], Any]


def known(document: dict[str, Any], *, peer: str) -> Account | None:
    """The actor of a captured document, as if it had been fetched (its server does not run here)."""
    actor = read_actor(document)
    account = None
    if actor.kind != "Application":
        account = accounts.receive_remote_account(
            profile=RemoteProfile(uri=actor.uri, handle=actor.handle, domain=peer, url=actor.url)
        )
    row, _ = Peer.objects.get_or_create(host=peer)
    (key,) = actor.keys
    Actor.objects.create(
        uri=actor.uri,
        peer=row,
        account=account,
        kind=actor.kind,
        inbox=actor.inbox,
        shared_inbox=actor.shared_inbox,
        key_id=key.id,
        public_key_pem=key.pem,
        fetched_at=captures.moment("gotosocial/delivered_Accept_1"),
    )
    return account


@pytest.fixture
def replay(world: World, client: Client, settings: Any, work: Callable[[], int]) -> Replay:
    """Send a captured request to the host it was made for, at the time it was made, and let it be handled."""
    settings.ALLOWED_HOSTS = ["*"]

    def send(name: str) -> Any:
        message = captures.message(name)
        settings.HOST = message.headers["host"]
        headers = {key: value for key, value in message.headers.items() if key not in {"content-type", "content-length"}}
        with clock.moved(captures.moment(name) - clock.now()):
            response = client.post(
                message.target, data=message.body, content_type=message.headers["content-type"], headers=headers
            )
            Task.objects.update(next_try_at=clock.now())
            work()
        return response

    return send


def test_gotosocial_creates(replay: Replay) -> None:
    known(captures.load("gotosocial/actor")["document"], peer="gts2.test")
    assert replay("gotosocial/delivered_Create_1").status_code == 202
    item = InboxItem.objects.get()
    assert (item.kind, item.state, item.error) == ("Create", "ignored", "it has no video attached")
    assert item.key_id == "https://gts2.test/users/carol/main-key"
    assert replay("gotosocial/delivered_Create_1").json()["reason"] == "replay"


def test_gotosocial_accepts(replay: Replay, world: World) -> None:
    carol = known(captures.load("gotosocial/actor")["document"], peer="gts2.test")
    follow = captures.load("gotosocial/delivered_Accept_1")["activity"]["object"]["id"]
    Follow.objects.create(follower=world.alice, target=carol, state="pending", uri=follow)
    assert replay("gotosocial/delivered_Accept_1").status_code == 202
    assert InboxItem.objects.get().state == "handled"
    assert Follow.objects.get().state == "accepted"


def test_peertube_accepts_with_its_actor_as_key_id(
    replay: Replay, world: World, client: Client, settings: Any, work: Callable[[], int]
) -> None:
    channel = known(captures.load("peertube-prod/actor")["document"], peer="pt1.test")
    follow = captures.load("peertube-prod/delivered_Accept_1")["activity"]["object"]["id"]
    Follow.objects.create(follower=world.alice, target=channel, state="pending", uri=follow)
    accounts_inbox = captures.message("peertube-prod/delivered_Accept_1").target
    assert accounts_inbox == "/u/cap/inbox"
    # It was sent to an address that is none of ours, so only the door's own judgement is asked.
    settings.HOST = "sink.test"
    name = "peertube-prod/delivered_Accept_1"
    with clock.moved(captures.moment(name) - clock.now()):
        assert isinstance(inbox.accept(captures.message(name)), inbox.Accepted)
        Task.objects.update(next_try_at=clock.now())
        work()
    assert Follow.objects.get().state == "accepted"


def test_peertube_announces_a_video_that_cannot_be_fetched(replay: Replay) -> None:
    known(captures.load("peertube-prod/actor")["document"], peer="pt1.test")
    assert replay("peertube-prod/delivered_Announce_1").status_code == 202
    item = InboxItem.objects.get()
    assert (item.kind, item.state) == ("Announce", "received")
    assert "pt1.test" in item.error
    assert Task.objects.get(fact="ActivityReceived").attempts == 1


def test_keys_of_a_test_server_are_too_short(replay: Replay) -> None:
    known(captures.load("peertube/actor_account_person")["document"], peer="127.0.0.1:9001")
    for name in ("peertube/delivered_Create_Video_1", "peertube/delivered_Update_Video_1", "peertube/delivered_Delete_uri_1"):
        response = replay(name)
        assert (response.status_code, response.json()["reason"]) == (401, "bad_key")
    assert not InboxItem.objects.exists()


@pytest.mark.parametrize(
    ("name", "actor", "outcome"),
    [
        (
            "Accept_Follow_1",
            "actor_instance",
            ("ignored", "its sender is of kind Application, which speaks for a server and not for a person"),
        ),
        ("Create_Note_1", "actor_account_person", ("ignored", "it replies to nothing that we know")),
        ("Create_Video_1", "actor_account_person", ("ignored", "Video is not a kind of post that we show")),
        ("Update_Video_1", "actor_account_person", ("ignored", "it changes nothing that we know")),
        ("Delete_uri_1", "actor_account_person", ("ignored", "it was not here; it will not come")),
        ("View_uri_1", "actor_instance", ("ignored", "View is not a kind that we handle")),
    ],
)
def test_what_peertube_says_is_understood_or_ignored(world: World, name: str, actor: str, outcome: tuple[str, str]) -> None:
    """Past the door (their keys are too short for it): each activity has an outcome and a reason."""
    capture = captures.load(f"peertube/delivered_{name}")
    known(captures.load(f"peertube/{actor}")["document"], peer="127.0.0.1:9001")
    item = InboxItem.objects.create(
        uri=capture["activity"]["id"],
        actor=Actor.objects.get(uri=capture["activity"]["actor"]),
        kind=capture["activity"]["type"],
        body=capture["raw_body"].encode(),
    )
    inbox.handle(ActivityReceived(inbox_item_id=item.pk))
    item.refresh_from_db()
    assert (item.state, item.error) == outcome


def test_a_comment_of_peertube_is_a_comment(world: World, work: Callable[[], int]) -> None:
    """The document itself, from somebody who is known here, in a thread that is known here."""
    from federation import reading
    from federation.wire.objects import read_note
    from server.videos import actions as videos

    document = json.loads(json.dumps(captures.load("peertube/comment_note")["document"]))
    root = known(captures.load("peertube/actor_account_person")["document"], peer="127.0.0.1:9001")
    assert root is not None
    published(root, uri=document["inReplyTo"])
    note = read_note(document)
    assert note.attributed_to == root.uri
    videos.receive_remote_comment(account=root, remote=reading.comment(note))
    comment = Comment.objects.get()
    assert (comment.text, comment.html, comment.uri) == ("first local comment", "<p>first local comment</p>", document["id"])
