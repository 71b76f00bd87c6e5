"""The one way out, against real sockets: what it reaches, what it refuses, and that it always ends."""

import gzip
import socket
import ssl
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest

from server.core import hosts, http, reach
from server.core.http import Answer, AnswerTooLarge, Blocked, TooSlow, Unreachable
from tests.server.certificates import issue

Talk = Callable[[socket.socket, bytes], None]


class Raw:
    """A server that talks bytes: ``talk`` is called with each connection after the head of a request was read."""

    def __init__(self, talk: Talk, context: ssl.SSLContext | None = None) -> None:
        self.talk, self.context = talk, context
        self.connections = 0
        self.heads: list[bytes] = []
        self.listener = socket.create_server(("127.0.0.1", 0))
        self.port = self.listener.getsockname()[1]
        self.open = True
        threading.Thread(target=self._serve, daemon=True).start()

    def _serve(self) -> None:
        while self.open:
            try:
                connection, _ = self.listener.accept()
            except OSError:
                return
            self.connections += 1
            threading.Thread(target=self._talk, args=(connection,), daemon=True).start()

    def _talk(self, connection: socket.socket) -> None:
        try:
            if self.context is not None:
                connection = self.context.wrap_socket(connection, server_side=True)
            while head := _head(connection):
                self.heads.append(head)
                self.talk(connection, head)
        except OSError:
            pass
        finally:
            connection.close()

    def close(self) -> None:
        self.open = False
        self.listener.close()

    def url(self, path: str = "/", host: str = "localhost", scheme: str = "http") -> str:
        return f"{scheme}://{host}:{self.port}{path}"


def _head(connection: socket.socket) -> bytes:
    data = b""
    while b"\r\n\r\n" not in data:
        part = connection.recv(65536)
        if not part:
            return b""
        data += part
    return data


def says(body: bytes, *headers: str, status: str = "200 OK") -> Talk:
    lines = [f"HTTP/1.1 {status}", f"Content-Length: {len(body)}", *headers]
    return lambda connection, _: connection.sendall("\r\n".join(lines).encode() + b"\r\n\r\n" + body)


@pytest.fixture
def raw() -> Iterator[Callable[..., Raw]]:
    made: list[Raw] = []

    def make(talk: Talk, context: ssl.SSLContext | None = None) -> Raw:
        made.append(Raw(talk, context))
        return made[-1]

    yield make
    http.forget_connections()
    for each in made:
        each.close()


@pytest.fixture
def strict(settings: Any) -> None:
    """As in production."""
    settings.ALLOW_LOOPBACK = False


def get(url: str, *, size: int = 10_000, seconds: float = 5) -> Answer:
    return http.get(url, headers={}, size_bytes_max=size, wait_seconds_max=seconds)


def post(url: str, body: bytes = b"x", *, size: int = 10_000, seconds: float = 5) -> Answer:
    return http.post(url, headers={}, body=body, size_bytes_max=size, wait_seconds_max=seconds)


# --- an exchange ---


def test_gets_and_posts(raw: Callable[..., Raw], settings: Any) -> None:
    server = raw(says(b"hello", "Content-Type: text/plain", "X-Twice: a", "X-Twice: b"))
    answer = get(server.url("/a?b=%c3%bc"))
    assert (answer.status, answer.body, answer.headers["content-type"], answer.headers["x-twice"]) == (
        200,
        b"hello",
        "text/plain",
        "a, b",
    )
    head = server.heads[0].decode()
    assert head.startswith("GET /a?b=%c3%bc HTTP/1.1\r\n")
    assert f"Host: localhost:{server.port}\r\n" in head
    assert f"User-Agent: {settings.USER_AGENT}\r\n" in head
    assert post(server.url("/inbox")).status == 200


def test_keeps_connections_and_survives_their_end(raw: Callable[..., Raw]) -> None:
    server = raw(says(b"ok"))
    for _ in range(5):
        get(server.url())
    assert server.connections == 1

    def once(connection: socket.socket, head: bytes) -> None:
        says(b"ok")(connection, head)
        connection.shutdown(socket.SHUT_RDWR)

    closing = raw(once)
    for _ in range(5):
        assert get(closing.url()).status == 200


def test_many_threads_share_the_pool(raw: Callable[..., Raw]) -> None:
    server = raw(lambda connection, head: says(head.split()[1])(connection, head))
    with ThreadPoolExecutor(16) as pool:
        answers = list(pool.map(lambda number: get(server.url(f"/{number}")), range(200)))
    assert [answer.body for answer in answers] == [f"/{number}".encode() for number in range(200)]
    assert server.connections <= 200


