"""What another server says about one of its people, made safe to keep."""

import unicodedata
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlsplit

from django.conf import settings

from server.accounts.addresses import REMOTE_HANDLE, canonical_host
from server.core import limits, locators, richtext
from server.core.errors import Invalid, NotAllowed

# Embeddings, overrides and isolates, by which a name could turn around the words beside it.
_DIRECTION_OVERRIDES = frozenset("\u202a\u202b\u202c\u202d\u202e\u2066\u2067\u2068\u2069")


@dataclass(frozen=True, kw_only=True)
class RemoteProfile:
    """An actor document that was fetched from its own origin, in our words. ``domain`` is what follows the @ in the address."""

    uri: str
    handle: str
    domain: str
    url: str = ""
    display_name: str = ""
    bio_html: str = ""
    avatar_url: str = ""
    also_known_as: tuple[str, ...] = ()
    manually_approves_followers: bool = False
    # What her server claims to be the key of her portable identity. Its log proves it, or does not.
    scid: str = ""
    # Identity proofs (FEP-c390) that were found valid for ``uri``.
    identity_proofs: tuple[Mapping[str, Any], ...] = ()


def account_fields(profile: RemoteProfile) -> dict[str, object]:
    """The columns of the account row, cut to their limits and cleaned.

    Raises NotAllowed for an id or a domain of ours, Invalid for an id, handle or domain that cannot be kept.
    """
    domain = canonical_host(profile.domain)
    if locators.is_ours(profile.uri) or domain == settings.HOST:
        raise NotAllowed("A remote profile cannot have an address of this server.")
    if not is_web_url(profile.uri):
        raise Invalid("The id of a remote account must be a web address.", field="uri")
    if not REMOTE_HANDLE.fullmatch(profile.handle):
        raise Invalid("The handle of a remote account has characters that cannot be in an address.", field="handle")
    return {
        "handle": profile.handle,
        "domain": domain,
        "url": profile.url if is_web_url(profile.url) else "",
        "display_name": one_line(profile.display_name)[:255],
        "bio": clean_html(profile.bio_html),
        "avatar_remote_url": profile.avatar_url if is_web_url(profile.avatar_url) else "",
        "also_known_as": [uri for uri in profile.also_known_as if is_web_url(uri)][: limits.ALIASES_COUNT_MAX],
        "manually_approves_followers": profile.manually_approves_followers,
        "scid": profile.scid or None,
        "identity_proofs": [dict(proof) for proof in profile.identity_proofs],
    }


def is_web_url(text: str) -> bool:
    """True for an https address we may keep and link to (http too where loopback hosts are allowed)."""
    schemes = {"https", "http"} if settings.ALLOW_LOOPBACK else {"https"}
    if len(text) > limits.URL_CHARACTERS_MAX or not text.isprintable() or " " in text:
        return False
    try:
        parts = urlsplit(text)
    except ValueError:
        return False
    return parts.scheme in schemes and bool(parts.hostname)


def one_line(text: str) -> str:
    """``text`` without control and direction-override characters, runs of space made one."""
    return " ".join("".join(character for character in text if _may_stand(character) or character.isspace()).split())


def paragraphs(text: str) -> str:
    """``text`` without control and direction-override characters, its line ends made newlines, no space around it."""
    lines = text.replace("\r\n", "\n").replace("\r", "\n")
    return "".join(character for character in lines if _may_stand(character) or character == "\n").strip()


def _may_stand(character: str) -> bool:
    return unicodedata.category(character) not in {"Cc", "Cs"} and character not in _DIRECTION_OVERRIDES


def clean_html(html: str) -> str:
    """Profile HTML with nothing in it that runs, loads or looks like a part of our own page."""
    return richtext.sanitise(paragraphs(html))
