"""Pages for requests that went wrong. Each says what happened and what to do next."""

from django.http import HttpRequest, HttpResponse, JsonResponse
from django.shortcuts import render
from django.template import loader

from server.web.answers import wants_json


def bad_request(request: HttpRequest, exception: Exception) -> HttpResponse:
    """400."""
    return _answer(request, 400, "This request does not make sense.")


def permission_denied(request: HttpRequest, exception: Exception) -> HttpResponse:
    """403."""
    return _answer(request, 403, "You may not do this.")


def csrf_failed(request: HttpRequest, reason: str = "") -> HttpResponse:
    """403 for a form that was too old or came from another site."""
    return _answer(request, 403, "This form was too old. Go back, reload the page and try again.", template="csrf")


def not_found(request: HttpRequest, exception: Exception) -> HttpResponse:
    """404."""
    return _answer(request, 404, "There is no such page.")


def server_error(request: HttpRequest) -> HttpResponse:
    """500. Drawn without the database and without the request's context: those may be what failed."""
    if wants_json(request):
        return JsonResponse({"error": "Something went wrong here. It was logged.", "code": "error"}, status=500)
    return HttpResponse(loader.render_to_string("errors/500.html"), status=500)


def _answer(request: HttpRequest, status: int, words: str, *, template: str = "") -> HttpResponse:
    if wants_json(request):
        return JsonResponse({"error": words, "code": "error"}, status=status)
    return render(request, f"errors/{template or status}.html", {"status": status}, status=status)
