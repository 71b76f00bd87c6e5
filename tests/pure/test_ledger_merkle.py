"""RFC 6962 trees against every public vector, and by growing a log leaf by leaf."""

import json
from base64 import b64decode
from collections.abc import Callable, Iterator
from functools import cache
from pathlib import Path
from typing import Any

import pytest

from payouts.ledger.errors import BadHash, BadTreeSize, LedgerError, ProofTooLong, ProofTooShort, RootMismatch
from payouts.ledger.growth import EMPTY, grow
from payouts.ledger.merkle import (
    EMPTY_ROOT,
    check_consistency,
    check_inclusion,
    check_subtree_consistency,
    check_subtree_inclusion,
    fold_consistency,
    is_subtree,
    leaf_hash,
    node_hash,
    nodes_of,
    prove_consistency,
    prove_inclusion,
    prove_subtree_consistency,
    root_of,
    tree_root,
)
from payouts.ledger.ranges import check_range, prove_range
from payouts.ledger.tiles import TreeReader, tiles_of
from tests.payouts.ledger_world import MemoryTiles

VECTORS = Path(__file__).parents[1] / "vectors" / "ledger"


def rows(name: str) -> list[dict[str, Any]]:
    return [json.loads(line) for line in (VECTORS / f"merkle-{name}.jsonl").read_text().splitlines()]


def base64(text: str | None) -> bytes:
    return b64decode(text) if text else b""


def accepts(check: Callable[[], None]) -> bool:
    try:
        check()
    except LedgerError:
        return False
    return True


def proof_of(row: dict[str, Any]) -> list[bytes]:
    return [base64(text) for text in row["proof"] or []]


def check_row(kind: str, row: dict[str, Any]) -> None:
    proof = proof_of(row)
    if kind == "inclusion":
        check_inclusion(base64(row["leafHash"]), row["leafIdx"], row["treeSize"], proof, base64(row["root"]))
    elif kind == "consistency":
        check_consistency(row["size1"], base64(row["root1"]), row["size2"], base64(row["root2"]), proof)
    elif kind == "subtreeinclusion":
        check_subtree_inclusion(base64(row["leafHash"]), row["leafIdx"], row["start"], row["end"], proof, base64(row["root"]))
    else:
        check_subtree_consistency(row["start"], row["end"], row["size"], proof, base64(row["root1"]), base64(row["root2"]))


@pytest.mark.parametrize(
    ("kind", "count"), [("inclusion", 98), ("consistency", 98), ("subtreeinclusion", 204), ("subtreeconsistency", 118)]
)
def test_all_transparency_dev_vectors(kind: str, count: int) -> None:
    found = rows(kind)
    assert len(found) == count
    wrong = [row["_file"] for row in found if accepts(lambda row=row: check_row(kind, row)) == row["wantErr"]]  # type: ignore[misc]
    assert wrong == []


def test_rfc_6962_reference() -> None:
    reference = json.loads((VECTORS / "rfc6962-reference.json").read_text())
    leaves = [leaf_hash(bytes.fromhex(text)) for text in reference["leaf_inputs_hex"]]
    for size, root in enumerate(reference["roots_hex_by_size_0_to_8"]):
        assert root_of(leaves[:size]).hex() == root == tree_root(nodes_of(leaves), size).hex()
    for case in reference["hasher"]:
        found = {
            "empty_root": lambda _: EMPTY_ROOT,
            "leaf": lambda case: leaf_hash(case["data"].encode()),
            "node": lambda case: node_hash(case["left"].encode(), case["right"].encode()),
        }[case["op"]](case)
        assert found.hex() == case["want"]


def test_go_sumdb_proofs_are_byte_for_byte_ours() -> None:
    go = json.loads((VECTORS / "go-sumdb-generated.json").read_text())
    leaves = [leaf_hash(f"entry {number}".encode()) for number in range(300)]
    nodes = nodes_of(leaves)
    assert [leaf.hex() for leaf in leaves] == go["leaf_hashes_hex"]
    assert [tree_root(nodes, size).hex() for size in range(1, 301)] == go["roots_hex_by_size_1_to_n"]
    for case in go["inclusion"]:
        proof = [base64(text) for text in case["Proof"]]
        assert list(prove_inclusion(nodes, case["Index"], case["Size"])) == proof
        check_inclusion(leaves[case["Index"]], case["Index"], case["Size"], proof, tree_root(nodes, case["Size"]))
    for case in go["consistency"]:
        proof = [base64(text) for text in case["Proof"]]
        assert list(prove_consistency(nodes, case["Old"], case["New"])) == proof
        check_consistency(case["Old"], tree_root(nodes, case["Old"]), case["New"], tree_root(nodes, case["New"]), proof)


@cache
def leaf(number: int) -> bytes:
    return leaf_hash(f"leaf {number}".encode())