def test_no_proxy_from_the_environment(raw: Callable[..., Raw], monkeypatch: pytest.MonkeyPatch) -> None:
    proxy, server = raw(says(b"proxy")), raw(says(b"direct"))
    for name in ("http_proxy", "HTTP_PROXY", "https_proxy", "ALL_PROXY", "all_proxy"):
        monkeypatch.setenv(name, proxy.url())
    assert get(server.url()).body == b"direct"
    assert proxy.connections == 0


def test_redirects_are_answers(raw: Callable[..., Raw]) -> None:
    canary = raw(says(b"secret"))
    server = raw(says(b"", f"Location: {canary.url()}", status="302 Found"))
    answer = get(server.url())
    assert (answer.status, answer.headers["location"]) == (302, canary.url())
    assert canary.connections == 0


# --- size ---


def test_size_ends_exactly_at_the_limit(raw: Callable[..., Raw]) -> None:
    server = raw(says(b"x" * 1000))
    assert len(get(server.url(), size=1000).body) == 1000
    with pytest.raises(AnswerTooLarge) as caught:
        get(server.url(), size=999)
    assert caught.value.permanent
    assert post(server.url(), size=10).body == b"x" * 10


def test_a_small_body_that_unpacks_to_a_large_one(raw: Callable[..., Raw]) -> None:
    bomb = gzip.compress(b"\0" * 100_000_000)
    server = raw(says(bomb, "Content-Encoding: gzip"))
    began = time.monotonic()
    with pytest.raises(AnswerTooLarge):
        get(server.url(), size=1_000_000)
    assert time.monotonic() - began < 2
    assert gzip.compress(b"fine")
    assert get(raw(says(gzip.compress(b"fine"), "Content-Encoding: gzip")).url()).body == b"fine"


def test_an_endless_body(raw: Callable[..., Raw]) -> None:
    def endless(connection: socket.socket, _: bytes) -> None:
        connection.sendall(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n")
        while True:
            connection.sendall(b"1000\r\n" + b"x" * 4096 + b"\r\n")

    with pytest.raises(AnswerTooLarge):
        get(raw(endless).url(), size=100_000)


# --- time: one deadline, however the other side is slow ---


def _silent(connection: socket.socket, _: bytes) -> None:
    time.sleep(10)


def _drips_head(connection: socket.socket, _: bytes) -> None:
    connection.sendall(b"HTTP/1.1 200 OK\r\nX: ")
    while True:
        time.sleep(0.05)
        connection.sendall(b"x")


def _drips_body(connection: socket.socket, _: bytes) -> None:
    connection.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 10000\r\n\r\n")
    while True:
        time.sleep(0.05)
        connection.sendall(b"x")


def _drips_continue(connection: socket.socket, _: bytes) -> None:
    while True:
        time.sleep(0.01)
        connection.sendall(b"HTTP/1.1 100 Continue\r\n\r\n")


@pytest.mark.parametrize("talk", [_silent, _drips_head, _drips_body, _drips_continue])
def test_the_deadline_holds(raw: Callable[..., Raw], talk: Talk) -> None:
    server = raw(talk)
    for ask in (get, post):
        began = time.monotonic()
        with pytest.raises(TooSlow) as caught:
            ask(server.url(), seconds=0.4)
        assert 0.3 < time.monotonic() - began < 1.5
        assert not caught.value.permanent


def test_the_deadline_holds_while_sending(raw: Callable[..., Raw]) -> None:
    def deaf(connection: socket.socket, _: bytes) -> None:
        time.sleep(10)

    server = raw(deaf)
    began = time.monotonic()
    with pytest.raises(TooSlow):
        post(server.url(), b"x" * 50_000_000, seconds=0.4)
    assert time.monotonic() - began < 1.5


def test_the_deadline_holds_while_resolving(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(socket, "getaddrinfo", lambda *_, **__: [time.sleep(2)] * 0)
    began = time.monotonic()
    with pytest.raises(TooSlow):
        get("https://slow.example/", seconds=0.3)
    assert time.monotonic() - began < 1.5


# --- broken answers ---


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"garbage\r\n\r\n",
        b"HTTP/1.1 999999 x\r\n\r\n",
        b"HTTP/1.1 200 OK\r\n" + b"X: " + b"x" * 100_000 + b"\r\n\r\n",
        b"HTTP/1.1 200 OK\r\n" + b"X: x\r\n" * 1000 + b"\r\n",
        b"HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nshort",
        b"HTTP/1.1 200 OK\r\nContent-Encoding: gzip\r\nContent-Length: 3\r\n\r\nxyz",
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n",
    ],
)
def test_broken_answers_are_unreachable(raw: Callable[..., Raw], data: bytes) -> None:
    def broken(connection: socket.socket, _: bytes) -> None:
        connection.sendall(data)
        connection.shutdown(socket.SHUT_RDWR)

    server = raw(broken)
    with pytest.raises(Unreachable) as caught:
        get(server.url())
    assert not caught.value.permanent


