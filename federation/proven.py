"""Proofs of remote actors, judged by what their document lists and, where we keep it, by the key log of their identity."""

from datetime import datetime

from federation.models import Actor, ProvenDocument
from federation.wire import json, proving
from federation.wire.json import JsonObject
from federation.wire.proving import ProofClaim, Proved, WrongProof
from federation.wire.verified import Verified
from server.accounts.models import Account
from server.core import clock
from server.identity import copies, keylog, queries, resolver
from server.identity.copies import CopyRefused, ProvenCopy
from server.identity.models import Identity

# A key that our copy of the log does not know may be newer than the copy.
LOG_SECONDS_OLD_MIN = 60


def judge(claim: ProofClaim, actor: Actor) -> Verified[Proved]:
    """The document, if ``actor`` signed it by a key that she lists, and that her key log knows for the time of the proof.

    Raises WrongProof.
    """
    proved = proving.verify(claim, actor.assertion_keys, now=clock.now())
    identity = _identity_of(actor)
    if identity is not None:
        _check_log(proved.value, identity)
    return proved


def check_copy(document: JsonObject) -> ProvenCopy:
    """Whose a copy is, by the key log that is kept here, without asking anybody. It does not matter where it came from.

    Raises CopyRefused: ``unknown_identity``, and what ``server.identity.copies.check_copy`` raises.
    """
    account = Account.objects.filter(uri=copies.owner_of(document)).exclude(scid=None).first()
    identity = Identity.objects.filter(scid=account.scid).first() if account is not None else None
    if identity is None:
        raise CopyRefused("unknown_identity", "no key log of its author is kept here")
    return copies.check_copy(
        document, log=queries.known_log(identity), now=clock.now(), covered_at=covered_at(document, identity)
    )


def covered_at(document: JsonObject, identity: Identity) -> datetime | None:
    """When a head that covers the document was first seen, or this server first had it in exactly this form."""
    heads = queries.covered_at(identity, keylog.digest_of(document))
    row = ProvenDocument.objects.filter(uri=str(document.get("id"))).first()
    own = row.made_at if row is not None and json.parse(row.text.encode()) == document else None
    return min((at for at in (heads, own) if at is not None), default=None)


def remember(proved: Verified[Proved], account: Account) -> None:
    """Keep a remote document with its proof as it came, so that it can be shown when its home is gone.

    Raises WrongProof(``older_proof``) for a form older than the one that is kept: whoever passes an old edit on changes nothing.
    """
    document, created = proved.value.document, proved.value.created
    version = clock.iso(created) if created is not None else ""
    known = ProvenDocument.objects.select_for_update().filter(uri=document["id"]).first()
    if known is not None and known.version > version:
        raise WrongProof("older_proof", "a newer form is known")
    fields = {"account": account, "version": version, "text": json.dump(document), "made_at": clock.now()}
    if known is None or known.text != fields["text"]:
        ProvenDocument.objects.update_or_create(uri=document["id"], defaults=fields)


def _identity_of(actor: Actor) -> Identity | None:
    if actor.account is None or not actor.account.scid:
        return None
    return Identity.objects.filter(scid=actor.account.scid).first()


def _check_log(proved: Proved, identity: Identity) -> None:
    try:
        copy = _by_log(proved.document, identity)
    except CopyRefused as error:
        if error.reason != "key_not_in_log":
            raise WrongProof(error.reason, str(error)) from error
        resolver.refresh_when_older(identity, seconds=LOG_SECONDS_OLD_MIN)
        identity.refresh_from_db()
        try:
            copy = _by_log(proved.document, identity)
        except CopyRefused as still:
            raise WrongProof(still.reason, str(still)) from still
    if copy.key != proved.multikey:
        raise WrongProof("key_not_in_log", "the actor lists another key under this name than her key log")


def _by_log(document: JsonObject, identity: Identity) -> ProvenCopy:
    log = queries.known_log(identity)
    try:
        return copies.check_copy(document, log=log, now=clock.now())
    except CopyRefused as error:
        if error.reason != "key_removed":
            raise
    # Only a removed key needs somebody to have seen in time what it signed.
    return copies.check_copy(document, log=log, now=clock.now(), covered_at=covered_at(document, identity))
