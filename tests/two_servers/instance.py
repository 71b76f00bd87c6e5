"""A real instance as separate processes with its own data directory, and people who use it over HTTP only."""

import http.cookiejar
import json
import os
import re
import shutil
import signal
import sqlite3
import subprocess
import sys
import tempfile
import time
import urllib.error
import urllib.parse
import urllib.request
import uuid
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import psycopg

ROOT = Path(__file__).resolve().parents[2]
CLIP = ROOT / "tests" / "media" / "bigbuckbunny.mp4"
PASSWORD = "correct horse battery"
API = "/api/tributary/v1"


class Failed(AssertionError):
    """A check did not hold in time."""


def wait_for(what: str, look: Callable[[], Any], *, seconds_max: float = 60) -> Any:
    """Look again until it is there. Raises Failed naming ``what``."""
    deadline = time.monotonic() + seconds_max
    last: object = None
    while time.monotonic() < deadline:
        try:
            if found := look():
                return found
            last = found
        except (Failed, urllib.error.URLError, ConnectionError, sqlite3.OperationalError) as error:
            last = error
        time.sleep(0.2)
    raise Failed(f"{what} did not happen within {seconds_max:.0f} s (last seen: {last!r})")


@dataclass
class Answer:
    """What a server answered."""

    status: int
    headers: Any
    body: bytes

    @property
    def json(self) -> Any:
        """The body as JSON."""
        return json.loads(self.body)


@dataclass
class Instance:
    """One instance: ``start`` runs the one command, ``stop`` is Ctrl-C."""

    name: str
    port: int
    data: Path = field(default_factory=lambda: Path(tempfile.mkdtemp(prefix="tributary-instance-")))
    environment: dict[str, str] = field(default_factory=dict)
    process: subprocess.Popen[bytes] | None = None

    @property
    def host(self) -> str:
        """What stands after the @ in an address."""
        return f"localhost:{self.port}"

    @property
    def origin(self) -> str:
        """Where it lives."""
        return f"http://{self.host}"

    @property
    def log(self) -> Path:
        """Everything its processes printed."""
        return self.data / "server.log"

    def start(self) -> None:
        """Run it and wait until it is ready."""
        self.data.mkdir(parents=True, exist_ok=True)
        kept = {name: value for name, value in os.environ.items() if not name.startswith(("TRIBUTARY_", "DJANGO_"))}
        environment = {
            **kept,
            "TRIBUTARY_ALLOW_LOOPBACK": "true",
            "TRIBUTARY_ORIGIN": self.origin,
            "TRIBUTARY_LOG_FORMAT": "console",
        }
        environment |= {"TRIBUTARY_INSTANCE_NAME": self.name, "TRIBUTARY_FREE_DISK_BYTES_MIN": "1000000", **self.environment}
        argv = [sys.executable, "-m", "server.serve", "--port", str(self.port), "--data", str(self.data)]
        with self.log.open("ab") as log:
            self.process = subprocess.Popen(argv, cwd=ROOT, env=environment, stdout=log, stderr=log, start_new_session=True)
        self._environment = environment
        wait_for(f"{self.name} ready", self._is_ready, seconds_max=90)

    def _is_ready(self) -> bool:
        if self.process is None or self.process.poll() is not None:
            raise RuntimeError(f"{self.name} ended at once:\n{self.log.read_text()[-3000:]}")
        return fetch(f"{self.origin}/readyz").status == 200

    def stop(self) -> None:
        """Stop it as Ctrl-C does."""
        if self.process is not None:
            self.process.send_signal(signal.SIGINT)
            self.process.wait(40)
            self.process = None

    def remove(self) -> None:
        """Stop it and forget its data."""
        self.stop()
        shutil.rmtree(self.data, ignore_errors=True)

    def manage(self, *arguments: str, typed: str = "") -> str:
        """Run one manage.py command of this instance."""
        argv = [sys.executable, "manage.py", *arguments]
        environment = {**self._environment, "TRIBUTARY_DATA_DIR": str(self.data)}
        done = subprocess.run(argv, cwd=ROOT, env=environment, capture_output=True, text=True, check=True, input=typed)
        return done.stdout

    def child(self, name: str) -> int:
        """The process id of this instance's own process ``name`` (web, worker, transcode, beat)."""
        assert self.process is not None
        wanted = (f"PPid:\t{self.process.pid}\n", f"Name:\t{name}:{self.port}\n")
        for status in Path("/proc").glob("[0-9]*/status"):
            try:
                told = status.read_text()
            except OSError:  # it has just ended
                continue
            if all(line in told for line in wanted):
                return int(status.parent.name)
        raise Failed(f"{self.name} has no process {name}")

    def rows(self, query: str, *parameters: object) -> list[dict[str, Any]]:
        """Read this instance's own database, as a doubter with access to the machine would."""
        url = self.environment.get("TRIBUTARY_DATABASE_URL", "")
        if url.startswith("postgres"):
            with psycopg.connect(url, row_factory=psycopg.rows.dict_row) as database:
                return list(database.execute(query.replace("?", "%s"), parameters))
        database_file = f"file:{self.data / 'tributary.sqlite3'}?mode=ro"
        with sqlite3.connect(database_file, uri=True, timeout=20) as database:
            database.row_factory = sqlite3.Row
            return [dict(row) for row in database.execute(query, parameters)]


def fetch(url: str, **headers: str) -> Answer:
    """GET without cookies; every status is an answer."""
    return _open(urllib.request.build_opener(), urllib.request.Request(url, headers=headers))


