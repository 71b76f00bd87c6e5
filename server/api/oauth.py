"""Signing in for programs: OAuth 2 with PKCE. A program registers, the user says yes on a page, the program gets tokens.

The library is django-oauth-toolkit, with every gate of RFC 9700 closed (``settings.OAUTH2_PROVIDER``). Only the code
grant and its refreshing are open; introspection is not mounted, because the only resource server is this one.
"""

from typing import Any
from urllib.parse import parse_qs, urlsplit

from django.http import HttpRequest, HttpResponse, JsonResponse, QueryDict
from django.shortcuts import render
from django.urls import include, path
from django.urls.resolvers import URLPattern, URLResolver
from oauth2_provider.models import AbstractApplication, get_application_model
from oauth2_provider.views import AuthorizationView, OAuthServerMetadataView, RevokeTokenView, TokenView

from server.api import redirects

GRANTS = {"authorization_code", "refresh_token"}


class Authorize(AuthorizationView):
    """The page on which a user lets a program act for her."""

    template_name = "oauth/authorize.html"

    def get(self, request: HttpRequest, *args: object, **kwargs: object) -> HttpResponse:
        """Show the question; it is never skipped, whatever the program asks for."""
        if not _is_text(request.GET):
            return self._refuse("This address holds what no program sends.")
        asked = request.GET.copy()
        asked.pop("approval_prompt", None)
        request.GET = asked  # type: ignore[assignment] # Django says immutable and needs only a QueryDict
        return super().get(request, *args, **kwargs)

    def post(self, request: HttpRequest, *args: object, **kwargs: object) -> HttpResponse:
        """Take the answer. A program that is gone, or never was, gets nothing."""
        client_id = request.POST.get("client_id", "")
        if not _is_text(request.POST) or not get_application_model().objects.filter(client_id=client_id).exists():
            return self._refuse("There is no such program.")
        return super().post(request, *args, **kwargs)

    def _refuse(self, why: str) -> HttpResponse:
        return self.render_to_response({"error": {"error": why}}, status=400)

    def render_to_response(self, context: dict[str, Any], **kwargs: Any) -> HttpResponse:
        """The page; its form may lead to where the program waits, which browsers check along the redirect."""
        asked = context.get("redirect_uri") or ""
        source = redirects.csp_source(asked) if redirects.is_acceptable(asked) else ""
        response: HttpResponse = super().render_to_response({**context, "target": source}, **kwargs)
        if source:
            response._csp_update = {"form-action": [source]}  # type: ignore[attr-defined]
        return response

    def redirect(self, redirect_to: str, application: AbstractApplication | None) -> HttpResponse:  # noqa: ARG002 (as above)
        """To the program with the code or an error, or to a page that shows the code."""
        if redirect_to.startswith(redirects.OUT_OF_BAND):
            answer = {name: values[0] for name, values in parse_qs(urlsplit(redirect_to).query).items()}
            return render(self.request, "oauth/code.html", {"code": answer.get("code"), "problem": answer.get("error")})
        # The library has matched the address with the registered ones; here only its scheme is judged once more.
        schemes = [urlsplit(redirect_to).scheme] if redirects.is_acceptable(redirect_to.partition("?")[0]) else []
        return super().redirect(redirect_to, _Schemes(schemes))


class _Schemes:
    """What the library asks an application for before it redirects."""

    def __init__(self, schemes: list[str]) -> None:
        self._schemes = schemes

    def get_allowed_schemes(self) -> list[str]:
        return self._schemes


class Token(TokenView):
    """Code or refresh token in, tokens out (form-encoded, as RFC 6749 says)."""

    def post(self, request: HttpRequest, *args: object, **kwargs: object) -> HttpResponse:
        """Answer with tokens, or with an error of RFC 6749."""
        if not _is_text(request.POST):
            return JsonResponse({"error": "invalid_request"}, status=400)
        if request.POST.get("grant_type") not in GRANTS:
            return JsonResponse({"error": "unsupported_grant_type"}, status=400)
        return super().post(request, *args, **kwargs)


class Revoke(RevokeTokenView):
    """Make a token worthless, and with it those it came with (RFC 7009)."""

    def post(self, request: HttpRequest, *args: object, **kwargs: object) -> HttpResponse:
        """Empty, also for a token nobody knows."""
        if not _is_text(request.POST):
            return JsonResponse({"error": "invalid_request"}, status=400)
        return super().post(request, *args, **kwargs)


def _is_text(parameters: QueryDict) -> bool:
    """Is there nothing in the parameters that a database cannot hold?"""
    words = [word for name, values in parameters.lists() for word in (name, *values)]
    return not any("\x00" in word or any("\ud800" <= character <= "\udfff" for character in word) for word in words)


_oauth: list[URLPattern | URLResolver] = [
    path("oauth/authorize", Authorize.as_view(), name="authorize"),
    path("oauth/token", Token.as_view(), name="token"),
    path("oauth/revoke", Revoke.as_view(), name="revoke-token"),
    path(".well-known/oauth-authorization-server", OAuthServerMetadataView.as_view(), name="oauth-server-metadata"),
]
# The library finds its own addresses under this namespace.
urlpatterns: list[URLPattern | URLResolver] = [path("", include((_oauth, "oauth2_provider")))]
