"""Reading identities: their logs, replayed and checked every time, and the keys under our custody."""

from django.conf import settings
from nacl.signing import SigningKey

from server.core import clock, keys, locators
from server.core.errors import NotFound, WrongState
from server.identity import keylog
from server.identity.keylog import Document, PolicyLog
from server.identity.models import CustodyKey, Identity


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
        log_bytes(identity), now=clock.now(), caps=keylog.HARD, requested=identity.scid, loopback=settings.ALLOW_LOOPBACK
    )


def document_of(identity: Identity) -> Document:
    """What the identity says about itself in its newest entry."""
    return keylog.document.read(log_of(identity).head.entry.state)


def document_naming(identity: Identity, actor_uri: str) -> Document | None:
    """What the newest entry that names ``actor_uri`` as the person's account says; None where no entry does."""
    for version in reversed(log_of(identity).versions):
        document = keylog.document.read(version.entry.state)
        if document.actor == actor_uri:
            return document
    return None


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
