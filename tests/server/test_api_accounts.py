"""People through the API: profiles, follows, blocks, mutes, requests, one's own account, search, reports."""

import io

import pytest
from django.test import override_settings
from PIL import Image

from server.accounts import actions
from server.accounts.models import Account, Follow
from server.accounts.remote import RemoteProfile
from server.core import storage
from server.core.errors import Unavailable
from server.moderation.models import Report
from server.videos.models import Comment
from tests import world as people
from tests.server.calls import Api
from tests.world import World


def test_a_profile_is_found_by_address_and_by_id(world: World) -> None:
    bob = Api(world.bob)
    for key in ("alice", "@ALICE", "alice@localhost:8000", str(world.alice.pk)):
        found = bob.get(f"accounts/{key}")
        assert (found.status, found.body["acct"], found.body["id"]) == (200, "alice", str(world.alice.pk))
    dora = bob.get("accounts/dora@peer.example").body
    assert (dora["host"], dora["is_local"], dora["uri"]) == ("peer.example", False, "https://peer.example/users/dora")
    for key in ("nobody", "1", "9" * 40, "a%00b", "%2e%2e", "dora", "alice@peer.example"):
        assert bob.get(f"accounts/{key}").status == 404, key


def test_a_profile_says_how_you_stand_and_nobody_stands_nowhere(world: World) -> None:
    bob = Api(world.bob)
    bob.put("accounts/alice/follow")
    assert bob.get("accounts/alice").body["relationship"] == {
        "following": True,
        "requested": False,
        "followed_by": False,
        "blocking": False,
        "muting": False,
    }
    found = Api(None).get("accounts/alice").body
    assert (found["relationship"], found["followers_count"], found["following_count"]) == (None, 1, 0)
    assert "email" not in found


def test_my_account_is_mine_and_shows_what_only_i_see(world: World) -> None:
    alice = Api(world.alice)
    assert alice.get("me").body["email"] == "alice@example.org"
    changed = alice.patch("me", {"bio": "I film <b>rabbits</b>.\nDaily.", "id": "1", "handle": "root", "is_staff": True})
    assert changed.body["bio"] == "I film <b>rabbits</b>.\nDaily."
    assert changed.body["bio_html"] == "I film &lt;b&gt;rabbits&lt;/b&gt;.<br>Daily."
    assert (changed.body["handle"], changed.body["id"]) == ("alice", str(world.alice.pk))
    assert alice.patch("me", {"display_name": "Alice"}).body["bio"].startswith("I film")
    for body, field in (({"bio": "x" * 501}, "bio"), ({"display_name": 5}, "display_name"), ({"bio": None}, "bio")):
        refused = alice.patch("me", body)
        assert (refused.status, refused.fields) == (422, [field])
    assert Api(world.charlie).get("accounts/alice").body["display_name"] == "Alice"


def test_a_picture_is_sent_as_it_is_and_served_anew(world: World) -> None:
    out = io.BytesIO()
    Image.new("RGB", (50, 80), "red").save(out, "PNG")
    alice = Api(world.alice)
    found = alice.put("me/avatar", out.getvalue()).body["avatar_url"]
    assert found.startswith("http://localhost:8000/media/")
    world.alice.refresh_from_db()
    assert storage.exists(world.alice.avatar_file)
    for data, status in ((b"<svg/>", 422), (b"", 422), (b"x" * (4 * 1024 * 1024 + 1), 413)):
        refused = alice.put("me/avatar", data)
        assert (refused.status, refused.fields) == (status, ["avatar"])
    assert alice.get("me").body["avatar_url"] == found


def test_follow_and_unfollow_twice_is_once(world: World) -> None:
    bob = Api(world.bob)
    for _ in range(2):
        assert bob.put("accounts/alice/follow").body["following"]
    assert bob.put("accounts/dora@peer.example/follow").body["requested"]
    assert [each["acct"] for each in bob.get("accounts/bob/following").body["results"]] == ["alice"]
    assert [each["acct"] for each in Api(None).get("accounts/alice/followers").body["results"]] == ["bob"]
    for _ in range(2):
        assert not bob.delete("accounts/alice/follow").body["following"]
    assert not Follow.objects.filter(target=world.alice).exists()
    assert bob.put("accounts/bob/follow").status == 422
    assert bob.put("accounts/nobody/follow").status == 404


def test_who_is_blocked_cannot_follow_and_sees_nothing(world: World) -> None:
    video = people.published(world.alice)
    alice, bob, charlie = Api(world.alice), Api(world.bob), Api(world.charlie)
    bob.put("accounts/alice/follow")
    assert alice.put("accounts/bob/block").body["blocking"]
    assert [each["acct"] for each in alice.get("blocks").body["results"]] == ["bob"]
    assert not Follow.objects.exists()
    assert bob.put("accounts/alice/follow").status == 403
    assert bob.get(f"videos/{video.pk}").status == 404
    assert bob.put(f"videos/{video.pk}/like").status == 404
    assert bob.get("accounts/alice/videos").body["results"] == []
    assert charlie.get(f"videos/{video.pk}").status == 200
    assert charlie.get("blocks").body["results"] == []
    assert not alice.delete("accounts/bob/block").body["blocking"]
    assert bob.get(f"videos/{video.pk}").status == 200
    assert alice.put("accounts/alice/block").status == 422


