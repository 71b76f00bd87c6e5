"""From what our people do to what is owed: every verb, who is told, who is not, and how often."""

import json
from collections.abc import Callable
from typing import Any

import pytest

from federation import tombstones
from federation.models import Actor, Delivery
from server.accounts import actions as accounts
from server.accounts.models import Account, Follow
from server.core import clock
from server.core.models import Task
from server.videos import actions as videos
from tests.world import World, published, remote

PEER = "https://peer.example/inbox"


def owed(*kinds: str) -> list[tuple[str, str, str]]:
    """(kind, sender, inbox) of what is owed, in order."""
    rows = Delivery.objects.select_related("sender").order_by("id")
    found = [(row.kind, row.sender.handle if row.sender else "", row.inbox) for row in rows]
    return [each for each in found if not kinds or each[0] in kinds]


def bodies(kind: str) -> list[dict[str, Any]]:
    return [json.loads(row.body) for row in Delivery.objects.filter(kind=kind).order_by("id")]


@pytest.fixture
def audience(world: World, work: Callable[[], int]) -> World:
    """Dora and erin of one server and frank of another follow alice; grace asked and waits; nobody follows charlie."""
    for handle, domain, state in [
        ("dora", "peer.example", "accepted"),
        ("erin", "peer.example", "accepted"),
        ("frank", "other.example", "accepted"),
        ("grace", "third.example", "pending"),
    ]:
        account = world.dora if handle == "dora" else remote(handle, domain)
        Follow.objects.create(follower=account, target=world.alice, state=state, uri=f"https://{domain}/follows/{handle}")
    accounts.follow(follower=world.bob, target=world.alice)
    work()
    Delivery.objects.all().delete()
    return world


TO_FOLLOWERS = [PEER, "https://other.example/inbox"]


def to_followers(kind: str, sender: str = "alice") -> list[tuple[str, str, str]]:
    return [(kind, sender, inbox) for inbox in sorted(TO_FOLLOWERS)]


def test_a_published_video_goes_once_to_each_server(audience: World, work: Callable[[], int]) -> None:
    video = published(audience.alice, state="ready", published_at=None)
    videos.publish(video=video, by=audience.alice)
    work()
    assert sorted(owed()) == to_followers("Create")
    (first, second) = bodies("Create")
    assert first == second
    assert first["id"] == f"{video.uri}/activity"
    assert not Task.objects.filter(queue="federation").exists()


def test_nobody_follows_charlie(audience: World, work: Callable[[], int]) -> None:
    video = published(audience.charlie, state="ready")
    videos.publish(video=video, by=audience.charlie)
    work()
    assert owed() == []


def test_a_mentioned_stranger_is_told(audience: World, work: Callable[[], int]) -> None:
    remote("henry", "far.example")
    video = published(audience.charlie, caption="Hello @henry@far.example", state="ready")
    videos.publish(video=video, by=audience.charlie)
    work()
    assert owed() == [("Create", "charlie", "https://far.example/inbox")]


def test_edits_and_the_end_of_a_video(audience: World, work: Callable[[], int]) -> None:
    remote("liker", "far.example")
    video = published(audience.alice)
    videos.receive_like(account=Account.objects.get(handle="liker"), video=video, uri="https://far.example/likes/1")
    for caption in ("Two", "Three"):
        videos.edit(video=video, by=audience.alice, caption=caption)
        work()
        video.refresh_from_db()
    updates = bodies("Update")
    assert len({update["id"] for update in updates}) == 2
    assert updates[-1]["object"]["content"] == "<p>Three</p>"
    # Whoever liked it has it, and is told too.
    assert ("Update", "alice", "https://far.example/inbox") in owed("Update")
    videos.delete(video=video, by=audience.alice)
    work()
    assert {inbox for _, _, inbox in owed("Delete")} == {*TO_FOLLOWERS, "https://far.example/inbox"}
    deleted = bodies("Delete")[0]
    assert (deleted["object"]["id"], deleted["object"]["type"]) == (video.uri, "Tombstone")
    assert tombstones.is_buried(video.uri)
    row = Delivery.objects.filter(kind="Delete").first()
    assert row is not None
    assert (row.expires_at - row.created_at).days == 30


def test_two_edits_in_one_second_are_two_activities(audience: World, work: Callable[[], int]) -> None:
    video = published(audience.alice)
    for caption in ("Two", "Three", "Four"):
        videos.edit(video=video, by=audience.alice, caption=caption)
        work()
        Delivery.objects.update(state="delivered")
    assert bodies("Update")[-1]["object"]["content"] == "<p>Four</p>"
    assert len(bodies("Update")) == 6


