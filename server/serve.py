"""One command that runs a whole instance: secrets, migrations, web, workers and clock, each kept alive.

Run before settings exist (``python -m server.serve``), because it decides the data directory and makes the secrets.
"""

import argparse
import contextlib
import ctypes
import fcntl
import gc
import hashlib
import importlib
import multiprocessing
import os
import signal
import socket
import sys
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from multiprocessing.process import BaseProcess
from pathlib import Path
from types import FrameType

from server.secrets import ensure

BASE_DIR = Path(__file__).resolve().parent.parent
STOP_SECONDS = 15
RESTART_SECONDS_MAX = 30
HEALTHY_SECONDS = 20
PR_SET_PDEATHSIG, PR_SET_NAME = 1, 15
# What the workers and the clock share: imported once, before they are forked and while the web process gets ready.
PRELOADED = ("server.schedule", "celery.bin.celery", "celery.apps.worker")


@dataclass
class Child:
    """A process we keep alive: a fork of this one, which has the code of the instance in memory already."""

    name: str
    run: Callable[[], object]
    process: BaseProcess | None = None
    started_at: float = 0.0
    deaths: int = 0
    start_again_at: float = field(default=0.0)

    def start(self) -> None:
        """Start it in a process group of its own, so that nothing it started outlives it."""
        self.started_at = time.monotonic()
        # Nothing else runs in this process, no thread and no connection, so that a fork of it is whole.
        self.process = multiprocessing.get_context("fork").Process(target=self._become, args=(os.getpid(),), name=self.name)
        self.process.start()

    def _become(self, parent: int) -> None:
        os.setsid()
        for number in (signal.SIGINT, signal.SIGTERM):
            signal.signal(number, signal.SIG_DFL)
        _take_name(self.name)
        _die_with(parent)
        gc.enable()
        self.run()

    def mend(self) -> None:
        """Start it again when it has died; wait longer the more often it dies at once."""
        now = time.monotonic()
        if self.process is not None and self.process.exitcode is not None:
            _signal_group(self.process, signal.SIGKILL)
            say(f"{self.name} ended with {self.process.exitcode}; starting it again")
            self.deaths = self.deaths + 1 if now - self.started_at < HEALTHY_SECONDS else 1
            self.start_again_at = now + min(RESTART_SECONDS_MAX, 2 ** (self.deaths - 1) - 1)
            self.process = None
        if self.process is None and now >= self.start_again_at:
            self.start()


def say(text: str) -> None:
    """One line for the person at the terminal."""
    sys.stdout.write(text + "\n")
    sys.stdout.flush()


def _die_with(parent: int) -> None:
    # If this supervisor is killed outright, the kernel ends its children (Linux); elsewhere they end with the terminal.
    with contextlib.suppress(OSError, AttributeError):
        ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGTERM)
    if os.getppid() != parent:  # it was killed before the kernel knew
        sys.exit(1)


def _take_name(name: str) -> None:
    """Be called ``name``, of at most 15 bytes, in lists of processes (Linux)."""
    with contextlib.suppress(OSError, AttributeError):
        ctypes.CDLL(None).prctl(PR_SET_NAME, name.encode())


def _signal_group(process: BaseProcess, number: int) -> None:
    assert process.pid is not None, "it was started"
    with contextlib.suppress(ProcessLookupError):
        os.killpg(process.pid, number)


def children(bind: str, port: int, data: Path) -> list[Child]:
    """The processes of an embedded instance."""
    worker = ["worker", "--pool=threads", "--without-gossip", "--without-mingle", "--without-heartbeat", "--loglevel=WARNING"]
    main = [*worker, "-Q", "default,federation,ledger,feed", "--concurrency", "4", "-n", f"main-{port}@localhost"]
    transcode = [*worker, "-Q", "transcode", "--concurrency", "1", "-n", f"transcode-{port}@localhost"]
    beat = ["beat", "--schedule", str(data / "beat-schedule"), "--pidfile=", "--loglevel", "WARNING"]
    return [
        Child(f"web:{port}", lambda: _gunicorn(f"{bind}:{port}")),
        Child(f"worker:{port}", lambda: _celery(main)),
        Child(f"transcode:{port}", lambda: _celery(transcode)),
        Child(f"beat:{port}", lambda: _celery(beat)),
    ]


def _gunicorn(bind: str) -> None:
    from gunicorn.app.base import BaseApplication

    chosen = {
        "bind": bind,
        "worker_class": "gthread",
        "threads": 8,
        "timeout": 60,
        "keepalive": 15,
        "loglevel": "warning",
        "control_socket_disable": True,
        "post_worker_init": _warm_up,
    }

    class Web(BaseApplication):
        def load_config(self) -> None:
            for name, value in chosen.items():
                self.cfg.set(name, value)

        def load(self) -> object:
            from server.wsgi import application

            return application

    Web().run()


def _warm_up(_worker: object) -> None:
    # Django reads its addresses at the first request; here they are read while nobody waits for them.
    threading.Thread(target=importlib.import_module, args=("server.urls",), daemon=True).start()


def _celery(argv: list[str]) -> None:
    from server.celery import app

    app.start(argv=["--quiet", *argv])


