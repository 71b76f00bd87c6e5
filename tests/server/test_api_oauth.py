"""Letting a program in: registration, the question, the code, tokens, refreshing, revoking; and every way to cheat."""

import base64
import hashlib
import json
from urllib.parse import parse_qs, urlsplit

import pytest
from django.test import Client
from oauth2_provider.models import get_access_token_model, get_application_model, get_grant_model

from server.accounts.models import User
from server.api import programs, redirects
from server.core import clock
from server.moderation import actions as moderation
from tests import world as people
from tests.server.calls import Api
from tests.world import World

REDIRECT = "https://app.example/callback"
VERIFIER = "v" * 64
CHALLENGE = base64.urlsafe_b64encode(hashlib.sha256(VERIFIER.encode()).digest()).rstrip(b"=").decode()


def register(uri: str = REDIRECT) -> str:
    made = Api(None).post("apps", {"name": "A player", "redirect_uris": [uri]})
    assert made.status == 201, made.body
    return str(made.body["client_id"])


def question(program: str, **changes: str | None) -> dict[str, str]:
    asked: dict[str, str | None] = {
        "response_type": "code",
        "client_id": program,
        "redirect_uri": REDIRECT,
        "scope": "read write",
        "state": "s1",
        "code_challenge": CHALLENGE,
        "code_challenge_method": "S256",
        **changes,
    }
    return {name: value for name, value in asked.items() if value is not None}


def signed_in(world: World) -> Client:
    browser = Client()
    browser.force_login(world.bob.user)
    return browser


def say(browser: Client, asked: dict[str, str], *, yes: bool = True) -> dict[str, str]:
    """Answer the question on the page; what the program then hears."""
    response = browser.post("/oauth/authorize", {**asked, **({"allow": "true"} if yes else {})})
    assert response.status_code == 302, response.content
    assert response["Location"].startswith(asked["redirect_uri"])
    return {name: values[0] for name, values in parse_qs(urlsplit(response["Location"]).query).items()}


def exchange(client_id: str, code: str, **changes: str) -> tuple[int, dict[str, str]]:
    sent = {
        "grant_type": "authorization_code",
        "code": code,
        "client_id": client_id,
        "redirect_uri": REDIRECT,
        "code_verifier": VERIFIER,
    }
    response = Client().post("/oauth/token", {**sent, **changes})
    return response.status_code, json.loads(response.content)


def bearer(token: str) -> Api:
    api = Api(None)
    api.headers = {"Authorization": f"Bearer {token}"}
    return api


def test_a_program_is_let_in_and_gets_what_was_granted(world: World) -> None:
    client_id, browser = register(), signed_in(world)
    page = browser.get("/oauth/authorize", question(client_id))
    assert page.status_code == 200
    assert b"A player" in page.content
    assert "https://app.example" in page["Content-Security-Policy"].partition("form-action")[2].partition(";")[0]
    heard = say(browser, question(client_id))
    assert (heard["state"], heard["iss"]) == ("s1", "http://localhost:8000")
    status, tokens = exchange(client_id, heard["code"])
    assert (status, tokens["token_type"], set(tokens["scope"].split())) == (200, "Bearer", {"read", "write"})
    assert bearer(tokens["access_token"]).get("me").body["acct"] == "bob"
    stored = str([row.__dict__ for row in get_access_token_model().objects.all()])
    assert tokens["access_token"] not in stored
    assert exchange(client_id, heard["code"])[0] == 400

    status, fresh = refresh(client_id, tokens["refresh_token"])
    assert status == 200
    assert bearer(tokens["access_token"]).get("me").status == 401
    assert bearer(fresh["access_token"]).get("me").status == 200
    # A refresh token used twice was stolen by somebody: the whole family ends.
    assert refresh(client_id, tokens["refresh_token"])[0] == 400
    assert bearer(fresh["access_token"]).get("me").status == 401


def refresh(client_id: str, token: str) -> tuple[int, dict[str, str]]:
    response = Client().post("/oauth/token", {"grant_type": "refresh_token", "refresh_token": token, "client_id": client_id})
    return response.status_code, json.loads(response.content)


def test_a_granted_reader_does_not_write(world: World) -> None:
    client_id, browser = register(), signed_in(world)
    asked = question(client_id, scope="read")
    _, tokens = exchange(client_id, say(browser, asked)["code"])
    assert bearer(tokens["access_token"]).get("me").status == 200
    assert bearer(tokens["access_token"]).put("accounts/alice/follow").status == 403
    _, default = exchange(client_id, say(browser, question(client_id, scope="read"))["code"])
    assert default["scope"] == "read"


