"""Following: asking, answering, taking back, here and across servers. Import these verbs from ``actions``."""

from django.db import IntegrityError, transaction

from server.accounts import queries
from server.accounts.facts import FollowAnswered, FollowRequested, FollowWithdrawn
from server.accounts.models import Account, Follow
from server.core import facts, limits, locators
from server.core.errors import Conflict, Invalid, NotAllowed, NotFound
from server.core.snowflake import make_id


@transaction.atomic
def follow(*, follower: Account, target: Account) -> Follow:
    """``follower`` (local) follows ``target``: at once when local and open, else pending until the other side answers.

    Twice is once. Raises NotAllowed (blocked, or too many follows), NotFound (``target`` is gone), Invalid (oneself).
    """
    check_may_act(follower)
    if follower.pk == target.pk:
        raise Invalid("You cannot follow yourself.", field="target")
    if not queries.is_active(target):
        raise NotFound("There is no such account.")
    if queries.is_blocked(target, follower) or queries.is_blocked(follower, target):
        raise NotAllowed("One of you has blocked the other.")
    found = Follow.objects.filter(follower=follower, target=target).first()
    if found is not None:
        return found
    if Follow.objects.filter(follower=follower).count() >= limits.FOLLOWS_COUNT_MAX:
        raise NotAllowed(f"You may follow at most {limits.FOLLOWS_COUNT_MAX} accounts.")
    waits = target.manually_approves_followers or not target.is_local
    made, created = Follow.objects.get_or_create(
        follower=follower,
        target=target,
        defaults={
            "state": "pending" if waits else "accepted",
            "uri": locators.activity_uri(follower.handle, "follows", make_id()),
        },
    )
    if created and not target.is_local:
        facts.record(FollowRequested(follow_id=made.pk))
    return made


@transaction.atomic
def unfollow(*, follower: Account, target: Account) -> None:
    """``follower`` (local) no longer follows ``target``, and a remote ``target`` is told. Not following is no error."""
    for row in Follow.objects.select_for_update().filter(follower=follower, target=target):
        row.delete()
        if follower.is_local and not target.is_local:
            facts.record(FollowWithdrawn(follower_id=follower.pk, target_id=target.pk, follow_uri=row.uri))


@transaction.atomic
def receive_follow(*, follower: Account, target: Account, uri: str) -> Follow | None:
    """A remote account asks to follow a local one: accepted, pending, or (None) rejected because she is blocked.

    A repeated Follow, also under a new id, is answered again. Raises NotFound, NotAllowed, Conflict (id of another follow).
    """
    if follower.is_local or not target.is_local:
        raise NotAllowed("Only a remote account asks a local one this way.")
    if not queries.is_active(target):
        raise NotFound("There is no such account.")
    if not queries.is_active(follower) or queries.is_blocked(target, follower):
        Follow.objects.filter(follower=follower, target=target).delete()
        _answer(follower=follower, target=target, uri=uri, accepted=False)
        return None
    state = "pending" if target.manually_approves_followers else "accepted"
    try:
        with transaction.atomic():
            row, created = Follow.objects.get_or_create(follower=follower, target=target, defaults={"state": state, "uri": uri})
            if not created:
                row.uri = uri
                row.state = state if row.state == "pending" else row.state
                row.save(update_fields=["uri", "state"])
    except IntegrityError as error:
        raise Conflict("This id belongs to another follow.") from error
    if row.state == "accepted":
        _answer(follower=follower, target=target, uri=uri, accepted=True)
    return row


@transaction.atomic
def answer_follow(*, follow: Follow, by: Account, accept: bool) -> None:
    """``by`` accepts a follow of herself, or rejects one (also one accepted before). Raises NotAllowed for anybody else."""
    if follow.target_id != by.pk or not by.is_local:
        raise NotAllowed("Only the followed account answers.")
    row = Follow.objects.select_for_update().filter(pk=follow.pk).select_related("follower").first()
    if row is None:
        raise NotFound("This request was taken back.")
    if accept and row.state == "accepted":
        return
    if accept:
        row.state = "accepted"
        row.save(update_fields=["state"])
    else:
        row.delete()
    if not row.follower.is_local:
        _answer(follower=row.follower, target=by, uri=row.uri, accepted=accept)


@transaction.atomic
def receive_follow_answer(*, follow_uri: str, target: Account, accepted: bool) -> None:
    """The remote ``target`` accepted or rejected our Follow. Raises NotFound, NotAllowed (not hers to answer)."""
    row = Follow.objects.select_for_update().filter(uri=follow_uri).first()
    if row is None:
        raise NotFound("There is no such follow.")
    if row.target_id != target.pk or target.is_local:
        raise NotAllowed("Only the followed account answers.")
    if not accepted:
        row.delete()
    elif row.state != "accepted":
        row.state = "accepted"
        row.save(update_fields=["state"])


@transaction.atomic
def receive_unfollow(*, follower: Account, target: Account) -> None:
    """A remote account took its follow back. Not following is no error. Raises NotAllowed for a local ``follower``."""
    if follower.is_local:
        raise NotAllowed("A local account does not unfollow from outside.")
    Follow.objects.filter(follower=follower, target=target).delete()


@transaction.atomic
def sever(*, account: Account, target: Account) -> None:
    """End the follows between the two in both directions; the remote side of each is told (used by a block)."""
    unfollow(follower=account, target=target)
    for row in Follow.objects.select_for_update().filter(follower=target, target=account):
        row.delete()
        if account.is_local and not target.is_local:
            _answer(follower=target, target=account, uri=row.uri, accepted=False)


@transaction.atomic
def repoint_follows(*, old: Account, new: Account, by_log: bool = False, linked: bool = False) -> int:
    """``old`` moved to ``new``: her local followers follow ``new`` instead. Returns how many were re-pointed.

    ``by_log``: the key log names ``new``, which may be a place that she left before and came back to. ``linked``: the caller
    has other evidence that both are one person. Else ``new`` must list ``old`` among its other names. Raises NotAllowed.
    Twice is once.
    """
    if old.pk == new.pk or not (linked or old.uri in new.also_known_as):
        raise NotAllowed("The new account does not say that it was the old one.")
    if by_log and new.moved_to_id is not None:
        new.moved_to = None
        new.save(update_fields=["moved_to"])
    if not queries.is_active(new) or new.moved_to_id is not None:
        raise NotAllowed("The new account is gone or has moved on itself.")
    old.moved_to = new
    old.save(update_fields=["moved_to"])
    count = 0
    followers = Account.objects.filter(following__target=old, domain="", deleted_at=None, suspended_at=None)
    for follower in followers:
        unfollow(follower=follower, target=old)
        if follower.pk == new.pk or queries.is_blocked(new, follower) or queries.is_blocked(follower, new):
            continue
        follow(follower=follower, target=new)
        count += 1
    return count


def check_may_act(account: Account) -> None:
    """Raise NotAllowed unless ``account`` is a local account in good standing."""
    if not account.is_local or not queries.is_active(account):
        raise NotAllowed("This account may not act here.")


def _answer(*, follower: Account, target: Account, uri: str, accepted: bool) -> None:
    facts.record(FollowAnswered(target_id=target.pk, follower_id=follower.pk, follow_uri=uri, accepted=accepted))
