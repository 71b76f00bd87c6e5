"""Remote actors: fetched by rule R1, their address confirmed, and kept as Actor, Peer and Account rows."""

from datetime import timedelta

from django.conf import settings
from django.db import transaction

from federation.fetch.documents import Gone, WrongDocument, fetch_ap
from federation.fetch.webfinger import confirm, finger
from federation.models import Actor
from federation.peers import peer_of, require_welcome
from federation.wire import keys
from federation.wire.objects import ActorDocument, PublishedKey, read_actor
from server.accounts import queries
from server.accounts.actions import receive_remote_account
from server.accounts.addresses import Address, parse_address
from server.accounts.models import Account
from server.accounts.remote import RemoteProfile
from server.core import clock, hosts, limits
from server.core.errors import Conflict, NotFound
from server.identity import statements


def fetch_actor(uri: str, *, seconds_old_max: float = limits.ACTOR_KEY_CACHE_SECONDS) -> Actor:
    """The actor with this id: the row when it was fetched within ``seconds_old_max``, else what her own server says now.

    ``uri`` may also be another address of hers; the row has her id. Raises Gone, Missing, Refused, Busy, WrongDocument,
    Malformed, BadKey, DomainBlocked, http.HttpError.
    """
    uri = hosts.canonical_url(uri).partition("#")[0]
    require_welcome(uri)
    known = find(uri)
    if known is not None and known.fetched_at > clock.now() - timedelta(seconds=seconds_old_max) and known.gone_at is None:
        return known
    try:
        _, document = fetch_ap(uri, size_bytes_max=limits.ACTOR_BYTES_MAX)
    except Gone:
        Actor.objects.filter(uri=uri, gone_at=None).update(gone_at=clock.now())
        raise
    return keep(read_actor(document))


def find(uri: str) -> Actor | None:
    """The row of an actor whom we have met."""
    return Actor.objects.select_related("peer", "account").filter(uri=uri).first()


def keep(document: ActorDocument) -> Actor:
    """Store what an actor's own server says of her. ``document`` came by rule R1, or was signed by herself."""
    key = _usable_key(document)
    # An instance actor speaks for a server and nobody follows it: it needs no address.
    address = None if document.kind == "Application" else confirm(document)
    with transaction.atomic():
        account = None if address is None else _keep_account(document, address)
        actor, _ = Actor.objects.update_or_create(
            uri=document.uri,
            defaults={
                "peer": peer_of(document.uri),
                "account": account,
                "kind": document.kind,
                "inbox": document.inbox,
                "shared_inbox": document.shared_inbox,
                "followers_uri": document.followers,
                "outbox_uri": document.outbox,
                "key_id": key.id,
                "public_key_pem": key.pem,
                "assertion_keys": dict(document.assertion_keys),
                "fetched_at": clock.now(),
                "gone_at": None,
            },
        )
    return actor


def _usable_key(document: ActorDocument) -> PublishedKey:
    failure: keys.BadKey | None = None
    for key in document.keys:
        try:
            keys.load_public(key.pem)
        except keys.BadKey as error:
            failure = error
        else:
            return key
    raise failure or keys.BadKey("the actor publishes no key of her own")


def _keep_account(document: ActorDocument, address: Address) -> Account:
    profile = RemoteProfile(
        uri=document.uri,
        handle=address.handle,
        domain=address.host,
        url=document.url,
        display_name=document.name,
        bio_html=document.summary,
        avatar_url=document.icon_url,
        also_known_as=document.also_known_as,
        manually_approves_followers=document.manually_approves_followers,
        scid=document.scid,
        identity_proofs=tuple(statements.valid(document.identity_proofs, actor=document.uri, now=clock.now())),
    )
    try:
        return receive_remote_account(profile=profile)
    except Conflict as error:
        raise WrongDocument(f"{address} already belongs to another actor") from error


def lookup_acct(address: str) -> Account:
    """The account at ``user@host``, asked of its own server and checked in both directions.

    Raises Invalid (another shape), NotFound (nobody, or one of ours that does not exist), DomainBlocked, http.HttpError.
    """
    wanted = parse_address(address)
    if wanted.host == settings.HOST:
        return queries.local_by_handle(wanted.handle)
    spelled, uri = finger(wanted)
    actor = fetch_actor(uri, seconds_old_max=0)
    account = actor.account
    if account is None:
        raise NotFound("That address belongs to a server, not to a person.")
    if (account.handle.lower(), account.domain) not in {(each.handle.lower(), each.host) for each in (wanted, spelled)}:
        raise WrongDocument(f"{wanted} is not the address of {uri}")
    return account