def waiting() -> list[tuple[str, str, str]]:
    rows = Delivery.objects.filter(state="waiting").order_by("kind", "inbox")
    return [(row.kind, row.inbox, json.loads(row.body)["object"].get("content", "")) for row in rows]


def test_an_old_form_never_arrives_after_a_newer_one(audience: World, work: Callable[[], int]) -> None:
    """One server took the video, one was tried and failed, one was not tried yet; then it is edited twice, and deleted."""
    henry = remote("henry", "third.example")
    Follow.objects.create(follower=henry, target=audience.alice, state="accepted", uri="https://third.example/follows/henry")
    video = published(audience.alice, state="ready", published_at=None)
    videos.publish(video=video, by=audience.alice)
    work()
    Delivery.objects.filter(inbox=PEER).update(state="delivered", attempts=1)
    Delivery.objects.filter(host="other.example").update(attempts=1)
    for caption in ("Two", "Three"):
        videos.edit(video=video, by=audience.alice, caption=caption)
        work()
    other, third = "https://other.example/inbox", "https://third.example/inbox"
    assert waiting() == [
        ("Create", other, "<p>Three</p>"),
        ("Create", third, "<p>Three</p>"),
        ("Update", other, "<p>Three</p>"),
        ("Update", PEER, "<p>Three</p>"),
    ]
    videos.delete(video=video, by=audience.alice)
    work()
    assert [(kind, inbox) for kind, inbox, _ in waiting()] == [("Delete", other), ("Delete", PEER), ("Delete", third)]


def test_nothing_of_somebody_elses_is_overtaken(audience: World, work: Callable[[], int]) -> None:
    first, second = published(audience.alice), published(audience.alice)
    comment = videos.comment(video=first, by=audience.charlie, text="Mine")
    videos.comment(video=second, by=audience.charlie, text="Mine too")
    work()
    videos.delete(video=first, by=audience.alice)
    videos.delete_comment(comment=comment, by=audience.charlie)
    work()
    kinds = [kind for kind, _, _ in waiting()]
    assert kinds.count("Create") == 2
    assert kinds.count("Delete") == 4


def test_taken_back(audience: World, work: Callable[[], int]) -> None:
    video = published(audience.alice)
    videos.unpublish(video=video, by=audience.alice)
    work()
    assert sorted(owed()) == to_followers("Delete")
    assert not tombstones.is_buried(video.uri)
    # Taken back and published again before anybody was told: nothing happened.
    other = published(audience.alice)
    videos.unpublish(video=other, by=audience.alice)
    videos.publish(video=other, by=audience.alice)
    Delivery.objects.all().delete()
    work()
    assert owed("Delete") == []


def test_comments(audience: World, work: Callable[[], int]) -> None:
    # Under a local video: the followers of its owner have the thread.
    ours = published(audience.alice)
    comment = videos.comment(video=ours, by=audience.charlie, text="Nice")
    work()
    assert sorted(owed()) == to_followers("Create", "charlie")
    videos.delete_comment(comment=comment, by=audience.charlie)
    work()
    assert sorted(owed("Delete")) == to_followers("Delete", "charlie")
    assert tombstones.is_buried(comment.uri)
    # Under a remote video: its owner, and whoever is answered.
    Delivery.objects.all().delete()
    henry = remote("henry", "far.example")
    theirs = published(henry)
    ivy = remote("ivy", "deep.example")
    from server.videos.remote import RemoteComment

    parent = videos.receive_remote_comment(
        account=ivy,
        remote=RemoteComment(uri=f"{ivy.uri}/c/1", url="", html="x", published_at=clock.now(), in_reply_to=theirs.uri),
    )
    videos.comment(video=theirs, by=audience.charlie, text="Indeed", parent=parent)
    work()
    assert {inbox for _, _, inbox in owed()} == {"https://far.example/inbox", "https://deep.example/inbox"}


def test_likes_concern_the_owner_alone(audience: World, work: Callable[[], int]) -> None:
    ours, theirs = published(audience.alice), published(audience.dora)
    for video in (ours, theirs):
        videos.like(video=video, by=audience.charlie)
        videos.like(video=video, by=audience.charlie)
    work()
    assert owed() == [("Like", "charlie", "https://peer.example/users/dora/inbox")]
    (like,) = bodies("Like")
    videos.unlike(video=theirs, by=audience.charlie)
    work()
    (undo,) = bodies("Undo")
    assert undo["object"]["id"] == like["id"]
    assert (undo["object"]["type"], undo["object"]["object"]) == ("Like", theirs.uri)
    videos.like(video=theirs, by=audience.charlie)
    work()
    assert len({each["id"] for each in bodies("Like")}) == 2