def test_nobody_listens() -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = listener.getsockname()[1]
    with pytest.raises(Unreachable):
        get(f"http://localhost:{port}/")


# --- what may be reached ---

REFUSED = [
    "http://peer.example/", "https://peer.example:22/", "https://peer.example:8443/", "http://127.0.0.2/", "http://localhost.example/",
    "https://10.0.0.1/", "https://127.0.0.2/", "https://192.168.1.1/", "https://169.254.169.254/latest/meta-data/", "https://0.0.0.0/",
    "https://[::]/", "https://[::ffff:127.0.0.1]/", "https://[::127.0.0.1]/", "https://[64:ff9b::7f00:1]/", "https://[fe80::1]/", "https://[fd00::1]/",
    "https://[2002:7f00:1::]/", "https://224.0.0.1/", "https://255.255.255.255/", "https://\uff11\uff10.0.0.1/",
]  # fmt: skip
MALFORMED = [
    "https://127.1/", "https://0x7f.1/", "https://0177.0.0.1/", "https://2130706433/", "https://0/", "https://user@peer.example/",
    "https://peer.example%00.evil/", "https://peer.example\\@127.0.0.1/", "https://[fe80::1%25lo]/", "file:///etc/passwd", "gopher://peer.example/",
    "//peer.example/", "https://peer.example/\r\nHost: evil", "https:///x",
]  # fmt: skip


@pytest.mark.parametrize("url", REFUSED)
def test_blocked_addresses(url: str) -> None:
    for ask in (get, post):
        with pytest.raises(Blocked) as caught:
            ask(url)
        assert caught.value.permanent


@pytest.mark.parametrize("url", MALFORMED)
def test_malformed_addresses(url: str) -> None:
    for ask in (get, post):
        with pytest.raises(hosts.BadAddress) as caught:
            ask(url)
        assert caught.value.permanent


def test_loopback_is_never_touched_in_production(raw: Callable[..., Raw], strict: None) -> None:
    canary = raw(says(b"secret"))
    for host in ["localhost", "peer.localhost", "127.0.0.1", "[::1]", "LOCALHOST.", "127.0.0.2", "[::ffff:127.0.0.1]"]:
        for scheme in ("http", "https"):
            with pytest.raises(Blocked):
                get(canary.url(host=host, scheme=scheme))
    assert canary.connections == 0


def test_a_kept_loopback_connection_is_not_used_in_production(raw: Callable[..., Raw], settings: Any) -> None:
    canary = raw(says(b"fine"))
    get(canary.url())
    settings.ALLOW_LOOPBACK = False
    with pytest.raises(Blocked):
        get(canary.url())
    assert len(canary.heads) == 1


def _resolver(monkeypatch: pytest.MonkeyPatch, *answers: list[str]) -> list[str]:
    """DNS, played: each question gets the next answer. Returns the names that were asked."""
    asked: list[str] = []

    def getaddrinfo(host: str, *_: object, **__: object) -> list[Any]:
        asked.append(host)
        addresses = answers[min(len(asked), len(answers)) - 1]
        if not addresses:
            raise socket.gaierror(socket.EAI_NONAME, "no such name")
        return [(socket.AF_INET6 if ":" in a else socket.AF_INET, socket.SOCK_STREAM, 6, "", (a, 0)) for a in addresses]

    monkeypatch.setattr(socket, "getaddrinfo", getaddrinfo)
    return asked


@pytest.mark.parametrize("loopback_allowed", [True, False])
@pytest.mark.parametrize(
    "addresses",
    [
        ["127.0.0.1"],
        ["8.8.8.8", "127.0.0.1"],
        ["127.0.0.1", "8.8.8.8"],
        ["::1"],
        ["10.0.0.5"],
        ["::ffff:127.0.0.1"],
        ["fe80::1"],
        ["0.0.0.0"],
    ],
)
def test_names_with_private_answers(
    monkeypatch: pytest.MonkeyPatch, settings: Any, loopback_allowed: bool, addresses: list[str]
) -> None:
    settings.ALLOW_LOOPBACK = loopback_allowed
    touched: list[object] = []
    monkeypatch.setattr(socket.socket, "connect", lambda self, address: touched.append(address))
    _resolver(monkeypatch, addresses)
    with pytest.raises(Blocked):
        get("https://rebind.example/")
    assert touched == []


