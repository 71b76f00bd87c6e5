"""Fork proofs: two checkpoints signed by one log that cannot both be true, convicting it in about a kilobyte.

Two roots at one size contradict each other by themselves. For two sizes the proof shows, hash by hash, which smaller tree the
larger one contains: its path rebuilds the larger root, and another root at the smaller size than the one that was signed.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final

from payouts.ledger import canonical
from payouts.ledger.checkpoint import Checkpoint, SignedCheckpoint, open_checkpoint
from payouts.ledger.errors import BadMember, LedgerError, NotAFork
from payouts.ledger.fields import VERSION, check_members, check_version, hashes_from_base64, to_base64
from payouts.ledger.merkle import PROOF_HASHES_MAX, Nodes, fold_consistency, prove_subtree_consistency
from payouts.ledger.note import VerifierKey

FORK_BYTES_MAX: Final = 32_768
MEMBERS: Final = frozenset({"v", "type", "origin", "older", "newer", "path"})
TYPE: Final = "fork"


@dataclass(frozen=True, slots=True)
class Fork:
    """A verified conviction: the log signed both."""

    older: Checkpoint
    newer: Checkpoint


def prove_fork(one: SignedCheckpoint, other: SignedCheckpoint, nodes: Nodes | None) -> bytes:
    """The proof in a file. ``nodes``: the tree of the larger checkpoint; not needed for two roots at one size.

    Raises NotAFork when the two do not contradict each other, or the tree is not that of the larger checkpoint.
    """
    older, newer = sorted((one, other), key=lambda signed: signed.checkpoint.size)
    path: tuple[bytes, ...] = ()
    if older.checkpoint.size != newer.checkpoint.size:
        if nodes is None or older.checkpoint.size == 0:
            raise NotAFork("without the larger tree, or from nothing, nothing can be shown")
        path = prove_subtree_consistency(nodes, 0, older.checkpoint.size, newer.checkpoint.size, explicit=True)
    _check_contradiction(older.checkpoint, newer.checkpoint, path)
    return canonical.encode({
        "v": VERSION,
        "type": TYPE,
        "origin": older.checkpoint.origin,
        "older": older.data.decode(),
        "newer": newer.data.decode(),
        "path": [to_base64(node) for node in path],
    })  # fmt: skip


def check_fork(data: bytes, log_keys: Sequence[VerifierKey]) -> Fork:
    """The conviction in a file, for a reader who knows the log's keys and nothing else.

    Raises NotAFork, the errors of open_checkpoint, of canonical.decode and of members.
    """
    document: Any = canonical.decode(data, bytes_max=FORK_BYTES_MAX)
    check_members(document, MEMBERS, "fork proof")
    check_version(document)
    if not all(type(document[name]) is str for name in ("origin", "older", "newer")) or document["type"] != TYPE:
        raise BadMember("fork proof")
    path = hashes_from_base64(document["path"], count_max=PROOF_HASHES_MAX + 1)
    older, newer = (
        open_checkpoint(document[name].encode(), origin=document["origin"], log_keys=log_keys).checkpoint
        for name in ("older", "newer")
    )  # fmt: skip
    _check_contradiction(older, newer, path)
    return Fork(older, newer)


def _check_contradiction(older: Checkpoint, newer: Checkpoint, path: Sequence[bytes]) -> None:
    if older.size == newer.size:
        if path or older.root == newer.root:
            raise NotAFork("one root at one size, or a path where none belongs")
        return
    try:
        small, large = fold_consistency(0, older.size, newer.size, path, known=None)
    except LedgerError as error:
        raise NotAFork(f"the path is not one: {error.code}") from error
    if large != newer.root:
        raise NotAFork("the path does not lead to the larger root")
    if small == older.root:
        raise NotAFork("the larger tree begins with the smaller one")
