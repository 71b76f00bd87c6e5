"""Entries: the leaves of the log. Canonical bytes in, checked values out, and the other way round.

An entry has no signature of its own; the checkpoint over the tree signs it. See docs/reference/ledger-format.md.
"""

import gc
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final, NamedTuple

from payouts.ledger import canonical
from payouts.ledger.bodies import check_body
from payouts.ledger.chain import (
    NO_MOVE,
    START,
    TOUCHING,
    AccountKey,
    Head,
    Link,
    Move,
    check_moves,
    head_after,
    moves,
    next_link,
    parse_link,
)
from payouts.ledger.errors import (
    AccountLinkMissing,
    AccountLinkUnexpected,
    AccountsUnsorted,
    BadEntryId,
    BadIndex,
    BadMember,
    BadOrigin,
    BadPosting,
    EntryTooLarge,
    LedgerError,
    PostingNotAllowed,
    PostingsUnbalanced,
    PostingsUnsorted,
)
from payouts.ledger.fields import VERSION, ZERO_HASH, check_members, check_time, check_version, is_ascending
from payouts.ledger.merkle import leaf_hash
from payouts.ledger.money import ORIGIN, Account, format_amount, parse_account, parse_amount
from payouts.ledger.shapes import Plain, read_plain, write_plain

ENTRY_BYTES_MAX: Final = 4096
MEMBERS: Final = frozenset({"v", "origin", "index", "type", "at", "id", "body", "postings", "accounts"})

_ORIGIN = re.compile(ORIGIN)
_ID = re.compile(r"[0-9a-f]{32}")


class Entry(NamedTuple):
    """A checked entry. ``data`` are its canonical bytes, ``leaf`` its RFC 6962 leaf hash, ``moves`` what it changes."""

    origin: str
    index: int  # type: ignore[assignment]  # nobody looks for a value in an entry by tuple.index
    type: str
    at: str
    id: str
    body: Mapping[str, Any]
    postings: tuple[tuple[Account, int], ...]
    links: tuple[Link, ...]
    moves: Mapping[AccountKey, Move]
    data: bytes
    leaf: bytes

    def link(self, key: AccountKey) -> Link | None:
        """The link for one account, if the entry touches it."""
        return next((link for link in self.links if (link.scid, link.currency) == key), None)


def parse_entry(data: bytes, *, origin: str | None = None, index: int | None = None) -> Entry:
    """The entry in canonical bytes, of this log and at this place when they are given. Raises the named error."""
    if len(data) > ENTRY_BYTES_MAX:
        raise EntryTooLarge(f"{len(data)} bytes")
    entry = _read_plain(data)
    if entry is not None and origin in (None, entry.origin) and index in (None, entry.index):
        return entry
    # The long way, for what is not plain or not right: it finds the reason, and the first one by the order of the page.
    return _check(canonical.decode(data, bytes_max=ENTRY_BYTES_MAX), data, origin, index)


def _read_plain(data: bytes) -> Entry | None:
    """The entry in a plain text (shapes.py), or None when it is not plain or breaks a rule that no expression can say."""
    plain = read_plain(data)
    if plain is None:
        return None
    if [(link.scid, link.currency) for link in plain.links] != sorted(_touched(plain.type, plain.body, plain.moves)):
        return None
    return _take_plain(plain, data)


def _take_plain(plain: Plain, data: bytes) -> Entry | None:
    try:
        check_time(plain.at)
        check_moves(plain.type, plain.body, plain.moves)
    except LedgerError:
        return None
    if not _is_balanced(plain.postings):
        return None
    for link in plain.links:
        if (link.seq == 1) != (link.prev == ZERO_HASH):
            return None
    return Entry(*plain, data, leaf_hash(data))


def _is_balanced(postings: Sequence[tuple[Account, int]]) -> bool:
    if len(postings) == 2:  # noqa: PLR2004 - nearly all are pairs
        (one, amount), (other, rest) = postings
        return one.currency == other.currency and amount + rest == 0
    sums: dict[str, int] = {}
    for account, amount in postings:
        sums[account.currency] = sums.get(account.currency, 0) + amount
    return not any(sums.values())


def _check(document: Any, data: bytes, origin: str | None, index: int | None) -> Entry:
    check_members(document, MEMBERS, "entry")
    check_version(document)
    check_origin(document["origin"])
    if origin is not None and document["origin"] != origin:
        raise BadOrigin(f"{document['origin']}, not {origin}")
    if type(document["index"]) is not int or document["index"] < 0 or index not in (None, document["index"]):
        raise BadIndex(f"{document['index']!r}" if index is None else f"{document['index']!r}, not {index}")
    row = check_body(document["type"], document["body"])
    at = check_time(document["at"])
    check_entry_id(document["id"])
    postings = _parse_postings(document["postings"], row.touches)
    found = moves(postings)
    check_moves(document["type"], document["body"], found)
    links = _parse_links(document["accounts"], _touched(document["type"], document["body"], found))
    return Entry(
        document["origin"], document["index"], document["type"], at, document["id"], document["body"],
        postings, links, found, data, leaf_hash(data),
    )  # fmt: skip


def check_origin(value: Any) -> str:
    """The origin itself. Raises BadOrigin."""
    if type(value) is not str or _ORIGIN.fullmatch(value) is None:
        raise BadOrigin(f"{value!r}")
    return value


