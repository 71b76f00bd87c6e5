"""Run ffmpeg in its sandbox: limits, a clock, its own process group, and nothing of ours in its environment."""

import os
import selectors
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import IO

from server.videos import sandbox

# Of what a program says on stderr: the beginning (the first complaint explains the rest) and the end.
_SAID_BYTES_MAX = 32 * 1024
_READ_BYTES = 64 * 1024
_TICK_SECONDS = 1.0
_PAUSE_SECONDS = 0.01
# The kernel ends by one clock and accounts by another.
_CPU_ROUNDING_SECONDS = 0.25


@dataclass(frozen=True, kw_only=True)
class Limits:
    """What one program may use."""

    wait_seconds_max: float
    cpu_seconds_max: int
    memory_bytes_max: int
    file_bytes_max: int


@dataclass(frozen=True, kw_only=True)
class Finished:
    """How a program ended: ``status`` is negative for a signal; ``timed_out`` if it used up its time or its processor time."""

    status: int
    said: str
    timed_out: bool


def run(argv: list[str], *, folder: Path, at_most: Limits, on_tick: Callable[[str], None] | None = None) -> Finished:
    """Run ``argv`` in ``folder`` and wait for it.

    ``on_tick`` is called about once a second with what the program has said on stdout since; whatever it raises ends
    the program and goes on. However this function is left, no process of the program's group is left with it.
    """
    launcher = [sys.executable, "-I", sandbox.__file__, str(os.getpid())]
    numbers = [at_most.cpu_seconds_max, at_most.memory_bytes_max, at_most.file_bytes_max]
    process = subprocess.Popen(  # noqa: S603 (our own argv, no shell)
        [*launcher, *map(str, numbers), *argv],
        cwd=folder,
        env={"LC_ALL": "C"},
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        start_new_session=True,
        umask=0o077,
    )
    with process:
        try:
            said, timed_out = _listen(process, at_most.wait_seconds_max, on_tick)
        finally:
            cpu_seconds = _end(process)
    used_up = timed_out or cpu_seconds + _CPU_ROUNDING_SECONDS >= at_most.cpu_seconds_max
    return Finished(status=process.returncode, said=said.text(), timed_out=used_up)


class _Said:
    """The beginning and the end of a stream, however long it is."""

    def __init__(self) -> None:
        self._head, self._tail = bytearray(), bytearray()

    def add(self, data: bytes) -> None:
        room = _SAID_BYTES_MAX - len(self._head)
        self._head += data[:room]
        self._tail += data[room:]
        del self._tail[:-_SAID_BYTES_MAX]

    def text(self) -> str:
        return (bytes(self._head) + bytes(self._tail)).decode("utf-8", "replace")


def _listen(process: subprocess.Popen[bytes], seconds_max: float, on_tick: Callable[[str], None] | None) -> tuple[_Said, bool]:
    assert process.stdout is not None
    assert process.stderr is not None
    said, news = _Said(), bytearray()
    ends_at = time.monotonic() + seconds_max
    tick_at = time.monotonic() + _TICK_SECONDS
    with selectors.DefaultSelector() as selector:
        selector.register(process.stdout, selectors.EVENT_READ)
        selector.register(process.stderr, selectors.EVENT_READ)
        while selector.get_map():
            moment = time.monotonic()
            if moment >= ends_at:
                return said, True
            if moment >= tick_at and on_tick is not None:
                on_tick(news.decode("ascii", "replace"))
                news.clear()
                tick_at = time.monotonic() + _TICK_SECONDS
            for key, _ in selector.select(min(ends_at - moment, _TICK_SECONDS)):
                data = _read(key.fileobj)  # type: ignore[arg-type]
                if not data:
                    selector.unregister(key.fileobj)
                elif key.fileobj is process.stderr:
                    said.add(data)
                else:
                    news += data
    # Both ends are closed; what still runs has nothing more to say and little more to do.
    while time.monotonic() < ends_at:
        # WNOWAIT: not reaped before _end, so that the number of the group stays its own.
        if os.waitid(os.P_PID, process.pid, os.WEXITED | os.WNOHANG | os.WNOWAIT) is not None:
            if on_tick is not None:
                on_tick(news.decode("ascii", "replace"))
            return said, False
        time.sleep(_PAUSE_SECONDS)
    return said, True


def _read(file: IO[bytes]) -> bytes:
    return os.read(file.fileno(), _READ_BYTES)


def _end(process: subprocess.Popen[bytes]) -> float:
    """Kill what is left of the process group, and reap its leader. Returns the processor time it used, in seconds."""
    os.killpg(process.pid, signal.SIGKILL)
    _, status, usage = os.wait4(process.pid, 0)
    process.returncode = os.waitstatus_to_exitcode(status)
    return usage.ru_utime + usage.ru_stime
