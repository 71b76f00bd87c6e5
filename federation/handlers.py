"""What each kind of activity does here: one function a kind, one table. They take verified activities only.

Ownership is always that of the stored row, never of what is claimed; rows under our own domain are never touched by what
another server says about them.
"""

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

from django.db import transaction

from federation import reading, tombstones, trust
from federation.fetch import fetch_actor, fetch_object
from federation.models import Actor, InboxItem
from federation.peers import DomainBlocked, require_welcome
from federation.wire.activities import (
    Accept,
    Activity,
    Announce,
    Create,
    Delete,
    Follow,
    Like,
    Move,
    Reject,
    Undo,
    Update,
)
from federation.wire.objects import ACTOR_KINDS, Note
from federation.wire.verified import Verified
from server.accounts import actions as accounts
from server.accounts import queries as account_queries
from server.accounts.models import Account
from server.accounts.models import Follow as FollowRow
from server.core import clock, hosts, limits, locators
from server.core.errors import NotAllowed, NotFound
from server.videos import actions as videos
from server.videos import queries as video_queries
from server.videos.models import Like as LikeRow
from server.videos.models import Share as ShareRow
from server.videos.models import Video


@dataclass(frozen=True)
class Handled:
    """It had its effect (perhaps the effect was there already)."""

    state: str = "handled"
    reason: str = ""


@dataclass(frozen=True)
class Ignored:
    """It is fine but means nothing to us; ``reason`` says why."""

    reason: str
    state: str = "ignored"


Outcome = Handled | Ignored


def dispatch(activity: Verified[Activity], sender: Actor) -> Outcome:
    """Hand ``activity`` to the function of its kind. Raises TributaryError; ``permanent`` says whether to try again."""
    try:
        require_welcome(sender.uri)
    except DomainBlocked:
        return Ignored("the server was blocked meanwhile")
    handler = HANDLERS.get(activity.value.kind)
    if handler is None:
        return Ignored(f"{activity.value.kind} is not a kind that we handle")
    if sender.account is None:
        return Ignored(f"its sender is a {sender.kind}, which speaks for a server and not for a person")
    return handler(activity, sender.account)


@contextmanager
def one_at_a_time(author: Account) -> Iterator[None]:
    """One transaction in which nothing else that ``author`` sent is handled: her Create and Delete cannot pass each other."""
    with transaction.atomic():
        Actor.objects.select_for_update().get(account=author)
        yield


# --- follows ---


def on_follow(activity: Verified[Follow], sender: Account) -> Outcome:
    """A remote account follows a local one."""
    target = account_queries.by_uri(activity.value.target)
    if target is None or not target.is_local:
        return Ignored("its target is no account of this server")
    accounts.receive_follow(follower=sender, target=target, uri=activity.value.uri)
    return Handled()


def on_accept(activity: Verified[Accept], sender: Account) -> Outcome:
    """The followed account accepts."""
    return _answer(activity.value.answered.uri, activity.value.answered.actor, sender, accepted=True)


def on_reject(activity: Verified[Reject], sender: Account) -> Outcome:
    """The followed account refuses, or ends a follow that she had accepted."""
    return _answer(activity.value.answered.uri, activity.value.answered.actor, sender, accepted=False)


def _answer(follow_uri: str, follower_uri: str, sender: Account, *, accepted: bool) -> Outcome:
    row = FollowRow.objects.filter(uri=follow_uri).first() if follow_uri else None
    if row is None and follower_uri:
        # Some servers answer with an id of their own making for our Follow; follower and followed say which it is.
        row = FollowRow.objects.filter(follower__uri=follower_uri, follower__domain="", target=sender).first()
    if row is None:
        return Ignored("it answers no follow that we know")
    accounts.receive_follow_answer(follow_uri=row.uri, target=sender, accepted=accepted)
    return Handled()


