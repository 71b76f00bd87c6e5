"""The shipped nginx.conf and Caddyfile, run for real in front of a real instance. Only ports, paths and certificates are put in."""

import contextlib
import http.server
import json
import os
import re
import socket
import ssl
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.services import free_port
from tests.tidy.instance import CLIP, HOST, Answer, Instance, ask, running, started
from tests.tidy.tools import DEPLOY, broken, find, run

pytestmark = pytest.mark.slow
STRANGER = "203.0.113.9"


@dataclass
class Front:
    """A proxy in front of an instance."""

    name: str
    port: int
    plain_port: int
    behind: Instance

    def ask(self, path: str, **options: object) -> Answer:
        """One request through it."""
        return ask(self.port, path, **options)  # type: ignore[arg-type]


@pytest.fixture(scope="module")
def instance(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Instance]:
    """A running instance."""
    with started(tmp_path_factory.mktemp("instance")) as found:
        yield found


def _put(text: str, changes: dict[str, str]) -> str:
    for old, new in changes.items():
        assert old in text, f"{old!r} is no longer in the file"
        text = text.replace(old, new)
    return text


def _certificate(folder: Path) -> tuple[Path, Path]:
    key, certificate = folder / "key.pem", folder / "certificate.pem"
    if not key.exists():
        subject = ["-subj", f"/CN={HOST}", "-addext", f"subjectAltName=DNS:{HOST}"]
        argv = ["req", "-x509", "-newkey", "rsa:2048", "-nodes", "-keyout", key, "-out", certificate, "-days", "2", *subject]
        assert run("openssl", *argv, package="apt-get install openssl").returncode == 0
    return key, certificate


def nginx_files(folder: Path, site: str, tls_port: int, plain_port: int, upstream_port: int, files: Path) -> Path:
    """A main configuration that includes ``site`` with ports, paths and certificate put in."""
    key, certificate = _certificate(folder)
    text = _put(
        site,
        {
            "listen 443 ssl": f"listen 127.0.0.1:{tls_port} ssl",
            "listen 80 ": f"listen 127.0.0.1:{plain_port} ",
            f"/etc/letsencrypt/live/{HOST}/fullchain.pem": str(certificate),
            f"/etc/letsencrypt/live/{HOST}/privkey.pem": str(key),
            "server 127.0.0.1:8000;": f"server 127.0.0.1:{upstream_port};",
            "root /srv/tributary;": f"root {files};",
            " /var/lib/tributary": f" {files}/data",
            "/var/log/nginx/": f"{folder}/",
        },
    )
    text = re.sub(r"^\s*listen \[::\].*\n", "", text, flags=re.MULTILINE)
    (folder / "site.conf").write_text(text)
    user = "user root;" if os.geteuid() == 0 else ""
    temporary = "".join(f"{kind}_temp_path {folder}/{kind};" for kind in ("client_body", "proxy", "fastcgi", "uwsgi", "scgi"))
    main = folder / "nginx.conf"
    main.write_text(
        f"{user} daemon off; pid {folder}/pid; error_log {folder}/error.log; events {{}}\n"
        f"http {{ include /etc/nginx/mime.types; access_log {folder}/access.log; {temporary} include {folder}/site.conf; }}\n"
    )
    return main


@contextlib.contextmanager
def _nginx(folder: Path, behind: Instance) -> Iterator[Front]:
    tls_port, plain_port = free_port(), free_port()
    main = nginx_files(folder, (DEPLOY / "nginx.conf").read_text(), tls_port, plain_port, behind.port, behind.folder)
    with running([find("nginx", "apt-get install nginx"), "-c", str(main)], tls_port, folder / "nginx.out"):
        yield Front("nginx", tls_port, plain_port, behind)


@contextlib.contextmanager
def _caddy(folder: Path, behind: Instance) -> Iterator[Front]:
    tls_port, plain_port = free_port(), free_port()
    text = _put(
        (DEPLOY / "Caddyfile").read_text(),
        {
            # A certificate of its own making in place of Let's Encrypt's.
            "{\n\tservers {": f"{{\n\tlocal_certs\n\tskip_install_trust\n\thttp_port {plain_port}\n\thttps_port {tls_port}\n\tadmin off\n\tservers {{",
            "root * /srv/media": f"root * {behind.folder}/media",
            "/srv/ledger/1": f"{behind.folder}/data/ledger/1",
            "reverse_proxy web:8000": f"reverse_proxy 127.0.0.1:{behind.port}",
        },
    )
    path = folder / "Caddyfile"
    path.write_text(text)
    variables = {
        "TRIBUTARY_ORIGIN": f"https://{HOST}",
        "HOME": str(folder),
        "XDG_DATA_HOME": str(folder),
        "XDG_CONFIG_HOME": str(folder),
        "PATH": os.environ["PATH"],
    }
    argv = [find("caddy", "apt-get install caddy"), "run", "--adapter", "caddyfile", "--config", str(path)]
    with running(argv, tls_port, folder / "caddy.out", env=variables):
        yield Front("caddy", tls_port, plain_port, behind)


