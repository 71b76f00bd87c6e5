"""A video that comes with an archive: its file is on the disk already, and it was news elsewhere, long ago."""

import os
import shutil
import uuid
from datetime import datetime
from pathlib import Path

from django.conf import settings
from django.db import transaction

from server.accounts.models import Account
from server.core import limits, storage
from server.core.errors import Invalid, TooLarge
from server.videos import states, uploads
from server.videos.checks import lock, require_active, require_owner
from server.videos.drafts import VideoDraft
from server.videos.models import Upload, Video


@transaction.atomic
def import_video(*, account: Account, path: Path, filename: str, draft: VideoDraft, published_at: datetime | None) -> Video:
    """Make a video of the file at ``path``, which stays, and let it be transcoded like any upload; nobody is told.

    ``published_at`` is the date it keeps when it is published. Raises Invalid, TooLarge, StorageFull, NotAllowed.
    """
    require_active(account)
    size = path.stat().st_size
    if Path(filename).suffix.lower() not in uploads.EXTENSIONS or size == 0:
        raise Invalid("Only .mp4, .mov and .webm files can be imported.", field="file")
    if size > settings.UPLOAD_BYTES_MAX:
        raise TooLarge(f"The file is larger than {settings.UPLOAD_BYTES_MAX // limits.MIB} MiB.", field="file")
    upload = Upload.objects.create(
        id=uuid.uuid4(), account=account, filename=filename[-255:], bytes_expected=size, bytes_received=size
    )
    # A crash before the commit leaves a second name of the file, which the hourly chore removes.
    _place(path, uploads.path_of(upload))
    video = uploads.finish_upload(upload=upload, by=account, draft=draft)
    if published_at is not None:
        Video.objects.filter(pk=video.pk).update(published_at=published_at)
        video.published_at = published_at
    return video


def _place(source: Path, target: Path) -> None:
    try:
        os.link(source, target)
    except OSError:
        # Another disk, or one without hard links.
        storage.require_room(source.stat().st_size, settings.UPLOAD_DIR)
        try:
            shutil.copyfile(source, target)
        except OSError as error:
            target.unlink(missing_ok=True)
            raise storage.full(error) from error


@transaction.atomic
def publish_quietly(*, video: Video, by: Account) -> None:
    """Publish a ready video that is no news: it is there for who looks, and no server is told (FEP-1580). Raises WrongState."""
    lock(video)
    require_owner(video, by)
    video.state = states.move(video.state, "publish")
    if video.published_at is None:
        raise Invalid("An imported video has a date.")
    video.save(update_fields=["state"])
