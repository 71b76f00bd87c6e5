"""What the pages show of videos: the rows, where they play, and how the viewer stands to them. A fixed number of queries."""

from collections.abc import Sequence
from dataclasses import dataclass

from django.utils.safestring import SafeString

from server.accounts.models import Account, Follow
from server.videos import queries as videos
from server.videos.models import Like, Share, Video


@dataclass(frozen=True, kw_only=True)
class Card:
    """One video, ready for a template."""

    video: Video
    playback: videos.Playback
    caption: SafeString
    mine: bool = False
    liked: bool = False
    shared: bool = False
    # "accepted", "pending" or empty.
    follow_state: str = ""
    # Somebody the viewer follows who passed the video on.
    shared_by: Account | None = None

    @property
    def shape(self) -> str:
        """``portrait``, ``square`` or ``landscape``; unknown sizes count as portrait, the usual one."""
        width, height = self.video.width or 9, self.video.height or 16
        if width * 10 > height * 11:
            return "landscape"
        return "square" if width * 11 > height * 10 else "portrait"


def cards(found: Sequence[Video], viewer: Account | None) -> list[Card]:
    """The videos as the pages show them to ``viewer``, in the same order."""
    ids = [video.pk for video in found]
    liked, shared, follows, passed_on = _standing(ids, [video.account_id for video in found], viewer)
    return [
        Card(
            video=video,
            playback=videos.playback(video),
            caption=videos.caption_as_html(video),
            mine=viewer is not None and video.account_id == viewer.pk,
            liked=video.pk in liked,
            shared=video.pk in shared,
            follow_state=follows.get(video.account_id, ""),
            shared_by=None if video.account_id in follows else passed_on.get(video.pk),
        )
        for video in found
    ]


def _standing(
    ids: list[int], authors: list[int], viewer: Account | None
) -> tuple[set[int], set[int], dict[int, str], dict[int, Account]]:
    if viewer is None:
        return set(), set(), {}, {}
    liked = set(Like.objects.filter(account=viewer, video_id__in=ids).values_list("video_id", flat=True))
    shared = set(Share.objects.filter(account=viewer, video_id__in=ids).values_list("video_id", flat=True))
    follows = dict(Follow.objects.filter(follower=viewer, target_id__in=authors).values_list("target_id", "state"))
    followed = Follow.objects.filter(follower=viewer, state="accepted").values("target_id")
    passed_on = Share.objects.filter(video_id__in=ids, account_id__in=followed).select_related("account").order_by("-id")
    return liked, shared, follows, {share.video_id: share.account for share in passed_on}
