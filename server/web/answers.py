"""How the pages answer: a redirect or a page to people, JSON to our own scripts; our errors in words for both."""

from collections.abc import Callable, Mapping
from functools import wraps

from django.contrib import messages
from django.http import HttpRequest, HttpResponse, HttpResponseBase, HttpResponseRedirect, JsonResponse
from django.shortcuts import render
from django.utils.cache import patch_vary_headers
from django.utils.http import url_has_allowed_host_and_scheme

from server.core.errors import NotAuthenticated, NotFound, TributaryError


def wants_json(request: HttpRequest) -> bool:
    """One of our scripts asks, and does the rest itself."""
    return request.headers.get("Accept", "").startswith("application/json")


def wants_fragment(request: HttpRequest) -> bool:
    """One of our scripts asks for a part of the page."""
    return "X-Fragment" in request.headers


def page_or_fragment(request: HttpRequest, page: str, fragment: str, context: Mapping[str, object]) -> HttpResponse:
    """The same address gives the page to people and its changing part to our scripts."""
    response = render(request, fragment if wants_fragment(request) else page, dict(context))
    patch_vary_headers(response, ["X-Fragment"])
    return response


def safe_next(request: HttpRequest, default: str) -> str:
    """The address of this site that the form names as ``next``, else ``default``; never one of another site."""
    wanted = request.POST.get("next") or request.GET.get("next") or ""
    here = {request.get_host()}
    return wanted if url_has_allowed_host_and_scheme(wanted, here, require_https=request.is_secure()) else default


def done(request: HttpRequest, *, to: str, say: str = "", moves_on: bool = False, **values: object) -> HttpResponse:
    """An action is done: our scripts get ``values``, people are sent on with a message.

    ``moves_on``: the script goes to ``to`` as well, so the message waits for it there.
    """
    if say and (moves_on or not wants_json(request)):
        messages.success(request, say)
    if wants_json(request):
        return JsonResponse({"location": to, "message": "" if moves_on else say, **values})
    return HttpResponseRedirect(safe_next(request, to))


def refused(request: HttpRequest, error: TributaryError) -> HttpResponse:
    """The error in words, with its status."""
    if wants_json(request):
        body = {"error": str(error), "code": error.code, "field": error.field}
        return JsonResponse(body, status=error.status)
    return render(request, "errors/refused.html", {"error": error, "status": error.status}, status=error.status)


def _refuse_nulls(request: HttpRequest) -> None:
    """PostgreSQL cannot even look for a text with a NUL in it. Form fields refuse it by themselves."""
    if "\x00" in request.path_info or any("\x00" in value for value in request.GET.values()):
        raise NotFound("There is no such page.")


def door(view: Callable[..., HttpResponseBase]) -> Callable[..., HttpResponseBase]:
    """Translate the errors that actions and queries raise on purpose; all others are bugs and go on."""

    @wraps(view)
    def guarded(request: HttpRequest, *args: object, **kwargs: object) -> HttpResponseBase:
        try:
            _refuse_nulls(request)
            return view(request, *args, **kwargs)
        except NotAuthenticated as error:
            if wants_json(request):
                return refused(request, error)
            from server.web.viewers import ask_to_log_in

            return ask_to_log_in(request)
        except TributaryError as error:
            return refused(request, error)

    return guarded
