"""What became of each attempt, noted for the row and for its host."""

import logging
import random
from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from django.db import transaction
from django.db.models import F, QuerySet

from federation import peers
from federation.models import Delivery
from server.core import clock, limits

log = logging.getLogger(__name__)
_chance = random.SystemRandom()

DISBELIEVED = frozenset({401, 403})
RETRIED_STATUSES = frozenset({401, 403, 404, 408, 425, 429})


@dataclass(frozen=True)
class Result:
    """What became of one attempt. ``status`` 0 means that there was no answer."""

    delivery: Delivery
    status: int = 0
    text: str = ""
    retry_after_seconds: int = 0
    permanent: bool = False
    tried: bool = True

    @property
    def is_delivered(self) -> bool:
        """The other server has it."""
        return 200 <= self.status < 300  # noqa: PLR2004 (HTTP)

    @property
    def is_the_hosts_fault(self) -> bool:
        """No answer, or one that says that the server itself is broken."""
        return self.tried and not self.permanent and (self.status == 0 or self.status >= 500)  # noqa: PLR2004 (HTTP)


def note(results: Sequence[Result]) -> None:
    """Write down ``results``; a row whose lease was lost meanwhile is left to whoever holds it now."""
    if not results:
        return
    moment = clock.now()
    with transaction.atomic():
        sent = [result for result in results if result.is_delivered]
        for status in {result.status for result in sent}:
            _mine(result for result in sent if result.status == status).update(
                state="delivered",
                delivered_at=moment,
                answered_status=status,
                last_error="",
                lease_token=None,
                lease_until=None,
            )
        if untried := [result for result in results if not result.tried]:
            _mine(untried).update(attempts=F("attempts") - 1, lease_token=None, lease_until=None)
        for result in results:
            if result.tried and not result.is_delivered:
                _note_failure(result, moment)
    peers.note_delivered({result.delivery.host for result in sent}, moment)
    blamed: dict[str, list[str]] = defaultdict(list)
    for result in results:
        if result.is_the_hosts_fault:
            blamed[result.delivery.host].append(f"{result.status or ''} {result.text}".strip())
        if result.retry_after_seconds:
            peers.pause(result.delivery.host, moment + timedelta(seconds=result.retry_after_seconds))
    for host, reasons in blamed.items():
        peers.note_failed(host, reasons[-1], count=len(reasons))


def _mine(results: Iterable[Result]) -> QuerySet[Delivery]:
    rows = [result.delivery for result in results]
    return Delivery.objects.filter(pk__in=[row.pk for row in rows], lease_token__in={row.lease_token for row in rows})


def _note_failure(result: Result, moment: datetime) -> None:
    row = result.delivery
    wait = max(result.retry_after_seconds, wait_seconds(row.attempts))
    next_try_at = moment + timedelta(seconds=wait)
    why = f"{result.status}: {result.text}" if result.status else result.text
    if result.status in DISBELIEVED and row.signed_headers is not None:
        # That signature is not believed there: from now on the sender signs as usual.
        _mine([result]).update(signed_headers=None, signed_until=None)
        next_try_at = moment
    refused = result.status == 410 or (400 <= result.status < 500 and result.status not in RETRIED_STATUSES)  # noqa: PLR2004
    dead = refused or result.permanent or next_try_at > row.expires_at
    _mine([result]).update(
        state="dead" if dead else "waiting",
        next_try_at=next_try_at,
        answered_status=result.status or None,
        last_error=why[: limits.ERROR_CHARACTERS_MAX],
        lease_token=None,
        lease_until=None,
    )
    log.info("delivery failed", extra={"delivery": row.pk, "host": row.host, "status": result.status, "dead": dead})


def wait_seconds(attempts: int) -> float:
    """Full jitter below min(1 day, 30 s x 2^n), so that a thousand rows do not come back in the same second."""
    longest = min(limits.DELIVERY_BACKOFF_SECONDS_MAX, limits.DELIVERY_BACKOFF_SECONDS_MIN * 2 ** min(attempts - 1, 20))
    return _chance.uniform(1, longest)
