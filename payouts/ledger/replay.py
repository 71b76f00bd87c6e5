"""A whole log, replayed entry by entry: what a mirror checks before it stores, and what a pen knows of its own log.

Every rule that entries must keep among each other stands here once. An entry that breaks one raises and changes nothing; its
bytes are evidence, so whoever mirrors keeps them.
"""

from collections.abc import Callable, Mapping
from typing import ClassVar, Final

from payouts.ledger.accounts_root import tree_of_heads
from payouts.ledger.chain import NO_MOVE, START, AccountKey, Head, check_link, head_after
from payouts.ledger.entries import Entry, parse_entry
from payouts.ledger.errors import (
    AccountsRootWrong,
    AgreementNotAnnounced,
    CloseBatchCut,
    CloseOutputsWrong,
    EntryIdRepeated,
    GenesisMisplaced,
    LiabilityOverdrawn,
    TimeWentBackwards,
)
from payouts.ledger.merkle import Hash, leaf_hash, root_of
from payouts.ledger.money import OF_AN_IDENTITY, Account, parse_amount
from payouts.ledger.note import VerifierKey
from payouts.ledger.rotation import GENESIS, ROTATE, InstanceKeys, key_after, keys_of_genesis
from payouts.ledger.steps import Holds, Payouts

# What these accounts owe can be used up, never overdrawn. Money of identities has its own chain.
GUARDED: Final = ("L:", "E:")


class _OpenClose:
    """A close whose accruals are still to come."""

    def __init__(self, entry: Entry) -> None:
        self.entry = entry
        self.left: int = entry.body["accruals"]
        places = sum(amount for account, amount in entry.postings if account.kind != "L:pool")
        self.amount = parse_amount(entry.body["amount"]) - parse_amount(entry.body["carry"]) + places
        self.leaves: list[Hash] = []
        self.last = ""
        if self.left == 0:
            self._check_end(self.amount)

    def take(self, entry: Entry) -> bool:
        """Take the next accrual; whether it was the last. Raises CloseBatchCut, CloseOutputsWrong."""
        body, close = entry.body, self.entry.body
        if body["close"] != self.entry.index or body["batch"] != close["accruals"] or not self.last < body["scid"]:
            raise CloseBatchCut(f"entry {entry.index} does not belong to the close at {self.entry.index}")
        if (body["period"], body["currency"]) != (close["period"], close["currency"]):
            raise CloseOutputsWrong(f"entry {entry.index} is of another period or currency")
        move = entry.moves[body["scid"], body["currency"]]
        amount = self.amount - sum(move)
        leaf = leaf_hash(output_line(body["scid"], body["amount"], move.unclaimed))
        if self.left == 1:
            self._check_end(amount, leaf)
        self.last, self.amount, self.left = body["scid"], amount, self.left - 1
        self.leaves.append(leaf)
        return self.left == 0

    def _check_end(self, amount: int, *last: Hash) -> None:
        if amount != 0 or root_of([*self.leaves, *last]).hex() != self.entry.body["outputs"]:
            raise CloseOutputsWrong(f"the close at {self.entry.index}")


def output_line(scid: str, amount: str, unclaimed: int) -> bytes:
    """The leaf of an outputs root for one accrual: a canonical list of three texts in which nothing is to be escaped."""
    return f'["{scid}","{amount}","{unclaimed}"]'.encode()


