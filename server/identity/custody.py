"""Keys pass into the owner's hands, or she makes new ones with this server's help: browser and server write one entry.

Two steps. ``prepare``: the browser sends its public keys and gets the entry as it would stand in the log. ``finish``: it sends
the entry back with a proof that it holds the new ``#user`` key; the server signs with the key that the log waits for, and
destroys what it held. A seed, a word, a private key never comes here.
"""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import timedelta
from typing import Any

from django.conf import settings
from django.db import transaction
from nacl.signing import SigningKey

from server.core import canonical, clock, proofs
from server.core.errors import Conflict, Invalid, NotAllowed, WrongState
from server.identity import actions, keylog, queries
from server.identity.keylog import Document, KeyLogError, NumberedKey, PolicyLog
from server.identity.models import CustodyKey, Identity

ENTRY_LIFE = timedelta(minutes=15)
CUSTODIAN = "custodian"


@dataclass(frozen=True)
class OwnerKeys:
    """The public halves of what the browser made: ``#user`` and ``#box`` as Multikeys, and the hash of the next paper key.

    ``with_recovery``: this server keeps a key with which it can help by e-mail when the words are lost. It comes after the paper
    key, which it can never evict (V8b).
    """

    user_key: str
    box_key: str
    paper_key_hash: str
    with_recovery: bool = False


@transaction.atomic
def prepare(*, identity: Identity, wanted: OwnerKeys) -> dict[str, Any]:
    """The entry with which the keys pass to the owner, without its proof. Good for 15 minutes.

    Raises Invalid for keys that are none, Conflict for keys already in use, WrongState when this server cannot sign it.
    """
    log = queries.log_of(identity)
    signer = actions.open_key(_held(identity, log))
    _check_keys(log, wanted)
    next_keys = [wanted.paper_key_hash]
    CustodyKey.objects.filter(identity=identity, role=CUSTODIAN).exclude(public=keylog.multikey_of(signer)).delete()
    if wanted.with_recovery:
        custodian = actions.new_key(CUSTODIAN)
        custodian.identity = identity
        custodian.save()
        next_keys.append(keylog.key_hash(custodian.public))
    return keylog.draft_entry(
        log,
        state=keylog.build(_owned(log, user_key=wanted.user_key, box_key=wanted.box_key)),
        update_key=keylog.multikey_of(signer),
        next_keys=next_keys,
        now=clock.now(),
    )


@transaction.atomic
def finish(*, identity: Identity, entry: Mapping[str, Any], possession: Mapping[str, Any]) -> Identity:
    """Sign the prepared ``entry``, keep it, and destroy the keys that were held here. Records IdentityChanged.

    ``possession`` is an eddsa-jcs-2022 proof of the entry by the new ``#user`` key that it names: a key that nobody holds must
    not become the owner's. Raises Invalid for another entry than ``prepare`` gives, NotAllowed for a proof that does not hold,
    WrongState; then nothing has changed.
    """
    identity = Identity.objects.select_for_update().get(scid=identity.scid)
    log = queries.log_of(identity)
    key = _held(identity, log)
    signer = actions.open_key(key)
    document = _check_entry(identity, log, entry, signer)
    _check_possession(entry, possession, document)
    if not CustodyKey.objects.filter(pk=key.pk, signed_at=None).update(signed_at=clock.now()):
        # A second entry signed by one key would fork the log.
        raise WrongState("The next key of this log has signed a move.")
    longer = keylog.extend(
        log, keylog.sign_entry(entry, key=signer, created=clock.now()), now=clock.now(), loopback=settings.ALLOW_LOOPBACK
    )
    kept = actions.accept_log(data=longer.data, requested=identity.scid)
    hashes = longer.head.parameters.next_key_hashes
    for held in CustodyKey.objects.filter(identity=kept):
        if held.role != CUSTODIAN or keylog.key_hash(held.public) not in hashes:
            held.delete()
    return kept


def can_help(identity: Identity) -> bool:
    """Can this server sign an entry that gives the owner new keys: does it hold the root key, or one for recovery?"""
    return identity.is_home and CustodyKey.objects.filter(identity=identity, role__in=["root", CUSTODIAN]).exists()


