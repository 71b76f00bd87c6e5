"""What we owe other servers: claimed by lease, sent by a few threads outside any transaction, noted in one go.

A crash between a POST and the note about it only means that the POST is made again; the receiver knows the activity's
id and does nothing twice. Threads never touch the database: the caller's thread claims, prepares and notes.
"""

import contextlib
import logging
import queue
import random
import time
import uuid
from collections import Counter, defaultdict
from collections.abc import Iterable, Sequence
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
from server.core.errors import NotFound, TributaryError
from server.moderation import queries as moderation

log = logging.getLogger(__name__)
_chance = random.SystemRandom()

CONTENT_TYPE = "application/activity+json"
THREADS = 32
BATCH = 256
ROWS_PER_HOST_MAX = 64
# Requests at the same time to one host; the rows of one sender stay in order.
LANES_PER_HOST = 4
LEASE_SECONDS = 180
LANE_SECONDS_MAX = 15
LOOK_AGAIN_SECONDS = 0.5
LANE_FAILURES_MAX = 3
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


def _claim(busy: Iterable[str] = ()) -> list[Delivery]:
    """Up to ``BATCH`` due rows of hosts that are not ``busy``, the hosts taking turns; of a failing one a single probe."""
    moment, token = clock.now(), uuid.uuid4()
    with transaction.atomic():
        turn = Window(RowNumber(), partition_by=F("host"), order_by=[F("next_try_at"), F("id")])
        wanted = (
            _due(moment)
            .exclude(host__in=list(busy))
            .annotate(turn=turn)
            .filter(turn__lte=ROWS_PER_HOST_MAX)
            .order_by("turn", "next_try_at", "id")
        )
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

    @property
    def is_the_hosts_fault(self) -> bool:
        """No answer, or one that says that the server itself is broken."""
        return self.tried and not self.permanent and (self.status == 0 or self.status >= 500)  # noqa: PLR2004 (HTTP)


def send_due() -> int:
    """Send what is due for a bounded time. Returns how many attempts were made.

    While a slow host is being waited for, what is due for the others is claimed and sent.
    """
    stop_at = time.monotonic() + limits.WORK_SECONDS_MAX
    look_again_at = 0.0
    attempts = 0
    busy: Counter[str] = Counter()
    results: queue.SimpleQueue[Result] = queue.SimpleQueue()
    with ThreadPoolExecutor(max_workers=THREADS, thread_name_prefix="deliver") as pool:
        while True:
            moment = time.monotonic()
            if moment < stop_at and (not busy or (moment >= look_again_at and busy.total() < BATCH)):
                look_again_at = moment + LOOK_AGAIN_SECONDS
                rows = _claim(busy)
                busy.update(row.host for row in rows)
                for lane in _lanes(rows, results):
                    pool.submit(_send_lane, lane, results)
            if not busy:
                return attempts
            portion = _take(results)
            _note(portion)
            busy -= Counter(result.delivery.host for result in portion)
            attempts += sum(result.tried for result in portion)


def _take(results: "queue.SimpleQueue[Result]") -> list[Result]:
    """What is there, in portions: noted soon, so that a crash repeats little, and together, so that it is cheap."""
    portion: list[Result] = []
    with contextlib.suppress(queue.Empty):
        portion.append(results.get(timeout=LOOK_AGAIN_SECONDS))
        while len(portion) < NOTED_TOGETHER:
            portion.append(results.get_nowait())
    return portion


def _lanes(rows: Sequence[Delivery], results: "queue.SimpleQueue[Result]") -> list[list[Parcel]]:
    """Rows that are sent one after the other: those of one sender to one inbox always, at most ``LANES_PER_HOST`` per host.

    A row whose sender has no key here gets its result at once.
    """
    signers: dict[int | None, Signer | NotFound] = {}
    lanes: dict[tuple[str, int], list[Parcel]] = defaultdict(list)
    for row in rows:
        if row.sender_id not in signers:
            try:
                signers[row.sender_id] = signer_of(row.sender)
            except NotFound as error:
                signers[row.sender_id] = error
        signer = signers[row.sender_id]
        if isinstance(signer, NotFound):
            results.put(Result(row, text=f"{signer.code}: {signer}", permanent=True))
        else:
            lanes[row.host, hash((row.sender_id, row.inbox)) % LANES_PER_HOST].append(Parcel(row, signer, row.body.encode()))
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


# --- noting ---


def _note(results: Sequence[Result]) -> None:
    if not results:
        return
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