def on_undo(activity: Verified[Undo], sender: Account) -> Outcome:
    """A follow, like or share is taken back: the row of the sender that has this id, or that is meant by kind and object."""
    undone = activity.value.undone
    for kind, take_back in UNDOABLE.items():
        if undone.kind in {"", kind} and take_back(undone.uri, undone.object_uri if undone.kind == kind else "", sender):
            return Handled()
    return Ignored(f"there is nothing of the sender here to undo ({undone.kind or 'unknown kind'})")


def _unfollow(uri: str, object_uri: str, sender: Account) -> bool:
    rows = FollowRow.objects.select_related("target").filter(follower=sender)
    row = rows.filter(uri=uri).first() or rows.filter(target__uri=object_uri).first()
    if row is None:
        return False
    accounts.receive_unfollow(follower=sender, target=row.target)
    return True


def _unlike(uri: str, object_uri: str, sender: Account) -> bool:
    rows = LikeRow.objects.select_related("video").filter(account=sender)
    row = rows.filter(uri=uri).first() or rows.filter(video__uri=object_uri).first()
    if row is None:
        return False
    videos.receive_unlike(account=sender, video=row.video)
    return True


def _unshare(uri: str, object_uri: str, sender: Account) -> bool:
    rows = ShareRow.objects.select_related("video").filter(account=sender)
    row = rows.filter(uri=uri).first() or rows.filter(video__uri=object_uri).first()
    if row is None:
        return False
    videos.receive_unshare(account=sender, video=row.video)
    return True


UNDOABLE: Mapping[str, Callable[[str, str, Account], bool]] = {"Follow": _unfollow, "Like": _unlike, "Announce": _unshare}


# --- posts ---


def on_create(activity: Verified[Create], sender: Account) -> Outcome:
    """A new video, or a comment in a thread that we know."""
    _require_theirs(activity.value.object.uri)
    note = trust.note_by(activity.value.object, sender.actor)
    with one_at_a_time(sender):
        return _keep(note, sender)


def _keep(note: Note, author: Account) -> Outcome:
    if tombstones.is_buried(note.uri):
        return Ignored("it was deleted")
    if note.kind not in reading.NOTE_KINDS:
        return Ignored(f"{note.kind} is not a kind of post that we show")
    if note.visibility == "private":
        return Ignored("it is not public")
    if note.in_reply_to:
        if not _is_known(note.in_reply_to):
            return Ignored("it replies to nothing that we know")
        videos.receive_remote_comment(account=author, remote=reading.comment(note))
        return Handled()
    if note.video is None:
        return Ignored("it has no video attached")
    videos.receive_remote(account=author, remote=reading.video(note, note.video))
    return Handled()


def _is_known(uri: str) -> bool:
    return video_queries.by_uri(uri) is not None or video_queries.comment_by_uri(uri) is not None


def on_update(activity: Verified[Update], sender: Account) -> Outcome:
    """A changed profile, video or comment."""
    reference = activity.value.object
    if reference.uri == sender.uri or reference.kind in ACTOR_KINDS:
        if reference.uri != sender.uri:
            raise NotAllowed("only the actor herself changes her profile")
        fetch_actor(sender.uri, seconds_old_max=0)
        return Handled()
    _require_theirs(reference.uri)
    if not _is_known(reference.uri):
        return Ignored("it changes nothing that we know")
    _require_own_row(reference.uri, sender)
    note = trust.note_by(reference, sender.actor)
    with one_at_a_time(sender):
        return _change(note, sender)


def _change(note: Note, author: Account) -> Outcome:
    if tombstones.is_buried(note.uri):
        return Ignored("it was deleted")
    if video_queries.comment_by_uri(note.uri) is not None:
        videos.receive_remote_comment_edit(account=author, remote=reading.comment(note))
    elif note.video is None:
        return Ignored("the video is no longer attached")
    else:
        videos.receive_remote_edit(account=author, remote=reading.video(note, note.video))
    return Handled()


