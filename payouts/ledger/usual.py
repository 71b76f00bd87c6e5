"""The usual entries of an account, read against where the account stands: the quick way through a statement.

Most entries about an identity touch one of its accounts in the one way that their type has. Then the link follows from the head
before it and the amount, and the postings follow from the body. So one expression for each type, made from the tables of the
checks, reads what stands behind the link; the link is written anew and compared. As with shapes.py this only ever *accepts*: what
it takes keeps every rule of parse_entry and of check_link. Whatever else there is goes to parse_entry, which finds the reason.
"""

import json
import re
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Final, NamedTuple

from payouts.ledger import money
from payouts.ledger.bodies import TYPES, Check
from payouts.ledger.chain import START, AccountKey, Head, Link, Move, head_after
from payouts.ledger.entries import ENTRY_BYTES_MAX, Entry, parse_entry
from payouts.ledger.fields import TIME, form_of, is_time
from payouts.ledger.merkle import leaf_hash
from payouts.ledger.steps import Payout

# Type -> its postings in their order: the account without its currency, and the sign of the amount. (?P=name): that of the body.
POSTINGS: Final[Mapping[str, tuple[tuple[str, int], ...]]] = {
    "accrue": ((f"{money.PAYABLE}:(?P=scid)", -1), (f"L:pool:{money.KINDS['L:pool']}", 1)),
    "hold": ((f"{money.HELD}:(?P=scid)", -1), (f"{money.PAYABLE}:(?P=scid)", 1)),
    "release": ((f"{money.HELD}:(?P=scid)", 1), (f"{money.PAYABLE}:(?P=scid)", -1)),
    "payout.intent": ((f"{money.PAYABLE}:(?P=scid)", 1), ("L:transit:(?P=rail)", -1)),
    "payout.sent": (),
    "payout.settled": (("A:cash:(?P=rail)", -1), ("L:transit:(?P=rail)", 1)),
    "payout.failed": ((f"{money.PAYABLE}:(?P=scid)", -1), ("L:transit:(?P=rail)", 1)),
}
# More than any place of an entry that has at most 15 digits.
_INDEX_END: Final = 10**15
# Makes a named tuple in half the time that its class takes, which here is a tenth of all.
_new: Final = tuple.__new__
# The members of a body that are read, in the order in which they stand there.
_READ: Final = ("amount", "currency", "payout", "rail", "scid", "seq_hi")


class Usual(NamedTuple):
    """A checked entry about one account, which stood at ``before`` and stands at ``after``. The rest as in Entry."""

    origin: str
    index: int  # type: ignore[assignment] # nobody asks a Usual for tuple.index()
    type: str
    at: str
    id: str
    key: AccountKey
    payout: Payout | None
    seq_hi: int
    before: Head
    after: Head
    data: bytes
    leaf: bytes

    @property
    def body(self) -> Mapping[str, Any]:
        """Its body, read when somebody asks."""
        return _body(self.data)

    @property
    def links(self) -> tuple[Link]:
        """Its one link."""
        return (Link(*self.key, self.after.seq, self.before.leaf, self.after.balance, self.after.held),)

    @property
    def moves(self) -> Mapping[AccountKey, Move]:
        """What it changes."""
        return {self.key: Move(self.after.balance - self.before.balance, self.after.held - self.before.held)}


class _Shape(NamedTuple):
    """What stands behind the link, the checks that are left, and what one unit of ``amount`` does to the account."""

    match: Callable[[str, int], re.Match[str] | None]
    rest: tuple[tuple[str, Check], ...]
    payable: int
    held: int


