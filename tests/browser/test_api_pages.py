"""The two pages of the API in a real browser, under the strict policy: its description, and the question of a program."""

import base64
import hashlib
import json
import threading
import urllib.parse
import urllib.request
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer
from typing import Any
from urllib.parse import parse_qs, urlencode, urlsplit

import pytest
from django.core.management import call_command
from playwright.sync_api import expect

from tests.browser.conftest import Visit
from tests.browser.site import Site
from tests.world import World

VERIFIER = "v" * 64
CHALLENGE = base64.urlsafe_b64encode(hashlib.sha256(VERIFIER.encode()).digest()).rstrip(b"=").decode()


@pytest.fixture
def _viewer_collected(_plain_static_names: None) -> None:
    """The viewer's files too, which no other page needs."""
    call_command("collectstatic", interactive=False, verbosity=0, ignore_patterns=["gis", "admin"])


class Program(BaseHTTPRequestHandler):
    """A program that waits on a loopback port for its code."""

    def do_GET(self) -> None:
        self.send_response(200)
        self.send_header("Content-Type", "text/html")
        self.end_headers()
        self.wfile.write(b"<link rel='icon' href='data:,'><title>Program</title>Thanks")

    def log_message(self, format: str, *args: Any) -> None:  # noqa: A002
        pass


@pytest.fixture
def program() -> Iterator[str]:
    """Where the program listens."""
    server = HTTPServer(("127.0.0.1", 0), Program)
    threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True).start()
    yield f"http://127.0.0.1:{server.server_address[1]}/callback"
    server.shutdown()
    server.server_close()


def post(url: str, body: bytes, kind: str) -> Any:
    with urllib.request.urlopen(urllib.request.Request(url, body, {"Content-Type": kind})) as answer:
        return json.load(answer)


@pytest.mark.slow
@pytest.mark.usefixtures("_viewer_collected")
def test_the_viewer_of_the_description_works_under_our_policy(visit: Visit, people: World) -> None:
    page = visit(people.alice, "desktop")
    page.goto("/api/docs/")
    expect(page.get_by_role("heading", name="Tributary API")).to_be_visible()
    page.get_by_text("This server and its limits").click()
    page.get_by_role("button", name="Try it out").click()
    page.get_by_role("button", name="Execute").click()
    expect(page.locator(".live-responses-table tbody .response-col_status").first).to_contain_text("200")


@pytest.mark.slow
def test_a_program_on_this_computer_is_let_in(visit: Visit, site: Site, people: World, program: str, settings: Any) -> None:
    settings.OAUTH2_PROVIDER = {**settings.OAUTH2_PROVIDER, "OIDC_ISS_ENDPOINT": site.origin}
    api = f"{site.origin}/api/tributary/v1"
    made = post(f"{api}/apps", json.dumps({"name": "A <b>player", "redirect_uris": [program]}).encode(), "application/json")
    asked = {
        "response_type": "code",
        "client_id": made["client_id"],
        "redirect_uri": program,
        "scope": "read",
        "state": "s1",
        "code_challenge": CHALLENGE,
        "code_challenge_method": "S256",
    }
    page = visit(people.bob)
    page.goto(f"/oauth/authorize?{urlencode(asked)}")
    expect(page.get_by_role("heading", name="Let A <b>player in?")).to_be_visible()
    page.get_by_role("button", name="Let it in").click()
    page.wait_for_url(f"{program}?*")
    heard = {name: values[0] for name, values in parse_qs(urlsplit(page.url).query).items()}
    assert (heard["state"], heard["iss"]) == ("s1", site.origin)
    form = {
        "grant_type": "authorization_code",
        "code": heard["code"],
        "client_id": made["client_id"],
        "redirect_uri": program,
        "code_verifier": VERIFIER,
    }
    tokens = post(f"{site.origin}/oauth/token", urllib.parse.urlencode(form).encode(), "application/x-www-form-urlencoded")
    request = urllib.request.Request(f"{api}/me", headers={"Authorization": f"Bearer {tokens['access_token']}"})
    with urllib.request.urlopen(request) as answer:
        assert json.load(answer)["acct"] == "bob"
