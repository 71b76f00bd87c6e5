"""Who really sent a request, when reverse proxies stand between: only those we trust may say so."""

import functools
import ipaddress
from collections.abc import Sequence

from django.conf import settings
from django.http import HttpRequest

Network = ipaddress.IPv4Network | ipaddress.IPv6Network

# What a proxy says about the request it passes on. From anybody else these headers are lies and are removed.
FORWARDED = (
    "HTTP_X_FORWARDED_FOR",
    "HTTP_X_FORWARDED_PROTO",
    "HTTP_X_FORWARDED_HOST",
    "HTTP_X_FORWARDED_PORT",
    "HTTP_X_REAL_IP",
    "HTTP_FORWARDED",
    "HTTP_X_REQUEST_ID",
)
# What stays when a trusted proxy says it.
BELIEVED = {"HTTP_X_FORWARDED_PROTO", "HTTP_X_REQUEST_ID"}
# In TRIBUTARY_TRUSTED_PROXIES: the proxy speaks to us over a Unix socket, where no address is known.
UNIX_SOCKET = "unix"
# Set on a request that came with forwarding headers from somebody we do not trust: its address proves nothing.
DOUBTFUL = "tributary.doubtful_address"


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


def settle(request: HttpRequest) -> None:
    """Write the true client into ``REMOTE_ADDR`` and drop forwarding headers, so that all later code can trust what is left."""
    peer = request.META.get("REMOTE_ADDR", "")
    believed: set[str] = set()
    if is_within(peer, settings.TRUSTED_PROXIES):
        believed = BELIEVED
        request.META["REMOTE_ADDR"] = client_address(peer, request.META.get("HTTP_X_FORWARDED_FOR", ""), settings.TRUSTED_PROXIES)
    else:
        request.META[DOUBTFUL] = any(name in request.META for name in FORWARDED)
    for name in FORWARDED:
        if name not in believed:
            request.META.pop(name, None)