@pytest.fixture(scope="module", params=["nginx", "caddy"])
def front(request: pytest.FixtureRequest, instance: Instance, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Front]:
    """Each proxy in turn."""
    folder = tmp_path_factory.mktemp(request.param)
    with (_nginx if request.param == "nginx" else _caddy)(folder, instance) as found:
        yield found


# --- nginx's validators ---


def test_nginx_configuration(tmp_path: Path) -> None:
    def check(site: str) -> tuple[int, int]:
        main = nginx_files(tmp_path, site, 44300, 8080, 8000, tmp_path)
        tested = run("nginx", "-t", "-c", main, package="apt-get install nginx")
        judged = run("gixy", main, package="script/test installs it (requirements-dev.txt)")
        return tested.returncode, 0 if "No issues found" in judged.stdout else 1

    site = (DEPLOY / "nginx.conf").read_text()
    assert check(site) == (0, 0)
    assert check(broken(DEPLOY / "nginx.conf", tmp_path / "x", "server_tokens off", "server_tokns off").read_text())[0] != 0
    # What gixy is for: a header split by what stands in the address, and a host name the client chose.
    assert check(site.replace("example.org$request_uri;", "example.org$uri;"))[1] != 0
    assert check(site.replace("Host $host;", "Host $http_host;"))[1] != 0


# --- media ---


def test_media_is_served_with_its_headers(front: Front) -> None:
    answer = front.ask(f"/media/{CLIP}.mp4", Accept_Encoding="gzip, br", Accept="application/activity+json")
    assert (answer.status, len(answer.body)) == (200, 4096)
    headers = answer.headers
    assert headers["Content-Type"] == "video/mp4"
    assert headers["X-Content-Type-Options"] == "nosniff"
    assert headers["Content-Security-Policy"] == "sandbox; default-src 'none'"
    assert headers["Cross-Origin-Resource-Policy"] == "cross-origin"
    assert headers["Access-Control-Allow-Origin"] == "*"
    assert headers["Accept-Ranges"] == "bytes"
    assert "immutable" in headers["Cache-Control"]
    assert headers["Strict-Transport-Security"] == "max-age=31536000"
    assert headers["Content-Encoding"] is None
    assert len(headers.get_all("Content-Security-Policy") or []) == 1
    # The proxy did it alone.
    assert not [line for line in front.behind.lines() if line["path"] == f"/media/{CLIP}.mp4"]


@pytest.mark.parametrize(
    ("asked", "status", "content_range", "body"),
    [
        ("bytes=2-5", 206, "bytes 2-5/4096", bytes([2, 3, 4, 5])),
        ("bytes=-2", 206, "bytes 4094-4095/4096", bytes([254, 255])),
        ("bytes=4090-", 206, "bytes 4090-4095/4096", bytes(range(250, 256))),
        ("bytes=5000-", 416, "bytes */4096", None),
    ],
)
def test_media_in_parts(front: Front, asked: str, status: int, content_range: str, body: bytes | None) -> None:
    answer = front.ask(f"/media/{CLIP}.mp4", Range=asked)
    assert (answer.status, answer.headers["Content-Range"]) == (status, content_range)
    if body is not None:
        assert answer.body == body
    assert answer.headers["X-Content-Type-Options"] == "nosniff"


@pytest.mark.parametrize(
    "path",
    [
        f"/media/{CLIP}.html",
        f"/media/{CLIP}",
        "/media/",
        "/media/ab/",
        "/media/ab",
        "/media/../secret.mp4",
        "/media/%2e%2e/secret.mp4",
        "/media/ab/..%2f..%2fsecret.mp4",
        "/media/ab/../../secret.mp4",
        f"/media/{CLIP}.mp4/",
        f"/media//{CLIP}.html",
    ],
)
def test_nothing_else_leaves_by_the_media_door(front: Front, path: str) -> None:
    answer = front.ask(path)
    assert answer.status in {301, 308, 400, 403, 404}, answer
    assert b"not for strangers" not in answer.body
    assert b"ab0" not in answer.body


