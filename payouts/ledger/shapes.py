"""One regular expression for each entry type, made from the same tables as the checks: the quick way in for plain entries.

A text that matches is ASCII, canonical, and has every member in its form: names in order, no escapes, no spaces, integers of at
most 15 digits. So it need not be encoded again to be compared, nor looked at member by member. A match only ever *accepts*;
whatever does not match takes the long way, which finds the reason. What no expression can say stays with the caller: that lists
ascend, that times exist, that sums are zero.
"""

import json
import re
from collections.abc import Callable, Mapping
from typing import Any, Final, NamedTuple

from payouts.ledger import money
from payouts.ledger.bodies import TYPES, Check, Type
from payouts.ledger.fields import HEX_HASH, TIME, form_of, list_form

_AMOUNT: Final = "(?:0|[1-9][0-9]{0,17})"
_INDEX: Final = "(?:0|[1-9][0-9]{0,14})"
_LINK: Final = (
    rf'\{{"balance_after":"{_AMOUNT}","currency":"{money.CURRENCY}","held_after":"{_AMOUNT}","prev":"{HEX_HASH}",'
    rf'"scid":"{money.SCID}","seq":[1-9][0-9]{{0,14}}\}}'
)

_load: Final = json.JSONDecoder().decode


class Shape(NamedTuple):
    """What plain entries of a type look like, and the checks of members that the expression does not say whole."""

    fullmatch: Callable[[str], re.Match[str] | None]
    rest: tuple[tuple[str, Check], ...]


def read_plain(data: bytes) -> dict[str, Any] | None:
    """The document of a plain entry: canonical, with every member in its form. None: it is not plain, and may still be right."""
    try:
        text = data.decode("ascii")
        document = _load(text)
        return document if is_plain(text, document) else None
    except (ValueError, RecursionError):
        return None


def is_plain(text: str, document: Any) -> bool:
    """Whether the text of a document is that of a plain entry."""
    kind = document.get("type") if type(document) is dict else None
    shape = SHAPES.get(kind) if type(kind) is str else None
    if shape is None or shape.fullmatch(text) is None:
        return False
    return all(check(document["body"][member]) for member, check in shape.rest)


def _shape(type_name: str, row: Type) -> Shape | None:
    """The shape of a type; None when a member may hold characters that JSON escapes."""
    members = {}
    for member, check in sorted(row.body.items()):
        form = form_of(check)
        if form is None:
            return None
        members[member] = form
    body = ",".join(f'"{member}":{form.pattern}' for member, form in members.items())
    kinds = "|".join(map(_account, sorted(row.touches)))
    nothing = r"\[\]"
    posting = rf'\["(?:{kinds})#{money.CURRENCY}/6","-?[1-9][0-9]{{0,17}}"\]'
    pattern = (
        rf'\{{"accounts":{list_form(_LINK)},"at":"{TIME}","body":\{{{body}\}},"id":"[0-9a-f]{{32}}","index":{_INDEX},'
        rf'"origin":"{money.ORIGIN}","postings":{list_form(posting) if kinds else nothing},'
        rf'"type":"{re.escape(type_name)}","v":1\}}'
    )
    rest = tuple((member, row.body[member]) for member, form in members.items() if not form.whole)
    return Shape(re.compile(pattern).fullmatch, rest)


def _account(kind: str) -> str:
    detail = money.KINDS[kind]
    return f"{kind}:(?:{detail})" if detail else kind


SHAPES: Final[Mapping[str, Shape]] = {name: shape for name, row in TYPES.items() if (shape := _shape(name, row)) is not None}
