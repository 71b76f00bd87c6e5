"""Videos, comments and the feed through the API; charlie, the stranger, may touch nothing of alice's."""

from datetime import timedelta
from itertools import chain
from urllib.parse import urlsplit

import pytest

from server.core import clock
from server.feed.models import Seen
from server.videos.models import Comment, Video
from tests import world as people
from tests.server.calls import Answer, Api
from tests.world import World


def ids(answer: Answer) -> list[str]:
    return [each["id"] for each in answer.body["results"]]


def test_a_video_is_shown_whole_with_absolute_addresses(world: World) -> None:
    video = people.published(world.alice, caption="Hop #rabbit <b>", mp4_bytes=10)
    found = Api(None).get(f"videos/{video.pk}").body
    assert (found["id"], found["account"]["acct"], found["state"]) == (str(video.pk), "alice", "published")
    assert found["mp4_url"].startswith("http://localhost:8000/media/aa/")
    assert found["hls_url"] == f"http://localhost:8000/hls/{video.uuid}/master.m3u8"
    assert found["poster_url"].startswith("http://localhost:8000/media/bb/")
    assert "&lt;b&gt;" in found["caption_html"]
    assert found["published_at"].endswith("Z")
    assert len(found["published_at"]) == len("2026-11-22T00:00:00Z")
    assert (found["liked"], found["shared"], found["processing"]) == (False, False, None)
    remote = people.published(world.dora, remote_mp4_url="https://peer.example/v.mp4", mp4_file="", poster_file="")
    found = Api(None).get(f"videos/{remote.pk}").body
    assert (found["mp4_url"], found["hls_url"], found["poster_url"]) == ("https://peer.example/v.mp4", None, None)


@pytest.mark.parametrize("state", ["processing", "ready", "failed"])
def test_what_is_not_published_is_the_owners_alone(world: World, state: str) -> None:
    video = people.published(world.alice, state=state, published_at=None, failure="Too long.")
    alice, charlie = Api(world.alice), Api(world.charlie)
    found = alice.get(f"videos/{video.pk}")
    assert found.body["processing"] == {"progress_percent": 0, "failure": "Too long.", "publish_when_ready": True}
    assert ids(alice.get("videos?mine=true")) == ids(alice.get(f"videos?mine=true&state={state}")) == [str(video.pk)]
    assert ids(alice.get("videos?mine=true&state=published")) == []
    for stranger in (charlie, Api(None)):
        assert stranger.get(f"videos/{video.pk}").status == 404
        assert stranger.get(f"videos/{video.pk}/comments").status == 404
        assert stranger.post(f"videos/{video.pk}/views", {"watched_ms": 9_000}).status == 404
        for address in ("videos", "videos?account=alice", "accounts/alice/videos", "feed"):
            assert ids(stranger.get(address)) == []
    for method, path in (
        ("PATCH", ""),
        ("DELETE", ""),
        ("POST", "/publish"),
        ("POST", "/unpublish"),
        ("POST", "/retry"),
        ("PUT", "/like"),
        ("PUT", "/share"),
    ):
        assert charlie.call(method, f"videos/{video.pk}{path}", {"caption": "mine"}).status == 404, path
    assert charlie.post(f"videos/{video.pk}/comments", {"text": "hi"}).status == 404
    assert charlie.get("videos?mine=true").body["results"] == []
    video.refresh_from_db()
    assert (video.state, video.caption) == (state, "A clip #test")


def test_a_stranger_may_not_change_what_she_may_see(world: World) -> None:
    video = people.published(world.alice)
    charlie = Api(world.charlie)
    for method, path in (("PATCH", ""), ("DELETE", ""), ("POST", "/publish"), ("POST", "/unpublish"), ("POST", "/retry")):
        refused = charlie.call(method, f"videos/{video.pk}{path}", {"caption": "mine"})
        assert (refused.status, refused.body["code"]) == (403, "not_allowed"), path
    video.refresh_from_db()
    assert (video.state, video.caption) == ("published", "A clip #test")


