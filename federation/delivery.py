"""What we owe other servers: claimed by lease, sent by a few threads outside any transaction, noted in one go.

A crash between a POST and the note about it only means that the POST is made again; the receiver knows the activity's
id and does nothing twice. Threads never touch the database: the caller's thread claims, prepares and notes.
"""

import logging
import queue
import random
import time
import uuid
from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from datetime import datetime, timedelta

from django.db import connection, transaction
from django.db.models import Exists, F, OuterRef, Q, QuerySet, Window
from django.db.models.functions import RowNumber

from federation import peers
from federation.keyring import Signer, signer_of
from federation.models import Delivery, Peer
from federation.wire import json
from federation.wire.json import JsonObject
from server.accounts.models import Account
from server.core import clock, facts, hosts, http, limits
from server.core.errors import TributaryError
from server.moderation import queries as moderation

log = logging.getLogger(__name__)
_chance = random.SystemRandom()

CONTENT_TYPE = "application/activity+json"
THREADS = 16
BATCH = 256
ROWS_PER_HOST_MAX = 64
# Requests at the same time to one host; the rows of one sender stay in order.
LANES_PER_HOST = 4
LEASE_SECONDS = 240
LANE_SECONDS_MAX = 120
NOTED_TOGETHER = 50
ANSWER_CHARACTERS_KEPT = 500
RETRIED_STATUSES = frozenset({401, 403, 404, 408, 425, 429})
DELIVERED_KEPT = timedelta(days=7)
DEAD_KEPT = timedelta(days=30)


def enqueue(
    *,
    activity: JsonObject,
    sender: Account | None,
    inboxes: Iterable[str],
    ttl_seconds: int = limits.DELIVERY_AGE_SECONDS_MAX,
) -> int:
    """Owe ``activity`` to each of ``inboxes``, in the caller's transaction. Twice is once. Returns how many are owed.

    Our own server and blocked ones are left out.
    """
    moment = clock.now()
    body = json.dump(activity)
    by_host: dict[str, list[str]] = defaultdict(list)
    for inbox in sorted(set(inboxes)):
        by_host[hosts.parse_url(inbox).authority].append(inbox)
    open_until = dict(Peer.objects.filter(host__in=by_host, open_until__gt=moment).values_list("host", "open_until"))
    rows = [
        Delivery(
            activity_uri=activity["id"],
            kind=activity["type"],
            body=body,
            sender=sender,
            inbox=inbox,
            host=host,
            created_at=moment,
            next_try_at=open_until.get(host) or moment,
            expires_at=moment + timedelta(seconds=ttl_seconds),
        )
        for host, of_host in by_host.items()
        if host not in peers.own_hosts() and not moderation.is_domain_blocked(host)
        for inbox in of_host
    ]
    Delivery.objects.bulk_create(rows, ignore_conflicts=True)
    if rows:
        facts.ring("federation")
    return len(rows)


# --- claiming ---


def _due(moment: datetime) -> QuerySet[Delivery]:
    free = Q(lease_until=None) | Q(lease_until__lt=moment)
    closed = ~Exists(Peer.objects.filter(host=OuterRef("host"), open_until__gt=moment))
    return Delivery.objects.filter(free, closed, state="waiting", next_try_at__lte=moment)


def any_due() -> bool:
    """Is anything owed that may be sent now?"""
    return _due(clock.now()).exists()


def _claim() -> list[Delivery]:
    """Up to ``BATCH`` due rows, the hosts taking turns; of a host that keeps failing only one, as a probe."""
    moment, token = clock.now(), uuid.uuid4()
    with transaction.atomic():
        turn = Window(RowNumber(), partition_by=F("host"), order_by=[F("next_try_at"), F("id")])
        wanted = _due(moment).annotate(turn=turn).filter(turn__lte=ROWS_PER_HOST_MAX).order_by("turn", "next_try_at", "id")
        found = list(wanted.values_list("id", "host", "turn")[:BATCH])
        failing = set(
            Peer.objects.filter(host__in={host for _, host, _ in found}, failures__gte=limits.HOST_FAILURES_MAX).values_list(
                "host", flat=True
            )
        )
        ids = [row_id for row_id, host, place in found if place == 1 or host not in failing]
        if connection.features.has_select_for_update_skip_locked:
            ids = list(Delivery.objects.select_for_update(skip_locked=True).filter(id__in=ids).values_list("id", flat=True))
        # The conditions stand again in the update: whoever comes second matches no row.
        _due(moment).filter(id__in=ids).update(
            lease_token=token, lease_until=moment + timedelta(seconds=LEASE_SECONDS), attempts=F("attempts") + 1
        )
    return list(Delivery.objects.filter(lease_token=token).select_related("sender").order_by("id"))


# --- sending ---


@dataclass(frozen=True)
class Parcel:
    """All that a thread needs to send one row."""

    delivery: Delivery
    signer: Signer
    body: bytes


@dataclass(frozen=True)
class Result:
    """What became of one attempt. ``status`` 0 means that there was no answer."""

    delivery: Delivery
    status: int = 0
    text: str = ""
    retry_after_seconds: int = 0
    permanent: bool = False
    tried: bool = True


def send_due() -> int:
    """Send what is due for a bounded time. Returns how many attempts were made."""
    stop_at = time.monotonic() + limits.WORK_SECONDS_MAX
    attempts = 0
    with ThreadPoolExecutor(max_workers=THREADS, thread_name_prefix="deliver") as pool:
        while time.monotonic() < stop_at and (rows := _claim()):
            results: queue.SimpleQueue[Result] = queue.SimpleQueue()
            for lane in _lanes(rows):
                pool.submit(_send_lane, lane, results)
            for together in _gather(results, len(rows)):
                _note(together)
                attempts += sum(result.tried for result in together)
    return attempts


