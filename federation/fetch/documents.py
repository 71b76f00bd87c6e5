"""Rule R1: fetch a document, and know for which ids it is evidence.

A document speaks only for ids on the origin it finally came from. A redirect from A to a document with another id
proves nothing about A: what the caller gets is the document's own id, and believes that one.
"""

import time
from collections.abc import Mapping
from typing import Any
from urllib.parse import urljoin

from federation.keyring import signer_of
from federation.peers import require_welcome
from federation.wire import json
from federation.wire.json import JsonObject
from server.core import hosts, http, limits, worker
from server.core.errors import Invalid, NotAllowed, NotFound, Unavailable

AS_PROFILE = "https://www.w3.org/ns/activitystreams"
ACTIVITY_JSON = "application/activity+json"
ACCEPT = f'{ACTIVITY_JSON}, application/ld+json; profile="{AS_PROFILE}"'
REDIRECTS = frozenset({301, 302, 303, 307, 308})


class Gone(NotFound):
    """The other server says that this is gone for ever."""

    code = "gone"


class Missing(NotFound):
    """The other server knows nothing of this."""

    code = "missing"


class Refused(NotAllowed):
    """The other server does not show this to us."""

    code = "refused"


class Busy(Unavailable):
    """The other server cannot answer now."""

    code = "busy"


class WrongDocument(Invalid):
    """What came is not the document that it should be."""

    code = "wrong_document"


def fetch_ap(url: str, *, size_bytes_max: int = limits.OBJECT_BYTES_MAX) -> tuple[str, JsonObject]:
    """The ActivityPub document at ``url`` and its final address, which is its id (fragment aside).

    Signed as the instance; at most three redirects, each address checked again. A document with another id is asked
    for once more at that id. Raises Gone, Missing, Refused, Busy, WrongDocument, DomainBlocked, http.HttpError.
    """
    final, document = _document(url, size_bytes_max)
    if _is_about(document, final):
        return final, document
    try:
        second = hosts.canonical_url(document.get("id", ""))
    except hosts.BadAddress as error:
        raise WrongDocument(f"the document at {final} has no id") from error
    final, document = _document(second, size_bytes_max)
    if not _is_about(document, final):
        raise WrongDocument(f"the document at {final} has another id")
    return final, document


def _is_about(document: JsonObject, final: str) -> bool:
    try:
        return str(hosts.parse_url(document.get("id", ""))) == str(hosts.parse_url(final))
    except hosts.BadAddress:
        return False


def _document(url: str, size_bytes_max: int) -> tuple[str, JsonObject]:
    signer = signer_of(None)

    def headers(target: hosts.Url) -> Mapping[str, str]:
        return {"Accept": ACCEPT, **signer.sign("GET", target)}

    answer = follow(url, headers, size_bytes_max=size_bytes_max)
    if not is_activity(answer.headers.get("content-type", "")):
        raise WrongDocument(f"{answer.url} answers {answer.headers.get('content-type', 'no media type')!r:.100}")
    return answer.url, json.parse(answer.body, size_bytes_max=size_bytes_max)


def is_activity(content_type: str) -> bool:
    """Is this exactly the media type of ActivityPub? A user's upload is served as something else and can pose as nothing."""
    media_type, parameters = _media_type(content_type)
    if media_type == ACTIVITY_JSON:
        return True
    return media_type == "application/ld+json" and AS_PROFILE in parameters.get("profile", "").split()


def _media_type(content_type: str) -> tuple[str, Mapping[str, str]]:
    first, *rest = content_type.split(";")
    pairs = (part.partition("=") for part in rest)
    return first.strip().lower(), {name.strip().lower(): value.strip().strip('"') for name, _, value in pairs}


def follow(url: str, headers: Any, *, size_bytes_max: int) -> http.Answer:
    """GET ``url`` with ``headers(target)``, going after redirects; one deadline for all hops. Answers are of status 200.

    Raises Gone, Missing, Refused, Busy, WrongDocument, DomainBlocked, http.HttpError.
    """
    # A handler may ask several slow servers in a row; each question alone is shorter than the lease of its task.
    worker.renew()
    ends_at = time.monotonic() + limits.FETCH_SECONDS_MAX
    for _ in range(limits.REDIRECTS_MAX + 1):
        require_welcome(url)
        target = http.check(url)
        answer = http.get(
            str(target),
            headers=headers(target),
            size_bytes_max=size_bytes_max,
            wait_seconds_max=max(0.001, ends_at - time.monotonic()),
        )
        if answer.status not in REDIRECTS:
            return _successful(answer)
        location = answer.headers.get("location", "")
        # urljoin silently drops tabs and line ends; an address with such characters is none.
        if not location or not all("!" <= character <= "~" for character in location):
            raise WrongDocument(f"{answer.url} redirects to nowhere")
        url = urljoin(answer.url, location)
    raise WrongDocument(f"more than {limits.REDIRECTS_MAX} redirects")


def _successful(answer: http.Answer) -> http.Answer:
    status = answer.status
    if status == 200:  # noqa: PLR2004 (HTTP)
        return answer
    if status == 410:  # noqa: PLR2004
        raise Gone(f"{answer.url} is gone")
    if status == 404:  # noqa: PLR2004
        raise Missing(f"{answer.url} does not exist")
    if status in {408, 425, 429} or status >= 500:  # noqa: PLR2004
        raise Busy(f"{answer.url} answered {status}")
    raise Refused(f"{answer.url} answered {status}")
