"""Who may call what: tokens, scopes, sessions with CSRF, suspended people, and the shape of every refusal."""

import json

import pytest
from django.conf import settings
from django.core.management import CommandError, call_command
from django.test import Client
from oauth2_provider.models import get_access_token_model
from rest_framework.throttling import AnonRateThrottle, ScopedRateThrottle, UserRateThrottle

from server.accounts import actions
from server.accounts.models import User
from server.core import clock
from server.moderation import actions as moderation
from tests import world as people
from tests.server.calls import BASE, PROBLEM, Api
from tests.world import World


def test_nobody_reads_what_is_public_and_is_asked_to_sign_in_for_the_rest(world: World) -> None:
    nobody = Api(None)
    for address in ("instance", "feed", "videos", "accounts/alice", "search?q=alice"):
        assert nobody.get(address).status == 200
    for method, address in (
        ("GET", "me"),
        ("GET", "videos?mine=true"),
        ("GET", "feed?tab=following"),
        ("GET", "reports"),
        ("GET", "blocks"),
        ("GET", "search?q=a@b.example&resolve=true"),
        ("PATCH", "me"),
        ("POST", "uploads"),
        ("PUT", "accounts/alice/follow"),
    ):
        refused = nobody.call(method, address, {} if method != "GET" else None)
        assert (refused.status, refused.body["code"]) == (401, "not_authenticated"), address
        assert refused.headers["WWW-Authenticate"] == 'Bearer realm="api"'


def test_a_token_that_is_not_valid_is_an_error_everywhere(world: World) -> None:
    for header in ("Bearer nonsense", "Bearer ", "Bearer é", "bearer x y"):
        refused = Api(None).get("feed", Authorization=header)
        assert (refused.status, refused.body["code"]) == (401, "invalid_token"), header
    assert Api(None).get("me", Authorization="Basic YTpi").status == 401
    good = Api(world.alice)
    token = good.headers["Authorization"].removeprefix("Bearer ")
    assert Api(None).get(f"me?access_token={token}").status == 401
    assert Api(None).get("me", Authorization=f"bearer {token}").status == 200


def test_tokens_expire_and_are_stored_as_hashes_only(world: World) -> None:
    from datetime import timedelta

    alice = Api(world.alice)
    token = alice.headers["Authorization"].removeprefix("Bearer ")
    row = get_access_token_model().objects.get()
    assert row.token == ""
    assert token not in str(row.__dict__)
    assert alice.get("me").status == 200
    with clock.moved(timedelta(days=1, seconds=1)):
        assert alice.get("me").status == 401


def test_a_read_token_does_not_write_and_a_write_token_does_not_read(world: World) -> None:
    reader, writer = Api(world.bob, "read"), Api(world.bob, "write")
    assert reader.get("me").status == 200
    for method, address in (("PUT", "accounts/alice/follow"), ("PATCH", "me"), ("POST", "reports"), ("DELETE", "videos/1")):
        refused = reader.call(method, address, {})
        assert (refused.status, refused.body["code"]) == (403, "insufficient_scope"), address
        assert 'scope="write"' in refused.headers["WWW-Authenticate"]
    assert writer.put("accounts/alice/follow").status == 200
    refused = writer.get("me")
    assert (refused.status, refused.body["code"]) == (403, "insufficient_scope")


def test_suspended_and_closed_people_are_out_at_once_everywhere(world: World) -> None:
    boss = User.objects.create_user("staff@example.org", people.PASSWORD, is_staff=True)
    token, browser = Api(world.alice), Client()
    browser.force_login(world.alice.user)
    assert token.get("me").status == browser.get(f"{BASE}me").status_code == 200
    moderation.suspend(account=world.alice, by_staff=boss)
    assert token.get("me").status == 401
    assert token.get("feed").status == 401
    assert browser.get(f"{BASE}me").status_code == 401
    assert Api(None).get("accounts/alice").status == 404
    moderation.unsuspend(account=world.alice, by_staff=boss)
    assert token.get("me").status == 200
    # The account alone, as by an administrator who edits the row.
    world.alice.suspended_at = clock.now()
    world.alice.save()
    assert token.get("me").status == browser.get(f"{BASE}me").status_code == 401
    actions.close_account(account=world.bob, by=world.bob)
    assert not get_access_token_model().objects.filter(user__email="bob@example.org").exists()


def test_a_browser_session_needs_its_csrf_token_to_change_things(world: World) -> None:
    browser = Client(enforce_csrf_checks=True)
    browser.force_login(world.bob.user)
    assert browser.get(f"{BASE}me").status_code == 200
    refused = browser.put(f"{BASE}accounts/alice/follow")
    assert (refused.status_code, refused["Content-Type"]) == (403, PROBLEM)
    token = "x" * 32
    browser.cookies[settings.CSRF_COOKIE_NAME] = token
    assert browser.put(f"{BASE}accounts/alice/follow", headers={"X-CSRFToken": token}).status_code == 200
    assert browser.put(f"{BASE}accounts/alice/follow", headers={"X-CSRFToken": "y" * 32}).status_code == 403