def on_delete(activity: Verified[Delete], sender: Account) -> Outcome:
    """A video, a comment, or the sender herself is gone for ever."""
    uri = activity.value.object_uri
    if uri == sender.uri:
        accounts.receive_account_deleted(account=sender)
        Actor.objects.filter(account=sender, gone_at=None).update(gone_at=clock.now())
        tombstones.bury(uri)
        return Handled()
    _require_theirs(uri)
    if not hosts.same_origin(uri, sender.uri):
        raise NotAllowed("it is on another server than the sender")
    with one_at_a_time(sender):
        _require_own_row(uri, sender)
        deleted = videos.receive_delete(account=sender, uri=uri)
        tombstones.bury(uri)
    return Handled() if deleted else Ignored("it was not here; it will not come")


def _require_theirs(uri: str) -> None:
    if locators.is_ours(uri):
        raise NotAllowed("what is ours is not changed from outside")


def _require_own_row(uri: str, sender: Account) -> None:
    row = video_queries.by_uri(uri) or video_queries.comment_by_uri(uri)
    if row is not None and row.account_id != sender.pk:
        raise NotAllowed("it belongs to somebody else")


# --- reactions ---


def on_like(activity: Verified[Like], sender: Account) -> Outcome:
    """Somebody likes a video."""
    video = video_queries.by_uri(activity.value.object_uri)
    if video is None:
        return Ignored("it likes nothing that we know")
    videos.receive_like(account=sender, video=video, uri=activity.value.uri)
    return Handled()


def on_announce(activity: Verified[Announce], sender: Account) -> Outcome:
    """Somebody passes a video on; one that we do not know is fetched from its own server."""
    uri = activity.value.object_uri
    video = video_queries.by_uri(uri)
    if video is None:
        found = _discover(uri)
        if isinstance(found, Ignored):
            return found
        video = found
    videos.receive_share(account=sender, video=video, uri=activity.value.uri)
    return Handled()


def _discover(uri: str) -> Video | Ignored:
    if locators.is_ours(uri) or video_queries.comment_by_uri(uri) is not None:
        return Ignored("it shares no video")
    if tombstones.is_buried(uri):
        return Ignored("it was deleted")
    note = fetch_object(uri)
    if note.in_reply_to:
        return Ignored("it shares a reply")
    author = fetch_actor(note.attributed_to).account
    if author is None:
        return Ignored("the author is no person")
    with one_at_a_time(author):
        outcome = _keep(note, author)
    return outcome if isinstance(outcome, Ignored) else Video.objects.get(uri=note.uri)


# --- moving house ---


def on_move(activity: Verified[Move], sender: Account) -> Outcome:
    """The sender lives somewhere else now: her followers here follow the new account, which must name the old one."""
    if activity.value.object_uri != sender.uri:
        raise NotAllowed("only the actor herself moves")
    if _moved_lately(activity.value, sender):
        raise NotAllowed(f"an account moves at most once in {limits.MOVE_DAYS_MIN} days")
    target = activity.value.target_uri
    new = account_queries.by_uri(target) if locators.is_ours(target) else fetch_actor(target, seconds_old_max=0).account
    if new is None:
        raise NotFound("the new account does not exist")
    accounts.repoint_follows(old=sender, new=new)
    return Handled()


def _moved_lately(move: Move, sender: Account) -> bool:
    since = clock.now() - timedelta(days=limits.MOVE_DAYS_MIN)
    moves = InboxItem.objects.filter(actor__account=sender, kind="Move", state="handled", handled_at__gt=since)
    return moves.exclude(uri=move.uri).exists()


HANDLERS: Mapping[str, Callable[[Verified[Any], Account], Outcome]] = {
    "Follow": on_follow,
    "Accept": on_accept,
    "Reject": on_reject,
    "Undo": on_undo,
    "Create": on_create,
    "Update": on_update,
    "Delete": on_delete,
    "Like": on_like,
    "Announce": on_announce,
    "Move": on_move,
}
