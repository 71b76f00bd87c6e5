"""The door for key logs: this instance as a did:webvh watcher, under ``/.well-known/webvh/`` (docs/reference/replicas.md).

The addresses of the watcher API 1.0.0 of did:webvh, and beside them receipts, forks and outbox heads. Everything read is open to
anyone. What is written needs no sign-in: logs, evidence, heads and deletions prove themselves.
"""

from collections.abc import Callable
from functools import wraps

from django.http import HttpRequest, HttpResponse
from django.urls import path
from django.views.decorators.csrf import csrf_exempt
from django.views.decorators.http import require_http_methods, require_POST, require_safe

from federation.answering import problem
from payouts import queries as ledger
from server.accounts.models import Follow
from server.core import budget, canonical, facts, limits
from server.core.errors import Invalid, NotFound, TooLarge, TributaryError
from server.identity import contests, keylog, outbox_heads, queries, watching
from server.identity.facts import LogAnnounced
from server.identity.models import Identity

LOG_TYPES = {"text/jsonl", "application/jsonl", "application/x-ndjson"}
JSON = "application/json"
ANNOUNCED_SECONDS = 60


class TooOften(TributaryError):
    """You have asked too often. Wait a minute."""

    code, status = "too_often", 429


View = Callable[[HttpRequest], HttpResponse]


def _door(view: View) -> View:
    """Refusals become problem documents; every answer is for any origin."""

    @wraps(view)
    def answer(request: HttpRequest) -> HttpResponse:
        try:
            response = view(request)
        except TributaryError as error:
            response = problem(error, headers={"Retry-After": "60"} if isinstance(error, TooOften) else None)
        response.setdefault("Access-Control-Allow-Origin", "*")
        return response

    return answer


@csrf_exempt
@require_http_methods(["GET", "HEAD", "POST"])
@_door
def log(request: HttpRequest) -> HttpResponse:
    """GET: the log of ``scid``. POST: the log in the body, or only word that the log of ``did`` grew, which is then fetched."""
    if request.method == "POST":
        return _take_log(request)
    data, version_id = watching.log_for_all(_scid(request))
    etag = f'"{version_id}"'
    headers = {"ETag": etag, "Cache-Control": "max-age=60"}
    if request.headers.get("If-None-Match") == etag:
        return HttpResponse(status=304, headers=headers)
    return HttpResponse(data, content_type="text/jsonl", headers=headers)


def _take_log(request: HttpRequest) -> HttpResponse:
    _spend(request)
    requested = request.GET.get("did") or None
    scid = keylog.parse_did(requested, loopback=True).scid if requested is not None else None
    data = _body(request, size_bytes_max=keylog.HARD.bytes_max)
    if not data:
        if requested is None or scid is None:
            raise Invalid("Which DID was updated?", field="did")
        if not _is_wanted(scid):
            raise watching.NotWanted
        if not budget.once(f"announced:{scid}", ANNOUNCED_SECONDS):
            raise TooOften
        facts.record(LogAnnounced(did=requested))
        return HttpResponse("{}", status=202, content_type=JSON)
    if request.content_type not in LOG_TYPES:
        raise Invalid("A log is sent as text/jsonl.")
    scid = keylog.claimed_scid(data)
    _spend_on(scid)
    receipt = watching.take_log(data=data, requested=requested, is_wanted=_is_wanted(scid), source=_address(request))
    return HttpResponse(receipt, content_type=JSON)


@csrf_exempt
@require_POST
@_door
def delete_log(request: HttpRequest) -> HttpResponse:
    """The owner has our copy deleted."""
    _spend(request)
    scid = _scid(request)
    data = _body(request, size_bytes_max=watching.PRESENTATION_BYTES_MAX)
    watching.delete_log(scid=scid, data=data, is_owed=ledger.names_identity(scid))
    return HttpResponse("{}", status=202, content_type=JSON)


@require_safe
@_door
def witness(request: HttpRequest) -> HttpResponse:
    """The did-witness.json of a log that names witnesses; 404 for all others."""
    found = queries.witness_file(queries.by_scid(_scid(request)))
    if found is None:
        raise NotFound("This log names no witnesses.")
    return HttpResponse(found, content_type=JSON)