def test_media_is_read_only(front: Front) -> None:
    for method in ("POST", "PUT", "DELETE"):
        assert front.ask(f"/media/{CLIP}.mp4", method=method, body=b"x").status in {403, 404, 405}
    assert front.ask(f"/media/{CLIP}.mp4", method="HEAD").headers["Content-Length"] == "4096"


# --- the ledger ---

TILE, BUNDLE = "tile/0/x001/234", "tile/entries/000.p/7"
BLOB = "cd" + "e" * 62


def _publish(behind: Instance) -> dict[str, bytes]:
    """Files where the application puts those of its ledger, by their addresses. The folder is there from the first start on."""
    files = {f"/ledger/1/{TILE}": TILE, f"/ledger/1/{BUNDLE}": BUNDLE, f"/ledger/1/blob/{BLOB}": f"blob/{BLOB[:2]}/{BLOB}"}
    root = behind.folder / "data" / "ledger" / "1"
    assert root.is_dir()
    for place in files.values():
        path = root / place
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(place.encode())
    hidden = behind.folder / "data" / "ledger" / "evidence" / BLOB[:2] / BLOB
    hidden.parent.mkdir(parents=True, exist_ok=True)
    hidden.write_text("not for strangers")
    return {address: place.encode() for address, place in files.items()}


def test_the_published_ledger_is_served_from_the_disk_for_ever(front: Front) -> None:
    for address, body in _publish(front.behind).items():
        answer = front.ask(address, Accept_Encoding="gzip")
        assert (answer.status, answer.body) == (200, body), address
        headers = answer.headers
        assert headers.get_all("Cache-Control") == ["public, max-age=31536000, immutable"]
        assert headers["Content-Type"] == "application/octet-stream"
        assert headers["X-Content-Type-Options"] == "nosniff"
        assert headers["Access-Control-Allow-Origin"] == "*"
        assert headers["Content-Security-Policy"] == "sandbox; default-src 'none'"
        assert headers["Strict-Transport-Security"] == "max-age=31536000"
        assert headers["Content-Encoding"] is None
        assert not [line for line in front.behind.lines() if line["path"] == address]


def test_what_is_not_on_the_disk_the_application_answers(front: Front) -> None:
    _publish(front.behind)
    missing = ["/ledger/1/tile/0/999", f"/ledger/1/blob/{'0' * 64}", "/ledger/1/checkpoint", "/ledger/1/entry/0"]
    for path in missing:
        answer = front.ask(path)
        assert (answer.status, answer.headers["Cache-Control"]) == (404, "no-store"), path
        assert _last_line(front, path)["status"] == 404
    assert front.ask("/ledger/").status == 200


@pytest.mark.parametrize(
    "path",
    [
        f"/ledger/1/blob/../../evidence/{BLOB[:2]}/{BLOB}",
        f"/ledger/1/blob/%2e%2e/%2e%2e/evidence/{BLOB[:2]}/{BLOB}",
        f"/ledger/1/tile/0/..%2f..%2f..%2f..%2fevidence%2f{BLOB[:2]}%2f{BLOB}",
        f"/ledger/evidence/{BLOB[:2]}/{BLOB}",
        f"/ledger/1/blob/{BLOB[:2]}/{BLOB}",
        "/ledger/head",
        "/ledger/1/../../secrets/secret_key",
        "/ledger/1/tile/",
        "/ledger/1/tile/0/x001/",
    ],
)
def test_nothing_else_leaves_by_the_ledgers_door(front: Front, path: str) -> None:
    _publish(front.behind)
    answer = front.ask(path)
    assert answer.status in {301, 308, 400, 403, 404}, answer
    assert b"not for strangers" not in answer.body
    assert b"tile/" not in answer.body


# --- who is asking ---


def _last_line(front: Front, path: str) -> dict[str, object]:
    deadline = time.monotonic() + 5
    while time.monotonic() < deadline:
        found = [line for line in front.behind.lines() if line["path"] == path]
        if found:
            return found[-1]
        time.sleep(0.05)
    raise AssertionError(f"{path} is not in the log")