def check_entry_id(value: Any) -> str:
    """The entry id itself. Raises BadEntryId."""
    if type(value) is not str or _ID.fullmatch(value) is None:
        raise BadEntryId(f"{value!r}")
    return value


def _parse_postings(value: Any, touches: frozenset[str]) -> tuple[tuple[Account, int], ...]:
    if type(value) is not list:
        raise BadMember("postings is no list")
    sums: dict[str, int] = {}
    postings = []
    last = ""
    for pair in value:
        if type(pair) is not list or list(map(type, pair)) != [str, str]:
            raise BadPosting(str(pair)[:80])
        account, amount = parse_account(pair[0]), parse_amount(pair[1])
        if amount == 0:
            raise BadPosting(f"nothing moves on {pair[0]}")
        if account.kind not in touches:
            raise PostingNotAllowed(pair[0])
        if not last < pair[0]:
            raise PostingsUnsorted(pair[0])
        last = pair[0]
        sums[account.currency] = sums.get(account.currency, 0) + amount
        postings.append((account, amount))
    for currency, total in sums.items():
        if total != 0:
            raise PostingsUnbalanced(f"{currency}: {total}")
    return tuple(postings)


def _parse_links(value: Any, touched: set[AccountKey]) -> tuple[Link, ...]:
    if type(value) is not list:
        raise BadMember("accounts is no list")
    links = tuple(map(parse_link, value))
    keys = [(link.scid, link.currency) for link in links]
    if not is_ascending(keys):
        raise AccountsUnsorted
    if missing := touched.difference(keys):
        raise AccountLinkMissing(str(min(missing)))
    if len(keys) > len(touched):
        raise AccountLinkUnexpected
    return links


def _touched(type_name: str, body: Mapping[str, Any], found: Mapping[AccountKey, Move]) -> set[AccountKey]:
    """The accounts that need a link: those with postings, and the one a step of a payout is about."""
    if type_name in TOUCHING:
        return {(body["scid"], body["currency"])}
    return set(found)


@dataclass(frozen=True, slots=True)
class Draft:
    """What a client of the pen wants to be written; ``id`` is made by the client and makes a repeated wish harmless.

    ``postings`` maps account names to millionths: debits positive, credits negative.
    """

    type: str
    id: str
    body: Mapping[str, Any]
    postings: Mapping[str, int]


@dataclass(frozen=True, slots=True)
class Batch:
    """Entries ready to be appended, in order, and the heads of the accounts they touch after the last of them."""

    entries: tuple[Entry, ...]
    heads: Mapping[AccountKey, Head]


def write_batch(drafts: Sequence[Draft], *, origin: str, first_index: int, at: str, heads: Mapping[AccountKey, Head]) -> Batch:
    """The entries of ``drafts`` from ``first_index`` on. ``heads``: the accounts that the drafts touch, where they exist.

    Raises AccountOverdrawn and every error of parse_entry: what would not be read is not written.
    """
    # A large batch makes hundreds of thousands of objects and no cycles: looking for garbage would be a third of its time.
    was_enabled = gc.isenabled()
    gc.disable()
    try:
        return _write_all(drafts, origin=origin, first_index=first_index, at=at, heads=heads)
    finally:
        if was_enabled:
            gc.enable()


def _write_all(
    drafts: Sequence[Draft], *, origin: str, first_index: int, at: str, heads: Mapping[AccountKey, Head]
) -> Batch:  # fmt: skip
    after = dict(heads)
    entries = []
    for index, draft in enumerate(drafts, start=first_index):
        if draft.type in TOUCHING and not ("scid" in draft.body and "currency" in draft.body):
            check_body(draft.type, draft.body)
        names = sorted(draft.postings)
        postings = tuple([(parse_account(name), draft.postings[name]) for name in names])
        found = moves(postings)
        touched = sorted(_touched(draft.type, draft.body, found))
        steps = [(key, after.get(key, START), found.get(key, NO_MOVE)) for key in touched]
        links = tuple([next_link(*step) for step in steps])
        entry = _write(Plain(origin, index, draft.type, at, draft.id, dict(draft.body), postings, links, found), names)
        for link, (key, head, move) in zip(links, steps, strict=True):
            after[key] = head_after(link, entry.leaf, head, move)
        entries.append(entry)
    return Batch(tuple(entries), {key: after[key] for key in after if after[key] != heads.get(key)})


def _write(plain: Plain, names: Sequence[str]) -> Entry:
    """The same judgement as on reading; what is plain need not be read back to be judged."""
    text = write_plain(plain, names)
    if text is not None and len(text) <= ENTRY_BYTES_MAX:
        entry = _take_plain(plain, text.encode())
        if entry is not None:
            return entry
    document = {
        "v": VERSION,
        "origin": plain.origin,
        "index": plain.index,
        "type": plain.type,
        "at": plain.at,
        "id": plain.id,
        "body": plain.body,
        "postings": [[name, format_amount(amount)] for name, (_, amount) in zip(names, plain.postings, strict=True)],
        "accounts": [link.document() for link in plain.links],
    }
    data = canonical.encode(document)
    if len(data) > ENTRY_BYTES_MAX:
        raise EntryTooLarge(f"{len(data)} bytes")
    return _check(document, data, None, None)
