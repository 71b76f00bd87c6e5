"""Buttons: as plain forms, as our scripts send them, and what strangers are told."""

import pytest
from django.test import Client

from server.accounts import actions as account_actions
from server.accounts.models import Block, Follow, Mute
from server.feed.models import Seen
from server.moderation.models import Report
from server.videos import actions
from server.videos.models import Comment, Like, Share
from tests.server.test_pages_watch import JSON, signed_in, text
from tests.world import World, published

pytestmark = pytest.mark.django_db


def test_like_and_unlike_as_a_form_and_by_script(world: World):
    video = published(world.alice)
    bob = signed_in(world.bob)
    answer = bob.post(f"/w/{video.pk}/like", {"next": "/?tab=local"})
    assert (answer.status_code, answer["Location"]) == (302, "/?tab=local")
    assert Like.objects.count() == 1
    again = bob.post(f"/w/{video.pk}/like", headers=JSON)
    assert again.json() | {"location": ""} == {"location": "", "message": "", "on": True, "count": 1}
    gone = bob.post(f"/w/{video.pk}/unlike", headers=JSON)
    assert (gone.json()["on"], gone.json()["count"]) == (False, 0)
    assert not Like.objects.exists()


def test_pass_on_and_take_back(world: World):
    video = published(world.alice)
    bob = signed_in(world.bob)
    assert bob.post(f"/w/{video.pk}/share", headers=JSON).json()["message"] == "Passed on to your followers."
    assert Share.objects.count() == 1
    assert bob.post(f"/w/{video.pk}/unshare", headers=JSON).json()["count"] == 0


def test_visitors_are_asked_to_log_in_and_lose_nothing(client: Client, world: World):
    video = published(world.alice)
    answer = client.post(f"/w/{video.pk}/like", {"next": f"/w/{video.pk}"})
    assert (answer.status_code, answer["Location"]) == (302, f"/account/login/?next=%2Fw%2F{video.pk}")
    refused = client.post(f"/w/{video.pk}/like", headers=JSON)
    assert (refused.status_code, refused.json()["code"]) == (401, "not_authenticated")
    assert not Like.objects.exists()


def test_the_blocked_and_the_curious_are_refused(world: World):
    video = published(world.alice)
    charlie = signed_in(world.charlie)
    assert charlie.post(f"/w/{video.pk}/explode").status_code == 404
    assert charlie.get(f"/w/{video.pk}/like").status_code == 405
    account_actions.block(account=world.alice, target=world.charlie)
    assert charlie.post(f"/w/{video.pk}/like", headers=JSON).status_code == 404
    assert charlie.post("/@alice/follow", headers=JSON).status_code == 403
    assert not Like.objects.exists()
    assert not Follow.objects.exists()


def test_no_button_leads_to_another_site(world: World):
    video = published(world.alice)
    bob = signed_in(world.bob)
    for evil in ("https://evil.example/", "//evil.example", "/\\evil.example", "javascript:alert(1)"):
        assert bob.post(f"/w/{video.pk}/like", {"next": evil})["Location"] == f"/w/{video.pk}"


def test_a_form_without_its_token_changes_nothing(world: World):
    video = published(world.alice)
    client = Client(enforce_csrf_checks=True)
    client.force_login(world.bob.user)
    assert client.post(f"/w/{video.pk}/like").status_code == 403
    assert client.post("/upload", {"caption": "x"}).status_code == 403
    assert not Like.objects.exists()


def test_follow_here_and_elsewhere(world: World):
    bob = signed_in(world.bob)
    here = bob.post("/@alice/follow", headers=JSON).json()
    assert (here["on"], here["state"], here["count"]) == (True, "accepted", 1)
    there = bob.post("/@dora@peer.example/follow", headers=JSON).json()
    assert (there["on"], there["state"]) == (True, "pending")
    gone = bob.post("/@alice/unfollow", headers=JSON).json()
    assert (gone["on"], gone["count"]) == (False, 0)
    page = text(bob.get("/following"))
    assert "dora@peer.example" in page
    assert "Asked" in page


def test_block_and_mute(world: World):
    bob = signed_in(world.bob)
    for verb, model in (("block", Block), ("mute", Mute)):
        assert bob.post(f"/@charlie/{verb}").status_code == 302
        assert model.objects.filter(account=world.bob, target=world.charlie).exists()
        assert bob.post(f"/@charlie/un{verb}").status_code == 302
        assert not model.objects.exists()


