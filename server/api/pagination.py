"""Long lists in pages. A cursor is opaque and names the last row served, so rows that come or go never shift a page."""

import base64
import binascii
import functools
import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any, TypeVar

from django.conf import settings
from django.db.models import Model, Q, QuerySet
from rest_framework import serializers
from rest_framework.request import Request
from rest_framework.response import Response

from server.api.operations import read
from server.core import limits
from server.core.errors import Invalid

Row = TypeVar("Row", bound=Model)

EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_CURSOR = re.compile(r"([np])((?:\.[0-9]{1,18}){1,2})")
_CURSOR_CHARACTERS_MAX = 100
# Later than any video, and what a datetime can still hold.
_MICROSECONDS_MAX = 2**56


@dataclass(frozen=True)
class Order:
    """By which columns (the last one unique; times and integers) and whether the newest, largest come first."""

    columns: tuple[str, ...]
    newest_first: bool = True


NEWEST = Order(("id",))
OLDEST = Order(("id",), newest_first=False)
LAST_PUBLISHED = Order(("published_at", "id"))


class PageQuery(serializers.Serializer):
    """Which page of a list."""

    cursor = serializers.CharField(
        required=False, max_length=2_000, help_text="From the `next` or `previous` link of another page."
    )
    count = serializers.IntegerField(
        required=False,
        min_value=1,
        max_value=limits.PAGE_COUNT_MAX,
        default=limits.PAGE_COUNT_DEFAULT,
        help_text="Rows in a page.",
    )


@functools.cache
def page_of(item: type[serializers.Serializer]) -> type[serializers.Serializer]:
    """The shape of a page of ``item``."""
    name = item.__name__.removesuffix("Serializer")
    link = functools.partial(serializers.URLField, allow_null=True)
    fields = {
        "__doc__": "A page of a list. `next` and `previous` are whole addresses, null at the ends.",
        "results": item(many=True),
        "next": link(help_text="The page after this one."),
        "previous": link(help_text="The page before this one."),
    }
    return type(f"{name}PageSerializer", (serializers.Serializer,), fields)


def answer(request: Request, rows: "QuerySet[Row]", order: Order, show: Callable[[list[Row]], Sequence[Any]]) -> Response:
    """One page of ``rows`` in ``order``, each row as ``show`` makes it. Raises Invalid(field="cursor"), ValidationError."""
    query = read(PageQuery, request.query_params.dict())
    count: int = query["count"]
    backwards, values = _decode(query["cursor"], order) if "cursor" in query else (False, None)
    descending = order.newest_first is not backwards
    if values is not None:
        rows = rows.filter(_beyond(order.columns, values, "lt" if descending else "gt"))
    found = list(rows.order_by(*(f"-{column}" if descending else column for column in order.columns))[: count + 1])
    more, found = len(found) > count, found[:count]
    if backwards:
        found.reverse()
    # Where we came from there is a row, even if nobody counted it.
    after, before = (values is not None, more) if backwards else (more, values is not None)
    return Response(
        {
            "results": show(found),
            "next": link(request, _encode("n", found[-1], order)) if after and found else None,
            "previous": link(request, _encode("p", found[0], order)) if before and found else None,
        }
    )


def link(request: Request, cursor: str) -> str:
    """The address of this list at another cursor."""
    query = request.query_params.copy()
    query["cursor"] = cursor
    return f"{settings.ORIGIN}{request.path}?{query.urlencode()}"


def _beyond(columns: tuple[str, ...], values: Sequence[Any], operator: str) -> Q:
    """Rows after ``values`` in the order of ``columns``: by the first, and where that is the same by the next."""
    head, *tail = columns
    further = Q(**{f"{head}__{operator}": values[0]})
    return further | Q(**{head: values[0]}) & _beyond(tuple(tail), values[1:], operator) if tail else further


def _encode(direction: str, row: Model, order: Order) -> str:
    values = [getattr(row, column) for column in order.columns]
    numbers = [(value - EPOCH) // timedelta(microseconds=1) if isinstance(value, datetime) else value for value in values]
    text = direction + "".join(f".{number}" for number in numbers)
    return base64.urlsafe_b64encode(text.encode()).rstrip(b"=").decode()


def _decode(text: str, order: Order) -> tuple[bool, list[Any]]:
    try:
        raw = base64.b64decode(text + "=" * (-len(text) % 4), altchars=b"-_", validate=True)
        found = _CURSOR.fullmatch(raw.decode("ascii")) if len(text) <= _CURSOR_CHARACTERS_MAX else None
    except (binascii.Error, ValueError):
        found = None
    numbers = [int(number) for number in found[2].split(".")[1:]] if found else []
    if found is None or len(numbers) != len(order.columns):
        raise Invalid("This cursor is not valid. Follow the links of a page.", field="cursor")
    if len(numbers) > 1:
        return found[1] == "p", [EPOCH + timedelta(microseconds=min(numbers[0], _MICROSECONDS_MAX)), numbers[1]]
    return found[1] == "p", list(numbers)
