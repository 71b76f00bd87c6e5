"""Is a dispute right? Its signature, the entry it names, and the rule, run again by the reader. Knows no Django.

What the document carries is enough to see that the accuser signed it, that the accused log wrote the entry, and whether the entry
breaks a rule all by itself. Every other rule needs the log: the entries before, and for a close what it was computed from.
"""

import sys
from collections.abc import Sequence
from dataclasses import dataclass

from payouts.admission import Judge, rule_of
from payouts.closes_again import gather
from payouts.dispute_document import Finding, check_dispute
from payouts.ledger.entries import parse_entry
from payouts.ledger.errors import BadSignature, CloseBatchCut, LedgerError
from payouts.ledger.note import VerifierKey
from payouts.ledger.whole import read_whole
from payouts.log_folder import LogFolder
from payouts.reexecution import Differs, reexecute
from payouts.refusals import BlobMissing, CloseDiffers, InputsDiffer, PayeeDiffers

HOLDS, OPEN = "holds", "open"
OF_CLOSES = frozenset(rule_of(error()) for error in (CloseDiffers, InputsDiffer, PayeeDiffers, CloseBatchCut))
# Of the rules about an agreement the one that rests on the key of a person, which stands in her identity log alone.
OF_PEOPLE = rule_of(BadSignature())


class DisputeUnfounded(LedgerError):
    """The rule was run again and was not broken: the accuser is wrong, or says what this log does not show."""


@dataclass(frozen=True, slots=True)
class Rechecked:
    """A dispute whose signature and evidence hold.

    ``verdict``: the rule was run again and is broken (``holds``), or it could not be run with what is here (``open``, and
    ``needs`` says what would do).
    """

    finding: Finding
    verdict: str
    needs: str = ""


def recheck(data: bytes, *, log_keys: Sequence[VerifierKey], instance: bytes, folder: LogFolder | None = None) -> Rechecked:
    """What a dispute's document proves, to a reader who knows the keys of both; with a folder of the log, all of it.

    Raises DisputeUnfounded, and the errors of check_dispute and read_whole.
    """
    found = check_dispute(data, log_keys=log_keys, instance=instance)
    try:
        parse_entry(found.entry, origin=found.origin, index=found.index)
    except LedgerError as error:
        _check_same(found, error)
        return Rechecked(found, HOLDS)
    if folder is None:
        return Rechecked(found, OPEN, "the log, as a folder (--log)")
    try:
        _run_again(found, folder)
    except BlobMissing as error:
        return Rechecked(found, OPEN, f"the blob {error}")
    except _NeedsPeople as error:
        return Rechecked(found, OPEN, str(error))
    return Rechecked(found, HOLDS)


class _NeedsPeople(Exception):
    """The rule rests on keys that only an identity log tells."""


def _run_again(found: Finding, folder: LogFolder) -> None:
    """Return when the rule is broken. Raises DisputeUnfounded when it is not."""
    judge = Judge(found.origin)
    broken: tuple[int, LedgerError] | None = None
    for index, data in enumerate(read_whole(folder, found.signed.checkpoint)):
        if broken is None:
            try:
                judge.add(data)
                continue
            except LedgerError as error:
                broken = index, error
        judge.note(data)
    if broken is None and not judge.replay.at_rest:
        broken = found.size - 1, CloseBatchCut(f"the checkpoint of size {found.size} cuts a close in two")
    if broken is not None and broken[0] == found.index:
        _check_same(found, broken[1])
    elif any(blob_index == found.index for _, blob_index in judge.agreements.values()):
        _check_agreement(found, judge, folder)
    elif found.rule in OF_CLOSES:
        _check_close(found, judge, folder)
    else:
        raise DisputeUnfounded(f"entry {found.index} does not break {found.rule}")


def _check_agreement(found: Finding, judge: Judge, folder: LogFolder) -> None:
    entry = parse_entry(found.entry, index=found.index)
    try:
        judge.check_agreement(entry, folder.blob(entry.body["blob"]), lambda _: None)
    except BlobMissing:
        raise
    except LedgerError as error:
        _check_same(found, error)
        return
    if found.rule == OF_PEOPLE:
        raise _NeedsPeople("the identity logs of the parties of the agreement")
    raise DisputeUnfounded(f"the agreement of entry {found.index} does not break {found.rule}")


def _check_close(found: Finding, judge: Judge, folder: LogFolder) -> None:
    index = max((one for one in judge.closes if one <= found.index), default=-1)
    if index < 0:
        raise DisputeUnfounded(f"there is no close at {found.index}")
    try:
        # Every work, not the auditor's sample: what a sample found is among them.
        reexecute(gather(folder, judge, index, found.size), beacon=b"", works_max=sys.maxsize)
    except Differs as differs:
        _check_same(found, differs.error)
        if dict(differs.finding) != dict(found.finding):
            raise DisputeUnfounded(f"the close at {index} differs, in something else than is said") from differs
        return
    raise DisputeUnfounded(f"the close at {index} comes out equal")


def _check_same(found: Finding, error: LedgerError) -> None:
    if rule_of(error) != found.rule:
        raise DisputeUnfounded(f"entry {found.index} breaks {rule_of(error)}, not {found.rule}")
