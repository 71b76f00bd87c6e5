"""Activities of our people, still without their proof. Each has one stable id: sent twice, it is the same activity.

No id has a fragment: FEP-8b32 wants none in what is signed.
"""

from datetime import datetime
from typing import Any

from federation.translate import audience
from federation.wire.json import JsonObject
from federation.wire.objects import PUBLIC
from server.accounts.models import Account
from server.core import canonical, clock
from server.core.snowflake import make_id
from server.videos.models import Video


def _activity(kind: str, uri: str, actor: str, object_: Any, **fields: Any) -> JsonObject:
    return {"id": uri, "type": kind, "actor": actor, "object": object_, **fields}


def _addressed(document: JsonObject) -> JsonObject:
    return {"to": document["to"], "cc": document["cc"]}


def create(document: JsonObject) -> JsonObject:
    """A Note was posted."""
    return _activity(
        "Create",
        f"{document['id']}/activity",
        document["attributedTo"],
        document,
        published=document["published"],
        **_addressed(document),
    )


def update_video(video: Video, document: JsonObject) -> JsonObject:
    """A video reads as ``document`` now. The moment of the change is the id: two changes are two, one told twice is one."""
    assert video.edited_at is not None
    uri = f"{video.uri}/updates/{_microseconds(video.edited_at)}"
    return _activity("Update", uri, video.account.uri, document, updated=document["updated"], **_addressed(document))


def _microseconds(moment: datetime) -> int:
    return int(moment.timestamp() * 1_000_000)


def delete(tombstone: JsonObject, author: Account) -> JsonObject:
    """A Note is gone; ``tombstone`` stands in its place."""
    return _activity("Delete", f"{tombstone['id']}/delete", author.uri, tombstone, **audience(author, public=True))


def like(uri: str, by: Account, video: Video) -> JsonObject:
    """``by`` likes ``video``."""
    return _activity("Like", uri, by.uri, video.uri, to=[video.account.uri])


def announce(uri: str, by: Account, video: Video) -> JsonObject:
    """``by`` passes ``video`` on to her followers."""
    return _activity("Announce", uri, by.uri, video.uri, **audience(by, public=True, mentioned=[video.account]))


def move(account: Account, new_uri: str) -> JsonObject:
    """``account`` lives at ``new_uri`` now."""
    digest = canonical.sha256_hex(new_uri.encode())
    return _activity(
        "Move", f"{account.uri}/moves/{digest}", account.uri, account.uri, target=new_uri, **audience(account, public=False)
    )


def move_here(account: Account, old_uri: str) -> JsonObject:
    """``account`` is where ``old_uri`` lives now, told by the new home: the old one may be gone (FEP-7628, pull mode)."""
    digest = canonical.sha256_hex(old_uri.encode())
    return _activity("Move", f"{account.uri}/arrivals/{digest}", account.uri, old_uri, target=account.uri, to=[PUBLIC])


def undo(activity: JsonObject) -> JsonObject:
    """The activity is taken back; it is embedded with its id, as other servers want it."""
    addressed = {name: activity[name] for name in ("to", "cc") if name in activity}
    return _activity("Undo", f"{activity['id']}/undo", activity["actor"], activity, **addressed)


def follow(uri: str, follower: Account, target: Account) -> JsonObject:
    """``follower`` asks to follow ``target``."""
    return _activity("Follow", uri, follower.uri, target.uri, to=[target.uri])


def answer(follow_uri: str, follower: Account, target: Account, *, accepted: bool) -> JsonObject:
    """``target`` answers a Follow. The id is new each time: a repeated Follow is answered again."""
    kind = "Accept" if accepted else "Reject"
    inner = {"id": follow_uri, "type": "Follow", "actor": follower.uri, "object": target.uri}
    return _activity(kind, f"{target.uri}/{kind.lower()}s/{make_id()}", target.uri, inner, to=[follower.uri])


def update_person(account: Account, document: JsonObject) -> JsonObject:
    """A profile reads as ``document`` now."""
    uri = f"{account.uri}/updates/{_microseconds(account.updated_at)}"
    updated = clock.iso(account.updated_at)
    return _activity("Update", uri, account.uri, document, updated=updated, **audience(account, public=True))


def delete_person(account: Account) -> JsonObject:
    """An account was closed."""
    return _activity("Delete", f"{account.uri}/delete", account.uri, account.uri, **audience(account, public=True))
