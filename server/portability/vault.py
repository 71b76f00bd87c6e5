"""Where the parts of archives lie that are not media of this server: under the data directory, named by their content.

Nothing here is ever served to the public by name: who may read a file is asked of the rows that name it. Written whole or
not at all, as in ``core.storage``; what no row names is swept after a day.
"""

import hashlib
import os
import re
import secrets
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path

from django.conf import settings

from server.core import storage

NAME = re.compile(r"[0-9a-f]{64}")


def folder() -> Path:
    """The vault's folder."""
    return settings.ARCHIVE_DIR / "vault"


def path_of(sha256: str) -> Path:
    """Where the file with this hash lies, or would."""
    if not NAME.fullmatch(sha256):
        raise ValueError("not a SHA-256")
    return folder() / sha256[:2] / sha256


def has(sha256: str) -> bool:
    """Is it here?"""
    return path_of(sha256).exists()


def keep(sha256: str) -> bool:
    """Is it here? If so the sweep lets it be for another day, in which a row may be written that names it."""
    try:
        os.utime(path_of(sha256))
    except FileNotFoundError:
        return False
    return True


class Writing:
    """A file on its way into the vault."""

    def __init__(self, path: Path) -> None:
        self._file = path.open("xb")
        self._path = path
        self._digest = hashlib.sha256()
        self.size = 0

    def write(self, data: bytes) -> None:
        """Add ``data``. Raises StorageFull."""
        try:
            self._file.write(data)
        except OSError as error:
            raise storage.full(error) from error
        self._digest.update(data)
        self.size += len(data)

    @property
    def sha256(self) -> str:
        """The hash of what was written."""
        return self._digest.hexdigest()

    def finish(self) -> str:
        """Give the file its name. Returns the hash. Raises StorageFull."""
        target = path_of(self.sha256)
        try:
            storage.sync(self._file)
            self._file.close()
            target.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
            self._path.replace(target)
            storage.sync_folder(target.parent)
        except OSError as error:
            raise storage.full(error) from error
        return self.sha256

    def drop(self) -> None:
        """Forget what was not finished."""
        self._file.close()
        self._path.unlink(missing_ok=True)


@contextmanager
def writing(size: int = 0) -> Iterator[Writing]:
    """A new file of about ``size`` bytes; what is not finished when the block ends is gone. Raises StorageFull."""
    storage.require_room(size, settings.DATA_DIR)
    passing = folder() / "tmp"
    passing.mkdir(mode=0o700, parents=True, exist_ok=True)
    one = Writing(passing / secrets.token_hex(16))
    try:
        yield one
    finally:
        one.drop()


def put(pieces: Iterable[bytes]) -> tuple[str, int]:
    """Store what the pieces make together. Returns its hash and size. Raises StorageFull."""
    with writing() as file:
        for piece in pieces:
            file.write(piece)
        return file.finish(), file.size


def all_names() -> Iterator[tuple[str, float]]:
    """Every file: its hash and when it was last kept (POSIX time)."""
    for path in folder().glob("??/*"):
        if NAME.fullmatch(path.name):
            yield path.name, path.stat().st_mtime


def forget_passing(moment: float) -> None:
    """Remove what writers that were killed half-way left before ``moment`` (POSIX time)."""
    for path in (folder() / "tmp").glob("*"):
        if path.stat().st_mtime < moment:
            path.unlink(missing_ok=True)
