"""Follow, Accept, Reject."""

from federation.handlers.outcomes import Handled, Ignored, Outcome
from federation.wire.activities import Accept, Follow, Reject
from federation.wire.verified import Verified
from server.accounts import actions as accounts
from server.accounts import queries
from server.accounts.models import Account
from server.accounts.models import Follow as FollowRow


def on_follow(activity: Verified[Follow], sender: Account) -> Outcome:
    """A remote account follows a local one."""
    target = queries.by_uri(activity.value.target)
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
