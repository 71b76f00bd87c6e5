"""Reading identities: their logs, replayed and checked every time, and the keys under our custody."""

import functools
from dataclasses import dataclass
from datetime import datetime

from django.conf import settings
from nacl.signing import SigningKey

from server.core import clock, keys, limits, locators
from server.core.errors import Conflict, NotFound, WrongState
from server.identity import keylog
from server.identity.keylog import Document, PolicyLog, SeenHead, Version
from server.identity.models import CustodyKey, Identity, OutboxHead

WATCHER_PATH = "/.well-known/webvh"


class Contested(Conflict):
    """The keys of this identity signed two histories, and it is not settled which one counts."""

    code = "contested"


class EffectsHeld(WrongState):
    """What cannot be taken back waits: a key of lower priority signed the newest entries."""

    code = "effects_held"


class TooFewReceipts(WrongState):
    """Too few other instances say that they have seen the newest entry of this log."""

    code = "too_few_receipts"


@dataclass(frozen=True)
class Replica:
    """An instance that keeps, or is to keep, a copy of a log of ours. ``is_named``: the log itself says so."""

    origin: str
    is_named: bool
    version: int
    receipt_at: datetime | None
    tried_at: datetime | None
    error: str


def by_scid(scid: str) -> Identity:
    """The identity we know by this SCID. Raises NotFound."""
    found = Identity.objects.filter(scid=scid).first()
    if found is None:
        raise NotFound("This identity is not known here.")
    return found


def log_bytes(identity: Identity) -> bytes:
    """The log file as it is published: every line with its line feed."""
    return b"".join(bytes(line) + b"\n" for line in identity.lines.order_by("number").values_list("line", flat=True))


def log_of(identity: Identity) -> PolicyLog:
    """The stored log, verified again: a row changed behind our back is found here. Raises KeyLogError."""
    return keylog.verify_policy(
        log_bytes(identity),
        now=clock.now(),
        caps=keylog.HARD,
        requested=identity.scid,
        witness_file=witness_file(identity),
        loopback=settings.ALLOW_LOOPBACK,
    )


def witness_file(identity: Identity) -> bytes | None:
    """The did-witness.json that is kept beside the log; None where the log names no witnesses."""
    return None if identity.witness_file is None else bytes(identity.witness_file)


def known_log(identity: Identity) -> PolicyLog:
    """As ``log_of``, but verified only once in each process: a version of a log never changes. Raises KeyLogError."""
    return _log_at(identity.scid, identity.head_version_id)


@functools.lru_cache(maxsize=1024)
def _log_at(scid: str, head_version_id: str) -> PolicyLog:
    return log_of(by_scid(scid))


def document_of(identity: Identity) -> Document:
    """What the identity says about itself in its newest entry."""
    return keylog.document.read(log_of(identity).head.entry.state)


def document_naming(identity: Identity, actor_uri: str) -> Document | None:
    """What the newest entry that names ``actor_uri`` as the person's account says; None where no entry does."""
    for version in reversed(known_log(identity).versions):
        document = keylog.document.read(version.entry.state)
        if document.actor == actor_uri:
            return document
    return None


def documents(identity: Identity) -> list[Document]:
    """What each entry says about the identity, oldest first."""
    return [keylog.document.read(version.entry.state) for version in log_of(identity).versions]


def former_actor(identity: Identity) -> str:
    """The actor at the home before this one; empty for an identity that began here."""
    prior = document_of(identity).prior
    return next((name for name in reversed(prior) if name.startswith(("http://", "https://"))), "")


def custody_key(identity: Identity, role: str, *, public: str | None = None) -> SigningKey:
    """A key we hold for ``identity``. Raises WrongState when its owner holds it, or another home does."""
    held = CustodyKey.objects.filter(identity=identity, role=role, **({} if public is None else {"public": public}))
    found = held.order_by("-id").first()
    if found is None:
        raise WrongState("The keys of this identity are not held here.")
    return SigningKey(keys.unseal(bytes(found.private_sealed)))


def home_of(*, handle: str, home_key: str) -> keylog.Home:
    """This instance as the home of ``handle``, with the key it made for this one person."""
    host, _, port = settings.HOST.partition(":")
    return keylog.Home(
        host=host,
        port=int(port) if port else None,
        path=("u", handle),
        actor=locators.actor_uri(handle),
        acct=f"acct:{handle}@{settings.HOST}",
        key=home_key,
    )


