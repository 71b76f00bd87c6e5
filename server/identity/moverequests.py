"""Move for servers that know no key logs, signed without the old home: by the keys of the old account that its owner has. Pure.

The new home writes down what is to be signed (``MoveRequests``), the owner's tool signs it offline (``SignedMoveRequests``),
and the new home transmits exactly these bytes. The formats stand in docs/reference/move-requests.md.

Two signatures, because servers believe in different ones: the Move carries a FEP-8b32 proof by ``#user`` of the old account
(Mastodon from 4.7, and servers like this one, whoever transmits it), and each request is signed with the old account's RSA key
(draft-cavage; Mastodon, GoToSocial: the request counts as the old server's own).
"""

import base64
import hashlib
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from email.utils import format_datetime
from typing import Any

from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import padding, rsa
from nacl.signing import SigningKey

from server.core import canonical, hosts, proofs
from server.core.errors import Conflict, TributaryError
from server.identity.keylog import Document, PolicyLog, multikey_of, read

INBOXES_MAX = 20_000
DOCUMENT_BYTES_MAX = 16 * 1024 * 1024
# Mastodon takes a request for at most 12 hours after its date, and only as long as ``expires`` says (app/lib/signed_request.rb).
SIGNED_FOR = timedelta(hours=12)
PUBLIC = "https://www.w3.org/ns/activitystreams#Public"
CONTEXT = ["https://www.w3.org/ns/activitystreams", "https://w3id.org/security/data-integrity/v2"]
COVERED = "(request-target) host date digest"
_MEMBERS = {"v", "type", "scid", "audience", "oldActor", "newActor", "keyId", "userMethod", "activity", "inboxes"}
_SIGNED_MEMBERS = {"v", "type", "scid", "body", "date", "expires", "requests"}
_REQUEST_MEMBERS = {"inbox", "signature"}
_QUOTABLE = re.compile(r"[\x20\x21\x23-\x5b\x5d-\x7e]+")
_BASE64 = re.compile(r"[A-Za-z0-9+/]{300,1400}={0,2}", re.ASCII)
_DEPTH_MAX = 8


class BadMoveRequests(TributaryError):
    """These move requests are not of the form of version 1, or do not agree with the key log."""

    code, status, permanent = "bad_move_requests", 422, True


class WrongMoveSignature(BadMoveRequests):
    """A signature of the move requests does not hold."""

    code = "wrong_move_signature"


@dataclass(frozen=True)
class MoveRequests:
    """What the new home asks the owner to sign: one Move, for each of these inboxes."""

    scid: str
    audience: str
    old_actor: str
    new_actor: str
    key_id: str
    user_method: str
    inboxes: tuple[str, ...]

    @property
    def activity(self) -> dict[str, Any]:
        """The Move, still without its proof."""
        return move_activity(self.old_actor, self.new_actor)


@dataclass(frozen=True)
class SignedMove:
    """What comes back: the body, byte for byte, and for each inbox the headers with which it is sent."""

    body: str
    date: datetime
    expires: datetime
    # By inbox; empty when the old account's RSA key is lost.
    headers: Mapping[str, Mapping[str, str]]


def move_activity(old_actor: str, new_actor: str) -> dict[str, Any]:
    """The Move of ``old_actor`` herself. Its id is the same however often it is made: sent twice, it is one."""
    digest = hashlib.sha256(new_actor.encode()).hexdigest()
    return {
        "@context": CONTEXT,
        "id": f"{old_actor}/moves/{digest}",
        "type": "Move",
        "actor": old_actor,
        "object": old_actor,
        "target": new_actor,
        "to": [PUBLIC],
    }


def plan(log: PolicyLog, *, old_actor: str, inboxes: Sequence[str], key_id: str = "") -> MoveRequests:
    """What is to be signed after ``log`` moved from ``old_actor`` to its present home. Raises BadMoveRequests.

    ``key_id`` names the old account's RSA key to those who know it: ``#main-key``, where its home did not call it otherwise.
    """
    now_at, before = read(log.head.entry.state), document_naming(log, old_actor)
    if before is None or now_at.actor == old_actor:
        raise BadMoveRequests("The key log does not say that this account was left.")
    made = MoveRequests(
        scid=log.scid,
        audience=hosts.parse_url(now_at.actor).origin,
        old_actor=old_actor,
        new_actor=now_at.actor,
        key_id=key_id or f"{old_actor}#main-key",
        user_method=f"{old_actor}#user-{before.user.number}",
        inboxes=tuple(dict.fromkeys(inboxes)),
    )
    _check_places(made)
    return made


