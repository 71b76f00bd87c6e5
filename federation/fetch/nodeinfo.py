"""NodeInfo: what software another server says it runs.

For administrators to read; and who runs this software may be asked to keep copies of key logs.

"""

import logging
from collections.abc import Mapping

from federation.fetch.documents import WrongDocument, follow
from federation.models import Peer
from federation.wire import fields, json
from federation.wire.json import JsonObject
from server.core import budget, hosts, limits
from server.core.errors import TributaryError
from server.identity import watching

log = logging.getLogger(__name__)

ASKED_AGAIN_SECONDS = 24 * 3600
SCHEMAS = tuple(f"http://nodeinfo.diaspora.software/ns/schema/{version}" for version in ("2.1", "2.0"))
NAME_CHARACTERS_MAX = 100
LINKS_MAX = 20
OURS = "tributary"


def learn_software(peer: Peer, origin: str) -> None:
    """Note what runs at ``peer``, asked at most once a day. A server that does not say it is no error."""
    if peer.software or not budget.once(f"nodeinfo:{peer.host}", ASKED_AGAIN_SECONDS):
        return
    try:
        name, version = _ask(origin)
    except TributaryError as error:
        log.info("software of a peer not learnt", extra={"host": peer.host, "reason": f"{error.code}: {error}"[:200]})
        return
    Peer.objects.filter(pk=peer.pk).update(software=name, version=version)
    if name == OURS:
        # Whoever runs this software keeps copies of key logs.
        watching.know_watcher(origin)


def _ask(origin: str) -> tuple[str, str]:
    links = fields.objects(_document(f"{origin}/.well-known/nodeinfo"), "links", count_max=LINKS_MAX)
    by_schema = {fields.text(link, "rel", characters_max=NAME_CHARACTERS_MAX): link.get("href") for link in links}
    url = fields.address(next((by_schema[schema] for schema in SCHEMAS if schema in by_schema), None), "href")
    if hosts.origin(url) != origin:
        raise WrongDocument("NodeInfo lies on another server")
    software = _document(url).get("software")
    if not isinstance(software, dict):
        raise WrongDocument("NodeInfo names no software")
    name = fields.text(software, "name", characters_max=NAME_CHARACTERS_MAX)
    return name, fields.text(software, "version", characters_max=NAME_CHARACTERS_MAX)


def _document(url: str) -> JsonObject:
    answer = follow(url, _headers, size_bytes_max=limits.WEBFINGER_BYTES_MAX)
    return json.parse(answer.body, size_bytes_max=limits.WEBFINGER_BYTES_MAX)


def _headers(target: hosts.Url) -> Mapping[str, str]:
    return {"Accept": "application/json"}
