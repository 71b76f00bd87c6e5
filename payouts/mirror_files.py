"""Our copies of others' logs on the disk: ``ledger/mirrors/<sha256 of the origin>/`` with tiles, bundles and blobs.

A tile grows by its end only, so of the widths that a tile ever had the widest is kept, and narrower ones are cut from it. What
is written here was proven to stand under a checkpoint that the log signed; what is read is held against it again.
"""

import os
from collections.abc import Mapping
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path

from django.conf import settings

from payouts.ledger.errors import BadTile
from payouts.ledger.merkle import HASH_BYTES
from payouts.ledger.tiles import TILE_HEIGHT, TILE_WIDTH, Bundle, Tile, pack_bundle, parse_path, unpack_bundle
from payouts.models import PeerMirror
from payouts.refusals import BlobMissing, BlobWrong
from server.core import storage

BRANCH_DIGITS = 16


def name_of(origin: str) -> str:
    """How a log is called in addresses and folders: the SHA-256 (hex) of its origin (C2SP tlog-witness)."""
    return sha256(origin.encode()).hexdigest()


@dataclass(frozen=True)
class MirrorFiles:
    """A ``TileReader`` over our copy, and its writer."""

    mirror: PeerMirror

    @property
    def folder(self) -> Path:
        """Where this copy is."""
        branch = f"-{self.mirror.branch[:BRANCH_DIGITS]}" if self.mirror.branch else ""
        path: Path = settings.LEDGER_DIR / "mirrors" / f"{name_of(self.mirror.peer.origin)}{branch}"
        return path

    def tile(self, tile: Tile) -> bytes:
        """The bytes of a tile, cut to its width from the widest that is here. Raises BadTile."""
        data = self._widest(tile._replace(width=TILE_WIDTH).path(), tile.width)
        if len(data) < tile.width * HASH_BYTES:
            raise BadTile(tile.path())
        return data[: tile.width * HASH_BYTES]

    def bundle(self, bundle: Bundle) -> bytes:
        """The bytes of an entry bundle, as ``tile``."""
        whole = bundle._replace(width=TILE_WIDTH).path()
        width, path = self._place(whole, bundle.width)
        data = _read(path)
        return data if width == bundle.width else pack_bundle(unpack_bundle(data, width)[: bundle.width])

    def published(self, path: str) -> bytes:
        """The file at ``path``, below the size that is verified. Raises BadTilePath, BadTile."""
        place = parse_path(path)
        level = place.level if isinstance(place, Tile) else 0
        if place.number * TILE_WIDTH + place.width > self.mirror.size >> TILE_HEIGHT * level:
            raise BadTile(path)
        return self.tile(place) if isinstance(place, Tile) else self.bundle(place)

    def write(self, files: Mapping[str, bytes]) -> int:
        """Write tiles and bundles durably; narrower ones go once the wider is there. Returns how many bytes were written.

        Raises StorageFull, and the disk's own errors as StorageFull when there is no room.
        """
        size = sum(map(len, files.values()))
        storage.require_room(size, settings.LEDGER_DIR)
        try:
            for path, data in files.items():
                _write(self.folder / path, data)
        except OSError as error:
            raise storage.full(error) from error
        for path in files:
            self._drop_narrower(path)
        return size

    def put_blob(self, data: bytes) -> str:
        """Keep the bytes that an entry of this log names; return their SHA-256."""
        digest = sha256(data).hexdigest()
        path = self._blob(digest)
        if not path.exists():
            storage.require_room(len(data), settings.LEDGER_DIR)
            _write(path, data)
        return digest

    def has_blob(self, digest: str) -> bool:
        """Is it here?"""
        return self._blob(digest).exists()

    def blob(self, digest: str) -> bytes:
        """The bytes of a blob. Raises BlobMissing, BlobWrong."""
        try:
            data = self._blob(digest).read_bytes()
        except FileNotFoundError as error:
            raise BlobMissing(digest) from error
        if sha256(data).hexdigest() != digest:
            raise BlobWrong(digest)
        return data

    def _blob(self, digest: str) -> Path:
        return self.folder / "blob" / digest[:2] / digest

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

    def _widest(self, whole: str, width: int) -> bytes:
        return _read(self._place(whole, width)[1])

    def _drop_narrower(self, path: str) -> None:
        whole, _, width = path.partition(".p/")
        wide = int(width or TILE_WIDTH)
        for other in self.folder.joinpath(f"{whole}.p").glob("[1-9]*"):
            if other.name.isdigit() and int(other.name) < wide:
                other.unlink(missing_ok=True)


def _read(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except FileNotFoundError as error:
        raise BadTile(path.name) from error


def _write(path: Path, data: bytes) -> None:
    """All or nothing, and still there after the power fails."""
    if path.exists() and path.read_bytes() == data:
        return
    path.parent.mkdir(mode=0o755, parents=True, exist_ok=True)
    passing = path.with_name(f".{path.name}.{os.getpid()}")
    with passing.open("wb") as file:
        file.write(data)
        storage.sync(file)
    passing.replace(path)
    storage.sync_folder(path.parent)
