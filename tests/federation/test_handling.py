"""What activities do once they are in: every effect beside its refusal, with the rows read back."""

from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest
from django.test import Client

from federation import inbox, tombstones
from federation.delivery import sending
from federation.facts import ActivityReceived
from federation.models import Actor, Delivery, InboxItem
from server.accounts import actions as accounts
from server.accounts.models import Account, Follow, User
from server.core import clock
from server.core.errors import Unavailable
from server.core.models import Task
from server.moderation import actions as moderation
from server.videos import actions as videos
from server.videos.models import Comment, Like, Share, Video
from tests.federation.stranger import PUBLIC, Person, Server, dora
from tests.world import World, published, remote

Arrive = Callable[..., InboxItem]


@pytest.fixture
def arrive(client: Client, work: Callable[[], int]) -> Arrive:
    """Send an activity through the door and let the worker handle it; its row afterwards."""

    def send(person: Person, activity: dict[str, Any], **options: Any) -> InboxItem:
        response = person.request(activity, **options).send(client)
        assert response.status_code == 202, response.content
        work()
        return InboxItem.objects.get(uri=activity["id"])

    return send


def outcome(item: InboxItem) -> tuple[str, str]:
    return item.state, item.error


HANDLED = ("handled", "")


@pytest.fixture
def erin(world: World) -> Person:
    """Another person on dora's server, known here, who owns nothing of dora's."""
    remote("erin", "peer.example")
    return Person("https://peer.example/users/erin", "erin")


# --- follows ---


def test_follow_is_accepted_and_the_answer_owed(world: World, arrive: Arrive) -> None:
    activity = dora().activity("Follow", world.alice.uri)
    assert outcome(arrive(dora(), activity)) == HANDLED
    row = Follow.objects.get()
    assert (row.follower, row.target, row.state, row.uri) == (world.dora, world.alice, "accepted", activity["id"])
    owed = Delivery.objects.get()
    assert (owed.kind, owed.inbox, owed.sender) == ("Accept", "https://peer.example/users/dora/inbox", world.alice)
    assert activity["id"] in owed.body


def test_follow_again_is_answered_again(world: World, arrive: Arrive) -> None:
    for _ in range(2):
        arrive(dora(), dora().activity("Follow", world.alice.uri))
    assert Follow.objects.count() == 1
    assert Delivery.objects.filter(kind="Accept").count() == 2


def test_follow_of_somebody_who_approves_waits(world: World, arrive: Arrive) -> None:
    Account.objects.filter(pk=world.alice.pk).update(manually_approves_followers=True)
    arrive(dora(), dora().activity("Follow", world.alice.uri))
    row = Follow.objects.get()
    assert row.state == "pending"
    assert not Delivery.objects.exists()
    accounts.answer_follow(follow=row, by=world.alice, accept=True)


def test_follow_by_somebody_blocked_is_rejected(world: World, arrive: Arrive) -> None:
    accounts.block(account=world.alice, target=world.dora)
    arrive(dora(), dora().activity("Follow", world.alice.uri))
    assert not Follow.objects.exists()
    assert Delivery.objects.get().kind == "Reject"


@pytest.mark.parametrize(
    "target",
    [
        "http://localhost:8000/users/nobody",
        "http://localhost:8000/actor",
        "https://peer.example/users/dora",
        "https://other.example/users/x",
    ],
)
def test_follow_of_nobody_here(world: World, arrive: Arrive, target: str) -> None:
    assert outcome(arrive(dora(), dora().activity("Follow", target))) == ("ignored", "its target is no account of this server")
    assert not Follow.objects.exists()


@pytest.mark.parametrize("shape", ["embedded", "id", "own id"])
@pytest.mark.parametrize(("kind", "state"), [("Accept", "accepted"), ("Reject", None)])
def test_our_follow_is_answered(world: World, arrive: Arrive, erin: Person, shape: str, kind: str, state: str | None) -> None:
    row = accounts.follow(follower=world.alice, target=world.dora)
    embedded = {"id": row.uri, "type": "Follow", "actor": world.alice.uri, "object": dora().uri}
    answered: Any = {"embedded": embedded, "id": row.uri, "own id": {**embedded, "id": "https://peer.example/made-up"}}[shape]
    # The stranger first: she is not the one who was asked.
    refused = arrive(erin, erin.activity(kind, answered))
    assert refused.state == ("ignored" if shape == "own id" else "failed")
    assert Follow.objects.get().state == "pending"
    assert outcome(arrive(dora(), dora().activity(kind, answered))) == HANDLED
    assert list(Follow.objects.values_list("state", flat=True)) == ([state] if state else [])


