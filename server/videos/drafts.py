"""What an uploader says about her video before anyone sees it."""

from dataclasses import dataclass


@dataclass(frozen=True, kw_only=True)
class VideoDraft:
    """The words and choices of a new video; ``actions.finish_upload`` checks them."""

    caption: str = ""
    alt_text: str = ""
    language: str = ""
    sensitive: bool = False
    visibility: str = "public"
    comments_open: bool = True
    publish_when_ready: bool = True
