"""The account chain: every entry that touches an identity's account carries a link to the entry that touched it before.

An account is (scid, currency). It covers what is payable, held and unclaimed; a link says the payable and the held balance
after its entry. Whoever holds all links from seq 1 knows that no debit was left out.
"""

from collections.abc import Mapping, Sequence
from typing import Any, Final, NamedTuple

from payouts.ledger.errors import (
    AccountBalanceWrong,
    AccountChainBroken,
    AccountOverdrawn,
    AccountSequenceBroken,
    AmountMismatch,
    BadMember,
)
from payouts.ledger.fields import ZERO_HASH, check_members, is_hex_hash, is_integer, is_text
from payouts.ledger.money import (
    CURRENCY,
    HELD,
    OF_AN_IDENTITY,
    PAYABLE,
    SCID,
    UNCLAIMED,
    Account,
    format_amount,
    parse_amount,
)

AccountKey = tuple[str, str]  # (scid, currency)


class Move(NamedTuple):
    """What an entry changes of one account, in millionths; positive means more is owed to the identity."""

    payable: int = 0
    held: int = 0
    unclaimed: int = 0


NO_MOVE: Final = Move()


class Head(NamedTuple):
    """Where an account stands: its last sequence number, the leaf hash (hex) of its last entry, its balances."""

    seq: int = 0
    leaf: str = ZERO_HASH
    balance: int = 0
    held: int = 0
    unclaimed: int = 0


START: Final = Head()


class Link(NamedTuple):
    """One member of an entry's ``accounts``."""

    scid: str
    currency: str
    seq: int
    prev: str
    balance_after: int
    held_after: int

    def document(self) -> dict[str, Any]:
        """The link as it stands in the entry."""
        return {
            "scid": self.scid,
            "currency": self.currency,
            "seq": self.seq,
            "prev": self.prev,
            "balance_after": format_amount(self.balance_after),
            "held_after": format_amount(self.held_after),
        }


_MEMBERS: Final = frozenset(Link._fields)
_is_scid = is_text(SCID)
_is_currency = is_text(CURRENCY)
_is_seq = is_integer(1)


def parse_link(value: Any) -> Link:
    """The link that ``value`` says. Raises MissingMember, UnknownMember, BadMember, BadAmount, AccountChainBroken."""
    check_members(value, _MEMBERS, "account link")
    if not (_is_scid(value["scid"]) and _is_currency(value["currency"]) and _is_seq(value["seq"]) and is_hex_hash(value["prev"])):
        raise BadMember("account link")
    if (value["seq"] == 1) != (value["prev"] == ZERO_HASH):
        raise AccountChainBroken("64 zeros stand before the first entry of an account, and only there")
    balance, held = parse_amount(value["balance_after"]), parse_amount(value["held_after"])
    if balance < 0 or held < 0:
        raise AccountOverdrawn
    return Link(value["scid"], value["currency"], value["seq"], value["prev"], balance, held)


def moves(postings: Sequence[tuple[Account, int]]) -> dict[AccountKey, Move]:
    """What postings change, per account of an identity. In postings what we owe is negative; here it is positive."""
    found: dict[AccountKey, Move] = {}
    for (kind, scid, currency), amount in postings:
        if kind in OF_AN_IDENTITY:
            payable, held, unclaimed = found.get((scid, currency), NO_MOVE)
            found[scid, currency] = Move(
                payable - amount if kind == PAYABLE else payable,
                held - amount if kind == HELD else held,
                unclaimed - amount if kind == UNCLAIMED else unclaimed,
            )
    return found


def next_link(key: AccountKey, head: Head, move: Move) -> Link:
    """The link of the entry that makes ``move``, after ``head``. Raises AccountOverdrawn."""
    balance, held, unclaimed = head.balance + move.payable, head.held + move.held, head.unclaimed + move.unclaimed
    if balance < 0 or held < 0 or unclaimed < 0:
        raise AccountOverdrawn(f"{key[0]} {key[1]}: payable {balance}, held {held}, unclaimed {unclaimed}")
    return Link(*key, head.seq + 1, head.leaf, balance, held)


def check_link(link: Link, head: Head, move: Move) -> None:
    """Refuse a link that does not follow ``head``.

    Raises AccountSequenceBroken, AccountChainBroken, AccountOverdrawn, AccountBalanceWrong.
    """
    if link.seq != head.seq + 1:
        raise AccountSequenceBroken(f"seq {link.seq} after {head.seq}")
    if link.prev != head.leaf:
        raise AccountChainBroken(f"seq {link.seq}")
    expected = next_link((link.scid, link.currency), head, move)
    if link != expected:
        raise AccountBalanceWrong(f"seq {link.seq}: {link.balance_after} and {link.held_after}, not {expected[4:]}")


def head_after(link: Link, leaf: bytes, head: Head, move: Move) -> Head:
    """The head after the entry with this link; ``leaf`` is the entry's leaf hash."""
    return Head(link.seq, leaf.hex(), link.balance_after, link.held_after, head.unclaimed + move.unclaimed)


# Type -> what one unit of ``amount`` does to (payable, held, unclaimed).
_PER_UNIT: Final[Mapping[str, tuple[int, int, int]]] = {
    "hold": (-1, 1, 0),
    "release": (1, -1, 0),
    "claim": (1, 0, -1),
    "unclaimed.return": (0, 0, -1),
    "payout.intent": (-1, 0, 0),
    "payout.sent": (0, 0, 0),
    "payout.settled": (0, 0, 0),
    "payout.failed": (1, 0, 0),
}
TOUCHING: Final = frozenset({"accrue", "clawback", *_PER_UNIT})


def check_moves(type_name: str, body: Mapping[str, Any], found: Mapping[AccountKey, Move]) -> None:
    """Refuse postings that do to the account of a checked ``body`` something else than the body says. Raises AmountMismatch."""
    if type_name not in TOUCHING:
        return
    key = body["scid"], body["currency"]
    move = found.get(key, NO_MOVE)
    if len(found) > (key in found):
        raise AmountMismatch("the postings touch another account than the body")
    amount = int(body["amount"])
    if type_name == "accrue":
        right = sum(move) == amount > 0 and min(move) == 0
    elif type_name == "clawback":
        right = sum(move) == -amount < 0 and max(move) <= 0
    else:
        payable, held, unclaimed = _PER_UNIT[type_name]
        right = move == (payable * amount, held * amount, unclaimed * amount) and amount > 0
    if not right:
        raise AmountMismatch(f"{type_name} of {amount}, but the postings move {tuple(move)}")
