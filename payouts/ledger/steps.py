"""Payouts and holds as the log tells them: which entry may follow which.

A payout is a table of steps with an id that can be used once; a hold is released when its time has come, and not twice.
"""

from collections.abc import Iterable
from hashlib import sha256
from typing import Final

from payouts.ledger import canonical
from payouts.ledger.entries import Entry
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
SAME: Final = ("scid", "currency", "amount", "rail")


def payout_id(origin: str, scid: str, currency: str, seq_hi: int) -> str:
    """The id of the payout of everything up to ``seq_hi``: the first 32 hex digits of a hash, so that it exists once."""
    return sha256(canonical.encode(["payout/1", origin, scid, currency, seq_hi])).hexdigest()[:32]


class Payouts:
    """The payouts of the entries seen so far: id -> (state, the entry of its intent)."""

    def __init__(self) -> None:
        self.known: dict[str, tuple[str, Entry]] = {}

    def add(self, entry: Entry) -> None:
        """Take the next entry. Raises BadPayoutId, PayoutOutOfOrder; other types change nothing."""
        if not entry.type.startswith("payout."):
            return
        body = entry.body
        state, intent = self.known.get(body["payout"], ("", entry))
        after = STEPS.get((state, entry.type))
        if after is None:
            raise PayoutOutOfOrder(f"{entry.type} after {state or 'nothing'}, entry {entry.index}")
        if entry is not intent and any(body[member] != intent.body[member] for member in SAME):
            raise PayoutOutOfOrder(f"entry {entry.index} is not about the payout that was intended")
        if entry is intent:
            _check_id(entry)
        self.known[body["payout"]] = after, intent

    def total(self, states: Iterable[str], currency: str) -> int:
        """The millionths of all payouts in one of these states."""
        chosen = set(states)
        return sum(
            parse_amount(intent.body["amount"])
            for state, intent in self.known.values()
            if state in chosen and intent.body["currency"] == currency
        )


def _check_id(intent: Entry) -> None:
    body = intent.body
    link = intent.link((body["scid"], body["currency"]))
    if body["payout"] != payout_id(intent.origin, body["scid"], body["currency"], body["seq_hi"]):
        raise BadPayoutId
    if link is not None and body["seq_hi"] >= link.seq:
        raise BadPayoutId(f"seq {body['seq_hi']} is not before the intent's own {link.seq}")


class Holds:
    """The holds of the entries seen so far: index -> (the entry, what of it is still held)."""

    def __init__(self) -> None:
        self.known: dict[int, tuple[Entry, int]] = {}

    def add(self, entry: Entry) -> None:
        """Take the next entry. Raises HoldBroken; other types change nothing."""
        if entry.type == "hold":
            self.known[entry.index] = entry, parse_amount(entry.body["amount"])
        elif entry.type == "release":
            self._release(entry)

    def _release(self, entry: Entry) -> None:
        hold, left = self.known.get(entry.body["hold"], (entry, 0))
        if hold is entry or any(entry.body[member] != hold.body[member] for member in ("scid", "currency")):
            raise HoldBroken(f"entry {entry.index} releases no hold of this account")
        left -= parse_amount(entry.body["amount"])
        if left < 0:
            raise HoldBroken(f"entry {entry.index} releases more than was held")
        if entry.at < hold.body["until"]:
            raise HoldBroken(f"entry {entry.index} releases before {hold.body['until']}")
        self.known[hold.index] = hold, left
