"""A close with everything that running it again takes, gathered from a copy of its log.

For the auditor, and for whoever checks what an auditor said; knows no Django. None of it rests on what accounts held before: a
close stands on its own entries, the charges it names, the agreements that were announced, its inputs, and what the close before
carried on. So it can be run again also behind an entry that broke a rule.
"""

from collections.abc import Sequence
from itertools import pairwise

from payouts.admission import Judge
from payouts.agreement import Agreement, parse_agreement
from payouts.ledger.entries import Entry, parse_entry
from payouts.ledger.errors import BadTreeSize, CloseBatchCut, LedgerError
from payouts.ledger.money import parse_amount
from payouts.ledger.tiles import read_entries
from payouts.log_folder import LogFolder
from payouts.reexecution import Close, Differs

ACCRUE, CHARGE = "accrue", "charge"


def gather(files: LogFolder, judge: Judge, index: int, size: int) -> Close:
    """The close at ``index`` of a log of ``size``, of which ``judge`` has seen every entry before.

    Raises BlobMissing, BlobWrong, BadTile; Differs (CloseBatchCut) when what follows the close is not the batch it promises.
    """
    (entry,) = _entries(files, [index], size)
    body = entry.body
    charges = _entries(files, [one for one in body["entries"] if one < index], size)
    works = next((one.body["evidence"] for one in charges if one.type == CHARGE and one.body["evidence"] in judge.meters), None)
    return Close(
        entry,
        _batch(files, entry, size),
        charges,
        files.blob(body["inputs"]),
        _agreements(files, judge, index),
        files.blob(works) if works is not None and files.has_blob(works) else None,
        _left_over(files, judge, entry, size),
    )


def _batch(files: LogFolder, close: Entry, size: int) -> Sequence[Entry]:
    """The accruals of a close. A log that kept every rule has them; behind a broken one they are looked at here."""
    first, count = close.index + 1, close.body["accruals"]
    try:
        found = _entries(files, range(first, first + count), size)
    except (BadTreeSize, LedgerError) as error:
        raise _cut(close, f"{error.code}: {error}") from error
    scids = [str(one.body["scid"]) for one in found if one.type == ACCRUE]
    if len(scids) != count or any(one >= other for one, other in pairwise(scids)):
        raise _cut(close, f"{len(scids)} of {count} accruals, or not in order")
    return found


def _cut(close: Entry, text: str) -> Differs:
    return Differs(CloseBatchCut(f"the close at {close.index}: {text}"), {"inputs": close.body["inputs"]})


def _agreements(files: LogFolder, judge: Judge, index: int) -> dict[str, Agreement]:
    """Those that the log announced before the close. One whose bytes are not shown, or are none, is as good as none."""
    found = {}
    for one, (blob, announced) in judge.agreements.items():
        if announced < index and files.has_blob(blob):
            try:
                found[one] = parse_agreement(files.blob(blob))
            except LedgerError:
                continue
    return found


def _left_over(files: LogFolder, judge: Judge, close: Entry, size: int) -> int:
    """What the close before, of the same pool, carried on."""
    for index in reversed([one for one in judge.closes if one < close.index]):
        (before,) = _entries(files, [index], size)
        if (before.body["pool"], before.body["currency"]) == (close.body["pool"], close.body["currency"]):
            return parse_amount(before.body["carry"])
    return 0


def _entries(files: LogFolder, indices: Sequence[int], size: int) -> list[Entry]:
    if isinstance(indices, range):
        data = read_entries(files, indices.start, indices.stop, size)
        return [parse_entry(one, index=index) for index, one in zip(indices, data, strict=True)]
    return [parse_entry(next(read_entries(files, index, index + 1, size)), index=index) for index in indices]
