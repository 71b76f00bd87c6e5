"""Doorbells in a directory: whole or not at all, to one worker each, whatever lies about."""

import contextlib
import json
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from queue import Empty
from typing import Any

import pytest
from django.conf import settings
from kombu import Connection, Exchange, Queue
from kombu.exceptions import ChannelError

from server import celery
from server.bells import Channel

COUNT, RINGERS, WORKERS = 200, 3, 3


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "broker").mkdir()
    return tmp_path / "broker"


def channel_to(folder: Path) -> Channel:
    options = {"data_folder_in": str(folder), "data_folder_out": str(folder)}
    channel = Connection("bells://localhost", transport_options=options).channel()
    assert isinstance(channel, Channel)
    return channel


def heard_by(channel: Channel, queue: str) -> list[dict[str, Any]]:
    """Every bell of ``queue``, the oldest first."""
    heard = []
    with contextlib.suppress(Empty):
        while True:
            heard.append(channel._get(queue))
    return heard


def test_a_bell_of_ours_reaches_the_queue_of_its_name() -> None:
    broker = settings.DATA_DIR / "broker"
    before = set(broker.iterdir())
    celery.ring("feed")
    (made,) = set(broker.iterdir()) - before
    assert made.name.endswith(".feed.msg")
    channel = channel_to(broker)
    # Other tests ring in this folder too.
    heard_by(channel, "ledger")
    assert made.exists()
    assert heard_by(channel, "feed")[-1]["headers"]["task"] == "work"
    assert not made.exists()


def test_a_torn_bell_is_thrown_away_and_the_next_one_is_heard(folder: Path) -> None:
    channel = channel_to(folder)
    for number, torn in enumerate(["", '{"body": "cut o', "\x00\x00"]):
        (folder / f"{number:015}_torn.default.msg").write_text(torn)
    channel._put("default", {"whole": True})
    assert channel._get("default") == {"whole": True}
    assert list(folder.iterdir()) == []


def test_many_ring_and_many_listen_and_each_bell_is_heard_once(folder: Path) -> None:
    body = "x" * 5_000

    def ring(ringer: int) -> None:
        channel = channel_to(folder)
        for number in range(COUNT):
            channel._put("default", {"id": ringer * COUNT + number, "body": body})

    def listen(_worker: int) -> list[int]:
        channel, heard, silent = channel_to(folder), [], 0
        while silent < 2:
            try:
                bell = channel._get("default")
            except Empty:
                silent += all(done.done() for done in ringing)
            else:
                assert bell["body"] == body
                heard.append(bell["id"])
        return heard

    with ThreadPoolExecutor(RINGERS + WORKERS) as pool:
        ringing = [pool.submit(ring, number) for number in range(RINGERS)]
        listening = [pool.submit(listen, number) for number in range(WORKERS)]
        heard = [each for listener in listening for each in listener.result()]
    assert sorted(heard) == list(range(COUNT * RINGERS))
    assert list(folder.iterdir()) == []


def test_a_bell_that_cannot_be_written_is_an_error_and_leaves_nothing(folder: Path, tmp_path: Path) -> None:
    channel = channel_to(folder)
    with pytest.raises(ChannelError, match="cannot ring"):
        # The renaming fails, as on a full disk: there is no such directory.
        channel._put("no/such", {"whole": True})
    assert list(folder.iterdir()) == []
    with pytest.raises(ChannelError, match="cannot ring"):
        channel_to(tmp_path / "gone")._put("default", {})


def test_a_queue_has_the_exchange_of_its_own_name(folder: Path) -> None:
    channel = channel_to(folder)
    Queue("default", Exchange("default"), routing_key="default")(channel).declare()
    channel._put("default", json.loads("{}"))
    assert channel._size("default") == 1
    with pytest.raises(ChannelError, match="queue of its name"):
        Queue("default", Exchange("other"), routing_key="default")(channel).declare()
