"""Where finished files lie: named by their content, written whole or not at all, on local disk or in an S3 bucket."""

import errno
import hashlib
import io
import os
import re
import secrets
import shutil
from collections.abc import Iterable
from pathlib import Path
from typing import BinaryIO

from django.conf import settings
from django.core.files import File
from django.core.files.storage import default_storage
from django.db import connection

from server.core import limits
from server.core.errors import StorageFull

# ``ab/ab12...ef.mp4``: two digits to spread the folders, the SHA-256 of the content, the kind.
NAME = re.compile(r"([0-9a-f]{2})/(\1[0-9a-f]{62})\.([a-z0-9]{1,8})")
# What the kernel says when there is no room: no space, quota used up, file larger than the limit of the process.
NO_ROOM = frozenset({errno.ENOSPC, errno.EDQUOT, errno.EFBIG})


def put_file(path: Path, extension: str) -> str:
    """Store the file at ``path`` and return its content-addressed name; the file itself stays.

    Crash-safe and idempotent: the bytes are synced under a passing name before they get their own, so a name that
    exists is whole. Raises StorageFull, with nothing left behind.
    """
    name = name_of(path, extension)
    with path.open("rb") as source:
        _put(source, path.stat().st_size, name)
    return name


def name_of(path: Path, extension: str) -> str:
    """The name that ``put_file`` would give."""
    with path.open("rb") as source:
        digest = hashlib.file_digest(source, "sha256").hexdigest()
    return f"{digest[:2]}/{digest}.{extension}"


def put_bytes(data: bytes, extension: str) -> str:
    """Store ``data`` as ``put_file`` does."""
    digest = hashlib.sha256(data).hexdigest()
    name = f"{digest[:2]}/{digest}.{extension}"
    _put(io.BytesIO(data), len(data), name)
    return name


def _put(source: BinaryIO, size: int, name: str) -> None:
    if not NAME.fullmatch(name):
        msg = f"not a name of a stored file: {name}"
        raise ValueError(msg)
    if exists(name):
        return
    if settings.S3_BUCKET:
        default_storage.save(name, File(source))
        return
    require_room(size, settings.MEDIA_ROOT)
    try:
        _write(source, settings.MEDIA_ROOT / name)
    except OSError as error:
        raise full(error) from error


def _write(source: BinaryIO, target: Path) -> None:
    passing = settings.MEDIA_ROOT / "tmp" / secrets.token_hex(16)
    passing.parent.mkdir(mode=0o755, parents=True, exist_ok=True)
    if not target.parent.exists():
        target.parent.mkdir(mode=0o755, exist_ok=True)
        sync_folder(settings.MEDIA_ROOT)
    try:
        with passing.open("xb") as file:
            shutil.copyfileobj(source, file, limits.UPLOAD_CHUNK_BYTES)
            sync(file)
        # After a crash here a passing file is left, which forget_passing removes; after the next line the file is whole.
        passing.replace(target)
    except BaseException:
        passing.unlink(missing_ok=True)
        raise
    sync_folder(target.parent)


def full(error: OSError) -> Exception:
    """What to raise for ``error`` of the file system: StorageFull if it says that there is no room, else ``error`` itself."""
    return StorageFull() if error.errno in NO_ROOM else error


def sync(file: BinaryIO) -> None:
    """Return when the bytes of ``file`` are on the disk."""
    file.flush()
    os.fsync(file.fileno())


def sync_folder(folder: Path) -> None:
    """Return when the names in ``folder`` are on the disk."""
    handle = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def url(name: str) -> str:
    """The address of a stored file: under ``/media/`` of this site, or under ``MEDIA_ORIGIN``, or as S3 says."""
    if settings.S3_BUCKET:
        return default_storage.url(name)
    return f"{settings.MEDIA_URL}{name}"


def exists(name: str) -> bool:
    """Is this file stored?"""
    return default_storage.exists(name)


def delete(name: str) -> None:
    """Remove the file; one that is already gone is no error. Who may share it is the caller's question (``hold``)."""
    default_storage.delete(name)


def hold(names: Iterable[str]) -> None:
    """Keep others who ``hold`` one of ``names`` waiting until the present transaction ends.

    Content-addressed files may be shared by rows. Whoever writes a row that names files, and whoever deletes files
    that no row names, holds them first; else a file could go between the other's look and its commit. On SQLite the
    transactions that write already wait for each other.
    """
    if connection.vendor != "postgresql":
        return
    with connection.cursor() as cursor:
        # Sorted, so that two holders never wait for each other crosswise.
        for name in sorted(set(names)):
            cursor.execute("SELECT pg_advisory_xact_lock(hashtextextended(%s, 0))", [name])


def free_bytes(folder: Path | None = None) -> int:
    """Free bytes on the disk of ``folder`` (of the media folder when none is named)."""
    place: Path = folder or settings.MEDIA_ROOT
    while not place.exists():
        place = place.parent
    return shutil.disk_usage(place).free


def require_room(size: int, folder: Path) -> None:
    """Raise StorageFull unless ``size`` more bytes leave ``settings.FREE_DISK_BYTES_MIN`` free on the disk of ``folder``."""
    if free_bytes(folder) - size < settings.FREE_DISK_BYTES_MIN:
        raise StorageFull


def forget_passing(moment: float) -> None:
    """Remove what writers that were killed half-way left before ``moment`` (POSIX time)."""
    for path in (settings.MEDIA_ROOT / "tmp").glob("*"):
        if path.stat().st_mtime < moment:
            path.unlink(missing_ok=True)
