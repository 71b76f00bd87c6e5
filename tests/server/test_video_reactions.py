"""Likes, shares, views and comments of local people, with every refusal beside the consent."""

from collections.abc import Callable
from typing import Any

import pytest

from server.accounts import actions as accounts
from server.core import limits
from server.core.errors import Invalid, NotAllowed, NotFound
from server.core.models import Task
from server.videos import actions
from server.videos.models import Comment, Like, Share, Video
from tests import world as world_module
from tests.video_facts import recorded
from tests.world import World


def counts(video: Video) -> tuple[int, int, int, int]:
    video.refresh_from_db()
    return video.like_count, video.share_count, video.comment_count, video.view_count


def say(video: Video, by: Any, text: str = "Nice", parent: Comment | None = None) -> Comment:
    return actions.comment(video=video, by=by, text=text, parent=parent)


REACTIONS: dict[str, Callable[..., Any]] = {"like": actions.like, "share": actions.share, "comment": say}


def test_liking_twice_is_once_and_can_be_taken_back(world: World) -> None:
    video = world_module.published(world.alice)
    first = actions.like(video=video, by=world.bob)
    assert actions.like(video=video, by=world.bob) == first
    assert first.uri.startswith("http://localhost:8000/users/bob/likes/")
    actions.like(video=video, by=world.charlie)
    assert counts(video) == (2, 0, 0, 0)
    actions.unlike(video=video, by=world.bob)
    actions.unlike(video=video, by=world.bob)
    assert counts(video) == (1, 0, 0, 0)
    assert recorded() == ["LikeAdded", "LikeRemoved"]
    removed = Task.objects.filter(fact="LikeRemoved").first()
    assert removed is not None
    assert removed.payload == {"account_id": world.bob.id, "video_id": video.id, "like_uri": first.uri}
    # Liked again, it is another like: the old id was undone.
    assert actions.like(video=video, by=world.bob).uri != first.uri


def test_sharing_twice_is_once_and_can_be_taken_back(world: World) -> None:
    video = world_module.published(world.dora)
    first = actions.share(video=video, by=world.bob)
    assert actions.share(video=video, by=world.bob) == first
    assert counts(video) == (0, 1, 0, 0)
    actions.unshare(video=video, by=world.bob)
    actions.unshare(video=video, by=world.bob)
    assert counts(video) == (0, 0, 0, 0)
    assert recorded() == ["ShareAdded", "ShareRemoved"]


def test_an_unlisted_video_is_not_passed_on_by_others(world: World) -> None:
    video = world_module.published(world.alice, visibility="unlisted")
    with pytest.raises(NotAllowed):
        actions.share(video=video, by=world.bob)
    actions.share(video=video, by=world.alice)
    actions.like(video=video, by=world.bob)
    assert counts(video) == (1, 1, 0, 0)


@pytest.mark.parametrize("reaction", REACTIONS.values(), ids=REACTIONS.keys())
@pytest.mark.parametrize("state", ["processing", "failed", "ready", "deleted"])
def test_nobody_reacts_to_what_is_not_published(world: World, reaction: Callable[..., Any], state: str) -> None:
    video = world_module.published(world.alice, state=state)
    for by in (world.bob, world.alice):
        with pytest.raises(NotFound):
            reaction(video=video, by=by)
    assert counts(video) == (0, 0, 0, 0)
    assert recorded() == []


@pytest.mark.parametrize("reaction", REACTIONS.values(), ids=REACTIONS.keys())
def test_a_block_in_either_direction_refuses(world: World, reaction: Callable[..., Any]) -> None:
    video = world_module.published(world.alice)
    accounts.block(account=world.alice, target=world.bob)
    accounts.block(account=world.charlie, target=world.alice)
    for by in (world.bob, world.charlie):
        with pytest.raises(NotAllowed):
            reaction(video=video, by=by)
    assert counts(video) == (0, 0, 0, 0)
    accounts.unblock(account=world.alice, target=world.bob)
    assert reaction(video=video, by=world.bob)


@pytest.mark.parametrize("reaction", REACTIONS.values(), ids=REACTIONS.keys())
def test_the_suspended_neither_act_nor_are_reached(world: World, reaction: Callable[..., Any]) -> None:
    video = world_module.published(world.alice)
    world.bob.suspended_at = world.bob.created_at
    with pytest.raises(NotAllowed):
        reaction(video=video, by=world.bob)
    world.alice.suspended_at = world.alice.created_at
    world.alice.save()
    with pytest.raises(NotFound):
        reaction(video=video, by=world.charlie)


@pytest.mark.parametrize("reaction", REACTIONS.values(), ids=REACTIONS.keys())
def test_remote_accounts_do_not_use_these_verbs(world: World, reaction: Callable[..., Any]) -> None:
    with pytest.raises(NotAllowed):
        reaction(video=world_module.published(world.alice), by=world.dora)


