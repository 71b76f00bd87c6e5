"""One world for every test: alice makes videos, bob watches, charlie is the stranger, dora lives on peer.example."""

import functools
import uuid
from dataclasses import dataclass
from unittest import mock

from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import rsa
from django.contrib.auth.hashers import make_password

from federation.models import Actor, Peer
from server.accounts import actions
from server.accounts.models import Account, User
from server.core import clock, keys, locators
from server.core.snowflake import make_id
from server.videos.models import Video

PASSWORD = "correct horse battery"


@functools.cache
def rsa_pair(name: str) -> tuple[str, str]:
    """(private PEM, public PEM) of a remote person, the same within one run."""
    key = rsa.generate_private_key(public_exponent=65537, key_size=2048)
    return (
        key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()).decode(),
        key.public_key().public_bytes(serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo).decode(),
    )


@functools.cache
def _home_rsa(handle: str) -> keys.KeyPair:
    return keys.make_rsa()


@functools.cache
def _hashed_password() -> str:
    return make_password(PASSWORD)


def local(handle: str) -> Account:
    """A local account that can sign in with PASSWORD.

    Its RSA key and the hash of its password are made once in a run: they are most of the time that a test takes.
    """
    user = User.objects.create(email=f"{handle}@example.org", password=_hashed_password())
    with mock.patch.object(keys, "make_rsa", return_value=_home_rsa(handle)):
        return actions.open_account(user=user, handle=handle)


def remote(handle: str = "dora", domain: str = "peer.example") -> Account:
    """A remote account with its actor row, as if it had been fetched."""
    base = f"https://{domain}/users/{handle}"
    peer, _ = Peer.objects.get_or_create(host=domain)
    account = Account.objects.create(handle=handle, domain=domain, uri=base, url=f"https://{domain}/@{handle}")
    Actor.objects.create(
        uri=base,
        peer=peer,
        account=account,
        kind="Person",
        inbox=f"{base}/inbox",
        shared_inbox=f"https://{domain}/inbox",
        followers_uri=f"{base}/followers",
        key_id=f"{base}#main-key",
        public_key_pem=rsa_pair(handle)[1],
    )
    return account


def published(account: Account, *, caption: str = "A clip #test", **fields: object) -> Video:
    """A published video row without files, for tests that need no bytes."""
    number = make_id()
    base = account.uri
    defaults: dict[str, object] = {
        "id": number,
        "uuid": uuid.uuid4(),
        "uri": locators.note_uri(account.handle, number) if account.is_local else f"{base}/posts/{number}",
        "url": locators.watch_url(number) if account.is_local else f"{account.url}/{number}",
        "is_local": account.is_local,
        "state": "published",
        "caption": caption,
        "alt_text": "A rabbit in a meadow",
        "duration_ms": 5_000,
        "width": 1280,
        "height": 720,
        "mp4_bytes": 1_000,
        "mp4_file": "aa/" + "a" * 64 + ".mp4",
        "poster_file": "bb/" + "b" * 64 + ".jpg",
        "published_at": clock.now(),
    }
    return Video.objects.create(account=account, **{**defaults, **fields})


@dataclass
class World:
    """The people of a test."""

    alice: Account
    bob: Account
    charlie: Account
    dora: Account


def make() -> World:
    """Alice, bob and charlie here, dora on peer.example; nobody follows anybody."""
    return World(alice=local("alice"), bob=local("bob"), charlie=local("charlie"), dora=remote())
