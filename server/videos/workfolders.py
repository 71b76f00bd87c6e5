"""The folder in which one transcode works, and what is swept with it: files that it stored and no row names."""

import os
import secrets
import shutil
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path

from django.conf import settings
from django.db import transaction
from django.db.models import Q

from server.core import storage
from server.videos import transcoding, uploads
from server.videos.models import Rendition, Upload, Video


@contextmanager
def work_folder(video: Video, upload: Upload) -> Iterator[Path]:
    """A fresh folder that holds only the upload, by a second name (the path given). Swept when left, however it is left.

    A killed worker sweeps nothing: the next run of the same video finds its folder, and sweeps it first.
    """
    base = settings.UPLOAD_DIR / "work"
    base.mkdir(mode=0o700, exist_ok=True)
    for leftover in base.glob(f"{video.pk}-*"):
        sweep(leftover)
    folder = base / f"{video.pk}-{secrets.token_hex(8)}"
    try:
        folder.mkdir(mode=0o700)
        source = folder / "source"
        os.link(uploads.path_of(upload), source)
        yield source
    except OSError as error:
        raise storage.full(error) from error
    finally:
        sweep(folder)


def sweep(folder: Path) -> None:
    """Remove a working folder, and first those files it stored that no row names. After a crash between, sweep again."""
    forget_unused(transcoding.stored_by(folder))
    shutil.rmtree(folder, ignore_errors=True)


def sweep_older_than(moment: float) -> None:
    """Sweep the folders that nobody has touched since ``moment`` (POSIX time)."""
    for folder in (settings.UPLOAD_DIR / "work").glob("*"):
        if folder.stat().st_mtime < moment:
            sweep(folder)


@transaction.atomic
def forget_unused(names: Iterable[str]) -> None:
    """Remove those of the stored files that no row names."""
    names = sorted(set(names))
    storage.hold(names)
    for name in names:
        if not (
            Video.objects.filter(Q(poster_file=name) | Q(mp4_file=name)).exists()
            or Rendition.objects.filter(Q(playlist_file=name) | Q(media_file=name)).exists()
        ):
            storage.delete(name)
