"""How the ledger's doors answer: bytes and text that anyone may read, refusals by name."""

from collections.abc import Mapping

from django.http import HttpResponse

from payouts.ledger.errors import LedgerError
from server.core.errors import TributaryError

TEXT = "text/plain; charset=utf-8"
BINARY = "application/octet-stream"
# What stands under a number or a hash never changes.
FOR_EVER = "public, max-age=31536000, immutable"
SHORTLY = "public, max-age=5"
NEVER = "no-store"


def reply(body: bytes | str, content_type: str, *, cache: str = NEVER, status: int = 200) -> HttpResponse:
    """An answer that any origin may read."""
    headers = {"Cache-Control": cache, "Access-Control-Allow-Origin": "*", "X-Content-Type-Options": "nosniff"}
    return HttpResponse(body, content_type=content_type, status=status, headers=headers)


def refusal(error: LedgerError | TributaryError, *, status: int = 400, headers: Mapping[str, str] | None = None) -> HttpResponse:
    """The name of the reason, a colon, a sentence. ``status``: for reasons of the ledger's core, which know none."""
    answer = reply(f"{error.code}: {error}\n", TEXT, status=error.status if isinstance(error, TributaryError) else status)
    for name, value in (headers or {}).items():
        answer[name] = value
    return answer
