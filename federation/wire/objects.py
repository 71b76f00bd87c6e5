"""What strangers' documents describe: actors and notes, as frozen values with bounded fields. Pure.

Reading says nothing about trust: whether a document may speak for its ``id`` is decided by where it came from
(``federation.fetch``, ``federation.authority``).
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Literal

from federation.wire import fields
from federation.wire.fields import Malformed
from federation.wire.json import JsonObject
from server.core import hosts, limits

PUBLIC = "https://www.w3.org/ns/activitystreams#Public"
# JSON-LD compaction may write the same id in these ways.
PUBLIC_NAMES = frozenset({PUBLIC, "as:Public", "Public"})
ACTOR_KINDS = frozenset({"Person", "Service", "Group", "Organization", "Application"})
VIDEO_MEDIA_TYPES = frozenset({"video/mp4", "video/webm", "video/x-m4v"})
PLAIN_MEDIA_TYPES = frozenset({"text/plain", "text/markdown"})
NAME_CHARACTERS_MAX = 255
BLURHASH_CHARACTERS_MAX = 100
LANGUAGE_CHARACTERS_MAX = 20
ATTACHMENTS_MAX = 16
SCID_CHARACTERS = 46
_SCID = re.compile(r"Qm[1-9A-HJ-NP-Za-km-z]{44}")
KEYS_MAX = 8
# As many as Mastodon reads.
ASSERTION_KEYS_MAX = 10
MULTIKEY_CHARACTERS_MAX = 60
PIXELS_PER_SIDE_MAX = 100_000

Visibility = Literal["public", "unlisted", "private"]


@dataclass(frozen=True, kw_only=True)
class PublishedKey:
    """A key that an actor document lists."""

    id: str
    owner: str
    pem: str


@dataclass(frozen=True, kw_only=True)
class ActorDocument:
    """An actor as her own server describes her."""

    uri: str
    kind: str
    handle: str
    inbox: str
    shared_inbox: str
    followers: str
    outbox: str
    url: str
    name: str
    summary: str
    icon_url: str
    keys: tuple[PublishedKey, ...]
    also_known_as: tuple[str, ...]
    moved_to: str
    manually_approves_followers: bool
    # The portable identity, as the actor's own server claims it; only its key log proves it.
    scid: str
    key_log: str
    # FEP-521a: id to Ed25519 Multikey.
    assertion_keys: Mapping[str, str]
    # Identity proofs (FEP-c390) as they stand there; nobody has checked them yet.
    identity_proofs: tuple[JsonObject, ...]

    @property
    def home_keys(self) -> tuple[str, ...]:
        """The Multikeys that the actor may sign with."""
        return tuple(self.assertion_keys.values())


@dataclass(frozen=True, kw_only=True)
class Attachment:
    """A media file of a note."""

    media_type: str
    url: str
    name: str
    width: int | None
    height: int | None
    duration_ms: int | None
    blurhash: str
    poster_url: str


@dataclass(frozen=True, kw_only=True)
class Note:
    """A post: a video when it has one attached, a comment when it replies to something."""

    uri: str
    kind: str
    attributed_to: str
    in_reply_to: str
    content: str
    is_plain_text: bool
    url: str
    language: str
    sensitive: bool
    published: datetime | None
    to: tuple[str, ...]
    cc: tuple[str, ...]
    hashtags: tuple[str, ...]
    attachments: tuple[Attachment, ...] = field(default=())

    @property
    def visibility(self) -> Visibility:
        """Who may see it; everything that is not addressed to the public is private."""
        if PUBLIC_NAMES.intersection(self.to):
            return "public"
        return "unlisted" if PUBLIC_NAMES.intersection(self.cc) else "private"

    @property
    def video(self) -> Attachment | None:
        """The first attached video file."""
        return next((each for each in self.attachments if each.media_type in VIDEO_MEDIA_TYPES and each.url), None)


def read_actor(document: JsonObject) -> ActorDocument:
    """An actor document. Inbox, key and collections count only on the actor's own origin. Raises Malformed."""
    uri = fields.identifier(document, "id")
    kind = fields.kind(document)
    if kind not in ACTOR_KINDS:
        raise Malformed(f"{kind} is not a kind of actor", field="type")
    handle = fields.text(document, "preferredUsername", characters_max=NAME_CHARACTERS_MAX)
    if not handle:
        raise Malformed("no preferredUsername", field="preferredUsername")
    inbox = fields.identifier(document, "inbox")
    if not hosts.same_origin(inbox, uri):
        raise Malformed("the inbox is on another server", field="inbox")
    endpoints = document.get("endpoints")
    return ActorDocument(
        uri=uri,
        kind=kind,
        handle=handle,
        inbox=inbox,
        shared_inbox=_own(endpoints if isinstance(endpoints, dict) else {}, "sharedInbox", uri),
        followers=_own(document, "followers", uri),
        outbox=_own(document, "outbox", uri),
        url=fields.link(document.get("url"), media_types=["text/html"]),
        name=fields.text(document, "name", characters_max=NAME_CHARACTERS_MAX),
        summary=fields.text(document, "summary", characters_max=limits.REMOTE_TEXT_CHARACTERS_MAX),
        icon_url=_picture(document.get("icon"), uri),
        keys=_keys(document, uri),
        also_known_as=_aliases(document),
        moved_to=fields.optional_address(document, "movedTo"),
        manually_approves_followers=document.get("manuallyApprovesFollowers") is True,
        scid=_scid(document),
        key_log=_own(document, "keyLog", uri),
        assertion_keys=_assertion_keys(document, uri),
        identity_proofs=_identity_proofs(document),
    )