def flips(hashes: tuple[bytes, ...]) -> Iterator[list[bytes]]:
    """The same hashes with one bit flipped in each of them."""
    for place, one in enumerate(hashes):
        bit = (place * 37 + len(hashes)) % 256
        flipped = bytearray(one)
        flipped[bit // 8] ^= 1 << bit % 8
        yield [*hashes[:place], bytes(flipped), *hashes[place + 1 :]]


def test_a_log_of_100_leaves_proves_everything_after_every_leaf() -> None:
    """As sumdb/tlog's own test: after every leaf all proofs and all tiles, then a bit flipped in each hash."""
    edge, files = EMPTY, {}
    for size in range(1, 101):
        growth = grow(edge, [f"leaf {size - 1}".encode()])
        edge = growth.edge
        files.update(growth.files)
        leaves = [leaf(number) for number in range(size)]
        nodes = TreeReader(MemoryTiles(files), size)
        root = root_of(leaves)
        assert edge.root() == tree_root(nodes, size) == root
        assert [b"".join(leaves)] == [files[tile.path()] for tile in tiles_of(size)]
        for index in range(size):
            path = prove_inclusion(nodes, index, size)
            check_inclusion(leaves[index], index, size, path, root)
            for wrong in flips(path):
                with pytest.raises(RootMismatch):
                    check_inclusion(leaves[index], index, size, wrong, root)
        for old in range(1, size + 1):
            path, old_root = prove_consistency(nodes, old, size), root_of(leaves[:old])
            check_consistency(old, old_root, size, root, path)
            for wrong in flips(path):
                with pytest.raises(RootMismatch):
                    check_consistency(old, old_root, size, root, wrong)


def test_all_ranges_and_subtrees_of_small_trees() -> None:
    leaves = [leaf(number) for number in range(18)]
    nodes = nodes_of(leaves)
    for size in range(1, 19):
        root = root_of(leaves[:size])
        for start in range(size):
            for end in range(start + 1, size + 1):
                path = prove_range(nodes, start, end, size)
                check_range(leaves[start:end], start, size, path, root)
                for wrong in flips(path):
                    with pytest.raises(RootMismatch):
                        check_range(leaves[start:end], start, size, wrong, root)
                if is_subtree(start, end):
                    part = root_of(leaves[start:end])
                    check_subtree_consistency(start, end, size, prove_subtree_consistency(nodes, start, end, size), part, root)
                    explicit = prove_subtree_consistency(nodes, start, end, size, explicit=True)
                    assert fold_consistency(start, end, size, explicit, known=None) == (part, root)


def test_hashes_that_are_too_many_too_few_or_too_short_are_refused() -> None:
    leaves = [leaf(number) for number in range(11)]
    nodes, root = nodes_of(leaves), root_of(leaves)
    path, ranged, old = prove_inclusion(nodes, 5, 11), prove_range(nodes, 4, 6, 11), prove_consistency(nodes, 6, 11)
    for check, proof in (
        (lambda proof: check_inclusion(leaves[5], 5, 11, proof, root), path),
        (lambda proof: check_range(leaves[4:6], 4, 11, proof, root), ranged),
        (lambda proof: check_consistency(6, root_of(leaves[:6]), 11, root, proof), old),
    ):
        check(proof)
        with pytest.raises(ProofTooLong):
            check([*proof, leaves[0]])
        with pytest.raises(ProofTooShort):
            check(proof[:-1])
        with pytest.raises(ProofTooLong):
            check([leaves[0]] * 200)
        with pytest.raises(BadHash):
            check([proof[0][:31], *proof[1:]])
        with pytest.raises(BadHash):
            check([*proof[:-1], proof[-1] + b"\0"])
    with pytest.raises(ProofTooShort):
        check_consistency(6, root_of(leaves[:6]), 11, root, [])
    with pytest.raises(BadHash):
        check_range([leaves[4][:5], leaves[5]], 4, 11, ranged, root)
    with pytest.raises(BadHash):
        check_consistency(6, b"short", 11, root, old)


def test_impossible_sizes_are_refused() -> None:
    nodes = nodes_of([leaf(0), leaf(1)])
    one = leaf(0)
    for call in (
        lambda: prove_inclusion(nodes, 2, 2),
        lambda: prove_inclusion(nodes, -1, 2),
        lambda: check_inclusion(one, 2, 2, [one], one),
        lambda: check_inclusion(one, 0, 2**63, [one], one),
        lambda: prove_consistency(nodes, 0, 2),
        lambda: prove_consistency(nodes, 3, 2),
        lambda: check_consistency(0, EMPTY_ROOT, 2, one, []),
        lambda: check_consistency(3, one, 2, one, []),
        lambda: prove_range(nodes, 1, 1, 2),
        lambda: prove_range(nodes, 0, 3, 2),
        lambda: check_range([], 0, 2, [], one),
        lambda: check_range([one], -1, 2, [], one),
        lambda: check_range([one, one], 1, 2, [], one),
        lambda: check_subtree_inclusion(one, 3, 1, 3, [], one),
        lambda: check_subtree_inclusion(one, 4, 2, 4, [one], one),
    ):
        with pytest.raises(BadTreeSize):
            call()


def test_the_empty_tree_has_the_hash_of_nothing() -> None:
    assert root_of([]) == tree_root(nodes_of([]), 0) == EMPTY.root() == EMPTY_ROOT
