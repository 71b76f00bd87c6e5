"""Tiles, bundles and growth: public vectors, other people's logs, crossing every border of 256."""

import json
from hashlib import sha256
from pathlib import Path

import pytest

from payouts.ledger.checkpoint import Checkpoint, open_checkpoint
from payouts.ledger.errors import BadTile, BadTilePath, BadTreeSize
from payouts.ledger.follower import check_tiles
from payouts.ledger.growth import EMPTY, Edge, grow, read_edge
from payouts.ledger.merkle import (
    check_inclusion,
    hashes,
    leaf_hash,
    nodes_of,
    prove_inclusion,
    root_of,
    tree_root,
)
from payouts.ledger.note import parse_vkey
from payouts.ledger.tiles import (
    Bundle,
    Tile,
    TreeReader,
    new_bundles,
    new_tiles,
    pack_bundle,
    parse_path,
    read_entries,
    tiles_of,
    unpack_bundle,
    width_of,
)
from payouts.ledger.whole import read_whole
from tests.payouts.ledger_world import MemoryTiles

VECTORS = Path(__file__).parents[1] / "vectors" / "ledger"
TESSERA = VECTORS / "tessera-log"
TESSERA_KEY = "example.com/log/testdata+33d7b496+AeHTu4Q3hEIMHNqc6fASMsq3rKNx280NI+oO5xCFkkSx"


def test_paths_of_the_public_vectors() -> None:
    vectors = json.loads((VECTORS / "tile-paths.json").read_text())
    for number, path in vectors["c2sp_index"].items():
        assert Tile(0, int(number)).path() == f"tile/0/{path}"
        assert parse_path(f"tile/entries/{path}") == Bundle(int(number))
    for sumdb, parts in vectors["sumdb"]:
        # sumdb writes the height first; C2SP fixes it to 8 and leaves it out.
        path = "/".join(["tile", *sumdb.split("/")[2:]])
        if parts is None:
            with pytest.raises(BadTilePath):
                parse_path(path)
        else:
            _, level, number, width = parts
            assert parse_path(path) == Tile(level, number, width if ".p/" in path else 256)
            assert parse_path(path).path() == path
    for case in vectors["c2sp_tile_counts"]:
        tiles = list(tiles_of(case["size"]))
        for level, count in case["full"].items():
            assert sum(tile.level == int(level) and tile.width == 256 for tile in tiles) == count
        partial = {str(tile.level): tile.width for tile in tiles if tile.width < 256}
        assert partial == case["partial_width"]


@pytest.mark.parametrize(
    "path",
    [
        "", "tile/0/1", "tile/0/0001", "tile/64/001", "tile/00/001", "tile/01/001", "tile/0/x001", "tile/0/x000/001", "tile/0/001.p/0", "tile/0/001.p/256",
        "tile/0/001.p/01", "tile/0/001.p/999", "tile/0/001/", "/tile/0/001", "tile/entries/x000/000", "tile/data/001", "tile/0/001\n",
        "tile/0/../001", "tile/0/" + "x001/" * 6 + "001", "tile/0/\u0660\u0660\u0661",
    ],
)  # fmt: skip
def test_other_spellings_of_a_path_are_refused(path: str) -> None:
    with pytest.raises(BadTilePath):
        parse_path(path)


def test_paths_go_both_ways() -> None:
    for number in (0, 1, 255, 256, 999, 1000, 999_999, 1_000_000, 1_234_067, 2**50):
        for place in (Tile(3, number), Tile(63, number, 7), Bundle(number), Bundle(number, 255)):
            assert parse_path(place.path()) == place


def test_tessera_log_is_read() -> None:
    key = parse_vkey(TESSERA_KEY)
    found = [path for path in (TESSERA / "tile").rglob("*") if path.is_file()]
    every = MemoryTiles({path.relative_to(TESSERA).as_posix(): path.read_bytes() for path in found})
    notes = sorted(TESSERA.glob("checkpoint*"))
    assert (len(notes), len(every.files)) == (17, 30)
    for note in notes:
        head = open_checkpoint(note.read_bytes(), origin="example.com/log/testdata", log_keys=[key], only_known=True).checkpoint
        size = head.size
        assert note.suffix in ("", f".{size}")
        assert list(read_whole(every, head)) == list(read_entries(every, 0, size, size))
        check_tiles(every, head)
        if size == 0:
            continue
        files, tile = every, every.files[f"tile/0/000.p/{size}"]
        assert hashes(read_entries(files, 0, size, size)) == [tile[at : at + 32] for at in range(0, len(tile), 32)]
        edge = read_edge(files, size)
        assert edge.root() == head.root
        assert grow(EMPTY, edge.bundle).edge == edge


def test_go_sumdb_tiles_are_byte_for_byte_ours() -> None:
    go = json.loads((VECTORS / "go-sumdb-generated.json").read_text())
    entries = [f"entry {number}".encode() for number in range(300)]
    for name, want in go["tile_sha256_by_size_and_sumdb_path"].items():
        size, path = name.split(":tile/8/")
        assert sha256(grow(EMPTY, entries[: int(size)]).files[f"tile/{path}"]).hexdigest() == want


