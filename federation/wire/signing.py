"""Sign what leaves: draft-cavage-http-signatures-12 with rsa-sha256, which every server of the federation knows. Pure."""

import base64
import hashlib
import re
from datetime import datetime
from functools import lru_cache
from typing import Any

from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import padding, rsa
from httpsig.utils import build_signature_template, generate_message

from federation.wire.dates import write_http_date
from federation.wire.keys import BadKey
from server.core import hosts

REQUEST_TARGET = "(request-target)"
SIGNED_WITH_BODY = (REQUEST_TARGET, "host", "date", "digest", "content-type")
SIGNED_WITHOUT_BODY = (REQUEST_TARGET, "host", "date")
_QUOTABLE = re.compile(r"[\x20\x21\x23-\x5b\x5d-\x7e]+")


def sign(
    *,
    method: str,
    url: hosts.Url,
    key_id: str,
    key: rsa.RSAPrivateKey,
    now: datetime,
    body: bytes | None = None,
    content_type: str = "",
) -> dict[str, str]:
    """The headers that make a request ours: Host, Date, with a body Digest and Content-Type, and Signature (rsa-sha256)."""
    headers = {"Host": url.authority, "Date": write_http_date(now)}
    covered: tuple[str, ...] = SIGNED_WITHOUT_BODY
    if body is not None:
        headers["Digest"] = "SHA-256=" + base64.b64encode(_sha256(body)).decode()
        headers["Content-Type"] = content_type
        covered = SIGNED_WITH_BODY
    text: bytes = generate_message(covered, headers, method=method, path=url.target)
    signature = base64.b64encode(key.sign(text, padding.PKCS1v15(), hashes.SHA256())).decode()
    headers["Signature"] = _template(key_id, covered) % signature
    return headers


@lru_cache(maxsize=64)
def _sha256(body: bytes) -> bytes:
    # One post goes to many inboxes.
    return hashlib.sha256(body).digest()


@lru_cache(maxsize=1024)
def _template(key_id: str, covered: tuple[str, ...]) -> str:
    if not _QUOTABLE.fullmatch(key_id):
        raise BadKey("a key id with characters that cannot be quoted")
    template: Any = build_signature_template(key_id.replace("%", "%%"), "rsa-sha256", covered, "signature")
    return str(template)
