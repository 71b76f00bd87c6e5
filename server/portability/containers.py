"""Archives of other software, zip and gzipped tar: every file in turn, within limits, whatever the archive says of itself.

Nothing is ever written under a name that an archive chose.
"""

import gzip
import stat
import struct
import unicodedata
import zipfile
import zlib
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

from server.portability import manifest, tar
from server.portability.errors import (
    ArchiveTooLarge,
    BadPath,
    Bomb,
    Encrypted,
    LinkRefused,
    NotAnArchive,
    OutOfOrder,
    TooManyFiles,
    Truncated,
)

PATH_BYTES_MAX = 1_024
PIECE_BYTES = 1024 * 1024
RATIO_MAX = 100
# Small files may be as empty as they like.
RATIO_FREE_BYTES = 8 * 1024 * 1024
DIRECTORY_BYTES_MAX = 64 * 1024 * 1024
_END_BYTES = 22
# What stands in a plain end record when the numbers stand in a zip64 one.
_COUNT_ELSEWHERE, _SIZE_ELSEWHERE = 0xFFFF, 0xFFFFFFFF
_COMMENT_BYTES_MAX = 65_535
ZIP, GZIP = b"PK\x03\x04", b"\x1f\x8b"


@dataclass(frozen=True)
class Inside:
    """A file in a foreign archive; ``pieces`` may be called once, before the next file is asked for."""

    path: str
    size: int
    pieces: Callable[[], Iterator[bytes]]


def check_path(path: str) -> str:
    """``path`` as other software names files: composed (NFC), relative, without tricks. Raises BadPath."""
    plain = unicodedata.normalize("NFC", path).removeprefix("./")
    if not plain or len(plain.encode("utf-8", "surrogatepass")) > PATH_BYTES_MAX or "\\" in plain:
        raise BadPath("A name is empty, too long, or has a backslash.")
    if any(unicodedata.category(each) in {"Cc", "Cs"} for each in plain) or any(
        part in {"", ".", ".."} for part in plain.split("/")
    ):
        raise BadPath(f"A name leads out of the archive: {path[:100]!r}")
    return plain


def files(path: Path, *, bytes_max: int) -> Iterator[Inside]:
    """Every file in the archive at ``path``. Raises an ArchiveRefused by name."""
    with path.open("rb") as file:
        head = file.read(4)
    read = _zip if head == ZIP else _tar_gz if head[:2] == GZIP else None
    if read is None:
        raise NotAnArchive
    names: set[str] = set()
    total = 0
    for inside in read(path, bytes_max):
        total += inside.size
        if total > bytes_max:
            raise ArchiveTooLarge
        if len(names) >= manifest.FILES_MAX:
            raise TooManyFiles
        if inside.path in names:
            raise OutOfOrder(f"{inside.path[:100]} comes twice.")
        names.add(inside.path)
        yield inside


# --- zip ---


def _zip(path: Path, bytes_max: int) -> Iterator[Inside]:
    _check_directory(path)
    with _named_errors(), zipfile.ZipFile(path) as archive:
        listed = archive.infolist()
        if sum(info.compress_size for info in listed) > path.stat().st_size:
            raise Bomb("Files in this archive lie upon each other.")
        if sum(info.file_size for info in listed) > bytes_max:
            raise ArchiveTooLarge
        for info in listed:
            if info.is_dir():
                continue
            _check_info(info)
            yield Inside(check_path(info.filename), info.file_size, lambda info=info: _of_zip(archive, info))  # type: ignore[misc]


def _check_info(info: zipfile.ZipInfo) -> None:
    mode = info.external_attr >> 16
    if stat.S_ISLNK(mode):
        raise LinkRefused
    if info.flag_bits & 1:
        raise Encrypted
    if info.compress_type not in {zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED}:
        raise NotAnArchive("A file is compressed in a way that is not read here.")
    if info.file_size > RATIO_FREE_BYTES and info.file_size > RATIO_MAX * info.compress_size:
        raise Bomb