def _scid(document: JsonObject) -> str:
    claimed = fields.text(document, "scid", characters_max=SCID_CHARACTERS + 1)
    return claimed if _SCID.fullmatch(claimed) else ""


def _assertion_keys(document: JsonObject, uri: str) -> Mapping[str, str]:
    """The Ed25519 Multikeys that the actor may sign with (FEP-521a): hers, with ids that begin with her own."""
    found: dict[str, str] = {}
    for each in fields.objects(document, "assertionMethod", count_max=ASSERTION_KEYS_MAX):
        name, key = each.get("id"), fields.text(each, "publicKeyMultibase", characters_max=MULTIKEY_CHARACTERS_MAX)
        if not isinstance(name, str) or each.get("type") != "Multikey" or each.get("controller") != uri:
            continue
        if name.startswith(f"{uri}#") and len(name) <= limits.URL_CHARACTERS_MAX and key.startswith("z6Mk"):
            found.setdefault(name, key)
    return found


def _identity_proofs(document: JsonObject) -> tuple[JsonObject, ...]:
    attached = fields.objects(document, "attachment", count_max=ATTACHMENTS_MAX)
    return tuple(each for each in attached if each.get("type") == "VerifiableIdentityStatement")


def _own(document: JsonObject, name: str, uri: str) -> str:
    address = fields.optional_address(document, name)
    return address if address and hosts.same_origin(address, uri) else ""


def _keys(document: JsonObject, uri: str) -> tuple[PublishedKey, ...]:
    found = []
    for each in fields.objects(document, "publicKey", count_max=KEYS_MAX):
        key = PublishedKey(
            id=fields.optional_address(each, "id"),
            owner=fields.optional_address(each, "owner"),
            pem=fields.text(each, "publicKeyPem", characters_max=limits.PEM_CHARACTERS_MAX),
        )
        if key.owner == uri and key.id and hosts.same_origin(key.id, uri) and key.pem:
            found.append(key)
    return tuple(found)


def _aliases(document: JsonObject) -> tuple[str, ...]:
    found = []
    for each in fields.identifiers(document, "alsoKnownAs"):
        try:
            found.append(hosts.canonical_url(each))
        except hosts.BadAddress:
            continue  # aliases may be of other kinds (did:, acct:)
    return tuple(found[: limits.ALIASES_COUNT_MAX])


