"""Sharing a period: from published inputs to what each identity gets, and to the entries that say so. Pure.

The sharing itself is a frozen function under ``algorithms``; here stand the rule for every other split, and the way between the
function and the log. Parts always make the whole, to the last millionth.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from hashlib import sha256
from typing import Any, Final

from payouts.agreement import Agreement
from payouts.algorithms import Algorithm
from payouts.ledger import canonical
from payouts.ledger.bodies import AGREEMENTS_MAX
from payouts.ledger.entries import Draft
from payouts.ledger.errors import BadSettlementInput, SharesLost
from payouts.ledger.merkle import hashes, root_of
from payouts.ledger.money import PAYABLE, UNCLAIMED, account, format_amount, parse_amount
from payouts.ledger.replay import output_line

# From a name within the batch ("close", or a SCID) to 32 hex digits; a repeated close must give the same.
MakeId = Callable[[str], str]

# The place in the books for what an agreement gives to no identity; those with a period carry it in their name.
PLACES: Final = {
    "contributors": ("L:contributors", True),
    "operating": ("L:ops", False),
    "reserve": ("E:reserve", False),
    "viewers": ("L:viewers", True),
}


def apportion(total: int, weights: Mapping[str, int], *, period: str, pool: str) -> dict[str, int]:
    """Share ``total`` millionths by weight: largest remainder, ties by SHA-256(JCS [period, pool, name]).

    The parts sum to ``total``, or all are zero when all weights are. Raises BadSettlementInput for a negative number.
    """
    if total < 0 or any(weight < 0 for weight in weights.values()):
        raise BadSettlementInput("a negative amount or weight")
    whole = sum(weights.values())
    if whole == 0:
        return dict.fromkeys(weights, 0)
    parts = {name: total * weight // whole for name, weight in weights.items()}
    left = total - sum(parts.values())
    if left:
        rests = {name: total * weight % whole for name, weight in weights.items()}
        last = sorted(rests.values(), reverse=True)[left - 1]  # at least this much is left of whoever gets one more
        sure = [name for name, rest in rests.items() if rest > last]
        tied = [name for name, rest in rests.items() if rest == last]
        tied.sort(key=lambda name: sha256(canonical.encode([period, pool, name])).digest())
        for name in sure + tied[: left - len(sure)]:
            parts[name] += 1
    return parts


def settlement_agreement(agreement: Agreement) -> dict[str, Any]:
    """What a settlement function reads of an agreement."""
    return {"parties": list(agreement.parties), "shares": {table: dict(rows) for table, rows in agreement.shares.items()}}


@dataclass(frozen=True, slots=True)
class Accrual:
    """What one identity gets in one close. ``lines`` is the blob that the entry names by its SHA-256."""

    scid: str
    amount: int
    unclaimed: int
    agreements: tuple[str, ...]
    lines: bytes


@dataclass(frozen=True, slots=True)
class PeriodShares:
    """A period, shared: accruals sorted by SCID; ``inputs`` is the blob that the close names; amounts in millionths.

    ``amount`` = all accruals + all places + ``carry``; ``carried_in`` of it was left from the period before.
    """

    period: str
    currency: str
    pool: str
    algorithm: Algorithm
    inputs: bytes
    accruals: tuple[Accrual, ...]
    places: Mapping[str, int]
    carry: int
    carried_in: int
    amount: int

    @property
    def outputs_root(self) -> str:
        """The RFC 6962 root (hex) over one canonical line for each accrual, in order."""
        return root_of(hashes(output_line(one.scid, str(one.amount), one.unclaimed) for one in self.accruals)).hex()

    @property
    def blobs(self) -> dict[str, bytes]:
        """All blobs of the close by their SHA-256: the inputs, and each accrual's lines."""
        return {sha256(blob).hexdigest(): blob for blob in (self.inputs, *(one.lines for one in self.accruals))}


