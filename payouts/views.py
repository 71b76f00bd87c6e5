"""The ledger for machines: the log's files, statements, the witness's door. See docs/reference/ledger-endpoints.md."""

import re
from hashlib import sha256

from django.http import HttpRequest, HttpResponse
from django.views.decorators.csrf import csrf_exempt
from django.views.decorators.http import require_POST, require_safe

from payouts import agreements, pins, queries, statements, store, witnesses
from payouts.agreement import AGREEMENT_BYTES_MAX
from payouts.ledger.errors import LedgerError
from payouts.ledger.witness import REQUEST_BYTES_MAX, parse_request
from payouts.models import LogEntry
from payouts.replies import BINARY, FOR_EVER, NEVER, SHORTLY, TEXT, refusal, reply
from server.core import budget, limits
from server.core.errors import NotFound, TributaryError


class AskedInVain(TributaryError):
    """You have asked in vain too often. Wait a minute."""

    code, status = "asked_in_vain", 429


_DIGEST = re.compile(r"[0-9a-f]{64}")


@require_safe
def checkpoint(request: HttpRequest) -> HttpResponse:
    """The newest signed head, with the cosignatures it has."""
    note = store.published_checkpoint()
    if not note:
        return refusal(NotFound("This ledger has not begun."))
    return reply(note, TEXT, cache=SHORTLY)


@require_safe
def policy(request: HttpRequest) -> HttpResponse:
    """Which witnesses we show our heads to, and how many make one witnessed (C2SP tlog-policy)."""
    return reply(witnesses.policy(), TEXT, cache=SHORTLY)


@require_safe
def tile(request: HttpRequest, path: str) -> HttpResponse:
    """A tile or entry bundle (C2SP tlog-tiles)."""
    try:
        return reply(queries.tile_file(f"tile/{path}"), BINARY, cache=FOR_EVER)
    except LedgerError as error:
        return reply(f"{error.code}\n", TEXT, status=404)


@require_safe
def entry(request: HttpRequest, index: int) -> HttpResponse:
    """The bytes of one entry."""
    found = LogEntry.objects.filter(index=index).first()
    if found is None:
        return refusal(NotFound("There is no such entry."))
    return reply(bytes(found.data), "application/json", cache=FOR_EVER)


@require_safe
def blob(request: HttpRequest, digest: str) -> HttpResponse:
    """Published bytes that an entry names: an agreement, the inputs of a close, the lines of an accrual."""
    try:
        if not _DIGEST.fullmatch(digest):
            raise NotFound("There is no such blob here.")
        return reply(store.read_blob(digest, public=True), BINARY, cache=FOR_EVER)
    except TributaryError as error:
        return refusal(error)


@require_safe
def statement(request: HttpRequest, scid: str) -> HttpResponse:
    """What this instance owes an identity, as a file that proves itself. The log is public, and so is this."""
    try:
        data = statements.build(scid)
    except TributaryError as error:
        return refusal(error)
    answer = reply(data, "application/gzip")
    answer["Content-Disposition"] = f'attachment; filename="statement-{sha256(data).hexdigest()[:12]}.json.gz"'
    return answer


@require_safe
def offer(request: HttpRequest) -> HttpResponse:
    """The default agreement in force: what a creator who has not signed may sign."""
    found = agreements.published_offer()
    if found is None:
        return refusal(NotFound("This instance has published no offer yet."))
    return reply(bytes(found.document), "application/json", cache=SHORTLY)


@csrf_exempt
@require_POST
def add_agreement(request: HttpRequest) -> HttpResponse:
    """A creator's home hands in what she signed over our offer, and gets it back with our signature."""
    try:
        body = request.read(AGREEMENT_BYTES_MAX + 1)
        taken = agreements.accept_from_elsewhere(data=body)
    except (LedgerError, TributaryError) as error:
        return refusal(error)
    return reply(bytes(taken.agreement.document), "application/json")


@csrf_exempt
@require_POST
def add_checkpoint(request: HttpRequest) -> HttpResponse:
    """The witness (C2SP tlog-witness): another log shows its new head and gets our cosignature.

    Only the holder of a log's key can make a pin move. Everybody else is counted: whoever asks in vain too often waits.
    """
    who = request.META.get("REMOTE_ADDR", "")
    if budget.is_remembered(f"witness:{who}"):
        return refusal(AskedInVain("You have asked in vain too often. Wait a minute."), headers={"Retry-After": "60"})
    try:
        answer, moved = pins.witness(parse_request(request.read(REQUEST_BYTES_MAX + 1)))
    except (LedgerError, TributaryError) as error:
        _count_in_vain(who)
        return refusal(error)
    if not moved:
        _count_in_vain(who)
    # The cosignature is only said after its transaction is committed.
    return HttpResponse(answer.body, status=answer.status, content_type=answer.content_type, headers={"Cache-Control": NEVER})


def _count_in_vain(who: str) -> None:
    if not budget.spend(f"witness-in-vain:{who}", per_minute_max=limits.WITNESS_IN_VAIN_PER_MINUTE_MAX):
        budget.remember(f"witness:{who}", 60)
