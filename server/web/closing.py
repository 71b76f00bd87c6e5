"""The page on which a person closes her account for ever."""

from django import forms
from django.contrib.auth import logout
from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from django.urls import reverse
from django.views.decorators.http import require_http_methods

from server.accounts import actions
from server.accounts.models import Account
from server.core import budget
from server.web.answers import done, door
from server.web.viewers import needs_account

TRIES_PER_MINUTE_MAX = 5


class CloseForm(forms.Form):
    """Her password, and a word that she means it."""

    password = forms.CharField(
        label="Your password", max_length=4096, widget=forms.PasswordInput(attrs={"autocomplete": "current-password"})
    )
    sure = forms.BooleanField(label="I understand that this cannot be undone")


@require_http_methods(["GET", "HEAD", "POST"])
@door
@needs_account
def close(request: HttpRequest, viewer: Account) -> HttpResponse:
    """Ask once, with the password: whoever finds the phone unlocked must not be able to do this."""
    form = CloseForm(request.POST or None)
    if form.is_bound and form.is_valid():
        if not budget.spend(f"close-account:{viewer.pk}", per_minute_max=TRIES_PER_MINUTE_MAX):
            form.add_error(None, "Too many tries. Wait a minute.")
        elif viewer.user is not None and viewer.user.check_password(form.cleaned_data["password"]):
            actions.close_account(account=viewer, by=viewer)
            logout(request)
            return done(request, to=reverse("feed"), say="Your account is closed. Its videos are being deleted.")
        else:
            form.add_error("password", "This is not your password.")
    return render(request, "me/close.html", {"form": form}, status=422 if form.is_bound else 200)
