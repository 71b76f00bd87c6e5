"""A worker killed at any point of making or importing an archive: the next run ends with one archive, and nothing twice."""

import signal
import subprocess
import sys
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from server.portability import verify
from tests.server.test_video_crash import Instance

pytestmark = pytest.mark.slow


class Archives(Instance):
    """As the instance of the videos, with the commands of ``archive_process``."""

    def start(self, *arguments: str) -> "subprocess.Popen[str]":
        argv = [sys.executable, "-m", "tests.server.archive_process", *arguments]
        return subprocess.Popen(argv, env=self.environment, cwd=Path(__file__).parents[2], stdout=subprocess.PIPE, text=True)

    def done(self, *arguments: str) -> None:
        assert self.run(*arguments)[0] == 0

    def work_on(self) -> dict[str, Any]:
        """Workers come back after the lease of the dead one has run out."""
        self.later(3600)
        self.done("work")
        return self.show()


@pytest.fixture
def instance(tmp_path: Path) -> Archives:
    made = Archives(tmp_path / "data")
    made.done("open")
    return made


def judged(path: Path) -> verify.Verdict:
    # The instance's clock is ahead of ours by now.
    with path.open("rb") as file:
        return verify.verify(file, now=datetime.now(UTC) + timedelta(hours=2), bytes_max=path.stat().st_size)


@pytest.mark.parametrize("point", ["file 0", "file 4", "in a file", "before the signature", "after the signature"])
def test_killed_while_making(instance: Archives, tmp_path: Path, point: str) -> None:
    instance.done("ask")
    assert instance.run("work", point)[0] == -signal.SIGKILL
    assert instance.show()["archives"][0][0] == "making"
    shown = instance.work_on()
    assert shown["archives"] == [["ready", 1000, 1]]
    target = tmp_path / "alice.tar"
    instance.done("tar", str(target))
    verdict = judged(target)
    assert (verdict.videos, verdict.missing, verdict.files) == (3, [], shown["files"])


@pytest.mark.parametrize("point", ["file 0", "file 5", "unpacked", "judged", "item", "video"])
def test_killed_while_importing(instance: Archives, tmp_path: Path, point: str) -> None:
    instance.done("ask")
    instance.done("work")
    target = tmp_path / "alice.tar"
    instance.done("tar", str(target))
    # On a disk where nothing of it lies.
    for path in (tmp_path / "data" / "archives" / "vault").rglob("*"):
        if path.is_file():
            path.unlink()
    instance.done("announce", str(target))
    assert instance.run("work", point)[0] == -signal.SIGKILL
    killed = instance.show()
    assert killed["imports"][0][0] == "running"
    assert killed["videos"] == killed["originals"] == 0
    shown = instance.work_on()
    # Each video is made once and waits for the transcoder, which is not what is killed here.
    assert shown["imports"] == [["running", 6, ""]]
    assert shown["items"] == [["block", "done"], *[["video", "waiting"]] * 3]
    assert (shown["videos"], shown["originals"], shown["uploads"], shown["earlier"]) == (3, 3, 3, 3)
