"""Which door a request goes to. Where one address serves people and servers, the Accept header decides here."""

from collections.abc import Callable

from django.contrib import admin
from django.http import HttpRequest, HttpResponseBase
from django.urls import include, path
from django.utils.cache import patch_vary_headers

from federation import views as federation_views
from server.web import pages

View = Callable[..., HttpResponseBase]


def negotiated(page: View, document: View) -> View:
    """``page`` for people, ``document`` for whoever asks for ActivityPub JSON; ``Vary: Accept`` on both."""

    def view(request: HttpRequest, *args: object, **kwargs: object) -> HttpResponseBase:
        wants_document = federation_views.wants_activity(request)
        response = (document if wants_document else page)(request, *args, **kwargs)
        patch_vary_headers(response, ["Accept"])
        return response

    return view


urlpatterns = [
    path("admin/", admin.site.urls),
    path("account/", include("allauth.account.urls")),
    path("@<str:acct>", negotiated(pages.profile, federation_views.actor_of_page), name="profile"),
    path("w/<int:video_id>", negotiated(pages.watch, federation_views.note_of_page), name="watch"),
    path("", include("federation.urls")),
    path("", include("payouts.urls")),
    path("", include("server.api.urls")),
    path("", include("server.web.urls")),
]
handler400 = "server.web.errors.bad_request"
handler403 = "server.web.errors.permission_denied"
handler404 = "server.web.errors.not_found"
handler500 = "server.web.errors.server_error"
