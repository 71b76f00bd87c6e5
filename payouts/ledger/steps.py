"""Payouts and holds as the log tells them: which entry may follow which.

A payout is a table of steps with an id that can be used once; a hold is released when its time has come, and not twice.
"""

from collections.abc import Iterable, Mapping, Sequence
from hashlib import sha256
from typing import Any, Final, Protocol

from payouts.ledger.chain import AccountKey, Link
from payouts.ledger.errors import BadPayoutId, HoldBroken, PayoutOutOfOrder
from payouts.ledger.money import parse_amount

# (state, entry type) -> state. An intent stands in the log before any money moves.
STEPS: Final = {
    ("", "payout.intent"): "intended",
    ("intended", "payout.sent"): "sent",
    ("intended", "payout.settled"): "settled",
    ("intended", "payout.failed"): "failed",
    ("sent", "payout.settled"): "settled",
    ("sent", "payout.failed"): "failed",
}
SETTLED: Final = "settled"
ON_THE_WAY: Final = ("intended", "sent")


# What all steps of a payout say alike: its id, the account, the amount, the rail.
Payout = tuple[str, AccountKey, str, str]


class Told(Protocol):
    """What is read here of an entry."""

    @property
    def origin(self) -> str:
        """The log."""

    @property
    def index(self) -> int:
        """Its place."""

    @property
    def type(self) -> str:
        """Its type."""

    @property
    def at(self) -> str:
        """Its time."""

    @property
    def body(self) -> Mapping[str, Any]:
        """Its body."""

    @property
    def links(self) -> Sequence[Link]:
        """Its account links; a step of a payout has one."""


def payout_id(origin: str, scid: str, currency: str, seq_hi: int) -> str:
    """The id of the payout of everything up to ``seq_hi``: the first 32 hex digits of a hash, so that it exists once."""
    # The canonical JSON of the five: none of them holds what JSON escapes.
    return sha256(f'["payout/1","{origin}","{scid}","{currency}",{seq_hi}]'.encode()).hexdigest()[:32]


class Payouts:
    """The payouts of the entries seen so far: id -> (state, what all its steps say)."""

    def __init__(self) -> None:
        self.known: dict[str, tuple[str, Payout]] = {}

    def add(self, entry: Told) -> None:
        """Take the next entry. Raises BadPayoutId, PayoutOutOfOrder; other types change nothing."""
        if entry.type.startswith("payout."):
            body = entry.body
            payout = body["payout"], (body["scid"], body["currency"]), body["amount"], body["rail"]
            self.step(entry, payout, seq=entry.links[0].seq, seq_hi=body.get("seq_hi", 0))

    def step(self, entry: Told, payout: Payout, *, seq: int, seq_hi: int) -> None:
        """Take the next step of a payout. ``seq``: the account's after it; ``seq_hi``: of an intent. Raises as ``add``."""
        state, intended = self.known.get(payout[0], ("", payout))
        after = STEPS.get((state, entry.type))
        if after is None:
            raise PayoutOutOfOrder(f"{entry.type} after {state or 'nothing'}, entry {entry.index}")
        if payout != intended:
            raise PayoutOutOfOrder(f"entry {entry.index} is not about the payout that was intended")
        if not state:
            _check_id(entry.origin, payout, seq, seq_hi)
        self.known[payout[0]] = after, intended

    def total(self, states: Iterable[str], currency: str) -> int:
        """The millionths of all payouts in one of these states."""
        chosen = set(states)
        return sum(
            parse_amount(amount)
            for state, (_, key, amount, _) in self.known.values()
            if state in chosen and key[1] == currency
        )  # fmt: skip


def _check_id(origin: str, payout: Payout, seq: int, seq_hi: int) -> None:
    if payout[0] != payout_id(origin, *payout[1], seq_hi):
        raise BadPayoutId
    if seq_hi >= seq:
        raise BadPayoutId(f"seq {seq_hi} is not before the intent's own {seq}")


class Holds:
    """The holds of the entries seen so far: index -> (the entry, what of it is still held)."""

    def __init__(self) -> None:
        self.known: dict[int, tuple[Told, int]] = {}

    def add(self, entry: Told) -> None:
        """Take the next entry. Raises HoldBroken; other types change nothing."""
        if entry.type == "hold":
            self.known[entry.index] = entry, parse_amount(entry.body["amount"])
        elif entry.type == "release":
            self._release(entry)

    def _release(self, entry: Told) -> None:
        hold, left = self.known.get(entry.body["hold"], (entry, 0))
        if hold is entry or any(entry.body[member] != hold.body[member] for member in ("scid", "currency")):
            raise HoldBroken(f"entry {entry.index} releases no hold of this account")
        left -= parse_amount(entry.body["amount"])
        if left < 0:
            raise HoldBroken(f"entry {entry.index} releases more than was held")
        if entry.at < hold.body["until"]:
            raise HoldBroken(f"entry {entry.index} releases before {hold.body['until']}")
        self.known[hold.index] = hold, left
