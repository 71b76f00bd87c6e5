"""Notes of other servers -> the values that ``videos.actions`` takes."""

from django.utils.html import linebreaks

from federation.wire.objects import Attachment, Note
from server.core import clock
from server.videos.remote import RemoteComment, RemoteVideo

NOTE_KINDS = frozenset({"Note"})


def video(note: Note, attachment: Attachment) -> RemoteVideo:
    """A note with a video file attached, as a video."""
    return RemoteVideo(
        uri=note.uri,
        url=note.url,
        mp4_url=attachment.url,
        published_at=note.published or clock.now(),
        caption_html=_html(note),
        alt_text=attachment.name,
        language=note.language,
        sensitive=note.sensitive,
        hashtags=note.hashtags,
        poster_url=attachment.poster_url,
        blurhash=attachment.blurhash,
        width=attachment.width,
        height=attachment.height,
        duration_ms=attachment.duration_ms,
        visibility=note.visibility,
    )


def comment(note: Note) -> RemoteComment:
    """A note that replies to something, as a comment."""
    return RemoteComment(
        uri=note.uri,
        url=note.url,
        html=_html(note),
        published_at=note.published or clock.now(),
        in_reply_to=note.in_reply_to,
    )


def _html(note: Note) -> str:
    return linebreaks(note.content, autoescape=True) if note.is_plain_text else note.content
