"""Moving house: the account takes its identity along. The new home expects, the old one hands over, the new one receives."""

import json
import math
from collections.abc import Mapping
from typing import Any

from django.db import transaction

from server.accounts import actions, queries
from server.accounts.facts import AccountArrived, AccountMoved, AccountUpdated
from server.accounts.following import check_may_act, repoint_follows
from server.accounts.models import Account
from server.core import clock, facts, hosts, keys, limits
from server.core.errors import Conflict, Invalid, NotAllowed, NotFound, WrongState
from server.identity import actions as identities
from server.identity import moverequests, resolver, statements
from server.identity import queries as identity_queries
from server.identity.facts import HomeMoved
from server.identity.models import CustodyKey, Identity
from server.identity.offer import Offer

MOVE_BYTES_MAX = 512 * limits.KIB
# The entry before the move, and the one of the move.
LIVED_HERE_BEFORE = 2


def give_identity(*, account: Account) -> str:
    """Give a local account that has none an identity under this server's custody, and return its SCID."""
    if account.scid:
        return account.scid
    home_key = account.keys.get(name="home-1").public
    identity = identities.create_identity(handle=account.handle, home_key=home_key)
    account.scid = identity.scid
    account.save(update_fields=["scid"])
    return identity.scid


def give_missing_identities(*, count_max: int = 100) -> int:
    """Give identities to local accounts from before there were any. Returns how many."""
    missing = Account.objects.filter(domain="", scid=None, deleted_at=None)[:count_max]
    for account in missing:
        with transaction.atomic():
            give_identity(account=account)
    return len(missing)


@transaction.atomic
def prove_account(*, account: Account, proof: Mapping[str, Any]) -> None:
    """Attach an identity proof (FEP-c390) to a local account: its owner's ``#user`` key says that it is hers.

    Her former accounts have one by the same key, by which servers without key logs know both for one person. Raises NotAllowed
    for another key than the log names, BadProof, BadSignature.
    """
    identity = identity_queries.by_scid(account.scid or "")
    subject = statements.check_statement(proof, actor=account.uri, now=clock.now())
    if subject != f"did:key:{identity_queries.document_of(identity).user.multikey}":
        raise NotAllowed("The identity proof is by another key than the #user key of the identity.")
    account.identity_proofs = [dict(proof)]
    account.updated_at = clock.now()
    account.save(update_fields=["identity_proofs", "updated_at"])
    facts.record(AccountUpdated(account_id=account.pk))


def give_identity_proofs(*, count_max: int = 100) -> int:
    """Identity proofs for accounts whose ``#user`` key is held here and that have none by it. Returns how many (chore)."""
    given = 0
    held = CustodyKey.objects.filter(role="user", identity__is_home=True).select_related("identity").order_by("-id")
    for account in Account.objects.filter(domain="", identity_proofs=[], deleted_at=None).exclude(scid=None)[:count_max]:
        key = held.filter(identity_id=account.scid).first()
        if key is not None and key.identity is not None and key.identity.actor_uri == account.uri:
            user = identity_queries.custody_key(key.identity, "user")
            prove_account(account=account, proof=statements.make_statement(key=user, actor=account.uri, now=clock.now()))
            given += 1
    return given


def expect_move(*, account: Account, by: Account, old_address: str) -> Offer:
    """At the new home: make ``account`` ready to take over the identity of ``old_address``, which must have one.

    Asks the old server who that is. Raises NotAllowed, NotFound, Invalid, Conflict and what ``ask_account`` raises.
    """
    check_may_act(by)
    if by.pk != account.pk:
        raise NotAllowed("This is not your account.")
    old = actions.ask_account(address=old_address)
    if old.is_local:
        raise Invalid("That account lives here already.", field="old_address")
    if not old.scid:
        raise Invalid("That account has no portable identity that could be moved.", field="old_address")
    if account.moved_to_id is not None:
        raise Conflict("This account has moved away itself.")
    with transaction.atomic():
        if old.uri not in account.also_known_as:
            account.also_known_as = [*account.also_known_as, old.uri][-limits.ALIASES_COUNT_MAX :]
            account.save(update_fields=["also_known_as"])
        return identities.offer_home(
            scid=old.scid, handle=account.handle, actor_uri=account.uri, home_key=account.keys.get(name="home-1").public
        )


def move_away(*, account: Account, by: Account, to_address: str) -> Account:
    """At the old home: hand the identity of ``account`` to ``to_address``, where it is expected, and say so to everyone.

    Speaks to the other server outside any transaction; whatever fails before it has taken the identity changes nothing,
    and whatever fails after is mended by asking again: its log is the proof. Returns the new account.
    """
    check_may_act(by)
    if by.pk != account.pk:
        raise NotAllowed("This is not your account.")
    if not account.scid:
        raise WrongState("This account has no portable identity yet.")
    if account.moved_to_id is not None:
        raise WrongState("This account has moved already.")
    identity = identity_queries.by_scid(account.scid)
    new = actions.ask_account(address=to_address)
    if new.is_local:
        raise Invalid("That account lives here: there is nothing to move.", field="to_address")
    try:
        signed, grant = identities.sign_move(identity=identity, offer=resolver.fetch_offer(new.uri))
        resolver.hand_over(new.uri, log=signed.data, grant=grant)
        moved = signed.data
    except NotFound as nobody_expects_us:
        # Unless an earlier try of ours got through: then the new home serves the log of this very identity.
        moved = _taken_already(new, scid=identity.scid, otherwise=nobody_expects_us)
    # The new home's document names the old account by now.
    new = actions.ask_account(address=to_address)
    with transaction.atomic():
        identities.leave_home(identity=identity, data=moved)
        repoint_follows(old=account, new=new)
        account.moved_to = new
        account.updated_at = clock.now()
        account.save(update_fields=["moved_to", "updated_at"])
        Account.objects.filter(pk=new.pk).update(scid=account.scid)
    return new