def test_a_like_can_be_taken_back_from_a_video_out_of_reach(world: World) -> None:
    video = world_module.published(world.alice)
    actions.like(video=video, by=world.bob)
    accounts.block(account=world.alice, target=world.bob)
    actions.unlike(video=video, by=world.bob)
    assert not Like.objects.exists()
    assert not Share.objects.exists()


@pytest.mark.parametrize(
    ("duration_ms", "watched_ms", "counted"),
    [
        (60_000, 4_999, 0),
        (60_000, 5_000, 1),
        (6_000, 2_999, 0),
        (6_000, 3_000, 1),
        (None, 4_999, 0),
        (None, 5_000, 1),
        (60_000, 0, 0),
    ],
)
def test_a_view_counts_from_five_seconds_or_half(world: World, duration_ms: int | None, watched_ms: int, counted: int) -> None:
    video = world_module.published(world.alice, duration_ms=duration_ms)
    actions.count_view(video=video, viewer=None, watched_ms=watched_ms)
    assert counts(video) == (0, 0, 0, counted)
    actions.count_view(video=video, viewer=world.bob, watched_ms=watched_ms)
    assert counts(video) == (0, 0, 0, 2 * counted)


def test_views_that_do_not_count(world: World) -> None:
    video, draft = world_module.published(world.alice), world_module.published(world.alice, state="ready")
    actions.count_view(video=draft, viewer=None, watched_ms=9_000)
    accounts.block(account=world.alice, target=world.charlie)
    actions.count_view(video=video, viewer=world.charlie, watched_ms=9_000)
    with pytest.raises(Invalid):
        actions.count_view(video=video, viewer=world.bob, watched_ms=-1)
    assert counts(video) == counts(draft) == (0, 0, 0, 0)


def test_a_comment_and_a_reply(world: World) -> None:
    video = world_module.published(world.alice)
    first = say(video, world.bob, " Lovely\0\r\nrabbit ")
    reply = say(video, world.alice, "Thank you @bob", parent=first)
    assert (first.text, first.is_local, reply.parent) == ("Lovely\nrabbit", True, first)
    assert first.uri == f"http://localhost:8000/users/bob/comments/{first.id}"
    assert counts(video) == (0, 0, 2, 0)
    assert recorded() == ["CommentAdded"]


@pytest.mark.parametrize("text", ["", "  \n ", "\0", "x" * (limits.COMMENT_CHARACTERS_MAX + 1)])
def test_words_that_are_no_comment(world: World, text: str) -> None:
    video = world_module.published(world.alice)
    with pytest.raises(Invalid) as refused:
        say(video, world.bob, text)
    assert refused.value.field == "text"
    assert counts(video) == (0, 0, 0, 0)


def test_closed_comments_are_closed_for_everybody(world: World) -> None:
    video = world_module.published(world.alice, comments_open=False)
    for by in (world.bob, world.alice):
        with pytest.raises(NotAllowed, match="closed"):
            say(video, by)
    assert not Comment.objects.exists()


def test_a_parent_belongs_to_the_video_is_there_and_has_not_blocked(world: World) -> None:
    video, other = world_module.published(world.alice), world_module.published(world.alice)
    elsewhere, gone, bobs = say(other, world.bob), say(video, world.bob), say(video, world.bob)
    actions.delete_comment(comment=gone, by=world.bob)
    accounts.block(account=world.bob, target=world.charlie)
    for parent, error in ((elsewhere, Invalid), (gone, Invalid), (bobs, NotAllowed)):
        with pytest.raises(error):
            say(video, world.charlie, parent=parent)
    assert counts(video) == (0, 0, 1, 0)
    assert say(video, world.alice, parent=bobs).parent == bobs


@pytest.mark.parametrize("who", ["bob", "alice"])
def test_the_author_and_the_owner_of_the_video_delete_a_comment(world: World, who: str) -> None:
    video = world_module.published(world.alice)
    comment, reply = say(video, world.bob), say(video, world.charlie)
    with pytest.raises(NotAllowed):
        actions.delete_comment(comment=comment, by=world.charlie)
    assert comment.text == "Nice"
    actions.delete_comment(comment=comment, by=getattr(world, who))
    actions.delete_comment(comment=Comment.objects.get(pk=comment.pk), by=getattr(world, who))
    comment.refresh_from_db()
    reply.refresh_from_db()
    assert (comment.text, comment.deleted_at is not None, reply.text) == ("", True, "Nice")
    assert counts(video) == (0, 0, 1, 0)
    assert recorded() == ["CommentAdded", "CommentDeleted"]


def test_the_owner_deletes_a_remote_comment_here_without_telling_anybody(world: World) -> None:
    video = world_module.published(world.alice, comment_count=1)
    comment = Comment.objects.create(
        video=video, account=world.dora, uri="https://peer.example/c/1", is_local=False, text="x", html="x"
    )
    actions.delete_comment(comment=comment, by=world.alice)
    assert (comment.text, comment.html, recorded(), counts(video)) == ("", "", [], (0, 0, 0, 0))