def _held(identity: Identity, log: PolicyLog) -> CustodyKey:
    """The key held here that ``log`` waits for: the root key under server custody, else the one for recovery."""
    role = "root" if log.custody == "server" else CUSTODIAN
    if identity.is_home:
        for held in CustodyKey.objects.filter(identity=identity, role=role).order_by("id"):
            if keylog.key_hash(held.public) in log.head.parameters.next_key_hashes:
                return held
    raise WrongState("The next key of this identity is not held here. Use your recovery kit.")


def _owned(log: PolicyLog, *, user_key: str, box_key: str) -> Document:
    document = keylog.read(log.head.entry.state)
    return replace(
        document,
        custody="owner",
        user=document.user.after(user_key),
        box=NumberedKey(1, box_key) if document.box is None else document.box.after(box_key),
    )


def _check_keys(log: PolicyLog, wanted: OwnerKeys) -> None:
    for field, check in (
        ("user_key", canonical.multikey_ed25519_decode),
        ("box_key", canonical.multikey_x25519_decode),
        ("paper_key_hash", canonical.multihash_sha256_decode),
    ):
        try:
            check(getattr(wanted, field))
        except ValueError as error:
            raise Invalid(str(error), field=field) from error
    document = keylog.read(log.head.entry.state)
    if wanted.user_key in (document.user.multikey, document.home.multikey):
        raise Conflict("This key is in use already.", field="user_key")
    if wanted.paper_key_hash in log.head.parameters.next_key_hashes:
        raise Conflict("This identity waits for this key already.", field="paper_key_hash")


def _check_entry(identity: Identity, log: PolicyLog, entry: Mapping[str, Any], signer: SigningKey) -> Document:
    """The entry is one that ``prepare`` gives, made a short while ago. Returns its document."""
    try:
        document = keylog.read(entry["state"])
        time = canonical.parse_time(entry["versionTime"])
        own, *recovery = _added_hashes(log, entry, signer)
        box_key = document.box.multikey if document.box is not None else ""
        wanted = OwnerKeys(document.user.multikey, box_key, own, bool(recovery))
        _check_keys(log, wanted)
        expected = keylog.draft_entry(
            log,
            state=keylog.build(_owned(log, user_key=wanted.user_key, box_key=wanted.box_key)),
            update_key=keylog.multikey_of(signer),
            next_keys=[own, *recovery],
            now=time,
        )
    except (KeyLogError, KeyError, TypeError, ValueError, AttributeError) as error:
        raise Invalid("This is not the entry that was prepared.", field="entry") from error
    if dict(entry) != expected:
        raise Invalid("This is not the entry that was prepared.", field="entry")
    if abs(clock.now() - time) > ENTRY_LIFE:
        raise Invalid("The prepared entry is too old. Prepare another one.", field="entry")
    ours = {keylog.key_hash(key.public) for key in CustodyKey.objects.filter(identity=identity, role=CUSTODIAN)}
    if len(recovery) > 1 or not set(recovery) <= ours:
        raise Invalid("The prepared entry names a key for recovery that is not held here.", field="entry")
    return document


def _added_hashes(log: PolicyLog, entry: Mapping[str, Any], signer: SigningKey) -> list[str]:
    """What the entry commits to beyond what it must carry over."""
    committed = log.head.parameters.next_key_hashes
    place = committed.index(keylog.key_hash(keylog.multikey_of(signer)))
    return [str(one) for one in entry["parameters"]["nextKeyHashes"]][place:]


def _check_possession(entry: Mapping[str, Any], possession: Mapping[str, Any], document: Document) -> None:
    try:
        proofs.plain_created(possession)
        if possession["verificationMethod"] != document.user_method:
            raise NotAllowed("The proof is not by the new #user key.")
        proofs.verify_proof(entry, possession, public=canonical.multikey_ed25519_decode(document.user.multikey), now=clock.now())
    except (proofs.BadProof, proofs.BadSignature) as error:
        raise NotAllowed("The proof by the new #user key does not hold.") from error
