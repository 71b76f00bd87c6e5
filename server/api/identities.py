"""Portable identities as machines see them: key logs, host grants, and moves between homes. The documents prove themselves."""

import json
from typing import Any

from django.http import HttpRequest, HttpResponse, JsonResponse
from django.urls import path
from django.views.decorators.csrf import csrf_exempt
from django.views.decorators.http import require_POST, require_safe

from server.accounts import moving, queries
from server.api import problems
from server.core.errors import NotFound, TributaryError
from server.identity import actions
from server.identity import queries as identities
from server.identity.models import Identity
from server.identity.offer import offer_document


def _identity(handle: str) -> Identity:
    account = queries.local_by_handle(handle)
    if not account.scid:
        raise NotFound("This account has no portable identity.")
    return identities.by_scid(account.scid)


def _refused(error: TributaryError) -> HttpResponse:
    body = problems.problem(error.status, error.code, str(error))
    return HttpResponse(json.dumps(body), status=error.status, content_type=problems.MEDIA_TYPE)


@require_safe
def key_log(request: HttpRequest, handle: str) -> HttpResponse:
    """The did.jsonl. It is also here after the identity has moved on: any copy of a log is as good as another."""
    try:
        data = identities.log_bytes(_identity(handle))
    except TributaryError as error:
        return _refused(error)
    return HttpResponse(
        data, content_type="text/jsonl", headers={"Access-Control-Allow-Origin": "*", "Cache-Control": "max-age=60"}
    )


@require_safe
def host_grant(request: HttpRequest, handle: str) -> HttpResponse:
    """The grant with which this home was taken. 404 for an identity that began here."""
    try:
        grant = _identity(handle).host_grant
        if grant is None:
            raise NotFound("This identity began here; nobody had to grant it.")
    except TributaryError as error:
        return _refused(error)
    return JsonResponse(grant)


@require_safe
def move_offer(request: HttpRequest, handle: str) -> HttpResponse:
    """What this home asks of the old one. 404 unless the owner of the account expects a move."""
    try:
        offer = actions.open_offer(actor_uri=queries.local_by_handle(handle).uri)
    except TributaryError as error:
        return _refused(error)
    return JsonResponse(offer_document(offer))


@csrf_exempt  # no session counts here: the grant in the body is the credential
@require_POST
def receive_move(request: HttpRequest, handle: str) -> HttpResponse:
    """The old home hands the identity over."""
    try:
        account = moving.receive_move(handle=handle, body=request.read(moving.MOVE_BYTES_MAX + 1))
    except TributaryError as error:
        return _refused(error)
    answer: dict[str, Any] = {"scid": account.scid, "actor": account.uri}
    return JsonResponse(answer)


urlpatterns = [
    path("u/<slug:handle>/did.jsonl", key_log),
    path("users/<slug:handle>/host-grant", host_grant),
    path("users/<slug:handle>/move-offer", move_offer),
    path("users/<slug:handle>/move", receive_move),
]
