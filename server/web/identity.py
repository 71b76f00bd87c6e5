"""The pages of a person's portable identity: who holds which key, bring an account here, move away."""

from django import forms
from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from django.urls import reverse
from django.views.decorators.http import require_http_methods, require_safe

from server.accounts import moving
from server.accounts.models import Account
from server.core.errors import TributaryError
from server.identity import queries
from server.web.answers import done, door
from server.web.forms import put_error
from server.web.viewers import needs_account


class BringForm(forms.Form):
    """Which account is to come here."""

    old_address = forms.CharField(label="Your address at the old home", max_length=320, help_text="For example alice@old.example")


class LeaveForm(forms.Form):
    """Where the account is to go."""

    to_address = forms.CharField(label="Your address at the new home", max_length=320, help_text="For example alice@new.example")
    sure = forms.BooleanField(label="I understand that this account becomes a signpost to the new one")


@require_safe
@door
@needs_account
def identity(request: HttpRequest, viewer: Account) -> HttpResponse:
    """What the key log says of the viewer, checked now, in plain words."""
    return render(request, "me/identity.html", _facts(viewer))


@require_http_methods(["GET", "HEAD", "POST"])
@door
@needs_account
def bring(request: HttpRequest, viewer: Account) -> HttpResponse:
    """Begin a move at the new home."""
    form = BringForm(request.POST or None)
    if form.is_bound and form.is_valid():
        try:
            offer = moving.expect_move(account=viewer, by=viewer, old_address=form.cleaned_data["old_address"])
        except TributaryError as error:
            put_error(form, error)
        else:
            return render(
                request,
                "me/bring.html",
                {"expected": offer, "old_address": form.cleaned_data["old_address"], "form": BringForm()},
            )
    return render(request, "me/bring.html", {"form": form}, status=422 if form.is_bound else 200)


@require_http_methods(["GET", "HEAD", "POST"])
@door
@needs_account
def leave(request: HttpRequest, viewer: Account) -> HttpResponse:
    """End a move at the old home. It cannot be undone here, so the page asks first."""
    form = LeaveForm(request.POST or None)
    if form.is_bound and form.is_valid():
        try:
            new = moving.move_away(account=viewer, by=viewer, to_address=form.cleaned_data["to_address"])
        except TributaryError as error:
            put_error(form, error)
        else:
            return done(request, to=reverse("identity"), say=f"You live at @{new.acct} now. Your followers are being told.")
    return render(request, "me/leave.html", {"form": form, **_facts(viewer)}, status=422 if form.is_bound else 200)


def _facts(viewer: Account) -> dict[str, object]:
    if not viewer.scid:
        return {"identity": None}
    found = queries.by_scid(viewer.scid)
    log = queries.log_of(found)
    document = queries.document_of(found)
    return {
        "identity": found,
        "document": document,
        "entries": [
            {"number": number, "time": version.entry.time, "home": version.did.host, "version_id": version.entry.version_id}
            for number, version in enumerate(log.versions, start=1)
        ][::-1],
    }
