"""Running a close again from what was published, and naming the first thing that differs. Pure.

What is re-executed is allocation (stage B): public sums by work, agreements and revenue -> payees. How the sums came from views
(stage A) rests on private rows; of it only this is compared, for a sample of works: what the close used is what the period's
``meter`` published.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from hashlib import sha256
from typing import Any, Final

from payouts.agreement import Agreement
from payouts.algorithms import find
from payouts.ledger import canonical
from payouts.ledger.entries import Draft, Entry
from payouts.ledger.errors import LedgerError
from payouts.ledger.money import Account, account, format_amount
from payouts.refusals import CloseDiffers, InputsDiffer, PayeeDiffers
from payouts.splits import PeriodShares, close_drafts, settlement_agreement, share_period

INPUT_BYTES_MAX: Final = 64 * 1024 * 1024
# Of quotes, commas and opening brackets. A row of inputs has 19 in 120 bytes, so that the bytes come to their limit first.
INPUT_MARKS_MAX: Final = 12_000_000
INPUT_MEMBERS: Final = frozenset({
    "period", "currency", "pool", "campaigns", "impressions", "works", "agreements", "operating_cost", "carry",
})  # fmt: skip


@dataclass(frozen=True, slots=True)
class Close:
    """A close as its log tells it: the entry, its accruals in order, the charges it names, the bytes of its inputs.

    ``agreements``: those the log announced before the close, by id. ``works``: the blob of the period's meter, if it is known.
    ``left_over``: what the close before, of the same pool, carried on.
    """

    entry: Entry
    accruals: Sequence[Entry]
    charges: Sequence[Entry]
    inputs: bytes
    agreements: Mapping[str, Agreement]
    works: bytes | None = None
    left_over: int = 0


@dataclass(frozen=True, slots=True)
class Result:
    """A close that re-executed equal. ``blobs``: the lines of its accruals; ``sampled`` of ``works`` works were compared."""

    blobs: Mapping[str, bytes]
    works: int
    sampled: int


class Differs(Exception):
    """Base of what is said about a close that did not re-execute equal: the reason, and what to look at."""

    def __init__(self, error: LedgerError, finding: Mapping[str, Any]) -> None:
        super().__init__(str(error))
        self.error, self.finding = error, finding


def reexecute(close: Close, *, beacon: bytes, works_max: int) -> Result:
    """Run a close again. ``beacon`` draws the sample of at most ``works_max`` works (nobody knew it when the inputs were made).

    Raises Differs, which carries InputsDiffer, CloseDiffers or PayeeDiffers; UnknownAlgorithm when this code cannot tell.
    """
    algorithm = find(close.entry.body["algorithm"], close.entry.body["code"])
    try:
        document = _read_inputs(close)
        _check_money(close, document)
        _check_agreements(close, document)
        works, sampled = _check_sample(close, document, beacon, works_max)
        shares = share_period(document, algorithm)
    except LedgerError as error:
        inputs = error if isinstance(error, InputsDiffer) else InputsDiffer(f"{error.code}: {error}")
        raise Differs(inputs, {"inputs": close.entry.body["inputs"]}) from error
    expected = close_drafts(
        shares,
        first_index=close.entry.index,
        entries=close.entry.body["entries"],
        make_id=lambda _: "",
        carried_from=_carried_from(close),
    )
    _compare_payees(close, expected[1:], shares)
    _compare_close(close, expected[0])
    return Result(shares.blobs, works, sampled)


def read_blob(data: bytes) -> Any:
    """The JSON in a blob that another server shows. Raises the errors of canonical.check_marks and canonical.decode."""
    canonical.check_marks(data, marks_max=INPUT_MARKS_MAX)
    return canonical.decode(data, bytes_max=INPUT_BYTES_MAX)


def _read_inputs(close: Close) -> Mapping[str, Any]:
    document = read_blob(close.inputs)
    if type(document) is not dict or document.keys() != INPUT_MEMBERS:
        raise InputsDiffer("the inputs do not have the members they must have")
    body = close.entry.body
    differing = [name for name in ("period", "currency", "pool") if document[name] != body[name]]
    if differing:
        raise InputsDiffer(f"of another {differing[0]}")
    for name in ("campaigns", "impressions", "works"):
        if type(document[name]) is not list or not all(type(row) is dict for row in document[name]):
            raise InputsDiffer(f"{name} is no list of objects")
    return document


def _check_money(close: Close, document: Mapping[str, Any]) -> None:
    """What is shared was charged in this log, campaign by campaign, and what is carried stood in the pool before."""
    body = close.entry.body
    for entry in close.charges:
        if (entry.type, entry.body.get("period"), entry.body.get("currency")) != ("charge", body["period"], body["currency"]):
            raise InputsDiffer(f"entry {entry.index} is no charge of this period")
    charged = sorted((entry.body["campaign"], entry.body["amount"], entry.body["impressions"]) for entry in close.charges)
    counts: dict[str, int] = {}
    for row in document["impressions"]:
        counts[str(row.get("campaign"))] = counts.get(str(row.get("campaign")), 0) + _count(row.get("count"))
    named = sorted(
        (str(row.get("campaign")), str(row.get("amount")), counts.get(str(row.get("campaign")), 0))
        for row in document["campaigns"]
    )
    if charged != named:
        raise InputsDiffer("campaigns, their amounts or impressions are not those of the charges")
    carried = sum(amount for one, amount in close.entry.postings if _is_other_pool(one, close))
    if document["carry"] != format_amount(carried):
        raise InputsDiffer(f"a carry of {str(document['carry'])[:20]}, but the close takes {carried} from another period")
    if carried != close.left_over:
        raise InputsDiffer(f"a carry of {carried}, but the close before left {close.left_over}")


def _check_agreements(close: Close, document: Mapping[str, Any]) -> None:
    """The terms that were used are those that were signed, and announced before the close."""
    if type(document["agreements"]) is not dict:
        raise InputsDiffer("agreements is no object")
    for one, used in document["agreements"].items():
        signed = close.agreements.get(one)
        if signed is None:
            raise InputsDiffer(f"agreement {one} was not announced before")
        if used != settlement_agreement(signed):
            raise InputsDiffer(f"agreement {one} was signed with other shares or parties")
        if signed.effective_from > close.entry.at:
            raise InputsDiffer(f"agreement {one} is not in force yet")


def _check_sample(close: Close, document: Mapping[str, Any], beacon: bytes, works_max: int) -> tuple[int, int]:
    """Stage A, by sample: watch time and impressions of works are those that the meter published."""
    if close.works is None:
        return len(document["works"]), 0
    rows = read_blob(close.works)
    if type(rows) is not list or not all(type(row) is list and len(row) == 4 for row in rows):  # noqa: PLR2004 - as published
        raise InputsDiffer("the works of the meter are no list of four members each")
    published = {str(row[0]): (row[2], row[3]) for row in rows}
    shown: dict[str, int] = {}
    for row in document["impressions"]:
        shown[str(row.get("work"))] = shown.get(str(row.get("work")), 0) + _count(row.get("count"))
    works = {str(row.get("work")): row.get("weight_ms") for row in document["works"]}
    drawn = sorted(works, key=lambda work: sha256(beacon + work.encode()).digest())[:works_max]
    for work in drawn:
        if published.get(work) != (works[work], shown.get(work, 0)):
            raise InputsDiffer(f"work {work[:100]}: the meter published {published.get(work)}")
    return len(works), len(drawn)


def _compare_payees(close: Close, expected: Sequence[Draft], shares: PeriodShares) -> None:
    """Sorted by SCID on both sides, so the first that differs is the first that anybody finds."""
    right = {str(draft.body["scid"]): draft for draft in expected}
    found = {str(entry.body["scid"]): entry for entry in close.accruals}
    unclaimed = {one.scid: one.unclaimed for one in shares.accruals}
    for scid in sorted(right.keys() | found.keys()):
        draft, entry = right.get(scid), found.get(scid)
        if draft is None or entry is None or not _is_same(draft, entry):
            finding = {
                "inputs": close.entry.body["inputs"],
                "payee": scid,
                "index": entry.index if entry is not None else close.entry.index,
                "expected": _told(draft.body["amount"], unclaimed[scid], draft.body["lines"]) if draft else None,
                "found": _told(entry.body["amount"], _unclaimed(entry), entry.body["lines"]) if entry else None,
            }
            text = f"{scid}: {finding['found']}, not {finding['expected']}"
            raise Differs(PayeeDiffers(text), finding)


def _compare_close(close: Close, expected: Draft) -> None:
    entry = close.entry
    differing = sorted(name for name, value in expected.body.items() if entry.body[name] != value)
    if not differing and _postings(entry) != dict(expected.postings):
        differing = ["postings"]
    if differing:
        name = differing[0]
        finding = {
            "inputs": entry.body["inputs"], "member": name,
            "expected": str(expected.body.get(name, "")), "found": str(entry.body.get(name, "")),
        }  # fmt: skip
        raise Differs(CloseDiffers(", ".join(differing)), finding)


def _is_same(draft: Draft, entry: Entry) -> bool:
    return dict(draft.body) == dict(entry.body) and dict(draft.postings) == _postings(entry)


def _postings(entry: Entry) -> dict[str, int]:
    return {account(one.kind, one.currency, one.detail): amount for one, amount in entry.postings}


def _told(amount: str, unclaimed: int, lines: str) -> dict[str, str]:
    return {"amount": amount, "unclaimed": format_amount(unclaimed), "lines": lines}


def _unclaimed(entry: Entry) -> int:
    return sum(move.unclaimed for move in entry.moves.values())


def _is_other_pool(one: Account, close: Close) -> bool:
    body = close.entry.body
    return bool(one.kind == "L:pool" and one.detail != f"{body['pool']}:{body['period']}")


def _carried_from(close: Close) -> str:
    others = [one.detail.partition(":")[2] for one, _ in close.entry.postings if _is_other_pool(one, close)]
    return others[0] if others else ""


def _count(value: Any) -> int:
    if type(value) is not int or value < 0:
        raise InputsDiffer("a count is no whole number from 0")
    return value
