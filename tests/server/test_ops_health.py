"""Probes and metrics."""

import os
import re
import shutil
import subprocess
import sys
import uuid
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from django.db import DatabaseError, connection
from django.test import Client
from prometheus_client import Counter, Histogram

from federation.models import Delivery, Peer
from server.core import clock, metrics, worker
from server.core.facts import record
from server.core.models import Task
from server.videos.facts import VideoPublished
from tests.world import World, published


@pytest.fixture
def folders(settings: Any, tmp_path: Path) -> Path:
    """Directories that can be broken."""
    settings.UPLOAD_DIR, settings.MEDIA_ROOT = tmp_path / "uploads", tmp_path / "media"
    for folder in (settings.UPLOAD_DIR, settings.MEDIA_ROOT):
        folder.mkdir()
    return tmp_path


def test_healthz_does_no_work(client: Client) -> None:
    """Not even a query: no database is allowed in this test."""
    answer = client.get("/healthz")
    assert (answer.status_code, answer.content) == (200, b"ok\n")
    assert client.post("/healthz").status_code == 405


def test_probes_answer_under_any_host_name(client: Client) -> None:
    assert client.get("/healthz", HTTP_HOST="10.1.2.3:8000").status_code == 200
    assert client.get("/about", HTTP_HOST="10.1.2.3:8000").status_code == 400


def test_readyz(db: None, client: Client, folders: Path) -> None:
    answer = client.get("/readyz")
    assert (answer.status_code, answer.json()) == (200, {"ready": True, "reasons": [], "warnings": []})
    assert "no-store" in answer["Cache-Control"]


def test_readyz_says_what_is_missing(db: None, client: Client, folders: Path, caplog: pytest.LogCaptureFixture) -> None:
    shutil.rmtree(folders / "media")
    shutil.rmtree(folders / "uploads")
    answer = client.get("/readyz")
    assert answer.status_code == 503
    assert answer.json()["reasons"] == ["the uploads directory cannot be written", "the media directory cannot be written"]
    # Where they are is for the log, not for strangers.
    assert str(folders).encode() not in answer.content
    assert str(folders) in caplog.text


def test_readyz_without_tables(tmp_path: Path) -> None:
    """A real process on an empty data directory."""
    environment = {**os.environ, "TRIBUTARY_DATA_DIR": str(tmp_path), "TRIBUTARY_DATABASE_URL": f"sqlite:///{tmp_path}/x.sqlite3"}
    ask = "from server.web.health import not_ready; print(not_ready())"
    said = subprocess.run(
        [sys.executable, "manage.py", "shell", "--no-imports", "-c", ask],
        env=environment,
        capture_output=True,
        text=True,
        check=True,
    )
    assert said.stdout.strip() == "['migrations are missing']"


def test_readyz_without_a_database(db: None, client: Client, folders: Path) -> None:
    def broken(*_: object) -> None:
        raise DatabaseError("password=s3cr3t")

    with connection.execute_wrapper(broken):
        answer = client.get("/readyz")
    assert answer.status_code == 503
    assert answer.json()["reasons"] == ["the database does not answer"]
    assert b"s3cr3t" not in answer.content


# --- metrics ---


def _metrics(client: Client, **headers: str) -> dict[str, float]:
    answer = client.get("/metrics", **headers)
    assert answer.status_code == 200
    lines = [line for line in answer.content.decode().splitlines() if not line.startswith("#")]
    return {name: float(value) for name, _, value in (line.rpartition(" ") for line in lines)}


def test_metrics_are_for_those_who_are_named(db: None, client: Client, settings: Any) -> None:
    assert client.get("/metrics").status_code == 200
    assert client.get("/metrics", REMOTE_ADDR="203.0.113.9").status_code == 404
    settings.METRICS_ALLOWED = ["203.0.113.0/24"]
    assert client.get("/metrics", REMOTE_ADDR="203.0.113.9").status_code == 200
    assert client.get("/metrics").status_code == 404


def test_a_forgotten_proxy_does_not_open_the_metrics(db: None, client: Client, settings: Any) -> None:
    """The proxy on this host is not in TRUSTED_PROXIES: its address says nothing about who asks."""
    settings.TRUSTED_PROXIES = []
    assert client.get("/metrics", HTTP_X_FORWARDED_FOR="203.0.113.9").status_code == 404
    settings.TRUSTED_PROXIES = ["127.0.0.1"]
    assert client.get("/metrics", HTTP_X_FORWARDED_FOR="203.0.113.9").status_code == 404
    assert client.get("/metrics", HTTP_X_FORWARDED_FOR="127.0.0.1").status_code == 200


