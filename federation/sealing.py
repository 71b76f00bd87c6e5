"""Our people's documents get their proof (FEP-8b32) by the home key that their actor lists (FEP-521a)."""

from collections.abc import Callable
from dataclasses import dataclass

from nacl.signing import SigningKey

from federation.contexts import with_context
from federation.wire.json import JsonObject
from server.accounts.models import Account
from server.core import clock, keys, proofs
from server.identity import outbox_heads, queries
from server.identity.models import Identity


@dataclass(frozen=True)
class Method:
    """A key that may speak for an actor: the id under which her document lists it, and the Multikey."""

    id: str
    multikey: str


def methods(account: Account) -> list[Method]:
    """What ``assertionMethod`` of a local account lists: ``#home-n``, which signs here, and ``#user-n`` of her identity.

    Names and keys are those of the newest entry of her key log that names this account. The person's own key stands there
    from the first day, so that peers know it when her home is gone and a Move is signed with it.
    """
    return _methods(account, _identity_of(account))


def home_key(account: Account) -> tuple[Method, SigningKey] | None:
    """The key with which this server signs for ``account``, and its public name.

    None when her identity lives elsewhere by now: her key log no longer knows the key that she had here, and a proof that
    does not hold is worse than none.
    """
    identity = _identity_of(account)
    if identity is not None and not identity.is_home:
        return None
    method = _methods(account, identity)[0]
    held = account.keys.get(algorithm="ed25519", public=method.multikey)
    return method, SigningKey(keys.unseal(bytes(held.private_sealed)))


def sealer(account: Account) -> Callable[[JsonObject], JsonObject]:
    """Gives documents of the local ``account`` their context and their proof, made now; without proof where ``home_key`` is."""
    pair = home_key(account)
    if pair is None:
        return with_context
    method, key = pair

    def give(document: JsonObject) -> JsonObject:
        whole = with_context(document)
        return {**whole, "proof": proofs.create_proof(whole, key=key, verification_method=method.id, created=clock.now())}

    return give


def seal(document: JsonObject, *, by: Account) -> JsonObject:
    """One document, as ``sealer`` gives it."""
    return sealer(by)(document)


def add_head(document: JsonObject, *, by: Account) -> None:
    """Say with an outbox head that ``document`` came next, in the caller's transaction (docs/reference/outbox-head.md).

    Nothing without an identity that lives here.
    """
    identity = _identity_of(by)
    pair = home_key(by)
    if identity is None or pair is None:
        return
    _, key = pair
    outbox_heads.say(identity, document=document, key=key)


def _identity_of(account: Account) -> Identity | None:
    return Identity.objects.filter(scid=account.scid).first() if account.scid else None


def _methods(account: Account, identity: Identity | None) -> list[Method]:
    document = None if identity is None else queries.document_naming(identity, account.uri)
    if document is None:
        key = account.keys.filter(algorithm="ed25519").order_by("-id").get()
        return [Method(f"{account.uri}#{key.name}", key.public)]
    return [
        Method(f"{account.uri}#home-{document.home.number}", document.home.multikey),
        Method(f"{account.uri}#user-{document.user.number}", document.user.multikey),
    ]
