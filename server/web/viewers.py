"""Who is looking at the page."""

from collections.abc import Callable
from functools import wraps
from urllib.parse import urlencode

from django.http import HttpRequest, HttpResponse, HttpResponseBase
from django.shortcuts import redirect
from django.urls import reverse

from server.accounts import queries
from server.accounts.models import Account
from server.core.errors import NotAuthenticated
from server.web.answers import wants_json

_KEPT = "_tributary_viewer"


def viewer_of(request: HttpRequest) -> Account | None:
    """The account that looks at the page; None for a visitor, and for somebody whose account is closed or suspended."""
    if not hasattr(request, _KEPT):
        setattr(request, _KEPT, _find(request))
    found: Account | None = getattr(request, _KEPT)
    return found


def _find(request: HttpRequest) -> Account | None:
    user = getattr(request, "user", None)
    if user is None or not user.is_authenticated:
        return None
    account = Account.objects.filter(user=user).select_related("user").first()
    return account if account is not None and queries.is_active(account) else None


def needs_account(view: Callable[..., HttpResponseBase]) -> Callable[..., HttpResponseBase]:
    """Call ``view(request, viewer, ...)``. A visitor is sent to log in, a user without an account to choose a handle."""

    @wraps(view)
    def guarded(request: HttpRequest, *args: object, **kwargs: object) -> HttpResponseBase:
        viewer = viewer_of(request)
        if viewer is not None:
            return view(request, viewer, *args, **kwargs)
        if wants_json(request):
            raise NotAuthenticated("Log in to do this.")
        return ask_to_log_in(request)

    return guarded


def ask_to_log_in(request: HttpRequest) -> HttpResponse:
    """Send a visitor to log in and back; a user without an account chooses her handle first."""
    back = request.get_full_path() if request.method == "GET" else request.POST.get("next") or "/"
    name = "open_account" if request.user.is_authenticated else "account_login"
    return redirect(f"{reverse(name)}?{urlencode({'next': back})}")
