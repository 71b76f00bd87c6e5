"""Committing all accounts at once: the ``accounts.root`` entry, once a day and after every close."""

from payouts import log, store
from payouts.ledger.accounts_root import AccountsTree, tree_of_heads
from payouts.ledger.entries import Draft, Entry
from payouts.models import AccountHead
from server.core import clock


def commit_accounts(*, name: str) -> Entry | None:
    """Write the accounts root of now under ``name``, once; None while no account was ever touched."""
    log.begin_log()
    if not AccountHead.objects.exists():
        return None
    (entry,) = log.append_batch(lambda _: [_draft(name)])
    return entry


def commit_today() -> None:
    """The chore: one accounts root a day."""
    commit_accounts(name=f"day/{clock.now():%Y-%m-%d}")


def _draft(name: str) -> Draft:
    tree = _tree()
    store.put_blob(tree.blob(), public=True)
    return Draft("accounts.root", log.make_id("accounts.root", name), tree.body(), {})


def _tree() -> AccountsTree:
    return tree_of_heads(((row.scid, row.currency), log.head_of(row)) for row in AccountHead.objects.iterator())
