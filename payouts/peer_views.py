"""What this instance knows of the ledgers of others: heads it cosigned, its copies, forks it proved, disputes it raised.

A log is named by the SHA-256 of its origin (C2SP tlog-witness). See docs/reference/ledger-endpoints.md.
"""

import re

from django.http import HttpRequest, HttpResponse
from django.views.decorators.http import require_safe

from payouts import disputes, forks
from payouts.ledger.errors import LedgerError
from payouts.mirror_files import MirrorFiles, name_of
from payouts.models import PeerLog, PeerMirror
from payouts.replies import BINARY, FOR_EVER, NEVER, SHORTLY, TEXT, refusal, reply
from server.core.errors import NotFound

JSON = "application/json"
HTTP_NOT_FOUND = 404

_DIGEST = re.compile(r"[0-9a-f]{64}")


def _peer(digest: str) -> PeerLog:
    for peer in PeerLog.objects.exclude(size=0):
        if name_of(peer.origin) == digest:
            return peer
    raise NotFound("This log is not followed here.")


def _copy(digest: str, branch: str = "") -> PeerMirror:
    found = PeerMirror.objects.filter(peer=_peer(digest), branch=branch).exclude(size=0).select_related("peer").first()
    if found is None:
        raise NotFound("There is no copy of this log here.")
    return found


@require_safe
def checkpoint(request: HttpRequest, digest: str) -> HttpResponse:
    """The newest head of another log that we accepted, with our cosignature."""
    try:
        peer = _peer(digest)
    except NotFound as error:
        return refusal(error)
    return reply(bytes(peer.checkpoint) + peer.cosignature.encode(), TEXT, cache=SHORTLY)


@require_safe
def mirrored(request: HttpRequest, digest: str, branch: str = "") -> HttpResponse:
    """The newest head of which every entry is here, with what our mirror and auditor keys say of it."""
    try:
        copy = _copy(digest, branch)
    except NotFound as error:
        return refusal(error)
    if not copy.complete_size:
        return refusal(NotFound("The copy of this log is not complete yet."))
    return reply(bytes(copy.checkpoint) + copy.cosignatures.encode(), TEXT, cache=SHORTLY)


@require_safe
def tile(request: HttpRequest, digest: str, path: str, branch: str = "") -> HttpResponse:
    """A tile or bundle of our copy, in any width below the size that was verified."""
    try:
        return reply(MirrorFiles(_copy(digest, branch)).published(f"tile/{path}"), BINARY, cache=FOR_EVER)
    except NotFound as error:
        return refusal(error)
    except LedgerError as error:
        return refusal(error, status=HTTP_NOT_FOUND)


@require_safe
def blob(request: HttpRequest, digest: str, name: str) -> HttpResponse:
    """Bytes that an entry of that log names, as it published them."""
    if not _DIGEST.fullmatch(name):
        return refusal(NotFound("There is no such blob here."))
    try:
        return reply(MirrorFiles(_copy(digest)).blob(name), BINARY, cache=FOR_EVER)
    except NotFound as error:
        return refusal(error)
    except LedgerError as error:
        return refusal(error, status=HTTP_NOT_FOUND)


@require_safe
def fork(request: HttpRequest, digest: str) -> HttpResponse:
    """The proof that a log signed two histories; ``python -m payouts.ledger verify-fork`` checks it."""
    try:
        return reply(forks.proof(digest), JSON, cache=NEVER)
    except NotFound as error:
        return refusal(error)


@require_safe
def dispute(request: HttpRequest, digest: str) -> HttpResponse:
    """What we say another log did wrong, signed."""
    try:
        return reply(disputes.document_of(digest), JSON, cache=FOR_EVER)
    except NotFound as error:
        return refusal(error)
