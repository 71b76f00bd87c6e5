"""Ordered collections in pages: outbox, followers, following. A page begins after the id of the last row of the one before."""

from collections.abc import Callable, Iterable
from typing import TypeVar

from django.db.models import Model, QuerySet

from federation.wire.json import JsonObject
from server.core import limits
from server.core.errors import NotFound

Row = TypeVar("Row", bound=Model)


def collection(uri: str, total: int, *, listed: bool = True) -> JsonObject:
    """The collection itself: how many, and where its first page is (none when its members are not shown)."""
    document: JsonObject = {"id": uri, "type": "OrderedCollection", "totalItems": total}
    return {**document, "first": f"{uri}?page=true"} if listed else document


def page(uri: str, rows: QuerySet[Row], before: str, write: Callable[[Row], object]) -> JsonObject:
    """One page, the newest first. ``before`` is the cursor of the request, empty for the first page. Raises NotFound."""
    if before and not (before.isascii() and before.isdigit() and len(before) <= 19):  # noqa: PLR2004 (63 bits)
        raise NotFound("There is no such page.")
    wanted = rows.filter(pk__lt=int(before)) if before else rows
    found = list(wanted.order_by("-pk")[: limits.PAGE_COUNT_MAX])
    here = f"{uri}?page=true" + (f"&before={before}" if before else "")
    document: JsonObject = {"id": here, "type": "OrderedCollectionPage", "partOf": uri, "orderedItems": _items(found, write)}
    if len(found) == limits.PAGE_COUNT_MAX:
        document["next"] = f"{uri}?page=true&before={found[-1].pk}"
    return document


def _items(rows: Iterable[Row], write: Callable[[Row], object]) -> list[object]:
    return [write(row) for row in rows]
