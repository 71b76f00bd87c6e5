"""Rule V16: two branches of one identity, and which of them counts. For branches nobody here has pinned (V15)."""

from collections.abc import Mapping
from dataclasses import dataclass

from server.identity.keylog.errors import V16Fork
from server.identity.keylog.replay import PolicyLog


@dataclass(frozen=True)
class ForkEvidence:
    """Two valid entries with one predecessor: proof that a key signed twice. ``number`` is theirs."""

    scid: str
    number: int
    left: bytes
    right: bytes


@dataclass(frozen=True)
class Branch:
    """The branch that counts. ``reason``: ``key`` (a key of higher priority signed on it) or ``seen`` (more replicas saw it)."""

    log: PolicyLog
    reason: str


def find_fork(left: PolicyLog, right: PolicyLog) -> ForkEvidence | None:
    """Where two logs of one identity part; None when one extends the other. Raises V16Fork for two identities."""
    if left.scid != right.scid:
        raise V16Fork
    for ours, theirs in zip(left.versions, right.versions, strict=False):
        if ours.entry.version_id != theirs.entry.version_id:
            return ForkEvidence(left.scid, ours.entry.number, ours.entry.line, theirs.entry.line)
    return None


def settle_fork(left: PolicyLog, right: PolicyLog, *, first_seen: Mapping[str, str]) -> Branch | None:
    """The branch that counts, or None: then the identity is contested until an index-0 entry extends one branch.

    The branch whose entries after the fork show the lower minimum key index wins, so that a stolen spent key cannot
    overturn what the paper key has sealed. On a tie the branch wins whose first entry more replicas saw first;
    ``first_seen`` maps each replica to the versionId of the receipt it signed for the fork's number.
    Raises V16Fork when the logs do not fork.
    """
    evidence = find_fork(left, right)
    if evidence is None:
        raise V16Fork("one log extends the other")
    ranks = [_rank(log, evidence.number) for log in (left, right)]
    if ranks[0] != ranks[1]:
        return Branch(left if ranks[0] < ranks[1] else right, "key")
    votes = [_votes(log, evidence.number, first_seen) for log in (left, right)]
    if votes[0] != votes[1]:
        return Branch(left if votes[0] > votes[1] else right, "seen")
    return None


def _rank(log: PolicyLog, number: int) -> int:
    return min(version.key_index or 0 for version in log.versions[number - 1 :])


def _votes(log: PolicyLog, number: int, first_seen: Mapping[str, str]) -> int:
    return sum(version_id == log.version_ids[number - 1] for version_id in first_seen.values())
