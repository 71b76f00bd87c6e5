"""Like and Announce."""

from federation.handlers.outcomes import Handled, Ignored, Outcome
from federation.handlers.posts import discover
from federation.wire.activities import Announce, Like
from federation.wire.verified import Verified
from server.accounts.models import Account
from server.videos import actions as videos
from server.videos import queries


def on_like(activity: Verified[Like], sender: Account) -> Outcome:
    """Somebody likes a video."""
    video = queries.by_uri(activity.value.object_uri)
    if video is None:
        return Ignored("it likes nothing that we know")
    videos.receive_like(account=sender, video=video, uri=activity.value.uri)
    return Handled()


def on_announce(activity: Verified[Announce], sender: Account) -> Outcome:
    """Somebody passes a video on; one that we do not know must prove itself, or is fetched."""
    video = queries.by_uri(activity.value.object.uri)
    if video is None:
        found = discover(activity.value.object, asked_by=sender)
        if isinstance(found, Ignored):
            return found
        video = found
    videos.receive_share(account=sender, video=video, uri=activity.value.uri)
    return Handled()
