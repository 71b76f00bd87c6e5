"""The room in which ffmpeg runs: its limits, its emptiness, its end."""

import json
import os
import socket
import subprocess
import sys
import time
from pathlib import Path

import pytest

from server.videos import runner, sandbox

LIMITS = runner.Limits(wait_seconds_max=10, cpu_seconds_max=7, memory_bytes_max=2**30, file_bytes_max=5000)

LOOK = """
import json, os, resource, socket, sys
def reach(address):
    try:
        socket.create_connection(address, timeout=2).close()
        return True
    except OSError:
        return False
print(json.dumps({
    "limits": {name: resource.getrlimit(getattr(resource, name))[0] for name in
               ("RLIMIT_CPU", "RLIMIT_AS", "RLIMIT_FSIZE", "RLIMIT_NOFILE", "RLIMIT_CORE")},
    "environment": dict(os.environ), "nice": os.nice(0), "session": os.getsid(0) == os.getpid(),
    "stdin": sys.stdin.read(), "folder": os.getcwd(), "net": os.readlink("/proc/self/ns/net"),
    "privileges": [line for line in open("/proc/self/status") if line.startswith("NoNewPrivs")],
    "reached": reach(("127.0.0.1", int(sys.argv[1]))),
}), file=sys.stderr)
"""


def run(folder: Path, *argv: str, limits: runner.Limits = LIMITS) -> runner.Finished:
    return runner.run([sys.executable, "-I", "-c", *argv], folder=folder, at_most=limits)


def namespaces_are_allowed() -> bool:
    """Asked of the kernel in another way than the sandbox asks."""
    for flags in (["-n"], ["-U", "-n"]):
        if subprocess.run(["unshare", *flags, "true"], capture_output=True, check=False).returncode == 0:
            return True
    return False


def test_the_room_is_bare(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TRIBUTARY_SECRET_KEY", "do not tell")
    with socket.create_server(("127.0.0.1", 0)) as listener:
        finished = run(tmp_path, LOOK, str(listener.getsockname()[1]))
    assert finished.status == 0, finished.said
    seen = json.loads(finished.said)
    assert seen["limits"] == {
        "RLIMIT_CPU": 7,
        "RLIMIT_AS": 2**30,
        "RLIMIT_FSIZE": 5000,
        "RLIMIT_NOFILE": sandbox.OPEN_FILES_MAX,
        "RLIMIT_CORE": 0,
    }
    assert seen["environment"].keys() <= {"LC_ALL", "LC_CTYPE"}
    assert seen["nice"] >= sandbox.NICENESS
    assert seen["session"]
    assert seen["stdin"] == ""
    assert seen["folder"] == str(tmp_path)
    assert seen["privileges"] == ["NoNewPrivs:\t1\n"]
    if namespaces_are_allowed():
        assert seen["net"] != str(Path("/proc/self/ns/net").readlink())
        assert not seen["reached"]


def test_a_file_beyond_the_limit(tmp_path: Path) -> None:
    finished = run(tmp_path, "open('x', 'wb').write(bytes(10_000))")
    assert finished.status == 1
    assert "File too large" in finished.said
    assert (tmp_path / "x").stat().st_size == 5000


def test_more_memory_than_allowed(tmp_path: Path) -> None:
    assert "MemoryError" in run(tmp_path, "bytearray(2**30)").said


def test_more_open_files_than_allowed(tmp_path: Path) -> None:
    assert "Too many open files" in run(tmp_path, "x = [open('/dev/null') for _ in range(100)]").said


def test_more_processor_time_than_allowed(tmp_path: Path) -> None:
    tight = runner.Limits(wait_seconds_max=20, cpu_seconds_max=1, memory_bytes_max=2**30, file_bytes_max=1)
    finished = run(tmp_path, "while True: pass", limits=tight)
    assert (finished.status, finished.timed_out) == (-24, True)


def of_session(leader: int) -> list[int]:
    """The processes of a session that are still there a moment later (a killed one needs that moment)."""
    for _ in range(20):
        if not (found := _of_session(leader)):
            break
        time.sleep(0.05)
    return found


def _of_session(leader: int) -> list[int]:
    found = []
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit():
            try:
                fields = (entry / "stat").read_text().rpartition(")")[2].split()
            except OSError:
                continue
            if int(fields[3]) == leader and fields[0] != "Z":
                found.append(int(entry.name))
    return found


FAMILY = (
    "import os, subprocess, sys; subprocess.Popen(['/bin/sleep', '60']); print(os.getpid(), file=sys.stderr, flush=True); {then}"
)


def test_when_time_is_up_the_whole_family_ends(tmp_path: Path) -> None:
    short = runner.Limits(wait_seconds_max=1.5, cpu_seconds_max=5, memory_bytes_max=2**30, file_bytes_max=1)
    started = time.monotonic()
    finished = run(tmp_path, FAMILY.format(then="import time; time.sleep(60)"), limits=short)
    assert finished.timed_out
    assert time.monotonic() - started < 10
    assert of_session(int(finished.said)) == []


def test_who_leaves_children_behind_has_them_ended(tmp_path: Path) -> None:
    short = runner.Limits(wait_seconds_max=3, cpu_seconds_max=5, memory_bytes_max=2**30, file_bytes_max=1)
    finished = run(tmp_path, FAMILY.format(then="os._exit(3)"), limits=short)
    assert of_session(int(finished.said)) == []


def test_what_a_tick_raises_ends_the_program_and_goes_on(tmp_path: Path) -> None:
    said: list[str] = []

    def tick(news: str) -> None:
        said.append(news)
        raise LookupError

    argv = [sys.executable, "-I", "-c", "import os, time; print(os.getpid(), flush=True); time.sleep(60)"]
    with pytest.raises(LookupError):
        runner.run(argv, folder=tmp_path, at_most=LIMITS, on_tick=tick)
    assert of_session(int(said[0])) == []


def test_a_talkative_program_does_not_fill_our_memory(tmp_path: Path) -> None:
    finished = run(tmp_path, "import sys; sys.stderr.write('first' + 'x' * 10_000_000 + 'last')")
    assert finished.status == 0
    assert len(finished.said) <= 70_000
    assert finished.said.startswith("first")
    assert finished.said.endswith("last")


def test_an_orphan_does_not_start(tmp_path: Path) -> None:
    done = subprocess.run(
        [sys.executable, "-I", sandbox.__file__, str(os.getpid() + 1), "1", "100000000", "1", "/bin/echo", "started"],
        capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.stdout == ""
    assert "parent is gone" in done.stderr