@pytest.mark.parametrize("steps", [[1] * 40, [255, 1, 1], [256, 256], [100, 500, 1], [65_535, 1, 1]])
def test_growing_in_steps_equals_growing_at_once(steps: list[int]) -> None:
    edge, files, size = EMPTY, {}, 0
    entries = [number.to_bytes(4) for number in range(sum(steps))]
    for step in steps:
        growth = grow(edge, entries[size : size + step])
        wanted = {tile.path() for tile in new_tiles(size, size + step)} | {one.path() for one in new_bundles(size, size + step)}
        assert set(growth.files) == wanted
        files.update(growth.files)
        edge, size = growth.edge, size + step
        assert edge == read_edge(MemoryTiles(files), size)
    assert edge.root() == root_of(hashes(entries))
    assert grow(edge, []).files == {}
    at_once = grow(EMPTY, entries)
    assert at_once.edge == edge
    assert {path: files[path] for path in at_once.files} == at_once.files
    assert list(read_entries(MemoryTiles(files), 0, size, size)) == entries
    assert list(read_entries(MemoryTiles(files), size - 1, size, size)) == entries[-1:]
    assert list(read_entries(MemoryTiles(files), 1, 1, size)) == []


def test_proofs_from_tiles_equal_proofs_from_leaves() -> None:
    entries = [number.to_bytes(4) for number in range(66_000)]
    files = grow(EMPTY, entries).files
    nodes, plain = TreeReader(MemoryTiles(files), 66_000, tiles_kept_max=3), nodes_of(hashes(entries))
    assert tree_root(nodes, 66_000) == tree_root(plain, 66_000)
    for index in (0, 1, 255, 256, 65_535, 65_536, 65_999):
        path = prove_inclusion(nodes, index, 66_000)
        assert path == prove_inclusion(plain, index, 66_000)
        check_inclusion(leaf_hash(entries[index]), index, 66_000, path, tree_root(plain, 66_000))
    # An older size is read from the same full tiles.
    assert tree_root(TreeReader(MemoryTiles(grow(EMPTY, entries[:65_600]).files), 65_600), 65_600) == tree_root(plain, 65_600)
    with pytest.raises(BadTreeSize):
        nodes(0, 66_000)
    with pytest.raises(BadTreeSize):
        nodes(16, 1)


def test_every_flipped_bit_of_a_tile_or_bundle_is_seen() -> None:
    entries = [f"entry {number}".encode() for number in range(260)]
    growth = grow(EMPTY, entries)
    head = Checkpoint("x", 260, growth.edge.root())
    check_tiles(MemoryTiles(growth.files), head)
    for path, data in growth.files.items():
        for place in range(0, len(data), 32):
            flipped = bytearray(data)
            flipped[place] ^= 1 << place % 8
            files = {**growth.files, path: bytes(flipped)}
            if "entries" not in path and path != "tile/0/000":
                with pytest.raises(BadTile):
                    check_tiles(MemoryTiles(files), head)
            elif path == "tile/0/000":
                # The tile above stands for it in the root; a proof through the flipped hash fails.
                assert (
                    tree_root(
                        TreeReader(MemoryTiles({**files, "tile/1/000.p/1": b"".join([root_of(_split(flipped))])}), 260), 260
                    )
                    != head.root
                )
            else:
                found = _entries_or_none(files)
                assert found != entries


def _split(data: bytes | bytearray) -> list[bytes]:
    return [bytes(data[at : at + 32]) for at in range(0, len(data), 32)]


def _entries_or_none(files: dict[str, bytes]) -> list[bytes] | None:
    try:
        return list(read_entries(MemoryTiles(files), 0, 260, 260))
    except BadTile:
        return None


def test_tiles_and_bundles_of_another_length_are_refused() -> None:
    growth = grow(EMPTY, [b"a", b"b", b"c"])
    tile, bundle = growth.files["tile/0/000.p/3"], growth.files["tile/entries/000.p/3"]
    for wrong_tile in (tile[:-1], tile + b"\0", tile[:64], b""):
        with pytest.raises(BadTile):
            read_edge(MemoryTiles({**growth.files, "tile/0/000.p/3": wrong_tile}), 3)
        with pytest.raises(BadTile):
            TreeReader(MemoryTiles({"tile/0/000.p/3": wrong_tile}), 3)(0, 0)
    for wrong in (bundle[:-1], bundle + b"\0", bundle[:6], bundle + b"\0\0", b"", bundle[3:], b"\0\1a\0\1b\0\1d"):
        with pytest.raises(BadTile):
            read_edge(MemoryTiles({**growth.files, "tile/entries/000.p/3": wrong}), 3)
    with pytest.raises(BadTile):
        read_edge(MemoryTiles({}), 3)
    for entries in ([], [b""] * 257, [b"x" * 65_536]):
        with pytest.raises(BadTile):
            pack_bundle(entries)
    assert unpack_bundle(pack_bundle([b"", b"x" * 65_535]), 2) == [b"", b"x" * 65_535]


def test_impossible_sizes_are_refused() -> None:
    with pytest.raises(BadTreeSize):
        list(new_tiles(5, 4))
    with pytest.raises(BadTreeSize):
        grow(Edge(size=2**63 - 1), [b"x"])
    with pytest.raises(BadTreeSize):
        list(read_entries(MemoryTiles({}), 2, 1, 3))
    with pytest.raises(BadTreeSize):
        list(read_entries(MemoryTiles({}), 0, 4, 3))
    assert [width_of(0, number, 300) for number in (0, 1, 2)] == [256, 44, 0]
    assert read_edge(MemoryTiles({}), 0) == EMPTY


def test_the_edge_of_a_full_tile_needs_no_partial_file() -> None:
    growth = grow(EMPTY, [number.to_bytes(2) for number in range(256)])
    assert set(growth.files) == {"tile/0/000", "tile/1/000.p/1", "tile/entries/000"}
    assert read_edge(MemoryTiles(growth.files), 256) == growth.edge
