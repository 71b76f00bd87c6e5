"""Collections over HTTP: outboxes, followers, following, and what belongs to a video."""

from collections.abc import Callable

from django.db.models import QuerySet
from django.http import HttpRequest, HttpResponse
from django.views.decorators.http import require_safe

from federation import collections, published, translate
from federation import migration as migrations
from federation.answering import document, problem
from federation.collections import collection
from federation.models import Migration
from federation.wire import json
from federation.wire.json import JsonObject
from server.accounts import queries as accounts
from server.accounts.models import Account, Follow
from server.core import locators
from server.core.errors import NotFound
from server.identity.models import OutboxHead
from server.videos import queries as videos


@require_safe
def instance_outbox(request: HttpRequest) -> HttpResponse:
    """The instance posts nothing."""
    return document(request, collection(f"{locators.instance_actor_uri()}/outbox", 0, listed=False))


@require_safe
def outbox(request: HttpRequest, handle: str) -> HttpResponse:
    """The public videos of an account, the newest first, each as its Create."""
    account = _local(handle)
    if account is None:
        return problem(NotFound("There is no such account."))
    rows = videos.visible_to(None).filter(account=account)
    uri = f"{account.uri}/outbox"
    if "page" not in request.GET:
        return document(request, collection(uri, rows.count()))
    return _page(request, lambda before: collections.page(uri, rows, before, published.create_video))


@require_safe
def heads(request: HttpRequest, handle: str) -> HttpResponse:
    """The outbox heads of an account's identity, the newest first (docs/reference/outbox-head.md)."""
    account = _local(handle)
    if account is None or not account.scid:
        return problem(NotFound("There is no such account."))
    uri = f"{account.uri}/heads"
    rows = OutboxHead.objects.filter(identity_id=account.scid)
    if "page" not in request.GET:
        return document(request, collection(uri, rows.count()))
    return _page(request, lambda before: collections.page(uri, rows, before, lambda row: json.parse(bytes(row.document))))


@require_safe
def migration(request: HttpRequest, handle: str) -> HttpResponse:
    """Which posts of an account had which ids at earlier homes (FEP-1580), the newest first, signed."""
    account = _local(handle)
    row = Migration.objects.filter(account=account, account__moved_to=None).first() if account is not None else None
    if account is None or row is None:
        return problem(NotFound("Nothing has moved to this account."))
    return _page(request, lambda before: migrations.document_of(row, before if "page" in request.GET else None))


@require_safe
def followers(request: HttpRequest, handle: str) -> HttpResponse:
    """Who follows an account."""
    account = _local(handle)
    if account is None:
        return problem(NotFound("There is no such account."))
    uri = translate.followers_uri(account)
    rows = _follows().filter(target=account)
    if "page" not in request.GET:
        return document(request, collection(uri, rows.count()))
    return _page(request, lambda before: collections.page(uri, rows, before, lambda row: row.follower.uri))


@require_safe
def following(request: HttpRequest, handle: str) -> HttpResponse:
    """Whom an account follows."""
    account = _local(handle)
    if account is None:
        return problem(NotFound("There is no such account."))
    uri = f"{account.uri}/following"
    rows = _follows().filter(follower=account)
    if "page" not in request.GET:
        return document(request, collection(uri, rows.count()))
    return _page(request, lambda before: collections.page(uri, rows, before, lambda row: row.target.uri))


def _local(handle: str) -> Account | None:
    try:
        return accounts.local_by_handle(handle)
    except NotFound:
        return None


def _follows() -> QuerySet[Follow]:
    rows = Follow.objects.filter(state="accepted").select_related("follower", "target")
    return rows.filter(follower__deleted_at=None, follower__suspended_at=None, target__deleted_at=None, target__suspended_at=None)


def _page(request: HttpRequest, make: Callable[[str], JsonObject]) -> HttpResponse:
    try:
        return document(request, make(request.GET.get("before", "")))
    except NotFound as error:
        return problem(error)


@require_safe
def likes(request: HttpRequest, handle: str, video_id: int) -> HttpResponse:
    """How many like a video; who they are is their business."""
    return _count(request, video_id, "likes", "like_count")


@require_safe
def shares(request: HttpRequest, handle: str, video_id: int) -> HttpResponse:
    """How many passed a video on."""
    return _count(request, video_id, "shares", "share_count")


def _count(request: HttpRequest, video_id: int, name: str, field: str) -> HttpResponse:
    video = videos.visible_to(None).filter(pk=video_id, is_local=True).first()
    if video is None:
        return problem(NotFound("There is no such video."))
    return document(request, collection(f"{video.uri}/{name}", getattr(video, field), listed=False))


@require_safe
def replies(request: HttpRequest, handle: str, video_id: int) -> HttpResponse:
    """The comments under a video, by their ids."""
    video = videos.visible_to(None).filter(pk=video_id, is_local=True).first()
    if video is None:
        return problem(NotFound("There is no such video."))
    uri = f"{video.uri}/replies"
    rows = videos.thread(video, None).filter(deleted_at=None)
    if "page" not in request.GET:
        return document(request, collection(uri, rows.count()))
    return _page(request, lambda before: collections.page(uri, rows, before, lambda row: row.uri))
