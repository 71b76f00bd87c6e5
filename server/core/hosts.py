"""Hosts, origins and addresses in one canonical form, and which network addresses are public. Pure.

One function decides what "the same host" means, for ids, keys, peers and domain blocks alike (two functions that
differ in one corner are a hole: Mastodon CVE-2023-42451).
"""

import functools
import ipaddress
import re
from dataclasses import dataclass

import idna

from server.core import limits
from server.core.errors import Invalid

Address = ipaddress.IPv4Address | ipaddress.IPv6Address

DEFAULT_PORTS = {"https": 443, "http": 80}
# What may stand in a URL (RFC 3986), the host aside; no space, control, quote, backslash or non-ASCII character.
_TARGET = re.compile(r"[A-Za-z0-9\-._~:/?#\[\]@!$&'()*+,;=%]*")
_FORBIDDEN_IN_HOST = re.compile(r"[\x00-\x20\x7f%\\@/?#<>^|\[\]\"`{}]")
# WHATWG URL, "ends in a number": such a host is an IPv4 address or nothing.
_NUMBER = re.compile(r"(?:[0-9]+|0x[0-9a-f]*)")


class BadAddress(Invalid):
    """This is not an address we can use."""

    code = "bad_address"


@dataclass(frozen=True)
class Url:
    """A web address in canonical form. ``authority`` is the host, with the port when it is not the default."""

    scheme: str
    host: str
    port: int
    target: str
    fragment: str = ""

    @property
    def authority(self) -> str:
        """``peer.example``, ``localhost:8001``, ``[2001:db8::1]``."""
        return self.host if self.port == DEFAULT_PORTS[self.scheme] else f"{self.host}:{self.port}"

    @property
    def origin(self) -> str:
        """``https://peer.example``: what ids, keys and documents must share to speak for each other."""
        return f"{self.scheme}://{self.authority}"

    def __str__(self) -> str:
        return f"{self.origin}{self.target}"


@functools.lru_cache(maxsize=4096)
def canonical_host(text: str) -> str:
    """One spelling for one host: lower-case A-labels, no trailing dot, IP addresses in their shortest form.

    UTS-46 by the idna package (never ``str.encode("idna")``, which maps other names). IPv6 keeps its brackets.
    Raises BadAddress for anything that needs guessing: ``%``, spaces, userinfo, ``0x7f.1``, empty labels...
    """
    if text.startswith("[") and text.endswith("]"):
        return f"[{_ipv6(text[1:-1])}]"
    if not text or len(text) > limits.HOST_CHARACTERS_MAX or _FORBIDDEN_IN_HOST.search(text):
        raise BadAddress(f"not a host: {text[:100]!r}")
    try:
        # idna lets one trailing dot through, and refuses empty labels.
        host = idna.encode(text, uts46=True, std3_rules=True, transitional=False).decode("ascii").lower().removesuffix(".")
    except (idna.IDNAError, UnicodeError) as error:
        raise BadAddress(f"not a host: {text[:100]!r}") from error
    if _NUMBER.fullmatch(host.rsplit(".", 1)[-1]):
        return _ipv4(host)
    return host


def _ipv4(text: str) -> str:
    try:
        return str(ipaddress.IPv4Address(text))
    except ValueError as error:
        raise BadAddress(f"not an address: {text[:100]!r}") from error


def _ipv6(text: str) -> str:
    try:
        address = ipaddress.IPv6Address(text)
    except ValueError as error:
        raise BadAddress(f"not an address: {text[:100]!r}") from error
    if address.scope_id is not None:
        raise BadAddress("an address with a scope")
    return str(address)


def canonical_authority(text: str, *, scheme: str = "https") -> str:
    """Host and port in one spelling: what follows the ``@`` of an account, names a Peer and a DomainBlock.

    The default port of ``scheme`` is dropped. Raises BadAddress.
    """
    host, port = _split_port(text)
    host = canonical_host(host)
    return host if port is None or port == DEFAULT_PORTS[scheme] else f"{host}:{port}"


