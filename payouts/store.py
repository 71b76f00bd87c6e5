"""The files of our log: tiles and bundles that never change, the head cell with compare-and-set, the published checkpoint.

Layout under the data directory (``ledger/``): ``1/tile/...`` and ``1/checkpoint`` may be served by any static web server;
``head`` is the one cell that says how far the log has got, kept outside the database and its backups (FORMATS 2, Sunlight).
"""

import contextlib
import fcntl
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path

from django.conf import settings

from payouts import durable
from payouts.ledger import canonical
from payouts.ledger.errors import BadTile
from payouts.ledger.merkle import EMPTY_ROOT, HASH_BYTES, Hash
from payouts.ledger.tiles import TILE_HEIGHT, TILE_WIDTH, Bundle, Tile, pack_bundle, parse_path, unpack_bundle
from server.core.errors import NotFound, TributaryError

HEAD_BYTES_MAX = 16_384


class HeadMoved(TributaryError):
    """The head of the log is not where the writer thought: another writer was there, or an old backup was restored."""

    code, status = "ledger_head_moved", 503


class LogDamaged(TributaryError):
    """What is stored is not what was signed. Nothing is written until this is understood."""

    code, status = "ledger_damaged", 503


@dataclass(frozen=True)
class HeadCell:
    """How far the log has got: the size and root of the last checkpoint that was signed, and its note."""

    size: int = 0
    root: Hash = EMPTY_ROOT
    note: bytes = b""


def folder() -> Path:
    """Where the log's files are."""
    path: Path = settings.LEDGER_DIR
    return path


class DiskTiles:
    """A ``TileReader`` over our own files. Every width that was ever signed can be read, cut from a wider file where needed."""

    def tile(self, tile: Tile) -> bytes:
        """The bytes of a tile."""
        if self._path(tile).exists():
            return self._read(tile)
        return self._read(tile._replace(width=self._wider(tile)))[: tile.width * HASH_BYTES]

    def bundle(self, bundle: Bundle) -> bytes:
        """The bytes of an entry bundle."""
        if self._path(bundle).exists():
            return self._read(bundle)
        # Entries have no fixed length: the first ones of the wider bundle, packed anew, are the same bytes.
        width = self._wider(bundle)
        return pack_bundle(unpack_bundle(self._read(bundle._replace(width=width)), width)[: bundle.width])

    @classmethod
    def published(cls, path: str, size: int) -> bytes:
        """The file at ``path`` of a log of ``size``. Raises BadTilePath, and BadTile beyond what was signed."""
        place = parse_path(path)
        level = place.level if isinstance(place, Tile) else 0
        if place.number * TILE_WIDTH + place.width > size >> TILE_HEIGHT * level:
            raise BadTile(path)
        return cls().tile(place) if isinstance(place, Tile) else cls().bundle(place)

    def _wider(self, place: Tile | Bundle) -> int:
        """The width of the widest file there is. Entries that were put back from a mirror never stood here in every width."""
        if self._path(place._replace(width=TILE_WIDTH)).exists():
            return TILE_WIDTH
        widths = [int(path.name) for path in self._path(place).parent.glob("*") if path.name.isdigit()]
        if max(widths, default=0) < place.width:
            raise BadTile(place.path())
        return max(widths)

    @staticmethod
    def _path(place: Tile | Bundle) -> Path:
        return folder() / "1" / place.path()

    def _read(self, place: Tile | Bundle) -> bytes:
        return self._path(place).read_bytes()


@contextlib.contextmanager
def only_writer() -> Iterator[None]:
    """Keep every other process of this host from writing. Held for one append."""
    folder().mkdir(mode=0o755, parents=True, exist_ok=True)
    with (folder() / "lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield


def read_head() -> HeadCell:
    """The head cell; the empty log where there is none."""
    path = folder() / "head"
    if not path.exists():
        return HeadCell()
    document = canonical.decode(path.read_bytes(), bytes_max=HEAD_BYTES_MAX)
    return HeadCell(document["size"], bytes.fromhex(document["root"]), document["note"].encode())


def move_head(old: HeadCell, new: HeadCell) -> None:
    """Compare-and-set: after this returns the entries below ``new.size`` are promised for ever. Raises HeadMoved."""
    if read_head() != old or new.size < old.size:
        raise HeadMoved
    document = {"size": new.size, "root": new.root.hex(), "note": new.note.decode()}
    durable.write_whole(folder() / "head", canonical.encode(document))


def write_files(files: Mapping[str, bytes]) -> None:
    """Write tiles and bundles, all durable on return, and read them back. Raises StorageFull, LogDamaged.

    A file that stands already with other bytes was never promised and is replaced.
    """
    targets = {folder() / "1" / path: data for path, data in files.items()}
    fresh = {path: data for path, data in targets.items() if not _stands(path, data)}
    if fresh:
        durable.write_many(fresh)
    for path, data in fresh.items():
        if not _stands(path, data):
            raise LogDamaged(f"{path.relative_to(folder())} does not read back as it was written")


def _stands(path: Path, data: bytes) -> bool:
    return path.exists() and path.read_bytes() == data


def publish_checkpoint(note: bytes) -> None:
    """Show the newest note, with the cosignatures it has, to everyone.

    After a power cut the note before it may be shown again, which is true too; the next one replaces it.
    """
    durable.write_whole(folder() / "1" / "checkpoint", note, survives_power_cut=False)


def published_checkpoint() -> bytes:
    """The note as it is shown; empty before the first."""
    path = folder() / "1" / "checkpoint"
    return path.read_bytes() if path.exists() else b""


def put_blob(data: bytes, *, public: bool) -> str:
    """Keep the bytes that an entry names; return their SHA-256. Done before the entry: a crash leaves a blob too many.

    What the log publishes may be fetched by anyone; evidence (``public=False``) stays with the staff.
    """
    digest = sha256(data).hexdigest()
    path = _blob_path(digest, public=public)
    if not _stands(path, data):
        durable.write_whole(path, data)
    return digest


def has_blob(digest: str, *, public: bool) -> bool:
    """Is this blob here?"""
    return _blob_path(digest, public=public).exists()


def read_blob(digest: str, *, public: bool) -> bytes:
    """The bytes of a blob. Raises NotFound, LogDamaged when they are not what their name says."""
    path = _blob_path(digest, public=public)
    if not path.exists():
        raise NotFound("There is no such blob here.")
    data = path.read_bytes()
    if sha256(data).hexdigest() != digest:
        raise LogDamaged(f"blob {digest} has other bytes than its name says")
    return data


def _blob_path(digest: str, *, public: bool) -> Path:
    return folder() / ("1/blob" if public else "evidence") / digest[:2] / digest
