"""What happens to every request before anything else: who really sent it, an id, one line in the log, one count."""

import functools
import ipaddress
import logging
import re
import time
import uuid
from collections.abc import Callable, Sequence

import structlog
from django.conf import settings
from django.http import HttpRequest
from django.http.response import HttpResponseBase

from server.core import metrics

log = logging.getLogger("tributary.request")
Network = ipaddress.IPv4Network | ipaddress.IPv6Network

# What a proxy says about the request it passes on. From anybody else these headers are lies and are removed.
FORWARDED = (
    "HTTP_X_FORWARDED_FOR",
    "HTTP_X_FORWARDED_PROTO",
    "HTTP_X_FORWARDED_HOST",
    "HTTP_X_FORWARDED_PORT",
    "HTTP_X_REAL_IP",
    "HTTP_FORWARDED",
)
# In TRIBUTARY_TRUSTED_PROXIES: the proxy speaks to us over a Unix socket, where no address is known.
UNIX_SOCKET = "unix"
# Set on a request that came with forwarding headers from somebody we do not trust: its address proves nothing.
DOUBTFUL = "tributary.doubtful_address"
METHODS = {"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"}
_REQUEST_ID = re.compile(r"[A-Za-z0-9-]{8,64}")
# Addresses whose path is itself a secret: links sent by e-mail.
_SECRET_PATHS = re.compile(r"(/account/(?:confirm-email|password/reset/key)/)[^/]+")
_QUIET = {"/healthz", "/readyz", "/metrics"}


@functools.lru_cache(maxsize=8)
def networks(entries: tuple[str, ...]) -> tuple[Network, ...]:
    """Addresses and networks (``10.0.0.0/8``) as networks; the word ``unix`` is skipped. Raises ValueError for others."""
    return tuple(ipaddress.ip_network(entry) for entry in entries if entry != UNIX_SOCKET)


def is_within(address: str, entries: Sequence[str]) -> bool:
    """Is ``address`` one of ``entries``? IPv4 inside IPv6 counts as IPv4; no address at all is ``unix``."""
    if not address:
        return UNIX_SOCKET in entries
    try:
        parsed = ipaddress.ip_address(address)
    except ValueError:
        return False
    plain = getattr(parsed, "ipv4_mapped", None) or parsed
    return any(plain in network for network in networks(tuple(entries)))


def client_address(peer: str, forwarded_for: str, trusted: Sequence[str]) -> str:
    """Who sent the request: the nearest address, going back from us, that is not a trusted proxy.

    A malformed entry ends the walk at the last address we can vouch for, so that nothing a client writes is believed.
    """
    address = peer
    for entry in reversed([part.strip() for part in forwarded_for.split(",") if part.strip()]):
        if not is_within(address, trusted):
            break
        try:
            address = str(ipaddress.ip_address(entry))
        except ValueError:
            break
    return address


def _settle_address(request: HttpRequest) -> None:
    """Write the true client into ``REMOTE_ADDR`` and drop forwarding headers, so that all later code can trust what is left."""
    peer = request.META.get("REMOTE_ADDR", "")
    if is_within(peer, settings.TRUSTED_PROXIES):
        request.META["REMOTE_ADDR"] = client_address(peer, request.META.get("HTTP_X_FORWARDED_FOR", ""), settings.TRUSTED_PROXIES)
        removed = [name for name in FORWARDED if name != "HTTP_X_FORWARDED_PROTO"]
    else:
        request.META[DOUBTFUL] = any(name in request.META for name in FORWARDED)
        removed = [*FORWARDED, "HTTP_X_REQUEST_ID"]
    for name in removed:
        request.META.pop(name, None)


def request_log(get_response: Callable[[HttpRequest], HttpResponseBase]) -> Callable[[HttpRequest], HttpResponseBase]:
    """The outermost middleware: settles the client's address, gives the request an id, logs one line without secrets."""

    def middleware(request: HttpRequest) -> HttpResponseBase:
        started = time.perf_counter()
        _settle_address(request)
        given = request.META.get("HTTP_X_REQUEST_ID", "")
        request_id = given if _REQUEST_ID.fullmatch(given) else uuid.uuid4().hex
        with structlog.contextvars.bound_contextvars(request_id=request_id):
            response = get_response(request)
            response["X-Request-ID"] = request_id
            _note(request, response, time.perf_counter() - started)
        return response

    return middleware


def _note(request: HttpRequest, response: HttpResponseBase, seconds: float) -> None:
    match = request.resolver_match
    route = f"/{match.route}" if match is not None else "unmatched"
    method = request.method if request.method in METHODS else "other"
    metrics.http_requests_total.labels(method, route, str(response.status_code)).inc()
    metrics.http_request_seconds.labels(method).observe(seconds)
    user = getattr(request, "user", None) if hasattr(request, "_cached_user") else None
    level = logging.ERROR if response.status_code >= 500 else logging.DEBUG if request.path in _QUIET else logging.INFO  # noqa: PLR2004
    log.log(
        level,
        "request",
        extra={
            "method": method,
            "path": _SECRET_PATHS.sub(r"\1[removed]", request.path)[:500],
            "route": route,
            "status": response.status_code,
            "ms": round(seconds * 1000, 1),
            "client": request.META.get("REMOTE_ADDR", ""),
            "user": getattr(user, "pk", None),
        },
    )
