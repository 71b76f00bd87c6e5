"""Speaks to other homes: fetches key logs, offers and grants, and hands a move over. What comes is believed by nobody yet."""

import json
import logging
from collections.abc import Mapping
from datetime import timedelta
from typing import Any

from django.conf import settings

from server.core import canonical, clock, http, limits
from server.core.errors import Conflict, NotFound, TributaryError, Unavailable
from server.identity import actions, hostgrant, keylog
from server.identity.models import Identity
from server.identity.offer import BadOffer, Offer, read_offer

logger = logging.getLogger(__name__)

OFFER_BYTES_MAX = 8 * limits.KIB
ANSWER_BYTES_MAX = 64 * limits.KIB
WAIT_SECONDS_MAX = 10
OK = 200


def fetch_log(url: str) -> bytes:
    """The bytes at the address of a did.jsonl. Raises http.HttpError, NotFound, Unavailable."""
    return _get(url, accept="text/jsonl, application/jsonl", size_bytes_max=keylog.SOFT.bytes_max)


def refresh(identity: Identity) -> Identity:
    """Ask the home that the log names for the log, and take what is new. Raises as ``fetch_log`` and ``accept_log`` do."""
    did = keylog.parse_did(identity.did, loopback=settings.ALLOW_LOOPBACK)
    return actions.accept_log(data=fetch_log(did.url(loopback=settings.ALLOW_LOOPBACK)), requested=identity.scid)


def refresh_when_older(identity: Identity, *, seconds: int) -> None:
    """``refresh``, unless this was tried less than ``seconds`` ago. What goes wrong changes nothing: what we know stands.

    An identity that lives here is never asked for. The time is written before the request, so that strangers whose doing leads
    here cannot make us ask more often.
    """
    now = clock.now()
    due = Identity.objects.filter(pk=identity.pk, is_home=False, checked_at__lt=now - timedelta(seconds=seconds))
    if not due.update(checked_at=now):
        return
    try:
        refresh(identity)
    except TributaryError as error:
        logger.info("key log not refreshed", extra={"scid": identity.scid, "error": error.code})


def fetch_host_grant(actor_uri: str) -> Mapping[str, Any]:
    """The HostGrant that the home of ``actor_uri`` shows. Raises GrantRefused, http.HttpError, NotFound, Unavailable."""
    return hostgrant.parse_host_grant(_get(f"{actor_uri}/host-grant", accept="application/json", size_bytes_max=OFFER_BYTES_MAX))


def fetch_offer(actor_uri: str) -> Offer:
    """What the new home of ``actor_uri`` asks of the old one. Raises BadOffer, http.HttpError, NotFound, Unavailable."""
    try:
        document = canonical.parse(
            _get(f"{actor_uri}/move-offer", accept="application/json", size_bytes_max=OFFER_BYTES_MAX),
            depth_max=4,
            fractions=False,
        )
    except ValueError as error:
        raise BadOffer from error
    offer = read_offer(document, loopback=settings.ALLOW_LOOPBACK)
    if offer.home.actor != actor_uri:
        raise BadOffer("The offer is for another address than the one it came from.")
    return offer


def hand_over(actor_uri: str, *, log: bytes, grant: Mapping[str, Any]) -> None:
    """Give the new home the log and the grant. Raises Conflict with its reason when it refuses, http.HttpError.

    Handing over twice is harmless: a home that has taken the identity already refuses, and its log says that it has.
    """
    body = json.dumps({"log": log.decode().splitlines(), "grant": dict(grant)}).encode()
    answer = http.post(
        f"{actor_uri}/move",
        headers={"Content-Type": "application/json", "Accept": "application/json"},
        body=body,
        size_bytes_max=ANSWER_BYTES_MAX,
        wait_seconds_max=WAIT_SECONDS_MAX,
    )
    if answer.status not in {200, 201, 204}:
        raise Conflict(f"The new home did not take the identity: {answer.status} {answer.body.decode(errors='replace')[:300]}")


def _get(url: str, *, accept: str, size_bytes_max: int) -> bytes:
    answer = http.get(url, headers={"Accept": accept}, size_bytes_max=size_bytes_max, wait_seconds_max=WAIT_SECONDS_MAX)
    if answer.status in {404, 410}:
        raise NotFound(f"There is nothing at {url}.")
    if answer.status != OK:
        raise Unavailable(f"{url} answers {answer.status}.")
    return answer.body
