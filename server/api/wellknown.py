"""What every fediverse server tells about itself and its people: WebFinger (RFC 7033), NodeInfo 2.0 and 2.1, host-meta."""

import json
from collections.abc import Mapping
from typing import Any
from urllib.parse import quote

from django.conf import settings
from django.core.cache import cache
from django.http import HttpRequest, HttpResponse
from django.urls import URLPattern, path
from django.views.decorators.http import require_safe

from payouts import queries as ledgers
from server.accounts import addresses, queries
from server.accounts.models import Account
from server.core import locators
from server.core.errors import Invalid, NotFound
from server.videos import queries as videos
from server.videos.models import Comment

ACTIVITY_JSON = "application/activity+json"
VERSION = "1.0.0"
COUNTS_KEPT_SECONDS = 300


def _answer(body: Mapping[str, Any], media_type: str, *, status: int = 200) -> HttpResponse:
    return HttpResponse(json.dumps(body), status=status, content_type=media_type, headers={"Access-Control-Allow-Origin": "*"})


@require_safe
def webfinger(request: HttpRequest) -> HttpResponse:
    """Whose address is this? 400 for a resource that is none, 404 for one that is not here."""
    resource = request.GET.get("resource", "")
    try:
        document = _instance(resource) or _person(_account(resource))
    except Invalid as error:
        return _answer({"error": str(error)}, "application/json", status=400)
    except NotFound as error:
        return _answer({"error": str(error)}, "application/json", status=404)
    return _answer(document, "application/jrd+json")


def _account(resource: str) -> Account:
    if resource.startswith(("https://", "http://")):
        found = Account.objects.filter(domain="", uri=resource).first() or Account.objects.filter(domain="", url=resource).first()
        if found is None or not queries.is_active(found):
            raise NotFound("There is no such account here.")
        return found
    address = addresses.parse_address(resource)
    if address.host != settings.HOST:
        raise NotFound("This address belongs to another server.")
    return queries.local_by_handle(address.handle)


def _person(account: Account) -> Mapping[str, Any]:
    return {
        "subject": f"acct:{account.handle}@{settings.HOST}",
        "aliases": [account.url, account.uri],
        "links": [
            {"rel": "self", "type": ACTIVITY_JSON, "href": account.uri},
            {"rel": "http://webfinger.net/rel/profile-page", "type": "text/html", "href": account.url},
            {"rel": "http://ostatus.org/schema/1.0/subscribe", "template": f"{settings.ORIGIN}/search?q={{uri}}"},
        ],
    }


def _instance(resource: str) -> Mapping[str, Any] | None:
    """The instance itself, called by its host name: servers that check our signed fetches ask for it."""
    name = settings.HOST.partition(":")[0]
    uri = locators.instance_actor_uri()
    if resource not in {f"acct:{name}@{settings.HOST}", f"{name}@{settings.HOST}", uri}:
        return None
    return {
        "subject": f"acct:{name}@{settings.HOST}",
        "aliases": [uri],
        "links": [{"rel": "self", "type": ACTIVITY_JSON, "href": uri}],
    }


@require_safe
def nodeinfo_links(request: HttpRequest) -> HttpResponse:
    """Where NodeInfo is, and (FEP-2677) which actor is the instance."""
    schema = "http://nodeinfo.diaspora.software/ns/schema"
    links = [{"rel": f"{schema}/{version}", "href": f"{settings.ORIGIN}/nodeinfo/{version}"} for version in ("2.1", "2.0")]
    application = {"rel": "https://www.w3.org/ns/activitystreams#Application", "href": locators.instance_actor_uri()}
    return _answer({"links": [*links, application]}, "application/json")


@require_safe
def nodeinfo(request: HttpRequest, version: str) -> HttpResponse:
    """What runs here and how much of it (jhass/nodeinfo, schemas 2.0 and 2.1: nothing else may stand in it)."""
    if version not in {"2.0", "2.1"}:
        return _answer({"error": "There is no such version."}, "application/json", status=404)
    ledger = ledgers.describe_ledger()
    software = {"name": "tributary", "version": VERSION}
    body = {
        "version": version,
        "software": software,
        "protocols": ["activitypub"],
        "services": {"inbound": [], "outbound": []},
        "openRegistrations": settings.REGISTRATION_OPEN,
        "usage": _usage(),
        "metadata": {
            "nodeName": settings.INSTANCE_NAME,
            "nodeDescription": settings.INSTANCE_DESCRIPTION,
            **({"ledger": ledger} if ledger else {}),
        },
    }
    profile = f"http://nodeinfo.diaspora.software/ns/schema/{version}#"
    return _answer(body, f'application/json; profile="{profile}"; charset=utf-8')


def _usage() -> Mapping[str, Any]:
    def count() -> Mapping[str, Any]:
        return {
            "users": {"total": queries.active().filter(domain="").count()},
            "localPosts": videos.visible_to(None).filter(is_local=True).count(),
            "localComments": Comment.objects.filter(is_local=True, deleted_at=None).count(),
        }

    return cache.get_or_set("nodeinfo-usage", count, COUNTS_KEPT_SECONDS) or count()


@require_safe
def host_meta(request: HttpRequest) -> HttpResponse:
    """Where WebFinger is (RFC 6415), for software that still asks."""
    template = f"{settings.ORIGIN}/.well-known/webfinger?resource={{uri}}"
    body = (
        '<?xml version="1.0" encoding="UTF-8"?>\n'
        '<XRD xmlns="http://docs.oasis-open.org/ns/xri/xrd-1.0">\n'
        f'  <Link rel="lrdd" type="application/jrd+json" template="{quote(template, safe=":/?={}")}"/>\n'
        "</XRD>\n"
    )
    return HttpResponse(body, content_type="application/xrd+xml; charset=utf-8")


urlpatterns: list[URLPattern] = [
    path(".well-known/webfinger", webfinger),
    path(".well-known/nodeinfo", nodeinfo_links),
    path(".well-known/host-meta", host_meta),
    path("nodeinfo/<str:version>", nodeinfo),
]