def requests_document(requests: MoveRequests) -> dict[str, Any]:
    """As ``read_requests`` reads it."""
    return {
        "v": 1,
        "type": "MoveRequests",
        "scid": requests.scid,
        "audience": requests.audience,
        "oldActor": requests.old_actor,
        "newActor": requests.new_actor,
        "keyId": requests.key_id,
        "userMethod": requests.user_method,
        "activity": requests.activity,
        "inboxes": list(requests.inboxes),
    }


def read_requests(data: bytes, *, log: PolicyLog) -> MoveRequests:
    """What a new home asks to sign, held against the key log: nothing else than the move that the log tells is ever signed.

    Raises BadMoveRequests.
    """
    document = _parse(data, _MEMBERS, "MoveRequests")
    inboxes = document["inboxes"]
    texts = _MEMBERS - {"v", "activity", "inboxes"}
    if not all(isinstance(document[name], str) for name in texts) or not _is_texts(inboxes):
        raise BadMoveRequests("A member is of the wrong kind.")
    expected = plan(log, old_actor=document["oldActor"], key_id=document["keyId"], inboxes=inboxes)
    if requests_document(expected) != document:
        raise BadMoveRequests("The requests say something else than the key log.")
    return expected


def sign(
    requests: MoveRequests, *, log: PolicyLog, user_key: SigningKey, actor_key: rsa.RSAPrivateKey | None, now: datetime
) -> dict[str, Any]:
    """The owner's answer. Without ``actor_key`` the Move has its proof, and no request is signed.

    Raises Conflict when ``user_key`` is not the one that the old account listed.
    """
    before = document_naming(log, requests.old_actor)
    if before is None or multikey_of(user_key) != before.user.multikey:
        raise Conflict("This is not the #user key of the old account.")
    activity = requests.activity
    proof = proofs.create_proof(activity, key=user_key, verification_method=requests.user_method, created=now)
    body = canonical.jcs({**activity, "proof": proof}).decode()
    date = now.replace(microsecond=0)
    signed = [
        {"inbox": inbox, "signature": _signature(requests.key_id, inbox, body, date, actor_key)}
        for inbox in (requests.inboxes if actor_key is not None else ())
    ]
    return {
        "v": 1,
        "type": "SignedMoveRequests",
        "scid": requests.scid,
        "body": body,
        "date": canonical.time_text(date),
        "expires": canonical.time_text(date + SIGNED_FOR),
        "requests": signed,
    }


def read_signed(data: bytes, *, requests: MoveRequests, log: PolicyLog, now: datetime) -> SignedMove:
    """What the owner signed, judged before anything is sent: the Move that was asked for, and its proof.

    Whether the RSA signatures hold, the receivers judge, who know that key. Raises BadMoveRequests, WrongMoveSignature.
    """
    document = _parse(data, _SIGNED_MEMBERS, "SignedMoveRequests")
    date, expires = _times(document, now)
    if document["scid"] != requests.scid or not isinstance(document["body"], str):
        raise BadMoveRequests("These requests are for another identity.")
    _check_body(document["body"], requests, log, now)
    headers: dict[str, Mapping[str, str]] = {}
    for each in _requests(document["requests"]):
        inbox = each["inbox"]
        if inbox not in requests.inboxes or inbox in headers:
            raise BadMoveRequests("A request is for an inbox that was not asked for, or stands twice.")
        headers[inbox] = _headers(requests.key_id, inbox, document["body"], date, each["signature"])
    return SignedMove(document["body"], date, expires, headers)


def load_actor_key(pem: bytes) -> rsa.RSAPrivateKey:
    """The old account's RSA key out of its archive. Raises BadMoveRequests."""
    try:
        key = serialization.load_pem_private_key(pem, password=None)
    except (ValueError, TypeError) as error:
        raise BadMoveRequests("This is no private key in PEM.") from error
    if not isinstance(key, rsa.RSAPrivateKey):
        raise BadMoveRequests("The key of an old account must be an RSA key.")
    return key


# --- forms ---


def _parse(data: bytes, members: set[str], kind: str) -> dict[str, Any]:
    if len(data) > DOCUMENT_BYTES_MAX:
        raise BadMoveRequests("This is too large for move requests.")
    try:
        document = canonical.parse(data, depth_max=_DEPTH_MAX, fractions=False)
    except ValueError as error:
        raise BadMoveRequests(str(error)) from error
    if not isinstance(document, dict) or document.keys() != members or document["type"] != kind:
        raise BadMoveRequests(f"{kind} have exactly the members of version 1.")
    if isinstance(document["v"], bool) or document["v"] != 1:
        raise BadMoveRequests(f"These are not {kind} of version 1.")
    return document


def _is_texts(value: Any) -> bool:
    return isinstance(value, list) and len(value) <= INBOXES_MAX and all(isinstance(each, str) for each in value)


