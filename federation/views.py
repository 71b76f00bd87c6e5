"""The door for other servers: inboxes, actors, posts and collections. Thin: it reads, calls, and answers."""

import logging
from http import HTTPStatus

from django.http import HttpRequest, HttpResponse
from django.http.request import UnreadablePostError
from django.views.decorators.csrf import csrf_exempt
from django.views.decorators.http import require_POST, require_safe

from federation import inbox, migration, published, translate
from federation.answering import document, gone, moved, page, problem, wants_activity, wants_page
from federation.fetch.documents import is_activity
from federation.wire.json import BadJson
from federation.wire.signatures import Message
from server.accounts import queries as accounts
from server.accounts.models import Account
from server.core import limits, metrics
from server.core.errors import NotFound, TooLarge, TributaryError
from server.videos import states
from server.videos.models import Comment, Video

log = logging.getLogger(__name__)

__all__ = ["actor", "actor_of_page", "inbox_of", "note_of_page", "shared_inbox", "wants_activity"]


# --- what arrives ---


@csrf_exempt
@require_POST
def shared_inbox(request: HttpRequest) -> HttpResponse:
    """The inbox of the whole instance."""
    try:
        outcome = inbox.accept(_message(request))
    except TributaryError as error:
        reason = getattr(error, "reason", error.code)
        metrics.inbox_refused_total.labels(error.code, reason).inc()
        log.info("activity refused", extra={"reason": reason, "status": error.status, "detail": str(error)[:200]})
        wait = {"Retry-After": "60"} if error.status == HTTPStatus.TOO_MANY_REQUESTS else None
        return problem(error, headers=wait)
    log.info("activity accepted", extra={"outcome": type(outcome).__name__})
    return HttpResponse(status=HTTPStatus.ACCEPTED)


@csrf_exempt
@require_POST
def inbox_of(request: HttpRequest, handle: str) -> HttpResponse:
    """The inbox of one account. What arrives is the same as in the shared one: the activity itself says whom it concerns."""
    try:
        accounts.local_by_handle(handle)
    except NotFound as error:
        return problem(error)
    return shared_inbox(request)


def _message(request: HttpRequest) -> Message:
    length = request.headers.get("Content-Length", "")
    if not (length.isascii() and length.isdigit()):
        raise BadJson("a body of known length is needed")
    if len(length) > 10 or int(length) > limits.INBOX_BYTES_MAX:  # noqa: PLR2004 (more digits than any limit)
        raise TooLarge(f"At most {limits.INBOX_BYTES_MAX} bytes.")
    if not is_activity(request.headers.get("Content-Type", "")):
        raise BadJson("the media type is not that of an activity")
    try:
        body = request.read(int(length))
    except UnreadablePostError as error:
        raise BadJson("the connection broke before the body was complete") from error
    if len(body) != int(length):
        raise BadJson("the body is shorter than announced")
    return Message(
        method=request.method or "",
        target=request.get_full_path(),
        headers={name.lower(): value for name, value in request.headers.items()},
        body=body,
    )


# --- who is here ---


@require_safe
def instance_actor(request: HttpRequest) -> HttpResponse:
    """The instance itself."""
    return document(request, translate.instance_actor())


@require_safe
def actor(request: HttpRequest, handle: str) -> HttpResponse:
    """A local account; people are sent to her profile page."""
    account = Account.objects.filter(handle__iexact=handle, domain="").first()
    if account is None:
        return problem(NotFound("There is no such account."))
    if not accounts.is_active(account):
        # Who reads that somebody is gone drops her followers, and those of one who moved are not to be dropped.
        return problem(NotFound("There is no such account.")) if account.moved_to_id else gone(request, account.uri)
    if wants_page(request):
        return page(account.url)
    return document(request, published.person(account))


def actor_of_page(request: HttpRequest, acct: str) -> HttpResponse:
    """What the profile page's address answers to a server."""
    if "@" in acct:
        return problem(NotFound("That account is on another server."))
    return actor(request, acct)


# --- what they posted ---


@require_safe
def note(request: HttpRequest, handle: str, video_id: int) -> HttpResponse:
    """A local video as a Note; people are sent to the page on which it is watched."""
    return _video(request, Video.objects.select_related("account").filter(pk=video_id, account__handle__iexact=handle).first())


def note_of_page(request: HttpRequest, video_id: int) -> HttpResponse:
    """What the watch page's address answers to a server."""
    return _video(request, Video.objects.select_related("account").filter(pk=video_id).first())


@require_safe
def note_activity(request: HttpRequest, handle: str, video_id: int) -> HttpResponse:
    """The Create of a local video."""
    video = Video.objects.select_related("account").filter(pk=video_id, account__handle__iexact=handle, is_local=True).first()
    if video is None or video.state != states.PUBLISHED or not accounts.is_active(video.account):
        return problem(NotFound("There is no such activity."))
    return document(request, published.create_video(video))


def _video(request: HttpRequest, video: Video | None) -> HttpResponse:
    if video is None or not video.is_local:
        return problem(NotFound("There is no such video."))
    if (new_uri := migration.new_uri_of(video.uri, video.account)) is not None:
        return moved(new_uri)
    if video.account.moved_to_id and not accounts.is_active(video.account):
        return problem(NotFound("There is no such video."))
    if video.state == states.DELETED or not accounts.is_active(video.account):
        return gone(request, video.uri, published.stands_for(video.uri))
    if video.state != states.PUBLISHED:
        return problem(NotFound("There is no such video."))
    if wants_page(request):
        return page(video.url)
    return document(request, published.note(video))


def _comment(handle: str, comment_id: int) -> Comment | None:
    rows = Comment.objects.select_related("account", "video__account", "parent__account")
    return rows.filter(pk=comment_id, account__handle__iexact=handle, is_local=True).first()


@require_safe
def comment_activity(request: HttpRequest, handle: str, comment_id: int) -> HttpResponse:
    """The Create of a local comment."""
    row = _comment(handle, comment_id)
    if row is None or row.deleted_at is not None or not accounts.is_active(row.account):
        return problem(NotFound("There is no such activity."))
    return document(request, published.create_comment(row))


@require_safe
def comment(request: HttpRequest, handle: str, comment_id: int) -> HttpResponse:
    """A local comment as a Note."""
    row = _comment(handle, comment_id)
    if row is None:
        return problem(NotFound("There is no such comment."))
    if (new_uri := migration.new_uri_of(row.uri, row.account)) is not None:
        return moved(new_uri)
    if row.account.moved_to_id and not accounts.is_active(row.account):
        return problem(NotFound("There is no such comment."))
    if row.deleted_at is not None or not accounts.is_active(row.account):
        return gone(request, row.uri, published.stands_for(row.uri))
    if wants_page(request):
        return page(row.url or row.video.url)
    return document(request, published.comment(row))
