"""An inclusion proof step by step, for whoever wants to see or draw it: which leaves each hash stands for. Pure."""

from collections.abc import Sequence
from dataclasses import dataclass

from payouts.ledger.errors import ProofTooLong, ProofTooShort
from payouts.ledger.merkle import Hash, node_hash, split


@dataclass(frozen=True, slots=True)
class Step:
    """One level of the tree, from the leaf up: ``sibling`` (of the proof) and ``node`` (computed so far) give ``parent``.

    ``low`` and ``high`` say for which leaves a hash stands, the first and the last.
    """

    sibling: Hash
    sibling_low: int
    sibling_high: int
    sibling_is_left: bool
    node: Hash
    parent: Hash
    parent_low: int
    parent_high: int


def steps(leaf: Hash, index: int, size: int, proof: Sequence[Hash]) -> tuple[Step, ...]:
    """The way from a leaf to the root (RFC 6962 2.1.1), from the leaf up; the last ``parent`` is the root that the proof gives.

    Raises ProofTooShort, ProofTooLong. Whether that root is the signed one is for the caller to compare.
    """
    turns = []
    low, high = 0, size
    while high - low > 1:
        middle = low + split(high - low)
        if index < middle:
            turns.append((middle, high, False, low, high))
            high = middle
        else:
            turns.append((low, middle, True, low, high))
            low = middle
    if len(proof) < len(turns):
        raise ProofTooShort
    if len(proof) > len(turns):
        raise ProofTooLong
    found, node = [], leaf
    for sibling, (start, end, is_left, first, last) in zip(proof, reversed(turns), strict=True):
        parent = node_hash(sibling, node) if is_left else node_hash(node, sibling)
        found.append(Step(sibling, start, end - 1, is_left, node, parent, first, last - 1))
        node = parent
    return tuple(found)
