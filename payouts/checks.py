"""Asking the books whether they are whole: entries replayed, files against the signed root, rows against the log."""

from payouts import instance_keys, log, store
from payouts.ledger.errors import LedgerError
from payouts.ledger.follower import check_tiles
from payouts.ledger.money import OF_AN_IDENTITY, account
from payouts.ledger.replay import Replay
from payouts.ledger.tiles import read_entries
from payouts.models import AccountHead, Balance, LogEntry, SignedHead
from payouts.statements import open_head
from payouts.store import DiskTiles
from server.core.errors import TributaryError


def find_problems() -> list[str]:
    """What is wrong, in words; an empty list when the log is whole and the rows say what it says."""
    head = store.read_head()
    if head.size == 0:
        return []
    replay = Replay(instance_keys.origin())
    rows = LogEntry.objects.order_by("index").iterator()
    problems: list[str] = []
    try:
        newest = SignedHead.objects.get(size=head.size)
        check_tiles(DiskTiles(), open_head(newest).checkpoint)
        for data in read_entries(DiskTiles(), 0, head.size, head.size):
            entry = replay.add(data)
            row = next(rows, None)
            if row is None or bytes(row.data) != data:
                problems.append(f"row {entry.index} is not the entry of the log")
    except (LedgerError, TributaryError, SignedHead.DoesNotExist) as error:
        return [*problems, f"entry {replay.size}: {getattr(error, 'code', 'signed_head_missing')}: {error}"]
    return problems + _wrong_heads(replay) + _wrong_balances(replay)


def _wrong_heads(replay: Replay) -> list[str]:
    rows = {(row.scid, row.currency): log.head_of(row) for row in AccountHead.objects.all()}
    keys = rows.keys() | replay.heads.keys()
    return [f"account {scid} {currency} differs from the log" for scid, currency in sorted(keys)
            if rows.get((scid, currency)) != replay.heads.get((scid, currency))]  # fmt: skip


def _wrong_balances(replay: Replay) -> list[str]:
    rows = {row.name: row.amount for row in Balance.objects.all()}
    sums: dict[str, int] = {}
    for name, amount in rows.items():
        sums[name[-5:]] = sums.get(name[-5:], 0) + amount
    problems = [f"the books of {currency} do not balance: {total}" for currency, total in sorted(sums.items()) if total]
    logged = {account(one.kind, one.currency, one.detail): amount for one, amount in replay.balances.items()}
    own = {name: amount for name, amount in rows.items() if name.partition("#")[0].rpartition(":")[0] not in OF_AN_IDENTITY}
    differing = (name for name in sorted(own.keys() | logged.keys()) if own.get(name, 0) != logged.get(name, 0))
    return problems + [f"balance of {name} differs from the log" for name in differing]
