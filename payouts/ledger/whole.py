"""A whole log, every byte of it: each tile and each bundle held against the checkpoint, from the root down.

What ``check_tiles`` trusts to the right edge is looked at here file by file, so that a bit that rotted anywhere is found and the
file named. Entries come out as a stream; each was proven before it is given.
"""

from collections.abc import Iterator, Sequence

from payouts.ledger.checkpoint import Checkpoint
from payouts.ledger.errors import BadTile
from payouts.ledger.growth import Edge
from payouts.ledger.merkle import HASH_BYTES, Hash, hashes, root_of
from payouts.ledger.tiles import TILE_HEIGHT, TILE_WIDTH, Bundle, Tile, TileReader, unpack_bundle, width_of


def read_whole(reader: TileReader, checkpoint: Checkpoint) -> Iterator[bytes]:
    """Every entry of the log of a checkpoint whose signature was verified, in order. Raises BadTile naming the first bad file.

    Each tile and bundle is read once; what is kept grows by 32 bytes for 256 entries.
    """
    edge = _proven_edge(reader, checkpoint)
    roots = _roots_of_full_tiles(reader, edge)
    for number in range(-(-checkpoint.size // TILE_WIDTH)):
        width = width_of(0, number, checkpoint.size)
        bundle, tile = Bundle(number, width), Tile(0, number, width)
        entries = unpack_bundle(reader.bundle(bundle), width)
        row = hashes(entries)
        stored = edge.rows[0] if width < TILE_WIDTH else _hashes_of(reader, tile)
        if width == TILE_WIDTH and root_of(stored) != roots[number]:
            raise BadTile(f"{tile.path()} is not what the tile above it says")
        if tuple(row) != tuple(stored):
            raise BadTile(f"{bundle.path()} does not hash to its tile")
        yield from entries


def _proven_edge(reader: TileReader, checkpoint: Checkpoint) -> Edge:
    """The partial tiles, which together give the root."""
    rows, level = [], 0
    while checkpoint.size >> TILE_HEIGHT * level:
        number = checkpoint.size >> TILE_HEIGHT * (level + 1)
        width = width_of(level, number, checkpoint.size)
        rows.append(tuple(_hashes_of(reader, Tile(level, number, width))) if width else ())
        level += 1
    edge = Edge(checkpoint.size, tuple(rows))
    if edge.root() != checkpoint.root:
        raise BadTile(f"the tiles of size {checkpoint.size} do not give the checkpoint's root")
    return edge


def _roots_of_full_tiles(reader: TileReader, edge: Edge) -> Sequence[Hash]:
    """The root of every full tile of level 0: a level is proven by the one above it, the top one by the edge."""
    above: list[Hash] = []
    for level in range(len(edge.rows) - 1, 0, -1):
        row: list[Hash] = []
        for number, root in enumerate(above):
            full = _hashes_of(reader, Tile(level, number))
            if root_of(full) != root:
                raise BadTile(f"{Tile(level, number).path()} is not what the tile above it says")
            row += full
        above = [*row, *edge.rows[level]]
    return above


def _hashes_of(reader: TileReader, tile: Tile) -> list[Hash]:
    data = reader.tile(tile)
    if len(data) != tile.width * HASH_BYTES:
        raise BadTile(f"{tile.path()} has {len(data)} bytes")
    return [data[at : at + HASH_BYTES] for at in range(0, len(data), HASH_BYTES)]
