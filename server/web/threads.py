"""The comments of a video as the pages show them: the newest conversations first, answers below in the order of time."""

from dataclasses import dataclass, field

from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from django.views.decorators.http import require_POST, require_safe

from server.accounts.models import Account
from server.core.errors import Invalid, NotFound
from server.videos import actions
from server.videos import queries as videos
from server.videos.models import Comment, Video
from server.web.answers import done, door, wants_fragment
from server.web.viewers import needs_account, viewer_of


@dataclass
class Conversation:
    """A comment and everything that answers it, however deep."""

    comment: Comment
    answers: list[Comment] = field(default_factory=list)


def of(video: Video, viewer: Account | None) -> list[Conversation]:
    """The conversations under ``video``, the newest first. A deleted comment stays while it has answers."""
    comments = list(videos.thread(video, viewer))
    by_id = {comment.pk: comment for comment in comments}
    found: dict[int, Conversation] = {}
    for comment in comments:
        root = _root(comment, by_id)
        if root.pk not in found:
            found[root.pk] = Conversation(root)
        if comment.pk != root.pk and comment.deleted_at is None:
            found[root.pk].answers.append(comment)
    alive = [each for each in found.values() if each.comment.deleted_at is None or each.answers]
    return sorted(alive, key=lambda each: -each.comment.pk)


def _root(comment: Comment, by_id: dict[int, Comment]) -> Comment:
    passed = {comment.pk}
    while comment.parent_id in by_id and comment.parent_id not in passed:
        passed.add(comment.parent_id)
        comment = by_id[comment.parent_id]
    return comment


@require_safe
@door
def drawer(request: HttpRequest, video_id: int) -> HttpResponse:
    """The comments of a video, for the drawer of the feed; a page of their own without scripts."""
    viewer = viewer_of(request)
    video = videos.public_video(video_id, viewer)
    context = {"video": video, "thread": of(video, viewer)}
    return render(request, "parts/drawer.html" if wants_fragment(request) else "pages/comments.html", context)


@require_POST
@door
@needs_account
def add(request: HttpRequest, viewer: Account, video_id: int) -> HttpResponse:
    """Comment on a video, or answer a comment."""
    video = videos.public_video(video_id, viewer)
    parent = None
    if wanted := request.POST.get("parent"):
        parent = _comment(wanted)
        if parent.video_id != video.pk:
            raise Invalid("This comment belongs to another video.", field="parent")
    made = actions.comment(video=video, by=viewer, text=request.POST.get("text", ""), parent=parent)
    video.refresh_from_db(fields=["comment_count"])
    where = f"/w/{video.pk}#comment-{made.pk}"
    return done(request, to=where, id=str(made.pk), count=video.comment_count)


@require_POST
@door
@needs_account
def delete(request: HttpRequest, viewer: Account, comment_id: int) -> HttpResponse:
    """Take an own comment back."""
    comment = _comment(str(comment_id))
    actions.delete_comment(comment=comment, by=viewer)
    comment.video.refresh_from_db(fields=["comment_count"])
    return done(request, to=f"/w/{comment.video_id}#comments", say="Comment deleted.", count=comment.video.comment_count)


def _comment(number: str) -> Comment:
    if not number.isascii() or not number.isdigit() or len(number) > 19:  # noqa: PLR2004
        raise NotFound("There is no such comment.")
    found = Comment.objects.filter(pk=int(number), deleted_at=None).select_related("video", "video__account", "account").first()
    if found is None:
        raise NotFound("There is no such comment.")
    return found
