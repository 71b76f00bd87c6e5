"""What other servers check before they take a video of ours, written down from their code as acceptance rules.

Sources: Loops server 1.0.0-beta.14 (app/Federation/Validators/CreateValidator.php), Mastodon
(app/lib/activitypub/parser/media_attachment_parser.rb, spec/activitypub.md), PeerTube 6.3.0 (helpers/custom-validators/
activitypub/misc.ts ``isUrlCollectionValid``, activity.ts), all read in 2026.
"""

import re
from collections.abc import Mapping
from typing import Any
from urllib.parse import urlsplit

from tests.independent import fresh_reader

PUBLIC = "https://www.w3.org/ns/activitystreams#Public"


def loops_accepts(activity: dict[str, Any]) -> None:
    """Raise AssertionError where Loops' CreateValidator would refuse this Create."""
    for name in ("id", "type", "actor", "object"):
        assert activity.get(name), name
    assert activity["type"] == "Create"
    object_ = activity["object"]
    assert isinstance(object_, dict)
    assert object_["type"] == "Note", "Loops takes no other type, and no array of types"
    for url in (activity["id"], activity["actor"], object_["id"]):
        assert urlsplit(url).scheme == "https"
        assert urlsplit(url).netloc == urlsplit(activity["actor"]).netloc
    attributed = object_["attributedTo"]
    first = attributed[0] if isinstance(attributed, list) else attributed
    assert (first["id"] if isinstance(first, dict) else first) == activity["actor"]
    videos = [each for each in object_.get("attachment") or [] if str(each.get("mediaType", "")).startswith("video/")]
    # Either a video or a reply, never both.
    assert bool(videos) != bool(object_.get("inReplyTo"))
    for video in videos:
        assert video["type"] in {"Document", "Video"}
        assert video["mediaType"] == "video/mp4"
        assert isinstance(video["url"], str)
        assert urlsplit(video["url"]).scheme == "https"
    assert len(object_.get("to", [])) + len(object_.get("cc", [])) <= 12 + 2


def mastodon_reads_media(attachment: dict[str, Any]) -> dict[str, Any]:
    """What Mastodon's MediaAttachmentParser makes of an attachment; raises AssertionError where it makes nothing."""

    def address(value: Any) -> str:
        link = value if isinstance(value, str) else value["href"]
        assert urlsplit(link).scheme in {"http", "https"}
        return link

    assert attachment["mediaType"] in {"video/mp4", "video/webm", "video/quicktime", "video/ogg"}
    description = attachment.get("summary") or attachment.get("name")
    blurhash = attachment.get("blurhash")
    if blurhash:
        # Blurhash.components: at most 5 x 5, else it is not used.
        alphabet = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz#$%*+,-.:;=?@[]^_{|}~"
        x, y = alphabet.index(blurhash[0]) % 9 + 1, alphabet.index(blurhash[0]) // 9 + 1
        assert x <= 5
        assert y <= 5
        assert len(blurhash) == 4 + 2 * x * y
    icon = attachment.get("icon")
    return {
        "remote_url": address(attachment["url"]),
        "thumbnail_remote_url": address(icon["url"] if isinstance(icon, dict) else icon) if icon else None,
        "description": description.strip()[:1500] if description else None,
        "file_content_type": attachment["mediaType"],
    }


def mastodon_visibility(object_: dict[str, Any]) -> str:
    """Mastodon's four visibilities, from ``to`` and ``cc``."""
    if PUBLIC in object_["to"]:
        return "public"
    if PUBLIC in object_["cc"]:
        return "unlisted"
    return "private" if any(each.endswith("/followers") for each in object_["to"]) else "direct"


MASTODON_TAGS = {"p", "span", "br", "a", "del", "pre", "code", "em", "strong", "b", "i", "u", "ul", "ol", "li", "blockquote"}


def html_is_shown_whole(html: str) -> None:
    """Only tags that Mastodon does not strip."""
    assert set(re.findall(r"</?([a-z0-9]+)", html)) <= MASTODON_TAGS


def peertube_takes_addressing(document: dict[str, Any]) -> None:
    """PeerTube drops, with a 204 and no word, whatever has a ``to`` or ``cc`` that is no array of addresses."""
    for name in ("to", "cc"):
        if name in document:
            assert isinstance(document[name], list)
            assert all(isinstance(each, str) and urlsplit(each).scheme in {"http", "https"} for each in document[name])


def peertube_takes_actor(actor: dict[str, Any]) -> None:
    """custom-validators/activitypub/actor.ts."""
    assert actor["type"] in {"Person", "Application", "Group", "Service", "Organization"}
    assert re.fullmatch(r"[A-Za-z0-9\-_.:]+", actor["preferredUsername"])
    for name in ("id", "inbox", "outbox", "url"):
        assert urlsplit(actor[name]).scheme in {"http", "https"}
    key = actor["publicKey"]
    assert key["owner"] == actor["id"]
    assert urlsplit(key["id"]).scheme in {"http", "https"}
    assert key["publicKeyPem"].startswith("-----BEGIN PUBLIC KEY-----")
    assert "-----END PUBLIC KEY-----" in key["publicKeyPem"]
    # It broadcasts only through this.
    assert urlsplit(actor["endpoints"]["sharedInbox"]).netloc == urlsplit(actor["id"]).netloc


def mastodon_takes_proof(document: Mapping[str, Any], actor: Mapping[str, Any]) -> str:
    """Mastodon 4.7, object_integrity_proof.rb, and the keys of an actor as it reads them; returns the key's id.

    The signature itself is judged by the reader under ``tests/independent``, which shares no code with the server.
    """
    proof = document["proof"]
    keys = actor["assertionMethod"]
    assert len(keys) <= 10
    assert all(key["id"].startswith(f"{actor['id']}#") and key["controller"] == actor["id"] for key in keys)
    assert all(key["type"] == "Multikey" for key in keys)
    assert isinstance(document["@context"], list)
    assert document["@context"][: len(proof["@context"])] == proof["@context"]
    (key,) = [key for key in keys if key["id"] == proof["verificationMethod"]]
    unsecured = {name: value for name, value in document.items() if name not in {"proof", "signature"}}
    assert fresh_reader.proof_holds(unsecured, proof, fresh_reader.multikey(key["publicKeyMultibase"]))
    return str(key["id"])
