"""Which row an address means, for this caller. What she may not know of is not found."""

from uuid import UUID

from server.accounts import queries as accounts
from server.accounts.models import Account
from server.core.errors import NotFound
from server.videos import queries as videos
from server.videos import states
from server.videos.models import Comment, Upload, Video

_ID_DIGITS_MAX = 19


def account(key: str) -> Account:
    """By id (digits only: no handle is) or by address. Raises NotFound."""
    if key.isascii() and key.isdigit():
        if len(key) > _ID_DIGITS_MAX:
            raise NotFound("There is no such account.")
        return accounts.by_id(int(key))
    return accounts.by_acct(key)


def video(video_id: int, viewer: Account | None) -> Video:
    """A published video, or one of her own that is not deleted. Raises NotFound."""
    if viewer is not None:
        own = Video.objects.filter(pk=video_id, account=viewer).exclude(state=states.DELETED).select_related("account").first()
        if own is not None:
            return own
    return videos.public_video(video_id, viewer)


def comment(comment_id: int, viewer: Account | None) -> Comment:
    """A comment that is not deleted: her own, or one under a video she can see. Raises NotFound."""
    found = Comment.objects.filter(pk=comment_id, deleted_at=None).select_related("video__account", "account").first()
    if found is None:
        raise NotFound("There is no such comment.")
    if viewer is not None and viewer.pk in {found.account_id, found.video.account_id}:
        return found
    in_thread = videos.thread(videos.public_video(found.video_id, viewer), viewer)
    if not in_thread.filter(pk=found.pk).exists():
        raise NotFound("There is no such comment.")
    return found


def upload(upload_id: UUID, owner: Account) -> Upload:
    """One of her own uploads. Raises NotFound."""
    found = Upload.objects.filter(pk=upload_id, account=owner).first()
    if found is None:
        raise NotFound("There is no such upload.")
    return found
