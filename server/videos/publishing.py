"""The life of a local video after its upload: transcoded or failed, published, edited, taken back, deleted."""

from django.db import transaction

from server.accounts.models import Account, User
from server.core import clock, facts, limits, storage
from server.core.errors import NotAllowed, Unavailable, WrongState
from server.videos import captions, states, uploads
from server.videos.checks import clean_text, lock, require_may_post, require_owner
from server.videos.facts import UploadFinished, VideoDeleted, VideoEdited, VideoPublished, VideoUnpublished
from server.videos.models import Rendition, Upload, Video
from server.videos.result import TranscodeResult
from server.videos.tagging import set_hashtags


@transaction.atomic
def mark_transcoded(*, video: Video, result: TranscodeResult) -> None:
    """Write what the transcode made, and publish if the owner said so. Called by ``jobs`` only.

    Raises WrongState if the video no longer waits (deleted, or another worker was first), Unavailable if a file that
    was stored is gone again (a deletion of the same content came between; the next try stores it again).
    """
    lock(video)
    video.state = states.move(video.state, "transcoded")
    storage.hold(result.files)
    if not all(storage.exists(name) for name in result.files):
        raise Unavailable("A file of the result is gone again.")
    video.duration_ms, video.width, video.height = result.duration_ms, result.width, result.height
    video.blurhash, video.poster_file = result.blurhash, result.poster_file
    video.mp4_file, video.mp4_bytes = result.mp4_file, result.mp4_bytes
    video.progress_percent, video.failure = 100, ""
    video.save()
    video.renditions.all().delete()
    Rendition.objects.bulk_create(
        Rendition(
            video=video,
            name=rung.name,
            width=rung.width,
            height=rung.height,
            bits_per_second=rung.bits_per_second,
            codecs=rung.codecs,
            playlist_file=rung.playlist_file,
            media_file=rung.media_file,
            media_bytes=rung.media_bytes,
        )
        for rung in result.rungs
    )
    if video.publish_when_ready:
        _publish(video)


@transaction.atomic
def mark_failed(*, video: Video, why: str) -> None:
    """The transcode gave up; ``why`` is a sentence for the owner. Called by ``jobs`` only. Raises WrongState."""
    lock(video)
    video.state = states.move(video.state, "fail")
    video.failure = why
    video.save(update_fields=["state", "failure"])


@transaction.atomic
def retry_transcode(*, video: Video, by: Account) -> None:
    """Try a failed transcode again. Raises NotAllowed, WrongState (not failed, or the uploaded file has expired)."""
    lock(video)
    require_owner(video, by)
    state = states.move(video.state, "retry")
    upload = Upload.objects.filter(video=video).first()
    if upload is None or not uploads.path_of(upload).exists():
        raise WrongState("The uploaded file is no longer kept. Upload it again.")
    video.state, video.failure, video.progress_percent = state, "", 0
    video.save(update_fields=["state", "failure", "progress_percent"])
    facts.record(UploadFinished(video_id=video.id))


@transaction.atomic
def publish(*, video: Video, by: Account) -> None:
    """Make a ready video public. Raises NotAllowed, WrongState."""
    lock(video)
    require_owner(video, by)
    require_may_post(by)
    _publish(video)


def _publish(video: Video) -> None:
    video.state = states.move(video.state, "publish")
    # A video published again keeps its first date: it is no news.
    video.published_at = video.published_at or clock.now()
    video.save(update_fields=["state", "published_at"])
    facts.record(VideoPublished(video_id=video.id))


@transaction.atomic
def unpublish(*, video: Video, by: Account) -> None:
    """Take a video back; its owner keeps it and may publish it again. Raises NotAllowed, WrongState."""
    lock(video)
    require_owner(video, by)
    video.state = states.move(video.state, "unpublish")
    video.save(update_fields=["state"])
    facts.record(VideoUnpublished(video_id=video.id))


@transaction.atomic
def edit(
    *,
    video: Video,
    by: Account,
    caption: str | None = None,
    alt_text: str | None = None,
    sensitive: bool | None = None,
    comments_open: bool | None = None,
) -> None:
    """Change what is given, leave what is None. Raises NotAllowed, Invalid, WrongState (deleted)."""
    lock(video)
    require_owner(video, by)
    if not video.is_local:
        raise NotAllowed("A video of another server is edited there.")
    if video.state == states.DELETED:
        raise WrongState("This video is deleted.")
    if caption is not None:
        video.caption = clean_text(caption, field="caption", characters_max=limits.CAPTION_CHARACTERS_MAX)
        set_hashtags(video, captions.hashtags(video.caption))
    if alt_text is not None:
        video.alt_text = clean_text(alt_text, field="alt_text", characters_max=limits.ALT_TEXT_CHARACTERS_MAX)
    if sensitive is not None:
        video.sensitive = sensitive
    if comments_open is not None:
        video.comments_open = comments_open
    if video.published_at is not None:
        video.edited_at = clock.now()
    video.save(update_fields=["caption", "alt_text", "sensitive", "comments_open", "edited_at"])
    if video.state == states.PUBLISHED:
        facts.record(VideoEdited(video_id=video.id))


@transaction.atomic
def delete(*, video: Video, by: Account | None, by_staff: User | None = None) -> None:
    """Delete for good, by the owner (``by``) or by staff. The row stays without its words; files go soon after.

    The second call changes nothing. A remote video is deleted on this server only, and only by staff. Raises NotAllowed.
    """
    lock(video)
    if by_staff is not None:
        if not (by_staff.is_active and by_staff.is_staff):
            raise NotAllowed("Only staff may do this.")
    elif by is None or not video.is_local:
        raise NotAllowed("Only the owner of a video may do this.")
    else:
        require_owner(video, by)
    if video.state != states.DELETED:
        wipe(video)
        if video.is_local:
            facts.record(VideoDeleted(video_id=video.id))


@transaction.atomic
def delete_with_account(*, video: Video) -> None:
    """Delete a video whose owner has closed her account. Called by ``jobs`` only."""
    lock(video)
    if video.state != states.DELETED:
        wipe(video)


def wipe(video: Video) -> None:
    """Move a locked row to ``deleted`` and empty its words; its id, owner, dates and counts stay."""
    video.state = states.move(video.state, "delete")
    video.deleted_at = clock.now()
    video.caption = video.caption_html = video.alt_text = video.failure = ""
    video.remote_mp4_url = video.remote_poster_url = ""
    video.save()
    video.hashtags.clear()