def _shape(type_name: str) -> _Shape:
    members, rest = [], []
    for member, check in sorted(TYPES[type_name].body.items()):
        form = form_of(check)
        assert form is not None
        pattern = '"[1-9][0-9]{0,17}"' if member == "amount" else form.pattern
        members.append(f'"{member}":{_group(member, pattern) if member in _READ else pattern}')
        if form.rest is not None:
            rest.append((member, form.rest))
    postings = [rf'\["{name}#(?P=currency)/6","{"-" * (sign < 0)}(?P=amount)"\]' for name, sign in POSTINGS[type_name]]
    expression = re.compile(
        rf'\],"at":"({TIME})","body":\{{{",".join(members)}\}},"id":"([0-9a-f]{{32}})","index":([0-9]+),'
        rf'"origin":"([^"]+)","postings":\[{",".join(postings)}\],"type":"{re.escape(type_name)}","v":1\}}\Z'
    )
    payable, held = (
        -sum(sign for name, sign in POSTINGS[type_name] if name.startswith(kind)) for kind in (money.PAYABLE, money.HELD)
    )
    return _Shape(expression.match, tuple(rest), payable, held)


def _group(name: str, pattern: str) -> str:
    """The pattern of a JSON value as a group that holds it without its quotes."""
    inner = pattern.removeprefix('"').removesuffix('"')
    return pattern.replace(inner, f"(?P<{name}>{inner})")


def _body(data: bytes) -> dict[str, Any]:
    body: dict[str, Any] = json.loads(data)["body"]
    return body


_SHAPES: Final = {name: _shape(name) for name in POSTINGS}


def read_entries(runs: Sequence[tuple[int, Sequence[bytes]]], *, origin: str, scid: str) -> list[Entry | Usual]:
    """The entries of one identity's account chains, in order: runs of canonical bytes from an index on.

    A usual one is known to follow the one before it, if that one is right; whether others do, is the caller's to check.
    Raises the errors of parse_entry.
    """
    heads: dict[str, Head] = {}
    entries: list[Entry | Usual] = []
    for start, run in runs:
        for index, data in enumerate(run, start):
            usual = _read_usual(data, origin, scid, index, heads)
            if usual is not None:
                entries.append(usual)
                continue
            entry = parse_entry(data, origin=origin, index=index)
            for link in entry.links:
                if link.scid == scid:
                    move = entry.moves.get((scid, link.currency), Move())
                    heads[link.currency] = head_after(link, entry.leaf, heads.get(link.currency, START), move)
            entries.append(entry)
    return entries


def _read_usual(data: bytes, origin: str, scid: str, index: int, heads: dict[str, Head]) -> Usual | None:
    """The entry, and the head of its account moved on; None and nothing changed, if it is not usual."""
    # One byte is one character, whatever it is; what is not ASCII matches nothing.
    text = data.decode("latin-1")
    type_name = text[text.rfind('"type":"') + 8 : -8]
    shape = _SHAPES.get(type_name)
    if shape is None or len(text) > ENTRY_BYTES_MAX:
        return None
    match, rest, payable_each, held_each = shape
    found = match(text, text.find("]"))
    if found is None:
        return None
    # step: [scid], or [payout, rail, scid], or [payout, rail, scid, seq_hi].
    at, amount, currency, *step, entry_id, place, log = found.groups()
    before = heads.get(currency, START)
    seq, prev, balance, held, unclaimed = before
    seq += 1
    if payable_each or held_each:
        balance += payable_each * int(amount)
        held += held_each * int(amount)
    link = (
        f'{{"accounts":[{{"balance_after":"{balance}","currency":"{currency}","held_after":"{held}","prev":"{prev}",'
        f'"scid":"{scid}","seq":{seq}}}'
    )
    if not (
        text.startswith(link) and found.start() == len(link)
        and scid == (step[2] if step[1:] else step[0]) and log == origin and is_time(at)
        and place == str(index) and index < _INDEX_END
        and 0 <= balance <= money.AMOUNT_MAX and 0 <= held <= money.AMOUNT_MAX
    ):  # fmt: skip
        return None
    if rest:
        body = _body(data)
        if not all(check(body[member]) for member, check in rest):
            return None
    leaf = leaf_hash(data)
    after = heads[currency] = _new(Head, (seq, leaf.hex(), balance, held, unclaimed))
    key = scid, currency
    payout = (step[0], key, amount, step[1]) if step[1:] else None
    seq_hi = int(step[3]) if step[3:] else 0
    return _new(Usual, (log, index, type_name, at, entry_id, key, payout, seq_hi, before, after, data, leaf))
