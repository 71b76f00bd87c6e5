"""The ledger for people: open to everybody, signed in or not. All of it is read from the log or from what we say of others."""

from collections.abc import Sequence

from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from django.views.decorators.http import require_safe

from payouts import closes, entry_reports, overview, peer_reports
from payouts.entry_reports import EntryReport
from payouts.heads import newest_head
from payouts.overview import Day
from server.core.errors import Invalid
from server.web import drawings
from server.web.answers import door

NUMBER_CHARACTERS_MAX = 18


@require_safe
@door
def home(request: HttpRequest) -> HttpResponse:
    """The head, how the ledger grows, and who vouches for it."""
    found = overview.overview()
    context = {
        "overview": found,
        "chart": drawings.chart([one.entries for one in found.days]),
        "chart_label": _growth_in_words(found.days),
        "total": sum(one.entries for one in found.days),
        "newest": entry_reports.list_entries(count=5),
    }
    return render(request, "pages/ledger/home.html", context)


@require_safe
@door
def entries(request: HttpRequest) -> HttpResponse:
    """What was written, the newest first."""
    found = entry_reports.list_entries(before=_number(request, "before"), type_name=request.GET.get("type", ""))
    context = {
        "entries": found,
        "type": request.GET.get("type", ""),
        "before": found[-1].index if len(found) == entry_reports.PAGE_COUNT and found[-1].index else None,
    }
    return render(request, "pages/ledger/entries.html", context)


@require_safe
@door
def entry(request: HttpRequest, index: int) -> HttpResponse:
    """One entry in plain words, with the proof that it stands in the newest signed tree."""
    report = entry_reports.report(index)
    proof = report.proof
    context = {"report": report, "tree": drawings.tree(proof.leaf, index, proof.path), "tree_label": _tree_in_words(report)}
    return render(request, "pages/ledger/entry.html", context)


@require_safe
@door
def tlog_proof(request: HttpRequest, index: int) -> HttpResponse:
    """The proof as a file that other programs read (C2SP tlog-proof)."""
    data = entry_reports.tlog_proof(index)
    headers = {"Content-Disposition": f'attachment; filename="entry-{index}.tlog-proof"', "Cache-Control": "no-store"}
    return HttpResponse(data, content_type="text/plain; charset=utf-8", headers=headers)


@require_safe
@door
def settlements(request: HttpRequest) -> HttpResponse:
    """The closes of this ledger, and what our auditor found of those of others."""
    found = closes.list_closes(before=_number(request, "before"))
    context = {
        "closes": found,
        "before": found[-1].index if len(found) == closes.PAGE_COUNT else None,
        "there": peer_reports.closes_there(peer_reports.list_peers()),
    }
    return render(request, "pages/ledger/settlements.html", context)


@require_safe
@door
def settlement(request: HttpRequest, index: int) -> HttpResponse:
    """A close, added up to the last unit."""
    found = closes.arithmetic(index, start=_number(request, "start") or 0)
    return render(request, "pages/ledger/settlement.html", {"sum": found, "close": found.close})


@require_safe
@door
def disputes(request: HttpRequest) -> HttpResponse:
    """Who is said to have broken a rule, and who signed two histories, with the files that prove it."""
    state, reason = overview.state_of(newest_head())
    context = {
        "state": state,
        "reason": reason,
        "raised": peer_reports.list_disputes(),
        "told": peer_reports.told_by_others(),
        "forks": peer_reports.convicted(),
    }
    return render(request, "pages/ledger/disputes.html", context)


@require_safe
@door
def peers(request: HttpRequest) -> HttpResponse:
    """The ledgers of others that we follow."""
    return render(request, "pages/ledger/peers.html", {"peers": peer_reports.list_peers()})


@require_safe
@door
def peer(request: HttpRequest, name: str) -> HttpResponse:
    """One of them: our copy, and what we found in it."""
    report = peer_reports.peer_report(name)
    return render(request, "pages/ledger/peer.html", {"peer": report, "disputes": peer_reports.list_disputes(report.origin)})


def _growth_in_words(days: Sequence[Day]) -> str:
    """What the chart shows, for whoever does not see it."""
    most = max(days, key=lambda one: one.entries, default=None)
    if most is None or not most.entries:
        return ""
    total = sum(one.entries for one in days)
    return f"{total} entries in the last {len(days)} days; most on {most.day:%-d %B %Y}: {most.entries}."


def _tree_in_words(report: EntryReport) -> str:
    """What the tree shows; its hashes stand below it as text."""
    proof = report.proof
    return (
        f"A tree of {len(proof.path)} levels: from entry {report.entry.index} at the bottom to the root over "
        f"{proof.head.size} entries at the top. Its hashes are listed below."
    )


def _number(request: HttpRequest, name: str) -> int | None:
    """A whole number in the address. Raises Invalid for anything else."""
    text = request.GET.get(name, "")
    if not text:
        return None
    if not (text.isascii() and text.isdigit() and len(text) <= NUMBER_CHARACTERS_MAX):
        raise Invalid("This address is not one of ours.", field=name)
    return int(text)
