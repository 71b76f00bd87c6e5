"""Rule R2: who sent this request? The answer is a verified activity and the row of its actor, or a named refusal.

The actor is the one the activity names, and the key must stand in her own document, fetched from her own origin. The
key's address in the signature header is therefore compared and never fetched: it cannot send us anywhere.

An activity that proves itself (FEP-8b32) may be carried by anybody: then nothing is believed of who carries it, and the
proof goes before the signature of the request. A proof of hers that does not hold refuses the activity, whoever sends it.
"""

import hashlib
import threading
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

from federation import proven
from federation.fetch import Busy, fetch_actor
from federation.fetch.actors import find
from federation.models import Actor
from federation.peers import DomainBlocked, own_hosts, require_welcome
from federation.wire import activities, json, proving, signatures
from federation.wire.activities import Activity, Delete
from federation.wire.keys import BadKey, Key
from federation.wire.proving import ProofClaim, Proved, WrongProof
from federation.wire.signatures import BadSignature, Claim, Message, Signed
from federation.wire.verified import Verified
from server.accounts import queries
from server.core import budget, clock, hosts, limits
from server.core.errors import NotAllowed, TributaryError

# Requests with unknown keys make us fetch: few at a time, few per server and minute, and each failure is remembered.
FETCHES_AT_ONCE_MAX = 4
FETCHES_PER_HOST_AND_MINUTE_MAX = 60
FAILURE_REMEMBERED_SECONDS = 60

# What her document may have changed since it was read here.
MENDED_BY_A_FRESH_COPY = frozenset({"unknown_proof_key", "wrong_proof"})

_fetches = threading.BoundedSemaphore(FETCHES_AT_ONCE_MAX)


class ForeignActor(NotAllowed):
    """The activity speaks for somebody who did not sign it."""

    code = "foreign_actor"


class ForeignId(NotAllowed):
    """The activity has an id of another server than its actor's."""

    code = "foreign_id"


class Suspended(NotAllowed):
    """This account may not act here."""

    code = "suspended"


class TooManyStrangers(TributaryError):
    """Too many unknown senders at once; try again in a minute."""

    code, status = "too_many_strangers", 429


class NothingToDelete(TributaryError):
    """Somebody unknown deletes herself: there is nothing to do, and nobody needs to be asked who she was."""

    code, status, permanent = "nothing_to_delete", 202, True


@dataclass(frozen=True)
class Authenticated:
    """An activity and the row of who did it.

    ``signed`` is her signature of the request; without it she was proven by ``proved``, and somebody else carried it.
    """

    activity: Verified[Activity]
    actor: Actor
    signed: Signed | None
    proved: Proved | None


def authenticate(message: Message) -> Authenticated:
    """Who did the activity in ``message``.

    Cheap checks come first; the network is asked last, and only for senders that pass them. Raises BadSignature, BadKey,
    WrongProof, BadJson, Malformed, ForeignActor, ForeignId, DomainBlocked, Suspended, TooManyStrangers, NothingToDelete.
    """
    claim = signatures.read(message)
    signatures.check(claim, now=clock.now(), own_hosts=own_hosts())
    document = json.parse(message.body)
    activity = activities.read(document)
    proof = proving.read(document, owner=activity.actor)
    _check_origins(activity, claim, carried=proof is not None)
    actor = _sender(activity, claim)
    evidence = _evidence(claim, proof, actor)
    if isinstance(evidence, TributaryError):
        actor = _refetched(actor, evidence)
        evidence = _evidence(claim, proof, actor)
    if isinstance(evidence, TributaryError):
        raise evidence
    if actor.uri != activity.actor:
        raise ForeignActor
    if actor.account is not None and not queries.is_active(actor.account):
        raise Suspended
    signed, proved = evidence
    witness: Verified[Any] = signed or proved  # type: ignore[assignment]  # one of them is there
    return Authenticated(
        activity=witness.narrow(lambda _: activity),
        actor=actor,
        signed=signed.value if signed else None,
        proved=proved.value if proved else None,
    )


Evidence = tuple[Verified[Signed] | None, Verified[Proved] | None]


