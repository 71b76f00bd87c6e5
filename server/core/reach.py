"""Which addresses of the network may be reached from here, and how long an exchange may take. Used by ``http`` alone.

A name is resolved once and every answer must be public (``hosts.is_public``); the connection then goes to the address
that was checked. ``settings.ALLOW_LOOPBACK`` (development and tests) lets ``localhost``, ``*.localhost``, ``127.0.0.1``
and ``[::1]`` be reached, over http and on any port, and nothing else that is not public.
"""

import contextlib
import ipaddress
import socket
import threading
import time
from collections.abc import Iterator
from typing import Any

from django.conf import settings

from server.core import hosts
from server.core.errors import TributaryError

PORTS = frozenset({80, 443})
RESOLVERS_MAX = 32


class HttpError(TributaryError):
    """The other server could not be asked."""

    code, status = "http_error", 502


class Blocked(HttpError):
    """That address may not be reached from here."""

    code, permanent = "address_blocked", True


class Unreachable(HttpError):
    """The other server could not be reached, or broke the connection off."""

    code = "unreachable"


class TooSlow(HttpError):
    """The other server did not answer in time."""

    code, status = "too_slow", 504


class AnswerTooLarge(HttpError):
    """The answer is larger than we read."""

    code, permanent = "answer_too_large", True


def check(url: str) -> hosts.Url:
    """The canonical form of ``url`` if its scheme, port and host may be used at all. Raises Blocked, hosts.BadAddress.

    The network address behind the name is checked later, at every new connection.
    """
    target = hosts.parse_url(url)
    if hosts.is_loopback_name(target.host):
        if not settings.ALLOW_LOOPBACK:
            raise Blocked("loopback addresses may not be reached")
    elif target.scheme != "https":
        raise Blocked("only https addresses may be reached")
    elif target.port not in PORTS:
        raise Blocked(f"port {target.port} may not be reached")
    return target


# --- one deadline for an exchange, whatever blocks ---

_exchange = threading.local()


@contextlib.contextmanager
def deadline(seconds: float) -> Iterator[None]:
    """Everything this thread waits for inside the block ends ``seconds`` from now."""
    _exchange.ends_at = time.monotonic() + seconds
    try:
        yield
    finally:
        del _exchange.ends_at


def left() -> float:
    """Seconds until the deadline. Raises TimeoutError when it has passed."""
    seconds: float = _exchange.ends_at - time.monotonic()
    if seconds <= 0:
        raise TimeoutError("the deadline has passed")
    return seconds


# --- resolve once, check every answer ---

_resolvers = threading.BoundedSemaphore(RESOLVERS_MAX)


def resolve(host: str) -> list[hosts.Address]:
    """The addresses of a canonical host, all of them checked. Raises Blocked if one is not public, Unreachable, TimeoutError."""
    if hosts.is_loopback_name(host):
        if not settings.ALLOW_LOOPBACK:
            raise Blocked("loopback addresses may not be reached")
        # RFC 6761: these names are loopback by definition and nobody is asked.
        return [ipaddress.IPv6Address("::1")] if host == "[::1]" else [ipaddress.IPv4Address("127.0.0.1")]
    with contextlib.suppress(ValueError):
        return _checked(host, [ipaddress.ip_address(host.strip("[]"))])
    return _checked(host, _ask_resolver(host))


def _checked(host: str, addresses: list[hosts.Address]) -> list[hosts.Address]:
    for address in addresses:
        if not hosts.is_public(address):
            raise Blocked(f"{host} is at {address}, which is not a public address")
    return addresses


def _ask_resolver(host: str) -> list[hosts.Address]:
    # getaddrinfo knows no time limit of its own; a thread that waits too long is left behind.
    answers: list[Any] = []
    done = threading.Event()

    def ask() -> None:
        try:
            answers.extend(socket.getaddrinfo(host, None, type=socket.SOCK_STREAM))
        except OSError as error:
            answers.append(error)
        finally:
            _resolvers.release()
            done.set()

    if not _resolvers.acquire(timeout=left()):
        raise TimeoutError("no free resolver")
    threading.Thread(target=ask, daemon=True, name=f"resolve {host}").start()
    if not done.wait(left()):
        raise TimeoutError("the name was not resolved in time")
    if not answers or isinstance(answers[-1], OSError):
        raise Unreachable(f"{host} has no address: {answers[-1] if answers else 'empty answer'}")
    return list(dict.fromkeys(ipaddress.ip_address(answer[4][0].partition("%")[0]) for answer in answers))