def test_an_answer_to_nothing(world: World, arrive: Arrive) -> None:
    assert arrive(dora(), dora().activity("Accept", f"{world.alice.uri}/follows/999")).state == "ignored"
    row = accounts.follow(follower=world.alice, target=world.bob)
    assert outcome(arrive(dora(), dora().activity("Reject", row.uri)))[0] == "failed"
    assert Follow.objects.count() == 1


# --- undo ---


def _three(world: World, arrive: Arrive, video: Video) -> dict[str, dict[str, Any]]:
    done = {
        "Follow": dora().activity("Follow", world.alice.uri),
        "Like": dora().activity("Like", video.uri),
        "Announce": dora().activity("Announce", video.uri),
    }
    for activity in done.values():
        assert outcome(arrive(dora(), activity)) == HANDLED
    return done


def _rows() -> tuple[int, int, int]:
    return Follow.objects.count(), Like.objects.count(), Share.objects.count()


@pytest.mark.parametrize("shape", ["embedded", "id", "other id"])
def test_undo(world: World, arrive: Arrive, erin: Person, shape: str) -> None:
    video = published(world.alice)
    done = _three(world, arrive, video)
    assert _rows() == (1, 1, 1)
    for activity in done.values():
        undone: Any = activity["id"] if shape == "id" else activity
        if shape == "other id":
            undone = {name: value for name, value in activity.items() if name != "id"}
        stranger = arrive(erin, erin.activity("Undo", undone))
        assert stranger.state == "ignored"
    assert _rows() == (1, 1, 1)
    for activity in done.values():
        undone = activity["id"] if shape == "id" else activity
        if shape == "other id":
            undone = {name: value for name, value in activity.items() if name != "id"}
        assert outcome(arrive(dora(), dora().activity("Undo", undone))) == HANDLED
    assert _rows() == (0, 0, 0)
    video.refresh_from_db()
    assert (video.like_count, video.share_count) == (0, 0)
    assert arrive(dora(), dora().activity("Undo", done["Like"])).state == "ignored"


def test_undo_of_a_block_touches_nothing(world: World, arrive: Arrive) -> None:
    video = published(world.alice)
    _three(world, arrive, video)
    item = arrive(dora(), dora().activity("Undo", {"type": "Block", "id": "https://peer.example/b", "object": world.alice.uri}))
    assert item.state == "ignored"
    assert _rows() == (1, 1, 1)


# --- create ---


def test_create_a_video(world: World, arrive: Arrive) -> None:
    note = dora().note("1")
    assert outcome(arrive(dora(), dora().activity("Create", note))) == HANDLED
    video = Video.objects.get()
    assert (video.uri, video.account, video.state, video.is_local) == (note["id"], world.dora, "published", False)
    assert (video.remote_mp4_url, video.alt_text, video.width, video.height, video.duration_ms) == (
        "https://peer.example/media/1.mp4",
        "Waves",
        1080,
        1920,
        12_000,
    )
    assert list(video.hashtags.values_list("name", flat=True)) == ["sea"]
    assert arrive(dora(), dora().activity("Create", note)).state == "handled"
    assert Video.objects.count() == 1


def test_create_by_id_is_fetched_from_its_origin(world: World, arrive: Arrive, server: Server) -> None:
    frank = server.person("frank")
    note = frank.note("1")
    server.serve(note["id"], {"@context": "x", **note})
    assert outcome(arrive(frank, frank.activity("Create", note["id"]))) == HANDLED
    assert Video.objects.get().uri == note["id"]


