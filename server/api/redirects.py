"""Where a program may have its authorisation code sent. Pure.

RFC 8252: a web address, a loopback address on any port, or a private scheme in reverse-domain form; and the old
``urn:ietf:wg:oauth:2.0:oob``, which shows the code for the user to copy.
"""

import re
from urllib.parse import urlsplit

OUT_OF_BAND = "urn:ietf:wg:oauth:2.0:oob"
LOOPBACK = {"127.0.0.1", "::1", "localhost"}
CHARACTERS_MAX = 1_000
# With a dot, so that neither javascript: nor data: nor another app's short name passes (RFC 8252, 7.1).
_PRIVATE_SCHEME = re.compile(r"[a-z][a-z0-9+\-]*(\.[a-z0-9+\-]+)+")
_FORBIDDEN = re.compile(r"[\s#\"'<>\\^`{|}\x00-\x1f\x7f-\uffff]")


def is_acceptable(uri: str) -> bool:
    """May a program register this address?"""
    if uri == OUT_OF_BAND:
        return True
    if not uri or len(uri) > CHARACTERS_MAX or _FORBIDDEN.search(uri):
        return False
    try:
        parts = urlsplit(uri)
        host, _ = parts.hostname, parts.port
    except ValueError:
        return False
    if "@" in parts.netloc:
        return False
    if parts.scheme == "https":
        return bool(host)
    if parts.scheme == "http":
        return host in LOOPBACK
    return _PRIVATE_SCHEME.fullmatch(parts.scheme) is not None and uri.startswith(f"{parts.scheme}:/")


def csp_source(uri: str) -> str:
    """How a Content-Security-Policy names the place ``uri`` leads to; empty for none. ``uri`` is acceptable."""
    if uri == OUT_OF_BAND:
        return ""
    parts = urlsplit(uri)
    return f"{parts.scheme}://{parts.netloc}" if parts.scheme in {"http", "https"} else f"{parts.scheme}:"
