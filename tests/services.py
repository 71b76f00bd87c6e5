"""Real PostgreSQL and Redis for the tests: private servers on loopback ports in a temporary directory, stopped afterwards."""

import contextlib
import os
import pwd
import shutil
import socket
import subprocess
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path


def free_port() -> int:
    """A port nobody uses now."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def postgres_binary(name: str) -> str:
    """The newest installed PostgreSQL's program ``name``. Raises RuntimeError with what to install."""
    found = sorted(Path("/usr/lib/postgresql").glob(f"*/bin/{name}"), key=lambda path: int(path.parts[4]))
    path = str(found[-1]) if found else shutil.which(name)
    if not path:
        raise RuntimeError(f"{name} not found: apt-get install postgresql")
    return path


def _as_ordinary_user() -> tuple[list[str], str]:
    """PostgreSQL refuses to run as root: then it runs as the system user its package made."""
    if os.geteuid() != 0:
        return [], pwd.getpwuid(os.geteuid()).pw_name
    return ["setpriv", "--reuid=postgres", "--regid=postgres", "--clear-groups"], "postgres"


@contextlib.contextmanager
def postgres() -> Iterator[str]:
    """Run a private PostgreSQL; gives the URL of a role that may create databases."""
    prefix, user = _as_ordinary_user()
    base = Path(tempfile.mkdtemp(prefix="tributary-pg-"))
    if prefix:
        shutil.chown(base, user)
    port = free_port()
    data = base / "data"
    initdb = [*prefix, postgres_binary("initdb"), "-D", str(data), "-U", "tributary", "--auth=trust", "-E", "UTF8", "--no-sync"]
    subprocess.run(initdb, check=True, stdout=subprocess.DEVNULL, cwd=base)
    options = {
        "port": port,
        "listen_addresses": "127.0.0.1",
        "unix_socket_directories": base,
        "fsync": "off",
        "max_connections": 60,
    }
    argv = [
        *prefix,
        postgres_binary("postgres"),
        "-D",
        str(data),
        *[part for key, value in options.items() for part in ("-c", f"{key}={value}")],
    ]
    with (base.parent / f"{base.name}.log").open("wb") as log:
        process = subprocess.Popen(argv, cwd=base, stdout=log, stderr=log)
    try:
        _wait_for_port(port, process, Path(log.name))
        yield f"postgres://tributary@127.0.0.1:{port}/postgres"
    finally:
        process.terminate()
        with contextlib.suppress(subprocess.TimeoutExpired):
            process.wait(10)
        process.kill()
        shutil.rmtree(base, ignore_errors=True)
        Path(log.name).unlink(missing_ok=True)


@contextlib.contextmanager
def redis() -> Iterator[str]:
    """Run a private Redis without persistence; gives its URL."""
    binary = shutil.which("redis-server")
    if not binary:
        raise RuntimeError("redis-server not found: apt-get install redis-server")
    base = Path(tempfile.mkdtemp(prefix="tributary-redis-"))
    port = free_port()
    with (base / "log").open("wb") as log:
        process = subprocess.Popen(
            [binary, "--port", str(port), "--bind", "127.0.0.1", "--save", "", "--dir", str(base)], stdout=log, stderr=log
        )
    try:
        _wait_for_port(port, process, base / "log")
        yield f"redis://127.0.0.1:{port}/0"
    finally:
        process.terminate()
        with contextlib.suppress(subprocess.TimeoutExpired):
            process.wait(10)
        process.kill()
        shutil.rmtree(base, ignore_errors=True)


def _wait_for_port(port: int, process: subprocess.Popen[bytes], log: Path, *, seconds_max: float = 30) -> None:
    deadline = time.monotonic() + seconds_max
    while time.monotonic() < deadline:
        if process.poll() is not None:
            raise RuntimeError(f"{process.args!r} ended: {log.read_text()[-2000:]}")
        with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", port), timeout=0.5):
            return
        time.sleep(0.1)
    raise RuntimeError(f"nothing listens on port {port}")
