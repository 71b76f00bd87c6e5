"""What happens to every request: the address it really came from, its id, its line in the log, its count."""

import logging
from typing import Any

import pytest
from django.http import HttpRequest, HttpResponse
from django.test import Client, RequestFactory

from server.core import metrics
from server.web import middleware, proxies
from tests.world import World

PROXY, STRANGER = "10.0.0.1", "203.0.113.9"


@pytest.mark.parametrize(
    ("peer", "forwarded", "client"),
    [
        # Straight from a stranger: what he says of himself counts for nothing.
        (STRANGER, "", STRANGER),
        (STRANGER, "127.0.0.1", STRANGER),
        # Through our proxy.
        (PROXY, STRANGER, STRANGER),
        # A stranger wrote a false beginning, and the proxy appended the truth.
        (PROXY, f"127.0.0.1, 10.0.0.1, {STRANGER}", STRANGER),
        # Two proxies of ours, one behind the other.
        (PROXY, f"8.8.8.8, {STRANGER}, 10.0.0.2", STRANGER),
        # Nothing said: the proxy itself asks.
        (PROXY, "", PROXY),
        # Nonsense ends the walk at the last address we know.
        (PROXY, "<script>", PROXY),
        (PROXY, f"<script>, {STRANGER}", STRANGER),
        (PROXY, f"{STRANGER}, <script>", PROXY),
        (PROXY, f"{STRANGER}:1234", PROXY),
        # All of them ours.
        (PROXY, "10.0.0.3, 10.0.0.2", "10.0.0.3"),
        ("::ffff:10.0.0.1", STRANGER, STRANGER),
        (PROXY, "2001:db8::1", "2001:db8::1"),
    ],
)
def test_client_address(peer: str, forwarded: str, client: str) -> None:
    assert proxies.client_address(peer, forwarded, ["10.0.0.0/8"]) == client


def test_unix_sockets_are_named_by_a_word() -> None:
    assert proxies.client_address("", STRANGER, ["unix"]) == STRANGER
    assert proxies.client_address("", STRANGER, ["10.0.0.0/8"]) == ""
    assert not proxies.is_within("no address", ["10.0.0.0/8"])


def _settled(settings: Any, peer: str, **headers: str) -> HttpRequest:
    settings.TRUSTED_PROXIES = [PROXY]
    request = RequestFactory().get("/", REMOTE_ADDR=peer, **headers)
    proxies.settle(request)
    return request


def test_a_stranger_cannot_pretend(settings: Any) -> None:
    settings.SECURE_PROXY_SSL_HEADER = ("HTTP_X_FORWARDED_PROTO", "https")
    lies = dict.fromkeys(proxies.FORWARDED, "127.0.0.1") | {"HTTP_X_FORWARDED_PROTO": "https"}
    request = _settled(settings, STRANGER, **lies)
    assert request.META["REMOTE_ADDR"] == STRANGER
    assert not request.is_secure()
    assert not any(name in request.META for name in proxies.FORWARDED)
    assert request.META[proxies.DOUBTFUL]


def test_our_proxy_is_believed(settings: Any) -> None:
    settings.SECURE_PROXY_SSL_HEADER = ("HTTP_X_FORWARDED_PROTO", "https")
    request = _settled(
        settings, PROXY, HTTP_X_FORWARDED_FOR=STRANGER, HTTP_X_FORWARDED_PROTO="https", HTTP_X_FORWARDED_HOST="evil.example"
    )
    assert request.META["REMOTE_ADDR"] == STRANGER
    assert request.is_secure()
    # The host is not a proxy's to say: ALLOWED_HOSTS judges the Host header.
    assert "HTTP_X_FORWARDED_HOST" not in request.META
    # Whoever counts by X-Forwarded-For now counts by the one true address.
    assert "HTTP_X_FORWARDED_FOR" not in request.META


def _lines(caplog: pytest.LogCaptureFixture) -> list[Any]:
    return [record for record in caplog.records if record.name == "tributary.request"]


def test_one_line_per_request_without_its_query(db: None, client: Client, caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.INFO, "tributary.request"):
        client.get("/about?token=s3cr3t&q=hello", HTTP_AUTHORIZATION="Bearer s3cr3ts3cr3t")
    (line,) = _lines(caplog)
    assert (line.method, line.path, line.route, line.status) == ("GET", "/about", "/about", 200)
    assert line.client == "127.0.0.1"
    assert line.ms >= 0
    assert "s3cr3t" not in str(line.__dict__)