def _taken_already(new: Account, *, scid: str, otherwise: NotFound) -> bytes:
    """The log as the new home serves it, where an earlier try got through; else raises ``otherwise``."""
    data = resolver.fetch_log(f"{hosts.parse_url(new.uri).origin}/u/{new.handle}/did.jsonl")
    if f'"scid":"{scid}"'.encode() not in data.partition(b"\n")[0]:
        raise otherwise
    return data


def receive_move(*, handle: str, body: bytes) -> Account:
    """At the new home: the log and the grant, from the old home or from the owner's own tool; who brings them does not matter.

    The grant is the only credential, and it is checked by its own rules. Raises Invalid for another shape, NotFound,
    KeyLogError, GrantRefused; then nothing has changed.
    """
    account = queries.local_by_handle(handle)
    if len(body) > MOVE_BYTES_MAX:
        raise Invalid("This is too large for a move.")
    lines, grant = _read_move(body)
    with transaction.atomic():
        if grant.get("actor") != account.uri:
            raise NotFound("This grant is for another account.")
        identity = identities.arrive(data="".join(f"{line}\n" for line in lines).encode(), grant=grant)
        document = identity_queries.document_of(identity)
        former = [name for name in document.prior if name.startswith(("http://", "https://"))]
        account.scid = identity.scid
        account.also_known_as = list(dict.fromkeys([*account.also_known_as, *former]))[-limits.ALIASES_COUNT_MAX :]
        # She may have lived here before.
        account.moved_to = None
        # Those were by the key of the identity that the account had before.
        account.identity_proofs = []
        account.updated_at = clock.now()
        account.save(update_fields=["scid", "also_known_as", "moved_to", "identity_proofs", "updated_at"])
        facts.record(AccountUpdated(account_id=account.pk))
        if former:
            facts.record(AccountArrived(account_id=account.pk, old_uri=former[-1]))
    return account


@transaction.atomic
def take_actor_key(*, account: Account, pem: bytes) -> None:
    """The RSA key that ``account`` had on another server under this very address, out of its archive.

    For a domain of one's own: the address and the key stay, so whoever followed her notices nothing, and no Move is needed. Only
    where the identity's log names this address as the account it had before. Raises WrongState, BadMoveRequests.
    """
    identity = Identity.objects.filter(scid=account.scid, is_home=True).first()
    documents = identity_queries.documents(identity) if identity is not None else []
    if len([document for document in documents if document.actor == account.uri]) < LIVED_HERE_BEFORE:
        raise WrongState("The identity of this account has not lived at this address before.")
    key = moverequests.load_actor_key(pem)
    held = account.keys.select_for_update().get(name="main-key")
    pair = keys.rsa_pair(key)
    held.public, held.private_sealed = pair.public, pair.private_sealed
    held.save(update_fields=["public", "private_sealed"])
    account.updated_at = clock.now()
    account.save(update_fields=["updated_at"])


def note_left(fact: HomeMoved) -> None:
    """At the old home: the log names another home. The account becomes a signpost, also when its owner left without asking us.

    Then her followers are told, once the wait is over that follows an entry by a key of lower priority: a Move to other
    servers cannot be taken back, and the owner has that long to speak. Raises NotAllowed, and what ``ask_account`` raises.
    """
    account = Account.objects.select_related("moved_to").filter(uri=fact.old_actor_uri, domain="").first()
    identity = Identity.objects.filter(scid=fact.scid, is_home=False, actor_uri=fact.new_actor_uri).first()
    if account is None or identity is None:
        # Overtaken: it came back, or has moved on.
        return
    new = account.moved_to
    if new is None or new.uri != identity.actor_uri:
        new = actions.ask_account(address=identity_queries.document_of(identity).acct.removeprefix("acct:"))
        if new.uri != identity.actor_uri or new.scid != identity.scid:
            raise NotAllowed("The log names a new account that does not say that it is this identity's.")
    with transaction.atomic():
        CustodyKey.objects.filter(identity=identity).delete()
        if account.moved_to_id != new.pk:
            repoint_follows(old=account, new=new)
            account.moved_to = new
            account.updated_at = clock.now()
            account.save(update_fields=["moved_to", "updated_at"])
        facts.record(AccountMoved(old_uri=account.uri, new_uri=new.uri), delay_seconds=effects_wait_seconds(identity))


def effects_wait_seconds(identity: Identity) -> int:
    """How long effects outside that cannot be taken back still wait for ``identity``: 0 when they may happen now."""
    until = identity_queries.effects_held_until(identity.scid)
    return 0 if until is None else max(0, math.ceil((until - clock.now()).total_seconds()))


def _read_move(body: bytes) -> tuple[list[str], dict[str, Any]]:
    """The log's lines and the grant of a hand-over. Raises Invalid for another shape."""
    refusal = "A move has a log and a grant."
    try:
        sent = json.loads(body)
        # Half of a pair of surrogates is no text: it raises here, and not in a database.
        json.dumps(sent, ensure_ascii=False, allow_nan=False).encode()
    except (ValueError, RecursionError) as error:
        raise Invalid(refusal) from error
    if not isinstance(sent, dict) or sent.keys() != {"log", "grant"}:
        raise Invalid(refusal)
    lines, grant = sent["log"], sent["grant"]
    if not isinstance(lines, list) or not all(isinstance(line, str) for line in lines) or not isinstance(grant, dict):
        raise Invalid(refusal)
    if "\x00" in str(grant.get("nonce")):
        raise Invalid(refusal)
    return lines, grant
