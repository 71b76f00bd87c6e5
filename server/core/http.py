"""The one way out: every outbound HTTP request of the server's own code goes through here.

What was checked (``reach``) is what is used: connections go to the vetted address, with the TLS name kept. No proxy from
the environment, no redirect is followed (the caller asks again for the next hop, which is checked again), one deadline
for the whole exchange however slowly the other side drips, and a cap on the decompressed body.
"""

import functools
import http.client
import socket
import ssl
import threading
import time
from collections import OrderedDict, deque
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import urllib3
from django.conf import settings
from urllib3.connection import HTTPConnection, HTTPSConnection

from server.core import hosts, limits, metrics, reach
from server.core.errors import TributaryError
from server.core.reach import AnswerTooLarge, Blocked, HttpError, TooSlow, Unreachable, check

__all__ = [
    "Answer",
    "AnswerTooLarge",
    "Blocked",
    "HttpError",
    "TooSlow",
    "Unreachable",
    "check",
    "forget_connections",
    "get",
    "post",
]

CONNECTIONS_PER_HOST_MAX = 8
HOSTS_MAX = 256
IDLE_SECONDS_MAX = 60
ADDRESSES_TRIED_MAX = 4
READ_BYTES = 64 * limits.KIB
TIMEOUT_SLACK_SECONDS = 0.2


@dataclass(frozen=True)
class Answer:
    """What the other server said. ``headers`` by lower-case name; ``body`` decompressed."""

    status: int
    headers: Mapping[str, str]
    body: bytes
    url: str


def get(url: str, *, headers: Mapping[str, str], size_bytes_max: int, wait_seconds_max: float) -> Answer:
    """GET ``url``; any status is an answer. Raises Blocked, Unreachable, TooSlow, AnswerTooLarge, hosts.BadAddress."""
    return _exchange(
        "GET", url, None, headers, wait_seconds_max, functools.partial(_read, size_bytes_max=size_bytes_max, cut=False)
    )


def post(url: str, *, headers: Mapping[str, str], body: bytes, size_bytes_max: int, wait_seconds_max: float) -> Answer:
    """POST ``body`` to ``url``. Of a longer answer the first ``size_bytes_max`` bytes are kept: its status is what counts.

    Raises Blocked, Unreachable, TooSlow, hosts.BadAddress. After Unreachable or TooSlow nobody knows whether the
    body arrived: what is posted must be harmless when it arrives twice.
    """
    return _exchange(
        "POST", url, body, headers, wait_seconds_max, functools.partial(_read, size_bytes_max=size_bytes_max, cut=True)
    )


# --- connections to checked addresses ---


# Was a new connection made in this thread's present exchange?
_state = threading.local()


class _Clocked:
    """Every blocking call on the socket waits no longer than what is left of the exchange's deadline."""

    gettimeout: Callable[[], float | None]

    def settimeout(self, seconds: float | None) -> None:
        # http.client's wish to wait for ever is not granted.
        if seconds is not None:
            super().settimeout(seconds)  # type: ignore[misc]

    def recv_into(self, *args: Any, **options: Any) -> int:
        self._wait_until_the_deadline()
        return super().recv_into(*args, **options)  # type: ignore[misc]

    def sendall(self, *args: Any, **options: Any) -> None:
        self._wait_until_the_deadline()
        super().sendall(*args, **options)  # type: ignore[misc]

    def _wait_until_the_deadline(self) -> None:
        left, present = reach.left(), self.gettimeout()
        # Each change is a system call: nearly right is left alone.
        if present is None or abs(present - left) > TIMEOUT_SLACK_SECONDS:
            self.settimeout(left)


class _Socket(_Clocked, socket.socket):
    pass


class _TlsSocket(_Clocked, ssl.SSLSocket):
    pass


@functools.cache
def _tls() -> ssl.SSLContext:
    # The system's certificates, or those of SSL_CERT_FILE.
    context = ssl.create_default_context()
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    context.sslsocket_class = _TlsSocket
    return context


class _Pinned:
    """Replaces urllib3's connecting: the address that was checked is the address that is used."""

    host: str
    port: int

    def _new_conn(self) -> socket.socket:
        _state.connected = True
        failure: OSError | None = None
        for address in reach.resolve(self.host)[:ADDRESSES_TRIED_MAX]:
            connection = _Socket(socket.AF_INET if address.version == 4 else socket.AF_INET6, socket.SOCK_STREAM)  # noqa: PLR2004
            try:
                connection.settimeout(min(reach.left(), limits.CONNECT_SECONDS_MAX))
                connection.connect((str(address), self.port))
                connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            except OSError as error:
                connection.close()
                failure = error
            else:
                return connection
        assert failure is not None
        raise failure


class _PlainConnection(_Pinned, HTTPConnection):
    pass


class _TlsConnection(_Pinned, HTTPSConnection):
    pass


