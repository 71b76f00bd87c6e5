"""Our rows as ActivityStreams documents. Nothing here writes or sends.

Shapes follow what other servers check before they accept anything (``docs/reference/federation.md``): ``to`` and ``cc`` are
always arrays, a video's ``url`` is always a text, keys are SPKI in PEM, HTML is only what Mastodon shows.
"""

import math
from collections.abc import Sequence
from datetime import datetime

from django.conf import settings

from federation import keyring, sealing
from federation.models import Migration
from federation.sealing import Method
from federation.wire.json import JsonObject
from federation.wire.objects import PUBLIC
from payouts import queries as ledgers
from server.accounts import queries as accounts
from server.accounts.models import Account
from server.core import canonical, clock, locators, storage
from server.core.keys import instance_key
from server.videos import queries as videos
from server.videos.captions import as_html
from server.videos.models import Comment, Video


def absolute(address: str) -> str:
    """``address`` as others must see it: with our origin when it is relative to our site."""
    return f"{settings.ORIGIN}{address}" if address.startswith("/") else address


# --- actors ---


def instance_actor() -> JsonObject:
    """The instance itself: it signs our fetches and speaks for nobody."""
    uri = locators.instance_actor_uri()
    ledger = ledgers.describe_ledger()
    return {
        "id": uri,
        "type": "Application",
        "preferredUsername": settings.HOST.partition(":")[0],
        "name": settings.INSTANCE_NAME,
        "summary": settings.INSTANCE_DESCRIPTION,
        "url": f"{settings.ORIGIN}/about",
        "inbox": f"{settings.ORIGIN}/inbox",
        "outbox": f"{uri}/outbox",
        "endpoints": {"sharedInbox": f"{settings.ORIGIN}/inbox"},
        "manuallyApprovesFollowers": True,
        "discoverable": False,
        "publicKey": _public_key(uri, instance_key(keyring.MAIN_KEY, "rsa").public),
        # By this key our receipts and agreements are checked (FEP-521a).
        "assertionMethod": [_multikey(uri, Method(f"{uri}#instance-1", instance_key("instance-1", "ed25519").public))],
        **({"ledger": ledger} if ledger else {}),
    }


def person(account: Account) -> JsonObject:
    """A local account as a Person."""
    uri = account.uri
    document: JsonObject = {
        "id": uri,
        "type": "Person",
        "preferredUsername": account.handle,
        "name": account.name,
        "summary": as_html(account.bio, link_of_tag=videos.tag_url, link_of_mention=lambda _: None),
        "url": account.url,
        "inbox": f"{uri}/inbox",
        "outbox": f"{uri}/outbox",
        "followers": followers_uri(account),
        "following": f"{uri}/following",
        "endpoints": {"sharedInbox": f"{settings.ORIGIN}/inbox"},
        "manuallyApprovesFollowers": account.manually_approves_followers,
        "discoverable": True,
        "indexable": True,
        "published": clock.iso(account.created_at),
        "publicKey": _public_key(uri, accounts.signing_key(account).public),
        "assertionMethod": [_multikey(uri, method) for method in sealing.methods(account)],
    }
    if account.avatar_file:
        document["icon"] = _picture(absolute(storage.url(account.avatar_file)), account.avatar_file)
    if account.also_known_as:
        document["alsoKnownAs"] = list(account.also_known_as)
    if account.identity_proofs:
        document["attachment"] = list(account.identity_proofs)
    if account.moved_to is not None:
        document["movedTo"] = account.moved_to.uri
    if Migration.objects.filter(account=account, account__moved_to=None).exists():
        document["migration"] = migration_uri(account)
    if account.scid:
        document["scid"] = account.scid
        document["keyLog"] = locators.key_log_url(account.handle)
        document["hostGrant"] = f"{uri}/host-grant"
        document["heads"] = f"{uri}/heads"
    return document


def migration_uri(account: Account) -> str:
    """The map from ids that posts of a local account had at earlier homes to those they have here (FEP-1580)."""
    return f"{account.uri}/migration"


def _public_key(owner: str, pem: str) -> JsonObject:
    return {"id": keyring.key_id(owner), "owner": owner, "publicKeyPem": pem}


def _multikey(owner: str, method: Method) -> JsonObject:
    # FEP-521a.
    return {"id": method.id, "type": "Multikey", "controller": owner, "publicKeyMultibase": method.multikey}


def followers_uri(account: Account) -> str:
    """The collection of a local account's followers; for a remote one, empty when it is not known."""
    if account.is_local:
        return f"{account.uri}/followers"
    actor = getattr(account, "actor", None)
    return actor.followers_uri if actor is not None else ""


# --- posts ---


