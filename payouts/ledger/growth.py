"""Growing a log: from its right edge and new entries to the files to write and the new root.

The edge is all that the pen must remember: one partial tile per level and the partial bundle. So an append costs the same in
a large log as in a small one.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from payouts.ledger.errors import BadTile, BadTreeSize
from payouts.ledger.merkle import EMPTY_ROOT, HASH_BYTES, SIZE_MAX, Hash, hashes, root_of
from payouts.ledger.tiles import TILE_HEIGHT, TILE_WIDTH, Bundle, Tile, TileReader, pack_bundle, unpack_bundle, width_of


@dataclass(frozen=True, slots=True)
class Edge:
    """The right edge of a log of ``size`` entries.

    ``rows``: per tile level the hashes of its partial tile (none when the level ends with a full one);
    ``bundle``: the entries of the partial bundle.
    """

    size: int = 0
    rows: tuple[tuple[Hash, ...], ...] = ()
    bundle: tuple[bytes, ...] = ()

    def root(self) -> Hash:
        """The root of the tree."""
        root: Hash | None = None
        for row in self.rows:
            # The part below this level hangs on as one last, ragged leaf: RFC 6962 splits both alike.
            whole = row if root is None else (*row, root)
            root = root_of(whole) if whole else None
        return EMPTY_ROOT if root is None else root


EMPTY: Final = Edge()


@dataclass(frozen=True, slots=True)
class Growth:
    """The edge after an append, and the files to write before anything is signed: path below the prefix -> bytes."""

    edge: Edge
    files: Mapping[str, bytes]


def grow(edge: Edge, entries: Sequence[bytes], leaves: Sequence[Hash] | None = None) -> Growth:
    """Append entries. Full tiles are written once; partial ones in the width that the new size asks. Raises BadTreeSize.

    ``leaves``: the leaf hashes of the entries, where the caller has them.
    """
    if edge.size + len(entries) > SIZE_MAX:
        raise BadTreeSize
    files: dict[str, bytes] = {}
    bundle = _cut_bundles(edge, entries, files)
    rows = []
    fresh, level = hashes(entries) if leaves is None else list(leaves), 0
    while fresh or level < len(edge.rows):
        row = [*(edge.rows[level] if level < len(edge.rows) else ()), *fresh]
        number = edge.size >> TILE_HEIGHT * (level + 1)
        changed, fresh = bool(fresh), []
        for full in _cut(row):
            files[Tile(level, number).path()] = b"".join(full)
            fresh.append(root_of(full))
            number += 1
        rest = row[len(row) // TILE_WIDTH * TILE_WIDTH :]
        if rest and changed:
            files[Tile(level, number, len(rest)).path()] = b"".join(rest)
        rows.append(tuple(rest))
        level += 1
    return Growth(Edge(edge.size + len(entries), tuple(rows), bundle), files)


def _cut_bundles(edge: Edge, entries: Sequence[bytes], files: dict[str, bytes]) -> tuple[bytes, ...]:
    waiting = [*edge.bundle, *entries]
    number = edge.size // TILE_WIDTH
    for full in _cut(waiting):
        files[Bundle(number).path()] = pack_bundle(full)
        number += 1
    rest = waiting[len(waiting) // TILE_WIDTH * TILE_WIDTH :]
    if rest and entries:
        files[Bundle(number, len(rest)).path()] = pack_bundle(rest)
    return tuple(rest)


def _cut(row: Sequence[bytes]) -> Iterator[Sequence[bytes]]:
    """The whole tiles of a row."""
    return (row[at : at + TILE_WIDTH] for at in range(0, len(row) - TILE_WIDTH + 1, TILE_WIDTH))


def read_edge(reader: TileReader, size: int) -> Edge:
    """The edge of the log of ``size`` entries as it is stored. Raises BadTile when a file does not have its length.

    Compare ``root()`` with the last signed checkpoint before growing it.
    """
    rows = []
    level = 0
    while size >> TILE_HEIGHT * level:
        number = size >> TILE_HEIGHT * (level + 1)
        width = width_of(level, number, size)
        data = reader.tile(Tile(level, number, width)) if width else b""
        if len(data) != width * HASH_BYTES:
            raise BadTile(f"{Tile(level, number, width).path()} has {len(data)} bytes")
        rows.append(tuple(data[at : at + HASH_BYTES] for at in range(0, len(data), HASH_BYTES)))
        level += 1
    number, width = divmod(size, TILE_WIDTH)
    bundle = unpack_bundle(reader.bundle(Bundle(number, width)), width) if width else []
    if tuple(hashes(bundle)) != (rows[0] if rows else ()):
        raise BadTile("the last bundle does not hash to the last tile")
    return Edge(size, tuple(rows), tuple(bundle))
