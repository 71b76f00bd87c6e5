"""A worker killed at any point of a transcode: nothing is half published, and the next run ends with one video."""

import json
import os
import signal
import sqlite3
import subprocess
import sys
import time
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from server.secrets import ensure
from tests import clips

pytestmark = pytest.mark.slow
ROOT = Path(__file__).parents[2]


class Instance:
    """A data directory and the commands of ``video_process`` on it."""

    def __init__(self, folder: Path) -> None:
        ensure(folder)
        self.clock = folder / "clock"
        self.database = folder / "db.sqlite3"
        self.environment = {
            **os.environ,
            "PYTHONPATH": str(ROOT),
            "TRIBUTARY_DATA_DIR": str(folder),
            "TRIBUTARY_DATABASE_URL": f"sqlite:///{self.database}",
            "TRIBUTARY_CLOCK_OFFSET_FILE": str(self.clock),
            "TRIBUTARY_ORIGIN": "http://localhost:8000",
            "DJANGO_SETTINGS_MODULE": "tests.federation.one_process_settings",
        }

    def start(self, *arguments: str) -> "subprocess.Popen[str]":
        argv = [sys.executable, "-m", "tests.server.video_process", *arguments]
        return subprocess.Popen(argv, env=self.environment, cwd=ROOT, stdout=subprocess.PIPE, text=True)

    def run(self, *arguments: str) -> tuple[int, str]:
        with self.start(*arguments) as process:
            said, _ = process.communicate(timeout=120)
        return process.returncode, said.splitlines()[-1] if said else ""

    def show(self) -> dict[str, Any]:
        return json.loads(self.run("show")[1])

    def progress(self) -> int:
        with closing(sqlite3.connect(f"file:{self.database}?mode=ro", uri=True)) as rows:
            return int(rows.execute("SELECT progress_percent FROM videos_video").fetchone()[0])

    def later(self, seconds: int) -> None:
        self.clock.write_text(str(seconds))


@pytest.fixture
def instance(tmp_path: Path) -> Instance:
    return Instance(tmp_path / "data")


def ffmpeg_processes(folder: str) -> list[int]:
    found = []
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit():
            try:
                if str((entry / "cwd").readlink()).startswith(folder):
                    found.append(int(entry.name))
            except OSError:
                continue
    return found


def assert_published_once(shown: dict[str, Any]) -> None:
    assert (shown["state"], shown["failure"], shown["published"]) == ("published", "", 1)
    assert (shown["renditions"], shown["uploads"], shown["left"]) == (2, 0, [])
    assert shown["stored"] == shown["named"]
    assert len(shown["named"]) == 6


def test_killed_in_the_middle_of_ffmpeg(instance: Instance) -> None:
    instance.run("upload", str(clips.pattern("middle.mp4", size="1920x1080", seconds=8)))
    folder = f"{instance.environment['TRIBUTARY_DATA_DIR']}/uploads/work"
    with instance.start("work") as work:
        while instance.progress() == 0:
            assert work.poll() is None
            time.sleep(0.05)
        assert ffmpeg_processes(folder)
        work.send_signal(signal.SIGKILL)
    assert work.returncode == -signal.SIGKILL
    # The worker had no chance to end its ffmpeg; the kernel did.
    time.sleep(1)
    assert ffmpeg_processes(folder) == []

    killed = instance.show()
    assert (killed["state"], killed["published"], killed["renditions"], killed["uploads"]) == ("processing", 0, 0, 1)
    assert killed["stored"] == []
    # Nobody takes it over while the lease of the dead worker stands...
    assert 0 < killed["lease_seconds"] <= 60
    assert instance.run("work") == (0, "0")
    assert instance.show()["state"] == "processing"
    # ... and when it has run out, the next worker does.
    instance.later(61)
    assert instance.run("work") == (0, "1")
    assert_published_once(instance.show())
    assert instance.run("work") == (0, "0")


@pytest.mark.parametrize(
    ("point", "state", "stored"),
    [("between two files", "processing", 3), ("before the rows", "processing", 6), ("after the rows", "published", 6)],
)
def test_killed_around_the_rows(instance: Instance, point: str, state: str, stored: int) -> None:
    instance.run("upload", str(clips.REAL))
    assert instance.run("work", point)[0] == -signal.SIGKILL
    killed = instance.show()
    assert (killed["state"], len(killed["stored"]), killed["uploads"]) == (state, stored, 1)
    assert killed["named"] == ([] if state == "processing" else killed["stored"])
    instance.later(61)
    assert instance.run("work") == (0, "1")
    shown = instance.show()
    assert_published_once(shown)
    if state == "published":
        assert shown["stored"] == killed["stored"]
