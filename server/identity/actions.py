"""The verbs of identities: begin, accept what a log says, offer a home, leave, arrive. Each checks, changes, records."""

import secrets
from collections.abc import Mapping, Sequence
from datetime import timedelta
from typing import Any
from urllib.parse import urlsplit

from django.conf import settings
from django.db import transaction
from nacl.signing import SigningKey

from server.core import canonical, clock, facts, keys, locators
from server.core.errors import Conflict, Invalid, NotFound, TributaryError, WrongState
from server.identity import contests, hostgrant, keylog, queries, receipts
from server.identity.facts import HomeMoved, IdentityChanged
from server.identity.keylog import PolicyLog
from server.identity.keylog.errors import V15Fork
from server.identity.models import CustodyKey, HomeOffer, Identity, KeyLogLine, Receipt, Tombstone
from server.identity.offer import Offer

OFFER_SECONDS = 24 * 3600


class Tombstoned(TributaryError):
    """The owner of this log had our copy deleted; it is not kept again for a while."""

    code, status, permanent = "tombstoned", 410, True


@transaction.atomic
def create_identity(*, handle: str, home_key: str) -> Identity:
    """A new identity for the local ``handle``, its keys in this server's custody, which the log says. Records IdentityChanged."""
    moment = clock.now()
    first, following, user = (new_key(role) for role in ("root", "root", "user"))
    document = keylog.first_document(queries.home_of(handle=handle, home_key=home_key), user_key=user.public, custody="server")
    log = keylog.genesis(
        document=document,
        key=open_key(first),
        next_keys=[keylog.key_hash(following.public)],
        now=moment,
        loopback=settings.ALLOW_LOOPBACK,
    )
    identity = _store(log, known=None)
    # The key of entry 1 is spent: it is never written down.
    for held in (following, user):
        held.identity = identity
        held.save()
    return identity


def accept_log(*, data: bytes, requested: str | None = None, witness_file: bytes | None = None, source: str = "") -> Identity:
    """Take a log from anywhere: verify it, hold it against the pin, keep what is new. Records IdentityChanged, HomeMoved.

    Any source is equal, for the log proves itself; ``source`` only names it. Raises KeyLogError (V1-V16 by name), Tombstoned;
    then nothing has changed, but that of a log that forks from ours the evidence is kept.
    """
    scid = keylog.claimed_scid(data)
    known = Identity.objects.filter(scid=scid).first()
    if witness_file is None and known is not None:
        witness_file = queries.witness_file(known)
    log = keylog.verify_policy(
        data,
        now=clock.now(),
        caps=keylog.SOFT if known is None else keylog.HARD,
        requested=requested,
        witness_file=witness_file,
        loopback=settings.ALLOW_LOOPBACK,
    )
    try:
        return _accept(log, witness_file)
    except V15Fork:
        if known is not None:
            contests.keep_rival(scid=scid, data=data, source=source)
        raise


@transaction.atomic
def _accept(log: PolicyLog, witness_file: bytes | None) -> Identity:
    known = Identity.objects.select_for_update().filter(scid=log.scid).first()
    if known is not None:
        keylog.check_pin(log, pinned=known.lines.values_list("version_id", flat=True))
    deleted = Tombstone.objects.filter(scid=log.scid).first()
    if deleted is not None:
        if deleted.until > clock.now():
            raise Tombstoned(f"The owner had this log deleted. It is not kept again before {clock.iso(deleted.until)}.")
        keylog.check_pin(log, pinned=[deleted.version_id])
    return _store(log, known=known, witness_file=witness_file)


@transaction.atomic
def offer_home(*, scid: str, handle: str, actor_uri: str, home_key: str) -> Offer:
    """Make this instance ready to become the home of ``scid`` under the local ``handle``; good for one day, used once."""
    root, user = new_key("root"), new_key("user")
    root.save()
    user.save()
    nonce = secrets.token_urlsafe(24)
    HomeOffer.objects.filter(actor_uri=actor_uri, claimed_at=None).delete()
    HomeOffer.objects.create(
        nonce=nonce,
        scid=scid,
        actor_uri=actor_uri,
        handle=handle,
        home_key=home_key,
        root_key=root,
        user_key=user,
        expires_at=clock.now() + timedelta(seconds=OFFER_SECONDS),
    )
    return open_offer(actor_uri=actor_uri)


def open_offer(*, actor_uri: str) -> Offer:
    """The offer that stands for the local ``actor_uri``. Raises NotFound when there is none or its day is over."""
    found = (
        HomeOffer.objects.filter(actor_uri=actor_uri, claimed_at=None, expires_at__gt=clock.now())
        .select_related("root_key", "user_key")
        .first()
    )
    if found is None:
        raise NotFound("No move to this account is expected. Begin it at the new home.")
    return Offer(
        nonce=found.nonce,
        scid=found.scid,
        audience=settings.ORIGIN,
        home=queries.home_of(handle=found.handle, home_key=found.home_key),
        user_key=found.user_key.public,
        root_key_hash=keylog.key_hash(found.root_key.public),
    )