def test_every_gauge_has_a_line_before_anything_happened(db: None, client: Client) -> None:
    found = _metrics(client)
    for name in (
        'tributary_tasks_waiting{queue="default"}',
        'tributary_tasks_waiting{queue="transcode"}',
        'tributary_tasks_dead{queue="federation"}',
        'tributary_tasks_oldest_seconds{queue="federation"}',
        'tributary_tasks_overdue_seconds{queue="federation"}',
        'tributary_deliveries{state="waiting"}',
        'tributary_deliveries{state="dead"}',
        "tributary_deliveries_oldest_seconds",
        "tributary_deliveries_overdue_seconds",
        "tributary_hosts_open",
        'tributary_inbox_items{state="failed"}',
        'tributary_videos{state="failed"}',
    ):
        assert found[name] == 0, name
    assert found['tributary_disk_free_bytes{directory="media"}'] > 0
    assert found['tributary_build_info{version="1.0.0"}'] == 1
    assert "tributary_database_bytes" in found


def test_gauges_show_what_waits(world: World, client: Client) -> None:
    published(world.alice)
    now = clock.now()
    Task.objects.all().delete()
    row = {"fact": "VideoPublished", "subscriber": "s", "payload": {}, "queue": "federation"}
    for moment, dead in ((now - timedelta(hours=2), None), (now - timedelta(hours=5), now)):
        Task.objects.create(fact_id=uuid.uuid4(), created_at=moment, next_try_at=moment, dead_at=dead, **row)
    Peer.objects.update_or_create(host="peer.example", defaults={"open_until": now + timedelta(hours=1)})
    common = {"kind": "Create", "body": "{}", "inbox": "https://peer.example/inbox", "expires_at": now}
    hour_ago = now - timedelta(hours=1)
    Delivery.objects.create(activity_uri="a", host="peer.example", created_at=hour_ago, next_try_at=hour_ago, **common)
    Delivery.objects.create(
        activity_uri="b", host="other.example", created_at=now, next_try_at=now - timedelta(minutes=5), **common
    )
    Delivery.objects.create(activity_uri="c", host="other.example", state="dead", **common)
    found = _metrics(client)
    assert found['tributary_tasks_waiting{queue="federation"}'] == 1
    assert found['tributary_tasks_dead{queue="federation"}'] == 1
    assert found['tributary_tasks_oldest_seconds{queue="federation"}'] == pytest.approx(7200, abs=30)
    assert found['tributary_tasks_overdue_seconds{queue="federation"}'] == pytest.approx(7200, abs=30)
    assert found['tributary_deliveries{state="waiting"}'] == 2
    assert found['tributary_deliveries{state="dead"}'] == 1
    assert found["tributary_deliveries_oldest_seconds"] == pytest.approx(3600, abs=30)
    # The paused server's hour does not count: nobody is late but that server.
    assert found["tributary_deliveries_overdue_seconds"] == pytest.approx(300, abs=30)
    assert found["tributary_hosts_open"] == 1
    assert found['tributary_videos{state="published"}'] == 1


def _outcome(outcome: str) -> float:
    labels = {"subscriber": "federation.outbox.announce_video", "outcome": outcome}
    return metrics.REGISTRY.get_sample_value("tributary_tasks_run_total", labels) or 0


def test_tasks_are_counted_by_what_they_came_to(world: World) -> None:
    done, dead = _outcome("done"), _outcome("dead")
    record(VideoPublished(video_id=published(world.alice).pk))
    worker.work("federation")
    Task.objects.create(
        fact_id="00000000-0000-4000-8000-000000000002",
        fact="NoSuchFact",
        subscriber="federation.outbox.announce_video",
        payload={},
        queue="federation",
        created_at=clock.now(),
        next_try_at=clock.now(),
    )
    worker.work("federation")
    assert _outcome("done") == done + 1
    assert _outcome("dead") == dead + 1


def test_an_unknown_gauge_is_an_error() -> None:
    with pytest.raises(KeyError):
        metrics.reading("no_such_gauge")


def test_the_reference_page_names_every_metric_and_no_other() -> None:
    page = (Path(__file__).resolve().parent.parent.parent / "docs" / "reference" / "metrics.md").read_text()
    rows = re.findall(r"^\| `(tributary_\w+)` \|([^|]*)\|", page, re.MULTILINE)
    documented = {name: set(re.findall(r"`(\w+)`", labels)) for name, labels in rows}
    offered = {each.name: set(each.labels) for each in metrics.gauges()}
    for value in vars(metrics).values():
        if isinstance(value, Counter | Histogram):
            name = value._name + ("_total" if isinstance(value, Counter) else "")
            offered[name] = set(value._labelnames)
    assert documented == offered
    for name in re.findall(r"tributary_\w+", page):
        assert name in offered, name