def test_an_address_cannot_be_spoofed(front: Front) -> None:
    path = f"/nowhere/{front.name}"
    lies = {
        "X_Forwarded_For": STRANGER,
        "X_Real_IP": STRANGER,
        "Forwarded": f"for={STRANGER}",
        "X_Request_ID": "chosen-by-stranger",
    }
    assert front.ask(path, **lies).status == 404
    line = _last_line(front, path)
    # The proxy's own peer, this test, and nothing it said.
    assert line["client"] == "127.0.0.1"
    assert line["request_id"] != "chosen-by-stranger"


def test_https_is_known_behind_the_proxy_and_cannot_be_denied(front: Front) -> None:
    """A form over https is refused without its Referer: the application knows that the outside is secure."""
    page = front.ask("/account/login/", X_Forwarded_Proto="http")
    assert page.status == 200
    cookie = "; ".join(each.split(";")[0] for each in page.headers.get_all("Set-Cookie") or [])
    assert all("Secure" in each for each in page.headers.get_all("Set-Cookie") or [])
    token = re.search(rb'name="csrfmiddlewaretoken" value="([^"]+)"', page.body)
    assert token is not None
    body = b"login=a%40example.org&password=x&csrfmiddlewaretoken=" + token[1]
    common = {"Cookie": cookie, "Content_Type": "application/x-www-form-urlencoded", "X_Forwarded_Proto": "http"}
    assert front.ask("/account/login/", method="POST", body=body, **common).status == 403
    assert (
        front.ask("/account/login/", method="POST", body=body, Referer=f"https://{HOST}/account/login/", **common).status == 200
    )


def test_metrics_stay_inside(front: Front) -> None:
    assert front.ask("/metrics").status == 404
    assert front.ask("/metrics", X_Forwarded_For="127.0.0.1").status == 404
    assert front.ask("/metrics/../metrics").status == 404
    assert ask(front.behind.port, "/metrics", tls=False).status == 200


def test_metrics_of_all_processes_are_added_up(front: Front) -> None:
    path = f"/tags/counted{front.name}"
    for _ in range(20):
        assert front.ask(path).status == 200
    counted = re.compile(rb'tributary_http_requests_total\{method="GET",route="/tags/<str:name>",status="200"\} (\S+)')
    found = [counted.search(ask(front.behind.port, "/metrics", tls=False).body) for _ in range(6)]
    numbers = {float(each[1]) for each in found if each is not None}
    # Whichever process answers, it knows them all.
    assert len(numbers) == 1
    assert numbers.pop() >= 20


# --- pages ---


def test_pages_and_documents_come_from_the_application(front: Front) -> None:
    page = front.ask("/about", Accept_Encoding="gzip")
    assert page.status == 200
    assert page.headers["Content-Encoding"] == "gzip"
    assert page.headers.get_all("Strict-Transport-Security") == ["max-age=31536000"]
    assert "frame-ancestors 'none'" in page.headers["Content-Security-Policy"]
    assert "nginx/" not in str(page.headers["Server"])
    assert front.ask("/healthz").body == b"ok\n"
    assert front.ask("/readyz").status == 200
    assert front.ask("/actor", Accept="application/activity+json").headers["Content-Type"].startswith("application/activity+json")
    assert front.ask("/.well-known/nodeinfo").status == 200
    assert front.ask("/inbox", method="POST", body=b"{}", Content_Type="application/activity+json").status in {400, 401}


def test_static_files_may_be_kept_for_ever(front: Front) -> None:
    names = json.loads((front.behind.folder / "static" / "staticfiles.json").read_text())["paths"]
    answer = front.ask(f"/static/{names['staff/admin.css']}", Accept_Encoding="gzip")
    assert (answer.status, answer.headers["Content-Type"].split(";")[0]) == (200, "text/css")
    assert "immutable" in answer.headers["Cache-Control"]
    assert answer.headers["Content-Encoding"] == "gzip"
    assert front.ask("/static/../data/secrets/secret_key").status in {400, 403, 404}


class Recorder(http.server.BaseHTTPRequestHandler):
    """An upstream that counts the bytes of a body as they arrive, and answers when it has them all."""

    protocol_version = "HTTP/1.1"
    arrived = 0

    def do_POST(self) -> None:
        missing = int(self.headers["Content-Length"])
        while missing and (piece := self.rfile.read1(missing)):
            Recorder.arrived += len(piece)
            missing -= len(piece)
        self.send_response(200)
        self.send_header("Content-Length", "0")
        self.end_headers()

    def log_message(self, *_: object) -> None:
        """Nothing: the proxy's log says it."""


