"""Media in a bucket: the real client and our real settings against a small server that speaks S3 as older stores do."""

import hashlib
import json
import os
import subprocess
import sys
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest

from server.secrets import ensure

ROOT = Path(__file__).resolve().parent.parent.parent
# What the client sends in several parts.
LARGE = 9 * 1024 * 1024
PROGRAM = """
import json, sys
from pathlib import Path
import django
django.setup()
from server.core import storage
name = storage.put_file(Path(sys.argv[1]), "m3u8")
again = storage.put_file(Path(sys.argv[1]), "m3u8")
large = storage.put_file(Path(sys.argv[2]), "mp4")
picture = storage.put_bytes(b"picture", "jpg")
there = [storage.exists(each) for each in (name, large, picture)]
storage.delete(picture)
storage.delete(picture)
print(json.dumps({
    "name": name, "again": again, "large": large, "there": there, "picture": [picture, storage.exists(picture)],
    "url": storage.url(name),
}))
"""


class Bucket(ThreadingHTTPServer):
    """One bucket, ``videos``. It knows signatures by sight only, and refuses what stores learnt to read only lately."""

    def __init__(self) -> None:
        self.kept: dict[str, bytes] = {}
        self.headers: dict[str, dict[str, str]] = {}
        self.parts: dict[int, bytes] = {}
        self.puts = 0
        super().__init__(("127.0.0.1", 0), Store)


class Store(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    server: Bucket

    def do(self) -> None:
        body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
        parts = urlsplit(self.path)
        key, query = parts.path.removeprefix("/videos/"), parse_qs(parts.query, keep_blank_values=True)
        signed = self.headers.get("Authorization", "").startswith("AWS4-HMAC-SHA256 Credential=access/")
        if not signed or not parts.path.startswith("/videos/"):
            self.answer(403)
        elif "aws-chunked" in self.headers.get("Content-Encoding", "") or "x-amz-trailer" in self.headers:
            self.answer(501)
        elif self.command in {"HEAD", "GET"}:
            self.answer(200 if key in self.server.kept else 404, self.server.kept.get(key, b""))
        elif self.command == "DELETE":
            self.server.kept.pop(key, None)
            self.answer(204)
        elif "uploads" in query:
            self.note(key)
            self.answer(200, b"<InitiateMultipartUploadResult><UploadId>1</UploadId></InitiateMultipartUploadResult>")
        elif "partNumber" in query:
            self.server.parts[int(query["partNumber"][0])] = body
            self.answer(200)
        elif "uploadId" in query:
            self.server.kept[key] = b"".join(self.server.parts[number] for number in sorted(self.server.parts))
            self.answer(200, b"<CompleteMultipartUploadResult><ETag>1</ETag></CompleteMultipartUploadResult>")
        else:
            self.note(key)
            self.server.kept[key] = body
            self.answer(200)

    do_GET = do_HEAD = do_PUT = do_POST = do_DELETE = do  # noqa: N815 (the names that the standard library calls)

    def note(self, key: str) -> None:
        self.server.puts += 1
        self.server.headers[key] = {name.lower(): value for name, value in self.headers.items()}

    def answer(self, status: int, body: bytes = b"") -> None:
        self.send_response(status)
        self.send_header("ETag", '"1"')
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(body)

    def log_message(self, *args: Any) -> None:
        pass


@pytest.fixture
def bucket() -> Iterator[Bucket]:
    server = Bucket()
    threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True).start()
    yield server
    server.shutdown()
    server.server_close()


def run(bucket: Bucket, tmp_path: Path, **changes: str) -> subprocess.CompletedProcess[str]:
    ensure(tmp_path / "data")
    (tmp_path / "list").write_bytes(b"#EXTM3U\n")
    (tmp_path / "clip").write_bytes(os.urandom(LARGE))
    environment = {
        **{name: value for name, value in os.environ.items() if not name.startswith(("TRIBUTARY_", "AWS_"))},
        "DJANGO_SETTINGS_MODULE": "server.settings",
        "TRIBUTARY_ORIGIN": "https://videos.example.org",
        "TRIBUTARY_MEDIA_ORIGIN": "https://media.example.org",
        "TRIBUTARY_DATA_DIR": str(tmp_path / "data"),
        "TRIBUTARY_S3_BUCKET": "videos",
        "TRIBUTARY_S3_ENDPOINT": f"http://127.0.0.1:{bucket.server_address[1]}",
        "TRIBUTARY_S3_ACCESS_KEY": "access",
        "TRIBUTARY_S3_SECRET_KEY": "secret",
        "TRIBUTARY_S3_REGION": "eu-1",
        **changes,
    }
    argv = [sys.executable, "-c", PROGRAM, str(tmp_path / "list"), str(tmp_path / "clip")]
    return subprocess.run(argv, cwd=ROOT, env=environment, capture_output=True, text=True, check=False, timeout=120)


def test_files_go_into_the_bucket_and_are_found_and_deleted_there(bucket: Bucket, tmp_path: Path) -> None:
    done = run(bucket, tmp_path)
    assert done.returncode == 0, done.stderr[-2000:]
    said = json.loads(done.stdout)
    digest = hashlib.sha256(b"#EXTM3U\n").hexdigest()
    name = f"{digest[:2]}/{digest}.m3u8"
    assert said["name"] == said["again"] == name
    assert said["url"] == f"https://media.example.org/{name}"
    assert said["there"] == [True, True, True]
    assert said["picture"][1] is False
    clip = (tmp_path / "clip").read_bytes()
    assert bucket.kept == {name: b"#EXTM3U\n", said["large"]: clip}
    assert bucket.puts == 3, "what is there already is not sent again"
    assert {each["cache-control"] for each in bucket.headers.values()} == {"public, max-age=31536000, immutable"}
    assert bucket.headers[name]["content-type"] == "application/vnd.apple.mpegurl"
    assert bucket.headers[said["large"]]["content-type"] == "video/mp4"
    # Over https such sums would travel behind the body, in a way of writing bodies that many stores cannot read.
    assert not [name for each in bucket.headers.values() for name in each if "checksum" in name]
    assert not any((tmp_path / "data" / "media").rglob("*.*")), "nothing of it stays on our disk"


def test_a_bucket_that_refuses_is_an_error(bucket: Bucket, tmp_path: Path) -> None:
    done = run(bucket, tmp_path, TRIBUTARY_S3_ACCESS_KEY="another")
    assert done.returncode == 1
    assert "403" in done.stderr
    assert bucket.kept == {}
