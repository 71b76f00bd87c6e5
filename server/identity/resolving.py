"""Resolution by SCID, from anywhere: any copy of a log is as good as another, for verification decides.

Asked are, in this order: the home, the replicas and earlier homes that the log names, whoever the caller knows to follow, and
the instances we know. Eight at once, thirty seconds in all. The longest valid log wins; two that part are a fork, of which the
evidence is kept (docs/reference/replicas.md).
"""

import logging
import time
from collections.abc import Iterable, Sequence
from concurrent.futures import Future, ThreadPoolExecutor, wait
from dataclasses import dataclass, field

from django.conf import settings
from django.db import transaction
from django.db.models import F

from server.core import clock, hosts, http, limits
from server.core.errors import NotFound, TributaryError
from server.identity import actions, contests, keylog, replicas, watcher_client, watching
from server.identity.facts import LogAnnounced
from server.identity.keylog import PolicyLog
from server.identity.keylog.errors import V13Witness, V15Fork, V15Stale
from server.identity.models import Identity, Watcher
from server.identity.queries import WATCHER_PATH, document_of, log_of, witness_file

logger = logging.getLogger(__name__)

OK, NOT_MODIFIED = 200, 304
# A log that nobody here has seen before is asked for at two places at least, where there are two.
SOURCES_MIN = 2


@dataclass(frozen=True)
class Source:
    """Where a copy may be. ``name``: its origin. ``witness_url``: of the did-witness.json, for a log that names witnesses."""

    name: str
    url: str
    witness_url: str


@dataclass(frozen=True)
class Asked:
    """What one source said: ``valid``, ``unchanged``, or the code of an error. ``versions``: of the log it gave."""

    source: str
    url: str
    outcome: str
    versions: int = 0


@dataclass(frozen=True)
class Found:
    """The log of an identity, and who was asked. ``is_kept``: it stands in the database. ``is_contested``: see ``contests``."""

    scid: str
    log: PolicyLog
    asked: tuple[Asked, ...]
    is_kept: bool
    is_contested: bool


class NotResolved(NotFound):
    """Nobody who was asked has a valid log of this identity."""

    code = "not_resolved"

    def __init__(self, scid: str, asked: Sequence[Asked]) -> None:
        super().__init__(f"Nobody has a valid log of {scid}; asked: {len(asked)}.")
        self.asked = tuple(asked)


@dataclass
class _Gathered:
    """The valid logs that came in, as their sources gave them."""

    asked: list[Asked] = field(default_factory=list)
    logs: list[tuple[str, PolicyLog, bytes | None]] = field(default_factory=list)
    unchanged: int = 0

    @property
    def answers(self) -> int:
        return len(self.logs) + self.unchanged


def resolve(scid: str, *, keep: bool = False, also: Iterable[str] = (), did: str | None = None) -> Found:
    """The log of ``scid``, from whoever has it. One that is kept here is brought up to date; another is kept if ``keep``.

    ``also``: origins of instances that may have a copy, such as those of followers; ``did``: where the identity is said to live.
    Raises NotResolved; NotWanted is for the caller to judge.
    """
    known = Identity.objects.filter(scid=scid).first()
    named, others = _sources(scid, known, also, did)
    gathered = _Gathered()
    ends_at = time.monotonic() + limits.RESOLVE_SECONDS_MAX
    _gather(gathered, scid, known, named, ends_at)
    if gathered.answers < (1 if known is not None else SOURCES_MIN) and others:
        _gather(gathered, scid, known, others, ends_at)
    if known is not None:
        return _update(known, gathered)
    if not gathered.logs:
        raise NotResolved(scid, gathered.asked)
    return _first_contact(scid, gathered, keep=keep)


def fetch_announced(fact: LogAnnounced) -> None:
    """The log of a DID is said to have grown: fetch it, and keep it. Where there is none, it was only said. Raises QuotaFull."""
    scid = keylog.parse_did(fact.did, loopback=settings.ALLOW_LOOPBACK).scid
    try:
        resolve(scid, keep=True, did=fact.did)
    except NotResolved as error:
        logger.info("an announced log was not found", extra={"did": fact.did, "asked": len(error.asked)})


