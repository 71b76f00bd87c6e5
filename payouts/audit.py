"""The auditor: runs every close of a mirrored log again, and says so with a key of its own, or disputes it.

A cosignature of ``<host>/auditor/1`` means: every close below this size was re-executed from its published inputs and came out
equal (stage B). How the published sums came from views (stage A) is compared by sample only, with what the meter published;
the report says how large the sample was.
"""

import logging
import time
from collections.abc import Iterable
from dataclasses import asdict, dataclass
from typing import Any

from django.db.models import Q

from payouts import disputes, instance_keys, judging, mirror, pins
from payouts.admission import Judge, rule_of
from payouts.closes_again import gather
from payouts.ledger.checkpoint import cosign
from payouts.ledger.entries import parse_entry
from payouts.ledger.errors import LedgerError, UnknownAlgorithm
from payouts.ledger.tiles import read_entries
from payouts.mirror_files import MirrorFiles
from payouts.models import Dispute, PeerLog, PeerMirror
from payouts.reexecution import Differs, reexecute
from payouts.refusals import BlobMissing
from server.core import clock, limits
from server.core.errors import TributaryError

logger = logging.getLogger(__name__)

EQUAL, DIFFERS, UNAVAILABLE, UNKNOWN = "equal", "differs", "unavailable", "unknown_algorithm"


@dataclass(frozen=True)
class Verdict:
    """What became of one close. ``payee``: the first that differs. Of ``works`` works ``sampled`` were compared (stage A)."""

    index: int
    period: str
    algorithm: str
    verdict: str
    rule: str = ""
    payee: str = ""
    reason: str = ""
    works: int = 0
    sampled: int = 0


@dataclass(frozen=True)
class AuditReport:
    """What the auditor knows of a log: ``closes`` are those of this run; ``audited`` entries are done; ``cosigned_size`` or 0."""

    origin: str
    size: int
    audited: int
    closes: tuple[Verdict, ...]
    disputes: tuple[str, ...]
    cosigned_size: int
    error: str = ""

    @property
    def stage_a(self) -> str:
        """What was seen of the private half, in words."""
        works, sampled = sum(one.works for one in self.closes), sum(one.sampled for one in self.closes)
        return f"by sample only: {sampled} of {works} works compared with what the meter published; no view was seen"

    def as_json(self) -> dict[str, Any]:
        """For ``--json`` and for pages."""
        return {**asdict(self), "closes": [asdict(one) for one in self.closes], "stage_a": self.stage_a}


def audit_peer(peer: PeerLog, *, seconds_max: float = limits.AUDIT_SECONDS_MAX) -> AuditReport:
    """Re-execute the closes of a peer's log that were mirrored and judged and not audited yet; cosign when all are equal.

    A close whose inputs are not shown is waited for. Never raises for what the peer shows.
    """
    copy = mirror.mirror_of(peer)
    verdicts: list[Verdict] = []
    error_text = ""
    try:
        verdicts += _audit(copy, stop_at=time.monotonic() + seconds_max)
        _cosign(copy)
    except (LedgerError, TributaryError) as error:
        error_text = f"{error.code}: {error}"
        logger.warning("audit stopped", extra={"peer": peer.origin, "error": error_text})
    name = f" {instance_keys.signer('auditor').verifier.name} "
    return AuditReport(
        origin=peer.origin, size=copy.complete_size, audited=copy.audited, closes=tuple(verdicts),
        disputes=tuple(f"{one.index} {one.rule}" for one in Dispute.objects.filter(origin=peer.origin).order_by("index", "rule")),
        cosigned_size=copy.complete_size if name in copy.cosignatures else 0, error=error_text,
    )  # fmt: skip


def audit_all() -> list[AuditReport]:
    """The chore: every mirrored log, for a bounded time."""
    stop_at = time.monotonic() + limits.AUDIT_SECONDS_MAX
    reports = []
    for peer in PeerLog.objects.filter(Q(mirrors__branch=""), is_mirrored=True, forked_at=None).order_by(
        "mirrors__audited", "pk"
    ):
        left = stop_at - time.monotonic()
        if left <= 0:
            break
        reports.append(audit_peer(peer, seconds_max=left))
    return reports


def _audit(copy: PeerMirror, *, stop_at: float) -> Iterable[Verdict]:
    end = _end(copy)
    if copy.audited >= end:
        return
    judge = judging.judge_of(copy)
    for index in [one for one in judge.closes if copy.audited <= one < end]:
        if time.monotonic() >= stop_at:
            break
        verdict = _audit_close(copy, judge, index)
        copy.verdicts[str(index)] = asdict(verdict)
        if verdict.verdict in (EQUAL, DIFFERS):
            copy.audited = index + 1
        copy.save(update_fields=["verdicts", "audited"])
        yield verdict
        if copy.audited <= index:
            break
    else:
        copy.audited = end
        copy.save(update_fields=["audited"])
    judging.keep_judge(copy, judge)


def _end(copy: PeerMirror) -> int:
    """Up to where closes can be run again: what was judged, and behind a broken entry whatever is here (LEDGER 7.5).

    A close does not rest on what stands before it but for what it names, so one that differs is named even there; the auditor's
    key says nothing of such a log.
    """
    return copy.judged if copy.broken_at is None else copy.complete_size


def _audit_close(copy: PeerMirror, judge: Judge, index: int) -> Verdict:
    files = MirrorFiles(copy)
    entry = parse_entry(next(read_entries(files, index, index + 1, copy.size)), index=index)
    told = {"index": index, "period": f"{entry.body['period']} {entry.body['currency']}", "algorithm": entry.body["algorithm"]}
    try:
        close = gather(files, judge, index, copy.complete_size)
        result = reexecute(close, beacon=bytes.fromhex(copy.root), works_max=limits.AUDIT_WORKS_SAMPLED_MAX)
    except BlobMissing as error:
        copy.note_missing(entry.body["inputs"], index)
        copy.save(update_fields=["missing"])
        return Verdict(**told, verdict=UNAVAILABLE, rule=rule_of(error), reason=str(error))
    except UnknownAlgorithm as error:
        return Verdict(**told, verdict=UNKNOWN, rule=rule_of(error), reason=str(error))
    except Differs as differs:
        at = int(differs.finding.get("index", index))
        if Dispute.objects.filter(origin=copy.peer.origin).count() < limits.DISPUTES_PER_LOG_MAX:
            disputes.raise_dispute(copy, index=at, error=differs.error, finding=differs.finding)
        payee = str(differs.finding.get("payee", ""))
        return Verdict(**told, verdict=DIFFERS, rule=rule_of(differs.error), payee=payee, reason=str(differs)[:300])
    for blob in result.blobs.values():
        files.put_blob(blob)
    return Verdict(**told, verdict=EQUAL, works=result.works, sampled=result.sampled)


def _cosign(copy: PeerMirror) -> None:
    """Say that every close below the size came out equal. Withheld while anything of the log is disputed."""
    signer = instance_keys.signer("auditor")
    done = copy.complete_size and copy.audited == copy.judged == copy.complete_size and copy.broken_at is None
    clean = copy.peer.forked_at is None and not Dispute.objects.filter(origin=copy.peer.origin).exists()
    if not (done and clean) or f" {signer.verifier.name} " in copy.cosignatures:
        return
    checkpoint = pins.open_note(copy.peer, bytes(copy.checkpoint)).checkpoint
    copy.cosignatures += f"{cosign(checkpoint, signer, int(clock.now().timestamp()))}\n"
    copy.save(update_fields=["cosignatures"])