def test_the_owner_edits_takes_back_publishes_and_deletes(world: World) -> None:
    video = people.published(world.alice)
    alice = Api(world.alice)
    changed = alice.patch(f"videos/{video.pk}", {"caption": "New #Hop", "sensitive": True, "like_count": 99, "state": "deleted"})
    assert (changed.status, changed.body["caption"], changed.body["hashtags"]) == (200, "New #Hop", ["hop"])
    assert (changed.body["sensitive"], changed.body["like_count"], changed.body["state"]) == (True, 0, "published")
    for body in ({"caption": "x" * 2201}, {"sensitive": "yes"}, {"caption": 1}, {"caption": "\ud800"}):
        refused = alice.patch(f"videos/{video.pk}", body)
        assert (refused.status, len(refused.fields)) == (422, 1)
    assert alice.post(f"videos/{video.pk}/unpublish").body["state"] == "ready"
    assert Api(None).get(f"videos/{video.pk}").status == 404
    assert alice.post(f"videos/{video.pk}/unpublish").body["code"] == "wrong_state"
    assert alice.post(f"videos/{video.pk}/publish").body["state"] == "published"
    assert alice.post(f"videos/{video.pk}/retry").status == 409
    assert alice.delete(f"videos/{video.pk}").status == 204
    assert alice.get(f"videos/{video.pk}").status == 404
    assert alice.delete(f"videos/{video.pk}").status == 404
    assert ids(alice.get("videos?mine=true")) == []


def test_likes_and_shares_twice_are_once(world: World) -> None:
    video = people.published(world.alice)
    bob = Api(world.bob)
    for _ in range(2):
        assert bob.put(f"videos/{video.pk}/like").status == bob.put(f"videos/{video.pk}/share").status == 204
    found = bob.get(f"videos/{video.pk}").body
    assert (found["like_count"], found["share_count"], found["liked"], found["shared"]) == (1, 1, True, True)
    other = Api(world.charlie).get("videos").body["results"][0]
    assert (other["like_count"], other["liked"]) == (1, False)
    for _ in range(2):
        assert bob.delete(f"videos/{video.pk}/like").status == bob.delete(f"videos/{video.pk}/share").status == 204
    found = bob.get(f"videos/{video.pk}").body
    assert (found["like_count"], found["share_count"], found["liked"]) == (0, 0, False)
    for address in ("videos/1/like", "videos/1/share"):
        assert bob.put(address).status == bob.delete(address).status == 404


def test_views_count_from_everybody_and_are_remembered_for_members(world: World) -> None:
    video = people.published(world.alice, duration_ms=20_000)
    for who, watched_ms in ((None, 9_000), (world.bob, 9_000), (world.charlie, 100)):
        assert Api(who).post(f"videos/{video.pk}/views", {"watched_ms": watched_ms}).status == 204
    video.refresh_from_db()
    assert video.view_count == 2
    assert Seen.objects.count() == 2
    for body in ({}, {"watched_ms": -1}, {"watched_ms": 10**18}, {"watched_ms": "5"}, {"watched_ms": True}, {"watched_ms": 1.5}):
        assert Api(None).post(f"videos/{video.pk}/views", body).fields == ["watched_ms"]


def test_lists_are_filtered_by_account_and_tag(world: World) -> None:
    from server.videos.tagging import set_hashtags

    by_alice, by_dora = people.published(world.alice), people.published(world.dora)
    set_hashtags(by_dora, ["été"])
    people.published(world.alice, visibility="unlisted")
    nobody = Api(None)
    assert ids(nobody.get("videos?account=alice")) == ids(nobody.get("accounts/alice/videos")) == [str(by_alice.pk)]
    assert ids(nobody.get(f"videos?account={world.dora.pk}")) == [str(by_dora.pk)]
    assert ids(nobody.get("videos?tag=%23%C3%89t%C3%A9")) == [str(by_dora.pk)]
    assert ids(nobody.get("videos?tag=nothing")) == ids(nobody.get("videos?tag=a%20b")) == []
    assert nobody.get("videos?account=nobody").status == 404
    assert nobody.get("videos?state=deleted").status == 422


def walk(api: Api, address: str, link: str) -> list[list[str]]:
    """The ids of each page from ``address`` along the links called ``link``."""
    pages = []
    place: str | None = address
    while place:
        answer = api.get(place)
        assert answer.status == 200
        pages.append(ids(answer))
        place = answer.body[link]
        if place:
            assert place.startswith("http://localhost:8000/api/tributary/v1/")
            parts = urlsplit(place)
            place = f"{parts.path}?{parts.query}"
    return pages