@pytest.mark.parametrize("attribution", ["https://peer.example/users/erin", "http://localhost:8000/users/alice"])
def test_create_of_somebody_elses_post(world: World, arrive: Arrive, attribution: str) -> None:
    item = arrive(dora(), dora().activity("Create", dora().note("1", attributedTo=attribution)))
    assert outcome(item) == ("failed", "not_allowed: the post is attributed to somebody else")
    assert not Video.objects.exists()


def test_a_foreign_embedded_object_is_fetched_where_it_lives(world: World, arrive: Arrive, server: Server) -> None:
    """Dora's Create embeds a post that says it is frank's, on frank's server: what counts is what stands there."""
    frank = server.person("frank")
    forged = frank.note("1", content="forged")
    item = arrive(dora(), dora().activity("Create", forged))
    assert item.state == "failed"
    assert server.gets("/users/frank/posts/1")
    assert not Video.objects.exists()
    # Also when the real post is there: it is frank's and not dora's to create.
    server.serve(forged["id"], frank.note("1", content="real"))
    assert outcome(arrive(dora(), dora().activity("Create", forged))) == (
        "failed",
        "not_allowed: the post belongs to somebody else",
    )
    # And when the post there claims to be dora's.
    server.serve(forged["id"], frank.note("1", attributedTo=dora().uri))
    assert arrive(dora(), dora().activity("Create", forged)).state == "failed"
    assert not Video.objects.exists()


def test_a_post_with_an_id_of_ours(world: World, arrive: Arrive) -> None:
    video = published(world.alice)
    for uri in (video.uri, f"{world.alice.uri}/posts/999"):
        item = arrive(dora(), dora().activity("Create", {**dora().note("1"), "id": uri}))
        assert outcome(item) == ("failed", "not_allowed: what is ours is not changed from outside")
    assert Video.objects.count() == 1


def test_a_known_id_is_not_taken_over(world: World, arrive: Arrive, erin: Person) -> None:
    note = dora().note("1")
    arrive(dora(), dora().activity("Create", note))
    item = arrive(erin, erin.activity("Create", {**note, "attributedTo": erin.uri, "content": "mine"}))
    assert item.state == "failed"
    assert Video.objects.get().account == world.dora


@pytest.mark.parametrize(
    ("changes", "why"),
    [
        ({"attachment": []}, "it has no video attached"),
        (
            {"attachment": [{"type": "Image", "mediaType": "image/png", "url": "https://peer.example/1.png"}]},
            "it has no video attached",
        ),
        ({"to": ["https://peer.example/users/dora/followers"], "cc": []}, "it is not public"),
        ({"to": ["http://localhost:8000/users/alice"], "cc": []}, "it is not public"),
        ({"type": "Article"}, "Article is not a kind of post that we show"),
        ({"type": "Video"}, "Video is not a kind of post that we show"),
        ({"inReplyTo": "https://peer.example/users/dora/posts/unknown"}, "it replies to nothing that we know"),
    ],
)
def test_posts_that_mean_nothing_to_us(world: World, arrive: Arrive, changes: dict[str, Any], why: str) -> None:
    item = arrive(dora(), dora().activity("Create", {**dora().note("1"), **changes}))
    assert outcome(item) == ("ignored", why)
    assert not Video.objects.exists()
    assert not Comment.objects.exists()


def test_unlisted_is_kept_and_not_listed(world: World, arrive: Arrive) -> None:
    arrive(dora(), dora().activity("Create", dora().note("1", to=["https://peer.example/users/dora/followers"], cc=[PUBLIC])))
    assert Video.objects.get().visibility == "unlisted"


def _reply(person: Person, slug: str, to: str, **fields: Any) -> dict[str, Any]:
    return person.note(slug, inReplyTo=to, content="<p>Nice<script>alert(1)</script></p>", attachment=[], **fields)


def test_comments_in_known_threads(world: World, arrive: Arrive, erin: Person) -> None:
    video = published(world.alice)
    first = _reply(dora(), "c1", video.uri)
    assert outcome(arrive(dora(), dora().activity("Create", first))) == HANDLED
    comment = Comment.objects.get()
    assert (comment.account, comment.video, comment.text, comment.parent) == (world.dora, video, "Nice", None)
    assert "script" not in comment.html
    second = _reply(erin, "c2", first["id"])
    assert outcome(arrive(erin, erin.activity("Create", second))) == HANDLED
    assert Comment.objects.get(uri=second["id"]).parent == comment
    video.refresh_from_db()
    assert video.comment_count == 2


