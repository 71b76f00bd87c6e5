"""What accounts of other servers do here: told twice is once, and nobody touches what is not hers."""

import dataclasses
import uuid
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from server.accounts import actions as accounts
from server.core import clock, limits
from server.core.errors import Conflict, Invalid, NotAllowed, NotFound
from server.videos import actions, queries
from server.videos.models import Comment, Like, Video
from server.videos.remote import RemoteComment, RemoteVideo
from tests import world as world_module
from tests.video_facts import recorded
from tests.world import World

THEN = datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC)
POST = RemoteVideo(
    uri="https://peer.example/posts/1",
    url="https://peer.example/@dora/1",
    mp4_url="https://cdn.peer.example/1.mp4",
    poster_url="https://cdn.peer.example/1.jpg",
    caption_html='<p>Look <script>x</script><a href="https://peer.example/tags/sea" class="x">#Sea</a></p>',
    alt_text="Waves",
    language="en",
    hashtags=("#Sea", "Beach", "no tag", "sea"),
    published_at=THEN,
    blurhash="L" * 28,
    width=720,
    height=1280,
    duration_ms=9_000,
)
REPLY = RemoteComment(
    uri="https://peer.example/replies/1",
    url="https://peer.example/@dora/r1",
    html="<p>So <b>nice</b></p>",
    published_at=THEN,
    in_reply_to="",
)


def received(world: World, **changes: Any) -> Video:
    return actions.receive_remote(account=world.dora, remote=dataclasses.replace(POST, **changes))


def replied(account: Any, to: str, **changes: Any) -> Comment:
    return actions.receive_remote_comment(account=account, remote=dataclasses.replace(REPLY, in_reply_to=to, **changes))


def test_a_remote_video_is_kept_once(world: World) -> None:
    video = received(world)
    assert received(world, caption_html="<p>other</p>") == video
    video.refresh_from_db()
    assert (video.state, video.is_local, video.published_at) == ("published", False, THEN)
    assert video.caption == "Look #Sea"
    assert (
        video.caption_html
        == '<p>Look <a href="https://peer.example/tags/sea" rel="nofollow noopener noreferrer ugc">#Sea</a></p>'
    )
    assert sorted(tag.name for tag in video.hashtags.all()) == ["beach", "sea"]
    assert (video.width, video.height, video.duration_ms, video.alt_text) == (720, 1280, 9_000, "Waves")
    assert queries.playback(video) == queries.Playback("", POST.mp4_url, POST.poster_url)
    assert queries.by_uri(POST.uri) == video
    assert recorded() == []


@pytest.mark.parametrize(
    "changes",
    [
        {"mp4_url": ""},
        {"mp4_url": "javascript:alert(1)"},
        {"mp4_url": "ftp://peer.example/1.mp4"},
        {"mp4_url": "https://" + "x" * limits.URL_CHARACTERS_MAX},
        {"uri": "peer.example/posts/1"},
    ],
)
def test_what_cannot_be_played_is_refused(world: World, changes: dict[str, Any]) -> None:
    with pytest.raises(Invalid):
        received(world, **changes)
    assert not Video.objects.exists()


def test_odd_details_are_left_out_not_refused(world: World) -> None:
    video = received(
        world, poster_url="javascript:x", url="data:x", width=-1, height=2**40, duration_ms=0, blurhash="x" * 101, alt_text="a\0\ud800b",
        language="x" * 50, visibility="followers", hashtags=tuple(f"t{n}" for n in range(99)),
        published_at=clock.now() + timedelta(days=400),
    )  # fmt: skip
    video.refresh_from_db()
    assert (video.remote_poster_url, video.url, video.width, video.height, video.duration_ms) == ("", POST.uri, None, None, None)
    assert (video.blurhash, video.alt_text, len(video.language), video.visibility) == ("", "ab", 20, "unlisted")
    assert video.hashtags.count() == limits.TAGS_PER_POST_MAX
    assert video.published_at is not None
    assert video.published_at <= clock.now()


