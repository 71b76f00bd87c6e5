"""Who sees what, and how it is shown."""

from collections.abc import Callable
from typing import Any

import pytest

from server.accounts import actions as accounts
from server.core.errors import NotFound
from server.videos import actions, queries
from server.videos.models import Comment, Video
from tests import world as world_module
from tests.world import World


def seen(video: Video, viewer: Any) -> tuple[bool, bool]:
    """(in a list, behind its link)."""
    try:
        linked = queries.public_video(video.id, viewer) == video
    except NotFound:
        linked = False
    return video in queries.visible_to(viewer), linked


def test_a_published_video_is_seen_by_everybody(world: World, django_assert_num_queries: Any) -> None:
    video = world_module.published(world.alice)
    for viewer in (None, world.alice, world.bob, world.charlie, world.dora):
        assert seen(video, viewer) == (True, True)
    with django_assert_num_queries(1):
        assert [each.account.handle for each in queries.visible_to(world.bob)] == ["alice"]


@pytest.mark.parametrize("state", ["uploading", "processing", "failed", "ready", "deleted"])
def test_nothing_else_is_seen_even_by_its_owner(world: World, state: str) -> None:
    video = world_module.published(world.alice, state=state)
    for viewer in (None, world.alice, world.charlie):
        assert seen(video, viewer) == (False, False)


def _suspend(world: World) -> None:
    type(world.alice).objects.filter(pk=world.alice.pk).update(suspended_at=world.alice.created_at)


def _close(world: World) -> None:
    type(world.alice).objects.filter(pk=world.alice.pk).update(deleted_at=world.alice.created_at)


CASES: list[tuple[str, Callable[[World], Any], dict[str, tuple[bool, bool]]]] = [
    ("suspended", _suspend, {"alice": (False, False), "bob": (False, False), "nobody": (False, False)}),
    ("closed", _close, {"bob": (False, False), "nobody": (False, False)}),
    ("blocks", lambda w: accounts.block(account=w.alice, target=w.bob), {"bob": (False, False), "charlie": (True, True), "nobody": (True, True)}),
    ("blocked", lambda w: accounts.block(account=w.bob, target=w.alice), {"bob": (False, False), "charlie": (True, True)}),
    ("muted", lambda w: accounts.mute(account=w.bob, target=w.alice), {"bob": (False, True), "charlie": (True, True), "alice": (True, True)}),
    ("mutes", lambda w: accounts.mute(account=w.alice, target=w.bob), {"bob": (True, True)}),
    ("unlisted", lambda w: Video.objects.update(visibility="unlisted"), {"alice": (False, True), "bob": (False, True), "nobody": (False, True)}),
]  # fmt: skip


@pytest.mark.parametrize(("change", "expected"), [case[1:] for case in CASES], ids=[case[0] for case in CASES])
def test_sight(world: World, change: Callable[[World], Any], expected: dict[str, tuple[bool, bool]]) -> None:
    video = world_module.published(world.alice)
    change(world)
    assert {name: seen(video, getattr(world, name, None)) for name in expected} == expected


def test_an_unknown_video(world: World) -> None:
    with pytest.raises(NotFound):
        queries.public_video(1, world.charlie)
    assert queries.by_uri("https://peer.example/unknown") is None
    assert queries.comment_by_uri("https://peer.example/unknown") is None


def texts(video: Video, viewer: Any) -> list[str]:
    return [comment.text for comment in queries.thread(video, viewer)]


def test_a_thread_in_the_order_it_was_said(world: World) -> None:
    video = world_module.published(world.alice)
    by_bob = actions.comment(video=video, by=world.bob, text="one")
    actions.comment(video=video, by=world.charlie, text="two", parent=by_bob)
    lonely = actions.comment(video=video, by=world.charlie, text="three")
    actions.comment(video=world_module.published(world.alice), by=world.bob, text="elsewhere")
    assert texts(video, None) == ["one", "two", "three"]
    actions.delete_comment(comment=by_bob, by=world.bob)
    actions.delete_comment(comment=lonely, by=world.charlie)
    # What was answered leaves its empty place; what was not leaves none.
    assert texts(video, None) == ["", "two"]
    accounts.mute(account=world.bob, target=world.charlie)
    assert texts(video, world.bob) == [""]
    assert texts(video, world.alice) == ["", "two"]
    accounts.block(account=world.charlie, target=world.alice)
    assert texts(video, world.alice) == [""]


def test_hashtags_in_any_case(world: World) -> None:
    video = world_module.published(world.alice)
    actions.edit(video=video, by=world.alice, caption="A #Été day")
    for name in ("été", "ÉTÉ", "#Été"):
        assert queries.hashtag(name).name == "été"
    assert list(queries.visible_to(None).filter(hashtags=queries.hashtag("été"))) == [video]
    for name in ("", "winter", "#", "<script>"):
        with pytest.raises(NotFound):
            queries.hashtag(name)


def test_playback_before_and_after(world: World, settings: Any) -> None:
    video = world_module.published(world.alice)
    assert queries.playback(video).hls_url == f"/hls/{video.uuid}/master.m3u8"
    assert queries.playback(video).mp4_url == f"/media/{video.mp4_file}"
    settings.MEDIA_URL = "https://cdn.example/media/"
    assert queries.playback(video).poster_url == f"https://cdn.example/media/{video.poster_file}"
    bare = world_module.published(world.alice, mp4_file="", poster_file="", state="processing")
    assert queries.playback(bare) == queries.Playback("", "", "")


def test_a_local_caption_links_tags_and_the_people_it_knows(world: World) -> None:
    caption = "<b> #Été @bob @BOB @dora@PEER.example @nobody @bob@localhost:8000 @bob@peer.example https://x.example/?a&b"
    shown = queries.caption_as_html(world_module.published(world.alice, caption=caption))
    assert shown == (
        '<p>&lt;b&gt; <a href="http://localhost:8000/tags/%C3%A9t%C3%A9" class="mention hashtag" rel="tag">#Été</a> '
        '<a href="http://localhost:8000/@bob" class="u-url mention">@bob</a> '
        '<a href="http://localhost:8000/@bob" class="u-url mention">@BOB</a> '
        '<a href="https://peer.example/@dora" class="u-url mention">@dora@PEER.example</a> @nobody '
        '<a href="http://localhost:8000/@bob" class="u-url mention">@bob@localhost:8000</a> @bob@peer.example '
        '<a href="https://x.example/?a&amp;b" rel="nofollow noopener noreferrer">https://x.example/?a&amp;b</a></p>'
    )
    assert hasattr(shown, "__html__")


def test_a_remote_caption_is_cleaned_again_on_the_way_out(world: World) -> None:
    video = world_module.published(world.dora, caption="x", caption_html='<p onclick="x">a <script>b</script>@bob #c</p>')
    assert queries.caption_as_html(video) == "<p>a @bob #c</p>"
    assert (
        queries.caption_as_html(world_module.published(world.dora, caption="only <words>", caption_html=""))
        == "<p>only &lt;words&gt;</p>"
    )


def test_comments_are_shown_by_the_same_rules(world: World, django_assert_num_queries: Any) -> None:
    video = world_module.published(world.alice)
    mine = actions.comment(video=video, by=world.bob, text="<i>no</i>\n\n@alice #yes")
    assert queries.comment_as_html(mine).startswith("<p>&lt;i&gt;no&lt;/i&gt;</p><p><a href=")
    theirs = Comment(video=video, account=world.dora, is_local=False, text="x", html="<p><u>x</u><img src=y></p>")
    with django_assert_num_queries(0):
        assert queries.comment_as_html(theirs) == "<p><u>x</u></p>"
