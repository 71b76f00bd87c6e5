"""Undo: a follow, like or share is taken back."""

from collections.abc import Callable, Mapping

from federation.handlers.outcomes import Handled, Ignored, Outcome
from federation.wire.activities import Undo
from federation.wire.verified import Verified
from server.accounts import actions as accounts
from server.accounts.models import Account, Follow
from server.videos import actions as videos
from server.videos.models import Like, Share


def on_undo(activity: Verified[Undo], sender: Account) -> Outcome:
    """A follow, like or share is taken back: the row of the sender that has this id, or that is meant by kind and object."""
    undone = activity.value.undone
    for kind, take_back in UNDOABLE.items():
        if undone.kind in {"", kind} and take_back(undone.uri, undone.object_uri if undone.kind == kind else "", sender):
            return Handled()
    return Ignored(f"there is nothing of the sender here to undo ({undone.kind or 'unknown kind'})")


def _unfollow(uri: str, object_uri: str, sender: Account) -> bool:
    rows = Follow.objects.select_related("target").filter(follower=sender)
    row = rows.filter(uri=uri).first() or rows.filter(target__uri=object_uri).first()
    if row is None:
        return False
    accounts.receive_unfollow(follower=sender, target=row.target)
    return True


def _unlike(uri: str, object_uri: str, sender: Account) -> bool:
    rows = Like.objects.select_related("video").filter(account=sender)
    row = rows.filter(uri=uri).first() or rows.filter(video__uri=object_uri).first()
    if row is None:
        return False
    videos.receive_unlike(account=sender, video=row.video)
    return True


def _unshare(uri: str, object_uri: str, sender: Account) -> bool:
    rows = Share.objects.select_related("video").filter(account=sender)
    row = rows.filter(uri=uri).first() or rows.filter(video__uri=object_uri).first()
    if row is None:
        return False
    videos.receive_unshare(account=sender, video=row.video)
    return True


UNDOABLE: Mapping[str, Callable[[str, str, Account], bool]] = {"Follow": _unfollow, "Like": _unlike, "Announce": _unshare}