def test_a_like_taken_back_before_it_was_told(audience: World, work: Callable[[], int]) -> None:
    theirs = published(audience.dora)
    videos.like(video=theirs, by=audience.charlie)
    videos.unlike(video=theirs, by=audience.charlie)
    work()
    assert [kind for kind, _, _ in owed()] == ["Undo"]
    # Told, but not sent yet: the Like does not follow the Undo.
    videos.like(video=theirs, by=audience.charlie)
    work()
    videos.unlike(video=theirs, by=audience.charlie)
    work()
    assert list(Delivery.objects.filter(state="waiting").values_list("kind", flat=True)) == ["Undo", "Undo"]


def test_shares_go_to_followers_and_owner(audience: World, work: Callable[[], int]) -> None:
    henry = remote("henry", "far.example")
    theirs = published(henry)
    videos.share(video=theirs, by=audience.alice)
    work()
    assert {inbox for _, _, inbox in owed("Announce")} == {*TO_FOLLOWERS, "https://far.example/inbox"}
    videos.unshare(video=theirs, by=audience.alice)
    work()
    assert {inbox for _, _, inbox in owed("Undo")} == {*TO_FOLLOWERS, "https://far.example/inbox"}
    assert bodies("Undo")[0]["object"]["object"] == theirs.uri


def test_follows(world: World, work: Callable[[], int]) -> None:
    inbox = "https://peer.example/users/dora/inbox"
    row = accounts.follow(follower=world.alice, target=world.dora)
    accounts.follow(follower=world.alice, target=world.bob)
    work()
    assert owed() == [("Follow", "alice", inbox)]
    assert bodies("Follow")[0]["id"] == row.uri
    accounts.unfollow(follower=world.alice, target=world.dora)
    accounts.unfollow(follower=world.alice, target=world.bob)
    work()
    assert owed("Undo") == [("Undo", "alice", inbox)]
    assert bodies("Undo")[0]["object"] == {
        "id": row.uri,
        "type": "Follow",
        "actor": world.alice.uri,
        "object": world.dora.uri,
        "to": [world.dora.uri],
    }
    accounts.receive_follow(follower=world.dora, target=world.alice, uri="https://peer.example/follows/1")
    work()
    assert owed("Accept") == [("Accept", "alice", inbox)]
    accounts.block(account=world.alice, target=world.dora)
    work()
    assert owed("Reject") == [("Reject", "alice", inbox)]
    assert bodies("Reject")[0]["object"]["id"] == "https://peer.example/follows/1"


def test_profiles(audience: World, work: Callable[[], int]) -> None:
    accounts.update_profile(account=audience.alice, by=audience.alice, display_name="Alice the first", bio="Hi #all")
    work()
    assert sorted(owed()) == to_followers("Update")
    assert bodies("Update")[0]["object"]["name"] == "Alice the first"
    accounts.update_profile(account=audience.alice, by=audience.alice, display_name="Alice the second", bio="")
    work()
    assert len(owed("Update")) == 4


def test_leaving(audience: World, work: Callable[[], int]) -> None:
    henry = remote("henry", "far.example")
    accounts.follow(follower=audience.alice, target=henry)
    work()
    Delivery.objects.all().delete()
    accounts.close_account(account=audience.alice, by=audience.alice)
    work()
    assert {inbox for _, _, inbox in owed()} >= set(TO_FOLLOWERS)
    assert {kind for kind, _, _ in owed()} <= {"Delete", "Undo"}
    (body, *_) = bodies("Delete")
    assert (body["actor"], body["object"]) == (audience.alice.uri, audience.alice.uri)


def test_those_who_are_gone_are_not_told(audience: World, work: Callable[[], int]) -> None:
    Actor.objects.filter(peer__host="other.example").update(gone_at=clock.now())
    Account.objects.filter(handle__in=["dora", "erin"]).update(suspended_at=clock.now())
    video = published(audience.alice, state="ready")
    videos.publish(video=video, by=audience.alice)
    work()
    assert owed() == []


def test_told_again_is_told_once(audience: World, work: Callable[[], int]) -> None:
    """The subscriber runs again after a crash that lost its end: the rows are unique."""
    from federation import outbox
    from server.videos.facts import VideoPublished

    video = published(audience.alice)
    for _ in range(3):
        outbox.announce_video(VideoPublished(video_id=video.pk))
    assert sorted(owed()) == to_followers("Create")