def test_ids_of_ours_and_of_others_are_refused(world: World) -> None:
    mine, theirs = world_module.published(world.alice), received(world)
    eve = world_module.remote("eve", "evil.example")
    with pytest.raises(NotAllowed):
        received(world, uri=mine.uri)
    with pytest.raises(NotAllowed):
        received(world, uri="http://localhost:8000/users/alice/posts/999")
    for verb in (actions.receive_remote, actions.receive_remote_edit):
        with pytest.raises(NotAllowed):
            verb(account=eve, remote=dataclasses.replace(POST, caption_html="<p>stolen</p>"))
    with pytest.raises(NotAllowed):
        actions.receive_remote(account=world.charlie, remote=POST)
    theirs.refresh_from_db()
    assert (theirs.account, theirs.caption) == (world.dora, "Look #Sea")


def test_a_uuid_is_kept_unless_it_is_taken(world: World) -> None:
    mine = world_module.published(world.alice)
    free = uuid.uuid4()
    assert received(world, uuid=free).uuid == free
    stolen = received(world, uri="https://peer.example/posts/2", uuid=mine.uuid)
    assert stolen.uuid == uuid.uuid5(uuid.NAMESPACE_URL, "https://peer.example/posts/2")
    assert stolen.uuid != mine.uuid


def test_a_suspended_remote_account_is_not_heard(world: World) -> None:
    world.dora.suspended_at = clock.now()
    with pytest.raises(NotAllowed):
        received(world)


def test_an_edit(world: World) -> None:
    with pytest.raises(NotFound):
        actions.receive_remote_edit(account=world.dora, remote=POST)
    video = received(world)
    edit = dataclasses.replace(POST, caption_html="<p>New</p>", hashtags=("new",), sensitive=True, uuid=uuid.uuid4())
    assert actions.receive_remote_edit(account=world.dora, remote=edit) == video
    before = video.uuid
    video.refresh_from_db()
    assert (video.caption, video.sensitive, video.uuid, video.published_at) == ("New", True, before, THEN)
    assert [tag.name for tag in video.hashtags.all()] == ["new"]
    assert video.edited_at is not None


def test_deleted_stays_deleted(world: World) -> None:
    video = received(world)
    eve = world_module.remote("eve", "evil.example")
    assert actions.receive_delete(account=eve, uri=POST.uri) is False
    assert actions.receive_delete(account=world.dora, uri=POST.uri) is True
    assert actions.receive_delete(account=world.dora, uri=POST.uri) is False
    assert actions.receive_delete(account=world.dora, uri="https://peer.example/unknown") is False
    video.refresh_from_db()
    assert (video.state, video.caption, video.caption_html, video.remote_mp4_url) == ("deleted", "", "", "")
    # A late or repeated Create does not bring it back.
    assert received(world).state == "deleted"
    with pytest.raises(NotFound):
        actions.receive_remote_edit(account=world.dora, remote=POST)


def test_nobody_deletes_what_is_ours(world: World) -> None:
    mine = world_module.published(world.alice)
    for account in (world.dora, world.charlie, world.alice):
        with pytest.raises(NotAllowed):
            actions.receive_delete(account=account, uri=mine.uri)
    mine.refresh_from_db()
    assert mine.state == "published"


def test_replies_to_a_video_and_to_a_comment(world: World) -> None:
    video = world_module.published(world.alice)
    first = replied(world.dora, video.uri)
    assert replied(world.dora, video.uri) == first
    nested = replied(world.dora, first.uri, uri="https://peer.example/replies/2")
    video.refresh_from_db()
    assert (first.video, first.parent, nested.parent, video.comment_count) == (video, None, first, 2)
    assert (first.text, first.html, first.created_at, first.is_local) == ("So nice", "<p>So <b>nice</b></p>", THEN, False)
    assert queries.comment_by_uri(first.uri) == first
    assert recorded() == []


