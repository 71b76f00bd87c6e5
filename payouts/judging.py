"""Judging a mirrored log: its entries one after the other, and the published bytes that they name.

What breaks a rule is disputed; behind it no rule is asked, and only what closes are made of is noted and fetched. The state after
the entries judged so far is kept in memory and, in a new process, made again from our own copy.
"""

import contextlib
import logging
import time
from collections import OrderedDict
from hashlib import sha256

from payouts import disputes
from payouts.admission import BLOBS, Judge, rule_of
from payouts.ledger.entries import Entry, parse_entry
from payouts.ledger.errors import LedgerError
from payouts.ledger.tiles import read_entries
from payouts.mirror_files import MirrorFiles
from payouts.models import PeerMirror
from payouts.refusals import BlobMissing, BlobWrong
from server.core import http, limits
from server.core.errors import TributaryError

logger = logging.getLogger(__name__)

OK = 200
JUDGES_KEPT = 8
JUDGED_AT_ONCE = 1024
# What a log did not show before it is not asked for in bulk.
MISSING_ASKED_PER_RUN_MAX = 16


class RunBudget:
    """What a run may still spend. Asked between requests: each of them has its own limits."""

    def __init__(self, seconds_max: float, bytes_max: int) -> None:
        self._stop_at = time.monotonic() + seconds_max
        self._bytes_max = bytes_max
        self.spent_bytes = 0

    @property
    def is_left(self) -> bool:
        """May another request be made?"""
        return time.monotonic() < self._stop_at and self.spent_bytes < self._bytes_max


_judges: OrderedDict[str, Judge] = OrderedDict()


def judge_of(mirror: PeerMirror) -> Judge:
    """The state of the log after the entries that were judged. Raises LedgerError for a damaged copy."""
    judge = _judges.pop(_name(mirror), None) or Judge(mirror.peer.origin)
    if judge.noted > mirror.size:
        judge = Judge(mirror.peer.origin)
    for data in read_entries(MirrorFiles(mirror), judge.size, max(judge.size, mirror.judged), mirror.size):
        judge.add(data)
    if mirror.broken_at is not None:
        for data in read_entries(MirrorFiles(mirror), judge.noted, max(judge.noted, mirror.complete_size), mirror.size):
            judge.note(data)
    return judge


def keep_judge(mirror: PeerMirror, judge: Judge) -> None:
    """Keep the state in memory for the next run."""
    _judges[_name(mirror)] = judge
    while len(_judges) > JUDGES_KEPT:
        _judges.popitem(last=False)


def _name(mirror: PeerMirror) -> str:
    return str(MirrorFiles(mirror).folder)


def judge(mirror: PeerMirror, budget: RunBudget) -> None:
    """Judge what was copied and not judged yet, as far as the budget reaches.

    Raises the errors of the pen, when a dispute cannot be logged.
    """
    _fetch_missing(mirror, budget)
    if mirror.broken_at is None and mirror.judged < mirror.complete_size:
        state = judge_of(mirror)
        try:
            while state.size < mirror.complete_size and budget.is_left and mirror.broken_at is None:
                _judge_some(mirror, state, budget)
            if state.size == mirror.complete_size:
                state.check_end()
        except LedgerError as error:
            _break(mirror, state.size - 1, error)
        finally:
            keep_judge(mirror, state)
    if mirror.broken_at is not None:
        _fetch_behind(mirror, budget)


def _fetch_behind(mirror: PeerMirror, budget: RunBudget) -> None:
    """Fetch what the closes behind a broken entry name, so that they can be run again."""
    state = judge_of(mirror)
    # Of a log without a genesis that is one nothing can be told.
    if state.replay.keys is not None:
        start = max(state.size, state.fetched)
        for index, data in enumerate(read_entries(MirrorFiles(mirror), start, mirror.complete_size, mirror.size), start=start):
            if not budget.is_left:
                break
            state.fetched = index + 1
            with contextlib.suppress(LedgerError):
                _fetch_blob(mirror, state, parse_entry(data, origin=mirror.peer.origin, index=index), budget)
        mirror.save(update_fields=["missing"])
    keep_judge(mirror, state)


def _judge_some(mirror: PeerMirror, judge: Judge, budget: RunBudget) -> None:
    stop = min(mirror.complete_size, judge.size + JUDGED_AT_ONCE)
    for data in read_entries(MirrorFiles(mirror), judge.size, stop, mirror.size):
        try:
            entry = judge.add(data)
        except LedgerError as error:
            _break(mirror, judge.size, error)
            break
        _fetch_blob(mirror, judge, entry, budget)
    mirror.judged = judge.size
    mirror.save(update_fields=["judged", "missing"])


def _break(mirror: PeerMirror, index: int, error: LedgerError) -> None:
    disputes.raise_dispute(mirror, index=index, error=error)
    mirror.broken_at = index
    mirror.save(update_fields=["broken_at"])
    logger.error("a ledger broke a rule", extra={"peer": mirror.peer.origin, "index": index, "rule": rule_of(error)})


def _fetch_blob(mirror: PeerMirror, judge: Judge, entry: Entry, budget: RunBudget) -> None:
    member = BLOBS.get(entry.type)
    if member is None:
        return
    digest, files = entry.body[member], MirrorFiles(mirror)
    try:
        if not files.has_blob(digest):
            files.put_blob(_download(mirror, digest, budget))
        mirror.note_found(digest)
    except (BlobMissing, BlobWrong, TributaryError) as error:
        mirror.note_missing(digest, entry.index)
        logger.info("blob not shown", extra={"peer": mirror.peer.origin, "blob": digest, "error": f"{error.code}: {error}"})
        return
    if entry.type == "agreement":
        _check_agreement(mirror, judge, entry, files.blob(digest))


def _check_agreement(mirror: PeerMirror, judge: Judge, entry: Entry, data: bytes) -> None:
    try:
        judge.check_agreement(entry, data, disputes.key_of_person)
    except LedgerError as error:
        disputes.raise_dispute(mirror, index=entry.index, error=error)


def _fetch_missing(mirror: PeerMirror, budget: RunBudget) -> None:
    """Ask again for what the log did not show."""
    if not mirror.missing or not mirror.judged:
        return
    judge = judge_of(mirror)
    for _, index in mirror.missing[:MISSING_ASKED_PER_RUN_MAX]:
        if not budget.is_left:
            break
        data = next(read_entries(MirrorFiles(mirror), index, index + 1, mirror.size))
        _fetch_blob(mirror, judge, parse_entry(data), budget)
    mirror.save(update_fields=["missing"])
    keep_judge(mirror, judge)


def _download(mirror: PeerMirror, digest: str, budget: RunBudget) -> bytes:
    if not budget.is_left:
        raise BlobMissing("to be asked for in the next run")
    data = fetch(f"{mirror.peer.url}/blob/{digest}", size_bytes_max=limits.MIRROR_BLOB_BYTES_MAX)
    budget.spent_bytes += len(data)
    if sha256(data).hexdigest() != digest:
        raise BlobWrong(digest)
    return data


def fetch(url: str, *, size_bytes_max: int) -> bytes:
    """What another instance shows there. Raises BlobMissing for any answer but 200, HttpError."""
    answer = http.get(url, headers={}, size_bytes_max=size_bytes_max, wait_seconds_max=limits.FETCH_SECONDS_MAX)
    if answer.status != OK:
        raise BlobMissing(f"{url}: status {answer.status}")
    return answer.body