def test_a_user_without_an_account_reads_and_is_told_to_open_one(db: None) -> None:
    browser = Client()
    browser.force_login(User.objects.create_user("root@example.org", people.PASSWORD, is_staff=True))
    assert browser.get(f"{BASE}feed").status_code == 200
    for refused in (browser.get(f"{BASE}me"), browser.get(f"{BASE}videos?mine=true"), browser.post(f"{BASE}uploads")):
        assert refused.status_code in {403, 415}, refused.content
        assert refused["Content-Type"] == PROBLEM


def test_wrong_addresses_methods_types_and_bodies_are_problems_too(world: World) -> None:
    alice = Api(world.alice)
    for address in ("nothing", "videos/abc", "/api/v1/videos", "/api/", "videos/" + "9" * 30, "videos/" + "9" * 5000):
        assert alice.get(address).status == 404
    refused = alice.delete("feed")
    assert (refused.status, refused.headers["Allow"]) == (405, "GET, HEAD")
    assert Api(None).call("OPTIONS", "feed").status == 405
    assert Api(None).client.head(f"{BASE}feed").status_code == 200
    assert Api(None).client.head(f"{BASE}me").status_code == 401
    assert alice.post("uploads", {"filename": "a.mp4"}, Content_Type="text/plain").status == 415
    assert alice.call("POST", "uploads", b"{", Content_Type="application/json").status == 400
    for body in (b"[" * 200_000, b'{"filename": NaN}', b"\xff"):
        assert alice.call("POST", "uploads", body, Content_Type="application/json").body["code"] == "malformed"
    assert alice.call("POST", "uploads", b" " * 2_000_000, Content_Type="application/json").status == 413
    for body in ([], "x", None, 1):
        assert alice.post("uploads", body).status == 422
    refused = alice.post("uploads", {"filename": "\x00.mp4", "bytes": "1"})
    assert (refused.status, sorted(refused.fields)) == (422, ["bytes", "filename"])
    assert alice.post("uploads", {"filename": "\ud800.mp4", "bytes": 1}).fields == ["filename"]


def test_what_we_did_not_expect_is_logged_and_says_nothing(
    world: World, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    from server.api import search

    monkeypatch.setattr(search, "_tags", lambda words: 1 // 0)
    refused = Api(world.alice).get("search?q=secret")
    assert (refused.status, refused.body["detail"]) == (500, "Something went wrong on our side.")
    assert "ZeroDivisionError" in caplog.text


def test_too_many_calls_are_told_when_to_come_back(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    rates = {"anon": "3/min", "user": "4/min", "apps": "1/hour", "reports": "1/hour"}
    for throttle in (AnonRateThrottle, UserRateThrottle, ScopedRateThrottle):
        monkeypatch.setattr(throttle, "THROTTLE_RATES", rates)
    nobody, bob = Api(None), Api(world.bob)
    assert [nobody.get("instance").status for _ in range(4)] == [200, 200, 200, 429]
    assert [bob.get("instance").status for _ in range(5)] == [200, 200, 200, 200, 429]
    refused = nobody.get("instance")
    assert refused.body["code"] == "too_many_requests"
    assert 1 <= int(refused.headers["Retry-After"]) <= 60
    # Another person at the same address still has her own count, and few reports and programs are taken from one sender.
    charlie = Api(world.charlie)
    report = {"account": "alice", "reason": "spam"}
    assert [charlie.post("reports", report).status for _ in range(2)] == [201, 429]
    assert charlie.get("reports").status == 200


def test_the_command_prints_a_token_that_works_for_its_scopes(world: World, capsys: pytest.CaptureFixture[str]) -> None:
    call_command("api_token", "@Alice", "--scope", "read", "--days", "2")
    token = capsys.readouterr().out.strip()
    api = Api(None)
    api.headers = {"Authorization": f"Bearer {token}"}
    assert api.get("me").body["acct"] == "alice"
    assert api.patch("me", {"bio": "x"}).status == 403
    for arguments in (("nobody",), ("dora@peer.example",), ("alice", "--days", "0")):
        with pytest.raises(CommandError):
            call_command("api_token", *arguments)


def test_clients_in_other_browsers_pages_may_call_but_not_with_cookies(world: World) -> None:
    browser = Client()
    browser.force_login(world.alice.user)
    answer = browser.get(f"{BASE}me", headers={"Origin": "https://app.example"})
    assert answer["Access-Control-Allow-Origin"] == "*"
    assert "Access-Control-Allow-Credentials" not in answer.headers
    asked = browser.options(
        f"{BASE}me",
        headers={
            "Origin": "https://app.example",
            "Access-Control-Request-Method": "PATCH",
            "Access-Control-Request-Headers": "authorization, content-type, upload-offset",
        },
    )
    assert asked.status_code == 200
    allowed = asked["Access-Control-Allow-Headers"].lower()
    assert "authorization" in allowed
    assert "upload-offset" in allowed


def test_the_instance_says_its_limits(db: None) -> None:
    found = Api(None).get("instance").body
    assert found["host"] == "localhost:8000"
    assert found["limits"]["upload_extensions"] == [".mp4", ".mov", ".webm"]
    assert json.dumps(found)
