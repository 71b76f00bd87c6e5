"""Create, Update and Delete of videos, comments and people."""

from collections.abc import Iterator
from contextlib import contextmanager

from django.db import transaction

from federation import proven, reading, tombstones, trust
from federation.fetch import fetch_actor
from federation.handlers.outcomes import Handled, Ignored, Outcome
from federation.models import Actor, ProvenDocument
from federation.trust import Post
from federation.wire.activities import Create, Delete, Reference, Update
from federation.wire.objects import ACTOR_KINDS, Note
from federation.wire.verified import Verified
from server.accounts import actions as accounts
from server.accounts import queries as account_queries
from server.accounts.models import Account
from server.core import clock, hosts, locators
from server.core.errors import NotAllowed, NotFound
from server.videos import actions as videos
from server.videos import queries
from server.videos.models import Video


@contextmanager
def one_at_a_time(author: Account) -> Iterator[None]:
    """One transaction in which nothing else that ``author`` sent is handled: her Create and Delete cannot pass each other."""
    with transaction.atomic():
        # Evaluated for its lock alone.
        list(Actor.objects.select_for_update().filter(account=author).values_list("pk", flat=True))
        yield


def on_create(activity: Verified[Create], sender: Account) -> Outcome:
    """A new video, or a comment in a thread that we know."""
    _require_theirs(activity.value.object.uri)
    post = trust.post_by(activity.value.object, sender.actor)
    with one_at_a_time(sender):
        return _keep(post, sender)


def _keep(post: Post, author: Account) -> Outcome:
    outcome = _keep_note(post.note, author)
    if isinstance(outcome, Handled) and post.proved is not None:
        proven.remember(post.proved, author)
    return outcome


def _keep_note(note: Note, author: Account) -> Outcome:
    if tombstones.is_buried(note.uri):
        return Ignored("it was deleted")
    if note.kind not in reading.NOTE_KINDS:
        return Ignored(f"{note.kind} is not a kind of post that we show")
    if note.visibility == "private":
        return Ignored("it is not public")
    if note.in_reply_to:
        return _keep_comment(note, author)
    if note.video is None:
        return Ignored("it has no video attached")
    videos.receive_remote(account=author, remote=reading.video(note, note.video))
    return Handled()


def _keep_comment(note: Note, author: Account) -> Outcome:
    try:
        videos.receive_remote_comment(account=author, remote=reading.comment(note))
    except NotFound:
        return Ignored("it replies to nothing that we know")
    return Handled()


def _is_known(uri: str) -> bool:
    return queries.by_uri(uri) is not None or queries.comment_by_uri(uri) is not None


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
    post = trust.post_by(reference, sender.actor)
    with one_at_a_time(sender):
        return _change(post, sender)


def _change(post: Post, author: Account) -> Outcome:
    note = post.note
    if tombstones.is_buried(note.uri):
        return Ignored("it was deleted")
    if queries.comment_by_uri(note.uri) is not None:
        videos.receive_remote_comment_edit(account=author, remote=reading.comment(note))
    elif note.video is None:
        return Ignored("the video is no longer attached")
    else:
        videos.receive_remote_edit(account=author, remote=reading.video(note, note.video))
    if post.proved is not None:
        # An older form is refused here, and all of this is undone.
        proven.remember(post.proved, author)
    return Handled()


def on_delete(activity: Verified[Delete], sender: Account) -> Outcome:
    """A video, a comment, or the sender herself is gone for ever."""
    uri = activity.value.object_uri
    if uri == sender.uri:
        accounts.receive_account_deleted(account=sender)
        Actor.objects.filter(account=sender, gone_at=None).update(gone_at=clock.now())
        return Handled()
    _require_theirs(uri)
    if account_queries.by_uri(uri) is not None:
        raise NotAllowed("only the actor herself leaves")
    if not hosts.same_origin(uri, sender.uri):
        raise NotAllowed("it is on another server than the sender")
    with one_at_a_time(sender):
        _require_own_row(uri, sender)
        deleted = videos.receive_delete(account=sender, uri=uri)
        tombstones.bury(uri)
        ProvenDocument.objects.filter(uri=uri, account=sender).delete()
    return Handled() if deleted else Ignored("it was not here; it will not come")


def _require_theirs(uri: str) -> None:
    if locators.is_ours(uri):
        raise NotAllowed("what is ours is not changed from outside")


def _require_own_row(uri: str, sender: Account) -> None:
    row = queries.by_uri(uri) or queries.comment_by_uri(uri)
    if row is not None and row.account_id != sender.pk:
        raise NotAllowed("it belongs to somebody else")


def discover(reference: Reference, *, asked_by: Account) -> Video | Ignored:
    """The video that ``reference`` means, believed by its own proof or fetched from its own server, or why not.

    Raises whatever fetching raises.
    """
    uri = reference.uri
    if locators.is_ours(uri) or queries.comment_by_uri(uri) is not None:
        return Ignored("it shares no video")
    if tombstones.is_buried(uri):
        return Ignored("it was deleted")
    post, actor = trust.post_of_anybody(reference, host=asked_by.domain)
    if post.note.in_reply_to:
        return Ignored("it shares a reply")
    author = actor.account
    if author is None:
        return Ignored("the author is no person")
    with one_at_a_time(author):
        outcome = _keep(post, author)
    return outcome if isinstance(outcome, Ignored) else Video.objects.get(uri=post.note.uri)
