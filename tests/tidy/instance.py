"""A real production-like process made of exactly what the Dockerfile copies, for the tests of what stands in front of it."""

import contextlib
import http.client
import json
import os
import re
import shutil
import socket
import ssl
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tests.services import free_port
from tests.tidy.tools import DEPLOY, ROOT

HOST = "videos.example.org"
CLIP = "ab/" + "ab" + "0" * 62


@dataclass
class Instance:
    """Where it listens and what it keeps where."""

    port: int
    folder: Path
    log: Path

    def lines(self) -> list[dict[str, Any]]:
        """The request lines of its log so far."""
        found = [json.loads(line) for line in self.log.read_text().splitlines() if line.startswith("{")]
        return [line for line in found if line["logger"] == "tributary.request"]


@dataclass
class Answer:
    """What came back."""

    status: int
    headers: http.client.HTTPMessage
    body: bytes


def copy_as_dockerfile(target: Path) -> None:
    """Lay out in ``target`` what the build stage of the Dockerfile copies from the repository."""
    for words in re.findall(r"^COPY (?!--from)(.+)$", (DEPLOY / "Dockerfile").read_text(), re.MULTILINE):
        *sources, place = words.split()
        for source in sources:
            to = target / place / Path(source).name if len(sources) > 1 or place == "./" else target / place
            to.parent.mkdir(parents=True, exist_ok=True)
            if (ROOT / source).is_dir():
                shutil.copytree(ROOT / source, to, ignore=shutil.ignore_patterns("__pycache__"))
            else:
                shutil.copy2(ROOT / source, to)


def environment(folder: Path, **more: str) -> dict[str, str]:
    """The variables of an instance whose directories lie in ``folder``; nothing of this process's own settings."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith(("TRIBUTARY_", "DJANGO_"))}
    ours = {
        "TRIBUTARY_ORIGIN": f"https://{HOST}",
        "TRIBUTARY_DATA_DIR": str(folder / "data"),
        "TRIBUTARY_MEDIA_DIR": str(folder / "media"),
        "TRIBUTARY_STATIC_DIR": str(folder / "static"),
        "TRIBUTARY_TRUSTED_PROXIES": "127.0.0.1",
        "TRIBUTARY_METRICS_DIR": str(folder / "metrics"),
        "WEB_CONCURRENCY": "2",
        "PYTHONDONTWRITEBYTECODE": "1",
    }
    return {**kept, **ours, **more}


def manage(app: Path, variables: Mapping[str, str], *arguments: str) -> str:
    """Run ``manage.py`` in ``app``; gives what it printed."""
    done = subprocess.run(
        [sys.executable, "manage.py", *arguments], cwd=app, env=variables, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


@contextlib.contextmanager
def running(argv: list[str], port: int, log: Path, **options: Any) -> Iterator[subprocess.Popen[bytes]]:
    """Run a server until the block ends; it must listen on ``port`` soon."""
    with log.open("ab") as file:
        process = subprocess.Popen(argv, stdout=file, stderr=file, **options)
    try:
        deadline = time.monotonic() + 40
        while True:
            assert process.poll() is None, log.read_text()[-3000:]
            assert time.monotonic() < deadline, f"nothing listens: {log.read_text()[-3000:]}"
            with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", port), timeout=0.5):
                break
            time.sleep(0.1)
        yield process
    finally:
        process.terminate()
        with contextlib.suppress(subprocess.TimeoutExpired):
            process.wait(15)
        process.kill()
        process.wait()


@contextlib.contextmanager
def started(folder: Path) -> Iterator[Instance]:
    """An instance in production settings, made and run as the image does it, without the container around it."""
    app, variables = folder / "app", environment(folder)
    copy_as_dockerfile(app)
    for name in ("media", "metrics"):
        (folder / name).mkdir()
    manage(app, variables, "migrate", "--noinput", "--verbosity", "0")
    manage(app, variables, "collectstatic", "--noinput", "--verbosity", "0")
    for extension in ("mp4", "html"):
        path = folder / "media" / f"{CLIP}.{extension}"
        path.parent.mkdir(exist_ok=True)
        path.write_bytes(bytes(range(256)) * 16)
    (folder / "secret.mp4").write_text("not for strangers")
    port, log = free_port(), folder / "web.log"
    argv = [sys.executable, "-m", "gunicorn", "--config", "deploy/gunicorn.conf.py", "--bind", f"127.0.0.1:{port}"]
    with running(argv, port, log, cwd=app, env=variables):
        yield Instance(port, folder, log)


def ask(
    port: int, path: str, *, method: str = "GET", body: bytes | None = None, tls: bool = True, name: str = HOST, **headers: str
) -> Answer:
    """One request to 127.0.0.1, with TLS and host name ``name``; underscores in header names become hyphens."""
    connection = http.client.HTTPConnection(name, timeout=30)
    sock = socket.create_connection(("127.0.0.1", port), timeout=30)
    if tls:
        context = ssl.create_default_context()
        context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
        sock = context.wrap_socket(sock, server_hostname=name)
    connection.sock = sock
    try:
        connection.request(method, path, body=body, headers={each.replace("_", "-"): value for each, value in headers.items()})
        answer = connection.getresponse()
        return Answer(answer.status, answer.headers, answer.read())
    finally:
        connection.close()