def test_rebinding_gains_nothing(monkeypatch: pytest.MonkeyPatch, strict: None) -> None:
    """The first answer is public, every later one loopback: one question is asked and its answer used."""
    touched: list[object] = []

    def connect(self: socket.socket, address: object) -> None:
        touched.append(address)
        raise ConnectionRefusedError

    monkeypatch.setattr(socket.socket, "connect", connect)
    asked = _resolver(monkeypatch, ["93.184.215.14"], ["127.0.0.1"])
    with pytest.raises(Unreachable):
        get("https://rebind.example/")
    assert asked == ["rebind.example"]
    assert touched == [("93.184.215.14", 443)]
    with pytest.raises(Blocked):
        get("https://rebind.example/")
    assert len(touched) == 1


def test_unknown_names_are_unreachable_for_now(monkeypatch: pytest.MonkeyPatch) -> None:
    _resolver(monkeypatch, [])
    with pytest.raises(Unreachable) as caught:
        get("https://nobody.example/")
    assert not caught.value.permanent


def test_the_second_address_is_tried(monkeypatch: pytest.MonkeyPatch, strict: None) -> None:
    touched: list[Any] = []

    def connect(self: socket.socket, address: Any) -> None:
        touched.append(address[0])
        raise ConnectionRefusedError

    monkeypatch.setattr(socket.socket, "connect", connect)
    _resolver(monkeypatch, ["2606:4700::1111", "93.184.215.14", "93.184.215.14"])
    with pytest.raises(Unreachable):
        get("https://two.example/")
    assert touched == ["2606:4700::1111", "93.184.215.14"]


# --- TLS ---


@pytest.fixture
def authority(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A certificate authority that this process trusts."""
    folder = tmp_path
    issue(folder, "localhost")
    issue(folder, "other.localhost")
    monkeypatch.setenv("SSL_CERT_FILE", str(folder / "authority.pem"))
    http._tls.cache_clear()
    yield folder
    http._tls.cache_clear()


def _tls_server(folder: Path, name: str) -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(folder / f"{name}.pem", folder / f"{name}.key")
    return context


def test_tls_with_the_right_name(raw: Callable[..., Raw], authority: Path) -> None:
    server = raw(says(b"safe"), _tls_server(authority, "localhost"))
    for _ in range(3):
        assert get(server.url(scheme="https")).body == b"safe"
    assert server.connections == 1


def test_tls_with_another_name(raw: Callable[..., Raw], authority: Path) -> None:
    """The address is right and the certificate good, but for another host: the name in the URL is what counts."""
    server = raw(says(b"safe"), _tls_server(authority, "other.localhost"))
    assert get(server.url(scheme="https", host="other.localhost")).body == b"safe"
    with pytest.raises(Unreachable, match="CERTIFICATE_VERIFY_FAILED"):
        get(server.url(scheme="https"))
    assert len(server.heads) == 1


def test_tls_that_nobody_vouches_for(raw: Callable[..., Raw], tmp_path: Path) -> None:
    issue(tmp_path, "localhost")
    server = raw(says(b"safe"), _tls_server(tmp_path, "localhost"))
    with pytest.raises(Unreachable, match="CERTIFICATE_VERIFY_FAILED"):
        get(server.url(scheme="https"))
    assert server.heads == []


def test_tls_that_drips(raw: Callable[..., Raw], authority: Path) -> None:
    server = raw(_drips_body, _tls_server(authority, "localhost"))
    began = time.monotonic()
    with pytest.raises(TooSlow):
        get(server.url(scheme="https"), seconds=0.6)
    assert time.monotonic() - began < 2


def test_tls_handshake_that_never_ends() -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        began = time.monotonic()
        with pytest.raises(TooSlow):
            get(f"https://localhost:{listener.getsockname()[1]}/", seconds=0.5)
        assert time.monotonic() - began < 1.5


def test_only_one_exchange_counts_its_time() -> None:
    with reach.deadline(0.05):
        time.sleep(0.06)
        with pytest.raises(TimeoutError):
            reach.left()
