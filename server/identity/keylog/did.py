"""did:webvh strings, and the addresses they stand for.

Source: did:webvh v1.0, Method-Specific Identifier and DID-to-HTTPS Transformation. A host is a DNS name and never an
address: what a verifier fetches must not be chosen among its own neighbours.
"""

import re
from dataclasses import dataclass
from urllib.parse import quote, unquote_to_bytes

import idna

from server.core import canonical
from server.identity.keylog import limits
from server.identity.keylog.errors import V9Did

PREFIX = "did:webvh:"
SCID_PLACEHOLDER = "{SCID}"

_LABEL = re.compile(r"[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?", re.ASCII)
_HOST = re.compile(r"(?P<host>[^%]+)(%3A(?P<port>[1-9][0-9]{0,4}))?", re.ASCII)
_ADDRESS_LABEL = re.compile(r"[0-9]+|0x[0-9a-f]*", re.ASCII)
_PERCENT = re.compile(r"%(?![0-9A-F]{2})", re.ASCII)
# RFC 3986 pchar without the colon, which separates segments in a DID.
_SEGMENT_SAFE = "-._~!$&'()*+,;=@"
_NOT_IN_SEGMENT = re.compile(r'[\x00-\x20\x7f/\\?#:%"<>^`{|}\[\]]')
# Names that never leave the machine or the local network (RFC 6761, 6762, 7686, ICANN's .internal).
_LOCAL_NAMES = frozenset({"localhost", "local", "internal", "onion"})


@dataclass(frozen=True)
class Did:
    """A parsed did:webvh: ``host`` in ASCII, ``path`` decoded. ``text`` is the string as it was written."""

    text: str
    scid: str
    host: str
    port: int | None
    path: tuple[str, ...]

    def url(self, file: str = "did.jsonl", *, loopback: bool = False) -> str:
        """The address of the log, or of another ``file`` beside it.

        ``loopback`` is the development setting: localhost is spoken to by plain http. Raises V9Did for localhost or a
        port without it.
        """
        _check_reach(self, loopback=loopback, ports=loopback)
        scheme = "http" if _is_loopback(self.host) else "https"
        port = f":{self.port}" if self.port is not None else ""
        path = "/".join(quote(segment, safe=_SEGMENT_SAFE) for segment in self.path) or ".well-known"
        return f"{scheme}://{self.host}{port}/{path}/{file}"


def parse_did(text: str, *, loopback: bool = False, ports: bool = True) -> Did:
    """The parts of a did:webvh without query, path or fragment. Raises V9Did.

    ``loopback`` also allows localhost; ``ports=False`` refuses a port at any other host.
    """
    if len(text) > limits.DID_CHARACTERS_MAX or not text.startswith(PREFIX):
        raise V9Did("not a did:webvh")
    scid, *rest = text.removeprefix(PREFIX).split(":")
    if not rest:
        raise V9Did("the DID names no host")
    try:
        canonical.multihash_sha256_decode(scid)
    except ValueError as error:
        raise V9Did(f"the SCID is malformed: {error}") from error
    match = _HOST.fullmatch(rest[0])
    if match is None:
        raise V9Did("in the host only %3A before a port may be percent-encoded")
    port = int(match["port"]) if match["port"] else None
    if port is not None and port > limits.PORT_MAX:
        raise V9Did("there is no such port")
    did = Did(text, scid, _host(match["host"]), port, tuple(_segment(part) for part in rest[1:]))
    _check_reach(did, loopback=loopback, ports=ports)
    return did


def make_did(scid: str, *, host: str, port: int | None = None, path: tuple[str, ...] = ()) -> str:
    """The did:webvh string for a place; ``scid`` may be the placeholder ``{SCID}`` while the first entry is being made."""
    port_text = f"%3A{port}" if port is not None else ""
    segments = "".join(":" + quote(segment, safe=_SEGMENT_SAFE) for segment in path)
    return f"{PREFIX}{scid}:{host}{port_text}{segments}"


def _host(text: str) -> str:
    host = text
    if not text.isascii():
        try:
            host = idna.encode(text, uts46=True).decode()
        except idna.IDNAError as error:
            raise V9Did("the host is not a valid international name") from error
    labels = host.split(".")
    if len(host) > limits.HOST_CHARACTERS_MAX or not all(_LABEL.fullmatch(label) for label in labels):
        raise V9Did("the host is not a DNS name in lower case")
    # Every spelling of an IPv4 address ends in a number (WHATWG URL 3.5); one of IPv6 has a colon.
    if _ADDRESS_LABEL.fullmatch(labels[-1]):
        raise V9Did("the host is an IP address")
    return host


def _is_loopback(host: str) -> bool:
    return host == "localhost" or host.endswith(".localhost")


def _check_reach(did: Did, *, loopback: bool, ports: bool) -> None:
    if _is_loopback(did.host) and loopback:
        return
    if "." not in did.host or did.host.rpartition(".")[2] in _LOCAL_NAMES:
        raise V9Did("the host is a local name")
    if did.port is not None and not ports:
        raise V9Did("the DID names a port")


def _segment(text: str) -> str:
    if _PERCENT.search(text):
        raise V9Did("a percent sign in the path must begin an upper-case escape")
    try:
        segment = unquote_to_bytes(text).decode("utf-8")
    except UnicodeDecodeError as error:
        raise V9Did("the path is not UTF-8") from error
    if segment in {"", ".", ".."} or _NOT_IN_SEGMENT.search(segment):
        raise V9Did("a path segment is empty, climbs, or contains a forbidden character")
    return segment
