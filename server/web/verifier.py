"""The page that checks a statement in the reader's browser, and the same page as one file to keep."""

from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from django.views.decorators.http import require_safe

from server.web import offline_page


@require_safe
def verify(request: HttpRequest) -> HttpResponse:
    """A page for everybody; the file never comes here."""
    return render(request, "ledger/verify.html")


@require_safe
def offline(request: HttpRequest) -> HttpResponse:
    """The page as one file. Always a download: its inline script is for the disk, not for this origin."""
    headers = {"Content-Disposition": f'attachment; filename="{offline_page.FILE_NAME}"', "Cache-Control": "public, max-age=3600"}
    return HttpResponse(offline_page.build(), headers=headers)
