"""A creator's wallet: what she earned, who owes it, the terms she may sign, and the statement that proves it anywhere."""

from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from django.urls import reverse
from django.views.decorators.http import require_http_methods, require_POST, require_safe

from payouts import agreements, claiming, instance_keys, peers, queries, statements
from payouts.agreement import Agreement as Terms
from payouts.models import PeerLog
from server.accounts.models import Account
from server.core.errors import NotFound, TributaryError
from server.identity import queries as identities
from server.videos.models import Video
from server.web.answers import done, door, refused, wants_json
from server.web.terms import held_back, share_rows
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
        "earnings": [(earning, _titled(earning)) for earning in queries.earnings(scid)] if scid else [],
        "signed": queries.signed_with_others(scid) if scid else [],
        "peers": PeerLog.objects.order_by("origin"),
        "has_identity": bool(scid),
        "has_statement": any(claim.is_ours and claim.as_of_index is not None for claim in claims),
    }
    return render(request, "wallet/wallet.html", context)


@require_http_methods(["GET", "HEAD", "POST"])
@door
@needs_account
def sign(request: HttpRequest, viewer: Account) -> HttpResponse:
    """The terms of one debtor, to be read and then signed: with the key that this server holds, or in the owner's browser."""
    scid = _scid(viewer)
    debtor = request.POST.get("debtor") or request.GET.get("debtor", "")
    try:
        if request.method == "POST":
            _accept(scid, debtor, request.POST.get("offer", ""))
            return done(request, to=reverse("wallet"), say=f"Signed. {debtor} has signed it too.")
        terms = _terms(debtor)
    except NotFound:
        raise
    except TributaryError as error:
        if wants_json(request):
            return refused(request, error)
        return render(request, "wallet/sign.html", {"debtor": debtor, "problem": error}, status=error.status)
    context = {
        "debtor": debtor,
        "is_ours": debtor == instance_keys.origin(),
        "terms": terms,
        "has_signed": agreements.is_accepted(scid)
        if debtor == instance_keys.origin()
        else any(one.offer_id == terms.id for one in queries.signed_with_others(scid)),
        "signer": _signer(scid),
        "rows": share_rows(terms),
        "held": held_back(terms),
    }
    return render(request, "wallet/sign.html", context)


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


@require_safe
@door
@needs_account
def agreement(request: HttpRequest, viewer: Account, agreement_id: str) -> HttpResponse:
    """What the viewer signed with another instance, as both signed it."""
    found = next((one for one in queries.signed_with_others(_scid(viewer)) if one.agreement_id == agreement_id), None)
    if found is None:
        raise NotFound("You have signed no such agreement.")
    name = f'attachment; filename="agreement-{agreement_id[:12]}.json"'
    return HttpResponse(bytes(found.document), content_type="application/json", headers={"Content-Disposition": name})


def _titled(earning: queries.Earning) -> list[tuple[queries.Line, Video | None]]:
    """The lines of an earning, each with its video if this instance has it."""
    videos = Video.objects.filter(uri__in=[line.work for line in earning.lines]).in_bulk(field_name="uri")
    return [(line, videos.get(line.work)) for line in earning.lines]


def _accept(scid: str, debtor: str, offer_id: str) -> None:
    if debtor == instance_keys.origin():
        agreements.accept_default(scid=scid, offer_id=offer_id)
    else:
        claiming.accept_elsewhere(scid=scid, peer=claiming.peer_called(debtor), offer_id=offer_id)


def _signer(scid: str) -> dict[str, str] | None:
    """Whose browser signs, where the owner holds her key herself."""
    document = identities.document_of(identities.by_scid(scid))
    return {"scid": scid, "multikey": document.user.multikey} if document.custody == "owner" else None


def _terms(debtor: str) -> Terms:
    if debtor != instance_keys.origin():
        return claiming.offer_of(claiming.peer_called(debtor)).terms
    ours = agreements.published_offer()
    if ours is None:
        raise NotFound("This instance has published no offer yet.")
    return agreements.terms_of(ours)


def _scid(viewer: Account) -> str:
    if not viewer.scid:
        raise NotFound("This account has no portable identity yet.")
    return viewer.scid