def test_a_visitor_signs_in_first_and_no_is_no(world: World) -> None:
    client_id = register()
    sent = Client().get("/oauth/authorize", question(client_id))
    assert sent.status_code == 302
    assert sent["Location"].startswith("/account/login/?next=")
    assert say(signed_in(world), question(client_id), yes=False)["error"] == "access_denied"
    assert not get_grant_model().objects.exists()


def test_the_question_is_never_skipped(world: World) -> None:
    client_id, browser = register(), signed_in(world)
    exchange(client_id, say(browser, question(client_id))["code"])
    assert browser.get("/oauth/authorize", {**question(client_id), "approval_prompt": "auto"}).status_code == 200
    strict = Client(enforce_csrf_checks=True)
    strict.force_login(world.bob.user)
    assert strict.post("/oauth/authorize", {**question(client_id), "allow": "true"}).status_code == 403


@pytest.mark.parametrize(
    "changes",
    [
        {"client_id": "nobody"},
        {"client_id": "\x00"},
        {"state": "\x00"},
        {"redirect_uri": "https://evil.example/callback"},
        {"redirect_uri": "https://app.example/callback/../evil"},
        {"redirect_uri": "https://app.example/callback?x=1"},
        {"redirect_uri": "https://app.example@evil.example/callback"},
        {"redirect_uri": "javascript:alert(1)"},
    ],
)
def test_a_code_never_goes_where_it_was_not_registered_to(world: World, changes: dict[str, str]) -> None:
    client_id, browser = register(), signed_in(world)
    for response in (
        browser.get("/oauth/authorize", question(client_id, **changes)),
        browser.post("/oauth/authorize", {**question(client_id, **changes), "allow": "true"}),
    ):
        assert response.status_code == 400
        assert "Location" not in response
    assert not get_grant_model().objects.exists()


@pytest.mark.parametrize(
    "changes",
    [
        {"code_challenge": None, "code_challenge_method": None},
        {"code_challenge_method": "plain"},
        {"response_type": "token"},
        {"scope": "read admin"},
    ],
)
def test_what_weakens_the_flow_is_an_error_for_the_program(world: World, changes: dict[str, str | None]) -> None:
    client_id, browser = register(), signed_in(world)
    asked = question(client_id, **changes)
    answers = [browser.get("/oauth/authorize", asked), browser.post("/oauth/authorize", {**asked, "allow": "true"})]
    assert any("error=" in response.get("Location", "") for response in answers)
    assert all("code=" not in response.get("Location", "") for response in answers)
    assert not get_grant_model().objects.exists()


def test_a_stolen_code_is_worth_nothing(world: World) -> None:
    mine, other, browser = register(), register(), signed_in(world)
    code = say(browser, question(mine))["code"]
    for client_id, changes in (
        (mine, {"code_verifier": "w" * 64}),
        (mine, {"code_verifier": ""}),
        (mine, {"redirect_uri": "https://evil.example/"}),
        (other, {}),
        (mine, {"code": code + "x"}),
        (mine, {"code": "\x00"}),
    ):
        status, body = exchange(client_id, changes.pop("code", code), **changes)
        assert status in {400, 401}, body
        assert "access_token" not in body
    for grant in ("password", "client_credentials", "urn:ietf:params:oauth:grant-type:device_code", "implicit", ""):
        assert exchange(mine, code, grant_type=grant)[0] == 400
    assert exchange(mine, code)[0] == 200


def test_who_may_not_act_gets_no_tokens(world: World) -> None:
    client_id, browser = register(), signed_in(world)
    _, tokens = exchange(client_id, say(browser, question(client_id))["code"])
    code = say(browser, question(client_id))["code"]
    boss = User.objects.create_user("staff@example.org", people.PASSWORD, is_staff=True)
    moderation.suspend(account=world.bob, by_staff=boss)
    assert exchange(client_id, code)[0] == 400
    assert refresh(client_id, tokens["refresh_token"])[0] == 400


def test_revoking_ends_a_token_for_its_own_program_only(world: World) -> None:
    mine, other, browser = register(), register(), signed_in(world)
    _, tokens = exchange(mine, say(browser, question(mine))["code"])
    for client_id, status in ((other, 200), (mine, 401)):
        assert Client().post("/oauth/revoke", {"token": tokens["access_token"], "client_id": client_id}).status_code == 200
        assert bearer(tokens["access_token"]).get("me").status == status
    assert refresh(mine, tokens["refresh_token"])[0] == 400
    assert Client().post("/oauth/revoke", {"token": "\x00", "client_id": mine}).status_code == 400