def check_silent_homes(*, count_max: int = 50) -> int:
    """Look after the logs we heard nothing of for longest, at their homes and at everyone the logs name.

    A move that nobody told us of is found here, also when the old home is dead. Returns how many were answered for. The time is
    written before anybody is asked, so that dead homes do not keep the others waiting.
    """
    ends_at, answered = time.monotonic() + limits.CHECK_HOMES_SECONDS_MAX, 0
    for identity in Identity.objects.filter(is_home=False).order_by("checked_at")[:count_max]:
        if time.monotonic() > ends_at:
            break
        Identity.objects.filter(pk=identity.pk).update(checked_at=clock.now())
        found = resolve(identity.scid)
        if not any(one.outcome in ("valid", "unchanged") for one in found.asked):
            continue
        answered += 1
        try:
            identity.refresh_from_db()
            replicas.pull_heads(identity)
        except TributaryError as error:
            logger.info("outbox heads not learnt", extra={"scid": identity.scid, "error": error.code})
    return answered


# --- whom to ask ---


def _sources(scid: str, known: Identity | None, also: Iterable[str], did: str | None) -> tuple[list[Source], list[Source]]:
    """Those that the log or the caller names, and the other instances we know."""
    named: list[Source] = []
    if known is not None:
        log, document = log_of(known), document_of(known)
        dids = dict.fromkeys(version.did for version in reversed(log.versions))
        # At the home itself and at the watcher's door of each place where the identity ever lived, the newest first.
        named += [source for one in dids if (source := _of_did(one)) is not None]
        named += [_of_watcher(endpoint, scid) for endpoint in document.replicas]
        prior = [name for name in document.prior if name.startswith(("http://", "https://"))]
        named += [_of_watcher(f"{origin}{WATCHER_PATH}", scid) for origin in dict.fromkeys(map(hosts.origin, prior))]
    elif did is not None:
        source = _of_did(keylog.parse_did(did, loopback=settings.ALLOW_LOOPBACK))
        named += [source] if source is not None else []
    named += [_of_watcher(f"{origin}{WATCHER_PATH}", scid) for origin in also]
    peers = Watcher.objects.order_by("-is_chosen", F("answered_at").desc(nulls_last=True), "id").values_list("origin", flat=True)
    listed = dict.fromkeys([*settings.REPLICAS, *peers[: limits.RESOLVE_SOURCES_MAX]])
    others = [_of_watcher(f"{origin}{WATCHER_PATH}", scid) for origin in listed]
    return _distinct(named), _distinct([one for one in others if one not in named])


def _of_did(did: keylog.Did) -> Source | None:
    try:
        url = did.url(loopback=settings.ALLOW_LOOPBACK)
        return Source(hosts.origin(url), url, did.url("did-witness.json", loopback=settings.ALLOW_LOOPBACK))
    except (keylog.KeyLogError, hosts.BadAddress):
        # A place that is not spoken to (a port, this machine): another will have the log.
        return None


def _of_watcher(endpoint: str, scid: str) -> Source:
    return Source(watching.origin_of_replica(endpoint), f"{endpoint}/log?scid={scid}", f"{endpoint}/witness?scid={scid}")


def _distinct(sources: Iterable[Source]) -> list[Source]:
    ours = [one for one in dict.fromkeys(sources) if one.name != settings.ORIGIN]
    return ours[: limits.RESOLVE_SOURCES_MAX]


# --- asking them ---


def _gather(gathered: _Gathered, scid: str, known: Identity | None, sources: Sequence[Source], ends_at: float) -> None:
    """Ask all of ``sources``, eight at once, and verify what comes. What is late is left."""
    if not sources:
        return
    size_bytes_max = (keylog.SOFT if known is None else keylog.HARD).bytes_max
    etag = f'"{known.head_version_id}"' if known is not None else ""
    pool = ThreadPoolExecutor(max_workers=limits.RESOLVE_AT_ONCE_MAX)
    asked: list[tuple[Source, Future[http.Answer]]] = [
        (source, pool.submit(_fetch, source.url, size_bytes_max, etag)) for source in sources
    ]
    wait([one for _, one in asked], timeout=max(0.0, ends_at - time.monotonic()))
    pool.shutdown(wait=False, cancel_futures=True)
    for source, future in asked:
        if not future.done() or future.cancelled():
            gathered.asked.append(Asked(source.name, source.url, "too_slow"))
            continue
        try:
            answer = future.result()
            if answer.status == NOT_MODIFIED:
                gathered.unchanged += 1
                gathered.asked.append(Asked(source.name, source.url, "unchanged"))
                continue
            log, approvals = _read(source, answer, scid, known)
        except TributaryError as error:
            gathered.asked.append(Asked(source.name, source.url, error.code))
            continue
        gathered.logs.append((source.name, log, approvals))
        gathered.asked.append(Asked(source.name, source.url, "valid", len(log.versions)))


