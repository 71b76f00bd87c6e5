"""The door behind the web server that runs in production: raw bytes in, statuses out, and the rows in its database."""

import os
import re
import signal
import socket
import sqlite3
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from server.secrets import ensure
from tests.federation.stranger import Request, Server
from tests.services import free_port

ROOT = Path(__file__).parents[2]
pytestmark = pytest.mark.slow


class Instance:
    """gunicorn with a database of its own."""

    def __init__(self, folder: Path, port: int) -> None:
        self.folder, self.port = folder, port
        self.host = f"localhost:{port}"

    def send(self, data: bytes) -> int:
        """The status that the server answers to raw ``data``; 0 when it hangs up without a word."""
        with socket.create_connection(("127.0.0.1", self.port), timeout=20) as connection:
            connection.sendall(data)
            connection.shutdown(socket.SHUT_WR)
            answer = b""
            while part := connection.recv(65536):
                answer += part
        return int(answer.split(b" ", 2)[1]) if answer else 0

    def rows(self, query: str) -> list[tuple[object, ...]]:
        with sqlite3.connect(self.folder / "crash.sqlite3") as database:
            return database.execute(query).fetchall()


def raw(request: Request, *, length: bool = True, extra: bytes = b"", body: bytes | None = None) -> bytes:
    """A request as bytes on the wire."""
    sent = request.body if body is None else body
    head = [f"POST {request.path} HTTP/1.1".encode()]
    head += [f"{name}: {value}".encode("latin-1") for name, value in request.headers.items()]
    if length:
        head.append(f"Content-Length: {len(request.body)}".encode())
    return b"\r\n".join(head) + b"\r\n" + extra + b"Connection: close\r\n\r\n" + sent


@pytest.fixture(scope="module")
def instance(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Instance]:
    """A running instance on which alice has an account."""
    folder, port = tmp_path_factory.mktemp("instance"), free_port()
    ensure(folder)
    environment = {
        **{name: value for name, value in os.environ.items() if not name.startswith("TRIBUTARY_")},
        "TRIBUTARY_DATA_DIR": str(folder),
        "TRIBUTARY_DATABASE_URL": f"sqlite:///{folder / 'crash.sqlite3'}",
        "TRIBUTARY_ORIGIN": f"http://localhost:{port}",
        "TRIBUTARY_ALLOW_LOOPBACK": "true",
        "TRIBUTARY_DEBUG": "true",
        "DJANGO_SETTINGS_MODULE": "tests.federation.one_process_settings",
        "PYTHONWARNINGS": "ignore",
    }
    subprocess.run(
        [sys.executable, "-m", "tests.federation.one_process", "owe"], cwd=ROOT, env=environment, check=True, timeout=120
    )
    command = [
        sys.executable,
        "-m",
        "gunicorn",
        "server.wsgi:application",
        "--worker-class",
        "gthread",
        "--threads",
        "4",
        "--bind",
        f"127.0.0.1:{port}",
        "--log-level",
        "error",
    ]
    with (folder / "log").open("wb") as log:
        process = subprocess.Popen(command, cwd=ROOT, env=environment, stdout=log, stderr=log)
    made = Instance(folder, port)
    deadline = time.monotonic() + 60
    while True:
        try:
            if made.send(f"GET /actor HTTP/1.1\r\nHost: {made.host}\r\nConnection: close\r\n\r\n".encode()) == 200:
                break
        except OSError:
            pass
        assert time.monotonic() < deadline, (folder / "log").read_text()
        time.sleep(0.1)
    yield made
    process.send_signal(signal.SIGTERM)
    process.wait(30)
    assert not re.search(r'"status": 5', (folder / "log").read_text())


@pytest.fixture
def follow(instance: Instance, server: Server) -> Callable[..., Request]:
    """A Follow of alice by erin, signed for this instance."""
    erin = server.person("erin")
    return lambda **options: erin.request(
        erin.activity("Follow", f"http://{instance.host}/users/alice"), host=instance.host, **options
    )


def test_a_good_request(instance: Instance, follow: Callable[..., Request]) -> None:
    assert instance.send(raw(follow())) == 202
    assert instance.send(raw(follow(path="/users/alice/inbox"))) == 202
    assert ("Follow", "received") in instance.rows("SELECT kind, state FROM federation_inboxitem")


def test_requests_that_a_web_server_may_read_otherwise(instance: Instance, follow: Callable[..., Request]) -> None:
    before = instance.rows("SELECT count(*) FROM federation_inboxitem")
    chunked = b"Transfer-Encoding: chunked\r\n"
    cases = {
        "no length": raw(follow(), length=False),
        "chunked": raw(follow(), length=False, extra=chunked, body=b"5\r\nhello\r\n0\r\n\r\n"),
        "chunked and length": raw(follow(), extra=chunked, body=b"5\r\nhello\r\n0\r\n\r\n"),
        "two lengths": raw(follow(), extra=b"Content-Length: 5\r\n"),
        "a short body": raw(follow(), body=b"{"),
        "a length that is none": raw(follow(), length=False, extra=b"Content-Length: x\r\n"),
        "a negative length": raw(follow(), length=False, extra=b"Content-Length: -1\r\n"),
        "a huge length": raw(follow(), length=False, extra=b"Content-Length: 99999999999999999999\r\n"),
        "two hosts": raw(follow(), extra=b"Host: evil.example\r\n"),
        "another host": raw(follow()).replace(b"Host: localhost", b"Host: evil.example"),
        "two signatures": raw(follow(), extra=b'Signature: keyId="x",signature="AAAA"\r\n'),
        "two digests": raw(follow(), extra=b"Digest: SHA-256=AAAA\r\n"),
        "two dates": raw(follow(), extra=b"Date: Sun, 22 Nov 2026 12:00:00 GMT\r\n"),
        "two media types": raw(follow(), extra=b"Content-Type: text/html\r\n"),
        "a header over two lines": raw(follow(), extra=b"X-Note: a\r\n b\r\n"),
        "underscores for hyphens": raw(follow(), extra=b"Content_Type: text/html\r\n").replace(
            b"Content-Type: application", b"X-Type: application"
        ),
        "bytes beyond ASCII": raw(follow()).replace(b"rsa-sha256", b"rsa-sha\xff"),
        "an absolute target": raw(follow()).replace(b"POST /inbox", f"POST http://{instance.host}/inbox".encode() + b"?x=1"),
        "an escaped path": raw(follow()).replace(b"POST /inbox", b"POST /%69nbox?x"),
        "an unsigned query": raw(follow()).replace(b"POST /inbox", b"POST /inbox?x=1"),
        "another method": raw(follow()).replace(b"POST /inbox", b"PUT /inbox"),
        "no HTTP": b"\x16\x03\x01\x02\x00" + b"\x00" * 100,
    }
    answers = {name: instance.send(data) for name, data in cases.items()}
    # What reads the same in both readings (a folded or an extra unsigned header) may pass; nothing breaks, nothing else passes.
    passing = {name for name, status in answers.items() if status == 202}
    assert passing <= {"a header over two lines"}
    assert all(status == 0 or 400 <= status < 500 for name, status in answers.items() if name not in passing), answers
    after = instance.rows("SELECT count(*) FROM federation_inboxitem")
    assert int(str(after[0][0])) == int(str(before[0][0])) + len(passing)