def note(video: Video) -> JsonObject:
    """A local video as a Note with a video file attached: what Mastodon, Pixelfed, Loops and GoToSocial show."""
    uri = video.uri
    mentioned = list(videos.mentioned(video.caption).values())
    document: JsonObject = {
        "id": uri,
        "type": "Note",
        "attributedTo": video.account.uri,
        "content": str(videos.caption_as_html(video)),
        "url": video.url,
        "summary": None,
        "inReplyTo": None,
        "sensitive": video.sensitive,
        "published": clock.iso(video.published_at or video.created_at),
        **audience(video.account, public=video.visibility == "public", mentioned=mentioned),
        "attachment": [_attachment(video)],
        "tag": [*_hashtags(video), *map(_mention, mentioned)],
        "likes": _collection(f"{uri}/likes"),
        "shares": _collection(f"{uri}/shares"),
        "replies": _collection(f"{uri}/replies"),
        "interactionPolicy": _interaction_policy(video),
    }
    if video.edited_at is not None:
        document["updated"] = clock.iso(video.edited_at)
    if video.language:
        document["contentMap"] = {video.language: document["content"]}
    return document


def _collection(uri: str) -> JsonObject:
    # How many they are stands at its own address: a number that changes would break the proof.
    return {"id": uri, "type": "Collection"}


def _attachment(video: Video) -> JsonObject:
    playback = videos.playback(video)
    document: JsonObject = {
        "type": "Document",
        "mediaType": "video/mp4",
        "url": absolute(playback.mp4_url),
        "name": video.alt_text or None,
        "width": video.width,
        "height": video.height,
        **_digest(video.mp4_file),
    }
    if video.blurhash:
        document["blurhash"] = video.blurhash
    if video.duration_ms is not None:
        document["duration"] = duration(video.duration_ms)
    if playback.poster_url:
        document["icon"] = _picture(absolute(playback.poster_url), video.poster_file)
    return document


def _picture(url: str, file: str) -> JsonObject:
    return {"type": "Image", "mediaType": "image/jpeg", "url": url, **_digest(file)}


def _digest(file: str) -> JsonObject:
    """The SHA-256 of the bytes that are served, as a multihash (FEP-ef61, FEP-1311): files are named by it."""
    match = storage.NAME.fullmatch(file)
    return {"digestMultibase": canonical.digest_multibase(bytes.fromhex(match[2]))} if match else {}


def duration(milliseconds: int) -> str:
    """``PT34S``: plain whole seconds, at least one, the only form that every server reads."""
    return f"PT{max(1, math.floor(milliseconds / 1000 + 0.5))}S"


def _hashtags(video: Video) -> list[JsonObject]:
    names = video.hashtags.order_by("name").values_list("name", flat=True)
    return [{"type": "Hashtag", "name": f"#{name}", "href": videos.tag_url(name)} for name in names]


def _mention(account: Account) -> JsonObject:
    return {"type": "Mention", "href": account.uri, "name": f"@{account.handle}@{account.domain or settings.HOST}"}


def _interaction_policy(video: Video) -> JsonObject:
    everybody = {"automaticApproval": [PUBLIC], "manualApproval": []}
    nobody = {"automaticApproval": [video.account.uri], "manualApproval": []}
    return {
        "canLike": everybody,
        "canReply": everybody if video.comments_open else nobody,
        "canAnnounce": everybody if video.visibility == "public" else nobody,
        "canQuote": everybody if video.visibility == "public" else nobody,
    }


def audience(author: Account, *, public: bool, mentioned: Sequence[Account] = ()) -> JsonObject:
    """``to`` and ``cc`` as arrays: the public first when the post is public, second when it is only unlisted."""
    followers = followers_uri(author)
    named = [account.uri for account in mentioned]
    if public:
        return {"to": [PUBLIC], "cc": [followers, *named]}
    return {"to": [followers], "cc": [PUBLIC, *named]}


def comment_note(comment: Comment) -> JsonObject:
    """A local comment as a Note that replies to the video or to the comment above it."""
    answered = comment.parent if comment.parent is not None else comment.video
    others = {answered.account, *videos.mentioned(comment.text).values()} - {comment.account}
    named = sorted(others, key=lambda account: account.pk)
    return {
        "id": comment.uri,
        "type": "Note",
        "attributedTo": comment.account.uri,
        "inReplyTo": answered.uri,
        "content": str(videos.comment_as_html(comment)),
        "url": comment.url or comment.uri,
        "summary": None,
        "sensitive": False,
        "published": clock.iso(comment.created_at),
        **audience(comment.account, public=True, mentioned=named),
        "tag": [_mention(account) for account in named],
    }


def tombstone(uri: str, *, author: str, deleted_at: datetime) -> JsonObject:
    """What stands where something of ``author`` was."""
    return {"id": uri, "type": "Tombstone", "attributedTo": author, "deleted": clock.iso(deleted_at)}