def _picture(value: object, uri: str) -> str:
    """The address of an Image (or a list of them), https unless the document itself is not."""
    values = value if isinstance(value, list) else [value]
    for each in values[:ATTACHMENTS_MAX]:
        address = fields.link(each.get("url") if isinstance(each, dict) else each)
        if address:
            return _loadable(address, uri)
    return ""


def _loadable(address: str, uri: str) -> str:
    if not address or address.startswith("https:"):
        return address
    return address if hosts.same_origin(address, uri) else ""


def read_note(document: JsonObject) -> Note:
    """A Note (or an Article, Page, Question, Video...: ``kind`` says it). Raises Malformed."""
    uri = fields.identifier(document, "id")
    content = fields.text(document, "content", characters_max=limits.REMOTE_TEXT_CHARACTERS_MAX)
    summary = fields.text(document, "summary", characters_max=limits.REMOTE_TEXT_CHARACTERS_MAX)
    poster = _picture(document.get("icon") or document.get("preview"), uri)
    return Note(
        uri=uri,
        kind=fields.kind(document),
        attributed_to=_author(document),
        in_reply_to=fields.optional_address(document, "inReplyTo"),
        content=content,
        is_plain_text=fields.text(document, "mediaType", characters_max=NAME_CHARACTERS_MAX) in PLAIN_MEDIA_TYPES,
        url=fields.link(document.get("url"), media_types=["text/html"]) or uri,
        language=_language(document, content),
        sensitive=document.get("sensitive") is True or bool(summary),
        published=fields.moment(document, "published"),
        to=fields.identifiers(document, "to"),
        cc=fields.identifiers(document, "cc"),
        hashtags=_hashtags(document),
        attachments=tuple(
            _attachment(each, uri, poster) for each in fields.objects(document, "attachment", count_max=ATTACHMENTS_MAX)
        ),
    )


def _author(document: JsonObject) -> str:
    # A list names the person first (PeerTube adds the channel after her).
    value = document.get("attributedTo")
    return fields.address(fields.bare_identifier(value[:1] if isinstance(value, list) else value), "attributedTo")


def _language(document: JsonObject, content: str) -> str:
    translations = document.get("contentMap")
    if not isinstance(translations, dict):
        return ""
    return next((name[:LANGUAGE_CHARACTERS_MAX] for name, text in translations.items() if text == content), "")


def _hashtags(document: JsonObject) -> tuple[str, ...]:
    tags = fields.objects(document, "tag", count_max=limits.TAGS_PER_POST_MAX)
    names = [
        fields.text(tag, "name", characters_max=limits.HASHTAG_CHARACTERS_MAX).removeprefix("#")
        for tag in tags
        if tag.get("type") == "Hashtag"
    ]
    return tuple(name for name in names if name)


def _attachment(document: JsonObject, uri: str, poster: str) -> Attachment:
    return Attachment(
        media_type=fields.text(document, "mediaType", characters_max=NAME_CHARACTERS_MAX).lower(),
        url=_loadable(fields.link(document.get("url"), media_types=VIDEO_MEDIA_TYPES), uri),
        name=fields.text(document, "name", characters_max=limits.ALT_TEXT_CHARACTERS_MAX)
        or fields.text(document, "summary", characters_max=limits.ALT_TEXT_CHARACTERS_MAX),
        width=fields.integer(document, "width", maximum=PIXELS_PER_SIDE_MAX),
        height=fields.integer(document, "height", maximum=PIXELS_PER_SIDE_MAX),
        duration_ms=fields.milliseconds(document, "duration"),
        blurhash=fields.text(document, "blurhash", characters_max=BLURHASH_CHARACTERS_MAX),
        poster_url=_picture(document.get("icon"), uri) or poster,
    )
