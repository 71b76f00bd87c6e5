"""A worker that dies while it delivers loses nothing; what it sent twice, the receiver does once."""

import json
import os
import signal
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from django.db import transaction
from django.test import Client

from federation import delivery
from federation.delivery import claiming, noting, sending
from federation.models import Delivery, InboxItem
from server.core import clock, http
from server.secrets import ensure
from tests.federation.stranger import Answer, Received, Server, dora
from tests.world import World

ROOT = Path(__file__).parent.parent.parent


class Killed(BaseException):
    """The process ends here; nothing after this line happens."""


def _owe(world: World, server: Server, count: int) -> None:
    for number in range(count):
        server.answers["", f"/{number}/inbox"] = Answer(status=202)
        activity = {"id": f"{world.alice.uri}/posts/{number}/activity", "type": "Create", "actor": world.alice.uri, "object": "x"}
        with transaction.atomic():
            delivery.enqueue(activity=activity, sender=world.alice, inboxes=[server.url(f"/{number}/inbox")])


STEPS: dict[str, tuple[Any, str]] = {
    "claimed": (sending, "_lanes"),
    "took results": (sending, "_take"),
    "about to note": (noting, "note"),
}


@pytest.mark.parametrize("step", STEPS)
def test_death_at_every_step(world: World, server: Server, monkeypatch: pytest.MonkeyPatch, step: str) -> None:
    """Die at the n-th time that a step is reached, for every n until none is left; then the lease runs out and all is sent."""
    module, name = STEPS[step]
    real = getattr(module, name)
    _owe(world, server, 12)
    monkeypatch.setattr(sending, "NOTED_TOGETHER", 3)
    died_at = 0
    while True:
        died_at += 1
        calls = 0

        def die(*args: Any, real: Any = real, at: int = died_at) -> Any:
            nonlocal calls
            calls += 1
            if calls == at:
                raise Killed
            return real(*args)

        Delivery.objects.update(state="waiting", lease_token=None, lease_until=None, next_try_at=clock.now(), delivered_at=None)
        server.received.clear()
        monkeypatch.setattr(module, name, die)
        try:
            delivery.send_due()
        except Killed:
            monkeypatch.setattr(module, name, real)
            assert not delivery.any_due() or Delivery.objects.filter(lease_token=None, state="waiting").exists()
            with clock.moved(timedelta(seconds=claiming.LEASE_SECONDS + 1)):
                delivery.send_due()
            assert set(Delivery.objects.values_list("state", flat=True)) == {"delivered"}
            assert {post.path for post in server.posts()} == {f"/{number}/inbox" for number in range(12)}
        else:
            break
    assert died_at > 1


def test_a_crash_between_post_and_note(world: World, server: Server, client: Client, work: Callable[[], int]) -> None:
    """The receiver, played by our own inbox, gets the same activity twice with two signatures, and does it once."""
    activity = dora().activity("Follow", world.alice.uri)
    for seconds in (5, 4):
        request = dora().request(activity, at=clock.now() - timedelta(seconds=seconds))
        assert request.send(client).status_code == 202
        work()
    assert InboxItem.objects.count() == 1
    assert Delivery.objects.filter(kind="Accept").count() == 1


@pytest.fixture
def process(tmp_path: Path) -> Callable[..., subprocess.Popen[str]]:
    """Start ``one_process`` with a database of its own."""
    ensure(tmp_path)
    environment = {
        **{name: value for name, value in os.environ.items() if not name.startswith("TRIBUTARY_")},
        "TRIBUTARY_DATA_DIR": str(tmp_path),
        "TRIBUTARY_DATABASE_URL": f"sqlite:///{tmp_path / 'crash.sqlite3'}",
        "TRIBUTARY_ORIGIN": "http://localhost:8000",
        "TRIBUTARY_ALLOW_LOOPBACK": "true",
        "TRIBUTARY_CLOCK_OFFSET_FILE": str(tmp_path / "clock"),
        "DJANGO_SETTINGS_MODULE": "tests.federation.one_process_settings",
        "PYTHONWARNINGS": "ignore",
    }

    def start(*arguments: str) -> subprocess.Popen[str]:
        return subprocess.Popen(
            [sys.executable, "-m", "tests.federation.one_process", *arguments],
            cwd=ROOT,
            env=environment,
            text=True,
            stdout=subprocess.PIPE,
        )

    return start


def _finish(process: subprocess.Popen[str]) -> str:
    output, _ = process.communicate(timeout=120)
    assert process.returncode == 0
    return output


@pytest.mark.slow
def test_sigkill_in_the_middle(server: Server, process: Callable[..., subprocess.Popen[str]], tmp_path: Path) -> None:
    """A real process is killed with SIGKILL while it sends; the next one sends the rest when the lease has run out."""
    count = 60

    def slowly(_: Received) -> Answer:
        time.sleep(0.05)
        return Answer(status=202)

    inboxes = [server.url(f"/{number}/inbox", f"h{number % 3}") for number in range(count)]
    for number in range(count):
        server.answers["", f"/{number}/inbox"] = slowly
    _finish(process("owe", *inboxes))
    victim = process("send")
    deadline = time.monotonic() + 60
    while len(server.posts()) < count // 3:
        assert time.monotonic() < deadline
        time.sleep(0.005)
    victim.send_signal(signal.SIGKILL)
    victim.communicate()
    assert victim.returncode == -signal.SIGKILL
    sent_before = len(server.posts())
    assert sent_before < count
    (tmp_path / "clock").write_text(str(claiming.LEASE_SECONDS + 1))
    _finish(process("send"))
    rows = json.loads(_finish(process("show")))
    assert {row["state"] for row in rows} == {"delivered"}, rows
    times = Counter(post.path for post in server.posts())
    assert set(times) == {f"/{number}/inbox" for number in range(count)}
    assert max(times.values()) <= 2
    http.forget_connections()
