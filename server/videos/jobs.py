"""Work on files that a worker does when told: transcode, forget. Each may be run again at any time, whole or half done."""

import logging
import os
import secrets
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import timedelta
from pathlib import Path

from django.conf import settings
from django.db import transaction
from django.db.models import Q

from server.core import clock, limits, storage, worker
from server.core.errors import StorageFull, TributaryError, WrongState
from server.core.models import Task
from server.videos import actions, states, transcoding, uploads
from server.videos.facts import UploadFinished, VideoDeleted
from server.videos.ffmpeg import Unusable
from server.videos.models import Rendition, Upload, Video
from server.videos.result import TranscodeResult

log = logging.getLogger(__name__)

DISK_FULL = "The server's disk was full while this video was prepared. Your upload is kept: try again later."
FILE_GONE = "The uploaded file is no longer there. Upload it again."
GIVEN_UP = "Something went wrong on the server while this video was prepared. Your upload is kept: try again."
_LEFTOVER_SECONDS = 24 * 3600


class Withdrawn(TributaryError):
    """The video was deleted while it was being prepared."""

    code, permanent = "withdrawn", True


def transcode(fact: UploadFinished) -> None:
    """Make the renditions of an uploaded video and publish it, or say why not.

    What a crash leaves behind: before the files are stored, a working folder that the next run of this video removes;
    after that, stored files that the next run makes again under the same names, because the same upload gives the
    same bytes; after ``mark_transcoded``, the upload, which the next run forgets. A full disk is told to the owner at
    once instead of being tried again and again: disks rarely get empty within minutes, and her upload is kept.
    """
    video = Video.objects.filter(pk=fact.video_id).first()
    upload = Upload.objects.filter(video_id=fact.video_id).first()
    if video is None or video.state != states.PROCESSING:
        if upload is not None and (video is None or video.state != states.FAILED):
            actions.forget_upload(upload=upload)
        return
    if upload is None or not uploads.path_of(upload).exists():
        _fail(video, FILE_GONE)
        return
    try:
        with _working_copy(video, upload) as source:
            result = transcoding.transcode(source, on_progress=lambda percent: _note_progress(video, percent))
        _finish(video, upload, result)
    except Withdrawn:
        return
    except StorageFull:
        log.error("disk full during a transcode", extra={"video": video.pk})  # noqa: TRY400 (the trace says nothing more)
        _fail(video, DISK_FULL)
    except Unusable as error:
        log.info("upload not usable", extra={"video": video.pk, "why": str(error)})
        _fail(video, str(error))


def _finish(video: Video, upload: Upload, result: TranscodeResult) -> None:
    try:
        actions.mark_transcoded(video=video, result=result)
    except WrongState:
        # Deleted meanwhile, or another worker was first: then these very files are in use, and stay.
        forget_unused(result.files)
    else:
        actions.forget_upload(upload=upload)


def _fail(video: Video, why: str) -> None:
    try:
        actions.mark_failed(video=video, why=why)
    except WrongState:
        log.info("no longer waiting for its transcode", extra={"video": video.pk})


def _note_progress(video: Video, percent: int) -> None:
    """Show how far we are, and keep the lease. Raises Withdrawn or LeaseLost: then nobody waits for this work."""
    worker.renew()
    if not Video.objects.filter(pk=video.pk, state=states.PROCESSING).update(progress_percent=percent):
        raise Withdrawn


@contextmanager
def _working_copy(video: Video, upload: Upload) -> Iterator[Path]:
    """The upload by a second name, alone in a fresh folder; both are gone afterwards."""
    base = settings.UPLOAD_DIR / "work"
    base.mkdir(mode=0o700, exist_ok=True)
    for leftover in base.glob(f"{video.pk}-*"):
        shutil.rmtree(leftover, ignore_errors=True)
    folder = base / f"{video.pk}-{secrets.token_hex(8)}"
    folder.mkdir(mode=0o700)
    try:
        source = folder / "source"
        os.link(uploads.path_of(upload), source)
        yield source
    except OSError as error:
        raise storage.full(error) from error
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def forget_files(fact: VideoDeleted) -> None:
    """Remove every file of a deleted video that no other row names."""
    video = Video.objects.filter(pk=fact.video_id, state=states.DELETED).first()
    if video is None:
        return
    upload = Upload.objects.filter(video=video).first()
    if upload is not None:
        actions.forget_upload(upload=upload)
    names = {video.poster_file, video.mp4_file} - {""}
    for playlist, media in video.renditions.values_list("playlist_file", "media_file"):
        names |= {playlist, media}
    with transaction.atomic():
        # In one transaction with the deletion below it: a crash between leaves rows, and the next run goes on with them.
        storage.hold(names)
        video.renditions.all().delete()
        Video.objects.filter(pk=video.pk).update(poster_file="", mp4_file="", mp4_bytes=None, blurhash="")
        forget_unused(names)


@transaction.atomic
def forget_unused(names: frozenset[str] | set[str]) -> None:
    """Remove those of the stored files that no row names."""
    storage.hold(names)
    for name in sorted(names):
        if not (
            Video.objects.filter(Q(poster_file=name) | Q(mp4_file=name)).exists()
            or Rendition.objects.filter(Q(playlist_file=name) | Q(media_file=name)).exists()
        ):
            storage.delete(name)


def forget_abandoned_uploads() -> None:
    """Forget uploads nobody finished or retried within a week, and what killed processes left lying about."""
    moment = clock.now()
    long_ago = moment - timedelta(seconds=limits.UPLOAD_AGE_SECONDS_MAX)
    abandoned = Upload.objects.filter(Q(finished_at=None, created_at__lt=long_ago) | Q(finished_at__lt=long_ago))
    for upload in abandoned.exclude(video__state=states.PROCESSING):
        actions.forget_upload(upload=upload)
    leftovers_before = moment.timestamp() - _LEFTOVER_SECONDS
    known = {each.hex for each in Upload.objects.values_list("id", flat=True)}
    for path in settings.UPLOAD_DIR.iterdir():
        if path.is_file() and path.name not in known and path.stat().st_mtime < leftovers_before:
            path.unlink(missing_ok=True)
    for folder in (settings.UPLOAD_DIR / "work").glob("*"):
        if folder.stat().st_mtime < leftovers_before:
            shutil.rmtree(folder, ignore_errors=True)
    storage.forget_passing(older_than_seconds=_LEFTOVER_SECONDS, moment=moment.timestamp())


def fail_given_up() -> None:
    """Tell the owners of videos whose transcode was buried (a bug, or a worker that died again and again): they may retry."""
    for video in Video.objects.filter(state=states.PROCESSING):
        alive = Task.objects.filter(fact=UploadFinished.__name__, payload__video_id=video.pk, dead_at=None)
        if not alive.exists():
            _fail(video, GIVEN_UP)
