"""Outbox heads: a home server says which object came next, chained, so that nothing can be slipped in later.

Replicas note when a head first reached them. Once a ``#home`` key is removed, only what a head from before covers still
counts (V17). The format stands in docs/reference/outbox-head.md.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from nacl.signing import SigningKey

from server.core import canonical, proofs
from server.core.errors import TributaryError
from server.identity.keylog import limits
from server.identity.keylog.errors import V17Object
from server.identity.keylog.objects import asserting_key, check_object, may_assert
from server.identity.keylog.replay import PolicyLog
from server.identity.keylog.rules import Version

NOTHING_BEFORE = "0" * 64
_MEMBERS = {"v", "scid", "seq", "prev", "object", "created", "proof"}
_HEX = frozenset("0123456789abcdef")


class HeadRefused(TributaryError):
    """The outbox head is not accepted."""

    code, status, permanent = "head", 422, True


class BadHeadForm(HeadRefused):
    """The head is not of the form of version 1."""

    code = "head_form"


class WrongHeadKey(HeadRefused):
    """The head is not signed by a home key that could speak for this identity then."""

    code = "head_key"


class HeadFromTheFuture(HeadRefused):
    """The head says it was made in the future."""

    code = "head_time"


class HeadGap(HeadRefused):
    """The head follows one that is not here; ask for those between."""

    code, permanent = "head_gap", False


class HeadFork(HeadRefused):
    """The home server signed another head in this place before; the one seen first counts."""

    code = "head_fork"


@dataclass(frozen=True)
class Head:
    """A checked head. ``object`` and ``digest`` (of the head itself) are SHA-256 in hex of JCS bytes with their proofs.

    ``number`` is the entry of the key log that brought its key.
    """

    scid: str
    seq: int
    prev: str
    object: str
    created: datetime
    digest: str
    number: int


@dataclass(frozen=True)
class SeenHead:
    """A head and when it first reached whoever keeps it; None where it was filled in later and only chained to."""

    head: Head
    seen_at: datetime | None


def digest_of(document: Mapping[str, Any]) -> str:
    """What ``object`` and ``prev`` hold for a document with its proofs. Raises ValueError for what JSON cannot say."""
    return canonical.sha256_hex(canonical.jcs(document))


def make_head(
    log: PolicyLog, *, previous: Mapping[str, Any] | None, document: Mapping[str, Any], key: SigningKey, now: datetime
) -> dict[str, Any]:
    """The head for ``document`` after the head ``previous`` (None for the first), signed by the home key of the newest entry.

    Raises WrongHeadKey when ``key`` is another.
    """
    created = canonical.time_text(now)
    head = {
        "v": 1,
        "scid": log.scid,
        "seq": 1 if previous is None else previous["seq"] + 1,
        "prev": NOTHING_BEFORE if previous is None else digest_of(previous),
        "object": digest_of(document),
        "created": created,
    }
    method = _home_method(log.head, canonical.multikey_ed25519(bytes(key.verify_key)))
    return {**head, "proof": proofs.create_proof(head, key=key, verification_method=method, created=now)}


def verify_head(document: Mapping[str, Any], *, log: PolicyLog, now: datetime, seen_at: datetime | None = None) -> Head:
    """The head, if a ``#home`` key of ``log`` signed it while it could. Raises HeadRefused.

    ``seen_at``: when it, or a head that chains back to it, was first seen; else it is new, and a removed key signs nothing new.
    """
    _check_form(document)
    created, proof = canonical.parse_time(document["created"]), document["proof"]
    if created > now + timedelta(seconds=limits.CLOCK_SKEW_SECONDS):
        raise HeadFromTheFuture
    key = _key_of(log, proof["verificationMethod"])
    try:
        version = check_object(log, scid=document["scid"], key=key, created=created, covered_at=seen_at or now)
        proofs.verify_proof(document, proof, public=canonical.multikey_ed25519_decode(key), now=now)
    except (V17Object, proofs.BadProof, proofs.BadSignature, ValueError) as error:
        raise WrongHeadKey(str(error)) from error
    if asserting_key(version.entry.state, proof["verificationMethod"]) != key:
        raise WrongHeadKey("the key had another name then")
    return Head(
        scid=document["scid"],
        seq=document["seq"],
        prev=document["prev"],
        object=document["object"],
        created=created,
        digest=digest_of(document),
        number=next(one.entry.number for one in log.versions if may_assert(one.entry.state, key)),
    )


def extend_heads(chain: Sequence[SeenHead], head: Head, *, seen_at: datetime) -> tuple[SeenHead, ...]:
    """``chain`` with one more head; unchanged when it is there already. Raises HeadGap, HeadFork; nothing changes.

    A chain may begin anywhere: a replica follows from when it is asked to. A new home that came by less of the chain than
    we hold (the old one died) goes on from what it has: its key stands in a later entry of the log, so what the old home
    said after that place stays seen, and is not gone on from.
    """
    if not chain or any(one.head.digest == head.digest for one in chain):
        return tuple(chain) or (SeenHead(head, seen_at),)
    if any(one.head.seq >= head.seq and one.head.number >= head.number for one in chain):
        raise HeadFork
    before = next((one.head for one in chain if one.head.digest == head.prev), None)
    if before is None and head.seq > 1:
        raise HeadGap
    if before is not None and head.seq != before.seq + 1:
        raise BadHeadForm("the number does not follow that of the head before")
    return (*chain, SeenHead(head, seen_at))


def covered_at(heads: Iterable[SeenHead], digest: str) -> datetime | None:
    """When the object with this digest was first covered: its own head was seen, or one that chains back to it."""
    earliest: dict[str, datetime] = {}
    found: list[datetime] = []
    # From the last to the first, so that each head knows what vouches for it before it vouches for the one before it.
    for one in sorted(heads, key=lambda one: one.head.seq, reverse=True):
        times = [at for at in (one.seen_at, earliest.get(one.head.digest)) if at is not None]
        if not times:
            continue
        earliest[one.head.prev] = min(*times, earliest.get(one.head.prev, times[0]))
        found += times if one.head.object == digest else []
    return min(found, default=None)


def check_covered(log: PolicyLog, *, scid: str, key: str, created: datetime, digest: str, heads: Sequence[SeenHead]) -> Version:
    """Rule V17 whole: the version under which ``key`` signed the object with this digest. Raises V17Object.

    A key that has been removed since counts only for what a head covers that was seen before the removal.
    """
    return check_object(log, scid=scid, key=key, created=created, covered_at=covered_at(heads, digest))


def _check_form(document: Mapping[str, Any]) -> None:
    if document.keys() != _MEMBERS:
        raise BadHeadForm("a head has exactly the members of version 1")
    if not all(isinstance(document[name], str) for name in ("scid", "prev", "object", "created")):
        raise BadHeadForm("a member is of the wrong kind")
    if not all(type(document[name]) is int for name in ("v", "seq")) or document["v"] != 1:
        raise BadHeadForm("this is not a head of version 1")
    if not 1 <= document["seq"] <= canonical.JSON_INTEGER_MAX:
        raise BadHeadForm("seq counts from 1")
    if not all(len(document[name]) == len(NOTHING_BEFORE) and _HEX.issuperset(document[name]) for name in ("prev", "object")):
        raise BadHeadForm("prev and object are SHA-256 in lower-case hex")
    if (document["seq"] == 1) != (document["prev"] == NOTHING_BEFORE):
        raise BadHeadForm("the first head, and no other, has nothing before it")
    try:
        canonical.multihash_sha256_decode(document["scid"])
        created = canonical.parse_time(document["created"])
        proved = proofs.plain_created(document["proof"])
    except (ValueError, proofs.BadProof) as error:
        raise BadHeadForm(str(error)) from error
    if created != proved:
        raise BadHeadForm("the head and its proof name two times")


def _home_method(version: Version, key: str) -> str:
    """The id under which the version's document lists ``key`` as a home key."""
    methods = version.entry.state.get("verificationMethod")
    for one in methods if isinstance(methods, list) else []:
        method = one.get("id") if isinstance(one, dict) else None
        if isinstance(method, str) and "#home-" in method and asserting_key(version.entry.state, method) == key:
            return method
    raise WrongHeadKey


def _key_of(log: PolicyLog, method: Any) -> str:
    """The Multikey that the newest entry to know ``method`` lists for it. Raises WrongHeadKey."""
    if isinstance(method, str) and "#home-" in method:
        for version in reversed(log.versions):
            key = asserting_key(version.entry.state, method)
            if key is not None:
                return key
    raise WrongHeadKey("no entry of the log lists this home key")