@pytest.fixture(scope="module", params=["nginx", "caddy"])
def recorded(request: pytest.FixtureRequest, instance: Instance, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Front]:
    """Each proxy in front of a Recorder."""
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Recorder)
    server.daemon_threads = True
    threading.Thread(target=server.serve_forever, daemon=True).start()
    folder = tmp_path_factory.mktemp(f"recorded-{request.param}")
    behind = Instance(server.server_address[1], instance.folder, instance.log)
    with (_nginx if request.param == "nginx" else _caddy)(folder, behind) as found:
        yield found
    server.shutdown()
    server.server_close()


UPLOADS = ["/upload", "/api/tributary/v1/uploads", "/api/tributary/v1/uploads/0000/content"]


@pytest.mark.parametrize(("path", "allowed"), [("/inbox", False), ("/uploads", False), *((path, True) for path in UPLOADS)])
def test_bodies_have_limits(recorded: Front, path: str, allowed: bool) -> None:
    try:
        status = recorded.ask(path, method="POST", body=b"x" * 11_000_000).status
    except (ConnectionError, ssl.SSLError):
        status = 413  # it hung up before we had sent everything
    # Caddy before 2.7 says 502 of a body that it cut off.
    assert status in ({200} if allowed else {413, 502})


@pytest.mark.parametrize("path", UPLOADS)
def test_uploads_are_passed_on_as_they_arrive(recorded: Front, path: str) -> None:
    assert _arrives(recorded, path, seconds=10)


def test_other_bodies_wait_until_they_are_whole(recorded: Front) -> None:
    """So that a slow sender does not hold a thread of ours. Caddy has no such thing; its limit of 10 MB must do."""
    assert _arrives(recorded, "/nowhere", seconds=2) == (recorded.name == "caddy")


def _arrives(front: Front, path: str, seconds: float) -> bool:
    """Does the application get the first bytes of a body while the rest is still missing?"""
    before = Recorder.arrived
    context = ssl.create_default_context()
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    plain = socket.create_connection(("127.0.0.1", front.port), timeout=seconds)
    with plain, context.wrap_socket(plain, server_hostname=HOST) as sock:
        head = f"POST {path} HTTP/1.1\r\nHost: {HOST}\r\nContent-Length: 5000000\r\n\r\n"
        sock.sendall(head.encode() + b"x" * 1000)
        deadline = time.monotonic() + seconds
        while time.monotonic() < deadline:
            if Recorder.arrived >= before + 1000:
                return True
            time.sleep(0.05)
    return False


def test_http_leads_to_https_of_this_host(front: Front) -> None:
    answer = ask(front.plain_port, "/w/1?x=2", tls=False, name=HOST)
    assert answer.status in {301, 308}
    assert re.fullmatch(rf"https://{HOST}(:\d+)?/w/1\?x=2", answer.headers["Location"])


def test_another_host_gets_nothing(front: Front) -> None:
    with pytest.raises((ssl.SSLError, ConnectionError)):
        ask(front.port, "/", name="evil.example")


# --- the command line in production settings ---


def test_check_deploy_accepts_what_we_ship(instance: Instance) -> None:
    """The settings of env.example with a real host, mail and PostgreSQL aside (there is a server for neither here)."""
    from tests.tidy.instance import environment, manage

    variables = environment(instance.folder, TRIBUTARY_EMAIL_URL="smtp+tls://user:secret@mail.example.org:587")
    said = manage(instance.folder / "app", variables, "check", "--deploy", "--tag", "security", "--fail-level", "WARNING")
    assert "no issues" in said


def test_check_deploy_refuses_a_desk(instance: Instance) -> None:
    from tests.tidy.instance import environment

    variables = environment(instance.folder, TRIBUTARY_ALLOW_LOOPBACK="true", TRIBUTARY_ORIGIN="http://localhost:8000")
    argv = [sys.executable, "manage.py", "check", "--deploy"]
    done = subprocess.run(argv, cwd=instance.folder / "app", env=variables, capture_output=True, text=True, check=False)
    assert done.returncode != 0
    assert "tributary.E001" in done.stderr
    assert "tributary.E004" in done.stderr


def test_queues_can_be_watched(instance: Instance) -> None:
    from tests.tidy.instance import environment, manage

    said = manage(instance.folder / "app", environment(instance.folder), "queues", "--fail-overdue-seconds", "600")
    assert "transcode: 0 waiting, 0 given up, due for 0 s" in said