def test_a_command_line_program_shows_the_code(world: World) -> None:
    client_id, browser = register(redirects.OUT_OF_BAND), signed_in(world)
    asked = question(client_id, redirect_uri=redirects.OUT_OF_BAND)
    assert browser.get("/oauth/authorize", asked).status_code == 200
    page = browser.post("/oauth/authorize", {**asked, "allow": "true"})
    assert page.status_code == 200
    code = page.content.decode().partition('<code id="code">')[2].partition("</code>")[0]
    status, tokens = exchange(client_id, code, redirect_uri=redirects.OUT_OF_BAND)
    assert status == 200
    assert bearer(tokens["access_token"]).get("me").status == 200
    assert b"not let in" in browser.post("/oauth/authorize", asked).content


@pytest.mark.parametrize("uri", ["http://127.0.0.1/cb", "com.example.player:/cb", "http://[::1]/cb"])
def test_native_programs_listen_on_any_port_or_a_scheme_of_their_own(world: World, uri: str) -> None:
    client_id, browser = register(uri), signed_in(world)
    target = uri.replace("127.0.0.1", "127.0.0.1:43211").replace("[::1]", "[::1]:43211")
    asked = question(client_id, redirect_uri=target)
    page = browser.get("/oauth/authorize", asked)
    policy = page["Content-Security-Policy"].partition("form-action")[2].partition(";")[0]
    assert redirects.csp_source(target) in policy
    code = say(browser, asked)["code"]
    assert exchange(client_id, code, redirect_uri=target)[0] == 200


GOOD = ["https://app.example/cb?x=1", "http://localhost:8080/", "com.example.app:/x", redirects.OUT_OF_BAND]
BAD = [
    "",
    "/cb",
    "//evil.example",
    "http://app.example/cb",
    "javascript:alert(1)",
    "data:text/html,x",
    "app:/cb",
    "https://",
    "https://a.example/#x",
    "https://u:p@a.example/",
    "https://a.example/ b",
    "https://a.example/\n",
    "https://a.example:99999/",
    "com.example.app:x",
    "file:///etc/passwd",
    "https://a.example/" + "x" * 1000,
    "https://[x/",
]


def test_registration_takes_addresses_that_keep_a_code_safe(db: None) -> None:
    made = Api(None).post("apps", {"name": "A player", "redirect_uris": GOOD})
    assert (made.status, made.body["redirect_uris"], made.body["scopes"]) == (201, GOOD, ["read", "write"])
    assert "client_secret" not in made.body
    for uri in BAD:
        assert not redirects.is_acceptable(uri), uri
        refused = Api(None).post("apps", {"name": "A player", "redirect_uris": ["https://a.example/", uri]})
        assert refused.status == 422, uri
    for body in (
        {},
        {"name": "", "redirect_uris": GOOD},
        {"name": "x", "redirect_uris": []},
        {"name": "x", "redirect_uris": "x"},
    ):
        assert Api(None).post("apps", body).status == 422
    assert get_application_model().objects.count() == 1


def test_clients_find_the_addresses_by_themselves(db: None) -> None:
    found = Client().get("/.well-known/oauth-authorization-server").json()
    assert found["issuer"] == "http://localhost:8000"
    assert found["authorization_endpoint"].endswith("/oauth/authorize")
    assert found["token_endpoint"].endswith("/oauth/token")
    assert (found["grant_types_supported"], found["response_types_supported"]) == (
        ["authorization_code", "refresh_token"],
        ["code"],
    )
    assert (found["code_challenge_methods_supported"], found["token_endpoint_auth_methods_supported"]) == (["S256"], ["none"])


def test_old_tokens_and_unused_programs_are_forgotten(world: World) -> None:
    from datetime import timedelta

    used, browser = register(), signed_in(world)
    exchange(used, say(browser, question(used))["code"])
    programs.make_token(account=world.alice, scopes=["read"], days=1)
    register()
    programs.forget_expired()
    assert get_application_model().objects.count() == 3
    get_application_model().objects.update(created=clock.now() - timedelta(days=31))
    programs.forget_expired()
    assert {each.name for each in get_application_model().objects.all()} == {"A player", programs.COMMAND_LINE}
