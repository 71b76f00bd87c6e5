"""What may be seen of videos, by whom, and how it is shown. Reads only."""

from dataclasses import dataclass
from urllib.parse import quote

from django.conf import settings
from django.db.models import Exists, OuterRef, Q, QuerySet
from django.utils.safestring import SafeString, mark_safe

from server.accounts.addresses import canonical_host
from server.accounts.models import Account, Block, Mute
from server.core import richtext, storage
from server.core.errors import Invalid, NotFound
from server.videos import captions, states
from server.videos.models import Comment, Hashtag, Video


@dataclass(frozen=True)
class Playback:
    """Where a video is played from; relative to this site or absolute. Empty where there is none."""

    hls_url: str
    mp4_url: str
    poster_url: str


def _published(viewer: Account | None) -> QuerySet[Video]:
    """Published videos of accounts in good standing, without those of people who block ``viewer`` or whom she blocks."""
    standing = {"account__suspended_at": None, "account__deleted_at": None, "account__held_back_at": None}
    videos = Video.objects.filter(state=states.PUBLISHED, **standing).select_related("account")
    if viewer is None:
        return videos
    owner = OuterRef("account")
    return videos.exclude(
        Exists(Block.objects.filter(account=owner, target=viewer)) | Exists(Block.objects.filter(account=viewer, target=owner))
    )


def visible_to(viewer: Account | None) -> QuerySet[Video]:
    """What may stand in a list that ``viewer`` (None: anybody) reads: public, not blocked either way, not muted by her."""
    videos = _published(viewer).filter(visibility="public")
    if viewer is None:
        return videos
    return videos.exclude(Exists(Mute.objects.filter(account=viewer, target=OuterRef("account"))))


def public_video(video_id: int, viewer: Account | None) -> Video:
    """The published video behind a link, unlisted ones and those of muted accounts included. Raises NotFound."""
    try:
        return _published(viewer).get(pk=video_id)
    except Video.DoesNotExist:
        raise NotFound("There is no such video.") from None


def by_uri(uri: str) -> Video | None:
    """The video with this ActivityPub id, in whatever state; None if it is unknown."""
    return Video.objects.select_related("account").filter(uri=uri).first()


def comment_by_uri(uri: str) -> Comment | None:
    """The comment with this ActivityPub id, deleted or not; None if it is unknown."""
    return Comment.objects.select_related("account", "video__account").filter(uri=uri).first()


def thread(video: Video, viewer: Account | None) -> QuerySet[Comment]:
    """The comments under ``video`` in the order they came, without those of blocked and muted accounts.

    A deleted comment stands there, empty, only while somebody has answered it.
    """
    answered = Exists(Comment.objects.filter(parent=OuterRef("pk"), deleted_at=None))
    comments = (
        Comment.objects.filter(Q(deleted_at=None) | Q(answered), video=video)
        .filter(account__suspended_at=None, account__deleted_at=None)
        .select_related("account")
        .order_by("id")
    )
    if viewer is None:
        return comments
    author = OuterRef("account")
    return comments.exclude(
        Exists(Block.objects.filter(account=author, target=viewer))
        | Exists(Block.objects.filter(account=viewer, target=author))
        | Exists(Mute.objects.filter(account=viewer, target=author))
    )


def hashtag(name: str) -> Hashtag:
    """The tag of this name, written in any case, with or without ``#``. Raises NotFound."""
    found = Hashtag.objects.filter(name=captions.tag_name(name) or "").first()
    if found is None:
        raise NotFound("Nobody has used this tag here.")
    return found


def playback(video: Video) -> Playback:
    """Where to play ``video`` from: our own files for a local one, its own server for a remote one."""
    if not video.is_local:
        return Playback("", video.remote_mp4_url, video.remote_poster_url)
    return Playback(
        f"/hls/{video.uuid}/master.m3u8" if video.mp4_file else "",
        storage.url(video.mp4_file) if video.mp4_file else "",
        storage.url(video.poster_file) if video.poster_file else "",
    )


def caption_as_html(video: Video) -> SafeString:
    """The caption with its links, hashtags and mentions as links; safe to put on a page and to send to other servers."""
    return _as_html(video.caption, "" if video.is_local else video.caption_html)


def comment_as_html(comment: Comment) -> SafeString:
    """As ``caption_as_html``, for a comment."""
    return _as_html(comment.text, "" if comment.is_local else comment.html)


def _as_html(text: str, remote_html: str) -> SafeString:
    # Cleaned once more on the way out: a row may have been written by an older version of the rules.
    markup = (
        richtext.sanitise(remote_html)
        if remote_html
        else captions.as_html(text, link_of_tag=tag_url, link_of_mention=_mention_links(text).get)
    )
    return mark_safe(markup)  # noqa: S308 (sanitised by nh3, or every piece escaped by captions.as_html)


def tag_url(name: str) -> str:
    """The page of a hashtag."""
    return f"{settings.ORIGIN}/tags/{quote(name)}"


def mentioned(text: str) -> dict[str, Account]:
    """The accounts ``text`` addresses, by the way they are written there (without the @). Unknown ones are left out."""
    wanted = {written: key for written in captions.mentions(text) if (key := _handle_and_domain(written)) is not None}
    if not wanted:
        return {}
    any_of = Q()
    for handle, domain in wanted.values():
        any_of |= Q(handle__iexact=handle, domain=domain)
    found = {
        (account.handle.lower(), account.domain): account
        for account in Account.objects.filter(any_of, suspended_at=None, deleted_at=None)
    }
    return {written: found[key] for written, key in wanted.items() if key in found}


def _handle_and_domain(written: str) -> tuple[str, str] | None:
    handle, _, domain = written.lower().partition("@")
    if not domain:
        return handle, ""
    try:
        host = canonical_host(domain)
    except Invalid:
        return None
    return handle, "" if host == settings.HOST else host


def _mention_links(text: str) -> dict[str, str]:
    return {written: account.url or account.uri for written, account in mentioned(text).items()}