def receipt_bytes(identity: Identity) -> list[bytes]:
    """The receipts that are kept for this log, ours among them, by number: canonical bytes of each."""
    return [bytes(one) for one in identity.receipts.values_list("document", flat=True)[: limits.RECEIPTS_COUNT_MAX]]


def votes(identity: Identity, number: int) -> dict[str, str]:
    """Which entry of this number each other instance says it saw first (V16).

    The home is a party, and what we saw ourselves is the pin already: neither has a vote.
    """
    given = identity.receipts.filter(number=number).exclude(replica__in=[identity.home_origin, settings.ORIGIN])
    return dict(given.values_list("replica", "version_id"))


def receipts_for_head(identity: Identity) -> int:
    """How many instances other than the home and this one say that they have seen the newest entry."""
    return list(votes(identity, identity.head_number).values()).count(identity.head_version_id)


def effects_held_until(scid: str) -> datetime | None:
    """Until when effects outside that cannot be taken back wait (key-log.md, What waits); None when nothing waits.

    A wait begins when *we* first saw the entry. The moment may lie in the past: then it is over. Raises NotFound.
    """
    identity = by_scid(scid)
    seen = dict(identity.lines.values_list("number", "received_at"))
    return keylog.effects_held_until(log_of(identity), seen=seen)


def check_effects(scid: str) -> None:
    """May an effect outside that cannot be taken back happen now for this identity: a Move to plain servers, a payout?

    Raises Contested, EffectsHeld, TooFewReceipts: two instances other than the home and this one must have seen the newest entry.
    """
    identity = by_scid(scid)
    if identity.contested_at is not None:
        raise Contested
    until = effects_held_until(scid)
    if until is not None and clock.now() < until:
        raise EffectsHeld(f"A key of lower priority signed: this waits until {clock.iso(until)}.")
    if receipts_for_head(identity) < limits.EFFECT_RECEIPTS_MIN:
        raise TooFewReceipts


def replicas_of(identity: Identity) -> list[Replica]:
    """Where copies of this log are, or are to be: those the log names first, each with what it last said."""
    named = [endpoint.removesuffix(WATCHER_PATH) for endpoint in document_of(identity).replicas]
    copies = {copy.watcher.origin: copy for copy in identity.copies.select_related("watcher").order_by("id")}
    found = []
    for origin in dict.fromkeys([*named, *copies]):
        copy = copies.get(origin)
        found.append(
            Replica(
                origin=origin,
                is_named=origin in named,
                version=int(copy.version_id.partition("-")[0]) if copy is not None and copy.version_id else 0,
                receipt_at=copy.receipt_at if copy is not None else None,
                tried_at=copy.tried_at if copy is not None else None,
                error=copy.error if copy is not None else "",
            )
        )
    return found


def covered_at(identity: Identity, digest: str) -> datetime | None:
    """When the object with this digest (``keylog.digest_of``) was first covered by a head that is kept here."""
    return keylog.covered_at(_heads_from(identity, digest), digest)


def was_covered_before(identity: Identity, digest: str, moment: datetime) -> bool:
    """Was this object covered by a head that was first seen before ``moment``?"""
    at = covered_at(identity, digest)
    return at is not None and at < moment


def check_covered(identity: Identity, *, key: str, created: datetime, digest: str) -> Version:
    """Rule V17 whole, with the log and the heads that are kept here: the version under which ``key`` signed. Raises V17Object."""
    heads = _heads_from(identity, digest)
    return keylog.check_covered(log_of(identity), scid=identity.scid, key=key, created=created, digest=digest, heads=heads)


def _heads_from(identity: Identity, digest: str) -> list[SeenHead]:
    """The heads of an object, and all that may chain back to them."""
    first = OutboxHead.objects.filter(identity=identity, object=digest).order_by("seq").first()
    if first is None:
        return []
    return [seen_head(row) for row in OutboxHead.objects.filter(identity=identity, seq__gte=first.seq).defer("document")]


def seen_head(row: OutboxHead) -> SeenHead:
    """A row as the key log package knows it."""
    head = keylog.Head(
        scid=row.identity_id,
        seq=row.seq,
        prev=row.prev,
        object=row.object,
        created=row.created,
        digest=row.digest,
        number=row.number,
    )
    return SeenHead(head, row.seen_at)
