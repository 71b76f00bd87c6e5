"""The ledger for machines: the log's files, statements, the witness's door. See docs/reference/ledger-endpoints.md."""

import re
from hashlib import sha256

from django.http import HttpRequest, HttpResponse
from django.views.decorators.csrf import csrf_exempt
from django.views.decorators.http import require_POST, require_safe

from payouts import pins, queries, statements, store
from payouts.ledger.errors import LedgerError
from payouts.ledger.witness import REQUEST_BYTES_MAX, parse_request
from payouts.models import LogEntry, PeerLog
from server.core.errors import NotFound, TributaryError

TEXT = "text/plain; charset=utf-8"
BINARY = "application/octet-stream"
# What stands under a number or a hash never changes.
FOR_EVER = "public, max-age=31536000, immutable"
SHORTLY = "public, max-age=5"
NEVER = "no-store"

_DIGEST = re.compile(r"[0-9a-f]{64}")


def _answer(body: bytes | str, content_type: str, *, cache: str = NEVER, status: int = 200) -> HttpResponse:
    headers = {"Cache-Control": cache, "Access-Control-Allow-Origin": "*", "X-Content-Type-Options": "nosniff"}
    return HttpResponse(body, content_type=content_type, status=status, headers=headers)


def _refusal(error: LedgerError | TributaryError) -> HttpResponse:
    status = error.status if isinstance(error, TributaryError) else 400
    return _answer(f"{error.code}: {error}\n", TEXT, status=status)


@require_safe
def checkpoint(request: HttpRequest) -> HttpResponse:
    """The newest signed head, with the cosignatures it has."""
    note = store.published_checkpoint()
    if not note:
        return _refusal(NotFound("This ledger has not begun."))
    return _answer(note, TEXT, cache=SHORTLY)


@require_safe
def tile(request: HttpRequest, path: str) -> HttpResponse:
    """A tile or entry bundle (C2SP tlog-tiles)."""
    try:
        return _answer(queries.tile_file(f"tile/{path}"), BINARY, cache=FOR_EVER)
    except LedgerError as error:
        return _answer(f"{error.code}\n", TEXT, status=404)


@require_safe
def entry(request: HttpRequest, index: int) -> HttpResponse:
    """The bytes of one entry."""
    found = LogEntry.objects.filter(index=index).first()
    if found is None:
        return _refusal(NotFound("There is no such entry."))
    return _answer(bytes(found.data), "application/json", cache=FOR_EVER)


@require_safe
def blob(request: HttpRequest, digest: str) -> HttpResponse:
    """Published bytes that an entry names: an agreement, the inputs of a close, the lines of an accrual."""
    try:
        if not _DIGEST.fullmatch(digest):
            raise NotFound("There is no such blob here.")
        return _answer(store.read_blob(digest, public=True), BINARY, cache=FOR_EVER)
    except TributaryError as error:
        return _refusal(error)


@require_safe
def statement(request: HttpRequest, scid: str) -> HttpResponse:
    """What this instance owes an identity, as a file that proves itself. The log is public, and so is this."""
    try:
        data = statements.build(scid)
    except TributaryError as error:
        return _refusal(error)
    answer = _answer(data, "application/gzip")
    answer["Content-Disposition"] = f'attachment; filename="statement-{sha256(data).hexdigest()[:12]}.json.gz"'
    return answer


@csrf_exempt
@require_POST
def add_checkpoint(request: HttpRequest) -> HttpResponse:
    """The witness (C2SP tlog-witness): another log shows its new head and gets our cosignature."""
    body = request.read(REQUEST_BYTES_MAX + 1)
    try:
        answer = pins.witness(parse_request(body))
    except (LedgerError, TributaryError) as error:
        return _refusal(error)
    # The cosignature is only said after its transaction is committed.
    return HttpResponse(answer.body, status=answer.status, content_type=answer.content_type, headers={"Cache-Control": NEVER})


@require_safe
def peer_checkpoint(request: HttpRequest, digest: str) -> HttpResponse:
    """The newest head of another log that we accepted, with our cosignature. ``digest``: SHA-256 of its origin."""
    for peer in PeerLog.objects.exclude(size=0):
        if sha256(peer.origin.encode()).hexdigest() == digest:
            return _answer(bytes(peer.checkpoint) + peer.cosignature.encode(), TEXT, cache=SHORTLY)
    return _refusal(NotFound("This log is not followed here."))