def test_watching_is_noted_once_long_enough(client: Client, world: World):
    video = published(world.alice)
    bob = signed_in(world.bob)
    assert bob.post(f"/w/{video.pk}/watched", {"watched_ms": "4500"}).status_code == 204
    assert Seen.objects.get().watched_ms == 4500
    video.refresh_from_db()
    assert video.view_count == 1
    for nonsense in ("", "-1", "1e9", "9" * 40):
        assert client.post(f"/w/{video.pk}/watched", {"watched_ms": nonsense}).status_code == 204
    assert Seen.objects.count() == 1
    video.refresh_from_db()
    assert video.view_count == 1


def test_comment_answer_and_delete(world: World):
    video = published(world.alice)
    bob, charlie = signed_in(world.bob), signed_in(world.charlie)
    made = bob.post(f"/w/{video.pk}/comments/add", {"text": "First <b>!</b>"}, headers=JSON).json()
    assert made["count"] == 1
    answer = charlie.post(f"/w/{video.pk}/comments/add", {"text": "Second", "parent": made["id"]}, headers=JSON).json()
    assert answer["count"] == 2
    page = text(bob.get(f"/w/{video.pk}/comments"))
    assert "First &lt;b&gt;" in page
    assert page.index("First") < page.index("Second")
    assert charlie.post(f"/comments/{made['id']}/delete", headers=JSON).status_code == 403
    assert bob.post(f"/comments/{made['id']}/delete", headers=JSON).json()["count"] == 1
    page = text(bob.get(f"/w/{video.pk}/comments"))
    assert "This comment was deleted." in page
    assert "Second" in page
    assert "First" not in page


def test_comments_that_are_refused(client: Client, world: World):
    video, other = published(world.alice), published(world.bob)
    elsewhere = actions.comment(video=other, by=world.bob, text="Elsewhere")
    bob = signed_in(world.bob)
    add = f"/w/{video.pk}/comments/add"
    assert bob.post(add, {"text": "  "}, headers=JSON).json()["field"] == "text"
    assert bob.post(add, {"text": "x" * 1_001}, headers=JSON).status_code == 422
    assert bob.post(add, {"text": "x", "parent": str(elsewhere.pk)}, headers=JSON).status_code == 422
    assert bob.post(add, {"text": "x", "parent": "me"}, headers=JSON).status_code == 404
    assert client.post(add, {"text": "x"}, headers=JSON).status_code == 401
    video.comments_open = False
    video.save()
    assert bob.post(add, {"text": "x"}, headers=JSON).status_code == 403
    assert "Comments are closed" in text(bob.get(f"/w/{video.pk}"))
    assert Comment.objects.count() == 1


def test_reports_also_from_visitors(client: Client, world: World):
    video = published(world.alice)
    comment = actions.comment(video=video, by=world.bob, text="Rude")
    assert "Report a video" in text(client.get(f"/report/video/{video.pk}"))
    answer = client.post(f"/report/video/{video.pk}", {"reason": "spam", "text": "Look"}, follow=True)
    assert "Thank you." in text(answer)
    signed_in(world.charlie).post(f"/report/comment/{comment.pk}", {"reason": "harassment"})
    signed_in(world.charlie).post("/report/account/dora@peer.example", {"reason": "other"})
    found = {(report.target.handle, report.reason, report.reporter_id) for report in Report.objects.all()}
    assert found == {("alice", "spam", None), ("bob", "harassment", world.charlie.pk), ("dora", "other", world.charlie.pk)}
    refused = client.post(f"/report/video/{video.pk}", {"reason": "bored"})
    assert refused.status_code == 422
    assert Report.objects.count() == 3
    assert client.get("/report/comment/1").status_code == 404


def test_requests_to_follow_are_answered(world: World):
    world.alice.manually_approves_followers = True
    world.alice.save()
    signed_in(world.bob).post("/@alice/follow")
    signed_in(world.charlie).post("/@alice/follow")
    alice = signed_in(world.alice)
    assert "They ask to follow you" in text(alice.get("/following"))
    bobs, charlies = Follow.objects.get(follower=world.bob), Follow.objects.get(follower=world.charlie)
    assert signed_in(world.bob).post(f"/following/requests/{bobs.pk}", {"answer": "accept"}).status_code == 404
    alice.post(f"/following/requests/{bobs.pk}", {"answer": "accept"})
    alice.post(f"/following/requests/{charlies.pk}", {"answer": "reject"})
    assert list(Follow.objects.values_list("follower__handle", "state")) == [("bob", "accepted")]
