"""What local people say about a published video."""

from django.db import transaction

from server.accounts.models import Account, User
from server.core import clock, facts, limits, locators
from server.core.errors import Invalid, NotAllowed
from server.core.snowflake import make_id
from server.videos.checks import clean_text, lock, require_active, require_may_post, require_no_block, require_reachable
from server.videos.facts import CommentAdded, CommentDeleted
from server.videos.models import Comment, Video
from server.videos.reactions import count


@transaction.atomic
def comment(*, video: Video, by: Account, text: str, parent: Comment | None = None) -> Comment:
    """``by`` says ``text`` about ``video``, perhaps in reply to ``parent``.

    Raises NotFound (not published), NotAllowed (blocked by or blocking the owner or the parent's author, comments
    closed), Invalid (text; a parent that is deleted or belongs to another video).
    """
    if not by.is_local:
        raise NotAllowed("Remote accounts act on their own server.")
    lock(video)
    require_commentable(video, by, parent)
    words = clean_text(text, field="text", characters_min=1, characters_max=limits.COMMENT_CHARACTERS_MAX)
    number = make_id()
    made = Comment.objects.create(
        id=number,
        video=video,
        parent=parent,
        account=by,
        uri=locators.comment_uri(by.handle, number),
        url=f"{video.url}#comment-{number}" if video.is_local else "",
        is_local=True,
        text=words,
    )
    count(video, "comment_count", 1)
    facts.record(CommentAdded(comment_id=made.id))
    return made


def require_commentable(video: Video, by: Account, parent: Comment | None) -> None:
    """Raise unless ``by`` may comment on the locked ``video``, and reply to ``parent`` if there is one."""
    require_may_post(by)
    require_reachable(video, by)
    if not video.comments_open:
        raise NotAllowed("Comments are closed.")
    if parent is not None:
        if parent.video_id != video.pk or parent.deleted_at is not None:
            raise Invalid("There is no such comment under this video.", field="parent")
        require_no_block(by, parent.account)


@transaction.atomic
def delete_comment(*, comment: Comment, by: Account | None, by_staff: User | None = None) -> None:
    """Empty a comment; the row stays to hold its replies. Its author may, the owner of the video, and staff. Twice is once.

    Raises NotAllowed.
    """
    video = comment.video
    lock(video)
    comment.refresh_from_db()
    if by_staff is not None:
        if not (by_staff.is_active and by_staff.is_staff):
            raise NotAllowed("Only staff may do this.")
    elif by is None or by.pk not in {comment.account_id, video.account_id}:
        raise NotAllowed("Only its author or the owner of the video may delete a comment.")
    else:
        require_active(by)
    if comment.deleted_at is None:
        empty(comment, video)
        if comment.is_local:
            facts.record(CommentDeleted(comment_id=comment.id))


def empty(comment: Comment, video: Video) -> None:
    """Take the words out of a comment and adjust the count of its locked ``video``."""
    comment.text = comment.html = ""
    comment.deleted_at = clock.now()
    comment.save(update_fields=["text", "html", "deleted_at"])
    count(video, "comment_count", -1)
