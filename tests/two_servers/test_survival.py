"""Kill -9 in the middle of work, a peer that stops answering, a broker that forgets: nothing is lost, nothing is done twice."""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import imageio_ffmpeg
import pytest
import redis

from tests.two_servers.instance import CLIP, Instance, Person, wait_for

pytestmark = pytest.mark.slow


def long_clip(tmp_path: Path) -> Path:
    """The real clip six times over, so that there is a middle to be killed in."""
    path = tmp_path / "long.mp4"
    subprocess.run(
        [imageio_ffmpeg.get_ffmpeg_exe(), "-v", "error", "-stream_loop", "5", "-i", CLIP, "-c", "copy", path],
        check=True,
        stdin=subprocess.DEVNULL,
    )
    return path


def under_way(maker: Person, video: dict[str, object]) -> bool:
    """Is ffmpeg in the middle of it?"""
    (row,) = maker.instance.rows("SELECT progress_percent FROM videos_video WHERE id = ?", int(str(video["id"])))
    return row["progress_percent"] > 5


def stored_once(instance: Instance, uri: str) -> bool:
    return len(instance.rows("SELECT id FROM videos_video WHERE uri = ? AND state = 'published'", uri)) == 1


def test_a_worker_killed_in_the_middle_of_a_transcode_loses_nothing(friends: tuple[Person, Person], tmp_path: Path) -> None:
    maker, viewer = friends
    video = maker.upload(long_clip(tmp_path), caption="Survivor", alt_text="A rabbit")
    wait_for("progress", lambda: under_way(maker, video), seconds_max=60)
    worker = maker.instance.child("transcode")
    os.kill(worker, signal.SIGKILL)
    published = maker.video_when(video["id"], "published", seconds_max=180)
    assert maker.instance.child("transcode") != worker
    # A process that is forked from another must not inherit a connection to SQLite.
    assert maker.instance.process is not None
    open_files = [str(file.readlink()) for file in Path(f"/proc/{maker.instance.process.pid}/fd").iterdir()]
    assert not [name for name in open_files if "sqlite3" in name]
    rungs = maker.instance.rows("SELECT name FROM videos_rendition WHERE video_id = ?", int(video["id"]))
    assert len(rungs) == 2
    wait_for("the video at the peer", lambda: stored_once(viewer.instance, published["uri"]))


def test_a_worker_killed_in_the_middle_of_a_delivery_loses_nothing(friends: tuple[Person, Person]) -> None:
    maker, viewer = friends
    video = maker.video_when(maker.upload(CLIP, caption="Before", alt_text="A rabbit", publish_when_ready=False)["id"], "ready")
    web = viewer.instance.child("web")
    # The peer holds connections open and answers nothing: deliveries hang in the middle.
    os.killpg(web, signal.SIGSTOP)
    try:
        maker.api("POST", f"/videos/{video['id']}/publish")
        claimed = "SELECT id FROM federation_delivery WHERE kind = 'Create' AND state = 'waiting' AND lease_until IS NOT NULL"
        wait_for("a delivery under way", lambda: maker.instance.rows(claimed), seconds_max=30)
        worker = maker.instance.child("worker")
        os.kill(worker, signal.SIGKILL)
    finally:
        time.sleep(1)
        os.killpg(web, signal.SIGCONT)
    uri = video["uri"]
    wait_for("the video at the peer", lambda: stored_once(viewer.instance, uri), seconds_max=180)
    items = viewer.instance.rows("SELECT state FROM federation_inboxitem WHERE kind = 'Create' AND uri LIKE ?", f"{uri}%")
    assert [item["state"] for item in items] == ["handled"]


def test_redis_flushed_in_the_middle_loses_nothing(
    production_friends: tuple[Person, Person], redis_url: str, tmp_path: Path
) -> None:
    maker, viewer = production_friends
    broker = redis.Redis.from_url(redis_url)
    video = maker.upload(long_clip(tmp_path), caption="Flushed", alt_text="A rabbit")
    broker.flushall()
    wait_for("progress", lambda: under_way(maker, video), seconds_max=60)
    broker.flushall()
    published = maker.video_when(video["id"], "published", seconds_max=120)
    broker.flushall()
    wait_for("the video at the peer", lambda: stored_once(viewer.instance, published["uri"]))
    copy = viewer.instance.rows("SELECT id FROM videos_video WHERE uri = ?", published["uri"])[0]["id"]
    viewer.api("PUT", f"/videos/{copy}/like")
    viewer.api("POST", f"/videos/{copy}/comments", {"text": "Still here"})
    broker.flushall()

    def home() -> bool:
        seen = maker.api("GET", f"/videos/{video['id']}")
        return (seen["like_count"], seen["comment_count"]) == (1, 1)

    wait_for("like and comment at home", home)


def test_a_second_server_on_the_same_data_is_refused(pair: tuple[Instance, Instance]) -> None:
    north, _ = pair
    argv = [sys.executable, "-m", "server.serve", "--port", "0", "--data", str(north.data)]
    done = subprocess.run(argv, capture_output=True, text=True, check=False, timeout=60)
    assert done.returncode != 0
    assert "Another server is already running" in done.stderr


def test_a_second_start_answers_within_five_seconds_and_stops_cleanly(tmp_path: Path) -> None:
    from tests.services import free_port

    instance = Instance("Quick", free_port(), data=tmp_path / "data")
    instance.start()
    instance.stop()
    seconds = []
    # A busy machine may spoil one try; what counts is how fast it can be.
    while len(seconds) < 3 and min(seconds, default=99) > 5:
        started = time.monotonic()
        instance.start()
        seconds.append(time.monotonic() - started)
        assert instance.process is not None
        process = instance.process
        instance.stop()
        assert process.returncode == 0
    started = time.monotonic()
    instance.manage("shell", "-c", "pass")
    load_seconds = time.monotonic() - started
    assert instance.log.read_text().count("Stopped cleanly.") == 1 + len(seconds)
    # Where merely loading the code takes that long, other work has the machine; then the start may not add much to it.
    assert min(seconds) <= max(5, 1.5 * load_seconds), f"{seconds} s, and {load_seconds} s to load the code"
    modes = {path.name: oct(path.stat().st_mode & 0o777) for path in (instance.data / "secrets").iterdir()}
    assert set(modes.values()) == {"0o600"}
    assert oct((instance.data / "secrets").stat().st_mode & 0o777) == "0o700"
