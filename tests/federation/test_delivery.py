"""Deliveries against a real server that behaves in every way a server can; the rows are read back after each."""

import json
import random
import time
from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest
from django.db import transaction

from federation import delivery, peers
from federation.delivery import claiming, noting, sending
from federation.models import Delivery, Peer
from federation.wire import signatures
from federation.wire.keys import Key
from federation.wire.signatures import Message
from server.accounts import queries as accounts
from server.accounts.models import Account, User
from server.core import clock, http, limits
from server.moderation import actions as moderation
from tests.federation.stranger import Answer, Received, Server
from tests.world import World


def activity(number: int = 0, kind: str = "Create", account: str = "alice") -> dict[str, Any]:
    return {
        "id": f"http://localhost:8000/users/{account}/posts/{number}/activity",
        "type": kind,
        "actor": f"http://localhost:8000/users/{account}",
        "object": "ä",
    }


def owe(world: World, *inboxes: str, number: int = 0, kind: str = "Create", **options: Any) -> list[Delivery]:
    with transaction.atomic():
        delivery.enqueue(activity=activity(number, kind), sender=world.alice, inboxes=inboxes, **options)
    return list(Delivery.objects.order_by("id"))


def due_now() -> None:
    Delivery.objects.update(next_try_at=clock.now())


@pytest.fixture
def says(server: Server) -> Callable[..., str]:
    """Make the server answer POSTs to an inbox in one way; the inbox."""

    def answer(status: int = 202, body: bytes = b"", path: str = "/inbox", name: str = "peer", **headers: str) -> str:
        server.answers[server.host(name), path] = Answer(
            body, status, "text/html", {key.replace("_", "-"): value for key, value in headers.items()}
        )
        return server.url(path, name)

    return answer


