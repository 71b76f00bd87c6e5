"""HTTP signatures, draft-cavage-http-signatures-12: sign what leaves, judge what arrives. Pure: the time is handed in.

``httpsig`` gives two things, its header parser and its signing string. The judgement is ours, because on its own it lets
the sender choose the algorithm (an HMAC keyed with the *public* key passes), knows no date window, never sees the body
and raises whatever comes up. Every way a message can be wrong is one named reason of ``BadSignature``.
"""

import base64
import binascii
import hashlib
import hmac
import re
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from functools import cached_property

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import padding, rsa
from httpsig.utils import generate_message, parse_http_list, parse_signature_header

from federation.wire.dates import BadDate, read_http_date
from federation.wire.keys import Key, load_public
from federation.wire.verified import SEAL, Verified
from server.core import hosts, limits
from server.core.errors import TributaryError

HEADER_CHARACTERS_MAX = 8_192
COVERED_COUNT_MAX = 16
REQUEST_TARGET, CREATED, EXPIRES = "(request-target)", "(created)", "(expires)"
# What the header may say about RSA and Ed25519 keys; which of them is used, the key decides.
ALGORITHMS = {"rsa": frozenset({"", "rsa-sha256", "hs2019"}), "ed25519": frozenset({"", "ed25519", "hs2019"})}

_PARAMETER = re.compile(r'([A-Za-z]+)=(?:"([\x20\x21\x23-\x5b\x5d-\x7e]*)"|([0-9]{1,15}))')
_HEADER_NAME = re.compile(r"[a-z0-9\-]{1,64}|\((?:request-target|created|expires)\)")
_VALUE = re.compile(r"[\x20-\x7e]*")


class BadSignature(TributaryError):
    """The signature of this request is missing, malformed or wrong. ``reason`` is a stable word for logs and metrics."""

    code, status, permanent = "bad_signature", 401, True

    def __init__(self, reason: str, message: str = "") -> None:
        super().__init__(message or reason.replace("_", " "))
        self.reason = reason


@dataclass(frozen=True)
class Message:
    """An HTTP request as it arrived: path and query in ``target``, headers by lower-case name, repeated ones joined by commas."""

    method: str
    target: str
    headers: Mapping[str, str]
    body: bytes


@dataclass(frozen=True)
class Claim:
    """What a signature header says of itself; nothing of it is believed yet, but its form is right."""

    key_id: str
    algorithm: str
    covered: tuple[str, ...]
    signature: bytes
    created: int | None
    expires: int | None
    message: Message

    @cached_property
    def signing_string(self) -> str:
        """The text that was signed."""
        values = {name: self.message.headers[name] for name in self.covered if not name.startswith("(")}
        # Pseudo headers come from the parameters; a real header of that name never gets here.
        values.update({CREATED: str(self.created), EXPIRES: str(self.expires)})
        text: bytes = generate_message(self.covered, values, method=self.message.method, path=self.message.target)
        return text.decode("ascii")


@dataclass(frozen=True)
class Signed:
    """A message, the text that was signed and the key that signed it."""

    message: Message
    key: Key
    signing_string: str

    @property
    def digest(self) -> str:
        """Names this signing for the replay cache: by whom and what, however the signature itself is spelled."""
        return hashlib.sha256(f"{self.key.owner}\n{self.signing_string}".encode()).hexdigest()


# --- reading ---


def read(message: Message) -> Claim:
    """The claim in the message's Signature header. Raises BadSignature for a header that is missing or malformed."""
    header = message.headers.get("signature")
    if not header:
        raise BadSignature("no_signature")
    if len(header) > HEADER_CHARACTERS_MAX or not _VALUE.fullmatch(header):
        raise BadSignature("malformed_header")
    _check_parameters(parse_http_list(header))
    parameters: Mapping[str, str] = parse_signature_header(header)
    covered = tuple(parameters.get("headers", "date").split(" "))
    if len(covered) > COVERED_COUNT_MAX or len(set(covered)) != len(covered):
        raise BadSignature("malformed_header", "too many covered headers, or one twice")
    key_id = parameters.get("keyid", "")
    if not key_id:
        raise BadSignature("no_key_id")
    for name in covered:
        _check_covered(name, parameters, message)
    if not _VALUE.fullmatch(message.target) or not message.target.startswith("/"):
        raise BadSignature("malformed_target")
    return Claim(
        key_id=key_id,
        algorithm=parameters.get("algorithm", "").lower(),
        covered=covered,
        signature=_base64(parameters.get("signature", ""), "malformed_signature"),
        created=_seconds(parameters, "created"),
        expires=_seconds(parameters, "expires"),
        message=message,
    )


def _check_parameters(fields: Sequence[str]) -> None:
    names = set()
    for field in fields:
        match = _PARAMETER.fullmatch(field)
        if match is None:
            raise BadSignature("malformed_header", 'a parameter that is not name="value"')
        name = match.group(1).lower()
        if name in names:
            raise BadSignature("repeated_parameter", f"{name} stands twice")
        names.add(name)


