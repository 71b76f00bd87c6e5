"""Run as a script: give this process limits and no network, then become the named program.

``python -I sandbox.py PARENT_PID CPU_SECONDS MEMORY_BYTES FILE_BYTES PROGRAM [ARGUMENT...]``

A process of its own, because limits set between fork and exec of a threaded server (``preexec_fn``) can deadlock.
Standard library only: it starts for every video, and it is the last of our code that runs before hostile input.
"""

import ctypes
import os
import resource
import signal
import sys

OPEN_FILES_MAX = 64
PROCESSES_MAX = 256
NICENESS = 10
_CPU_GRACE_SECONDS = 2

_CLONE_NEWUSER, _CLONE_NEWNET = 0x10000000, 0x40000000
_PR_SET_PDEATHSIG, _PR_SET_NO_NEW_PRIVS = 1, 38


def main(parent: int, cpu_seconds: int, memory_bytes: int, file_bytes: int, program: list[str]) -> None:
    """Set every limit and exec ``program``. Returns never."""
    libc = ctypes.CDLL(None, use_errno=True)
    # A killed worker takes its ffmpeg with it; whoever was orphaned before this line sees another parent.
    libc.prctl(_PR_SET_PDEATHSIG, signal.SIGKILL, 0, 0, 0)
    if os.getppid() != parent:
        sys.exit("sandbox: the parent is gone")
    libc.prctl(_PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0)
    # An empty network namespace, where the kernel lets us have one. Elsewhere the protocol whitelist stands alone.
    if libc.unshare(_CLONE_NEWNET) != 0 and libc.unshare(_CLONE_NEWUSER | _CLONE_NEWNET) == 0:
        # In a user namespace of our own this counts our processes alone, not everything the account runs.
        _limit(resource.RLIMIT_NPROC, PROCESSES_MAX)
    os.nice(NICENESS)
    _limit(resource.RLIMIT_CORE, 0)
    _limit(resource.RLIMIT_NOFILE, OPEN_FILES_MAX)
    # A write beyond the limit answers EFBIG instead of killing: Python ignores SIGXFSZ, and exec hands that on.
    signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    signal.signal(signal.SIGPIPE, signal.SIG_DFL)
    _limit(resource.RLIMIT_FSIZE, file_bytes)
    # At the soft limit SIGXCPU says why; the hard one is for whoever ignores it.
    resource.setrlimit(resource.RLIMIT_CPU, (cpu_seconds, cpu_seconds + _CPU_GRACE_SECONDS))
    _limit(resource.RLIMIT_AS, memory_bytes)
    os.execv(program[0], program)  # noqa: S606 (no shell is the point)


def _limit(what: int, value: int) -> None:
    _, hard = resource.getrlimit(what)
    value = value if hard == resource.RLIM_INFINITY else min(value, hard)
    resource.setrlimit(what, (value, value))


if __name__ == "__main__":
    _parent, _cpu_seconds, _memory_bytes, _file_bytes = map(int, sys.argv[1:5])
    main(_parent, _cpu_seconds, _memory_bytes, _file_bytes, sys.argv[5:])
