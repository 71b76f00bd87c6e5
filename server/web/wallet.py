"""A creator's wallet: what she earned, who owes it, and the statement that proves it anywhere."""

from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from django.urls import reverse
from django.views.decorators.http import require_POST, require_safe

from payouts import agreements, peers, queries, statements
from server.accounts.models import Account
from server.core.errors import NotFound
from server.web.answers import done, door
from server.web.viewers import needs_account


@require_safe
@door
@needs_account
def wallet(request: HttpRequest, viewer: Account) -> HttpResponse:
    """Totals, debtors, and each period down to the video."""
    scid = viewer.scid or ""
    claims = queries.claims(scid) if scid else []
    totals: dict[str, int] = {}
    waiting: dict[str, int] = {}
    for claim in claims:
        totals[claim.currency] = totals.get(claim.currency, 0) + claim.owed
        waiting[claim.currency] = waiting.get(claim.currency, 0) + claim.unclaimed
    context = {
        "claims": claims,
        "totals": totals,
        "waiting": {currency: amount for currency, amount in waiting.items() if amount},
        "earnings": queries.earnings(scid) if scid else [],
        "accepted": bool(scid) and agreements.is_accepted(scid),
        "has_statement": any(claim.is_ours and claim.as_of_index is not None for claim in claims),
    }
    return render(request, "wallet/wallet.html", context)


@require_POST
@door
@needs_account
def accept(request: HttpRequest, viewer: Account) -> HttpResponse:
    """Sign the instance's offer with the key the server holds: what waited unclaimed becomes payable."""
    agreements.accept_default(scid=_scid(viewer))
    return done(request, to=reverse("wallet"), say="Signed. What waited for your signature is yours now.")


@require_POST
@door
@needs_account
def refresh(request: HttpRequest, viewer: Account) -> HttpResponse:
    """Ask every instance whose ledger we follow what it owes, and verify the answers."""
    found = peers.refresh_claims(_scid(viewer))
    return done(
        request,
        to=reverse("wallet"),
        say=f"Asked. {len(found)} verified claim{'' if len(found) == 1 else 's'} from other instances.",
    )


@require_safe
@door
@needs_account
def statement(request: HttpRequest, viewer: Account) -> HttpResponse:
    """The file that proves offline what this instance owes."""
    data = statements.build(_scid(viewer))
    name = f"statement-{viewer.handle}.statement.json.gz"
    return HttpResponse(data, content_type="application/gzip", headers={"Content-Disposition": f'attachment; filename="{name}"'})


def _scid(viewer: Account) -> str:
    if not viewer.scid:
        raise NotFound("This account has no portable identity yet.")
    return viewer.scid
