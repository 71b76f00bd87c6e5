"""One mark on each method of the API: what it is called, who may call it, what goes in, what comes out and what may go wrong.

The permission (``auth.ScopedPermission``) and the published schema read the same mark, so they cannot disagree.
"""

import http
from collections.abc import Callable, Iterable, Mapping
from typing import Any, TypeVar

from drf_spectacular.utils import OpenApiParameter, OpenApiResponse, extend_schema
from rest_framework.exceptions import ParseError
from rest_framework.negotiation import BaseContentNegotiation
from rest_framework.parsers import BaseParser, JSONParser
from rest_framework.renderers import BaseRenderer
from rest_framework.request import Request
from rest_framework.serializers import Serializer
from rest_framework.views import APIView

from server.api import problems
from server.api.auth import ACCOUNT, READ, WRITE
from server.core.errors import Invalid

Method = TypeVar("Method", bound=Callable[..., Any])

# What any call may be answered with, and what a call with a body or with parameters may be answered with beside that.
ALWAYS = (401, 403, 429)
WITH_BODY = (400, 413, 415, 422)
WITH_QUERY = (422,)


class JSONOnly(BaseContentNegotiation):
    """This API speaks JSON, whatever a client says it accepts."""

    def select_parser(self, request: Request, parsers: Iterable[BaseParser]) -> BaseParser | None:
        """The first parser of the sent media type; None makes it a 415."""
        sent = request.content_type.partition(";")[0].strip().lower()
        return next((parser for parser in parsers if parser.media_type == sent), None)

    def select_renderer(
        self,
        request: Request,  # noqa: ARG002 (the signature is the framework's)
        renderers: Iterable[BaseRenderer],
        format_suffix: str | None = None,  # noqa: ARG002 (the signature is the framework's)
    ) -> tuple[BaseRenderer, str]:
        """The first renderer."""
        first = next(iter(renderers))
        return first, first.media_type or ""


class BoundedJSONParser(JSONParser):
    """JSON as the framework reads it; nesting deeper than any body of ours is an error of the sender, not of the server."""

    def parse(self, stream: Any, media_type: str | None = None, parser_context: Any = None) -> Any:
        """The value. Raises ParseError."""
        try:
            return super().parse(stream, media_type, parser_context)
        except RecursionError as error:
            raise ParseError("This JSON is nested too deeply.") from error


class Resource(APIView):
    """Base of every address of the API: JSON in, JSON out, and no answer to OPTIONS but CORS."""

    content_negotiation_class = JSONOnly
    parser_classes = [BoundedJSONParser]
    http_method_names = ["get", "head", "post", "put", "patch", "delete"]


def operation(
    name: str,
    summary: str,
    *,
    answers: Mapping[Any, Any],
    access: str = ACCOUNT,
    body: Any = None,
    query: type[Serializer] | None = None,
    headers: tuple[OpenApiParameter, ...] = (),
    errors: tuple[int, ...] = (),
) -> Callable[[Method], Method]:
    """Mark a method of a Resource as the operation ``name`` (``videos.show``).

    ``answers``: status (or status and media type) to serializer class, or None for an empty body. ``errors``: statuses
    beside those of ALWAYS, WITH_BODY and WITH_QUERY. ``access``: ``public`` or ``account``.
    """
    statuses = {*ALWAYS, *errors, *(WITH_BODY if body else ()), *(WITH_QUERY if query or headers else ())}

    def mark(method: Method) -> Method:
        scope = READ if method.__name__ == "get" else WRITE
        # The library passes requirement objects on as they are, though it declares names.
        nobody: Any = {}
        signed_in: list[Any] = [{"oauth2": [scope]}, {"session": []}]
        method.access = access  # type: ignore[attr-defined]
        return extend_schema(
            operation_id=name,
            tags=[name.partition(".")[0]],
            summary=summary,
            request=body,
            parameters=[*([query] if query else []), *headers],
            responses={**answers, **{(status, problems.MEDIA_TYPE): _problem(status) for status in sorted(statuses)}},
            auth=signed_in if access == ACCOUNT else [*signed_in, nobody],
        )(method)

    return mark


def _problem(status: int) -> OpenApiResponse:
    return OpenApiResponse(problems.ProblemSerializer, description=http.HTTPStatus(status).phrase)


def read(serializer_class: type[Serializer], values: Any) -> dict[str, Any]:
    """What was sent, checked. Raises ValidationError."""
    serializer = serializer_class(data=values)
    serializer.is_valid(raise_exception=True)
    return dict(serializer.validated_data)


def number_in_header(request: Request, name: str) -> int:
    """A header that must be a whole number. Raises Invalid(field=name)."""
    text = request.headers.get(name, "")
    if not (text.isascii() and text.isdigit() and len(text) <= len(str(2**63 - 1)) - 1):
        raise Invalid(f"The header {name} must be a whole number.", field=name)
    return int(text)