def test_a_reply_with_a_video_is_a_comment(world: World, arrive: Arrive) -> None:
    video = published(world.alice)
    arrive(dora(), dora().activity("Create", dora().note("1", inReplyTo=video.uri)))
    assert Video.objects.count() == 1
    assert Comment.objects.count() == 1


def test_markdown_of_peertube_is_text(world: World, arrive: Arrive) -> None:
    video = published(world.alice)
    arrive(
        dora(),
        dora().activity("Create", _reply(dora(), "c", video.uri) | {"content": "a <b> *c*\nd", "mediaType": "text/markdown"}),
    )
    comment = Comment.objects.get()
    assert comment.text == "a <b> *c*\nd"
    assert comment.html == "<p>a &lt;b&gt; *c*<br>d</p>"


def test_comments_where_they_are_not_wanted(world: World, arrive: Arrive) -> None:
    closed, blocking = published(world.alice, comments_open=False), published(world.bob)
    accounts.block(account=world.bob, target=world.dora)
    for video in (closed, blocking):
        assert arrive(dora(), dora().activity("Create", _reply(dora(), str(video.pk), video.uri))).state == "failed"
    assert not Comment.objects.exists()


# --- update ---


def test_update_a_video(world: World, arrive: Arrive, erin: Person) -> None:
    note = dora().note("1")
    arrive(dora(), dora().activity("Create", note))
    changed = {**note, "content": "<p>Better</p>", "updated": "2026-11-21T10:00:00Z"}
    for activity in [erin.activity("Update", changed), erin.activity("Update", {**changed, "attributedTo": erin.uri})]:
        assert outcome(arrive(erin, activity)) == ("failed", "not_allowed: it belongs to somebody else")
    assert "From afar" in Video.objects.get().caption
    assert outcome(arrive(dora(), dora().activity("Update", changed))) == HANDLED
    video = Video.objects.get()
    assert video.caption == "Better"
    assert video.edited_at is not None


def test_update_a_comment(world: World, arrive: Arrive, erin: Person) -> None:
    video = published(world.alice)
    reply = _reply(dora(), "c", video.uri)
    arrive(dora(), dora().activity("Create", reply))
    assert arrive(erin, erin.activity("Update", {**reply, "attributedTo": erin.uri, "content": "stolen"})).state == "failed"
    assert outcome(arrive(dora(), dora().activity("Update", {**reply, "content": "Nicer"}))) == HANDLED
    assert Comment.objects.get().text == "Nicer"


def test_update_of_ours_and_of_the_unknown(world: World, arrive: Arrive) -> None:
    video = published(world.alice)
    item = arrive(dora(), dora().activity("Update", {**dora().note("1"), "id": video.uri}))
    assert outcome(item) == ("failed", "not_allowed: what is ours is not changed from outside")
    assert outcome(arrive(dora(), dora().activity("Update", dora().note("9")))) == ("ignored", "it changes nothing that we know")
    video.refresh_from_db()
    assert video.caption == "A clip #test"


def test_update_a_profile(world: World, arrive: Arrive, server: Server, erin: Person) -> None:
    frank = server.person("frank")
    arrive(frank, frank.activity("Follow", world.alice.uri))
    server.serve(frank.uri, frank.document(name="Franklin"))
    # What is embedded does not count: her server is asked.
    forged = frank.document(name="Forged")
    assert arrive(dora(), dora().activity("Update", forged)).state == "failed"
    assert outcome(arrive(frank, frank.activity("Update", forged))) == HANDLED
    assert Account.objects.get(uri=frank.uri).display_name == "Franklin"


# --- delete ---


