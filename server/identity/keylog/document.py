"""The identity document: the ``state`` of a log entry, as this server writes it and as it demands it of its peers.

``read`` is strict: a document that ``build`` would write differently is refused, so nothing in it goes unseen.
"""

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlsplit

from server.core import canonical
from server.identity.keylog import limits
from server.identity.keylog.errors import BadDocument

CONTEXT = ["https://www.w3.org/ns/did/v1", "https://w3id.org/security/multikey/v1"]
CUSTODIES = ("owner", "server")
_METHOD = re.compile(r"#(user|home|box)-([1-9][0-9]{0,5})", re.ASCII)
_ACCT = re.compile(r"acct:[^@\s]{1,64}@[^@\s/]{1,260}")


@dataclass(frozen=True)
class NumberedKey:
    """The n-th key of its kind, as Multikey: ``#home-2`` has number 2."""

    number: int
    multikey: str

    def after(self, multikey: str) -> "NumberedKey":
        """The key that takes this one's place."""
        return self if multikey == self.multikey else NumberedKey(self.number + 1, multikey)


@dataclass(frozen=True)
class Document:
    """What an identity says about itself.

    ``prior`` are the names it had at its earlier homes (DIDs and actor URIs, oldest first), ``actor`` and ``acct`` its
    names now. ``user`` is the person's key, ``home`` the home server's key for this person, ``box`` the X25519 key that
    archives are sealed to. ``replicas`` and ``archives`` are addresses.
    """

    did: str
    actor: str
    acct: str
    user: NumberedKey
    home: NumberedKey
    custody: str
    box: NumberedKey | None = None
    prior: tuple[str, ...] = ()
    replicas: tuple[str, ...] = ()
    archives: tuple[str, ...] = ()

    @property
    def user_method(self) -> str:
        """The DID URL of the person's key."""
        return f"{self.did}#user-{self.user.number}"

    @property
    def home_method(self) -> str:
        """The DID URL of the home server's key."""
        return f"{self.did}#home-{self.home.number}"


def build(document: Document) -> dict[str, Any]:
    """The ``state`` for a log entry. Raises BadDocument for a value that does not belong."""
    _check(document)
    did = document.did
    methods = [_method(did, document.user_method, document.user), _method(did, document.home_method, document.home)]
    services = [_service(f"{did}#home", "ActivityPubActor", document.actor)]
    services += [_service(f"{did}#replica-{n}", "WebVHWatcher", url) for n, url in enumerate(document.replicas, start=1)]
    services += [_service(f"{did}#archive-{n}", "TributaryArchive", url) for n, url in enumerate(document.archives, start=1)]
    state = {
        "@context": CONTEXT,
        "id": did,
        "alsoKnownAs": [*document.prior, document.actor, document.acct],
        "verificationMethod": methods,
        "authentication": [document.user_method],
        "assertionMethod": [document.user_method, document.home_method],
        "capabilityInvocation": [document.user_method],
        "service": services,
        "tributary": {"custody": document.custody},
    }
    if document.box is not None:
        box_method = f"{did}#box-{document.box.number}"
        methods.append(_method(did, box_method, document.box))
        state["keyAgreement"] = [box_method]
    return state


def read(state: Mapping[str, Any]) -> Document:
    """The document in ``state``. Raises BadDocument for every document that ``build`` would not have written."""
    try:
        document = _read(state)
    except (KeyError, IndexError, TypeError, ValueError, AttributeError) as error:
        raise BadDocument("the document lacks a part or has one of the wrong kind") from error
    if build(document) != state:
        raise BadDocument("the document has a part this server does not know")
    return document


def _read(state: Mapping[str, Any]) -> Document:
    did = state["id"]
    keys: dict[str, NumberedKey] = {}
    for method in state["verificationMethod"]:
        match = _METHOD.fullmatch(method["id"].removeprefix(did))
        if match is None or match[1] in keys:
            raise BadDocument("a document has one key each called user, home and box")
        keys[match[1]] = NumberedKey(int(match[2]), method["publicKeyMultibase"])
    services = state["service"]
    return Document(
        did=did,
        actor=services[0]["serviceEndpoint"],
        acct=state["alsoKnownAs"][-1],
        user=keys["user"],
        home=keys["home"],
        box=keys.get("box"),
        custody=state["tributary"]["custody"],
        prior=tuple(state["alsoKnownAs"][:-2]),
        replicas=_endpoints(services, "WebVHWatcher"),
        archives=_endpoints(services, "TributaryArchive"),
    )


def _endpoints(services: Iterable[Mapping[str, Any]], kind: str) -> tuple[str, ...]:
    return tuple(service["serviceEndpoint"] for service in services if service["type"] == kind)


def _method(did: str, method: str, key: NumberedKey) -> dict[str, str]:
    return {"id": method, "type": "Multikey", "controller": did, "publicKeyMultibase": key.multikey}


def _service(identifier: str, kind: str, url: str) -> dict[str, str]:
    return {"id": identifier, "type": kind, "serviceEndpoint": url}


def _check(document: Document) -> None:
    names = (document.did, document.acct, document.custody, *document.prior)
    if not all(isinstance(name, str) and len(name) <= limits.URL_CHARACTERS_MAX for name in names):
        raise BadDocument("names must be texts")
    if document.custody not in CUSTODIES:
        raise BadDocument("custody must be owner or server")
    if not _ACCT.fullmatch(document.acct):
        raise BadDocument("the last name in alsoKnownAs must be acct:handle@host")
    if len(document.prior) + 2 > limits.ALIASES_MAX:
        raise BadDocument(f"an identity may list {limits.ALIASES_MAX} names")
    try:
        canonical.multikey_ed25519_decode(document.user.multikey)
        canonical.multikey_ed25519_decode(document.home.multikey)
        if document.box is not None:
            canonical.multikey_x25519_decode(document.box.multikey)
    except (ValueError, AttributeError, TypeError) as error:
        raise BadDocument(f"a key is malformed: {error}") from error
    if document.user.multikey == document.home.multikey:
        raise BadDocument("the person's key and the home server's key must differ")
    for url in (document.actor, *document.replicas, *document.archives):
        _check_url(url)


def _check_url(url: Any) -> None:
    if not isinstance(url, str) or len(url) > limits.URL_CHARACTERS_MAX:
        raise BadDocument("an address must be a text")
    try:
        parts = urlsplit(url)
    except ValueError as error:
        raise BadDocument("an address is malformed") from error
    if parts.scheme not in ("https", "http") or not parts.hostname or parts.username is not None or parts.fragment:
        raise BadDocument("an address must be an https URL without user and fragment")
