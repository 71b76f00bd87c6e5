"""HostGrant: the person lets one server be the home of her identity, in the words of one log entry. Pure.

The format stands in docs/reference/host-grant.md. The new home judges it while it is fresh (``accept_host_grant``, V18);
a follower's server looks at it later as part of the evidence for a move (``check_host_grant``).
"""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from nacl.signing import SigningKey

from server.core import canonical, proofs
from server.core.errors import TributaryError
from server.identity.keylog import Document, KeyLogError, PolicyLog, multikey_of, read
from server.identity.keylog.limits import CLOCK_SKEW_SECONDS

LIFE_SECONDS_MAX = 15 * 60
GRANT_BYTES_MAX = 8_192
NONCE_CHARACTERS_MIN = 22
NONCE_CHARACTERS_MAX = 128
_MEMBERS = {"type", "v", "scid", "versionId", "audience", "homeKey", "actor", "nonce", "expires", "proof"}
_DEPTH_MAX = 4


class GrantRefused(TributaryError):
    """The host grant is not accepted."""

    code, status, permanent = "host_grant", 422, True
    rule = "V18"


class BadGrantForm(GrantRefused):
    """The host grant is not of the form of version 1."""

    code = "host_grant_form"


class WrongIdentity(GrantRefused):
    """The host grant is for another identity."""

    code = "host_grant_identity"


class WrongVersion(GrantRefused):
    """The host grant names an entry that is not in the log, or no longer the newest one."""

    code = "host_grant_version"


class WrongAudience(GrantRefused):
    """The host grant is for another server."""

    code = "host_grant_audience"


class WrongHome(GrantRefused):
    """The host grant's home key or actor is not that of the log entry it names."""

    code = "host_grant_home"


class LivesTooLong(GrantRefused):
    """The host grant may live at most 15 minutes."""

    code = "host_grant_life"


class Expired(GrantRefused):
    """The host grant has expired, or is not valid yet."""

    code = "host_grant_expired"


class WrongNonce(GrantRefused):
    """The nonce is not the one this server gave, or was used before."""

    code = "host_grant_nonce"


class WrongKey(GrantRefused):
    """The host grant is not signed by the person's key of the log entry it names."""

    code = "host_grant_key"


@dataclass(frozen=True)
class HostGrant:
    """A host grant whose signature and place in the log have been checked."""

    scid: str
    version_id: str
    audience: str
    home_key: str
    actor: str
    nonce: str
    created: datetime
    expires: datetime


def make_host_grant(
    log: PolicyLog, *, audience: str, nonce: str, key: SigningKey, now: datetime, life_seconds: int = LIFE_SECONDS_MAX
) -> dict[str, Any]:
    """The host grant for the home that the newest entry of ``log`` names, signed by the ``#user`` key of that entry.

    Raises WrongKey when ``key`` is not it, BadGrantForm or WrongAudience when the values do not belong together.
    """
    document = _document(log, log.head.entry.version_id)
    if multikey_of(key) != document.user.multikey:
        raise WrongKey
    grant = {
        "type": "HostGrant",
        "v": 1,
        "scid": log.scid,
        "versionId": log.head.entry.version_id,
        "audience": audience,
        "homeKey": document.home.multikey,
        "actor": document.actor,
        "nonce": nonce,
        "expires": canonical.time_text(now + timedelta(seconds=life_seconds)),
    }
    proof = proofs.create_proof(grant, key=key, verification_method=document.user_method, created=now)
    made = {**grant, "proof": proof}
    check_host_grant(made, log=log, audience=audience, now=now)
    return made


def parse_host_grant(data: bytes) -> Mapping[str, Any]:
    """The JSON object in ``data``, strictly read. Raises BadGrantForm."""
    if len(data) > GRANT_BYTES_MAX:
        raise BadGrantForm("the host grant is too large")
    try:
        grant = canonical.parse(data, depth_max=_DEPTH_MAX, fractions=False)
    except ValueError as error:
        raise BadGrantForm(str(error)) from error
    if not isinstance(grant, dict):
        raise BadGrantForm("a host grant is a JSON object")
    return grant


def accept_host_grant(
    grant: Mapping[str, Any], *, log: PolicyLog, audience: str, nonce: str, now: datetime, nonce_is_fresh: bool
) -> HostGrant:
    """V18, at the new home: the grant answers our challenge ``nonce``, is fresh, and is for the newest entry.

    ``nonce_is_fresh``: that the caller has just claimed the nonce, which nobody can do twice. Raises GrantRefused.
    """
    checked = check_host_grant(grant, log=log, audience=audience, now=now)
    if checked.version_id != log.head.entry.version_id:
        raise WrongVersion
    if checked.expires <= now or checked.created > now + timedelta(seconds=CLOCK_SKEW_SECONDS):
        raise Expired
    if checked.nonce != nonce or not nonce_is_fresh:
        raise WrongNonce
    return checked


def check_host_grant(grant: Mapping[str, Any], *, log: PolicyLog, audience: str, now: datetime) -> HostGrant:
    """As evidence, at any later time: the person granted ``audience`` the place that a log entry names.

    Says nothing about freshness or nonce: those were the new home's to judge. Raises GrantRefused.
    """
    _check_form(grant)
    if grant["scid"] != log.scid:
        raise WrongIdentity
    document = _document(log, grant["versionId"])
    if grant["audience"] != audience:
        raise WrongAudience
    if (grant["homeKey"], grant["actor"]) != (document.home.multikey, document.actor):
        raise WrongHome
    _check_signature(grant, document, now)
    created = proofs.plain_created(grant["proof"])
    expires = canonical.parse_time(grant["expires"])
    if not timedelta(0) < expires - created <= timedelta(seconds=LIFE_SECONDS_MAX):
        raise LivesTooLong
    return HostGrant(
        scid=grant["scid"],
        version_id=grant["versionId"],
        audience=grant["audience"],
        home_key=grant["homeKey"],
        actor=grant["actor"],
        nonce=grant["nonce"],
        created=created,
        expires=expires,
    )


def _check_form(grant: Mapping[str, Any]) -> None:
    if grant.keys() != _MEMBERS:
        raise BadGrantForm("a host grant has exactly the members of version 1")
    if not all(isinstance(grant[name], str) for name in _MEMBERS - {"v", "proof"}):
        raise BadGrantForm("a member is of the wrong kind")
    if grant["type"] != "HostGrant" or isinstance(grant["v"], bool) or grant["v"] != 1:
        raise BadGrantForm("this is not a HostGrant of version 1")
    if not NONCE_CHARACTERS_MIN <= len(grant["nonce"]) <= NONCE_CHARACTERS_MAX:
        raise BadGrantForm("the nonce is too short or too long")
    try:
        canonical.parse_time(grant["expires"])
        proofs.plain_created(grant["proof"])
    except (ValueError, proofs.BadProof) as error:
        raise BadGrantForm(str(error)) from error


def _document(log: PolicyLog, version_id: str) -> Document:
    try:
        return read(log.version(version_id).entry.state)
    except KeyLogError as error:
        raise WrongVersion(str(error)) from error


def _check_signature(grant: Mapping[str, Any], document: Document, now: datetime) -> None:
    if grant["proof"]["verificationMethod"] != document.user_method:
        raise WrongKey
    public = canonical.multikey_ed25519_decode(document.user.multikey)
    try:
        proofs.verify_proof(grant, grant["proof"], public=public, now=now)
    except (proofs.BadProof, proofs.BadSignature) as error:
        raise WrongKey(str(error)) from error