def share_period(inputs: Mapping[str, Any], algorithm: Algorithm) -> PeriodShares:
    """Run a settlement function and check what it did. The order of rows in ``inputs`` does not matter to the amounts.

    Raises BadSettlementInput when the function refuses its inputs or an identity has too many agreements, SharesLost.
    """
    try:
        outputs = algorithm.settle(inputs)
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise BadSettlementInput(f"{algorithm.alg_id}: {error}") from error
    accruals = tuple(map(_accrual, outputs["payees"]))
    places = {place: parse_amount(amount) for place, amount in outputs["places"].items()}
    carry, amount, carried_in = (parse_amount(text) for text in (outputs["carry"], outputs["amount"], inputs["carry"]))
    shared = sum(one.amount for one in accruals) + sum(places.values()) + carry
    paid_in = sum(parse_amount(row["amount"]) for row in inputs["campaigns"]) + carried_in
    if not shared == amount == paid_in:
        raise SharesLost(f"{shared} of {paid_in}")
    return PeriodShares(
        inputs["period"], inputs["currency"], inputs["pool"], algorithm, inputs_blob(inputs),
        accruals, places, carry, carried_in, amount,
    )  # fmt: skip


def inputs_blob(inputs: Mapping[str, Any]) -> bytes:
    """The inputs as they are published and named in the close: canonical, the rows of every list sorted by their bytes."""
    members = []
    for name, value in sorted(inputs.items()):
        rows = b"[" + b",".join(sorted(map(canonical.encode, value))) + b"]" if type(value) is list else canonical.encode(value)
        members.append(canonical.encode(name) + b":" + rows)
    return b"{" + b",".join(members) + b"}"


def _accrual(payee: Mapping[str, Any]) -> Accrual:
    agreements = tuple(sorted({line["agreement"] for line in payee["lines"]}))
    if len(agreements) > AGREEMENTS_MAX:
        raise BadSettlementInput(f"{payee['scid']} earns under {len(agreements)} agreements, at most {AGREEMENTS_MAX}")
    amount, unclaimed = parse_amount(payee["amount"]), parse_amount(payee["unclaimed"])
    return Accrual(payee["scid"], amount, unclaimed, agreements, canonical.encode(payee["lines"]))


def close_drafts(
    shares: PeriodShares, *, first_index: int, entries: Sequence[int], make_id: MakeId, carried_from: str = ""
) -> list[Draft]:
    """The batch of a close: the ``close`` entry at ``first_index`` and one ``accrue`` for each accrual behind it.

    ``entries``: the indices of the entries that brought the money; ``make_id`` gives each draft its idempotency key from a name;
    ``carried_from``: the period in whose pool ``carried_in`` still stands.
    The whole batch stands under one checkpoint or under none.
    """
    pool = account("L:pool", shares.currency, f"{shares.pool}:{shares.period}")
    close = Draft(
        "close",
        make_id("close"),
        {
            "period": shares.period, "currency": shares.currency, "pool": shares.pool,
            "algorithm": shares.algorithm.alg_id, "code": shares.algorithm.code, "entries": sorted(entries),
            "inputs": sha256(shares.inputs).hexdigest(), "outputs": shares.outputs_root,
            "amount": format_amount(shares.amount), "carry": format_amount(shares.carry), "accruals": len(shares.accruals),
        },
        _close_postings(shares, pool, carried_from),
    )  # fmt: skip
    return [close, *(_accrue(shares, one, pool, first_index, make_id) for one in shares.accruals)]


def _close_postings(shares: PeriodShares, pool: str, carried_from: str) -> dict[str, int]:
    """What goes to no identity leaves the pool; what was carried comes into it."""
    postings = {pool: sum(shares.places.values()) - shares.carried_in}
    for place, amount in shares.places.items():
        kind, has_period = PLACES[place]
        postings[account(kind, shares.currency, shares.period if has_period else "")] = -amount
    if shares.carried_in:
        postings[account("L:pool", shares.currency, f"{shares.pool}:{carried_from}")] = shares.carried_in
    return {name: amount for name, amount in postings.items() if amount}


def _accrue(shares: PeriodShares, accrual: Accrual, pool: str, close: int, make_id: MakeId) -> Draft:
    payable = accrual.amount - accrual.unclaimed
    postings = {
        account(PAYABLE, shares.currency, accrual.scid): -payable,
        account(UNCLAIMED, shares.currency, accrual.scid): -accrual.unclaimed,
        pool: accrual.amount,
    }
    body = {
        "close": close, "batch": len(shares.accruals), "scid": accrual.scid, "currency": shares.currency, "period": shares.period,
        "amount": format_amount(accrual.amount),
        "lines": sha256(accrual.lines).hexdigest(), "agreements": list(accrual.agreements),
    }  # fmt: skip
    return Draft("accrue", make_id(accrual.scid), body, {name: amount for name, amount in postings.items() if amount})