def _fetch(url: str, size_bytes_max: int, etag: str) -> http.Answer:
    watcher_client.require_name(url)
    headers = {"Accept": "text/jsonl, application/jsonl", **({"If-None-Match": etag} if etag else {})}
    return http.get(url, headers=headers, size_bytes_max=size_bytes_max, wait_seconds_max=limits.RESOLVE_ANSWER_SECONDS_MAX)


def _read(source: Source, answer: http.Answer, scid: str, known: Identity | None) -> tuple[PolicyLog, bytes | None]:
    """The log, and the approvals of its witnesses where they had to be fetched."""
    if answer.status != OK:
        raise NotFound(f"{answer.url} answers {answer.status}.")
    try:
        return _verify(answer.body, scid, known, witness_file(known) if known is not None else None), None
    except V13Witness:
        approvals = watcher_client.fetch(source.witness_url, size_bytes_max=keylog.limits.WITNESS_FILE_BYTES_MAX)
        return _verify(answer.body, scid, known, approvals), approvals


def _verify(data: bytes, scid: str, known: Identity | None, approvals: bytes | None) -> PolicyLog:
    caps = keylog.SOFT if known is None else keylog.HARD
    return keylog.verify_policy(
        data, now=clock.now(), caps=caps, requested=scid, witness_file=approvals, loopback=settings.ALLOW_LOOPBACK
    )


# --- what counts ---


def _update(known: Identity, gathered: _Gathered) -> Found:
    """Hold what came against the pin, the longest first."""
    for name, log, approvals in sorted(gathered.logs, key=lambda one: -len(one[1].versions)):
        try:
            actions.accept_log(data=log.data, requested=known.scid, witness_file=approvals, source=name)
        except (V15Stale, V15Fork) as error:
            # A shorter one is an old copy; of another branch the evidence is kept by now.
            logger.info("a copy differs", extra={"source": name, "scid": known.scid, "error": error.code})
    known = Identity.objects.get(pk=known.pk)
    return Found(known.scid, log_of(known), tuple(gathered.asked), is_kept=True, is_contested=known.contested_at is not None)


def _first_contact(scid: str, gathered: _Gathered, *, keep: bool) -> Found:
    """The longest of the logs; where they part, the branch that counts (V16), or what comes before the fork."""
    logs = [log for _, log, _ in gathered.logs]
    approvals = max((one for _, _, one in gathered.logs if one is not None), key=len, default=None)
    best, is_contested = choose(logs)
    if keep:
        with transaction.atomic():
            watching.require_room(actions.home_origin(keylog.read(best.head.entry.state)))
            identity = actions.accept_log(data=best.data, requested=scid, witness_file=approvals)
            for left, right in _pairs(logs):
                contests.keep_fork(identity=identity, left=left, right=right)
    return Found(scid, best, tuple(gathered.asked), is_kept=keep, is_contested=is_contested)


def choose(logs: Sequence[PolicyLog]) -> tuple[PolicyLog, bool]:
    """Of verified logs of one identity that nobody here has pinned, the one to go by, and whether it is contested.

    The longest, unless two part: then the branch that counts by its keys (V16); if none does, what they have in common.
    """
    best, is_contested = max(logs, key=lambda log: len(log.versions)), False
    for log in logs:
        fork = keylog.find_fork(best, log)
        if fork is None:
            if len(log.versions) > len(best.versions) and not is_contested:
                best = log
            continue
        branch = keylog.settle_fork(best, log, first_seen={})
        if branch is not None:
            best = branch.log
        else:
            best, is_contested = best.first(fork.number - 1), True
    return best, is_contested


def _pairs(logs: Sequence[PolicyLog]) -> list[tuple[PolicyLog, PolicyLog]]:
    return [(left, right) for index, left in enumerate(logs) for right in logs[index + 1 :]]