@csrf_exempt
@require_http_methods(["GET", "HEAD", "POST"])
@_door
def resource(request: HttpRequest) -> HttpResponse:
    """Resources are not kept: what belongs to an identity beside its log is in its archive."""
    queries.by_scid(_scid(request))
    if request.method == "POST":
        raise Invalid("This watcher keeps logs and no other resources.", field="path")
    raise NotFound("This watcher keeps logs and no other resources.")


@require_safe
@_door
def receipts(request: HttpRequest) -> HttpResponse:
    """Who has seen which entry of this log, and when: signed by each."""
    documents = queries.receipt_bytes(queries.by_scid(_scid(request)))
    return HttpResponse(watching.as_json_list(documents), content_type=JSON, headers={"Cache-Control": "max-age=60"})


@csrf_exempt
@require_http_methods(["GET", "HEAD", "POST"])
@_door
def fork(request: HttpRequest) -> HttpResponse:
    """GET: the ForkEvidence about ``scid``, a list that is empty for the honest. POST: evidence for us."""
    if request.method == "POST":
        _spend(request)
        contests.take_evidence(data=_body(request, size_bytes_max=keylog.limits.EVIDENCE_BYTES_MAX), source=_address(request))
        return HttpResponse("{}", status=202, content_type=JSON)
    return HttpResponse(watching.as_json_list(contests.evidence_of(_scid(request))), content_type=JSON)


@csrf_exempt
@require_http_methods(["GET", "HEAD", "POST"])
@_door
def heads(request: HttpRequest) -> HttpResponse:
    """GET: the outbox heads of ``scid`` after the number ``after``. POST: heads for us, the oldest first."""
    scid = _scid(request)
    queries.by_scid(scid)
    if request.method == "POST":
        _spend(request)
        _spend_on(scid)
        data = _body(request, size_bytes_max=limits.HEADS_BYTES_MAX)
        found = watching.read_documents(data, name="heads", count_max=limits.HEADS_PER_POST_MAX)
        seq = outbox_heads.accept_heads(found, scid=scid)
        return HttpResponse(canonical.jcs({"seq": seq}), content_type=JSON)
    after = request.GET.get("after", "0")
    if not (after.isascii() and after.isdigit() and len(after) <= len(str(canonical.JSON_INTEGER_MAX))):
        raise Invalid("after is a whole number.", field="after")
    listed = outbox_heads.heads_after(scid, int(after), count_max=limits.HEADS_PER_POST_MAX)
    return HttpResponse(b'{"heads":' + watching.as_json_list(listed) + b"}", content_type=JSON)


def _scid(request: HttpRequest) -> str:
    """The SCID that was asked for. Raises BadScid."""
    scid = request.GET.get("scid", "")
    if not canonical.MULTIHASH.fullmatch(scid):
        raise BadScid
    return scid


class BadScid(TributaryError):
    """This is no SCID."""

    code, status, permanent = "bad_scid", 400, True


def _is_wanted(scid: str) -> bool:
    """A watcher keeps the logs of whom somebody here follows, of whom the ledger names, and what it has already."""
    return (
        Identity.objects.filter(scid=scid).exists()
        or Follow.objects.filter(follower__domain="", target__scid=scid).exists()
        or ledger.names_identity(scid)
    )


def _body(request: HttpRequest, *, size_bytes_max: int) -> bytes:
    data = request.read(size_bytes_max + 1)
    if len(data) > size_bytes_max:
        raise TooLarge(f"At most {size_bytes_max} bytes.")
    return data


def _address(request: HttpRequest) -> str:
    return str(request.META.get("REMOTE_ADDR", ""))


def _spend(request: HttpRequest) -> None:
    name = f"webvh-post:{_address(request)}"
    if not budget.spend(name, per_minute_max=limits.COPY_POSTS_PER_ADDRESS_PER_MINUTE_MAX):
        raise TooOften


def _spend_on(scid: str) -> None:
    if scid and not budget.spend(f"webvh-post:{scid}", per_minute_max=limits.COPY_POSTS_PER_IDENTITY_PER_MINUTE_MAX):
        raise TooOften


_ROOT = ".well-known/webvh"

urlpatterns = [
    path(f"{_ROOT}/log", log),
    path(f"{_ROOT}/log/delete", delete_log),
    path(f"{_ROOT}/witness", witness),
    path(f"{_ROOT}/resource", resource),
    path(f"{_ROOT}/resource/delete", resource),
    path(f"{_ROOT}/receipts", receipts),
    path(f"{_ROOT}/fork", fork),
    path(f"{_ROOT}/heads", heads),
]
