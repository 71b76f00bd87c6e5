"""One regular expression for each entry type, made from the same tables as the checks: the quick way for plain entries.

A text that matches is ASCII, canonical, and has every member in its form: names in order, no escapes, no spaces, integers of at
most 15 digits. So what was written need not be parsed to be judged, and what is read is taken out of the groups of the
expression: no parser of JSON looks at it, nothing is encoded again to be compared. A match only ever *accepts*; whatever does not
match takes the long way, which finds the reason. What no expression can say stays with the caller: that times exist, that sums
are zero, that links are those of the accounts which the postings touch.
"""

import re
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Final, NamedTuple

from payouts.ledger import canonical, money
from payouts.ledger.bodies import TYPES, Check, Type
from payouts.ledger.chain import AccountKey, Link, Move, moves
from payouts.ledger.fields import HEX_HASH, TIME, form_of, is_ascending, list_form
from payouts.ledger.money import Account

_AMOUNT: Final = "(?:0|[1-9][0-9]{0,17})"
_INDEX: Final = "(?:0|[1-9][0-9]{0,14})"
_LINK: Final = (
    rf'\{{"balance_after":"{_AMOUNT}","currency":"{money.CURRENCY}","held_after":"{_AMOUNT}","prev":"{HEX_HASH}",'
    rf'"scid":"{money.SCID}","seq":[1-9][0-9]{{0,14}}\}}'
)
_BEFORE_TYPE: Final = '"type":"'
_BEHIND_TYPE: Final = '","v":1}'

# Of texts that are known to match: where the parts begin and end is all that is left to say.
_find_links: Final = re.compile(
    r'"balance_after":"(.+?)","currency":"(...)","held_after":"(.+?)","prev":"(.{64})","scid":"(.{46})","seq":([0-9]+)'
).findall
_find_postings: Final = re.compile(r'\["(([ALEX]:[a-z-]+):?([^#]*)#(...)/6)","([^"]+)"\]').findall


class Plain(NamedTuple):
    """What a plain entry says, and what it changes: an ``Entry`` (entries.py) that was not judged yet."""

    origin: str
    index: int  # type: ignore[assignment]  # nobody looks for a value in an entry by tuple.index
    type: str
    at: str
    id: str
    body: Mapping[str, Any]
    postings: tuple[tuple[Account, int], ...]
    links: tuple[Link, ...]
    moves: Mapping[AccountKey, Move]


class Shape(NamedTuple):
    """What plain entries of a type look like.

    ``members``: those of the body in their order, and how each is read. ``rest``: the checks of those that the expression does
    not say whole.
    """

    fullmatch: Callable[[str], re.Match[str] | None]
    members: tuple[tuple[str, Callable[[str], Any]], ...]
    rest: tuple[tuple[str, Check], ...]


def read_plain(data: bytes) -> Plain | None:
    """What a plain entry says: canonical, with every member in its form. None: it is not plain, and may still be right."""
    try:
        text = data.decode("ascii")
    except UnicodeDecodeError:
        return None
    type_name = text.rpartition(_BEFORE_TYPE)[2].removesuffix(_BEHIND_TYPE)
    shape = SHAPES.get(type_name)
    found = None if shape is None else shape.fullmatch(text)
    if shape is None or found is None:
        return None
    accounts, at, *values, entry_id, index, origin, postings = found.groups()
    body = {name: read(value) for (name, read), value in zip(shape.members, values, strict=True)}
    posted = _find_postings(postings)
    if not (_is_right(body, shape) and is_ascending([name for name, *_ in posted])):
        return None
    moved = tuple([(Account(kind, detail, currency), int(amount)) for _, kind, detail, currency, amount in posted])
    links = [
        Link(scid, currency, int(seq), prev, int(balance), int(held))
        for balance, currency, held, prev, scid, seq in _find_links(accounts)
    ]
    return Plain(origin, int(index), type_name, at, entry_id, body, moved, tuple(links), moves(moved))


def write_plain(entry: Plain, names: Sequence[str]) -> str | None:
    """The text of an entry, if it is plain. ``names``: the accounts of its postings. Raises NotJson.

    Only the body is encoded: the rest has no place for a character that JSON escapes, or the expression would not match.
    """
    shape = SHAPES.get(entry.type)
    if shape is None:
        return None
    links = ",".join([
        f'{{"balance_after":"{balance}","currency":"{currency}","held_after":"{held}","prev":"{prev}","scid":"{scid}","seq":{seq}}}'
        for scid, currency, seq, prev, balance, held in entry.links
    ])  # fmt: skip
    postings = ",".join([f'["{name}","{amount}"]' for name, (_, amount) in zip(names, entry.postings, strict=True)])
    text = (
        f'{{"accounts":[{links}],"at":"{entry.at}","body":{canonical.encode_unchecked(entry.body)},"id":"{entry.id}",'
        f'"index":{entry.index},"origin":"{entry.origin}","postings":[{postings}],"type":"{entry.type}","v":1}}'
    )
    return text if shape.fullmatch(text) is not None and _is_right(entry.body, shape) else None


def _is_right(body: Mapping[str, Any], shape: Shape) -> bool:
    for member, check in shape.rest:  # noqa: SIM110 - the plain loop is twice as fast, and every entry comes this way
        if not check(body[member]):
            return False
    return True


def _shape(type_name: str, row: Type) -> Shape | None:
    """The shape of a type; None when a member may hold characters that JSON escapes."""
    members = {}
    for member, check in sorted(row.body.items()):
        form = form_of(check)
        if form is None:
            return None
        members[member] = form
    body = ",".join(f'"{member}":({form.pattern})' for member, form in members.items())
    kinds = "|".join(map(_account, sorted(row.touches)))
    nothing = r"\[\]"
    posting = rf'\["(?:{kinds})#{money.CURRENCY}/6","-?[1-9][0-9]{{0,17}}"\]'
    pattern = re.compile(
        rf'\{{"accounts":({list_form(_LINK)}),"at":"({TIME})","body":\{{{body}\}},"id":"([0-9a-f]{{32}})","index":({_INDEX}),'
        rf'"origin":"({money.ORIGIN})","postings":({list_form(posting) if kinds else nothing}),'
        rf"{_BEFORE_TYPE}{re.escape(type_name)}{re.escape(_BEHIND_TYPE)}"
    )
    rest = tuple((member, form.rest) for member, form in members.items() if form.rest is not None)
    return Shape(pattern.fullmatch, tuple((member, form.read) for member, form in members.items()), rest)


def _account(kind: str) -> str:
    detail = money.KINDS[kind]
    return f"{kind}:(?:{detail})" if detail else kind


SHAPES: Final[Mapping[str, Shape]] = {name: shape for name, row in TYPES.items() if (shape := _shape(name, row)) is not None}