def sign_move(*, identity: Identity, offer: Offer) -> tuple[PolicyLog, dict[str, Any]]:
    """The log with one more entry that names the home of ``offer``, and the HostGrant for it. Stores no entry.

    The root key is marked as used: from now on it signs no entry but this move's, or there would be a fork.

    Under server custody all keys pass to the new home: the entry commits to the new home's root key, so that it alone
    can write what follows, and its first entry takes a ``#user`` key of its own (``arrive``). Raises WrongState when
    the keys are not held here, Conflict when the offer is for somebody else.
    """
    if offer.scid != identity.scid:
        raise Conflict("The other home expects another identity.")
    log = queries.log_of(identity)
    held = _committed_root(identity, log)
    if not CustodyKey.objects.filter(pk=held.pk).update(signed_at=clock.now()):
        raise WrongState("The log has just grown. Try again.")
    root = open_key(held)
    moved = keylog.move(
        log,
        home=offer.home,
        key=root,
        next_keys=[offer.root_key_hash],
        now=clock.now(),
        loopback=settings.ALLOW_LOOPBACK,
    )
    user = queries.custody_key(identity, "user", public=keylog.document.read(moved.head.entry.state).user.multikey)
    grant = hostgrant.make_host_grant(moved, audience=offer.audience, nonce=offer.nonce, key=user, now=clock.now())
    return moved, grant


@transaction.atomic
def leave_home(*, identity: Identity, data: bytes) -> Identity:
    """The new home has taken ``identity``: keep the log that says so, destroy the keys held here. Records HomeMoved."""
    kept = Identity.objects.select_for_update().get(pk=identity.pk)
    if kept.is_home:
        kept = accept_log(data=data, requested=identity.scid)
    # Else the new home was quicker: it has brought us the log already, with an entry more.
    if kept.is_home:
        raise WrongState("The log still names this instance as the home.")
    CustodyKey.objects.filter(identity=kept).delete()
    return kept


@transaction.atomic
def arrive(*, data: bytes, grant: Mapping[str, Any]) -> Identity:
    """Become the home of an identity: its log names us, and its HostGrant answers our challenge (rule V18).

    Under server custody the next entry is written at once: it replaces the ``#user`` key, which the old home still knows, by our
    own. Under owner custody her keys stay hers; ours is kept only where her entry commits to it for recovery.
    Raises KeyLogError, GrantRefused, NotFound; then nothing has changed and the challenge is still open.
    """
    offered = HomeOffer.objects.select_for_update().filter(nonce=str(grant.get("nonce", ""))).first()
    if offered is None:
        raise NotFound("No move with this challenge is expected here.")
    log = keylog.verify_policy(data, now=clock.now(), caps=keylog.SOFT, requested=offered.scid, loopback=settings.ALLOW_LOOPBACK)
    fresh = offered.claimed_at is None and offered.expires_at > clock.now()
    granted = hostgrant.accept_host_grant(
        grant, log=log, audience=settings.ORIGIN, nonce=offered.nonce, now=clock.now(), nonce_is_fresh=fresh
    )
    if (granted.actor, granted.home_key) != (offered.actor_uri, offered.home_key):
        raise Conflict("The move names another account or another key than was offered.")
    # Her keys brought her here: what she once had deleted is hers to bring back.
    Tombstone.objects.filter(scid=offered.scid).delete()
    accept_log(data=data, requested=offered.scid)
    identity = _take_keys(log, offered) if log.custody != "owner" else _leave_keys(log, offered)
    identity.host_grant = dict(grant)
    identity.save(update_fields=["host_grant"])
    return identity


def _take_keys(log: PolicyLog, offered: HomeOffer) -> Identity:
    """The keys of an identity under server custody become ours, with an entry that only we can follow."""
    if keylog.key_hash(offered.root_key.public) not in log.head.parameters.next_key_hashes:
        raise Invalid("The log does not commit to the key of its new home.")
    following = new_key("root")
    ours = keylog.rotate_user(
        log,
        user_key=offered.user_key.public,
        key=open_key(offered.root_key),
        next_keys=[keylog.key_hash(following.public)],
        now=clock.now(),
        loopback=settings.ALLOW_LOOPBACK,
    )
    identity = accept_log(data=ours.data, requested=offered.scid)
    following.identity = identity
    following.save()
    CustodyKey.objects.filter(id=offered.user_key_id).update(identity=identity)
    offered.claimed_at = clock.now()
    offered.save(update_fields=["claimed_at"])
    return identity


def _leave_keys(log: PolicyLog, offered: HomeOffer) -> Identity:
    """The owner holds her keys. The offer and its keys go, but for the one that she wants us to have for recovery."""
    identity = queries.by_scid(log.scid)
    if keylog.key_hash(offered.root_key.public) in log.head.parameters.next_key_hashes[1:]:
        CustodyKey.objects.filter(id=offered.root_key_id).update(identity=identity, role="custodian")
    else:
        offered.root_key.delete()
    CustodyKey.objects.filter(id=offered.user_key_id).delete()
    return identity