def _prepare() -> None:
    """Bring the database and the static files up to date."""
    import django

    django.setup()
    from django.core.management import call_command
    from django.db import connection
    from django.db.migrations.executor import MigrationExecutor

    executor = MigrationExecutor(connection)
    if executor.migration_plan(executor.loader.graph.leaf_nodes()):
        say("Bringing the database up to date...")
        call_command("migrate", interactive=False, verbosity=0)
    _collect_static()
    connection.close()


def _preload() -> None:
    for module in PRELOADED:
        importlib.import_module(module)
    gc.freeze()  # so that a collection in one process does not copy the memory it shares with the others


def _collect_static() -> None:
    """Collect the static files once for this source tree, whichever instance starts first."""
    from django.conf import settings
    from django.core.management import call_command

    root: Path = settings.STATIC_ROOT
    root.mkdir(parents=True, exist_ok=True)
    with (root.parent / f"{root.name}.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        stamp, wanted = root / ".collected", _static_state()
        if not stamp.exists() or stamp.read_text() != wanted:
            say("Collecting static files...")
            call_command("collectstatic", interactive=False, verbosity=0)
            stamp.write_text(wanted)


def _static_state() -> str:
    """Changes when a file that collectstatic would collect changes."""
    from django.contrib.staticfiles.finders import get_finders

    state = hashlib.sha256()
    for finder in get_finders():
        for path, storage in finder.list([]):
            if hasattr(storage, "path"):
                found = Path(storage.path(path)).stat()
                state.update(f"{path} {found.st_size} {found.st_mtime_ns}\n".encode())
    return state.hexdigest()


@contextlib.contextmanager
def _only_server_of(data: Path) -> Iterator[None]:
    with (data / "serve.lock").open("w") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            sys.exit(f"Another server is already running on {data}. Stop it, or choose another directory with --data.")
        yield


def _refuse_busy_port(bind: str, port: int) -> None:
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((bind, port))
        except OSError as error:
            sys.exit(f"Port {port} cannot be used ({error.strerror}). Choose another one with --port.")


def _greet(python: str, data: Path) -> None:
    from django.conf import settings
    from django.db import connection

    from server.accounts.models import User

    say(f"\nTributary is ready at {settings.ORIGIN}/   (data in {data})")
    has_administrator = User.objects.filter(is_superuser=True).exists()
    connection.close()  # a process that is forked again later must not inherit it
    if not has_administrator:
        setting = f"TRIBUTARY_DATA_DIR={data} TRIBUTARY_ORIGIN={settings.ORIGIN}"
        if settings.ALLOW_LOOPBACK:
            setting += " TRIBUTARY_ALLOW_LOOPBACK=true"  # else an identity on this machine is refused
        say("Make the first administrator:")
        say(f"  {setting} {python} {BASE_DIR}/manage.py accounts create YOURNAME --admin --email YOU@EXAMPLE.ORG")
        say(f"Then sign in at {settings.ORIGIN}/admin/")
    say("Stop with Ctrl-C.")


def main() -> None:
    """Parse the command line, prepare, and keep the processes alive until told to stop."""
    parser = argparse.ArgumentParser(description=__doc__, prog="script/server")
    parser.add_argument("--port", type=int, default=8000)
    parser.add_argument("--bind", default="127.0.0.1", help="address to listen on (put a TLS proxy in front before opening it)")
    parser.add_argument("--data", type=Path, default=Path(os.environ.get("TRIBUTARY_DATA_DIR") or BASE_DIR / "data"))
    options = parser.parse_args()
    data: Path = options.data.resolve()
    os.environ["TRIBUTARY_DATA_DIR"] = str(data)
    if "TRIBUTARY_ORIGIN" not in os.environ:
        # An instance without a public name is for trying out: it may talk to others on this machine over http.
        os.environ["TRIBUTARY_ORIGIN"] = f"http://localhost:{options.port}"
        os.environ.setdefault("TRIBUTARY_ALLOW_LOOPBACK", "true")
        os.environ.setdefault("TRIBUTARY_LOG_FORMAT", "console")
    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "server.settings")
    gc.disable()  # nothing of what is loaded now is ever garbage
    for made in ensure(data):
        say(f"Made {made} (keep it: it cannot be made again)")
    _refuse_busy_port(options.bind, options.port)
    with _only_server_of(data):
        _prepare()
        _supervise(children(options.bind, options.port, data), options.bind, options.port, data)


def _supervise(processes: list[Child], bind: str, port: int, data: Path) -> None:
    stopping = False

    def stop(_number: int, _frame: FrameType | None) -> None:
        nonlocal stopping
        stopping = True

    signal.signal(signal.SIGINT, stop)
    signal.signal(signal.SIGTERM, stop)
    greeted = False
    processes[0].mend()
    _preload()
    while not stopping:
        for child in processes:
            child.mend()
        if not greeted and _answers(bind, port):
            _greet(sys.executable, data)
            greeted = True
        time.sleep(0.2)
    say("\nStopping...")
    running = [child.process for child in processes if child.process is not None]
    for process in running:
        _signal_group(process, signal.SIGTERM)
    deadline = time.monotonic() + STOP_SECONDS
    for process in running:
        process.join(max(0.1, deadline - time.monotonic()))
        _signal_group(process, signal.SIGKILL)
    say("Stopped cleanly.")


def _answers(bind: str, port: int) -> bool:
    with contextlib.suppress(OSError), socket.create_connection((bind, port), timeout=0.2):
        return True
    return False


if __name__ == "__main__":
    main()
