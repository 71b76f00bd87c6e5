"""WebFinger (RFC 7033): which actor an address belongs to, checked in both directions."""

from collections.abc import Mapping
from urllib.parse import quote

from django.conf import settings

from federation.fetch.documents import ACTIVITY_JSON, Gone, Missing, WrongDocument, follow, is_activity
from federation.wire import json
from federation.wire.objects import ActorDocument
from server.accounts.addresses import Address, parse_address
from server.core import hosts, limits
from server.core.errors import Invalid, NotAllowed

ACCEPT = {"Accept": "application/jrd+json, application/json"}


def finger(address: Address) -> tuple[Address, str]:
    """What the server of ``address`` says: the address as it spells it, and the id of the actor.

    Raises WrongDocument, and whatever fetching raises.
    """
    scheme = "http" if settings.ALLOW_LOOPBACK and hosts.is_loopback_name(address.host.partition(":")[0]) else "https"
    resource = quote(f"acct:{address}", safe=":@")
    try:
        answer = follow(
            f"{scheme}://{address.host}/.well-known/webfinger?resource={resource}",
            _headers,
            size_bytes_max=limits.WEBFINGER_BYTES_MAX,
        )
        document = json.parse(answer.body, size_bytes_max=limits.WEBFINGER_BYTES_MAX)
    # In the words of whoever typed the address; what exactly came stands in the log, as the cause.
    except (Gone, Missing) as error:
        raise type(error)(f"{address.host} knows nobody called {address.handle}.") from error
    except json.BadJson as error:
        raise WrongDocument(f"{address.host} does not say who {address.handle} is: its answer is not JSON.") from error
    subject, links = document.get("subject"), document.get("links")
    if not isinstance(subject, str) or not isinstance(links, list):
        raise WrongDocument(f"{address.host} answers WebFinger without subject or links")
    try:
        spelled = parse_address(subject)
    except Invalid as error:
        raise WrongDocument(f"{address.host} answers WebFinger with the subject {subject[:100]!r}") from error
    for link in links:
        if isinstance(link, Mapping) and link.get("rel") == "self" and is_activity(str(link.get("type", ""))):
            try:
                return spelled, hosts.canonical_url(link.get("href", ""))
            except hosts.BadAddress as error:
                raise WrongDocument(f"{address} links to no usable actor") from error
    raise WrongDocument(f"{address} links to no actor of type {ACTIVITY_JSON}")


def _headers(target: hosts.Url) -> Mapping[str, str]:
    return ACCEPT


def confirm(document: ActorDocument) -> Address:
    """The address of an actor, agreed by the actor document and by WebFinger on every host it names.

    A server may give its people addresses on another domain than the one it runs on; then that domain must say so
    too, in one step. Raises WrongDocument (they contradict each other), NotAllowed, and whatever fetching raises.
    """
    claimed = parse_address(f"{document.handle}@{hosts.parse_url(document.uri).authority}")
    spelled, actor = finger(claimed)
    if actor != document.uri:
        raise WrongDocument(f"{claimed} belongs to another actor")
    if _same(spelled, claimed):
        return claimed
    if spelled.host == settings.HOST:
        raise NotAllowed("an address of our own")
    again, actor = finger(spelled)
    if actor != document.uri or not _same(again, spelled):
        raise WrongDocument(f"{spelled} does not belong to {document.uri}")
    return spelled


def _same(first: Address, second: Address) -> bool:
    return first.host == second.host and first.handle.lower() == second.handle.lower()
