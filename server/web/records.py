"""The staff's pages to look things up: the agreements of this instance, and the identities that it deals with."""

from django.db.models import Q
from django.http import HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404, render
from django.views.decorators.http import require_safe

from payouts import agreements
from payouts.ledger.entries import parse_entry
from payouts.models import Acceptance, AccountHead, LogEntry
from server.accounts import queries as accounts
from server.identity.models import Identity
from server.web.answers import door
from server.web.staff import needs_staff
from server.web.terms import share_rows

ROWS_SHOWN = 100


@require_safe
@door
@needs_staff
def all_agreements(request: HttpRequest) -> HttpResponse:
    """The offer in force, and who has signed it."""
    offer = agreements.published_offer()
    signed = Acceptance.objects.select_related("agreement").order_by("-at")[:ROWS_SHOWN]
    waiting = AccountHead.objects.filter(unclaimed__gt=0).order_by("-unclaimed")[:ROWS_SHOWN]
    named = accounts.by_scids([*(one.scid for one in signed), *(one.scid for one in waiting)])
    context = {
        "offer": offer,
        "rows": share_rows(agreements.terms_of(offer)) if offer else [],
        "signed": [(one, named.get(one.scid)) for one in signed],
        "waiting": [(one, named.get(one.scid)) for one in waiting],
    }
    return render(request, "staff/agreements.html", context)


@require_safe
@door
@needs_staff
def all_identities(request: HttpRequest) -> HttpResponse:
    """Who lives here and whom we know from elsewhere, the last changed first."""
    wanted = request.GET.get("q", "").strip()[:300]
    found = Identity.objects.order_by("-changed_at")
    if wanted:
        found = found.filter(Q(scid=wanted) | Q(did__icontains=wanted) | Q(actor_uri__icontains=wanted))
    rows = list(found[:ROWS_SHOWN])
    named = accounts.by_scids([one.scid for one in rows])
    context = {"identities": [(one, named.get(one.scid)) for one in rows], "wanted": wanted, "count": found.count()}
    return render(request, "staff/identities.html", context)


@require_safe
@door
@needs_staff
def one_entry(request: HttpRequest, index: int) -> HttpResponse:
    """One entry of the ledger, to be read: nobody can change it."""
    row = get_object_or_404(LogEntry, index=index)
    entry = parse_entry(bytes(row.data))
    context = {
        "row": row,
        "entry": entry,
        "body": sorted(entry.body.items()),
        "before": index - 1 if index else None,
        "after": index + 1 if LogEntry.objects.filter(index=index + 1).exists() else None,
    }
    return render(request, "staff/entry.html", context)
