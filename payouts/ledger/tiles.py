"""Tiles: the log as static files of 256 hashes, and entry bundles (C2SP tlog-tiles). Reading a tree back from them.

Whatever keeps tiles is read through ``TileReader``, two methods. What a reader gives is not trusted for its content: roots and
proofs computed from it are compared with a checkpoint; only its form is checked here.
"""

import re
from collections import OrderedDict
from collections.abc import Iterator, Sequence
from typing import Final, NamedTuple, Protocol

from payouts.ledger.errors import BadTile, BadTilePath, BadTreeSize
from payouts.ledger.merkle import HASH_BYTES, SIZE_MAX, Hash, node_hash

TILE_HEIGHT: Final = 8
TILE_WIDTH: Final = 1 << TILE_HEIGHT
LEVEL_MAX: Final = 63
INDEX_DIGITS_MAX: Final = 18
BUNDLED_BYTES_MAX: Final = 2**16 - 1

_PATH = re.compile(
    r"tile/(?P<level>entries|0|[1-9][0-9]?)/(?P<number>(?:x[0-9]{3}/)*[0-9]{3})(?:\.p/(?P<width>[1-9][0-9]{0,2}))?"
)


class Tile(NamedTuple):
    """The place of a tile: ``width`` hashes of the complete subtrees of 256^level leaves, from number * 256 on."""

    level: int
    number: int
    width: int = TILE_WIDTH

    def path(self) -> str:
        """Its path below the log's prefix."""
        return f"tile/{self.level}/{_number_path(self.number, self.width)}"


class Bundle(NamedTuple):
    """The place of an entry bundle: ``width`` entries from number * 256 on."""

    number: int
    width: int = TILE_WIDTH

    def path(self) -> str:
        """Its path below the log's prefix."""
        return f"tile/entries/{_number_path(self.number, self.width)}"


class TileReader(Protocol):
    """Where tiles and bundles are kept. Both methods raise BadTile when they have it not."""

    def tile(self, tile: Tile) -> bytes:
        """The bytes of the tile: 32 for each hash."""

    def bundle(self, bundle: Bundle) -> bytes:
        """The bytes of the bundle."""


def parse_path(path: str) -> Tile | Bundle:
    """The tile or bundle that a path names, in its one spelling. Raises BadTilePath."""
    found = _PATH.fullmatch(path)
    if found is None:
        raise BadTilePath(path[:100])
    digits = found["number"].replace("x", "").replace("/", "")
    width = int(found["width"] or TILE_WIDTH)
    if len(digits) > INDEX_DIGITS_MAX or width > TILE_WIDTH:
        raise BadTilePath(path[:100])
    number = int(digits)
    place = Bundle(number, width) if found["level"] == "entries" else Tile(int(found["level"]), number, width)
    if place.path() != path or (isinstance(place, Tile) and place.level > LEVEL_MAX):
        raise BadTilePath(path)
    return place


def _number_path(number: int, width: int) -> str:
    groups = [f"{number % 1000:03d}"]
    while number >= 1000:  # noqa: PLR2004 - three digits per path element
        number //= 1000
        groups.append(f"x{number % 1000:03d}")
    whole = "/".join(reversed(groups))
    return whole if width == TILE_WIDTH else f"{whole}.p/{width}"


def width_of(level: int, number: int, size: int) -> int:
    """How many hashes the tile has in a tree of ``size`` leaves; 0 when it does not exist."""
    hashes = size >> TILE_HEIGHT * level
    return max(0, min(TILE_WIDTH, hashes - number * TILE_WIDTH))


def tiles_of(size: int) -> Iterator[Tile]:
    """All tiles of a tree of ``size`` leaves, full and partial, level by level."""
    return new_tiles(0, size)