def _requests(value: Any) -> list[Mapping[str, str]]:
    if not isinstance(value, list) or len(value) > INBOXES_MAX:
        raise BadMoveRequests("The requests must be a list.")
    for each in value:
        if not isinstance(each, dict) or each.keys() != _REQUEST_MEMBERS or not all(isinstance(x, str) for x in each.values()):
            raise BadMoveRequests("A request has an inbox and a signature.")
        if not _BASE64.fullmatch(each["signature"]):
            raise BadMoveRequests("A signature is written in base64.")
    return value


def _times(document: Mapping[str, Any], now: datetime) -> tuple[datetime, datetime]:
    try:
        date, expires = (canonical.parse_time(document[name]) for name in ("date", "expires"))
    except (ValueError, TypeError) as error:
        raise BadMoveRequests("The times must be written YYYY-MM-DDTHH:MM:SSZ.") from error
    if expires != date + SIGNED_FOR:
        raise BadMoveRequests("Requests are signed for twelve hours.")
    if not date - timedelta(hours=1) <= now < expires:
        raise BadMoveRequests("These requests were signed too long ago, or by a clock that is wrong. Sign them again.")
    return date, expires


def _check_places(requests: MoveRequests) -> None:
    if len(requests.inboxes) > INBOXES_MAX:
        raise BadMoveRequests(f"At most {INBOXES_MAX} inboxes can be told at once.")
    try:
        if not hosts.same_origin(requests.key_id, requests.old_actor) or not _QUOTABLE.fullmatch(requests.key_id):
            raise BadMoveRequests("The key belongs to another server than the old account.")
        if any(hosts.canonical_url(inbox) != inbox for inbox in requests.inboxes):
            raise BadMoveRequests("An inbox is not written the one way.")
    except hosts.BadAddress as error:
        raise BadMoveRequests(f"An address cannot be used: {error}") from error


def document_naming(log: PolicyLog, actor: str) -> Document | None:
    """The newest document of the log that names ``actor`` as the person's account."""
    documents = (read(version.entry.state) for version in reversed(log.versions))
    return next((document for document in documents if document.actor == actor), None)


def _check_body(body: str, requests: MoveRequests, log: PolicyLog, now: datetime) -> None:
    try:
        activity = canonical.parse(body.encode(), depth_max=_DEPTH_MAX, fractions=False)
    except ValueError as error:
        raise BadMoveRequests("The body is no JSON.") from error
    proof = activity.get("proof") if isinstance(activity, dict) else None
    if not isinstance(proof, dict) or {name: value for name, value in activity.items() if name != "proof"} != requests.activity:
        raise BadMoveRequests("The body is not the Move that was asked for.")
    if proof.get("verificationMethod") != requests.user_method:
        raise WrongMoveSignature("The Move is not signed by the old account's #user key.")
    before = document_naming(log, requests.old_actor)
    assert before is not None
    try:
        proofs.verify_proof(activity, proof, public=canonical.multikey_ed25519_decode(before.user.multikey), now=now)
    except (proofs.BadProof, proofs.BadSignature) as error:
        raise WrongMoveSignature(f"The proof of the Move does not hold: {error}") from error


# --- draft-cavage-http-signatures-12, section 2 ---


def _headers(key_id: str, inbox: str, body: str, date: datetime, signature: str) -> dict[str, str]:
    expires = int((date + SIGNED_FOR).timestamp())
    return {
        "Host": hosts.parse_url(inbox).authority,
        "Date": format_datetime(date, usegmt=True),
        "Digest": "SHA-256=" + base64.b64encode(hashlib.sha256(body.encode()).digest()).decode(),
        # Without ``expires`` Mastodon takes a request for five minutes (and an hour of grace) only. It is not covered: rsa-sha256
        # may not cover it (section 2.3), and whoever changes it only shortens what the date allows.
        "Signature": f'keyId="{key_id}",algorithm="rsa-sha256",expires={expires},headers="{COVERED}",signature="{signature}"',
    }


def _signing_string(inbox: str, headers: Mapping[str, str]) -> bytes:
    lines = [f"(request-target): post {hosts.parse_url(inbox).target}"]
    lines += [f"{name}: {headers[name.title()]}" for name in COVERED.split()[1:]]
    return "\n".join(lines).encode("ascii")


def _signature(key_id: str, inbox: str, body: str, date: datetime, key: rsa.RSAPrivateKey | None) -> str:
    assert key is not None
    text = _signing_string(inbox, _headers(key_id, inbox, body, date, ""))
    return base64.b64encode(key.sign(text, padding.PKCS1v15(), hashes.SHA256())).decode()