def test_replies_that_are_refused(world: World) -> None:
    video = world_module.published(world.alice)
    with pytest.raises(NotFound):
        replied(world.dora, "https://peer.example/unknown")
    with pytest.raises(Invalid):
        replied(world.dora, video.uri, html="<img src=x><script>x</script>")
    with pytest.raises(NotAllowed):
        replied(world.dora, video.uri, uri="http://localhost:8000/users/alice/comments/1")
    with pytest.raises(NotAllowed):
        replied(world.charlie, video.uri)
    for change, error in (
        ({"comments_open": False}, NotAllowed),
        ({"state": "ready"}, NotFound),
        ({"state": "deleted"}, NotFound),
    ):
        with pytest.raises(error):
            replied(world.dora, world_module.published(world.alice, **change).uri)
    accounts.block(account=world.alice, target=world.dora)
    with pytest.raises(NotAllowed):
        replied(world.dora, video.uri)
    assert not Comment.objects.exists()


def test_a_reply_is_edited_and_deleted_by_its_author_alone(world: World) -> None:
    video = world_module.published(world.alice)
    comment = replied(world.dora, video.uri)
    eve = world_module.remote("eve", "evil.example")
    edit = dataclasses.replace(REPLY, html="<p>Nicer</p>")
    with pytest.raises(NotAllowed):
        actions.receive_remote_comment_edit(account=eve, remote=edit)
    with pytest.raises(NotAllowed):
        replied(eve, video.uri)
    assert actions.receive_delete(account=eve, uri=comment.uri) is False
    actions.receive_remote_comment_edit(account=world.dora, remote=edit)
    comment.refresh_from_db()
    assert (comment.text, comment.edited_at is not None) == ("Nicer", True)
    assert actions.receive_delete(account=world.dora, uri=comment.uri) is True
    assert actions.receive_delete(account=world.dora, uri=comment.uri) is False
    comment.refresh_from_db()
    video.refresh_from_db()
    assert (comment.text, comment.html, video.comment_count) == ("", "", 0)
    with pytest.raises(NotFound):
        actions.receive_remote_comment_edit(account=world.dora, remote=edit)
    # A repeated Create finds the emptied row and leaves it empty.
    assert replied(world.dora, video.uri).deleted_at is not None


def test_likes_and_shares_from_elsewhere(world: World) -> None:
    video = world_module.published(world.alice)
    eve = world_module.remote("eve", "evil.example")
    for receive, take_back, field in (
        (actions.receive_like, actions.receive_unlike, "like_count"),
        (actions.receive_share, actions.receive_unshare, "share_count"),
    ):
        kept = receive(account=world.dora, video=video, uri=f"https://peer.example/{field}/1")
        # The same again, under another id: Undo will name the newer one.
        assert receive(account=world.dora, video=video, uri=f"https://peer.example/{field}/2") == kept
        with pytest.raises(Conflict):
            receive(account=eve, video=video, uri=f"https://peer.example/{field}/2")
        with pytest.raises(NotAllowed):
            receive(account=world.charlie, video=video, uri="https://peer.example/x")
        with pytest.raises(NotAllowed):
            receive(account=world.dora, video=video, uri="http://localhost:8000/x")
        with pytest.raises(NotFound):
            receive(account=world.dora, video=world_module.published(world.alice, state="ready"), uri="https://peer.example/y")
        video.refresh_from_db()
        assert getattr(video, field) == 1
        take_back(account=eve, video=video)
        take_back(account=world.dora, video=video)
        take_back(account=world.dora, video=video)
        video.refresh_from_db()
        assert getattr(video, field) == 0
    accounts.block(account=world.alice, target=world.dora)
    with pytest.raises(NotAllowed):
        actions.receive_like(account=world.dora, video=video, uri="https://peer.example/z")
    assert not Like.objects.exists()
    assert recorded() == []
