"""The offer of a new home: the challenge that a HostGrant must answer, and the keys that the next entry must name. Pure."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from server.core import hosts
from server.core.errors import Invalid
from server.identity import keylog

_MEMBERS = {"v", "type", "nonce", "scid", "audience", "actor", "acct", "did", "homeKey", "userKey", "rootKeyHash"}


class BadOffer(Invalid):
    """The other server's offer of a home is not one."""

    code = "bad_offer"


@dataclass(frozen=True)
class Offer:
    """What a new home tells whoever holds the keys. Under server custody the last two are to be taken over as well."""

    nonce: str
    scid: str
    audience: str
    home: keylog.Home
    user_key: str
    root_key_hash: str


def read_offer(document: Any, *, loopback: bool = False) -> Offer:
    """The offer in its document (``offer_document``). Raises BadOffer, KeyLogError."""
    if not isinstance(document, Mapping) or document.keys() != _MEMBERS:
        raise BadOffer
    if not all(isinstance(value, str) for name, value in document.items() if name != "v") or document["v"] != 1:
        raise BadOffer
    if document["type"] != "HomeOffer":
        raise BadOffer
    did = keylog.parse_did(document["did"], loopback=loopback)
    home = keylog.Home(
        host=did.host, port=did.port, path=did.path, actor=document["actor"], acct=document["acct"], key=document["homeKey"]
    )
    places = {hosts.parse_url(url).origin for url in (document["audience"], document["actor"], did.url(loopback=loopback))}
    if places != {document["audience"]} or did.scid != document["scid"]:
        raise BadOffer("The offer names a log at another place than its own.")
    return Offer(
        nonce=document["nonce"],
        scid=document["scid"],
        audience=document["audience"],
        home=home,
        user_key=document["userKey"],
        root_key_hash=document["rootKeyHash"],
    )


def offer_document(offer: Offer) -> dict[str, Any]:
    """An offer as ``read_offer`` reads it at the other side."""
    return {
        "v": 1,
        "type": "HomeOffer",
        "nonce": offer.nonce,
        "scid": offer.scid,
        "audience": offer.audience,
        "actor": offer.home.actor,
        "acct": offer.home.acct,
        "did": offer.home.did(offer.scid),
        "homeKey": offer.home.key,
        "userKey": offer.user_key,
        "rootKeyHash": offer.root_key_hash,
    }
