"""RFC 6962 trees: hashes, roots, inclusion and consistency proofs, also of subtrees.

A tree is read through ``Nodes``: a function that gives the hash of any complete subtree. All proofs are tuples of hashes in
the order of RFC 6962 (from the leaf up). ``prove_*`` makes what the ``check_*`` of the same name accepts; a check returns
nothing and raises ProofTooShort, ProofTooLong, RootMismatch, BadHash or BadTreeSize. Hashes that are not needed are refused.

Sources: RFC 6962 2.1, RFC 9162 2.1.3-2.1.4; for subtrees draft-ietf-plants-merkle-tree-certs.
"""

import hashlib
from collections.abc import Callable, Iterable, Sequence
from typing import Final

from payouts.ledger.errors import BadHash, BadTreeSize, ProofTooLong, ProofTooShort, RootMismatch

Hash = bytes
Proof = tuple[Hash, ...]

# (level, number) -> hash of the number-th complete subtree of 2^level leaves.
Nodes = Callable[[int, int], Hash]

HASH_BYTES: Final = 32
SIZE_MAX: Final = 2**63 - 1
PROOF_HASHES_MAX: Final = 63

_sha256 = hashlib.sha256
EMPTY_ROOT: Final = _sha256(b"").digest()


# RFC 6962 2.1: leaves begin with 0x00, nodes with 0x01; else a node could pass for a leaf.
def leaf_hash(data: bytes) -> Hash:
    """The hash of one entry as a leaf."""
    return _sha256(b"\x00" + data).digest()


def node_hash(left: Hash, right: Hash) -> Hash:
    """The hash of an inner node."""
    return _sha256(b"\x01" + left + right).digest()


def split(size: int) -> int:
    """How many of ``size`` > 1 leaves stand in the left subtree: the largest power of two below ``size``."""
    return 1 << (size - 1).bit_length() - 1


def root_of(leaves: Sequence[Hash]) -> Hash:
    """The root over leaf hashes that are all at hand."""
    row = list(leaves)
    if not row:
        return EMPTY_ROOT
    # Pairing neighbours and carrying an odd last one up gives the tree of RFC 6962 2.1.
    while len(row) > 1:
        odd = row[-1:] if len(row) % 2 else []
        row = [_sha256(b"\x01" + left + right).digest() for left, right in zip(row[0::2], row[1::2], strict=False)] + odd
    return row[0]


def nodes_of(leaves: Sequence[Hash]) -> Nodes:
    """The complete subtrees over leaf hashes that are all at hand."""
    rows = [list(leaves)]
    while len(rows[-1]) > 1:
        rows.append(list(map(node_hash, rows[-1][0::2], rows[-1][1::2])))
    return lambda level, number: rows[level][number]


def subtree_root(nodes: Nodes, start: int, end: int) -> Hash:
    """The root over the leaves ``start`` to ``end`` (exclusive), which must be a subtree that RFC 6962 has."""
    peaks = []
    while start < end:
        level = (end - start).bit_length() - 1
        peaks.append(nodes(level, start >> level))
        start += 1 << level
    if not peaks:
        return EMPTY_ROOT
    root = peaks.pop()
    while peaks:
        root = node_hash(peaks.pop(), root)
    return root


def tree_root(nodes: Nodes, size: int) -> Hash:
    """The root of the tree of ``size`` leaves."""
    return subtree_root(nodes, 0, size)


def prove_inclusion(nodes: Nodes, index: int, size: int) -> Proof:
    """The path from leaf ``index`` to the root of the tree of ``size`` leaves (RFC 6962 2.1.1). Raises BadTreeSize."""
    _check_place(index, size)
    path, low, high = [], 0, size
    while high - low > 1:
        middle = low + split(high - low)
        if index < middle:
            path.append(subtree_root(nodes, middle, high))
            high = middle
        else:
            path.append(subtree_root(nodes, low, middle))
            low = middle
    return tuple(reversed(path))


def check_inclusion(leaf: Hash, index: int, size: int, proof: Sequence[Hash], root: Hash) -> None:
    """Refuse unless ``leaf`` stands at ``index`` of the tree of ``size`` leaves with ``root`` (RFC 9162 2.1.3.2)."""
    _check_place(index, size)
    check_hashes(leaf, root, *proof, count_max=PROOF_HASHES_MAX + 2)
    node, last, found = index, size - 1, leaf
    for sibling in proof:
        if last == 0:
            raise ProofTooLong
        if node & 1 or node == last:
            found = node_hash(sibling, found)
            while not node & 1 and node != 0:
                node, last = node >> 1, last >> 1
        else:
            found = node_hash(found, sibling)
        node, last = node >> 1, last >> 1
    if last != 0:
        raise ProofTooShort
    if found != root:
        raise RootMismatch


def prove_consistency(nodes: Nodes, old_size: int, new_size: int) -> Proof:
    """The proof that the tree of ``old_size`` leaves is the beginning of the tree of ``new_size`` (RFC 6962 2.1.2).

    Nothing needs to be proven of the empty tree: BadTreeSize.
    """
    return prove_subtree_consistency(nodes, 0, old_size, new_size)


def check_consistency(old_size: int, old_root: Hash, new_size: int, new_root: Hash, proof: Sequence[Hash]) -> None:
    """Refuse unless the new tree begins with the old one. An old tree of size 0 is refused: its caller has nothing to check."""
    if old_size < 1:
        raise BadTreeSize(f"{old_size} leaves prove nothing")
    check_subtree_consistency(0, old_size, new_size, proof, old_root, new_root)