def new_tiles(old_size: int, new_size: int) -> Iterator[Tile]:
    """The tiles of the new tree that the old one did not have in the same width. Raises BadTreeSize."""
    if not 0 <= old_size <= new_size <= SIZE_MAX:
        raise BadTreeSize(f"{old_size} to {new_size}")
    level = 0
    while hashes := new_size >> TILE_HEIGHT * level:
        first = (old_size >> TILE_HEIGHT * level) // TILE_WIDTH
        for number in range(first, -(-hashes // TILE_WIDTH)):
            width = width_of(level, number, new_size)
            if width != width_of(level, number, old_size):
                yield Tile(level, number, width)
        level += 1


def new_bundles(old_size: int, new_size: int) -> Iterator[Bundle]:
    """The entry bundles of the new log that the old one did not have in the same width."""
    return (Bundle(tile.number, tile.width) for tile in new_tiles(old_size, new_size) if tile.level == 0)


def pack_bundle(entries: Sequence[bytes]) -> bytes:
    """The bytes of a bundle: each entry after its length in two bytes, big-endian. Raises BadTile."""
    if not 1 <= len(entries) <= TILE_WIDTH or any(len(entry) > BUNDLED_BYTES_MAX for entry in entries):
        raise BadTile("a bundle has 1 to 256 entries of at most 65,535 bytes")
    return b"".join(part for entry in entries for part in (len(entry).to_bytes(2), entry))


def unpack_bundle(data: bytes, width: int) -> list[bytes]:
    """The ``width`` entries of a bundle. Raises BadTile when there are fewer, more, or spare bytes."""
    entries: list[bytes] = []
    at = 0
    while at < len(data) and len(entries) < width:
        end = at + 2 + int.from_bytes(data[at : at + 2])
        if end > len(data):
            raise BadTile("the bundle ends inside of an entry")
        entries.append(data[at + 2 : end])
        at = end
    if at != len(data) or len(entries) != width:
        raise BadTile(f"the bundle does not have {width} entries")
    return entries


class TreeReader:
    """The complete subtrees of a tree of ``size`` leaves, read from tiles: a ``merkle.Nodes``.

    Keeps the last ``tiles_kept_max`` tiles, worked out to 511 hashes (16 KiB) each. Raises BadTile, BadTreeSize.
    """

    def __init__(self, reader: TileReader, size: int, *, tiles_kept_max: int = 4096) -> None:
        self._reader = reader
        self._kept: OrderedDict[tuple[int, int], list[list[Hash]]] = OrderedDict()
        self._kept_max = tiles_kept_max
        self.size = size

    def __call__(self, level: int, number: int) -> Hash:
        """The hash of the ``number``-th complete subtree of 2^level leaves."""
        if (number + 1) << level > self.size:
            raise BadTreeSize(f"subtree {number} of level {level} in {self.size} leaves")
        tile_level, row = divmod(level, TILE_HEIGHT)
        tile_number, place = divmod(number, TILE_WIDTH >> row)
        return self._rows(tile_level, tile_number)[row][place]

    def _rows(self, level: int, number: int) -> list[list[Hash]]:
        kept = self._kept.get((level, number))
        if kept is not None:
            self._kept.move_to_end((level, number))
            return kept
        width = width_of(level, number, self.size)
        data = self._reader.tile(Tile(level, number, width))
        if len(data) != width * HASH_BYTES:
            raise BadTile(f"{Tile(level, number, width).path()} has {len(data)} bytes")
        rows = [[data[at : at + HASH_BYTES] for at in range(0, len(data), HASH_BYTES)]]
        for _ in range(TILE_HEIGHT - 1):
            rows.append(list(map(node_hash, rows[-1][0::2], rows[-1][1::2])))
        self._kept[level, number] = rows
        if len(self._kept) > self._kept_max:
            self._kept.popitem(last=False)
        return rows


def read_entries(reader: TileReader, start: int, end: int, size: int) -> Iterator[bytes]:
    """The bytes of entries ``start`` to ``end`` (exclusive) of a log of ``size``. Raises BadTile, BadTreeSize."""
    if not 0 <= start <= end <= size <= SIZE_MAX:
        raise BadTreeSize(f"entries {start} to {end} of {size}")
    for number in range(start // TILE_WIDTH, -(-end // TILE_WIDTH) if end > start else 0):
        width = width_of(0, number, size)
        entries = unpack_bundle(reader.bundle(Bundle(number, width)), width)
        low = number * TILE_WIDTH
        yield from entries[max(0, start - low) : end - low]
