"""Where the ledger of an instance is: its NodeInfo says so, or the instance actor that NodeInfo names (FEP-2677).

What is told is only where to look: the genesis that is found there must stand in a tree that its own key signed (``peers``).
"""

import json
from typing import Any

from server.core import http, limits
from server.core.errors import TributaryError

NODEINFO = "http://nodeinfo.diaspora.software/ns/schema/2.1"
APPLICATION = "https://www.w3.org/ns/activitystreams#Application"
LINKS_MAX = 20
OK = 200


class NoLedger(TributaryError):
    """This instance does not say where its ledger is."""

    code, status = "no_ledger", 502


def find_ledger(base: str) -> dict[str, Any]:
    """The members ``origin``, ``url`` and ``vkey`` that the instance at ``base`` (no slash at the end) tells of its ledger.

    Raises NoLedger, HttpError.
    """
    links = _links(base)
    told = _from_nodeinfo(base, links) or _from_actor(base, links)
    if told is None or not all(type(told.get(name)) is str for name in ("origin", "url", "vkey")):
        raise NoLedger("This instance has no ledger, or has not begun it.")
    return told


def _links(base: str) -> dict[str, str]:
    links = _get_json(f"{base}/.well-known/nodeinfo", accept="application/json").get("links")
    found = [one for one in (links if isinstance(links, list) else [])[:LINKS_MAX] if isinstance(one, dict)]
    return {
        str(one.get("rel")): one["href"]
        for one in found
        if isinstance(one.get("href"), str) and one["href"].startswith(f"{base}/")
    }  # fmt: skip


def _from_nodeinfo(base: str, links: dict[str, str]) -> dict[str, Any] | None:
    if NODEINFO not in links:
        return None
    metadata = _get_json(links[NODEINFO], accept="application/json").get("metadata")
    told = metadata.get("ledger") if isinstance(metadata, dict) else None
    return told if isinstance(told, dict) else None


def _from_actor(base: str, links: dict[str, str]) -> dict[str, Any] | None:
    if APPLICATION not in links:
        return None
    told = _get_json(links[APPLICATION], accept="application/activity+json").get("ledger")
    return told if isinstance(told, dict) else None


def _get_json(url: str, *, accept: str) -> dict[str, Any]:
    answer = http.get(
        url, headers={"Accept": accept}, size_bytes_max=limits.WEBFINGER_BYTES_MAX, wait_seconds_max=limits.FETCH_SECONDS_MAX
    )
    try:
        document = json.loads(answer.body) if answer.status == OK else None
    except (ValueError, RecursionError) as error:
        raise NoLedger(f"{url} is no JSON") from error
    if not isinstance(document, dict):
        raise NoLedger(f"{url}: status {answer.status}")
    return document
