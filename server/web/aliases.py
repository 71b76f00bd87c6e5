"""The page of accounts elsewhere that are the same person: needed before moving here from other software."""

from django import forms
from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from django.urls import reverse
from django.views.decorators.http import require_http_methods

from server.accounts import aliases
from server.accounts.models import Account
from server.core.errors import TributaryError
from server.web.answers import done, door
from server.web.forms import put_error
from server.web.viewers import needs_account


class AliasForm(forms.Form):
    """Which account is the same person."""

    address = forms.CharField(
        label="Address of your other account", max_length=320, help_text="For example alice@mastodon.example"
    )


@require_http_methods(["GET", "HEAD", "POST"])
@door
@needs_account
def listed(request: HttpRequest, viewer: Account) -> HttpResponse:
    """See the list, add to it, take from it."""
    if "remove" in request.POST:
        return done(request, to=reverse("aliases"), say=_remove(viewer, request.POST["remove"]))
    form = AliasForm(request.POST or None)
    if form.is_bound and form.is_valid():
        try:
            other = aliases.add_alias(account=viewer, by=viewer, address=form.cleaned_data["address"])
        except TributaryError as error:
            put_error(form, error)
        else:
            return done(request, to=reverse("aliases"), say=f"@{other.acct} is on the list. You can begin the move there now.")
    known = {account.uri: account for account in Account.objects.filter(uri__in=viewer.also_known_as)}
    earlier = aliases.earlier_homes(viewer)
    rows = [{"uri": uri, "account": known.get(uri), "is_home": uri in earlier} for uri in viewer.also_known_as]
    return render(request, "me/aliases.html", {"form": form, "rows": rows}, status=422 if form.is_bound else 200)


def _remove(viewer: Account, uri: str) -> str:
    try:
        aliases.remove_alias(account=viewer, by=viewer, uri=uri)
    except TributaryError as error:
        return str(error)
    return "Taken off the list."