def _split_port(text: str) -> tuple[str, int | None]:
    host, colon, port = text, "", ""
    if not text.endswith("]"):
        head, colon, port = text.rpartition(":")
        host = head if colon else text
    if not colon or not port:
        return host, None
    if not (port.isascii() and port.isdigit() and len(port) <= 5 and 1 <= int(port) <= 65_535):  # noqa: PLR2004 (TCP ports)
        raise BadAddress(f"not a port: {port[:10]!r}")
    return host, int(port)


def parse_url(text: str) -> Url:
    """An http or https address in canonical form. Raises BadAddress for any other thing, or one longer than the limit."""
    if not isinstance(text, str) or len(text) > limits.URL_CHARACTERS_MAX:
        raise BadAddress("not an address, or too long")
    scheme, separator, rest = text.partition("://")
    scheme = scheme.lower()
    if not separator or scheme not in DEFAULT_PORTS:
        raise BadAddress(f"not an http address: {text[:100]!r}")
    end = _authority_end(rest)
    authority, tail = rest[:end], rest[end:]
    if not _TARGET.fullmatch(tail):
        raise BadAddress(f"characters that do not belong into an address: {text[:100]!r}")
    host, port = _split_port(authority)
    target, _, fragment = tail.partition("#")
    path, _, query = target.partition("?")
    path = path or "/"
    return Url(
        scheme=scheme,
        host=canonical_host(host),
        port=port or DEFAULT_PORTS[scheme],
        target=f"{path}?{query}" if query else path,
        fragment=fragment,
    )


def _authority_end(rest: str) -> int:
    return min((index for index in (rest.find(mark) for mark in "/?#") if index >= 0), default=len(rest))


def canonical_url(text: str) -> str:
    """``text`` with scheme, host and port in canonical form and every other character as it came: how ids are kept.

    Raises BadAddress.
    """
    url = parse_url(text)
    rest = text.partition("://")[2]
    return url.origin + rest[_authority_end(rest) :]


def origin(text: str) -> str:
    """Scheme and authority of an address. Raises BadAddress."""
    return parse_url(text).origin


def same_origin(first: str, second: str) -> bool:
    """Do both addresses belong to one server? Raises BadAddress."""
    return origin(first) == origin(second)


# --- which network addresses may be reached ---

_IPV4_SPECIAL = tuple(
    ipaddress.IPv4Network(network)
    for network in (
        "0.0.0.0/8", "10.0.0.0/8", "100.64.0.0/10", "127.0.0.0/8", "169.254.0.0/16", "172.16.0.0/12",
        "192.0.0.0/24", "192.0.2.0/24", "192.31.196.0/24", "192.52.193.0/24", "192.88.99.0/24", "192.168.0.0/16",
        "192.175.48.0/24", "198.18.0.0/15", "198.51.100.0/24", "203.0.113.0/24", "224.0.0.0/4", "240.0.0.0/4",
    )
)  # fmt: skip
_IPV6_GLOBAL = ipaddress.IPv6Network("2000::/3")
_IPV6_SPECIAL = tuple(
    ipaddress.IPv6Network(network)
    for network in ("2001::/23", "2001:db8::/32", "2002::/16", "2620:4f:8000::/48", "3fff::/20")
)  # fmt: skip


def is_public(address: Address) -> bool:
    """May our server open a connection to ``address``? Allow-only: what is not known to be public is refused.

    ``ipaddress.is_global`` is not such a rule: it says yes to ``::127.0.0.1``, ``64:ff9b::7f00:1``, ``2002:7f00:1::``,
    multicast and more. IPv4-mapped IPv6 is judged as the IPv4 address it is; NAT64, 6to4 and Teredo are refused.
    """
    if isinstance(address, ipaddress.IPv6Address):
        if address.ipv4_mapped is not None:
            return is_public(address.ipv4_mapped)
        return address in _IPV6_GLOBAL and not any(address in network for network in _IPV6_SPECIAL)
    return not any(address in network for network in _IPV4_SPECIAL)


def is_loopback_name(host: str) -> bool:
    """``localhost``, a name under ``.localhost`` (RFC 6761) or the two loopback literals, in canonical form."""
    return host in {"localhost", "127.0.0.1", "[::1]"} or host.endswith(".localhost")
