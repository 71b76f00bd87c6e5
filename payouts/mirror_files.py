"""Our copies of others' logs on the disk: ``ledger/mirrors/<sha256 of the origin>/`` with tiles, bundles and blobs.

A tile grows by its end only, so of the widths that a tile ever had the widest is kept, and narrower ones are cut from it. What
is written here was proven to stand under a checkpoint that the log signed; what is read is held against it again.
"""

import os
from collections.abc import Mapping
from hashlib import sha256
from pathlib import Path

from django.conf import settings

from payouts.ledger.errors import BadTile
from payouts.ledger.tiles import TILE_HEIGHT, TILE_WIDTH, Tile, parse_path
from payouts.log_folder import LogFolder
from payouts.models import PeerMirror
from server.core import storage

BRANCH_DIGITS = 16


def name_of(origin: str) -> str:
    """How a log is called in addresses and folders: the SHA-256 (hex) of its origin (C2SP tlog-witness)."""
    return sha256(origin.encode()).hexdigest()


class MirrorFiles(LogFolder):
    """Our copy, and its writer."""

    def __init__(self, mirror: PeerMirror) -> None:
        branch = f"-{mirror.branch[:BRANCH_DIGITS]}" if mirror.branch else ""
        super().__init__(settings.LEDGER_DIR / "mirrors" / f"{name_of(mirror.peer.origin)}{branch}")
        self.mirror = mirror

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
        path = self.blob_path(digest)
        if not path.exists():
            storage.require_room(len(data), settings.LEDGER_DIR)
            _write(path, data)
        return digest

    def _drop_narrower(self, path: str) -> None:
        whole, _, width = path.partition(".p/")
        wide = int(width or TILE_WIDTH)
        for other in self.folder.joinpath(f"{whole}.p").glob("[1-9]*"):
            if other.name.isdigit() and int(other.name) < wide:
                other.unlink(missing_ok=True)


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
