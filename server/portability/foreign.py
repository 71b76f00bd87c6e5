"""What the archives of Mastodon and of PeerTube say, in our words. Pure: JSON in, values out.

Sources: Mastodon's ``app/services/backup_service.rb`` (outbox.json, actor.json, media by path); PeerTube's
``server/core/lib/user-import-export`` (peertube/videos.json, following.json, blocklist.json, files/videos/).
"""

import posixpath
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from server.core import canonical, richtext
from server.portability.errors import BadPart

JSON_DEPTH_MAX = 64
PUBLIC = frozenset({"https://www.w3.org/ns/activitystreams#Public", "as:Public", "Public"})
VIDEO_ENDINGS = (".mp4", ".mov", ".webm", ".m4v", ".mkv", ".ogv", ".avi")
# PeerTube's VideoPrivacy.
_PEERTUBE_PRIVACY = {1: "public", 2: "unlisted"}


@dataclass(frozen=True, kw_only=True)
class ForeignVideo:
    """A video of another server: its words, and under which name its file lies in the archive (empty: it does not)."""

    uri: str
    path: str
    caption: str
    alt_text: str = ""
    language: str = ""
    sensitive: bool = False
    # public, unlisted, or empty for what was seen by few: that is imported without being published.
    visibility: str = ""
    comments_open: bool = True
    published: datetime | None = None


def document(data: bytes) -> Mapping[str, Any]:
    """A JSON object of the archive. Raises BadPart."""
    try:
        value = canonical.parse(data, depth_max=JSON_DEPTH_MAX)
    except ValueError as error:
        raise BadPart(f"A file is not strict JSON: {error}") from error
    if not isinstance(value, dict):
        raise BadPart("A file is not a JSON object.")
    return value


def _list(value: Any) -> list[Mapping[str, Any]]:
    return [each for each in value if isinstance(each, dict)] if isinstance(value, list) else []


def _text(value: Any) -> str:
    return value if isinstance(value, str) else ""


def _moment(value: Any) -> datetime | None:
    try:
        moment = datetime.fromisoformat(_text(value))
    except ValueError:
        return None
    return moment if moment.tzinfo is not None else None


# --- Mastodon ---


def mastodon_actor(actor: Mapping[str, Any]) -> str:
    """The id of the person whose archive it is. Raises BadPart."""
    uri = actor.get("id")
    if not isinstance(uri, str) or actor.get("type") not in {"Person", "Service", "Group", "Organization"}:
        raise BadPart("actor.json describes nobody.")
    return uri


def mastodon_videos(outbox: Mapping[str, Any], *, actor: str) -> Iterator[ForeignVideo]:
    """Every video that ``actor`` posted; posts of others and posts without a video are left out."""
    for activity in _list(outbox.get("orderedItems")):
        note = activity.get("object")
        if activity.get("type") != "Create" or not isinstance(note, dict) or note.get("attributedTo") != actor:
            continue
        uri = _text(note.get("id"))
        videos = [each for each in _list(note.get("attachment")) if _text(each.get("mediaType")).startswith("video/")]
        for number, attachment in enumerate(videos, start=1):
            content = _text(note.get("content"))
            yield ForeignVideo(
                uri=uri if number == 1 else f"{uri}#{number}",
                path=_text(attachment.get("url")).lstrip("/"),
                caption=richtext.words(content),
                alt_text=_text(attachment.get("name")),
                language=_language(note, content),
                sensitive=note.get("sensitive") is True or bool(note.get("summary")),
                visibility=_visibility(note),
                published=_moment(note.get("published")),
            )


def _language(note: Mapping[str, Any], content: str) -> str:
    translations = note.get("contentMap")
    if not isinstance(translations, dict):
        return ""
    return next((str(name) for name, text in translations.items() if text == content), "")


def _visibility(note: Mapping[str, Any]) -> str:
    def addressed(name: str) -> bool:
        value = note.get(name)
        return any(each in PUBLIC for each in (value if isinstance(value, list) else [value]) if isinstance(each, str))

    return "public" if addressed("to") else "unlisted" if addressed("cc") else ""


# --- PeerTube ---


def peertube_videos(exported: Mapping[str, Any]) -> Iterator[ForeignVideo]:
    """Every video of ``peertube/videos.json``."""
    for video in _list(exported.get("videos")):
        files = video.get("archiveFiles")
        inside = _text(files.get("videoFile")) if isinstance(files, dict) else ""
        tags = [each for each in video.get("tags") or [] if isinstance(each, str)] if isinstance(video.get("tags"), list) else []
        words = [
            _text(video.get("name")),
            _text(video.get("description")),
            " ".join(f"#{each.replace(' ', '')}" for each in tags),
        ]
        yield ForeignVideo(
            uri=_text(video.get("url")) or f"urn:uuid:{_text(video.get('uuid'))}",
            # Written relative to the folder of the JSON file.
            path=posixpath.normpath(posixpath.join("peertube", inside)) if inside else "",
            caption="\n\n".join(each for each in words if each),
            language=_text(video.get("language")),
            sensitive=video.get("nsfw") is True,
            visibility=_PEERTUBE_PRIVACY.get(_number(video.get("privacy")), ""),
            comments_open=video.get("commentsEnabled") is not False,
            published=_moment(video.get("originallyPublishedAt")) or _moment(video.get("publishedAt")),
        )


def _number(value: Any) -> int:
    return value if isinstance(value, int) and not isinstance(value, bool) else 0


def peertube_following(exported: Mapping[str, Any]) -> list[str]:
    """The addresses that were followed: accounts and channels alike."""
    return [_text(each.get("targetHandle")) for each in _list(exported.get("following")) if _text(each.get("targetHandle"))]


def peertube_blocks(exported: Mapping[str, Any]) -> tuple[list[str], list[str]]:
    """The addresses and the hosts that were blocked."""
    people = [_text(each.get("handle")) for each in _list(exported.get("actors"))]
    hosts = [_text(each.get("host")) for each in _list(exported.get("instances"))]
    return [each for each in people if each], [each for each in hosts if each]
