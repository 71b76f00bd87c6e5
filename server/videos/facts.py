"""What happens to videos, and what local people do with them; what remote people do arrives already told."""

from dataclasses import dataclass

from server.core.facts import Fact


@dataclass(frozen=True, kw_only=True)
class UploadFinished(Fact):
    """All bytes of an upload are here; the video waits to be transcoded."""

    video_id: int


@dataclass(frozen=True, kw_only=True)
class VideoPublished(Fact):
    """A local video became public."""

    video_id: int


@dataclass(frozen=True, kw_only=True)
class VideoUnpublished(Fact):
    """A local video was taken back by its owner, who may publish it again; other servers must drop it."""

    video_id: int


@dataclass(frozen=True, kw_only=True)
class VideoEdited(Fact):
    """The caption, alt text or another field of a published local video changed."""

    video_id: int


@dataclass(frozen=True, kw_only=True)
class VideoDeleted(Fact):
    """A local video was deleted; the row stays as ``deleted``."""

    video_id: int


@dataclass(frozen=True, kw_only=True)
class CommentAdded(Fact):
    """A local account commented."""

    comment_id: int


@dataclass(frozen=True, kw_only=True)
class CommentDeleted(Fact):
    """A local comment was deleted; the row stays, its text is gone."""

    comment_id: int


@dataclass(frozen=True, kw_only=True)
class LikeAdded(Fact):
    """A local account liked a video."""

    like_id: int


@dataclass(frozen=True, kw_only=True)
class LikeRemoved(Fact):
    """A local account took a like back; the row is gone."""

    account_id: int
    video_id: int
    like_uri: str


@dataclass(frozen=True, kw_only=True)
class ShareAdded(Fact):
    """A local account shared a video with her followers."""

    share_id: int


@dataclass(frozen=True, kw_only=True)
class ShareRemoved(Fact):
    """A local account took a share back; the row is gone."""

    account_id: int
    video_id: int
    share_uri: str


@dataclass(frozen=True, kw_only=True)
class ViewCounted(Fact):
    """Somebody watched a video here. Who it was is not said.

    ``work`` is the video's ActivityPub id; ``reason`` says why the view steers no money and is empty when it does;
    ``weight_ms`` is the time watched, capped.
    """

    work: str
    creator_scid: str
    weight_ms: int
    reason: str