def test_who_is_muted_is_out_of_my_lists_only(world: World) -> None:
    video = people.published(world.alice)
    bob = Api(world.bob)
    assert bob.put("accounts/alice/mute").body["muting"]
    assert bob.get("videos").body["results"] == []
    assert bob.get(f"videos/{video.pk}").status == 200
    assert [each["acct"] for each in bob.get("mutes").body["results"]] == ["alice"]
    assert not Api(world.alice).get("accounts/bob").body["relationship"]["muting"]
    bob.delete("accounts/alice/mute")
    assert len(bob.get("videos").body["results"]) == 1


def test_requests_are_answered_by_the_one_who_was_asked(world: World) -> None:
    alice, bob, charlie = Api(world.alice), Api(world.bob), Api(world.charlie)
    alice.patch("me", {"manually_approves_followers": True})
    assert bob.put("accounts/alice/follow").body["requested"]
    charlie.put("accounts/alice/follow")
    waiting = alice.get("follow-requests").body["results"]
    assert [each["account"]["acct"] for each in waiting] == ["charlie", "bob"]
    of_bob, of_charlie = waiting[1]["id"], waiting[0]["id"]
    for stranger in (bob, charlie):
        assert stranger.get("follow-requests").body["results"] == []
        assert stranger.post(f"follow-requests/{of_bob}/accept").status == 404
    assert alice.post(f"follow-requests/{of_bob}/accept").status == 204
    assert alice.post(f"follow-requests/{of_charlie}/reject").status == 204
    assert alice.post(f"follow-requests/{of_charlie}/accept").status == 404
    assert [row.follower.handle for row in Follow.objects.filter(state="accepted")] == ["bob"]


def asked_elsewhere(address: str) -> Account:
    """Stands where federation stands, on another server's answer."""
    if "dead" in address:
        raise Unavailable
    return actions.receive_remote_account(
        profile=RemoteProfile(uri="https://far.example/users/erin", handle="erin", domain="far.example")
    )


@override_settings(ACCOUNT_RESOLVER="tests.server.test_api_accounts.asked_elsewhere")
def test_search_finds_people_tags_and_captions_and_asks_elsewhere_only_for_members(world: World) -> None:
    bob = Api(world.bob)
    found = bob.get("search?q=ali").body
    assert [each["acct"] for each in found["accounts"]] == ["alice"]
    assert bob.get("search?q=@erin@far.example").body["accounts"] == []
    assert Api(None).get("search?q=@erin@far.example&resolve=true").status == 401
    assert bob.get("search?q=@erin@far.example&resolve=true").body["accounts"][0]["acct"] == "erin@far.example"
    assert bob.get("search?q=erin@dead.example&resolve=true").body["accounts"] == []
    for query in ("", "?q=", "?q=" + "x" * 301, "?q=a&resolve=maybe", "?q=%00"):
        assert bob.get(f"search{query}").status == 422, query


def test_search_does_not_find_what_one_may_not_see(world: World) -> None:
    from server.videos.tagging import set_hashtags

    for state in ("published", "ready"):
        set_hashtags(people.published(world.alice, caption=f"Meadow {state} #{state}tag", state=state), [f"{state}tag"])
    charlie = Api(world.charlie)
    assert [each["caption"] for each in charlie.get("search?q=meadow").body["videos"]] == ["Meadow published #publishedtag"]
    assert charlie.get("search?q=%23publishedtag").body["hashtags"] == ["publishedtag"]
    assert len(charlie.get("search?q=%23publishedtag").body["videos"]) == 1
    assert charlie.get("search?q=%23readytag").body == {"accounts": [], "hashtags": [], "videos": []}


def test_reports_name_one_thing_and_are_seen_by_their_maker_only(world: World) -> None:
    video, hidden = people.published(world.alice), people.published(world.alice, state="ready")
    comment = Comment.objects.create(video=video, account=world.bob, uri="http://localhost:8000/c/1", is_local=True, text="rude")
    charlie = Api(world.charlie)
    made = charlie.post("reports", {"video_id": str(video.pk), "reason": "spam", "text": "look"})
    assert (made.status, made.body["account"], made.body["video_id"]) == (201, "alice", str(video.pk))
    assert charlie.post("reports", {"comment_id": str(comment.pk), "reason": "harassment"}).body["account"] == "bob"
    assert charlie.post("reports", {"account": "dora@peer.example", "reason": "other"}).status == 201
    assert Api(None).post("reports", {"video_id": str(video.pk), "reason": "intimate"}).status == 201
    assert len(charlie.get("reports").body["results"]) == 3
    for other in (Api(world.alice), Api(world.bob)):
        assert other.get("reports").body["results"] == []
    for body, status in (
        ({"reason": "spam"}, 422),
        ({"account": "alice", "video_id": str(video.pk), "reason": "spam"}, 422),
        ({"account": "alice", "reason": "boring"}, 422),
        ({"account": "charlie", "reason": "spam"}, 422),
        ({"video_id": "x", "reason": "spam"}, 422),
        ({"video_id": str(hidden.pk), "reason": "spam"}, 404),
        ({"comment_id": "99", "reason": "spam"}, 404),
        ({"account": "nobody", "reason": "spam"}, 404),
    ):
        assert charlie.post("reports", body).status == status, body
    assert Report.objects.count() == 4


@pytest.mark.parametrize("address", ["accounts/alice/followers", "follow-requests", "reports", "blocks"])
def test_lists_refuse_cursors_they_did_not_make(world: World, address: str) -> None:
    alice = Api(world.alice)
    for cursor in ("x", "bg", "bi4", "é", "%00", "A" * 2001, "bi45OTk5OTk5OTk5OTk5OTk5OTk5OTk5"):
        assert alice.get(f"{address}?cursor={cursor}").status == 422, cursor
    for count in ("0", "41", "x", "-1", ""):
        assert alice.get(f"{address}?count={count}").status == 422