def _open(opener: urllib.request.OpenerDirector, request: urllib.request.Request) -> Answer:
    try:
        with opener.open(request, timeout=30) as response:
            return Answer(response.status, response.headers, response.read())
    except urllib.error.HTTPError as error:
        with error:
            return Answer(error.code, error.headers, error.read())


class Person:
    """Somebody with a browser session on one instance. Speaks the forms and the API, nothing else."""

    def __init__(self, instance: Instance, handle: str) -> None:
        self.instance = instance
        self.handle = handle
        self.jar = http.cookiejar.CookieJar()
        self.opener = urllib.request.build_opener(urllib.request.HTTPCookieProcessor(self.jar))

    @property
    def address(self) -> str:
        """``alice@localhost:8001``."""
        return f"{self.handle}@{self.instance.host}"

    def _csrf(self) -> str:
        return next((cookie.value or "" for cookie in self.jar if cookie.name.startswith("csrftoken")), "")

    def request(self, method: str, path: str, data: bytes | None = None, **headers: str) -> Answer:
        """One request in this session."""
        url = path if path.startswith("http") else self.instance.origin + path
        sent = {"X-CSRFToken": self._csrf(), "Referer": self.instance.origin + "/", "Accept": "application/json", **headers}
        return _open(self.opener, urllib.request.Request(url, data=data, headers=sent, method=method))

    def api(self, method: str, path: str, body: object = None, *, expect: tuple[int, ...] = (200, 201, 202, 204)) -> Any:
        """One API call; gives the JSON, or None for an empty answer. Raises Failed for another status."""
        data = None if body is None else json.dumps(body).encode()
        answer = self.request(method, API + path, data, **({"Content-Type": "application/json"} if data else {}))
        if answer.status not in expect:
            raise Failed(f"{method} {path}: {answer.status} {answer.body[:500]!r}")
        return answer.json if answer.body else None

    def sign_up(self) -> None:
        """Fill in the sign-up form."""
        page = self.request("GET", "/account/signup/", Accept="text/html")
        form = {"email": f"{self.handle}@example.org", "password1": PASSWORD, "handle": self.handle}
        token = re.search(rb'name="csrfmiddlewaretoken" value="([^"]+)"', page.body)
        assert token, page.body[:500]
        form["csrfmiddlewaretoken"] = token.group(1).decode()
        answer = self.request(
            "POST",
            "/account/signup/",
            urllib.parse.urlencode(form).encode(),
            **{"Content-Type": "application/x-www-form-urlencoded", "Accept": "text/html"},
        )
        if self.api("GET", "/me").get("handle") != self.handle:
            raise Failed(f"sign-up failed: {answer.status} {answer.body[:800]!r}")

    def log_in(self) -> None:
        """Fill in the log-in form."""
        self.form("/account/login/", {"login": f"{self.handle}@example.org", "password": PASSWORD})

    def form(
        self, path: str, fields: dict[str, object], *, page: str = "", files: dict[str, tuple[str, bytes]] | None = None
    ) -> Answer:
        """Open the page of a form, fill it in and send it; goes on to where the answer leads. Raises Failed when it is refused."""
        self.request("GET", page or path, Accept="text/html")
        boundary = uuid.uuid4().hex
        parts = [
            f'--{boundary}\r\nContent-Disposition: form-data; name="{name}"\r\n\r\n{value}\r\n'.encode()
            for name, value in fields.items()
        ]
        for name, (filename, data) in (files or {}).items():
            head = f'--{boundary}\r\nContent-Disposition: form-data; name="{name}"; filename="{filename}"\r\nContent-Type: application/octet-stream\r\n\r\n'
            parts.append(head.encode() + data + b"\r\n")
        body = b"".join(parts) + f"--{boundary}--\r\n".encode()
        answer = self.request(
            "POST", path, body, **{"Content-Type": f"multipart/form-data; boundary={boundary}", "Accept": "text/html"}
        )
        if answer.status >= 400:
            errors = re.findall(rb"(?:errorlist|field-error|form-error)[^>]*>(.{1,300}?)</", answer.body, re.DOTALL)
            raise Failed(f"POST {path}: {answer.status} {errors or answer.body[:600]!r}")
        return answer

    def upload(self, clip: Path, **draft: object) -> dict[str, Any]:
        """Upload a file over the API and give the video."""
        upload = self.api("POST", "/uploads", {"filename": clip.name, "bytes": clip.stat().st_size})
        answer = self.request(
            "PUT",
            f"{API}/uploads/{upload['id']}/content",
            clip.read_bytes(),
            **{"Upload-Offset": "0", "Content-Type": "application/octet-stream"},
        )
        if answer.status >= 300:
            raise Failed(f"upload content: {answer.status} {answer.body[:500]!r}")
        return self.api("POST", f"/uploads/{upload['id']}/finish", draft)

    def video_when(self, video_id: str, state: str, *, seconds_max: float = 120) -> dict[str, Any]:
        """The video once it is in ``state``."""

        def look() -> Any:
            video = self.api("GET", f"/videos/{video_id}")
            if video["state"] == "failed" and state != "failed":
                raise RuntimeError(f"transcode failed: {video}")
            return video if video["state"] == state else None

        return wait_for(f"video {video_id} {state}", look, seconds_max=seconds_max)


def unique(word: str) -> str:
    """``word`` with something nobody else has."""
    return f"{word}{uuid.uuid4().hex[:6]}"
