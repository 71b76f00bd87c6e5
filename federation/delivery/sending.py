"""Send what is due, by a few threads and outside any transaction.

A crash between a POST and the note about it only means that the POST is made again; the receiver knows the activity's
id and does nothing twice. Threads never touch the database: the caller's thread claims, prepares and notes.
"""

import contextlib
import logging
import queue
import time
from collections import Counter, defaultdict
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field

from federation.delivery import claiming, noting
from federation.delivery.noting import Result
from federation.keyring import Signer, signer_of
from federation.models import Delivery
from payouts import gossip
from server.accounts.models import Account
from server.core import clock, http, limits
from server.core.errors import NotFound, TributaryError
from server.moderation import queries as moderation

log = logging.getLogger(__name__)

CONTENT_TYPE = "application/activity+json"
THREADS = 32
# Requests at the same time to one host; the rows of one sender to one inbox stay in order.
LANES_PER_HOST = 4
LANE_SECONDS_MAX = 15
LANE_FAILURES_MAX = 3
LOOK_AGAIN_SECONDS = 0.5
NOTED_TOGETHER = 50
ANSWER_CHARACTERS_KEPT = 500
# What a suspended account still sends.
TAKING_BACK = frozenset({"Delete", "Undo", "Reject"})


@dataclass(frozen=True)
class Parcel:
    """All that a thread needs to send one row."""

    delivery: Delivery
    signer: Signer
    body: bytes
    # Headers that are not signed by us as sender: they prove themselves.
    gossip: Mapping[str, str] = field(default_factory=dict)
    # The row was signed elsewhere, and that signature is still good: it goes out with these.
    signed_headers: Mapping[str, str] | None = None


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
            if moment < stop_at and (not busy or (moment >= look_again_at and busy.total() < claiming.BATCH)):
                look_again_at = moment + LOOK_AGAIN_SECONDS
                rows = claiming.claim(busy)
                busy.update(row.host for row in rows)
                for lane in _lanes(rows, results):
                    pool.submit(_send_lane, lane, results)
            if not busy:
                return attempts
            portion = _take(results)
            noting.note(portion)
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

    A row that must not be sent (any more) gets its result at once.
    """
    blocked = moderation.blocked_among({row.host for row in rows})
    signers: dict[int | None, Signer | None] = {}
    checkpoint = gossip.header() if rows else {}
    lanes: dict[tuple[str, int], list[Parcel]] = defaultdict(list)
    for row in rows:
        if row.sender_id not in signers:
            signers[row.sender_id] = _signer(row.sender)
        signer = signers[row.sender_id]
        if row.host in blocked:
            results.put(Result(row, text="domain_blocked: we have no dealings with that server any more", permanent=True))
        elif signer is None:
            results.put(Result(row, text="not_found: the sender has no key here", permanent=True))
        elif row.sender is not None and row.sender.suspended_at is not None and row.kind not in TAKING_BACK:
            results.put(Result(row, text="suspended: the sender may not act any more", permanent=True))
        else:
            is_good = row.signed_until is not None and clock.now() < row.signed_until
            parcel = Parcel(row, signer, row.body.encode(), checkpoint, row.signed_headers if is_good else None)
            lanes[row.host, hash((row.sender_id, row.inbox)) % LANES_PER_HOST].append(parcel)
    return list(lanes.values())


def _signer(account: Account | None) -> Signer | None:
    try:
        return signer_of(account)
    except NotFound:
        return None


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
        url = http.check(row.inbox)
        if parcel.signed_headers is not None:
            headers = {**parcel.signed_headers, "Content-Type": CONTENT_TYPE}
        else:
            headers = parcel.signer.sign("POST", url, body=parcel.body, content_type=CONTENT_TYPE)
        answer = http.post(
            row.inbox,
            headers={**headers, **parcel.gossip, "Accept": CONTENT_TYPE},
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