def _lanes(rows: Sequence[Delivery]) -> list[list[Parcel]]:
    """Rows that are sent one after the other: those of one sender to one host always, at most ``LANES_PER_HOST`` per host."""
    signers: dict[int | None, Signer] = {}
    lanes: dict[tuple[str, int], list[Parcel]] = defaultdict(list)
    for row in rows:
        if row.sender_id not in signers:
            signers[row.sender_id] = signer_of(row.sender)
        lane = hash((row.sender_id, row.inbox)) % LANES_PER_HOST
        lanes[row.host, lane].append(Parcel(row, signers[row.sender_id], row.body.encode()))
    return list(lanes.values())


def _send_lane(lane: Sequence[Parcel], results: "queue.SimpleQueue[Result]") -> None:
    stop_at = time.monotonic() + LANE_SECONDS_MAX
    stopped = False
    for parcel in lane:
        if stopped or time.monotonic() > stop_at:
            results.put(Result(parcel.delivery, tried=False))
            continue
        result = _send(parcel)
        results.put(result)
        # A host that does not answer, or asks for a pause, is not asked again for each of its rows.
        stopped = not result.permanent and result.status in {0, 429}


def _send(parcel: Parcel) -> Result:
    row = parcel.delivery
    try:
        headers = parcel.signer.sign("POST", http.check(row.inbox), body=parcel.body, content_type=CONTENT_TYPE)
        answer = http.post(
            row.inbox,
            headers={**headers, "Accept": CONTENT_TYPE},
            body=parcel.body,
            size_bytes_max=limits.DELIVERY_ANSWER_BYTES_MAX,
            wait_seconds_max=limits.DELIVERY_SECONDS_MAX,
        )
    except TributaryError as error:
        return Result(row, text=f"{error.code}: {error}", permanent=error.permanent)
    except Exception as error:
        log.exception("delivery broke", extra={"delivery": row.pk})
        return Result(row, text=f"{type(error).__name__}: {error}")
    text = answer.body[:ANSWER_CHARACTERS_KEPT].decode("utf-8", "replace")
    return Result(row, answer.status, text, _retry_after(answer.headers.get("retry-after", "")))


def _retry_after(text: str) -> int:
    seconds = int(text) if text.isascii() and text.isdigit() and len(text) < 10 else 0  # noqa: PLR2004 (a number of seconds)
    return min(seconds, limits.RETRY_AFTER_SECONDS_MAX)


def _gather(results: "queue.SimpleQueue[Result]", count: int) -> Iterator[list[Result]]:
    """All ``count`` results, in portions: what is there is noted soon, so that a crash repeats little."""
    portion: list[Result] = []
    for _ in range(count):
        portion.append(results.get())
        if len(portion) >= NOTED_TOGETHER or results.empty():
            yield portion
            portion = []


# --- noting ---


def _note(results: Sequence[Result]) -> None:
    moment = clock.now()
    with transaction.atomic():
        sent = [result for result in results if 200 <= result.status < 300]  # noqa: PLR2004 (HTTP)
        for status in {result.status for result in sent}:
            _mine(result for result in sent if result.status == status).update(
                state="delivered",
                delivered_at=moment,
                answered_status=status,
                last_error="",
                lease_token=None,
                lease_until=None,
            )
        _mine(result for result in results if not result.tried).update(
            attempts=F("attempts") - 1, lease_token=None, lease_until=None
        )
        for result in results:
            if result.tried and result not in sent:
                _note_failure(result, moment)
    for host in {result.delivery.host for result in sent}:
        peers.note_delivered(host, moment)
    for result in results:
        if result.tried and not result.permanent and (result.status == 0 or result.status >= 500):  # noqa: PLR2004
            peers.note_failed(result.delivery.host, result.text)
        if result.retry_after_seconds:
            peers.pause(result.delivery.host, moment + timedelta(seconds=result.retry_after_seconds))


def _mine(results: Iterable[Result]) -> QuerySet[Delivery]:
    rows = [result.delivery for result in results]
    return Delivery.objects.filter(pk__in=[row.pk for row in rows], lease_token__in={row.lease_token for row in rows})


def _note_failure(result: Result, moment: datetime) -> None:
    row = result.delivery
    wait = max(result.retry_after_seconds, _wait_seconds(row.attempts))
    next_try_at = moment + timedelta(seconds=wait)
    why = f"{result.status}: {result.text}" if result.status else result.text
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


def _wait_seconds(attempts: int) -> float:
    """Full jitter below min(1 day, 30 s x 2^n), so that a thousand rows do not come back in the same second."""
    longest = min(limits.DELIVERY_BACKOFF_SECONDS_MAX, limits.DELIVERY_BACKOFF_SECONDS_MIN * 2 ** min(attempts - 1, 20))
    return _chance.uniform(1, longest)


def forget_old() -> int:
    """Forget deliveries that were made a week ago or given up a month ago. Returns how many."""
    moment = clock.now()
    made = Q(state="delivered", delivered_at__lt=moment - DELIVERED_KEPT)
    given_up = Q(state="dead", expires_at__lt=moment - DEAD_KEPT)
    deleted, _ = Delivery.objects.filter(made | given_up).delete()
    return deleted