def _evidence(claim: Claim, proof: ProofClaim | None, actor: Actor) -> Evidence | BadSignature | WrongProof:
    """What speaks for ``actor``; a refusal that a fresh copy of her document may mend is returned, every other raised."""
    if proof is None:
        signed = _verify(claim, actor)
        return (signed, None) if signed is not None else BadSignature("wrong_signature")
    try:
        proved = proven.judge(proof, actor)
    except WrongProof as error:
        if error.reason in MENDED_BY_A_FRESH_COPY:
            return error
        raise
    if not hosts.same_origin(claim.key_id, actor.uri):
        return None, proved
    try:
        return _verify(claim, actor), proved
    except (BadSignature, BadKey):
        # FEP-8b32: the proof takes precedence, and the signature may be dismissed.
        return None, proved


def _check_origins(activity: Activity, claim: Claim, *, carried: bool) -> None:
    try:
        require_welcome(activity.actor)
    except DomainBlocked:
        raise
    except NotAllowed as error:
        raise ForeignActor("the activity speaks for somebody here") from error
    if not hosts.same_origin(activity.uri, activity.actor):
        raise ForeignId
    try:
        if not hosts.same_origin(claim.key_id, activity.actor):
            if not carried:
                raise ForeignActor
            require_welcome(claim.key_id)
    except hosts.BadAddress as error:
        raise BadSignature("malformed_key_id") from error


def _sender(activity: Activity, claim: Claim) -> Actor:
    known = find(activity.actor)
    if known is None and isinstance(activity, Delete) and activity.object_uri == activity.actor:
        raise NothingToDelete
    if known is None:
        return _fetched(activity.actor, seconds_old_max=limits.ACTOR_KEY_CACHE_SECONDS)
    if known.fetched_at < clock.now() - timedelta(seconds=limits.ACTOR_KEY_CACHE_SECONDS) and _may_refetch(known):
        try:
            return _fetched(known.uri, seconds_old_max=limits.ACTOR_KEY_CACHE_SECONDS)
        except (BadSignature, TooManyStrangers):
            # Her server is away for the moment (or she is gone and this is her farewell): the key we have must do.
            return known
    return known


def _verify(claim: Claim, actor: Actor) -> Verified[Signed] | None:
    """None when the key is not the right one, which a fresh copy may mend. Every other fault raises BadSignature or BadKey."""
    key = Key(id=actor.key_id, owner=actor.uri, pem=actor.public_key_pem)
    try:
        return signatures.verify(claim, key, now=clock.now(), own_hosts=own_hosts())
    except BadSignature as error:
        if error.reason in {"wrong_signature", "wrong_key"}:
            return None
        raise


def _refetched(actor: Actor, refusal: BadSignature | WrongProof) -> Actor:
    if not _may_refetch(actor):
        raise refusal
    try:
        return _fetched(actor.uri, seconds_old_max=0)
    except BadSignature as error:
        raise type(refusal)(refusal.reason, f"{refusal}, and {error}") from error


def _may_refetch(actor: Actor) -> bool:
    """At most one refetch of an actor in ``ACTOR_KEY_REFETCH_SECONDS_MIN``, in whatever process: bad signatures cost one GET."""
    return budget.once(f"refetch:{actor.pk}", limits.ACTOR_KEY_REFETCH_SECONDS_MIN)


def _fetched(uri: str, *, seconds_old_max: float) -> Actor:
    name = f"no-key:{hashlib.sha256(uri.encode()).hexdigest()}"
    if budget.is_remembered(name):
        raise BadSignature("key_not_available")
    if not budget.spend(f"keys:{hosts.parse_url(uri).authority}", per_minute_max=FETCHES_PER_HOST_AND_MINUTE_MAX):
        raise TooManyStrangers
    if not _fetches.acquire(blocking=False):
        raise TooManyStrangers
    try:
        return fetch_actor(uri, seconds_old_max=seconds_old_max)
    except BadKey:
        raise
    except TributaryError as error:
        if not isinstance(error, Busy):
            budget.remember(name, FAILURE_REMEMBERED_SECONDS)
        raise BadSignature("key_not_available", f"the sender could not be looked up: {error}") from error
    finally:
        _fetches.release()