def _of_zip(archive: zipfile.ZipFile, info: zipfile.ZipInfo) -> Iterator[bytes]:
    with _named_errors(), archive.open(info) as file:
        size = 0
        while piece := file.read(PIECE_BYTES):
            size += len(piece)
            yield piece
        if size != info.file_size:
            raise Truncated


def _check_directory(path: Path) -> None:
    """The central directory is read whole by the library, so its size is looked at first."""
    size = path.stat().st_size
    with path.open("rb") as file:
        file.seek(max(0, size - _END_BYTES - _COMMENT_BYTES_MAX))
        end = file.read()
        at = end.rfind(b"PK\x05\x06")
        if at < 0 or len(end) - at < _END_BYTES:
            raise Truncated
        count, directory = struct.unpack("<HI", end[at + 10 : at + 16])
        if count == _COUNT_ELSEWHERE or directory == _SIZE_ELSEWHERE:
            locator = end[at - 20 : at]
            if locator[:4] != b"PK\x06\x07":
                raise Truncated
            file.seek(struct.unpack("<Q", locator[8:16])[0])
            record = file.read(56)
            if record[:4] != b"PK\x06\x06":
                raise Truncated
            count, directory = struct.unpack("<QQ", record[32:48])
    if count > manifest.FILES_MAX:
        raise TooManyFiles
    if directory > min(DIRECTORY_BYTES_MAX, size):
        raise ArchiveTooLarge("The list of files is too large.")


@contextmanager
def _named_errors() -> Iterator[None]:
    """What the libraries raise for damaged files, by our names."""
    try:
        yield
    except (zipfile.BadZipFile, EOFError, zlib.error, gzip.BadGzipFile, struct.error) as error:
        raise Truncated(f"The archive is damaged: {error}") from error
    except (NotImplementedError, UnicodeDecodeError, ValueError) as error:
        raise NotAnArchive(f"The archive cannot be read: {error}") from error


# --- gzipped tar (Mastodon before 4.2) ---


class _Unpacked:
    """The bytes of a gzip file as they come, within the limits."""

    def __init__(self, raw: BinaryIO, bytes_max: int) -> None:
        self._raw, self._bytes_max = raw, bytes_max
        self._stream = gzip.GzipFile(fileobj=raw)
        self._size = 0

    def read(self, size: int) -> bytes:
        """Exactly ``size`` bytes. Raises Truncated, Bomb, ArchiveTooLarge."""
        with _named_errors():
            data = self._stream.read(size)
        if len(data) < size:
            raise Truncated
        self._size += size
        if self._size > self._bytes_max:
            raise ArchiveTooLarge
        if self._size > RATIO_FREE_BYTES and self._size > RATIO_MAX * self._raw.tell():
            raise Bomb
        return data

    def pieces(self, size: int) -> Iterator[bytes]:
        """``size`` bytes, a piece at a time."""
        while size:
            piece = self.read(min(PIECE_BYTES, size))
            size -= len(piece)
            yield piece


def _tar_gz(path: Path, bytes_max: int) -> Iterator[Inside]:
    with path.open("rb") as raw:
        stream = _Unpacked(raw, bytes_max)
        at = 0
        while any(block := stream.read(tar.BLOCK)):
            member = tar.read_header(block, at, first=at == 0, check=check_path, prefix=True)
            left = _Left(stream, member.size)
            yield Inside(member.path, member.size, left.pieces)
            left.skip()
            stream.read(-member.size % tar.BLOCK)
            at = member.end


class _Left:
    """What is left of a member: read by whoever wants it, skipped otherwise."""

    def __init__(self, stream: _Unpacked, size: int) -> None:
        self._stream, self._size = stream, size

    def pieces(self) -> Iterator[bytes]:
        """The bytes."""
        while self._size:
            piece = self._stream.read(min(PIECE_BYTES, self._size))
            self._size -= len(piece)
            yield piece

    def skip(self) -> None:
        """Past the end."""
        for _ in self.pieces():
            pass
