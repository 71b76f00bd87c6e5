"""Contested identities: whose keys signed two histories, the evidence, and what waits until one of them counts (rule V16).

Pins never reorganise (V15): what was seen first stays. A fork is settled for what is pinned when a key of higher priority signed
on it, or when more receipts speak for it, at least two of them; else the identity is contested. Then no follow is re-pointed by
itself and nothing is paid.
"""

import logging
from collections.abc import Mapping
from typing import Any

from django.conf import settings
from django.db import transaction

from server.core import canonical, clock, facts, limits
from server.identity import keylog, queries
from server.identity.facts import ForkFound
from server.identity.keylog import PolicyLog
from server.identity.keylog.errors import V13Witness, V16Fork
from server.identity.models import Fork, Identity
from server.identity.queries import Contested

logger = logging.getLogger(__name__)


def keep_rival(*, scid: str, data: bytes, source: str = "") -> Fork | None:
    """Keep the evidence of a whole log that parts from the one pinned here. None when it is no fork. Raises KeyLogError."""
    identity = queries.by_scid(scid)
    rival = keylog.verify_policy(
        data,
        now=clock.now(),
        caps=keylog.HARD,
        requested=scid,
        witness_file=queries.witness_file(identity),
        loopback=settings.ALLOW_LOOPBACK,
    )
    return keep_fork(identity=identity, left=queries.log_of(identity), right=rival, source=source)


def keep_fork(*, identity: Identity, left: PolicyLog, right: PolicyLog, source: str = "") -> Fork | None:
    """Keep where two verified logs of one identity part. None when one extends the other."""
    found = keylog.find_fork(left, right)
    if found is None:
        return None
    document = keylog.prove_fork(found)
    branches = {log.version_ids[found.number - 1]: _lines_from(log, found.number) for log in (left, right)}
    return _keep(identity, document, found.number, branches, source)


def take_evidence(*, data: bytes, source: str = "") -> Fork:
    """Take ForkEvidence from anywhere: it proves itself against the log that is pinned here. Idempotent.

    Raises NotFound for an identity that is not kept here, and KeyLogError (V16, or the rule that one of the entries breaks).
    """
    document = keylog.parse_fork(data)
    scid = document.get("scid")
    if not isinstance(scid, str):
        raise V16Fork("the evidence names no identity")
    identity = queries.by_scid(scid)
    found = keylog.check_fork(document, log=queries.log_of(identity), now=clock.now(), loopback=settings.ALLOW_LOOPBACK)
    branches = {document[side]["versionId"]: canonical.jcs(document[side]) + b"\n" for side in ("left", "right")}
    return _keep(identity, document, found.number, branches, source)


def evidence_of(scid: str) -> list[bytes]:
    """The ForkEvidence documents that are kept for this identity. Raises NotFound."""
    return [bytes(fork.evidence) for fork in queries.by_scid(scid).forks.all()[: limits.FORKS_COUNT_MAX]]


@transaction.atomic
def judge(identity: Identity) -> bool:
    """Ask again whether ``identity`` is contested: after evidence, after a new entry, after a receipt. Returns the answer."""
    forks = list(identity.forks.all()[: limits.FORKS_COUNT_MAX])
    contested = False
    if forks:
        ours = queries.log_of(identity)
        contested = any(not _counts(ours, fork, identity) for fork in forks)
    if contested != (identity.contested_at is not None):
        identity.contested_at = clock.now() if contested else None
        Identity.objects.filter(pk=identity.pk).update(contested_at=identity.contested_at)
        logger.warning("identity contested" if contested else "contest settled", extra={"scid": identity.scid})
    return contested


@transaction.atomic
def _keep(identity: Identity, document: Mapping[str, Any], number: int, branches: dict[str, bytes], source: str) -> Fork:
    left_id, right_id = sorted(branches)
    identity = Identity.objects.select_for_update().get(pk=identity.pk)
    known = identity.forks.filter(left_id=left_id, right_id=right_id).first()
    if known is None and identity.forks.count() >= limits.FORKS_COUNT_MAX:
        # A key that forks a hundred times is convicted already.
        known = identity.forks.order_by("-id").first()
        assert known is not None
        return known
    fork = known or Fork.objects.create(
        identity=identity,
        number=number,
        left_id=left_id,
        right_id=right_id,
        evidence=canonical.jcs(document),
        left_lines=branches[left_id],
        right_lines=branches[right_id],
        source=source[:300],
    )
    # Of each branch the longest that was seen is kept: it shows which keys signed on it.
    longer = {
        name: lines
        for name, lines in (("left_lines", branches[left_id]), ("right_lines", branches[right_id]))
        if len(lines) > len(bytes(getattr(fork, name)))
    }
    for name, lines in longer.items():
        setattr(fork, name, lines)
    if longer:
        fork.save(update_fields=list(longer))
    if known is None:
        logger.error("an identity has forked", extra={"scid": identity.scid, "number": number, "source": source})
        facts.record(ForkFound(fork_id=fork.pk))
    judge(identity)
    return fork


def _counts(ours: PolicyLog, fork: Fork, identity: Identity) -> bool:
    """Does what is pinned count against every other branch of this fork?"""
    if fork.number > len(ours.versions):
        # Two successors of our newest entry, and neither is pinned.
        return False
    pinned = ours.version_ids[fork.number - 1]
    votes = queries.votes(identity, fork.number)
    for version_id, lines in ((fork.left_id, bytes(fork.left_lines)), (fork.right_id, bytes(fork.right_lines))):
        if version_id == pinned:
            continue
        before = b"".join(version.entry.line + b"\n" for version in ours.versions[: fork.number - 1])
        try:
            rival = keylog.verify_policy(
                before + lines,
                now=clock.now(),
                caps=keylog.HARD,
                witness_file=queries.witness_file(identity),
                loopback=settings.ALLOW_LOOPBACK,
            )
        except V13Witness:
            # Approvals that are held back must not hide a fork.
            return False
        branch = keylog.settle_fork(ours, rival, first_seen=votes)
        if branch is None or branch.log is not ours:
            return False
        if branch.reason == "seen" and list(votes.values()).count(pinned) < limits.EFFECT_RECEIPTS_MIN:
            return False
    return True


def _lines_from(log: PolicyLog, number: int) -> bytes:
    return b"".join(version.entry.line + b"\n" for version in log.versions[number - 1 :])


def require_uncontested(scid: str) -> None:
    """Raises Contested while two histories of this identity stand against each other."""
    if Identity.objects.filter(scid=scid).exclude(contested_at=None).exists():
        raise Contested
