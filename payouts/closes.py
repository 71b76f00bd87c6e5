"""The settlements of this ledger: what came in, who got what, to the last millionth, and who has run it again. Reads only."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime

from django.db.models import Count, Sum

from payouts import words
from payouts.entry_reports import is_published
from payouts.heads import Audit, Cosigner, audits
from payouts.ledger.entries import Entry, parse_entry
from payouts.ledger.money import parse_amount
from payouts.models import EntryOfAccount, LogEntry
from server.core.errors import NotFound

CLOSE = "close"
PAGE_COUNT = 20
SHARES_PER_PAGE = 100


@dataclass(frozen=True)
class Close:
    """A period that was shared; amounts in millionths of ``currency``. ``auditors``: whose cosigned head covers it."""

    index: int
    at: datetime
    period: str
    currency: str
    pool: str
    algorithm: str
    code: str
    inputs: str
    has_inputs: bool
    outputs: str
    amount: int
    carry: int
    accruals: int
    entries: tuple[int, ...]
    auditors: tuple[Cosigner, ...]


@dataclass(frozen=True)
class Charge:
    """What a campaign brought to the close, by the entry that charged it; or money of another kind, without impressions."""

    index: int
    campaign: str
    impressions: int
    price_per_thousand: int
    amount: int


@dataclass(frozen=True)
class Share:
    """What one identity got. ``unclaimed`` of ``amount`` waits for its signature."""

    index: int
    scid: str
    amount: int
    unclaimed: int
    lines: str


@dataclass(frozen=True)
class Place:
    """What went to no identity."""

    account: str
    words: str
    amount: int


@dataclass(frozen=True)
class Arithmetic:
    """A close, added up. ``charges`` + ``carried_in`` = ``close.amount`` = ``shared`` + ``places`` + ``close.carry``."""

    close: Close
    charges: tuple[Charge, ...]
    carried_in: int
    shares: tuple[Share, ...]
    next_share: int | None
    shared: int
    unclaimed: int
    counted: int
    places: tuple[Place, ...]

    @property
    def came_in(self) -> int:
        """What there was to share."""
        return sum(one.amount for one in self.charges) + self.carried_in

    @property
    def went_out(self) -> int:
        """What became of it."""
        return self.shared + sum(one.amount for one in self.places) + self.close.carry

    @property
    def is_right(self) -> bool:
        """Do both sides make the amount of the close, with as many shares as it says?"""
        return self.came_in == self.close.amount == self.went_out and self.counted == self.close.accruals


def list_closes(*, before: int | None = None, count: int = PAGE_COUNT) -> list[Close]:
    """The newest closes, or those in front of the entry ``before``."""
    rows = LogEntry.objects.filter(type=CLOSE).order_by("-index")
    rows = rows if before is None else rows.filter(index__lt=before)
    return of_rows(rows[:count])


def of_rows(rows: Iterable[LogEntry]) -> list[Close]:
    """What the ``close`` entries of these rows say."""
    found = audits()
    return [_close(row, found) for row in rows]


def arithmetic(index: int, *, start: int = 0) -> Arithmetic:
    """A close with everything that adds up to it; of its shares one page from the ``start``-th on. Raises NotFound."""
    row = LogEntry.objects.filter(index=index, type=CLOSE).first()
    if row is None:
        raise NotFound("There is no such close.")
    entry = parse_entry(bytes(row.data))
    close = _close(row, audits())
    last = index + close.accruals
    # What moved in accounts of identities by the batch of this close; at most one row an entry.
    moved = EntryOfAccount.objects.filter(entry_id__gt=index, entry_id__lte=last, currency=close.currency)
    total = moved.aggregate(payable=Sum("payable"), unclaimed=Sum("unclaimed"), counted=Count("pk"))
    unclaimed = total["unclaimed"] or 0
    carried_in, places = _places(entry)
    return Arithmetic(
        close=close, charges=_charges(close), carried_in=carried_in,
        shares=_shares(index + 1 + start, min(last, index + start + SHARES_PER_PAGE)),
        next_share=start + SHARES_PER_PAGE if start + SHARES_PER_PAGE < close.accruals else None,
        shared=(total["payable"] or 0) + unclaimed, unclaimed=unclaimed, counted=total["counted"], places=places,
    )  # fmt: skip


def _close(row: LogEntry, found: Sequence[Audit]) -> Close:
    body = parse_entry(bytes(row.data)).body
    end = row.index + body["accruals"]
    return Close(
        index=row.index, at=row.at, period=body["period"], currency=body["currency"], pool=body["pool"],
        algorithm=body["algorithm"], code=body["code"], inputs=body["inputs"], has_inputs=is_published(body["inputs"]),
        outputs=body["outputs"], amount=parse_amount(body["amount"]), carry=parse_amount(body["carry"]),
        accruals=body["accruals"], entries=tuple(body["entries"]),
        auditors=tuple(one.cosigner for one in found if one.size > end),
    )  # fmt: skip


def _charges(close: Close) -> tuple[Charge, ...]:
    rows = LogEntry.objects.filter(index__in=close.entries).order_by("index")
    return tuple(_charge(parse_entry(bytes(row.data)), close) for row in rows)


def _charge(entry: Entry, close: Close) -> Charge:
    body: Mapping[str, object] = entry.body
    pool = f"{close.pool}:{close.period}"
    amount = -sum(amount for one, amount in entry.postings if (one.kind, one.detail) == ("L:pool", pool))
    price = parse_amount(body.get("price_per_thousand", "0"))
    impressions = body.get("impressions", 0)
    assert isinstance(impressions, int)
    return Charge(entry.index, str(body.get("campaign", words.title(entry.type))), impressions, price, amount)


def _places(entry: Entry) -> tuple[int, tuple[Place, ...]]:
    """What was carried in from another period's pool, and what left for no identity, by the postings of the close."""
    own = f"{entry.body['pool']}:{entry.body['period']}"
    carried_in = sum(amount for one, amount in entry.postings if one.kind == "L:pool" and one.detail != own)
    places = [
        Place(one.name, words.account_words(one.kind), -amount) for one, amount in entry.postings if one.kind != "L:pool"
    ]  # fmt: skip
    return carried_in, tuple(places)


def _shares(first: int, last: int) -> tuple[Share, ...]:
    rows = LogEntry.objects.filter(index__gte=first, index__lte=last, type="accrue").order_by("index")
    return tuple(_share(parse_entry(bytes(row.data))) for row in rows)


def _share(entry: Entry) -> Share:
    unclaimed = sum(move.unclaimed for move in entry.moves.values())
    body = entry.body
    return Share(entry.index, body["scid"], parse_amount(body["amount"]), unclaimed, body["lines"])