@pytest.mark.parametrize("embedded", [True, False])
def test_delete_a_video(world: World, arrive: Arrive, erin: Person, embedded: bool) -> None:
    note = dora().note("1")
    arrive(dora(), dora().activity("Create", note))
    deleted: Any = {"id": note["id"], "type": "Tombstone"} if embedded else note["id"]
    assert outcome(arrive(erin, erin.activity("Delete", deleted))) == ("failed", "not_allowed: it belongs to somebody else")
    assert Video.objects.get().state == "published"
    assert not tombstones.is_buried(note["id"])
    assert outcome(arrive(dora(), dora().activity("Delete", deleted))) == HANDLED
    assert Video.objects.get().state == "deleted"
    # It never comes back.
    for activity in (dora().activity("Create", note), dora().activity("Update", note)):
        assert outcome(arrive(dora(), activity)) == ("ignored", "it was deleted")
    assert Video.objects.get().state == "deleted"


def test_delete_a_comment(world: World, arrive: Arrive, erin: Person) -> None:
    video = published(world.alice)
    reply = _reply(dora(), "c", video.uri)
    arrive(dora(), dora().activity("Create", reply))
    assert arrive(erin, erin.activity("Delete", reply["id"])).state == "failed"
    assert outcome(arrive(dora(), dora().activity("Delete", reply["id"]))) == HANDLED
    assert Comment.objects.get().deleted_at is not None
    video.refresh_from_db()
    assert video.comment_count == 0


def test_delete_what_is_not_hers(world: World, arrive: Arrive) -> None:
    video = published(world.alice)
    for uri in (video.uri, world.alice.uri):
        assert outcome(arrive(dora(), dora().activity("Delete", uri))) == (
            "failed",
            "not_allowed: what is ours is not changed from outside",
        )
    assert arrive(dora(), dora().activity("Delete", "https://other.example/posts/1")).state == "failed"
    video.refresh_from_db()
    assert video.state == "published"
    assert not tombstones.is_buried("https://other.example/posts/1")


def test_delete_before_create(world: World, arrive: Arrive) -> None:
    note = dora().note("1")
    assert arrive(dora(), dora().activity("Delete", note["id"])).state == "ignored"
    assert outcome(arrive(dora(), dora().activity("Create", note))) == ("ignored", "it was deleted")
    assert not Video.objects.exists()


def test_delete_oneself(world: World, arrive: Arrive, erin: Person, client: Client) -> None:
    arrive(dora(), dora().activity("Follow", world.alice.uri))
    arrive(dora(), dora().activity("Create", dora().note("1")))
    assert outcome(arrive(erin, erin.activity("Delete", dora().uri))) == ("failed", "not_allowed: only the actor herself leaves")
    assert not tombstones.is_buried(dora().uri)
    assert outcome(arrive(dora(), dora().activity("Delete", dora().uri))) == HANDLED
    world.dora.refresh_from_db()
    assert world.dora.deleted_at is not None
    assert not Follow.objects.exists()
    assert Actor.objects.get(uri=dora().uri).gone_at is not None
    assert dora().request(dora().activity("Follow", world.alice.uri)).send(client).status_code == 403


# --- like and announce ---


def test_like(world: World, arrive: Arrive, erin: Person) -> None:
    video = published(world.alice)
    for _ in range(2):
        assert outcome(arrive(dora(), dora().activity("Like", video.uri))) == HANDLED
    arrive(erin, erin.activity("Like", {"id": video.uri, "type": "Note"}))
    video.refresh_from_db()
    assert (video.like_count, Like.objects.count()) == (2, 2)
    assert outcome(arrive(dora(), dora().activity("Like", f"{world.alice.uri}/posts/9"))) == (
        "ignored",
        "it likes nothing that we know",
    )


def test_reactions_of_the_blocked(world: World, arrive: Arrive) -> None:
    video = published(world.alice)
    accounts.block(account=world.alice, target=world.dora)
    for kind in ("Like", "Announce"):
        assert arrive(dora(), dora().activity(kind, video.uri)).state == "failed"
    assert _rows() == (0, 0, 0)


def test_announce_of_ours(world: World, arrive: Arrive) -> None:
    video = published(world.alice)
    assert outcome(arrive(dora(), dora().activity("Announce", video.uri))) == HANDLED
    assert Share.objects.get().video == video