@pytest.fixture(autouse=True)
def _quick(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(limits, "DELIVERY_SECONDS_MAX", 1)


# --- what is owed ---


def test_each_inbox_is_owed_once(world: World, server: Server) -> None:
    inboxes = [server.url("/inbox"), server.url("/inbox"), server.url("/inbox", "other")]
    assert len(owe(world, *inboxes)) == 2
    assert len(owe(world, *inboxes)) == 2
    assert {row.host for row in Delivery.objects.all()} == {server.host(), server.host("other")}


def test_nothing_is_owed_to_ourselves_and_to_blocked_servers(world: World, server: Server) -> None:
    staff = User.objects.create_user("staff@example.org", "a long password", is_staff=True)
    moderation.block_domain(domain="blocked.example", by_staff=staff, reason="")
    owe(world, "http://localhost:8000/inbox", "https://blocked.example/inbox", "https://deep.blocked.example/inbox")
    assert not Delivery.objects.exists()
    assert not delivery.any_due()


def test_nothing_is_owed_when_the_change_does_not_happen(world: World, server: Server) -> None:
    with transaction.atomic():
        owe(world, server.url("/inbox"))
        transaction.set_rollback(True)
    assert not Delivery.objects.exists()


# --- a good day ---


def test_what_is_sent_is_what_is_kept_and_is_signed(world: World, server: Server, says: Callable[..., str]) -> None:
    (row,) = owe(world, says(202))
    assert delivery.any_due()
    assert delivery.send_due() == 1
    row.refresh_from_db()
    assert (row.state, row.attempts, row.answered_status, row.last_error, row.lease_token) == ("delivered", 1, 202, "", None)
    assert row.delivered_at is not None
    assert not delivery.any_due()
    (post,) = server.posts()
    assert post.body == row.body.encode()
    assert json.loads(post.body) == activity()
    assert post.headers["content-type"] == "application/activity+json"
    assert post.headers["user-agent"].startswith("Tributary/")
    key = Key(id=f"{world.alice.uri}#main-key", owner=world.alice.uri, pem=accounts.signing_key(world.alice).public)
    claim = signatures.read(Message("POST", post.path, post.headers, post.body))
    signatures.verify(claim, key, now=clock.now(), own_hosts={server.host()})
    assert claim.covered == ("(request-target)", "host", "date", "digest", "content-type")
    assert Peer.objects.get(host=server.host()).last_delivered_at is not None


def test_the_instance_signs_what_nobody_sends(world: World, server: Server, says: Callable[..., str]) -> None:
    with transaction.atomic():
        delivery.enqueue(activity=activity(), sender=None, inboxes=[says()])
    delivery.send_due()
    assert 'keyId="http://localhost:8000/actor#main-key"' in server.posts()[0].headers["signature"]


@pytest.mark.parametrize("status", [200, 201, 202, 204])
def test_every_success_counts(world: World, says: Callable[..., str], status: int) -> None:
    owe(world, says(status, b"" if status == 204 else b"<html>thanks</html>"))
    delivery.send_due()
    assert Delivery.objects.get().state == "delivered"


# --- bad days ---


def attempt(world: World, inbox: str) -> Delivery:
    owe(world, inbox)
    assert delivery.send_due() == 1
    return Delivery.objects.get()


@pytest.mark.parametrize("status", [500, 502, 503, 401, 403, 404, 408, 429, 301, 302, 307, 308])
def test_tried_again_later(world: World, says: Callable[..., str], server: Server, status: int) -> None:
    canary = says(202, path="/elsewhere")
    row = attempt(world, says(status, b"<html>no</html>", Location=canary))
    assert (row.state, row.attempts, row.answered_status) == ("waiting", 1, status)
    assert row.last_error == f"{status}: <html>no</html>"
    assert clock.now() < row.next_try_at <= clock.now() + timedelta(seconds=limits.DELIVERY_BACKOFF_SECONDS_MIN)
    assert not delivery.any_due()
    assert [post.path for post in server.posts()] == ["/inbox"]


@pytest.mark.parametrize("status", [400, 405, 410, 413, 415, 422, 451])
def test_given_up(world: World, says: Callable[..., str], status: int) -> None:
    row = attempt(world, says(status, b'{"error":"we do not like this"}'))
    assert (row.state, row.answered_status, row.last_error) == ("dead", status, f'{status}: {{"error":"we do not like this"}}')
    due_now()
    assert delivery.send_due() == 0


def test_the_answer_is_kept_in_part(world: World, says: Callable[..., str]) -> None:
    row = attempt(world, says(422, b"\xff" + "ä".encode() * 1_000_000))
    assert len(row.last_error) < 600


def test_a_pause_that_is_asked_for(world: World, says: Callable[..., str], server: Server) -> None:
    row = attempt(world, says(429, Retry_After="1800"))
    assert row.next_try_at > clock.now() + timedelta(minutes=29)
    # The whole host is left in peace.
    owe(world, says(202, path="/users/x/inbox"), number=1)
    assert delivery.send_due() == 0
    assert Peer.objects.get(host=server.host()).failures == 0
    says(202)
    with clock.moved(timedelta(minutes=31)):
        assert delivery.send_due() == 2


@pytest.mark.parametrize(
    ("asked", "seconds"),
    [("999999", 3600), ("99999999999999999", 30), ("-5", 30), ("soon", 30), ("Sun, 22 Nov 2026 12:00:00 GMT", 30), ("٣", 30)],
)
def test_pauses_are_bounded(world: World, server: Server, asked: str, seconds: int) -> None:
    server.answers["", "/inbox"] = Answer(b"", 503, "text/plain", {"Retry-After": asked.encode().decode("latin-1")})
    row = attempt(world, server.url("/inbox"))
    assert row.next_try_at <= clock.now() + timedelta(seconds=seconds)


def test_a_server_that_never_answers(world: World, server: Server) -> None:
    def sleep(_: Received) -> Answer:
        time.sleep(2)
        return Answer()

    server.answers["", "/inbox"] = sleep
    row = attempt(world, server.url("/inbox"))
    assert (row.state, row.answered_status) == ("waiting", None)
    assert row.last_error.startswith("too_slow: ")


def test_a_server_that_hangs_up(world: World, server: Server) -> None:
    def hang_up(_: Received) -> Answer:
        raise ConnectionAbortedError

    server.http.handle_error = lambda *_: None  # type: ignore[method-assign]
    server.answers["", "/inbox"] = hang_up
    row = attempt(world, server.url("/inbox"))
    assert row.state == "waiting"
    assert row.last_error.startswith("unreachable: ")


def test_a_server_that_is_not_there(world: World) -> None:
    row = attempt(world, "https://nobody.example/inbox")
    assert row.state == "waiting"
    assert "not known" in row.last_error


@pytest.mark.parametrize(
    "inbox",
    ["https://10.0.0.1/inbox", "http://peer.example/inbox", "https://peer.example:22/inbox"],
)
def test_an_address_that_may_not_be_reached(world: World, inbox: str) -> None:
    row = attempt(world, inbox)
    assert row.state == "dead"
    assert row.last_error.startswith("address_blocked: ")
    assert not Peer.objects.filter(failures__gt=0).exists()


def test_a_sender_without_a_key_does_not_hold_the_others_up(world: World, says: Callable[..., str]) -> None:
    keyless = Account.objects.create(handle="keyless", uri="http://localhost:8000/users/keyless")
    with transaction.atomic():
        delivery.enqueue(activity=activity(1, account="keyless"), sender=keyless, inboxes=[says()])
    owe(world, says())
    delivery.send_due()
    assert list(Delivery.objects.order_by("id").values_list("state", flat=True)) == ["dead", "delivered"]


def test_a_server_that_is_blocked_meanwhile(world: World, says: Callable[..., str], server: Server) -> None:
    owe(world, says())
    staff = User.objects.create_user("staff@example.org", "a long password", is_staff=True)
    moderation.block_domain(domain="peer.localhost", by_staff=staff, reason="")
    delivery.send_due()
    assert server.posts() == []
    assert Delivery.objects.get().state == "dead"


def test_a_suspended_sender_only_takes_back(world: World, says: Callable[..., str], server: Server) -> None:
    owe(world, says(), number=1)
    owe(world, says(), number=2, kind="Delete")
    Account.objects.filter(pk=world.alice.pk).update(suspended_at=clock.now())
    delivery.send_due()
    assert [json.loads(post.body)["type"] for post in server.posts()] == ["Delete"]
    assert sorted(Delivery.objects.values_list("kind", "state")) == [("Create", "dead"), ("Delete", "delivered")]


# --- time ---


def test_the_waits_grow_and_are_spread(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(noting, "_chance", random.Random(7))
    for attempts, longest in [(1, 30), (2, 60), (3, 120), (10, 15_360), (13, 86_400), (60, 86_400)]:
        waits = [noting.wait_seconds(attempts) for _ in range(300)]
        assert 0 < min(waits) < longest * 0.1 + 1
        assert longest * 0.9 < max(waits) <= longest


def test_given_up_after_a_week(world: World, says: Callable[..., str]) -> None:
    owe(world, says(500))
    owe(world, says(500, path="/other"), number=1, kind="Delete", ttl_seconds=limits.DELETE_AGE_SECONDS_MAX)
    with clock.moved(timedelta(seconds=limits.DELIVERY_AGE_SECONDS_MAX - 1)):
        delivery.send_due()
        assert list(Delivery.objects.order_by("id").values_list("state", flat=True)) == ["dead", "waiting"]
        due_now()


def test_a_week_of_tries(world: World, says: Callable[..., str]) -> None:
    """From the first failure to the end: how often a dead server is asked, and when we stop."""
    owe(world, says(500))
    began = clock.now()
    tries = 0
    while (row := Delivery.objects.get()).state == "waiting":
        Peer.objects.update(failures=0, open_until=None)
        with clock.moved(row.next_try_at - clock.now()):
            tries += delivery.send_due()
    assert 10 < tries < 60
    assert row.next_try_at - began < timedelta(days=8)


def test_the_old_is_forgotten(world: World, says: Callable[..., str]) -> None:
    owe(world, says(202))
    owe(world, says(410, path="/gone"), number=1)
    owe(world, says(500, path="/later"), number=2)
    delivery.send_due()
    assert sorted(Delivery.objects.values_list("state", flat=True)) == ["dead", "delivered", "waiting"]
    with clock.moved(timedelta(days=6)):
        assert delivery.forget_old() == 0
    with clock.moved(timedelta(days=8)):
        assert delivery.forget_old() == 1
    # What waits beyond its time because its host is paused ends too.
    with clock.moved(timedelta(days=10)):
        assert delivery.forget_old() == 0
        assert sorted(Delivery.objects.values_list("state", flat=True)) == ["dead", "dead"]
    with clock.moved(timedelta(days=38)):
        assert delivery.forget_old() == 2


# --- hosts ---


def test_a_failing_host_is_left_alone_and_probed(world: World, server: Server, says: Callable[..., str]) -> None:
    bad, good = says(500), says(202, name="other")
    for number in range(20):
        owe(world, bad, number=number)
    owe(world, good, number=99)
    delivery.send_due()
    assert Delivery.objects.get(inbox=good).state == "delivered"
    due_now()
    asked = len(server.posts())
    peer = Peer.objects.get(host=server.host())
    assert peer.failures >= limits.HOST_FAILURES_MAX
    assert peer.open_until is not None
    assert delivery.send_due() == 0
    assert not delivery.any_due()
    with clock.moved(peer.open_until - clock.now() + timedelta(seconds=1)):
        due_now()
        assert delivery.send_due() == 1
        assert len(server.posts()) == asked + 1
        again = Peer.objects.get(host=server.host())
        assert again.open_until is not None
        # The second pause is twice the first.
        assert again.open_until - clock.now() > timedelta(seconds=2 * limits.HOST_OPEN_SECONDS - 5)
        # New work for it waits with the rest.
        owe(world, bad, number=50)
        assert not delivery.any_due()


def test_a_probe_that_succeeds_frees_everything(world: World, server: Server, says: Callable[..., str]) -> None:
    for number in range(20):
        owe(world, says(500), number=number)
    delivery.send_due()
    says(202)
    with clock.moved(timedelta(minutes=31)):
        due_now()
        delivery.send_due()
        delivery.send_due()
    assert set(Delivery.objects.values_list("state", flat=True)) == {"delivered"}
    assert Peer.objects.get(host=server.host()).failures == 0


def test_a_host_that_speaks_to_us_is_alive(world: World, server: Server, says: Callable[..., str]) -> None:
    for number in range(20):
        owe(world, says(500), number=number)
    delivery.send_due()
    assert not delivery.any_due()
    peers.note_received(Peer.objects.get(host=server.host()))
    assert delivery.any_due()


def test_slow_hosts_do_not_hold_the_others_up(world: World, server: Server, monkeypatch: pytest.MonkeyPatch) -> None:
    """Five hosts that answer late are waited for; what becomes due for others in the meantime is sent."""
    monkeypatch.setattr(limits, "DELIVERY_SECONDS_MAX", 10)
    monkeypatch.setattr(claiming, "BATCH", 20)
    arrived: dict[str, float] = {}

    def slow(request: Received) -> Answer:
        time.sleep(2)
        return quick(request)

    def quick(request: Received) -> Answer:
        arrived[request.headers["host"].partition(".")[0]] = time.monotonic()
        return Answer(status=202)

    for number in range(5):
        server.answers[server.host(f"slow{number}"), "/inbox"] = slow
        for each in range(4):
            owe(world, server.url("/inbox", f"slow{number}"), number=each)
    for number in range(60):
        server.answers[server.host(f"fast{number}"), "/inbox"] = quick
        owe(world, server.url("/inbox", f"fast{number}"), number=number)
    delivery.send_due()
    assert {row.state for row in Delivery.objects.filter(host__startswith="fast")} == {"delivered"}
    fast = [moment for host, moment in arrived.items() if host.startswith("fast")]
    first_slow = min(moment for host, moment in arrived.items() if host.startswith("slow"))
    assert len(fast) == 60
    assert sum(moment < first_slow for moment in fast) > 30


def test_rows_of_one_sender_to_one_inbox_stay_in_order(world: World, server: Server, says: Callable[..., str]) -> None:
    inboxes = [says(202, path=f"/{number}/inbox") for number in range(5)]
    for number in range(20):
        owe(world, *inboxes, number=number)
    delivery.send_due()
    for inbox in inboxes:
        ids = [json.loads(post.body)["id"] for post in server.posts() if inbox.endswith(post.path)]
        assert ids == [activity(number)["id"] for number in range(20)]


# --- claiming ---


def test_two_workers_never_hold_the_same_row(world: World, says: Callable[..., str]) -> None:
    for number in range(10):
        owe(world, says(), number=number)
    first, second = claiming.claim(), claiming.claim()
    assert len(first) == 10
    assert second == []
    with clock.moved(timedelta(seconds=claiming.LEASE_SECONDS + 1)):
        assert len(claiming.claim()) == 10


def test_a_lost_lease_changes_nothing(world: World, says: Callable[..., str]) -> None:
    """A worker that was away too long comes back with its result: the row belongs to somebody else now."""
    owe(world, says())
    (slow,) = claiming.claim()
    with clock.moved(timedelta(seconds=claiming.LEASE_SECONDS + 1)):
        (fast,) = claiming.claim()
        noting.note([noting.Result(slow, 500, "late")])
        row = Delivery.objects.get()
        assert (row.state, row.lease_token) == ("waiting", fast.lease_token)
        noting.note([noting.Result(fast, 202)])
    assert Delivery.objects.get().state == "delivered"


def test_hosts_take_turns(world: World, server: Server, says: Callable[..., str], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(claiming, "BATCH", 6)
    for number in range(50):
        owe(world, says(name="busy"), number=number)
    owe(world, says(name="quiet"), number=1)
    owe(world, says(name="calm"), number=1)
    hosts = [row.host.partition(".")[0] for row in claiming.claim()]
    assert sorted(hosts) == ["busy"] * 4 + ["calm", "quiet"]


def test_a_bug_in_sending_one_row_spares_the_others(
    world: World, says: Callable[..., str], monkeypatch: pytest.MonkeyPatch
) -> None:
    real = http.post

    def sometimes(url: str, **options: Any) -> http.Answer:
        if url.endswith("/bad"):
            raise ZeroDivisionError
        return real(url, **options)

    monkeypatch.setattr(sending.http, "post", sometimes)
    owe(world, says(path="/bad", name="a"), says(path="/good", name="b"))
    delivery.send_due()
    assert {row.inbox[-4:]: row.state for row in Delivery.objects.all()} == {"/bad": "waiting", "good": "delivered"}
