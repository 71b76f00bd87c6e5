"""ForkEvidence as a document: two entries with one predecessor, which prove themselves to whoever holds that predecessor.

The format stands in docs/reference/key-log.md. It needs no signature of its own: a fork is a fork, whoever passes it on.
"""

from collections.abc import Mapping
from datetime import datetime
from typing import Any

from server.core import canonical
from server.identity.keylog import limits
from server.identity.keylog.entries import Entry, parse_entry
from server.identity.keylog.errors import V16Fork
from server.identity.keylog.forks import ForkEvidence
from server.identity.keylog.replay import PolicyLog
from server.identity.keylog.rules import step

_MEMBERS = {"type", "v", "scid", "left", "right"}


def prove_fork(evidence: ForkEvidence) -> dict[str, Any]:
    """The document for a fork that ``find_fork`` found. Whichever branch is at hand, the same fork is written one way."""
    lines = (evidence.left, evidence.right)
    entries = [canonical.parse(line, depth_max=limits.ENTRY_DEPTH_MAX, fractions=False) for line in lines]
    left, right = sorted(entries, key=lambda entry: str(entry["versionId"]))
    return {"type": "ForkEvidence", "v": 1, "scid": evidence.scid, "left": left, "right": right}


def parse_fork(data: bytes) -> Mapping[str, Any]:
    """Read a document from somewhere else. Raises V16Fork unless it is strict JSON of a bearable size."""
    if len(data) > limits.EVIDENCE_BYTES_MAX:
        raise V16Fork(f"the evidence is larger than {limits.EVIDENCE_BYTES_MAX} bytes")
    try:
        value = canonical.parse(data, depth_max=limits.ENTRY_DEPTH_MAX + 1, fractions=False)
    except ValueError as error:
        raise V16Fork(f"the evidence is not strict JSON: {error}") from error
    if not isinstance(value, dict):
        raise V16Fork("the evidence must be an object")
    return value


def check_fork(document: Mapping[str, Any], *, log: PolicyLog, now: datetime, loopback: bool = False) -> ForkEvidence:
    """The fork that ``document`` proves, judged by ``log``, a verified log of the identity on whichever branch.

    Both entries must be valid successors of one entry of ``log``. Approvals of witnesses (V13) are not asked for: that
    committed keys signed twice is the fact; which branch counts is for ``settle_fork``, with whole logs in hand.
    Raises V16Fork when it is no fork of this identity, or begins after the end of ``log``; and the KeyLogError of the
    rule that one of the entries breaks.
    """
    entries = _entries(document)
    if document["scid"] != log.scid:
        raise V16Fork("the evidence is about another identity")
    left, right = entries
    if left.number != right.number or not left.version_id < right.version_id:
        raise V16Fork("the entries must have one number and two versionIds, the lesser on the left")
    if not 1 < left.number <= len(log.versions) + 1:
        raise V16Fork("the log at hand does not hold the entry before the fork")
    before = log.versions[left.number - 2]
    for entry in entries:
        step(before, entry, now=now, loopback=loopback, policy=True)
    return ForkEvidence(log.scid, left.number, left.line, right.line)


def _entries(document: Mapping[str, Any]) -> tuple[Entry, Entry]:
    if document.keys() != _MEMBERS or document["type"] != "ForkEvidence":
        raise V16Fork("the evidence has exactly the members of version 1")
    if isinstance(document["v"], bool) or document["v"] != 1 or not isinstance(document["scid"], str):
        raise V16Fork("this is not a ForkEvidence of version 1")
    left, right = document["left"], document["right"]
    if not isinstance(left, dict) or not isinstance(right, dict):
        raise V16Fork("an entry must be an object")
    try:
        return parse_entry(canonical.jcs(left)), parse_entry(canonical.jcs(right))
    except (ValueError, TypeError) as error:
        raise V16Fork(f"an entry has no canonical form: {error}") from error
