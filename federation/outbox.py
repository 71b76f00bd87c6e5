"""Facts about our people -> Delivery rows. Each function is a subscriber of ``server/wiring.py`` and runs in one transaction.

Public things go to the servers of the followers, once per shared inbox; reactions to a remote video go to its owner.
Nothing is sent here: ``delivery`` sends what is owed. Every activity leaves with its proof.
"""

from collections.abc import Iterable

from django.db.models import Case, When

from federation import announcing, published, tombstones
from federation.delivery import drop_waiting, enqueue, refresh_waiting
from federation.models import Actor
from federation.sealing import seal
from federation.wire.json import JsonObject
from server.accounts import queries as accounts
from server.accounts.facts import AccountDeleted, AccountMoved, AccountUpdated, FollowAnswered, FollowRequested, FollowWithdrawn
from server.accounts.models import Account, Follow
from server.core import limits
from server.videos import queries as videos
from server.videos import states
from server.videos.facts import (
    CommentAdded,
    CommentDeleted,
    LikeAdded,
    LikeRemoved,
    ShareAdded,
    ShareRemoved,
    VideoDeleted,
    VideoEdited,
    VideoPublished,
    VideoUnpublished,
)
from server.videos.models import Comment, Like, Share, Video

# Actor.delivery_inbox, as the database says it.
DELIVERY_INBOX = Case(When(shared_inbox="", then="inbox"), default="shared_inbox")


def _followers(*owners: Account) -> set[str]:
    """The distinct inboxes in which the followers of these local accounts read."""
    actors = Actor.objects.filter(
        account__following__target__in=[owner for owner in owners if owner.is_local],
        account__following__state="accepted",
        account__deleted_at=None,
        account__suspended_at=None,
        gone_at=None,
    )
    return set(actors.values_list(DELIVERY_INBOX, flat=True).distinct())


def _inboxes(*people: Account, personal: bool = False) -> set[str]:
    """The inboxes of these accounts, the local ones left out. ``personal``: what concerns nobody else on their servers."""
    actors = Actor.objects.filter(account__in=[account for account in people if not account.is_local], gone_at=None)
    return set(actors.values_list("inbox" if personal else DELIVERY_INBOX, flat=True).distinct())


def _send(activity: JsonObject, by: Account, inboxes: set[str], *, ttl_seconds: int = limits.DELIVERY_AGE_SECONDS_MAX) -> None:
    if inboxes:
        enqueue(activity=seal(activity, by=by), sender=by, inboxes=inboxes, ttl_seconds=ttl_seconds)


# --- videos ---


def announce_video(fact: VideoPublished) -> None:
    """Send a published video to the followers of its owner and to those it mentions."""
    video = _video(fact.video_id)
    if video.state != states.PUBLISHED:
        return
    mentioned = videos.mentioned(video.caption).values()
    enqueue(
        activity=published.create_video(video),
        sender=video.account,
        inboxes=_followers(video.account) | _inboxes(*mentioned),
    )


def update_video(fact: VideoEdited) -> None:
    """Send the changed form of a video to whoever has it."""
    video = _video(fact.video_id)
    if video.state != states.PUBLISHED or video.edited_at is None:
        return
    # What still waits says the new words, or is overtaken by them: an old form never arrives after a newer one.
    new_to_it = refresh_waiting(activity=published.create_video(video), sender=video.account)
    drop_waiting(about=video.uri, sender=video.account, kinds=["Update"])
    _send(announcing.update_video(video, published.note(video)), video.account, _audience(video) - new_to_it)


def delete_video(fact: VideoDeleted | VideoUnpublished) -> None:
    """Tell everybody who may have a video that it is gone, for a month if need be.

    A video taken back is gone for other servers too: most of them never take a deleted id again.
    """
    video = _video(fact.video_id)
    if video.state == states.PUBLISHED:
        return  # published again before this was told
    if video.state == states.DELETED:
        tombstones.bury(video.uri)
        activity = published.delete(video.uri, video.account)
    else:
        activity = published.take_back(video)
    drop_waiting(about=video.uri, sender=video.account, kinds=["Create", "Update"])
    enqueue(
        activity=activity,
        sender=video.account,
        inboxes=_audience(video),
        ttl_seconds=limits.DELETE_AGE_SECONDS_MAX,
    )


def _video(video_id: int) -> Video:
    return Video.objects.select_related("account").get(pk=video_id)


def _audience(video: Video) -> set[str]:
    """Whoever has this local video: followers of the owner, and everybody who answered, liked or shared it."""
    involved = Account.objects.exclude(domain="").filter(pk__in=_involved(video))
    sharers = Account.objects.filter(domain="", shares__video=video)
    return _followers(video.account, *sharers) | _inboxes(*involved)


def _involved(video: Video) -> Iterable[int]:
    for rows in (video.comments, video.likes, video.shares):
        yield from rows.values_list("account_id", flat=True).distinct()


# --- comments ---


def announce_comment(fact: CommentAdded) -> None:
    """Send a comment to its author's followers, to the owner of the video and of the comment it answers.

    Under a local video it goes to the followers of the owner too: they have the thread.
    """
    comment = _comment(fact.comment_id)
    if comment.deleted_at is not None:
        return
    enqueue(activity=published.create_comment(comment), sender=comment.account, inboxes=_thread(comment))


