"""The buttons: like, pass on, watched; follow, block, mute. Plain forms to people, JSON to our scripts."""

from collections.abc import Callable, Mapping
from typing import TypeVar

from django.http import HttpRequest, HttpResponse
from django.urls import reverse
from django.views.decorators.http import require_POST

from server.accounts import actions as account_actions
from server.accounts import queries as accounts
from server.accounts.models import Account
from server.core.errors import NotFound
from server.feed.actions import mark_seen
from server.videos import actions
from server.videos import queries as videos
from server.web.answers import done, door
from server.web.viewers import needs_account, viewer_of

Row = TypeVar("Row")

# verb -> (action, is it on afterwards, which count changes)
VIDEO_VERBS: Mapping[str, tuple[Callable[..., object], bool, str]] = {
    "like": (actions.like, True, "like_count"),
    "unlike": (actions.unlike, False, "like_count"),
    "share": (actions.share, True, "share_count"),
    "unshare": (actions.unshare, False, "share_count"),
}
ACCOUNT_VERBS: Mapping[str, tuple[Callable[..., object], str, str]] = {
    "follow": (account_actions.follow, "follower", "You follow {name}."),
    "unfollow": (account_actions.unfollow, "follower", "You no longer follow {name}."),
    "block": (account_actions.block, "account", "You blocked {name}. You will not see each other."),
    "unblock": (account_actions.unblock, "account", "You no longer block {name}."),
    "mute": (account_actions.mute, "account", "You muted {name}. They will not know."),
    "unmute": (account_actions.unmute, "account", "You no longer mute {name}."),
}


@require_POST
@door
@needs_account
def on_video(request: HttpRequest, viewer: Account, video_id: int, verb: str) -> HttpResponse:
    """Like, unlike, share or unshare a video."""
    act, is_on, column = _known(VIDEO_VERBS, verb)
    video = videos.public_video(video_id, viewer)
    act(video=video, by=viewer)
    video.refresh_from_db(fields=[column])
    say = "Passed on to your followers." if verb == "share" else ""
    return done(request, to=reverse("watch", args=[video.pk]), say=say, on=is_on, count=getattr(video, column))


@require_POST
@door
def watched(request: HttpRequest, video_id: int) -> HttpResponse:
    """Our player says how long a video was watched: the feed will not show it again soon, and a long enough look is a view."""
    viewer = viewer_of(request)
    video = videos.public_video(video_id, viewer)
    given = request.POST.get("watched_ms", "")
    watched_ms = int(given) if given.isascii() and given.isdigit() and len(given) < 10 else 0  # noqa: PLR2004
    if viewer is not None:
        mark_seen(account=viewer, video=video, watched_ms=watched_ms)
    actions.count_view(video=video, viewer=viewer, watched_ms=watched_ms)
    return HttpResponse(status=204)


@require_POST
@door
@needs_account
def on_account(request: HttpRequest, viewer: Account, acct: str, verb: str) -> HttpResponse:
    """Follow, block or mute somebody, or take it back."""
    act, role, words = _known(ACCOUNT_VERBS, verb)
    target = accounts.by_acct(acct)
    act(**{role: viewer, "target": target})
    state = accounts.relationship(viewer, target)
    say = f"{target.name} will be asked." if verb == "follow" and state.requested else words.format(name=target.name)
    standing = "accepted" if state.following else "pending" if state.requested else ""
    return done(
        request,
        to=reverse("profile", args=[target.acct]),
        say=say,
        on=bool(standing) if role == "follower" else not verb.startswith("un"),
        state=standing,
        count=accounts.accepted_followers(target).count(),
    )


def _known(table: Mapping[str, Row], verb: str) -> Row:
    if verb not in table:
        raise NotFound("There is no such action.")
    return table[verb]