def test_announce_of_something_new_is_fetched_where_it_lives(world: World, arrive: Arrive, server: Server) -> None:
    frank = server.person("frank")
    note = frank.note("1")
    server.serve(note["id"], note)
    # What the announcer embeds does not count.
    assert outcome(arrive(dora(), dora().activity("Announce", {**note, "content": "forged"}))) == HANDLED
    video = Video.objects.get()
    assert (video.account.uri, video.share_count) == (frank.uri, 1)
    assert "From afar" in video.caption


def test_announce_of_what_cannot_be_believed(world: World, arrive: Arrive, server: Server) -> None:
    frank = server.person("frank")
    note = frank.note("1")
    cases = {
        "an author on another server": {**note, "attributedTo": dora().uri},
        "another id": {**note, "id": server.url("/users/frank/posts/2", "victim")},
        "private": {**note, "to": [f"{frank.uri}/followers"], "cc": []},
        "a reply": {**note, "inReplyTo": "https://peer.example/x"},
        "no video": {**note, "attachment": []},
    }
    for document in cases.values():
        server.serve(note["id"], document)
        assert arrive(dora(), dora().activity("Announce", note["id"])).state in {"failed", "ignored"}
    server.serve(note["id"], note, content_type="application/json")
    assert arrive(dora(), dora().activity("Announce", note["id"])).state == "failed"
    server.serve(note["id"], note, content_type="image/png")
    assert arrive(dora(), dora().activity("Announce", note["id"])).state == "failed"
    server.serve(note["id"], {}, status=404)
    assert arrive(dora(), dora().activity("Announce", note["id"])).state == "failed"
    moderation.block_domain(
        domain=server.host(), by_staff=User.objects.create_user("s@example.org", "a long password", is_staff=True), reason=""
    )
    server.serve(note["id"], note)
    before = len(server.received)
    assert arrive(dora(), dora().activity("Announce", note["id"])).state == "failed"
    assert len(server.received) == before
    assert not Video.objects.exists()
    assert not Share.objects.exists()


def test_announce_of_a_suspended_author(world: World, arrive: Arrive, server: Server) -> None:
    frank = server.person("frank")
    arrive(frank, frank.activity("Follow", world.alice.uri))
    Account.objects.filter(uri=frank.uri).update(suspended_at=clock.now())
    server.serve(frank.note("1")["id"], frank.note("1"))
    assert arrive(dora(), dora().activity("Announce", frank.note("1")["id"])).state == "failed"
    assert not Video.objects.exists()


# --- move ---


def _moving(world: World, arrive: Arrive, server: Server) -> tuple[Person, Person]:
    old, new = server.person("grace", on="old"), Person(server.url("/users/grace", "new"), "grace")
    server.person("grace", on="new", alsoKnownAs=[old.uri])
    arrive(old, old.activity("Follow", world.bob.uri))
    followed = Account.objects.get(uri=old.uri)
    accounts.follow(follower=world.alice, target=followed)
    Follow.objects.filter(follower=world.alice).update(state="accepted")
    return old, new


def test_move(world: World, arrive: Arrive, server: Server) -> None:
    old, new = _moving(world, arrive, server)
    assert arrive(dora(), dora().activity("Move", old.uri, target=new.uri)).state == "failed"
    assert Follow.objects.get(follower=world.alice).target.uri == old.uri
    assert outcome(arrive(old, old.activity("Move", old.uri, target=new.uri))) == HANDLED
    row = Follow.objects.get(follower=world.alice)
    assert (row.target.uri, row.state) == (new.uri, "pending")
    assert Account.objects.get(uri=old.uri).moved_to == row.target
    assert {owed.kind for owed in Delivery.objects.filter(sender=world.alice)} >= {"Follow", "Undo"}


def test_move_to_somebody_who_does_not_know_of_it(world: World, arrive: Arrive, server: Server) -> None:
    old, new = _moving(world, arrive, server)
    server.person("grace", on="new", alsoKnownAs=["https://old.example/users/other"])
    assert arrive(old, old.activity("Move", old.uri, target=new.uri)).state == "failed"
    assert arrive(old, old.activity("Move", old.uri, target=server.person("henry").uri)).state == "failed"
    assert arrive(old, old.activity("Move", old.uri, target=world.bob.uri)).state == "failed"
    assert Follow.objects.get(follower=world.alice).target.uri == old.uri