def delete_comment(fact: CommentDeleted) -> None:
    """Tell everybody who was told of a comment that it is gone."""
    comment = _comment(fact.comment_id)
    tombstones.bury(comment.uri)
    drop_waiting(about=comment.uri, sender=comment.account, kinds=["Create"])
    enqueue(
        activity=published.delete(comment.uri, comment.account),
        sender=comment.account,
        inboxes=_thread(comment),
        ttl_seconds=limits.DELETE_AGE_SECONDS_MAX,
    )


def _comment(comment_id: int) -> Comment:
    return Comment.objects.select_related("account", "video__account", "parent__account").get(pk=comment_id)


def _thread(comment: Comment) -> set[str]:
    people = [comment.video.account, *videos.mentioned(comment.text).values()]
    if comment.parent is not None:
        people.append(comment.parent.account)
    return _followers(comment.account, comment.video.account) | _inboxes(*people)


# --- reactions: they concern the owner of the video ---


def announce_like(fact: LikeAdded) -> None:
    """Tell the owner of a remote video of a like."""
    like = Like.objects.select_related("account", "video__account").filter(pk=fact.like_id).first()
    if like is not None:
        activity = announcing.like(like.uri, like.account, like.video)
        _send(activity, like.account, _inboxes(like.video.account, personal=True))


def undo_like(fact: LikeRemoved) -> None:
    """Tell the owner of a remote video that a like was taken back."""
    by, video = Account.objects.get(pk=fact.account_id), _video(fact.video_id)
    activity = announcing.undo(announcing.like(fact.like_uri, by, video))
    drop_waiting(about=fact.like_uri, sender=by, kinds=["Like"])
    _send(activity, by, _inboxes(video.account, personal=True))


def announce_share(fact: ShareAdded) -> None:
    """Pass a video on to the followers of the one who shares it, and tell its owner."""
    share = Share.objects.select_related("account", "video__account").filter(pk=fact.share_id).first()
    if share is not None:
        activity = announcing.announce(share.uri, share.account, share.video)
        _send(activity, share.account, _followers(share.account) | _inboxes(share.video.account))


def undo_share(fact: ShareRemoved) -> None:
    """Take a share back everywhere."""
    by, video = Account.objects.get(pk=fact.account_id), _video(fact.video_id)
    activity = announcing.undo(announcing.announce(fact.share_uri, by, video))
    drop_waiting(about=fact.share_uri, sender=by, kinds=["Announce"])
    _send(activity, by, _followers(by) | _inboxes(video.account))


# --- follows ---


def request_follow(fact: FollowRequested) -> None:
    """Ask a remote account to be followed."""
    row = Follow.objects.select_related("follower", "target").filter(pk=fact.follow_id).first()
    if row is not None:
        activity = announcing.follow(row.uri, row.follower, row.target)
        _send(activity, row.follower, _inboxes(row.target, personal=True))


def answer_follow(fact: FollowAnswered) -> None:
    """Tell a remote account whether its follow was accepted."""
    follower, target = Account.objects.get(pk=fact.follower_id), Account.objects.get(pk=fact.target_id)
    activity = announcing.answer(fact.follow_uri, follower, target, accepted=fact.accepted)
    _send(activity, target, _inboxes(follower, personal=True))


def withdraw_follow(fact: FollowWithdrawn) -> None:
    """Tell a remote account that it is no longer followed."""
    follower, target = Account.objects.get(pk=fact.follower_id), Account.objects.get(pk=fact.target_id)
    activity = announcing.undo(announcing.follow(fact.follow_uri, follower, target))
    drop_waiting(about=fact.follow_uri, sender=follower, kinds=["Follow"])
    _send(activity, follower, _inboxes(target, personal=True))


# --- accounts ---


def update_account(fact: AccountUpdated) -> None:
    """Send a changed profile to the followers."""
    account = Account.objects.get(pk=fact.account_id)
    if accounts.is_active(account):
        _send(announcing.update_person(account, published.person(account)), account, _followers(account))


def announce_move(fact: AccountMoved) -> None:
    """Tell the followers that an account lives elsewhere now: its changed profile (``movedTo``), and the Move itself."""
    account = Account.objects.select_related("moved_to").get(uri=fact.old_uri)
    if account.moved_to is None or account.moved_to.uri != fact.new_uri:
        return  # she has moved on, or came back, before this was told
    update = announcing.update_person(account, published.person(account))
    for activity in (update, announcing.move(account, fact.new_uri)):
        _send(activity, account, _followers(account))


def delete_account(fact: AccountDeleted) -> None:
    """Tell the followers, and everybody the account followed, that it is gone.

    Of an account that moved nobody is told: others would drop the followers who are to come along.
    """
    account = Account.objects.get(pk=fact.account_id)
    tombstones.bury(account.uri)
    if account.moved_to_id:
        return
    drop_waiting(sender=account, kinds=["Create", "Update", "Like", "Announce", "Follow", "Accept"])
    followed = Account.objects.exclude(domain="").filter(followers__follower=account)
    _send(
        announcing.delete_person(account),
        account,
        _followers(account) | _inboxes(*followed),
        ttl_seconds=limits.DELETE_AGE_SECONDS_MAX,
    )
