"""A file comes in: start, append (again and again, also after a broken connection), finish."""

import fcntl
import logging
import os
import re
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path, PurePath
from typing import BinaryIO

from django.conf import settings
from django.db import transaction

from server.accounts.models import Account
from server.core import clock, facts, limits, locators, storage
from server.core.errors import Conflict, Invalid, NotFound, StorageFull, TooLarge, WrongState
from server.core.snowflake import make_id
from server.videos import captions, states
from server.videos.checks import clean_language, clean_text, require_active, require_may_post
from server.videos.drafts import VideoDraft
from server.videos.facts import UploadFinished
from server.videos.models import Upload, Video
from server.videos.tagging import set_hashtags

log = logging.getLogger(__name__)

# By the end of the name; the job that transcodes looks at the bytes too.
EXTENSIONS = (".mp4", ".mov", ".webm")
_FILENAME_CHARACTERS_MAX = 255


def path_of(upload: Upload) -> Path:
    """Where the bytes of ``upload`` lie."""
    return settings.UPLOAD_DIR / upload.id.hex


@transaction.atomic
def start_upload(*, account: Account, filename: str, bytes_expected: int) -> Upload:
    """Announce a file of ``bytes_expected`` bytes.

    Raises Invalid (``file``: empty, or not .mp4, .mov or .webm), TooLarge (over ``settings.UPLOAD_BYTES_MAX``),
    StorageFull, Conflict (too many unfinished uploads).
    """
    require_may_post(account)
    name = _clean_filename(filename)
    if PurePath(name).suffix.lower() not in EXTENSIONS:
        raise Invalid("Only .mp4, .mov and .webm files can be uploaded.", field="file")
    if bytes_expected <= 0:
        raise Invalid("The file is empty.", field="file")
    if bytes_expected > settings.UPLOAD_BYTES_MAX:
        msg = f"The file is larger than {settings.UPLOAD_BYTES_MAX // limits.MIB} MiB, the most this server takes."
        raise TooLarge(msg, field="file")
    if account.uploads.filter(finished_at=None).count() >= limits.UPLOADS_UNFINISHED_MAX:
        raise Conflict("You have too many unfinished uploads. Finish one first, or wait until they expire.", field="file")
    storage.require_room(bytes_expected, settings.UPLOAD_DIR)
    return Upload.objects.create(id=uuid.uuid4(), account=account, filename=name, bytes_expected=bytes_expected)


def append_upload(*, upload: Upload, by: Account, offset: int, stream: BinaryIO) -> Upload:
    """Write the bytes of ``stream`` at ``offset``, which must be ``upload.bytes_received``; what the row says is on the disk.

    When the stream breaks, what came before is kept, and its error goes on. Raises Conflict (other offset, or another
    request writes at this moment), TooLarge (more bytes than announced; this append is taken back), StorageFull (the
    upload begins again at 0), WrongState (already finished).
    """
    # Not one transaction: a slow connection must not hold the database. The lock on the file keeps others out instead.
    _require_uploader(upload, by)
    with _locked_file(upload) as file:
        upload.refresh_from_db()
        if upload.finished_at is not None:
            raise WrongState("This upload is finished.")
        if offset != upload.bytes_received:
            msg = f"This upload goes on at byte {upload.bytes_received}."
            raise Conflict(msg, field="offset")
        # Bytes behind the row's number come from a process that died between the disk and the row.
        file.truncate(offset)
        file.seek(offset)
        if offset == 0:
            storage.sync_folder(settings.UPLOAD_DIR)
        try:
            try:
                _copy(stream, file, room=upload.bytes_expected - offset)
            except TooLarge:
                file.truncate(offset)
                raise
            finally:
                _sync(file)
                _note_received(upload, os.fstat(file.fileno()).st_size)
        except StorageFull:
            path_of(upload).unlink(missing_ok=True)
            _note_received(upload, 0)
            raise
    return upload