def test_pages_lead_to_each_other_and_hold_still_while_rows_come_and_go(world: World) -> None:
    start = clock.now() - timedelta(hours=1)
    # Two share a moment, so the id decides between them.
    made = [people.published(world.alice, published_at=start + timedelta(minutes=number // 2)) for number in range(7)]
    order = [str(each.pk) for each in sorted(made, key=lambda each: (each.published_at, each.pk), reverse=True)]
    nobody = Api(None)
    forward = walk(nobody, "videos?count=3&account=alice", "next")
    assert forward == [order[:3], order[3:6], order[6:]]
    second = nobody.get(nobody.get("videos?count=3").body["next"].removeprefix("http://localhost:8000"))
    people.published(world.alice)
    Video.objects.filter(pk=order[4]).update(state="ready")
    again = walk(nobody, second.body["next"].removeprefix("http://localhost:8000"), "previous")
    newest = str(Video.objects.order_by("-pk").values_list("pk", flat=True)[0])
    assert again == [order[6:], [order[2], order[3], order[5]], [newest, *order[:2]]]
    assert nobody.get("videos?count=3").body["previous"] is None


def test_the_feed_is_a_walk_without_repetition(world: World) -> None:
    made = {str(people.published(world.alice).pk) for _ in range(5)} | {str(people.published(world.dora).pk)}
    bob = Api(world.bob)
    for tab in ("foryou", "federated", "local"):
        pages = walk(bob, f"feed?tab={tab}&count=2", "next")
        served = list(chain.from_iterable(pages))
        assert len(served) == len(set(served))
        assert set(served) <= made
    assert len(list(chain.from_iterable(walk(Api(None), "feed?count=2", "next")))) == 6
    assert bob.get("feed?tab=following").body["results"] == []
    bob.put("accounts/alice/follow")
    assert len(bob.get("feed?tab=following").body["results"]) == 5
    for query in ("tab=other", "cursor=x", "count=100", "cursor="):
        assert bob.get(f"feed?{query}").status == 422, query


def test_comments_make_a_thread_and_belong_to_author_and_owner(world: World) -> None:
    video, other = people.published(world.alice), people.published(world.alice)
    alice, bob, charlie = Api(world.alice), Api(world.bob), Api(world.charlie)
    first = bob.post(f"videos/{video.pk}/comments", {"text": "Nice <i>"}).body
    assert (first["text"], first["parent_id"], first["account"]["acct"], first["deleted"]) == ("Nice <i>", None, "bob", False)
    assert "&lt;i&gt;" in first["html"]
    answer = charlie.post(f"videos/{video.pk}/comments", {"text": "Yes", "parent_id": first["id"]}).body
    assert answer["parent_id"] == first["id"]
    assert ids(Api(None).get(f"videos/{video.pk}/comments")) == [first["id"], answer["id"]]
    for body, field in (
        ({"text": ""}, "text"),
        ({"text": "   "}, "text"),
        ({"text": "x" * 1001}, "text"),
        ({}, "text"),
        ({"text": "x", "parent_id": "1"}, "parent_id"),
        ({"text": "x", "parent_id": 1}, "parent_id"),
    ):
        assert charlie.post(f"videos/{video.pk}/comments", body).fields == [field], body
    assert charlie.post(f"videos/{other.pk}/comments", {"text": "x", "parent_id": first["id"]}).fields == ["parent_id"]
    assert charlie.delete(f"comments/{first['id']}").status == 403
    assert bob.delete(f"comments/{answer['id']}").status == 403
    assert bob.delete(f"comments/{first['id']}").status == 204
    assert bob.delete(f"comments/{first['id']}").status == 404
    stays = Api(None).get(f"videos/{video.pk}/comments").body["results"][0]
    assert (stays["id"], stays["text"], stays["deleted"]) == (first["id"], "", True)
    assert alice.delete(f"comments/{answer['id']}").status == 204
    assert Comment.objects.filter(deleted_at=None).count() == 0


def test_comments_are_refused_where_they_are_closed_or_out_of_reach(world: World) -> None:
    video = people.published(world.alice)
    alice, bob, charlie = Api(world.alice), Api(world.bob), Api(world.charlie)
    made = bob.post(f"videos/{video.pk}/comments", {"text": "hi"}).body
    alice.patch(f"videos/{video.pk}", {"comments_open": False})
    assert bob.post(f"videos/{video.pk}/comments", {"text": "again"}).status == 403
    alice.post(f"videos/{video.pk}/unpublish")
    assert charlie.delete(f"comments/{made['id']}").status == 404
    assert bob.delete(f"comments/{made['id']}").status == 204


def test_a_page_of_videos_costs_a_fixed_number_of_queries(world: World, django_assert_max_num_queries: object) -> None:
    from server.videos.tagging import set_hashtags

    bob = Api(world.bob)
    for number in range(12):
        video = people.published(world.alice if number % 2 else world.dora, caption="no mention")
        set_hashtags(video, [f"tag{number}"])
    with django_assert_max_num_queries(8):  # type: ignore[operator]
        assert len(ids(bob.get("videos?count=12"))) == 12
