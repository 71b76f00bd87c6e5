"""How this door answers: documents with media type, ETag and Vary, and refusals as problem+json (RFC 9457)."""

import hashlib
from collections.abc import Mapping
from http import HTTPStatus

from django.http import HttpRequest, HttpResponse, HttpResponsePermanentRedirect, HttpResponseRedirect
from django.utils.cache import get_conditional_response, patch_vary_headers

from federation.contexts import with_context
from federation.wire import json
from federation.wire.json import JsonObject
from server.core.errors import TributaryError

MEDIA_TYPE = "application/activity+json"
# The ways to ask for a document; the one with quotes is how the specification writes it.
DOCUMENT_TYPES = (
    MEDIA_TYPE,
    'application/ld+json; profile="https://www.w3.org/ns/activitystreams"',
    "application/ld+json; profile=https://www.w3.org/ns/activitystreams",
    "application/ld+json",
)
PROBLEM_TYPE = "application/problem+json"
CACHE_SECONDS = 60


def wants_activity(request: HttpRequest) -> bool:
    """Does the Accept header ask for ActivityPub JSON rather than for a page? Without a clear wish it is a page."""
    return request.get_preferred_type(["text/html", *DOCUMENT_TYPES]) in DOCUMENT_TYPES


def wants_page(request: HttpRequest) -> bool:
    """Is this a browser at an address that is made for servers?"""
    return "text/html" in request.headers.get("Accept", "") and not wants_activity(request)


def page(url: str) -> HttpResponse:
    """The way to the page that shows people what a document tells servers."""
    response = HttpResponseRedirect(url)
    patch_vary_headers(response, ["Accept"])
    return response


def moved(uri: str) -> HttpResponse:
    """301 to the id that something has at its new home (FEP-1580)."""
    response = HttpResponsePermanentRedirect(uri)
    response.headers["Cache-Control"] = f"public, max-age={CACHE_SECONDS}"
    return response


def document(request: HttpRequest, content: JsonObject, *, status: int = HTTPStatus.OK) -> HttpResponse:
    """``content`` with its ``@context``; 304 when the asker has it already."""
    body = json.dump(with_context(content)).encode()
    response = HttpResponse(body, status=status, content_type=MEDIA_TYPE)
    response.headers["ETag"] = f'"{hashlib.sha256(body).hexdigest()[:32]}"'
    response.headers["Cache-Control"] = f"public, max-age={CACHE_SECONDS}"
    patch_vary_headers(response, ["Accept"])
    if status != HTTPStatus.OK or request.method not in {"GET", "HEAD"}:
        return response
    conditional = get_conditional_response(request, etag=response.headers["ETag"], response=response)
    return conditional if isinstance(conditional, HttpResponse) else response


def gone(request: HttpRequest, uri: str, tombstone: JsonObject | None = None) -> HttpResponse:
    """410 and a Tombstone, the signed one if there is one."""
    return document(request, tombstone or {"id": uri, "type": "Tombstone"}, status=HTTPStatus.GONE)


def problem(error: TributaryError, *, headers: Mapping[str, str] | None = None) -> HttpResponse:
    """The refusal ``error`` for the other server's log: status, stable code, reason, and a sentence."""
    body = {
        "type": "about:blank",
        "title": HTTPStatus(error.status).phrase,
        "status": error.status,
        "code": error.code,
        "reason": getattr(error, "reason", error.code),
        "detail": str(error),
    }
    return HttpResponse(json.dump(body), status=error.status, content_type=PROBLEM_TYPE, headers=dict(headers or {}))
