"""Every single bit: of proofs, of signed notes with every kind of signature, of tiles and bundles. One flipped bit, one refusal."""

from collections.abc import Callable, Iterator

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from payouts.ledger import mldsa
from payouts.ledger.checkpoint import Checkpoint, open_checkpoint
from payouts.ledger.errors import BadTile, LedgerError, RootMismatch
from payouts.ledger.growth import EMPTY, grow
from payouts.ledger.merkle import (
    check_consistency,
    check_inclusion,
    check_subtree_consistency,
    is_subtree,
    leaf_hash,
    nodes_of,
    prove_consistency,
    prove_inclusion,
    prove_subtree_consistency,
    root_of,
)
from payouts.ledger.ranges import check_range, prove_range
from payouts.ledger.whole import read_whole
from tests import openssl_mldsa as openssl
from tests.payouts.ledger_world import MemoryTiles
from tests.pure.test_ledger_mldsa import COSIGNED, LOG, WITNESS

LEAVES = [leaf_hash(f"leaf {number}".encode()) for number in range(21)]
ROOT, NODES = root_of(LEAVES), nodes_of(LEAVES)


def flipped(data: bytes) -> Iterator[bytes]:
    """The data with each of its bits flipped, one after the other."""
    for bit in range(len(data) * 8):
        other = bytearray(data)
        other[bit // 8] ^= 1 << bit % 8
        yield bytes(other)


def split(data: bytes) -> list[bytes]:
    return [data[at : at + 32] for at in range(0, len(data), 32)]


PROOFS: list[tuple[str, tuple[bytes, ...], Callable[[list[bytes]], None]]] = [
    ("inclusion", prove_inclusion(NODES, 13, 21), lambda proof: check_inclusion(LEAVES[13], 13, 21, proof, ROOT)),
    ("consistency", prove_consistency(NODES, 13, 21), lambda proof: check_consistency(13, root_of(LEAVES[:13]), 21, ROOT, proof)),
    (
        "subtree",
        prove_subtree_consistency(NODES, 8, 13, 21),
        lambda proof: check_subtree_consistency(8, 13, 21, proof, root_of(LEAVES[8:13]), ROOT),
    ),
    ("range", prove_range(NODES, 7, 18, 21), lambda proof: check_range(LEAVES[7:18], 7, 21, proof, ROOT)),
]


@pytest.mark.parametrize(("proof", "check"), [case[1:] for case in PROOFS], ids=[case[0] for case in PROOFS])
def test_every_flipped_bit_of_a_proof_is_refused(proof: tuple[bytes, ...], check: Callable[[list[bytes]], None]) -> None:
    assert len(proof) >= 3
    check(list(proof))
    for wrong in flipped(b"".join(proof)):
        with pytest.raises(RootMismatch):
            check(split(wrong))


def test_every_flipped_bit_of_what_is_proven_is_refused() -> None:
    path, ranged, old = prove_inclusion(NODES, 13, 21), prove_range(NODES, 7, 18, 21), prove_consistency(NODES, 13, 21)
    for wrong in flipped(LEAVES[13]):
        with pytest.raises(RootMismatch):
            check_inclusion(wrong, 13, 21, path, ROOT)
        with pytest.raises(RootMismatch):
            check_range([*LEAVES[7:13], wrong, *LEAVES[14:18]], 7, 21, ranged, ROOT)
    for wrong in flipped(root_of(LEAVES[:13])):
        with pytest.raises(RootMismatch):
            check_consistency(13, wrong, 21, ROOT, old)
    for wrong in flipped(ROOT):
        with pytest.raises(RootMismatch):
            check_inclusion(LEAVES[13], 13, 21, path, wrong)


@settings(max_examples=300)
@given(st.data())
def test_any_proof_of_any_tree_holds_and_fails_with_any_bit_flipped(data: st.DataObject) -> None:
    size = data.draw(st.integers(2, 700), label="size")
    leaves = [leaf_hash(number.to_bytes(2)) for number in range(size)]
    nodes, root = nodes_of(leaves), root_of(leaves)
    start = data.draw(st.integers(0, size - 1), label="start")
    end = data.draw(st.integers(start + 1, size), label="end")
    checks: list[tuple[tuple[bytes, ...], Callable[[list[bytes]], None]]] = [
        (prove_inclusion(nodes, start, size), lambda proof: check_inclusion(leaves[start], start, size, proof, root)),
        (prove_consistency(nodes, end, size), lambda proof: check_consistency(end, root_of(leaves[:end]), size, root, proof)),
        (prove_range(nodes, start, end, size), lambda proof: check_range(leaves[start:end], start, size, proof, root)),
    ]
    if is_subtree(start, end):
        part = root_of(leaves[start:end])
        proof = prove_subtree_consistency(nodes, start, end, size)
        checks.append((proof, lambda proof: check_subtree_consistency(start, end, size, proof, part, root)))
    for proof, check in checks:
        check(list(proof))
        if proof:
            bit = data.draw(st.integers(0, len(proof) * 256 - 1), label="bit")
            wrong = bytearray(b"".join(proof))
            wrong[bit // 8] ^= 1 << bit % 8
            with pytest.raises(RootMismatch):
                check(split(bytes(wrong)))


def test_every_flipped_bit_of_a_note_with_all_kinds_of_signatures_is_refused() -> None:
    def opened(note: bytes, more: dict[int, object]) -> int:
        signed = open_checkpoint(
            note, origin=LOG.name, log_keys=[LOG.verifier], cosigners=list(WITNESS), only_known=True, more=more,  # type: ignore[arg-type]
        )  # fmt: skip
        return len(signed.note.signatures)

    assert opened(COSIGNED, dict(openssl.VERIFIERS)) == 3
    # OpenSSL verifies a thousand a second here; bits of the long signature are taken one in each byte, all others each.
    line = COSIGNED.index(b"pq.example")
    for bit in range(len(COSIGNED) * 8):
        if bit // 8 > line + 100 and bit % 8 != bit // 8 % 8:
            continue
        other = bytearray(COSIGNED)
        other[bit // 8] ^= 1 << bit % 8
        with pytest.raises(LedgerError):
            opened(bytes(other), dict(openssl.VERIFIERS))
    assert mldsa.SIGNATURE_BYTES == 2420


def whole(files: dict[str, bytes], size: int, root: bytes) -> list[bytes]:
    return list(read_whole(MemoryTiles(files), Checkpoint("x", size, root)))


@pytest.mark.parametrize("size", [1, 2, 5, 11])
def test_every_flipped_bit_of_every_file_of_a_small_log_is_found(size: int) -> None:
    entries = [f"entry {number}".encode() for number in range(size)]
    growth = grow(EMPTY, entries)
    root = growth.edge.root()
    assert whole(dict(growth.files), size, root) == entries
    for path, data in growth.files.items():
        for wrong in flipped(data):
            with pytest.raises(BadTile):
                whole({**growth.files, path: wrong}, size, root)


@pytest.mark.parametrize("size", [256, 259, 512, 770])
def test_a_flipped_bit_anywhere_in_full_tiles_is_found(size: int) -> None:
    entries = [number.to_bytes(2) for number in range(size)]
    growth = grow(EMPTY, entries)
    root = growth.edge.root()
    assert whole(dict(growth.files), size, root) == entries
    for path, data in growth.files.items():
        for byte in range(path.count("0"), len(data), max(1, len(data) // 64)):
            wrong = bytearray(data)
            wrong[byte] ^= 1 << byte % 8
            with pytest.raises(BadTile):
                whole({**growth.files, path: bytes(wrong)}, size, root)


def test_a_tile_of_a_third_level_is_held_against_the_one_above() -> None:
    size = 65_536 + 300
    entries = [number.to_bytes(4) for number in range(size)]
    growth = grow(EMPTY, entries)
    files, root = dict(growth.files), growth.edge.root()
    assert whole(files, size, root) == entries
    for path in ("tile/0/017", "tile/1/000", "tile/1/001.p/1", "tile/2/000.p/1", "tile/0/257.p/44", "tile/entries/100"):
        wrong = bytearray(files[path])
        wrong[-1] ^= 1
        with pytest.raises(BadTile):
            whole({**files, path: bytes(wrong)}, size, root)
    for wrong_length in (files["tile/1/000"][:-1], files["tile/1/000"] + bytes(32)):
        with pytest.raises(BadTile):
            whole({**files, "tile/1/000": wrong_length}, size, root)
    # A full tile and the one above it changed alike still do not give the root.
    with pytest.raises(BadTile):
        whole(files, size, bytes(32))
    assert whole({}, 0, EMPTY.root()) == []
