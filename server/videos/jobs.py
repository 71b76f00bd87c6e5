"""Work on files that a worker does when told: transcode, forget. Each may be run again at any time, whole or half done."""

import logging
from datetime import timedelta

from django.conf import settings
from django.db import transaction
from django.db.models import Q

from server.accounts.facts import AccountDeleted
from server.accounts.models import Account
from server.core import clock, limits, metrics, storage, worker
from server.core.errors import StorageFull, TributaryError, WrongState
from server.core.models import Task
from server.videos import actions, publishing, states, transcoding, uploads
from server.videos.facts import UploadFinished, VideoDeleted
from server.videos.ffmpeg import Unusable
from server.videos.models import Upload, Video
from server.videos.workfolders import forget_unused, sweep_older_than, work_folder

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

    1. Work in a folder of its own. A crash leaves the folder; the next run sweeps it.
    2. Store the files. A crash leaves the folder with the names of what it stored; the next run sweeps both.
    3. Write the rows, in one transaction. Before it nothing is published, after it everything.
    4. Forget the upload. A crash before leaves it; the next run finds the video made and only forgets.

    What cannot become better by itself is told to the owner, who may retry: unusable files, and a full disk too, since
    disks rarely get empty within the minutes a worker would try. Everything else is the worker's to try again.
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
        with work_folder(video, upload) as source:
            with metrics.transcode_seconds.time():
                result = transcoding.transcode(source, on_progress=lambda percent: _note_progress(video, percent))
            actions.mark_transcoded(video=video, result=result)
            metrics.transcodes_total.labels("done").inc()
        actions.forget_upload(upload=upload)
    except (Withdrawn, WrongState):
        log.info("no longer waiting for its transcode", extra={"video": video.pk})
    except StorageFull:
        log.error("disk full during a transcode", extra={"video": video.pk})  # noqa: TRY400 (the trace says nothing more)
        _fail(video, DISK_FULL)
    except Unusable as error:
        log.info("upload not usable", extra={"video": video.pk, "why": str(error)})
        _fail(video, str(error))


def _fail(video: Video, why: str) -> None:
    try:
        actions.mark_failed(video=video, why=why)
        metrics.transcodes_total.labels("failed").inc()
    except WrongState:
        log.info("no longer waiting for its transcode", extra={"video": video.pk})


def _note_progress(video: Video, percent: int) -> None:
    """Show how far we are, and keep the lease. Raises Withdrawn or LeaseLost: then nobody waits for this work."""
    worker.renew()
    if not Video.objects.filter(pk=video.pk, state=states.PROCESSING).update(progress_percent=percent):
        raise Withdrawn


def forget_files(fact: VideoDeleted) -> None:
    """Remove every file of a deleted video that no other row names."""
    video = Video.objects.filter(pk=fact.video_id, state=states.DELETED).first()
    if video is not None:
        _forget_files_of(video)


def forget_closed_account(fact: AccountDeleted) -> None:
    """Delete the videos of an account that was closed, its unfinished uploads, and every file that no other row names.

    Other servers are not told video by video: the account's own farewell takes all it had there.
    Raises WrongState for an account that is open.
    """
    account = Account.objects.get(pk=fact.account_id)
    if account.deleted_at is None:
        raise WrongState("This account is not closed.")
    for upload in Upload.objects.filter(account=account, video=None):
        actions.forget_upload(upload=upload)
    for video in Video.objects.filter(account=account, is_local=True):
        worker.renew()
        publishing.delete_with_account(video=video)
        # Also of those deleted before: after a crash the rows name what is left, and the next run goes on with it.
        _forget_files_of(video)


def _forget_files_of(video: Video) -> None:
    upload = Upload.objects.filter(video=video).first()
    if upload is not None:
        actions.forget_upload(upload=upload)
    names = {video.poster_file, video.mp4_file} - {""}
    for pair in video.renditions.values_list("playlist_file", "media_file"):
        names.update(pair)
    with transaction.atomic():
        # One transaction: after a crash the rows still name what is left, and the next run goes on with it.
        storage.hold(names)
        video.renditions.all().delete()
        Video.objects.filter(pk=video.pk).update(poster_file="", mp4_file="", mp4_bytes=None, blurhash="")
        forget_unused(names)


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
    sweep_older_than(leftovers_before)
    storage.forget_passing(leftovers_before)


def fail_given_up() -> None:
    """Tell the owners of videos whose transcode was buried (a bug, or a worker that died again and again): they may retry."""
    for video in Video.objects.filter(state=states.PROCESSING):
        alive = Task.objects.filter(fact=UploadFinished.__name__, payload__video_id=video.pk, dead_at=None)
        if not alive.exists():
            _fail(video, GIVEN_UP)
