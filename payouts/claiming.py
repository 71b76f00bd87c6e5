"""Claiming what another instance owes: read the offer it publishes, sign it at home, hand it over, keep its signature.

Only an instance whose ledger we follow is asked: the key that must have signed its offer, and must sign what it takes, is the
one in the genesis that we pinned. Under server custody the signature is made here, with the creator's ``#user`` key.
"""

import logging
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

from nacl.signing import SigningKey

from payouts import agreement, agreements, offers, peers
from payouts.agreement import AGREEMENT_BYTES_MAX
from payouts.agreement import Agreement as Terms
from payouts.ledger import canonical
from payouts.ledger.errors import LedgerError
from payouts.models import PeerAgreement, PeerLog
from payouts.peers import PeerUnclear
from server.core import clock, http, limits
from server.core.errors import Conflict, Invalid, NotFound, TributaryError, WrongState

logger = logging.getLogger(__name__)

OK = 200
DEFAULT = "default"
WORDS_MAX = 300


@dataclass(frozen=True)
class Offer:
    """What another instance offers everybody, signed by it."""

    peer: PeerLog
    terms: Terms


def offer_of(peer: PeerLog) -> Offer:
    """The default agreement that ``peer`` publishes now, held against the key in its genesis.

    Raises WrongState for a ledger that forked, PeerUnclear (with the name of the rule for an offer that is none), HttpError.
    """
    if peer.forked_at:
        raise WrongState("This instance has signed two histories of its books. Nothing is signed for it.")
    url = f"{peer.url}/offer"
    answer = http.get(url, headers={}, size_bytes_max=AGREEMENT_BYTES_MAX, wait_seconds_max=limits.FETCH_SECONDS_MAX)
    if answer.status != OK:
        raise PeerUnclear(f"{peer.origin} shows no offer: status {answer.status}.")
    with _named(peer):
        terms = agreement.parse_agreement(answer.body)
        if (terms.kind, terms.origin) != (DEFAULT, peer.origin):
            raise PeerUnclear(f"{peer.origin} shows an agreement that is not its own offer.")
        agreement.check_signed(terms, lambda _: peers.keys_of(peer).instance)
    return Offer(peer, terms)


def prepare_elsewhere(*, scid: str, peer: PeerLog, offer_id: str = "") -> dict[str, Any]:
    """What ``scid`` must sign with her ``#user`` key to accept the offer of ``peer``. Raises Conflict, and as ``offer_of``."""
    offer = offer_of(peer)
    _check_shown(offer, offer_id)
    return _document(offer.terms, scid)


def accept_elsewhere(
    *, scid: str, peer: PeerLog, offer_id: str = "", key: SigningKey | None = None, signed: bytes = b""
) -> PeerAgreement:
    """Sign the offer of ``peer`` for ``scid``, hand it over, and keep it as ``peer`` signed it too. Idempotent for one offer.

    ``offer_id``: the terms that she was shown; others are not signed (Conflict). ``key``: her ``#user`` key, or ``signed``: what
    ``prepare_elsewhere`` gave her, signed by herself; without either the key in our custody. Afterwards the claim is asked for
    anew; when that fails it is found later. Raises NotFound, WrongState when her key is not held here, as ``offer_of`` does, and
    Conflict with the reason when the other instance refuses.
    """
    offer = offer_of(peer)
    _check_shown(offer, offer_id)
    known = PeerAgreement.objects.filter(peer=peer, scid=scid, offer_id=offer.terms.id).first()
    if known is None:
        data = _checked(offer, scid, signed) if signed else _signed(offer.terms, scid, key or agreements.custody_key(scid))
        known = _keep(offer, scid, _hand_over(peer, data))
    try:
        peers.refresh_claim(peer=peer, scid=scid)
    except (LedgerError, TributaryError) as error:
        logger.warning("claim not yet shown", extra={"peer": peer.origin, "error": f"{error.code}: {error}"})
    return known


def peer_called(origin: str) -> PeerLog:
    """The followed ledger of this name. Raises NotFound."""
    found = PeerLog.objects.filter(origin=origin).first()
    if found is None:
        raise NotFound("The ledger of this instance is not followed here.")
    return found


@contextmanager
def _named(peer: PeerLog) -> Iterator[None]:
    """What ``peer`` sent breaks a rule: say which."""
    try:
        yield
    except LedgerError as error:
        raise PeerUnclear(f"{peer.origin}: {error.code}: {error}") from error


def _check_shown(offer: Offer, offer_id: str) -> None:
    if offer_id and offer.terms.id != offer_id:
        raise Conflict("The terms have changed since you read them. Read them again before you sign.")


def _document(terms: Terms, scid: str) -> dict[str, Any]:
    now = clock.iso(clock.now())
    return offers.channel_agreement(terms, scid=scid, custody=agreements.member(scid).custody, created=now, effective_from=now)


def _signed(terms: Terms, scid: str, key: SigningKey) -> bytes:
    method = agreements.member(scid).method
    return canonical.encode(offers.sign(_document(terms, scid), key=key, verification_method=method, created=clock.now()))


def _checked(offer: Offer, scid: str, data: bytes) -> bytes:
    """What she signed herself, before it is handed to anybody. Raises Invalid."""
    try:
        signed = agreement.parse_agreement(data)
        who = agreements.member(scid)
        expected = offers.channel_agreement(
            offer.terms,
            scid=scid,
            custody=who.custody,
            created=signed.document["created"],
            effective_from=signed.effective_from,
        )
        if signed.id != expected["id"]:
            raise Invalid("These are not the terms that were offered.")
        if agreement.check_signed(signed, who.present_keys.get, by_instance=False):
            raise Invalid("This agreement is not signed with the present key of the identity.")
    except LedgerError as error:
        raise Invalid(f"{error.code}: {error}") from error
    return data


def _hand_over(peer: PeerLog, data: bytes) -> bytes:
    answer = http.post(
        f"{peer.url}/agreements",
        headers={"Content-Type": "application/json"},
        body=data,
        size_bytes_max=AGREEMENT_BYTES_MAX,
        wait_seconds_max=limits.DELIVERY_SECONDS_MAX,
    )
    if answer.status != OK:
        said = answer.body[:WORDS_MAX].decode("utf-8", "replace").strip()
        raise Conflict(f"{peer.origin} did not take the agreement: {answer.status} {said}")
    return answer.body


def _keep(offer: Offer, scid: str, data: bytes) -> PeerAgreement:
    """Keep what came back when it is what she signed (now or at an earlier try) and the instance signed it as well."""
    peer, who = offer.peer, agreements.member(scid)
    instance = peers.keys_of(peer).instance
    with _named(peer):
        signed = agreement.parse_agreement(data)
        expected = offers.channel_agreement(
            offer.terms,
            scid=scid,
            custody=who.custody,
            created=signed.document["created"],
            effective_from=signed.effective_from,
        )
        if signed.id != expected["id"]:
            raise PeerUnclear(f"{peer.origin} answers with other terms than were signed.")
        if agreement.check_signed(signed, lambda method: instance if "#instance-" in method else who.keys.get(method)):
            raise PeerUnclear(f"{peer.origin} answers with a signature that is not hers.")
    row, _ = PeerAgreement.objects.get_or_create(
        peer=peer, scid=scid, offer_id=offer.terms.id, defaults={"agreement_id": signed.id, "document": data}
    )
    return row
