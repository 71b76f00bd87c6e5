"""Read one field of a stranger's document: the right type within its limit, or Malformed. Pure."""

import re
from collections.abc import Iterable
from datetime import datetime
from typing import Any

from federation.wire.dates import BadDate, read_timestamp
from federation.wire.json import JsonObject
from server.core import hosts, limits
from server.core.errors import Invalid

ADDRESSEES_MAX = 1_000
LINKS_MAX = 100
_DURATION = re.compile(r"P(?:([0-9]{1,4})D)?T?(?:([0-9]{1,6})H)?(?:([0-9]{1,6})M)?(?:([0-9]{1,9})(?:\.([0-9]{1,9}))?S)?")


class Malformed(Invalid):
    """This document does not have the form of what it says it is."""

    code, status = "malformed", 400


def kind(document: JsonObject) -> str:
    """``type``, which must be one word. Raises Malformed."""
    value = document.get("type")
    if isinstance(value, list) and len(value) == 1:
        value = value[0]
    if not isinstance(value, str) or not 0 < len(value) <= 40:  # noqa: PLR2004 (the longest type is far shorter)
        raise Malformed("type is not one word", field="type")
    return value


def text(document: JsonObject, name: str, *, characters_max: int) -> str:
    """A text, cut to ``characters_max``; empty when it is absent or something else."""
    value = document.get(name)
    return value[:characters_max] if isinstance(value, str) else ""


def integer(document: JsonObject, name: str, *, maximum: int) -> int | None:
    """A whole number from 0 to ``maximum``, else None."""
    value = document.get(name)
    if isinstance(value, float) and value.is_integer():
        value = int(value)
    return value if isinstance(value, int) and not isinstance(value, bool) and 0 <= value <= maximum else None


def address(value: Any, name: str) -> str:
    """``value`` as a canonical http address. Raises Malformed."""
    try:
        return hosts.canonical_url(value)
    except hosts.BadAddress as error:
        raise Malformed(f"{name} is not a usable address", field=name) from error


def identifier(document: JsonObject, name: str) -> str:
    """The id in a field that holds an id or an object with one. Raises Malformed."""
    return address(bare_identifier(document.get(name)), name)


def bare_identifier(value: Any) -> Any:
    """``value`` itself, or the ``id`` of an object; a list with one element stands for the element."""
    if isinstance(value, list) and len(value) == 1:
        value = value[0]
    return value.get("id") if isinstance(value, dict) else value


def optional_address(document: JsonObject, name: str) -> str:
    """The address in a field, or empty when there is none that we can use."""
    try:
        return identifier(document, name)
    except Malformed:
        return ""


def identifiers(document: JsonObject, name: str) -> tuple[str, ...]:
    """The ids in a field that is absent, one id, one object, or a list of them; what is no text is left out. Raises Malformed."""
    value = document.get(name)
    values = value if isinstance(value, list) else [value]
    if len(values) > ADDRESSEES_MAX:
        raise Malformed(f"{name} names more than {ADDRESSEES_MAX}", field=name)
    found = (each.get("id") if isinstance(each, dict) else each for each in values)
    return tuple(each for each in found if isinstance(each, str) and len(each) <= limits.URL_CHARACTERS_MAX)


def objects(document: JsonObject, name: str, *, count_max: int) -> Iterable[JsonObject]:
    """The first ``count_max`` objects in a field that is absent, one object or a list."""
    value = document.get(name)
    values = value if isinstance(value, list) else [value]
    return [each for each in values[:count_max] if isinstance(each, dict)]


def moment(document: JsonObject, name: str) -> datetime | None:
    """A timestamp, else None."""
    try:
        return read_timestamp(text(document, name, characters_max=40))
    except BadDate:
        return None


def link(value: Any, *, media_types: Iterable[str] = ()) -> str:
    """The address in a ``url`` field: a text, a Link, or a list of them, of which the first of a wanted media type wins.

    Empty when there is none that we can use.
    """
    values = value if isinstance(value, list) else [value]
    wanted = list(media_types)
    links = [each for each in values[:LINKS_MAX] if isinstance(each, (str, dict))]
    links.sort(key=lambda each: not (isinstance(each, dict) and each.get("mediaType") in wanted))
    for each in links:
        target = each if isinstance(each, str) else each.get("href", each.get("url"))
        try:
            return hosts.canonical_url(target)  # type: ignore[arg-type]  # what is no text is refused there
        except hosts.BadAddress:
            continue
    return ""


def milliseconds(document: JsonObject, name: str) -> int | None:
    """An ISO 8601 duration (``PT34S``, ``PT1M3.5S``) in milliseconds, else None."""
    match = _DURATION.fullmatch(text(document, name, characters_max=40))
    if match is None or not any(match.groups()):
        return None
    days, hours, minutes, seconds = (int(each or 0) for each in match.groups()[:4])
    fraction = int(f"{match.group(5) or '0':0<3}"[:3])
    total = ((days * 24 + hours) * 60 + minutes) * 60_000 + seconds * 1000 + fraction
    return total if total <= 2**31 - 1 else None
