"""The log in the words of others: one JSON document a line, or a beancount file that its own checker accepts. Pure.

In beancount an account is written with a capital first letter and without ``_ . : /``; these become ``-U- -D- -C- -S-``, so that
no two accounts of ours share a name. Amounts keep all six places. Balance assertions without any tolerance close the file.
"""

import re
from collections.abc import Iterable, Iterator
from datetime import date, timedelta
from typing import Final

from payouts.ledger.entries import Entry
from payouts.ledger.money import Account, in_units

ROOTS: Final = {"A": "Assets", "L": "Liabilities", "E": "Equity", "X": "Expenses"}
ESCAPES: Final = {"_": "-U-", ".": "-D-", ":": "-C-", "/": "-S-"}
_ESCAPED = re.compile(r"[_.:/]")


def jsonl(entries: Iterable[bytes]) -> Iterator[str]:
    """The canonical bytes of every entry, one a line."""
    return (f"{data.decode()}\n" for data in entries)


def beancount(origin: str, entries: Iterable[Entry]) -> Iterator[str]:
    """The postings of every entry as a transaction, the accounts opened when they are first used, the balances asserted last."""
    yield f'option "title" "{origin}"\n'
    balances: dict[tuple[str, str], int] = {}
    opened: set[str] = set()
    day = "1970-01-01"
    for entry in entries:
        if not entry.postings:
            continue
        day = entry.at[:10]
        rows = [(account_name(one), one.currency, amount) for one, amount in entry.postings]
        for name in sorted({name for name, _, _ in rows} - opened):
            yield f"{day} open {name}\n"
            opened.add(name)
        yield f'\n{day} * "{entry.type}"\n  index: {entry.index}\n  entry: "{entry.id}"\n  leaf: "{entry.leaf.hex()}"\n'
        for name, currency, amount in rows:
            yield f"  {name}  {in_units(amount)} {currency}\n"
            balances[name, currency] = balances.get((name, currency), 0) + amount
    yield "\n"
    # A balance holds at the beginning of its day.
    after = date.fromisoformat(day) + timedelta(days=1)
    for (name, currency), amount in sorted(balances.items()):
        yield f"{after} balance {name}  {in_units(amount)} ~ 0 {currency}\n"


def account_name(one: Account) -> str:
    """The name of an account in beancount; the currency stands with each amount."""
    root, kind = one.kind.split(":")
    if not one.detail:
        return f"{ROOTS[root]}:{_part(kind)}"
    # A pool is a name and a period: two steps down the tree.
    details = one.detail.split(":", 1) if one.kind == "L:pool" else [one.detail]
    return ":".join([ROOTS[root], _part(kind), *map(_part, details)])


def _part(text: str) -> str:
    escaped = _ESCAPED.sub(lambda found: ESCAPES[found[0]], text)
    return escaped[0].upper() + escaped[1:]