Connection = _PlainConnection | _TlsConnection


class _Pool:
    """Idle connections by origin, used by many threads; the origin not used for longest goes first."""

    def __init__(self) -> None:
        self._idle: OrderedDict[str, deque[tuple[Connection, float]]] = OrderedDict()
        self._lock = threading.Lock()

    def take(self, target: hosts.Url) -> Connection:
        while True:
            with self._lock:
                kept = self._idle.get(target.origin)
                found = kept.pop() if kept else None
            if found is None:
                return self._make(target)
            connection, since = found
            if time.monotonic() - since < IDLE_SECONDS_MAX and connection.is_connected:
                return connection
            connection.close()

    @staticmethod
    def _make(target: hosts.Url) -> Connection:
        if target.scheme == "https":
            return _TlsConnection(target.host, target.port, ssl_context=_tls())
        return _PlainConnection(target.host, target.port)

    def give_back(self, target: hosts.Url, connection: Connection) -> None:
        surplus: list[tuple[Connection, float]] = []
        with self._lock:
            kept = self._idle.setdefault(target.origin, deque())
            self._idle.move_to_end(target.origin)
            kept.append((connection, time.monotonic()))
            if len(kept) > CONNECTIONS_PER_HOST_MAX:
                surplus.append(kept.popleft())
            if len(self._idle) > HOSTS_MAX:
                surplus.extend(self._idle.popitem(last=False)[1])
        for old, _ in surplus:
            old.close()

    def clear(self) -> None:
        with self._lock:
            everything = [connection for kept in self._idle.values() for connection, _ in kept]
            self._idle.clear()
        for connection in everything:
            connection.close()


_pool = _Pool()


def forget_connections() -> None:
    """Close every idle connection."""
    _pool.clear()


# --- the exchange ---


def _exchange(
    method: str,
    url: str,
    body: bytes | None,
    headers: Mapping[str, str],
    wait_seconds_max: float,
    read: Callable[[urllib3.BaseHTTPResponse], tuple[bytes, bool]],
) -> Answer:
    try:
        answer = _ask(method, url, body, headers, wait_seconds_max, read)
    except TributaryError as error:
        metrics.http_out_total.labels(method, error.code).inc()
        raise
    metrics.http_out_total.labels(method, f"{answer.status // 100}xx").inc()
    return answer


def _ask(
    method: str,
    url: str,
    body: bytes | None,
    headers: Mapping[str, str],
    wait_seconds_max: float,
    read: Callable[[urllib3.BaseHTTPResponse], tuple[bytes, bool]],
) -> Answer:
    target = check(url)
    sent = {"User-Agent": settings.USER_AGENT, "Accept-Encoding": "gzip", "Host": target.authority, **headers}
    with reach.deadline(wait_seconds_max):
        _state.connected = False
        try:
            while True:
                try:
                    return _once(method, target, body, sent, read)
                except (ConnectionResetError, BrokenPipeError):
                    # A kept connection may have been closed by the other side just when we used it: then the next one.
                    if _state.connected:
                        raise
        except (TimeoutError, urllib3.exceptions.TimeoutError) as error:
            raise TooSlow(f"{target.authority} did not answer within {wait_seconds_max:.3g} s") from error
        except (OSError, http.client.HTTPException, urllib3.exceptions.HTTPError) as error:
            raise Unreachable(f"{target.authority}: {type(error).__name__}: {error}"[: limits.ERROR_CHARACTERS_MAX]) from error


def _once(
    method: str,
    target: hosts.Url,
    body: bytes | None,
    headers: Mapping[str, str],
    read: Callable[[urllib3.BaseHTTPResponse], tuple[bytes, bool]],
) -> Answer:
    connection = _pool.take(target)
    reusable = False
    try:
        connection.request(method, target.target, body=body, headers=headers, preload_content=False)
        response = connection.getresponse()
        content, complete = read(response)
        reusable = complete and response.headers.get("connection", "").lower() != "close" and connection.sock is not None
        answered = {name.lower(): ", ".join(response.headers.getlist(name)) for name in response.headers}
        return Answer(status=response.status, headers=answered, body=content, url=str(target))
    finally:
        if reusable:
            _pool.give_back(target, connection)
        else:
            connection.close()


def _read(response: urllib3.BaseHTTPResponse, *, size_bytes_max: int, cut: bool) -> tuple[bytes, bool]:
    """The decompressed body, and whether it was read to its end."""
    parts: list[bytes] = []
    size = 0
    while part := response.read(min(READ_BYTES, size_bytes_max + 1 - size), decode_content=True):
        parts.append(part)
        size += len(part)
        if size > size_bytes_max:
            if not cut:
                raise AnswerTooLarge(f"more than {size_bytes_max} bytes")
            return b"".join(parts)[:size_bytes_max], False
        reach.left()
    return b"".join(parts), True