def is_subtree(start: int, end: int) -> bool:
    """Whether leaves ``start`` to ``end`` can be a subtree: ``start`` is a multiple of the power of two not below its size."""
    return 0 <= start < end <= SIZE_MAX and start % (1 << (end - start - 1).bit_length()) == 0


def check_subtree_inclusion(leaf: Hash, index: int, start: int, end: int, proof: Sequence[Hash], root: Hash) -> None:
    """As check_inclusion, in the subtree of the leaves ``start`` to ``end``."""
    if not is_subtree(start, end) or not start <= index < end:
        raise BadTreeSize(f"leaf {index} of subtree {start} to {end}")
    check_inclusion(leaf, index - start, end - start, proof, root)


def prove_subtree_consistency(nodes: Nodes, start: int, end: int, size: int, *, explicit: bool = False) -> Proof:
    """The proof that the subtree of leaves ``start`` to ``end`` is part of the tree of ``size`` leaves. Raises BadTreeSize.

    With ``explicit`` the proof also says the hash from which both roots are rebuilt, where it otherwise would be the root that
    the checker knows already; so it shows *which* subtree the larger tree contains (see fork.py).
    """
    if not is_subtree(start, end) or not end <= size <= SIZE_MAX:
        raise BadTreeSize(f"subtree {start} to {end} of {size}")
    path, low, high, known = [], 0, size, not explicit
    while (low, high) != (start, end):
        middle = low + split(high - low)
        if end <= middle:
            path.append(subtree_root(nodes, middle, high))
            high = middle
        elif middle <= start:
            path.append(subtree_root(nodes, low, middle))
            low = middle
        else:
            # The subtree is ragged: of it only the part right of the middle remains, and its hash is not known to the checker.
            path.append(subtree_root(nodes, low, middle))
            low = start = middle
            known = False
    if not known:
        path.append(subtree_root(nodes, start, end))
    return tuple(reversed(path))


def check_subtree_consistency(start: int, end: int, size: int, proof: Sequence[Hash], subtree: Hash, root: Hash) -> None:
    """Refuse unless the leaves ``start`` to ``end`` of the tree of ``size`` leaves with ``root`` are the subtree ``subtree``."""
    check_hashes(*proof, count_max=PROOF_HASHES_MAX + 1)
    needed: Sequence[Hash] = ()
    if start == end and 0 <= start <= size <= SIZE_MAX:
        # An empty subtree is part of every tree; the public vectors accept it and nothing rests on it.
        found = EMPTY_ROOT, root
    elif (start, end) == (0, size) and 1 <= size <= SIZE_MAX:
        found = root, root
    else:
        check_hashes(subtree, root, count_max=2)
        needed, found = proof, fold_consistency(start, end, size, proof, known=subtree)
    if len(proof) > len(needed):
        raise ProofTooLong
    if found != (subtree, root):
        raise RootMismatch


def fold_consistency(start: int, end: int, size: int, proof: Sequence[Hash], *, known: Hash | None) -> tuple[Hash, Hash]:
    """The roots (of the subtree, of the tree) that a consistency proof leads to. Raises BadTreeSize, ProofTooShort, ProofTooLong.

    ``known`` is the subtree's root as the checker knows it; None for a proof that was made ``explicit``.
    """
    if not is_subtree(start, end) or not end <= size <= SIZE_MAX:
        raise BadTreeSize(f"subtree {start} to {end} of {size}")
    first, node, last = _climb(start, end - 1, size - 1)
    # A complete subtree is where both paths begin, and the checker knows it; of a ragged one they begin at its last peak.
    path = [known, *proof] if first == node and known is not None else list(proof)
    if not path:
        raise ProofTooShort
    found_subtree = found_root = path[0]
    for sibling in path[1:]:
        if last == 0:
            raise ProofTooLong
        if node & 1 or node == last:
            if first < node:
                found_subtree = node_hash(sibling, found_subtree)
            found_root = node_hash(sibling, found_root)
            while not node & 1:
                first, node, last = first >> 1, node >> 1, last >> 1
        else:
            found_root = node_hash(found_root, sibling)
        first, node, last = first >> 1, node >> 1, last >> 1
    if last != 0:
        raise ProofTooShort
    return found_subtree, found_root


def _climb(first: int, node: int, last: int) -> tuple[int, int, int]:
    """From the leaves of a subtree's right edge up to the node where the two paths of a consistency proof begin."""
    while first != node and (node & 1 or node == last):
        first, node, last = first >> 1, node >> 1, last >> 1
    return first, node, last


def check_hashes(*hashes: Hash, count_max: int) -> None:
    """Refuse hashes that do not have 32 bytes, or more of them than any proof has. Raises BadHash, ProofTooLong."""
    if len(hashes) > count_max:
        raise ProofTooLong(f"{len(hashes)} hashes")
    if any(len(one) != HASH_BYTES for one in hashes):
        raise BadHash


def _check_place(index: int, size: int) -> None:
    if not 0 <= index < size <= SIZE_MAX:
        raise BadTreeSize(f"leaf {index} of {size}")


def hashes(records: Iterable[bytes]) -> list[Hash]:
    """The leaf hashes of records."""
    return [_sha256(b"\x00" + record).digest() for record in records]