def test_move_once_a_month(world: World, arrive: Arrive, server: Server) -> None:
    old, new = _moving(world, arrive, server)
    third = server.person("grace", on="third", alsoKnownAs=[old.uri])
    assert outcome(arrive(old, old.activity("Move", old.uri, target=new.uri))) == HANDLED
    assert "once in 30 days" in arrive(old, old.activity("Move", old.uri, target=third.uri)).error
    InboxItem.objects.filter(kind="Move").update(handled_at=clock.now() - timedelta(days=31))
    assert outcome(arrive(old, old.activity("Move", old.uri, target=third.uri))) == HANDLED


# --- who speaks, when, and what goes wrong ---


def test_a_server_is_no_person(world: World, arrive: Arrive, server: Server) -> None:
    robot = server.person("robot", type="Application")
    item = arrive(robot, robot.activity("Follow", world.alice.uri))
    assert outcome(item) == ("ignored", "its sender is of kind Application, which speaks for a server and not for a person")
    assert Actor.objects.get(uri=robot.uri).account is None


def test_blocked_between_arriving_and_handling(world: World, client: Client, work: Callable[[], int]) -> None:
    dora().request(dora().activity("Follow", world.alice.uri)).send(client)
    moderation.block_domain(
        domain="peer.example", by_staff=User.objects.create_user("s@example.org", "a long password", is_staff=True), reason=""
    )
    work()
    assert InboxItem.objects.get().state == "ignored"
    assert not Follow.objects.exists()


def test_suspended_between_arriving_and_handling(world: World, client: Client, work: Callable[[], int]) -> None:
    dora().request(dora().activity("Create", dora().note("1"))).send(client)
    Account.objects.filter(pk=world.dora.pk).update(suspended_at=clock.now())
    work()
    assert InboxItem.objects.get().state == "failed"
    assert not Video.objects.exists()


def test_what_may_work_later_is_tried_later(world: World, client: Client, work: Callable[[], int], server: Server) -> None:
    frank = server.person("frank")
    note = frank.note("1")
    server.serve(note["id"], {}, status=503)
    dora().request(dora().activity("Announce", note["id"])).send(client)
    work()
    item, task = InboxItem.objects.get(), Task.objects.get(fact="ActivityReceived")
    assert item.state == "received"
    assert "503" in item.error
    assert (task.attempts, task.dead_at) == (1, None)
    server.serve(note["id"], note)
    Task.objects.update(next_try_at=clock.now())
    work()
    item.refresh_from_db()
    assert outcome(item) == HANDLED
    assert Video.objects.count() == 1


def test_handling_twice_is_once(world: World, client: Client) -> None:
    video = published(world.alice)
    for activity in [
        dora().activity("Create", dora().note("1")),
        dora().activity("Like", video.uri),
        dora().activity("Create", _reply(dora(), "c", video.uri)),
    ]:
        dora().request(activity).send(client)
    for item in InboxItem.objects.all():
        fact = ActivityReceived(inbox_item_id=item.pk)
        inbox.handle(fact)
        # A crash between the effect and the note about it.
        InboxItem.objects.filter(pk=item.pk).update(state="received")
        inbox.handle(fact)
        item.refresh_from_db()
        assert outcome(item) == HANDLED
    video.refresh_from_db()
    assert (video.like_count, video.comment_count, Video.objects.count()) == (1, 1, 2)


def test_an_error_nobody_expected_is_the_workers(
    world: World, client: Client, monkeypatch: pytest.MonkeyPatch, work: Callable[[], int]
) -> None:
    def broken(**_: object) -> None:
        raise ZeroDivisionError

    monkeypatch.setattr(videos, "receive_like", broken)
    dora().request(dora().activity("Like", published(world.alice).uri)).send(client)
    work()
    task = Task.objects.get(fact="ActivityReceived")
    assert "ZeroDivisionError" in task.last_error
    assert InboxItem.objects.get().state == "received"


def test_nothing_is_sent_while_handling(world: World, arrive: Arrive, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(*_: object, **__: object) -> None:
        raise Unavailable

    monkeypatch.setattr(sending.http, "post", fail)
    assert outcome(arrive(dora(), dora().activity("Follow", world.alice.uri))) == HANDLED
