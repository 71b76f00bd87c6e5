"""What another server says about a video or a comment, already parsed and owned by the account that sent it."""

from dataclasses import dataclass
from datetime import datetime
from uuid import UUID


@dataclass(frozen=True, kw_only=True)
class RemoteVideo:
    """A video post of another server. HTML is as it came: ``actions`` sanitises it."""

    uri: str
    url: str
    mp4_url: str
    published_at: datetime
    caption_html: str = ""
    alt_text: str = ""
    language: str = ""
    sensitive: bool = False
    hashtags: tuple[str, ...] = ()
    poster_url: str = ""
    blurhash: str = ""
    width: int | None = None
    height: int | None = None
    duration_ms: int | None = None
    visibility: str = "public"
    uuid: UUID | None = None


@dataclass(frozen=True, kw_only=True)
class RemoteComment:
    """A reply of another server to a video or to a comment (``in_reply_to``). HTML is as it came."""

    uri: str
    url: str
    html: str
    published_at: datetime
    in_reply_to: str