class Replay:
    """The state of a log after its entries so far. ``add`` takes the next one."""

    def __init__(self, origin: str) -> None:
        self.origin = origin
        self.size = 0
        self.keys: InstanceKeys | None = None
        self.ledger_key: VerifierKey | None = None
        self.heads: dict[AccountKey, Head] = {}
        self.balances: dict[Account, int] = {}
        self.agreements: set[str] = set()
        self.payouts, self.holds = Payouts(), Holds()
        self._ids: set[bytes] = set()
        self._at = ""
        self._close: _OpenClose | None = None

    @property
    def at_rest(self) -> bool:
        """Whether a checkpoint may end here: not inside the batch of a close."""
        return self._close is None

    def add(self, data: bytes) -> Entry:
        """The next entry, when it keeps every rule. Raises its named error and changes nothing."""
        entry = parse_entry(data, origin=self.origin, index=self.size)
        entry_id = bytes.fromhex(entry.id)
        self._check_order(entry, entry_id)
        heads = self._check_links(entry)
        balances = self._check_balances(entry)
        self._check_kind(entry)
        # From here on nothing raises.
        self.heads.update(heads)
        self.balances.update(balances)
        self._ids.add(entry_id)
        self._at = entry.at
        self.size += 1
        return entry

    def _check_order(self, entry: Entry, entry_id: bytes) -> None:
        if (entry.type == GENESIS) != (self.size == 0):
            raise GenesisMisplaced(f"entry {entry.index} is {entry.type}")
        if entry.at < self._at:
            raise TimeWentBackwards(f"entry {entry.index}")
        if entry_id in self._ids:
            raise EntryIdRepeated(f"entry {entry.index}")
        if self._close is not None and entry.type != "accrue":
            raise CloseBatchCut(f"entry {entry.index} stands inside the close at {self._close.entry.index}")

    def _check_links(self, entry: Entry) -> Mapping[AccountKey, Head]:
        after = {}
        for link in entry.links:
            key = link.scid, link.currency
            head, move = self.heads.get(key, START), entry.moves.get(key, NO_MOVE)
            check_link(link, head, move)
            after[key] = head_after(link, entry.leaf, head, move)
        return after

    def _check_balances(self, entry: Entry) -> Mapping[Account, int]:
        after = {}
        for account, amount in entry.postings:
            if account.kind in OF_AN_IDENTITY:
                continue
            after[account] = self.balances.get(account, 0) + amount
            if after[account] > 0 and account.kind.startswith(GUARDED):
                raise LiabilityOverdrawn(f"{account.kind}:{account.detail} by {after[account]}")
        return after

    def _check_kind(self, entry: Entry) -> None:
        """The rules of single types. Each either raises or changes its own state, so that it must come last."""
        rule = self._RULES.get(entry.type)
        if rule is not None:
            rule(self, entry)

    def _begin(self, entry: Entry) -> None:
        self.keys = keys_of_genesis(entry)
        self.ledger_key = self.keys.ledger

    def _rotate(self, entry: Entry) -> None:
        assert self.keys is not None
        assert self.ledger_key is not None
        self.ledger_key = key_after(self.keys, self.ledger_key, entry)

    def _announce(self, entry: Entry) -> None:
        self.agreements.add(entry.body["agreement"])

    def _open(self, entry: Entry) -> None:
        close = _OpenClose(entry)
        self._close = close if close.left else None

    def _accrue(self, entry: Entry) -> None:
        if self._close is None:
            raise CloseBatchCut(f"entry {entry.index} accrues outside of a close")
        self._check_announced(entry, entry.body["agreements"])
        if self._close.take(entry):
            self._close = None

    def _claim(self, entry: Entry) -> None:
        self._check_announced(entry, [entry.body["agreement"]])

    def _check_announced(self, entry: Entry, ids: list[str]) -> None:
        if not self.agreements.issuperset(ids):
            raise AgreementNotAnnounced(f"entry {entry.index}")

    def _check_accounts_root(self, entry: Entry) -> None:
        if tree_of_heads(self.heads.items()).body() != entry.body:
            raise AccountsRootWrong(f"{entry.body['count']} accounts")

    def _step_payout(self, entry: Entry) -> None:
        self.payouts.add(entry)

    def _step_hold(self, entry: Entry) -> None:
        self.holds.add(entry)

    _RULES: ClassVar[Mapping[str, Callable[["Replay", Entry], None]]] = {
        GENESIS: _begin,
        ROTATE: _rotate,
        "agreement": _announce,
        "close": _open,
        "accrue": _accrue,
        "claim": _claim,
        "accounts.root": _check_accounts_root,
        **dict.fromkeys(("payout.intent", "payout.sent", "payout.settled", "payout.failed"), _step_payout),
        **dict.fromkeys(("hold", "release"), _step_hold),
    }
