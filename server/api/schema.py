"""The published description of this API (OpenAPI) and its viewer, which runs under the same strict policy as every page."""

from typing import Any

from django.conf import settings
from drf_spectacular.extensions import OpenApiAuthenticationExtension
from drf_spectacular.openapi import AutoSchema
from drf_spectacular.renderers import OpenApiJsonRenderer2
from drf_spectacular.views import SpectacularAPIView, SpectacularSwaggerSplitView

from server.api.operations import JSONOnly


class BearerScheme(OpenApiAuthenticationExtension):  # type: ignore[no-untyped-call]
    """How the description names a token."""

    target_class = "server.api.auth.BearerAuthentication"
    name = "oauth2"

    def get_security_definition(self, auto_schema: AutoSchema) -> dict[str, Any]:  # noqa: ARG002 (the signature is the library's)
        """The code grant with our scopes."""
        flow = {
            "authorizationUrl": f"{settings.ORIGIN}/oauth/authorize",
            "tokenUrl": f"{settings.ORIGIN}/oauth/token",
            "refreshUrl": f"{settings.ORIGIN}/oauth/token",
            "scopes": settings.OAUTH2_PROVIDER["SCOPES"],
        }
        return {"type": "oauth2", "flows": {"authorizationCode": flow}}


class SessionScheme(OpenApiAuthenticationExtension):  # type: ignore[no-untyped-call]
    """How the description names a signed-in browser."""

    target_class = "server.api.auth.SessionAuthentication"
    name = "session"

    def get_security_definition(self, auto_schema: AutoSchema) -> dict[str, Any]:  # noqa: ARG002 (the signature is the library's)
        """The cookie."""
        return {"type": "apiKey", "in": "cookie", "name": settings.SESSION_COOKIE_NAME}


class Schema(SpectacularAPIView):
    """OpenAPI 3 as JSON."""

    renderer_classes = [OpenApiJsonRenderer2]
    content_negotiation_class = JSONOnly


class Docs(SpectacularSwaggerSplitView):
    """Swagger UI from this server, its start script in a file of its own: inline scripts and styles are forbidden here."""

    url_name = "api_schema"
    template_name = "api/docs.html"


description = Schema.as_view()
docs = Docs.as_view()