@transaction.atomic
def finish_upload(*, upload: Upload, by: Account, draft: VideoDraft) -> Video:
    """All bytes are here: make the video and let it be transcoded. The second call returns the same video.

    Raises Conflict (bytes are missing), Invalid (the draft).
    """
    _require_uploader(upload, by)
    require_active(by)
    upload.refresh_from_db(from_queryset=Upload.objects.select_for_update(of=("self",)))
    if upload.video is not None:
        return upload.video
    path = path_of(upload)
    if upload.bytes_received != upload.bytes_expected or not path.exists() or path.stat().st_size != upload.bytes_expected:
        msg = f"Only {upload.bytes_received} of {upload.bytes_expected} bytes are here."
        raise Conflict(msg, field="file")
    if draft.visibility not in {"public", "unlisted"}:
        raise Invalid("A video is public or unlisted.", field="visibility")
    number = make_id()
    video = Video.objects.create(
        id=number,
        uuid=uuid.uuid4(),
        account=by,
        uri=locators.note_uri(by.handle, number),
        url=locators.watch_url(number),
        is_local=True,
        state=states.move(states.UPLOADING, "finish"),
        caption=clean_text(draft.caption, field="caption", characters_max=limits.CAPTION_CHARACTERS_MAX),
        alt_text=clean_text(draft.alt_text, field="alt_text", characters_max=limits.ALT_TEXT_CHARACTERS_MAX),
        language=clean_language(draft.language),
        sensitive=draft.sensitive,
        visibility=draft.visibility,
        comments_open=draft.comments_open,
        publish_when_ready=draft.publish_when_ready,
    )
    set_hashtags(video, captions.hashtags(video.caption))
    upload.video, upload.finished_at = video, clock.now()
    upload.save(update_fields=["video", "finished_at"])
    facts.record(UploadFinished(video_id=video.id))
    return video


def upload_file(*, account: Account, filename: str, stream: BinaryIO, size: int, draft: VideoDraft) -> Video:
    """Start, append and finish in one, for a form; a failure leaves nothing behind. Raises what the three raise."""
    upload = start_upload(account=account, filename=filename, bytes_expected=size)
    try:
        append_upload(upload=upload, by=account, offset=0, stream=stream)
        return finish_upload(upload=upload, by=account, draft=draft)
    except BaseException:
        forget_upload(upload=upload)
        raise


def forget_upload(*, upload: Upload) -> None:
    """Remove the row and the bytes. Either may be gone already; a crash between leaves bytes that the hourly chore finds."""
    Upload.objects.filter(pk=upload.pk).delete()
    path_of(upload).unlink(missing_ok=True)


def _require_uploader(upload: Upload, by: Account) -> None:
    if upload.account_id != by.pk:
        raise NotFound("There is no such upload.")


def _clean_filename(filename: str) -> str:
    name = re.split(r"[/\\]", filename)[-1]
    name = "".join(each for each in name if each.isprintable()).strip()
    return name[-_FILENAME_CHARACTERS_MAX:]


@contextmanager
def _locked_file(upload: Upload) -> Iterator[BinaryIO]:
    """The upload's file, made if missing, open for reading and writing by us alone. Raises Conflict if another has it."""
    handle = os.open(path_of(upload), os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    with os.fdopen(handle, "r+b", buffering=0) as file:
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            raise Conflict("Another request is writing this upload.", field="offset") from error
        if os.fstat(handle).st_nlink == 0:
            raise Conflict("This upload was just taken back.", field="offset")
        yield file


def _copy(stream: BinaryIO, file: BinaryIO, *, room: int) -> None:
    while chunk := stream.read(min(limits.UPLOAD_CHUNK_BYTES, room + 1)):
        if len(chunk) > room:
            raise TooLarge("More bytes came than were announced.", field="file")
        storage.require_room(len(chunk), settings.UPLOAD_DIR)
        rest = memoryview(chunk)
        try:
            while rest:
                rest = rest[file.write(rest) :]
        except OSError as error:
            raise storage.full(error) from error
        room -= len(chunk)


def _sync(file: BinaryIO) -> None:
    try:
        storage.sync(file)
    except OSError as error:
        raise storage.full(error) from error


def _note_received(upload: Upload, count: int) -> None:
    Upload.objects.filter(pk=upload.pk, finished_at=None).update(bytes_received=count)
    upload.bytes_received = count