def test_signed_in_people_are_named_by_number(world: World, client: Client, caplog: pytest.LogCaptureFixture) -> None:
    assert world.alice.user is not None
    client.force_login(world.alice.user)
    with caplog.at_level(logging.INFO, "tributary.request"):
        client.get("/studio")
    assert _lines(caplog)[-1].user == world.alice.user.pk


def test_links_sent_by_mail_are_secrets(db: None, client: Client, caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.INFO, "tributary.request"):
        client.get("/account/password/reset/key/1-s3cr3t/")
        client.get("/account/confirm-email/s3cr3t/")
    first, second = _lines(caplog)
    assert first.path == "/account/password/reset/key/[removed]/"
    assert second.path == "/account/confirm-email/[removed]/"
    assert "s3cr3t" not in str([first.__dict__, second.__dict__])


def test_every_answer_carries_its_id(db: None, client: Client, settings: Any) -> None:
    answer = client.get("/nowhere")
    assert answer.status_code == 404
    assert len(answer["X-Request-ID"]) == 32
    # From a stranger no id is taken, from our proxy a clean one.
    assert client.get("/nowhere", HTTP_X_REQUEST_ID="mine-mine-mine")["X-Request-ID"] != "mine-mine-mine"
    settings.TRUSTED_PROXIES = ["127.0.0.1"]
    assert client.get("/nowhere", HTTP_X_REQUEST_ID="mine-mine-mine")["X-Request-ID"] == "mine-mine-mine"
    assert client.get("/nowhere", HTTP_X_REQUEST_ID="a\r\nSet-Cookie: x")["X-Request-ID"] != "a\r\nSet-Cookie: x"


def test_server_errors_are_errors_in_the_log_too(rf: RequestFactory, caplog: pytest.LogCaptureFixture) -> None:
    handle = middleware.request_log(lambda request: HttpResponse(status=503))
    with caplog.at_level(logging.INFO, "tributary.request"):
        handle(rf.get("/x"))
    assert _lines(caplog)[0].levelno == logging.ERROR


def _count(method: str, route: str, status: str) -> float:
    value = metrics.REGISTRY.get_sample_value(
        "tributary_http_requests_total", {"method": method, "route": route, "status": status}
    )
    return value or 0


def test_requests_are_counted_by_route_so_that_strangers_cannot_make_new_counters(db: None, client: Client) -> None:
    before = _count("GET", "unmatched", "404"), _count("GET", "/tags/<str:name>", "200"), _count("other", "unmatched", "404")
    client.get("/nowhere/1")
    client.get("/nowhere/2")
    client.get("/tags/rabbit")
    client.generic("BREW", "/nowhere")
    after = _count("GET", "unmatched", "404"), _count("GET", "/tags/<str:name>", "200"), _count("other", "unmatched", "404")
    assert after == (before[0] + 2, before[1] + 1, before[2] + 1)


def test_the_rate_limit_of_the_sign_in_counts_the_true_address(db: None, settings: Any) -> None:
    """Twelve wrong passwords from one stranger behind the proxy: he is stopped, whatever he writes, and another is not."""
    settings.TRUSTED_PROXIES = ["127.0.0.1"]
    settings.ACCOUNT_RATE_LIMITS = {"login_failed": "3/m/ip"}

    def attempt(forwarded: str) -> int:
        data = {"login": "nobody@example.org", "password": "wrong"}
        return Client().post("/account/login/", data, HTTP_X_FORWARDED_FOR=forwarded).status_code

    for number in range(12):
        last = attempt(f"198.51.100.{number}, {STRANGER}")
    assert last in {200, 429}
    page = Client().post(
        "/account/login/", {"login": "nobody@example.org", "password": "wrong"}, HTTP_X_FORWARDED_FOR=f"1.2.3.4, {STRANGER}"
    )
    assert page.status_code == 429 or b"Too many" in page.content
    other = Client().post(
        "/account/login/", {"login": "nobody@example.org", "password": "wrong"}, HTTP_X_FORWARDED_FOR="198.51.100.77"
    )
    assert other.status_code == 200
    assert b"Too many" not in other.content
