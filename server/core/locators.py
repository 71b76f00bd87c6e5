"""The addresses of local things. Each is made once, stored in its row, and never changes."""

from django.conf import settings


def actor_uri(handle: str) -> str:
    """ActivityPub id of a local account."""
    return f"{settings.ORIGIN}/users/{handle}"


def profile_url(handle: str) -> str:
    """The page of a local account."""
    return f"{settings.ORIGIN}/@{handle}"


def key_log_url(handle: str) -> str:
    """Where the key log of a local account's identity is served: the place its did:webvh says."""
    return f"{settings.ORIGIN}/u/{handle}/did.jsonl"


def note_uri(handle: str, video_id: int) -> str:
    """ActivityPub id of a local video's Note."""
    return f"{settings.ORIGIN}/users/{handle}/posts/{video_id}"


def watch_url(video_id: int) -> str:
    """The page on which a video is watched."""
    return f"{settings.ORIGIN}/w/{video_id}"


def comment_uri(handle: str, comment_id: int) -> str:
    """ActivityPub id of a local comment."""
    return f"{settings.ORIGIN}/users/{handle}/comments/{comment_id}"


def activity_uri(handle: str, kind: str, number: int) -> str:
    """Id of an activity of a local account; ``kind`` is ``follows``, ``likes``, ``shares``..."""
    return f"{settings.ORIGIN}/users/{handle}/{kind}/{number}"


def instance_actor_uri() -> str:
    """ActivityPub id of the instance itself."""
    return f"{settings.ORIGIN}/actor"


def is_ours(uri: str) -> bool:
    """True for an address under our own origin."""
    return uri == settings.ORIGIN or uri.startswith(f"{settings.ORIGIN}/")
