"""Proofs that a run of neighbouring leaves stands in a tree: one proof for a whole period of a payee.

The tree is walked from the root, left before right. A subtree with no leaf of the run gives its hash to the proof, a subtree
within the run gives nothing, any other is split as RFC 6962 splits it. So the hashes stand from left to right, at most two
per level.
"""

from collections.abc import Iterator, Sequence
from typing import Final

from payouts.ledger.errors import BadTreeSize, ProofTooLong, ProofTooShort, RootMismatch
from payouts.ledger.merkle import SIZE_MAX, Hash, Nodes, Proof, check_hashes, node_hash, root_of, split, subtree_root

RANGE_PROOF_HASHES_MAX: Final = 126


def prove_range(nodes: Nodes, start: int, end: int, size: int) -> Proof:
    """The proof that leaves ``start`` to ``end`` (exclusive) stand in the tree of ``size`` leaves. Raises BadTreeSize."""
    _check_run(start, end, size)
    proof: list[Hash] = []

    def walk(low: int, high: int) -> None:
        if high <= start or end <= low:
            proof.append(subtree_root(nodes, low, high))
        elif low < start or end < high:
            middle = low + split(high - low)
            walk(low, middle)
            walk(middle, high)

    walk(0, size)
    return tuple(proof)


def check_range(leaves: Sequence[Hash], start: int, size: int, proof: Sequence[Hash], root: Hash) -> None:
    """Refuse unless the leaf hashes stand from ``start`` on in the tree of ``size`` leaves with ``root``.

    Raises BadTreeSize, BadHash, ProofTooShort, ProofTooLong, RootMismatch.
    """
    end = start + len(leaves)
    _check_run(start, end, size)
    check_hashes(root, *proof, count_max=RANGE_PROOF_HASHES_MAX + 1)
    check_hashes(*leaves, count_max=len(leaves))
    rest = iter(proof)
    found = _fold(leaves, start, 0, size, rest)
    if next(rest, None) is not None:
        raise ProofTooLong
    if found != root:
        raise RootMismatch


def _fold(leaves: Sequence[Hash], start: int, low: int, high: int, rest: Iterator[Hash]) -> Hash:
    end = start + len(leaves)
    if high <= start or end <= low:
        found = next(rest, None)
        if found is None:
            raise ProofTooShort
        return found
    if start <= low and high <= end:
        return root_of(leaves[low - start : high - start])
    middle = low + split(high - low)
    left = _fold(leaves, start, low, middle, rest)
    return node_hash(left, _fold(leaves, start, middle, high, rest))


def _check_run(start: int, end: int, size: int) -> None:
    if not 0 <= start < end <= size <= SIZE_MAX:
        raise BadTreeSize(f"leaves {start} to {end} of {size}")