@transaction.atomic
def name_replicas(*, identity: Identity, origins: Sequence[str]) -> Identity:
    """Write into the log which instances keep copies of it, with the key that is held here. Records IdentityChanged.

    Raises WrongState when the keys are not held here, or the next key signed a move that may be under way.
    """
    identity = Identity.objects.select_for_update().get(pk=identity.pk)
    log = queries.log_of(identity)
    held = _committed_root(identity, log)
    if not CustodyKey.objects.filter(pk=held.pk, signed_at=None).update(signed_at=clock.now()):
        raise WrongState("The next key of this log has signed a move.")
    following = new_key("root")
    named = keylog.name_replicas(
        log,
        replicas=[f"{origin}{queries.WATCHER_PATH}" for origin in origins],
        key=open_key(held),
        next_keys=[keylog.key_hash(following.public)],
        now=clock.now(),
        loopback=settings.ALLOW_LOOPBACK,
    )
    identity = accept_log(data=named.data, requested=identity.scid)
    following.identity = identity
    following.save()
    # A spent key is destroyed.
    held.delete()
    return identity


def _committed_root(identity: Identity, log: PolicyLog) -> CustodyKey:
    for held in CustodyKey.objects.filter(identity=identity, role="root"):
        if keylog.key_hash(held.public) in log.head.parameters.next_key_hashes:
            return held
    if log.custody == "owner":
        raise WrongState("You hold the keys of this identity: sign the move with your recovery kit. This server cannot.")
    raise WrongState("The key for the next entry of this log is not held here.")


def new_key(role: str) -> CustodyKey:
    """A key pair to be held here, not saved yet."""
    pair = keys.make_ed25519()
    return CustodyKey(role=role, public=pair.public, private_sealed=pair.private_sealed)


def open_key(held: CustodyKey) -> SigningKey:
    """The private half of a key that is held here."""
    return SigningKey(keys.unseal(bytes(held.private_sealed)))


def give_receipts(identity: Identity, log: PolicyLog) -> None:
    """Say with our ``#instance-1`` which versions we have seen and when: once for each number, what is pinned."""
    said = set(identity.receipts.filter(replica=settings.ORIGIN).values_list("number", flat=True))
    seen = dict(identity.lines.values_list("number", "received_at"))
    key = SigningKey(keys.unseal(bytes(keys.instance_key("instance-1", "ed25519").private_sealed)))
    for version in log.versions:
        number, version_id = version.entry.number, version.entry.version_id
        if number in said:
            continue
        document = receipts.make_receipt(
            scid=log.scid,
            version_id=version_id,
            replica=settings.ORIGIN,
            verification_method=f"{locators.instance_actor_uri()}#instance-1",
            key=key,
            now=seen[number],
        )
        Receipt.objects.create(
            identity=identity,
            replica=settings.ORIGIN,
            number=number,
            version_id=version_id,
            first_seen=receipts.first_seen_of(document),
            document=canonical.jcs(document),
        )


def home_origin(document: keylog.Document) -> str:
    """The origin of the home that a document names."""
    return "{0.scheme}://{0.netloc}".format(urlsplit(document.actor))


def _store(log: PolicyLog, *, known: Identity | None, witness_file: bytes | None = None) -> Identity:
    """Keep the versions of ``log`` that ``known`` lacks, and move the pin."""
    document = keylog.document.read(log.head.entry.state)
    have = known.head_number if known is not None else 0
    if known is not None and have == len(log.versions):
        Identity.objects.filter(scid=known.scid).update(checked_at=clock.now())
        return known
    origin = home_origin(document)
    freeze = max(keylog.payout_freeze(log, number) for number in range(have + 1, len(log.versions) + 1))
    # An entry never shortens the freeze of an earlier one.
    frozen = [clock.now() + freeze] if freeze else []
    if known is not None and known.payouts_frozen_until is not None:
        frozen.append(known.payouts_frozen_until)
    was_home = known is not None and known.is_home
    identity, _ = Identity.objects.update_or_create(
        scid=log.scid,
        defaults={
            "did": log.did.text,
            "actor_uri": document.actor,
            "home_origin": origin,
            "is_home": origin == settings.ORIGIN,
            "custody": document.custody,
            "head_number": len(log.versions),
            "head_version_id": log.head.entry.version_id,
            "log_bytes": len(log.data),
            **({"witness_file": witness_file} if witness_file is not None else {}),
            "payouts_frozen_until": max(frozen, default=None),
            "changed_at": clock.now(),
            "checked_at": clock.now(),
            **({"host_grant": None} if known is not None and known.actor_uri != document.actor else {}),
        },
    )
    KeyLogLine.objects.bulk_create(
        KeyLogLine(identity=identity, number=number, version_id=version.entry.version_id, line=version.entry.line)
        for number, version in enumerate(log.versions, start=1)
        if number > have
    )
    give_receipts(identity, log)
    contests.judge(identity)
    facts.record(IdentityChanged(scid=identity.scid, version_id=identity.head_version_id))
    if was_home and not identity.is_home:
        assert known is not None
        facts.record(HomeMoved(scid=identity.scid, old_actor_uri=known.actor_uri, new_actor_uri=identity.actor_uri))
    return identity