def _check_covered(name: str, parameters: Mapping[str, str], message: Message) -> None:
    if not _HEADER_NAME.fullmatch(name):
        raise BadSignature("malformed_header", "a covered name that is no lower-case header name")
    if name in {CREATED, EXPIRES}:
        if name.strip("()") not in parameters:
            raise BadSignature("missing_header", f"{name} is covered but not given")
        # Section 2.3: not with the algorithms that are older than these.
        if parameters.get("algorithm", "hs2019").lower() != "hs2019":
            raise BadSignature("wrong_algorithm", f"{name} needs hs2019")
    elif name != REQUEST_TARGET:
        if name not in message.headers:
            raise BadSignature("missing_header", f"{name} is covered but not sent")
        if not _VALUE.fullmatch(message.headers[name]):
            raise BadSignature("malformed_header", f"control or non-ASCII characters in {name}")


def _seconds(parameters: Mapping[str, str], name: str) -> int | None:
    text = parameters.get(name)
    if text is None:
        return None
    if not (text.isascii() and text.isdigit()):
        raise BadSignature("malformed_header", f"{name} is not a whole number of seconds")
    return int(text)


def _base64(text: str, reason: str) -> bytes:
    try:
        data = base64.b64decode(text, validate=True)
    except (binascii.Error, ValueError) as error:
        raise BadSignature(reason, "not base64") from error
    if not data or base64.b64encode(data).decode() != text:
        raise BadSignature(reason, "not canonical base64")
    return data


# --- judging ---


def check(claim: Claim, *, now: datetime, own_hosts: Collection[str]) -> None:
    """Everything about the message that needs no key: what is covered, the host, the times, the body. Raises BadSignature.

    ``own_hosts`` are the canonical authorities we answer for.
    """
    covered = set(claim.covered)
    required = {REQUEST_TARGET, "host"} | ({"digest"} if claim.message.body else set())
    if missing := required - covered:
        raise BadSignature("not_covered", f"not signed: {', '.join(sorted(missing))}")
    if not covered & {"date", CREATED}:
        raise BadSignature("not_covered", "not signed: date")
    _check_host(claim.message.headers["host"], own_hosts)
    if "date" in covered:
        _check_window(_date(claim.message.headers["date"]), now)
    if CREATED in covered:
        assert claim.created is not None
        _check_window(_moment(claim.created), now)
    if claim.expires is not None and _moment(claim.expires) <= now:
        raise BadSignature("expired")
    if claim.message.body:
        _check_digest(claim.message.headers["digest"], claim.message.body)


def verify(claim: Claim, key: Key, *, now: datetime, own_hosts: Collection[str]) -> Verified[Signed]:
    """The message, if ``key`` signed it and it is whole, fresh and for us. Raises BadSignature or BadKey, never returns False."""
    check(claim, now=now, own_hosts=own_hosts)
    public = load_public(key.pem)
    kind = "rsa" if isinstance(public, rsa.RSAPublicKey) else "ed25519"
    if claim.algorithm not in ALGORITHMS[kind]:
        raise BadSignature("wrong_algorithm", f"{claim.algorithm!r} with a key that is {kind}")
    if claim.key_id not in {key.id, key.owner}:
        raise BadSignature("wrong_key")
    try:
        data = claim.signing_string.encode()
        if isinstance(public, rsa.RSAPublicKey):
            public.verify(claim.signature, data, padding.PKCS1v15(), hashes.SHA256())
        else:
            public.verify(claim.signature, data)
    except InvalidSignature as error:
        raise BadSignature("wrong_signature") from error
    return Verified(Signed(claim.message, key, claim.signing_string), seal=SEAL)


def _check_host(host: str, own_hosts: Collection[str]) -> None:
    try:
        canonical = hosts.canonical_authority(host)
    except hosts.BadAddress as error:
        raise BadSignature("wrong_host") from error
    if canonical not in own_hosts:
        raise BadSignature("wrong_host", "the request was signed for another host")


def _date(text: str) -> datetime:
    try:
        return read_http_date(text)
    except BadDate as error:
        raise BadSignature("malformed_date") from error


def _check_window(moment: datetime, now: datetime) -> None:
    if moment < now - timedelta(seconds=limits.SIGNATURE_PAST_SECONDS_MAX):
        raise BadSignature("too_old")
    if moment > now + timedelta(seconds=limits.SIGNATURE_FUTURE_SECONDS_MAX):
        raise BadSignature("in_the_future")


def _moment(seconds: int) -> datetime:
    try:
        return datetime.fromtimestamp(seconds, UTC)
    except (OverflowError, OSError, ValueError) as error:
        raise BadSignature("malformed_header", "a time that is none") from error


def _check_digest(header: str, body: bytes) -> None:
    digests: dict[str, str] = {}
    for part in header.split(","):
        name, _, value = part.strip().partition("=")
        if name.lower() in digests:
            raise BadSignature("malformed_digest", "an algorithm stands twice")
        digests[name.lower()] = value
    if "sha-256" not in digests:
        raise BadSignature("malformed_digest", "no SHA-256 digest")
    sent = _base64(digests["sha-256"], "malformed_digest")
    if not hmac.compare_digest(sent, hashlib.sha256(body).digest()):
        raise BadSignature("wrong_digest", "the body is not the one that was signed")
