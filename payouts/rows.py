"""Rows of entries: what the log says, laid out so that pages can ask the database. Only ``log`` calls this."""

from collections.abc import Iterable, Sequence
from datetime import datetime

from payouts.ledger.chain import Move
from payouts.ledger.entries import Entry
from payouts.ledger.money import account
from payouts.models import AccountHead, Balance, EntryOfAccount, LogEntry

ROWS_AT_ONCE = 500


def make_rows(entries: Sequence[Entry]) -> None:
    """Add the rows of entries that the database did not have yet, in order."""
    LogEntry.objects.bulk_create(
        (
            LogEntry(index=entry.index, entry_id=entry.id, type=entry.type, at=datetime.fromisoformat(entry.at), data=entry.data)
            for entry in entries
        ),
        batch_size=ROWS_AT_ONCE,
    )
    EntryOfAccount.objects.bulk_create(_touches(entries), batch_size=ROWS_AT_ONCE)
    _move_heads(entries)
    _move_balances(entries)


def _touches(entries: Sequence[Entry]) -> Iterable[EntryOfAccount]:
    for entry in entries:
        for link in entry.links:
            move = entry.moves.get((link.scid, link.currency), Move())
            yield EntryOfAccount(
                entry_id=entry.index, scid=link.scid, currency=link.currency, seq=link.seq, **move._asdict()
            )  # fmt: skip


def _move_heads(entries: Sequence[Entry]) -> None:
    scids = {link.scid for entry in entries for link in entry.links}
    heads = {(row.scid, row.currency): row for row in AccountHead.objects.filter(scid__in=scids)}
    for entry in entries:
        for link in entry.links:
            key = link.scid, link.currency
            row = heads.setdefault(key, AccountHead(scid=link.scid, currency=link.currency))
            row.seq, row.leaf = link.seq, entry.leaf.hex()
            row.balance, row.held = link.balance_after, link.held_after
            row.unclaimed += entry.moves.get(key, Move()).unclaimed
    AccountHead.objects.bulk_create(
        heads.values(),
        batch_size=ROWS_AT_ONCE,
        update_conflicts=True,
        unique_fields=["scid", "currency"],
        update_fields=["seq", "leaf", "balance", "held", "unclaimed"],
    )


def _move_balances(entries: Sequence[Entry]) -> None:
    sums: dict[str, int] = {}
    for entry in entries:
        for one, amount in entry.postings:
            name = account(one.kind, one.currency, one.detail)
            sums[name] = sums.get(name, 0) + amount
    known = dict(Balance.objects.filter(name__in=sums).values_list("name", "amount"))
    Balance.objects.bulk_create(
        [Balance(name=name, amount=known.get(name, 0) + amount) for name, amount in sums.items()],
        batch_size=ROWS_AT_ONCE,
        update_conflicts=True,
        unique_fields=["name"],
        update_fields=["amount"],
    )
