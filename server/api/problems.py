"""Every error of the API as ``application/problem+json`` (RFC 9457). ``code`` is stable; ``errors`` names the fields."""

import http
import json
import logging
from collections.abc import Iterator, Mapping

from django.core.exceptions import PermissionDenied, RequestDataTooBig, SuspiciousOperation
from django.http import Http404, HttpRequest, HttpResponse
from django.http.request import UnreadablePostError
from django.views.decorators.csrf import csrf_exempt
from rest_framework import exceptions, serializers
from rest_framework.response import Response

from server.core import errors

log = logging.getLogger(__name__)

MEDIA_TYPE = "application/problem+json"


class FieldProblemSerializer(serializers.Serializer):
    """One thing wrong with one field."""

    field = serializers.CharField(help_text="The name of the field; nested names are joined by dots.")
    detail = serializers.CharField()


class ProblemSerializer(serializers.Serializer):
    """What went wrong (RFC 9457)."""

    type = serializers.CharField(help_text="Always about:blank; `code` tells problems apart.")
    title = serializers.CharField(help_text="The name of the HTTP status.")
    status = serializers.IntegerField()
    code = serializers.CharField(help_text="Stable and machine-readable, for example `not_found` or `wrong_state`.")
    detail = serializers.CharField(help_text="A sentence for people.")
    errors = FieldProblemSerializer(many=True, required=False)  # type: ignore[assignment] # a declared field leaves the class


Body = dict[str, object]


def problem(status: int, code: str, detail: str, fields: list[dict[str, str]] | None = None) -> Body:
    """The members of one problem document."""
    body: Body = {
        "type": "about:blank",
        "title": http.HTTPStatus(status).phrase,
        "status": status,
        "code": code,
        "detail": detail,
    }
    return {**body, "errors": fields} if fields else body


def handle(error: Exception, context: Mapping[str, object]) -> Response:
    """The answer to any error a view raised. What we did not raise on purpose is logged whole and answered with a bare 500.

    This is a door: here everything is caught.
    """
    body, headers = _document(error)
    if body["status"] == http.HTTPStatus.INTERNAL_SERVER_ERROR:
        log.error("request failed", exc_info=error)
    return Response(body, status=int(str(body["status"])), headers=headers, content_type=MEDIA_TYPE)


def _document(error: Exception) -> tuple[Body, dict[str, str]]:
    if isinstance(error, errors.TributaryError):
        fields = [{"field": error.field, "detail": str(error)}] if error.field else None
        headers = {"WWW-Authenticate": 'Bearer realm="api"'} if isinstance(error, errors.NotAuthenticated) else {}
        return problem(error.status, error.code, str(error), fields), headers
    if isinstance(error, exceptions.ValidationError):
        fields = list(_flat(error.detail, ""))
        return problem(422, "invalid", fields[0]["detail"] if fields else "This is not valid.", fields), {}
    if isinstance(error, exceptions.APIException):
        return _of_framework(error)
    for kind, status, code, detail in FROM_DJANGO:
        if isinstance(error, kind):
            return problem(status, code, detail), {}
    return problem(500, "error", "Something went wrong on our side."), {}


# Errors of Django itself, the special before the general.
FROM_DJANGO: list[tuple[type[Exception], int, str, str]] = [
    (Http404, 404, "not_found", "There is no such thing here."),
    (PermissionDenied, 403, "not_allowed", "You may not do this."),
    (RequestDataTooBig, 413, "too_large", "The body of this request is too large."),
    (UnreadablePostError, 400, "malformed", "The connection broke before the body was complete."),
    (SuspiciousOperation, 400, "malformed", "This request does not make sense."),
]
# Where the name that the framework gives an error is not the one we promise.
_CODES = {"parse_error": "malformed", "permission_denied": "not_allowed", "throttled": "too_many_requests"}


def _of_framework(error: exceptions.APIException) -> tuple[Body, dict[str, str]]:
    headers = {}
    if challenge := getattr(error, "auth_header", None):
        headers["WWW-Authenticate"] = challenge
    if (wait := getattr(error, "wait", None)) is not None:
        headers["Retry-After"] = f"{wait:.0f}"
    code = str(getattr(error.detail, "code", error.default_code))
    return problem(error.status_code, _CODES.get(code, code), str(error.detail)), headers


def _flat(detail: object, path: str) -> Iterator[dict[str, str]]:
    """The framework's nested error lists as one list of ``{"field", "detail"}``."""
    if isinstance(detail, Mapping):
        for name, inner in detail.items():
            own = "" if name == "non_field_errors" else str(name)
            yield from _flat(inner, f"{path}.{own}" if path and own else path or own)
    elif isinstance(detail, list):
        for inner in detail:
            yield from _flat(inner, path)
    else:
        yield {"field": path, "detail": str(detail)}


@csrf_exempt
def unknown_route(request: HttpRequest) -> HttpResponse:
    """Any address under ``/api/`` that is none."""
    body = problem(404, "not_found", "There is no such address in this API. See /api/docs/.")
    return HttpResponse(json.dumps(body), status=404, content_type=MEDIA_TYPE)
