"""A folder with a log in it: tiles, bundles and blobs under the paths at which a log publishes them. Reads only, knows no Django.

So are our copies of others' logs laid out, our own ``ledger/1``, and what anybody downloads of one. What is read is not trusted:
it is held against a checkpoint, or against the hash that names it.
"""

from hashlib import sha256
from pathlib import Path

from payouts.ledger.errors import BadTile
from payouts.ledger.merkle import HASH_BYTES
from payouts.ledger.tiles import TILE_WIDTH, Bundle, Tile, pack_bundle, unpack_bundle
from payouts.refusals import BlobMissing, BlobWrong


class LogFolder:
    """A ``TileReader`` over files. Of the widths that a tile ever had the narrowest that is wide enough is read, and cut."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def tile(self, tile: Tile) -> bytes:
        """The bytes of a tile. Raises BadTile."""
        data = _read(self._place(tile._replace(width=TILE_WIDTH).path(), tile.width)[1])
        if len(data) < tile.width * HASH_BYTES:
            raise BadTile(tile.path())
        return data[: tile.width * HASH_BYTES]

    def bundle(self, bundle: Bundle) -> bytes:
        """The bytes of an entry bundle, as ``tile``."""
        width, path = self._place(bundle._replace(width=TILE_WIDTH).path(), bundle.width)
        data = _read(path)
        return data if width == bundle.width else pack_bundle(unpack_bundle(data, width)[: bundle.width])

    def has_blob(self, digest: str) -> bool:
        """Is it here?"""
        return self.blob_path(digest).exists()

    def blob(self, digest: str) -> bytes:
        """The bytes of a blob. Raises BlobMissing, BlobWrong."""
        try:
            data = self.blob_path(digest).read_bytes()
        except FileNotFoundError as error:
            raise BlobMissing(digest) from error
        if sha256(data).hexdigest() != digest:
            raise BlobWrong(digest)
        return data

    def blob_path(self, digest: str) -> Path:
        """Where a blob lies; addresses of blobs have no folder of two digits, files do."""
        flat = self.folder / "blob" / digest
        return flat if flat.is_file() else self.folder / "blob" / digest[:2] / digest

    def _place(self, whole: str, width: int) -> tuple[int, Path]:
        """The narrowest file that has at least ``width``: its width and path. Raises BadTile."""
        full = self.folder / whole
        if full.exists():
            return TILE_WIDTH, full
        widths = sorted(int(path.name) for path in self.folder.joinpath(f"{whole}.p").glob("[1-9]*") if path.name.isdigit())
        for found in widths:
            if found >= width:
                return found, self.folder / f"{whole}.p" / str(found)
        raise BadTile(whole)


def _read(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except FileNotFoundError as error:
        raise BadTile(path.name) from error
