"""Pages of the feed: what belongs to a tab, in which order, and that a page stays put while the world goes on."""

from datetime import timedelta

import pytest

from server.accounts import actions as account_actions
from server.core import clock
from server.core.errors import Invalid
from server.feed import queries
from server.feed.actions import mark_seen
from server.feed.models import Seen
from server.videos import actions
from server.videos.models import Video
from tests.world import World, published

pytestmark = pytest.mark.django_db


def at(hours_ago: float, account, **fields) -> Video:
    return published(account, published_at=clock.now() - timedelta(hours=hours_ago), **fields)


def walk(viewer, tab: str = "foryou", count: int = 3) -> list[int]:
    """All ids of a tab, page by page."""
    ids: list[int] = []
    cursor = None
    for _ in range(100):
        page = queries.page(viewer=viewer, tab=tab, cursor=cursor, count=count)
        ids += [video.id for video in page.videos]
        cursor = page.next_cursor
        if cursor is None:
            return ids
    raise AssertionError("the feed does not end")


def ids(page: queries.Page) -> list[int]:
    return [video.id for video in page.videos]


def test_local_and_federated_are_what_they_say(world: World):
    here, there = at(1, world.alice), at(2, world.dora)
    assert walk(world.bob, "local") == [here.id]
    assert walk(world.bob, "federated") == [there.id]
    assert set(walk(world.bob)) == {here.id, there.id}


def test_following_holds_the_followed_and_what_they_passed_on_and_charlie_sees_none_of_it(world: World):
    account_actions.follow(follower=world.bob, target=world.alice)
    own = at(1, world.alice)
    passed_on = at(5, world.dora)
    actions.share(video=passed_on, by=world.alice)
    at(2, world.dora)
    assert walk(world.bob, "following") == [own.id, passed_on.id]
    assert walk(world.charlie, "following") == []
    assert walk(None, "following") == []


def test_a_follow_that_is_not_yet_accepted_shows_nothing(world: World):
    account_actions.follow(follower=world.bob, target=world.dora)
    at(1, world.dora)
    assert walk(world.bob, "following") == []


def test_what_is_unlisted_unpublished_or_blocked_stands_in_no_feed(world: World):
    at(1, world.alice, visibility="unlisted")
    at(1, world.alice, state="ready")
    blocked, muted = at(1, world.charlie), at(1, world.dora)
    account_actions.block(account=world.bob, target=world.charlie)
    account_actions.mute(account=world.bob, target=world.dora)
    for tab in queries.TABS:
        assert walk(world.bob, tab) == []
    assert set(walk(None)) == {blocked.id, muted.id}


def test_new_videos_do_not_shift_the_pages(world: World):
    for number in range(9):
        at(number + 1, world.alice if number % 2 else world.bob)
    for tab in ("foryou", "local"):
        first = queries.page(viewer=world.charlie, tab=tab, cursor=None, count=4)
        late = [published(world.dora), published(world.alice)]
        second = queries.page(viewer=world.charlie, tab=tab, cursor=first.next_cursor, count=4)
        third = queries.page(viewer=world.charlie, tab=tab, cursor=second.next_cursor, count=4)
        seen = ids(first) + ids(second) + ids(third)
        assert len(seen) == len(set(seen))
        assert not {each.id for each in late} & set(seen)
        assert third.next_cursor is None
        Video.objects.filter(id__in=[each.id for each in late]).delete()


def test_likes_in_between_neither_repeat_nor_lose_a_video(world: World):
    every = [at(number + 1, account) for number, account in enumerate([world.alice, world.bob] * 5)]
    first = queries.page(viewer=world.charlie, tab="foryou", cursor=None, count=4)
    rest = [video for video in every if video.id not in ids(first)]
    Video.objects.filter(id=rest[-1].id).update(like_count=1_000)
    Video.objects.filter(id=first.videos[0].id).update(like_count=0)
    second = queries.page(viewer=world.charlie, tab="foryou", cursor=first.next_cursor, count=20)
    assert second.videos[0].id == rest[-1].id
    assert sorted(ids(first) + ids(second)) == sorted(video.id for video in every)


def test_unseen_come_first_and_watching_meanwhile_changes_nothing(world: World):
    old, new = at(50, world.alice), at(1, world.bob)
    with clock.moved(timedelta(minutes=-5)):
        mark_seen(account=world.charlie, video=new, watched_ms=9_000)
    assert walk(world.charlie) == [old.id, new.id]
    first = queries.page(viewer=world.charlie, tab="foryou", cursor=None, count=1)
    mark_seen(account=world.charlie, video=old, watched_ms=9_000)
    second = queries.page(viewer=world.charlie, tab="foryou", cursor=first.next_cursor, count=1)
    assert (ids(first), ids(second)) == ([old.id], [new.id])
    assert second.next_cursor is None


def test_bobs_history_is_not_charlies(world: World):
    old, new = at(50, world.alice), at(1, world.dora)
    with clock.moved(timedelta(minutes=-5)):
        mark_seen(account=world.bob, video=new, watched_ms=9_000)
    assert walk(world.bob) == [old.id, new.id]
    assert walk(world.charlie) == [new.id, old.id]


def test_windows_follow_each_other_to_the_end(world: World, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr("server.feed.cursor.WINDOW_COUNT_MAX", 4)
    every = [at(number + 1, [world.alice, world.bob, world.dora][number % 3]) for number in range(14)]
    with clock.moved(timedelta(minutes=-5)):
        for video in every[:5]:
            mark_seen(account=world.charlie, video=video, watched_ms=1)
    found = walk(world.charlie, count=3)
    assert sorted(found) == sorted(video.id for video in every)
    assert len(found) == len(set(found))
    assert set(found[-5:]) == {video.id for video in every[:5]}


def test_videos_of_the_same_microsecond_are_all_shown(world: World):
    moment = clock.now() - timedelta(hours=1)
    every = [published(world.alice, published_at=moment) for _ in range(7)]
    assert sorted(walk(world.bob, "local", count=2)) == sorted(video.id for video in every)


def test_reading_writes_nothing(world: World, django_assert_num_queries):
    for number in range(5):
        at(number + 1, world.alice)
    before = Seen.objects.count()
    with django_assert_num_queries(1):
        queries.page(viewer=world.bob, tab="foryou", cursor=None, count=3)
    with django_assert_num_queries(1):
        queries.page(viewer=world.bob, tab="local", cursor=None, count=3)
    assert Seen.objects.count() == before


@pytest.mark.parametrize("arguments", [{"tab": "secret"}, {"cursor": "broken"}, {"count": 0}, {"count": 41}])
def test_refusals(world: World, arguments: dict[str, object]):
    with pytest.raises(Invalid):
        queries.page(**{"viewer": world.bob, "tab": "local", "cursor": None, "count": 3, **arguments})


def test_seen_keeps_the_first_moment_and_the_longest_time(world: World):
    video = at(1, world.alice)
    first = mark_seen(account=world.bob, video=video, watched_ms=3_000)
    with clock.moved(timedelta(hours=1)):
        mark_seen(account=world.bob, video=video, watched_ms=1_000)
        mark_seen(account=world.bob, video=video, watched_ms=10**15)
    seen = Seen.objects.get(account=world.bob)
    assert seen.at == first.at
    assert seen.watched_ms == 24 * 3600 * 1000
    mark_seen(account=world.bob, video=video, watched_ms=-5)
    assert Seen.objects.count() == 1
