"""The accounts tree: what an instance owes to whom, all accounts at once, committed once a day by an ``accounts.root`` entry.

Leaves are sorted by (scid, currency). Whoever shows the leaves of one identity together with the neighbours on both sides
proves that the identity has no other account in this log.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from hashlib import sha256
from typing import Any, Final, NamedTuple

from payouts.ledger import canonical
from payouts.ledger.chain import AccountKey, Head
from payouts.ledger.errors import AccountLeafMissing, AccountRunIncomplete, AccountsTreeUnsorted, BadMember, WrongScid
from payouts.ledger.fields import check_members, is_ascending, is_integer, is_text
from payouts.ledger.merkle import Hash, Proof, hashes, nodes_of, root_of
from payouts.ledger.money import CURRENCY, SCID, format_amount, parse_amount
from payouts.ledger.ranges import check_range, prove_range

LEAF_BYTES_MAX: Final = 512
CURRENCIES_MAX: Final = 32


class AccountLeaf(NamedTuple):
    """One account at the time of the root: amounts in millionths."""

    scid: str
    currency: str
    seq: int
    balance: int
    held: int

    def document(self) -> dict[str, Any]:
        """The leaf as JSON."""
        return {**self._asdict(), "balance": format_amount(self.balance), "held": format_amount(self.held)}

    def data(self) -> bytes:
        """Its canonical bytes, which the tree hashes."""
        return canonical.encode(self.document())


_MEMBERS: Final = frozenset(AccountLeaf._fields)
_is_scid = is_text(SCID)
_is_currency = is_text(CURRENCY)
_is_seq = is_integer(1)


def parse_leaf(value: Any) -> AccountLeaf:
    """The leaf that a JSON value says. Raises MissingMember, UnknownMember, BadMember, BadAmount."""
    check_members(value, _MEMBERS, "account leaf")
    leaf = AccountLeaf(
        value["scid"], value["currency"], value["seq"], parse_amount(value["balance"]), parse_amount(value["held"])
    )
    if not (_is_scid(leaf.scid) and _is_currency(leaf.currency) and _is_seq(leaf.seq) and leaf.balance >= 0 and leaf.held >= 0):
        raise BadMember("account leaf")
    return leaf


@dataclass(frozen=True, slots=True)
class Run:
    """Neighbouring leaves from ``index`` on: those of one identity and, where they exist, one before and one after."""

    index: int
    leaves: tuple[AccountLeaf, ...]
    proof: Proof


class AccountsTree:
    """All accounts of a log. Raises AccountsTreeUnsorted for an account named twice."""

    def __init__(self, leaves: Iterable[AccountLeaf]) -> None:
        self.leaves = sorted(leaves)
        if not is_ascending((leaf.scid, leaf.currency) for leaf in self.leaves):
            raise AccountsTreeUnsorted
        self._data = [leaf.data() for leaf in self.leaves]
        self._hashes = hashes(self._data)

    def blob(self) -> bytes:
        """All leaves, one canonical line each: published under its SHA-256, so that anyone can make the proofs."""
        return b"".join(line + b"\n" for line in self._data)

    def body(self) -> dict[str, Any]:
        """The body of the ``accounts.root`` entry."""
        return {"root": root_of(self._hashes).hex(), "count": len(self.leaves), "blob": sha256(self.blob()).hexdigest()}

    def run(self, scid: str) -> Run:
        """The leaves of an identity between their neighbours, with their proof. Raises AccountLeafMissing."""
        first = sum(leaf.scid < scid for leaf in self.leaves)
        end = sum(leaf.scid <= scid for leaf in self.leaves)
        if first == end:
            raise AccountLeafMissing(scid)
        low, high = max(0, first - 1), min(len(self.leaves), end + 1)
        return Run(low, tuple(self.leaves[low:high]), prove_range(nodes_of(self._hashes), low, high, len(self.leaves)))


def tree_of_heads(heads: Iterable[tuple[AccountKey, Head]]) -> AccountsTree:
    """The tree over the heads of all accounts that were ever touched."""
    return AccountsTree(AccountLeaf(*key, head.seq, head.balance, head.held) for key, head in heads if head.seq)


def parse_blob(data: bytes) -> AccountsTree:
    """The tree whose ``blob`` this is. Raises the errors of canonical.decode and parse_leaf; AccountsTreeUnsorted."""
    lines = data.split(b"\n")
    if lines.pop() != b"":
        raise BadMember("the last line does not end")
    leaves = [parse_leaf(canonical.decode(line, bytes_max=LEAF_BYTES_MAX)) for line in lines]
    if leaves != sorted(leaves):
        raise AccountsTreeUnsorted
    return AccountsTree(leaves)


def check_run(run: Run, scid: str, *, root: Hash, count: int) -> tuple[AccountLeaf, ...]:
    """All leaves that the tree has for an identity, at least one.

    Raises AccountLeafMissing, AccountsTreeUnsorted, WrongScid, AccountRunIncomplete, and the errors of check_range.
    """
    leaves = run.leaves
    own = tuple(leaf for leaf in leaves if leaf.scid == scid)
    if not own:
        raise AccountLeafMissing
    if not is_ascending((leaf.scid, leaf.currency) for leaf in leaves):
        raise AccountsTreeUnsorted
    check_range(hashes(leaf.data() for leaf in leaves), run.index, count, run.proof, root)
    before = sum(leaf.scid < scid for leaf in leaves)
    after = sum(leaf.scid > scid for leaf in leaves)
    if before > 1 or after > 1:
        raise WrongScid("leaves of other identities beyond the two neighbours")
    if (before == 0 and run.index > 0) or (after == 0 and run.index + len(leaves) < count):
        raise AccountRunIncomplete("a neighbour is missing")
    return own
