"""Files that are whole or not there, and still there after the power fails.

A file gets its name when its bytes are on the disk: written under a passing name, synced, renamed, and the folder synced. A crash
before the rename leaves a passing name that nobody reads; a crash before the folder is synced leaves the old file or the new one.
"""

import os
import threading
from collections.abc import Iterable, Mapping
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from server.core import storage

# A disk writes its journal once for all that ask at the same time: 66 files take 300 ms one after another, 30 ms by eights.
SYNCS_AT_ONCE_MAX = 8


def write_whole(path: Path, data: bytes, *, survives_power_cut: bool = True) -> None:
    """Write one file, all or nothing. Raises StorageFull.

    ``survives_power_cut=False``: whole whatever happens, but a power cut may bring back the file that was there before.
    """
    _write({path: data}, sync_folders=survives_power_cut)


def write_many(files: Mapping[Path, bytes]) -> None:
    """Write files that nobody was promised yet; all are durable when this returns. Raises StorageFull.

    A crash on the way leaves any of them, each whole: the caller writes them again. So the files need no order among each other,
    and their syncs can wait for the disk together.
    """
    _write(files, sync_folders=True)


def _write(files: Mapping[Path, bytes], *, sync_folders: bool) -> None:
    passing = {path: _passing(path) for path in files}
    folders = {path.parent for path in files}
    try:
        for folder in sorted(folders):
            folders.update(_make_folder(folder))
        for path, data in files.items():
            passing[path].write_bytes(data)
        _sync_all(passing.values())
        for path, written in passing.items():
            written.replace(path)
        if sync_folders:
            _sync_all(folders)
    except BaseException as error:
        for written in passing.values():
            written.unlink(missing_ok=True)
        if isinstance(error, OSError):
            raise storage.full(error) from error
        raise


def _passing(path: Path) -> Path:
    return path.with_name(f".{path.name}.{os.getpid()}.{threading.get_ident()}")


def _make_folder(folder: Path) -> list[Path]:
    """Make a folder; return those that got a new name, for a folder that is not synced forgets its new names."""
    missing = []
    while not folder.exists():
        missing.append(folder)
        folder = folder.parent
    for one in reversed(missing):
        one.mkdir(mode=0o755, exist_ok=True)
    return [one.parent for one in missing]


def _sync_all(paths: Iterable[Path]) -> None:
    waiting = list(paths)
    if len(waiting) == 1:
        _sync(waiting[0])
        return
    with ThreadPoolExecutor(SYNCS_AT_ONCE_MAX) as pool:
        # The list asks for every result, so that every failure is raised.
        list(pool.map(_sync, waiting))


def _sync(path: Path) -> None:
    handle = os.open(path, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
