"""Hashtags of a video as rows."""

from collections.abc import Iterable

from server.core import limits
from server.videos import captions
from server.videos.models import Hashtag, Video


def set_hashtags(video: Video, written: Iterable[str]) -> None:
    """Give ``video`` exactly these tags (with or without ``#``), in their stored form; what is no tag is left out."""
    names = list(dict.fromkeys(name for each in written if (name := captions.tag_name(each))))[: limits.TAGS_PER_POST_MAX]
    # ignore_conflicts: another transaction may make the same tag at the same time.
    Hashtag.objects.bulk_create([Hashtag(name=name) for name in names], ignore_conflicts=True)
    video.hashtags.set(Hashtag.objects.filter(name__in=names))
