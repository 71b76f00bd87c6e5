"""Staff pages for programs that use the API. Their tokens are not shown: they are credentials of people."""

import oauth2_provider.admin  # noqa: F401 (registers its pages, which are replaced below)
from django.contrib import admin
from django.db import transaction
from oauth2_provider.models import (
    AbstractApplication,
    get_access_token_model,
    get_application_model,
    get_grant_model,
    get_id_token_model,
    get_refresh_token_model,
)

from server.accounts.models import User
from server.moderation.actions import audit
from server.moderation.audited_admin import ReadOnlyAdmin, staff_action

Application = get_application_model()


@transaction.atomic
def _remove(*, row: AbstractApplication, by_staff: User, reason: str) -> None:
    audit(by_staff=by_staff, action="remove_program", target=f"program {row.pk}: {row.name}", detail={"reason": reason})
    # Its tokens go with it.
    row.delete()


class ApplicationAdmin(ReadOnlyAdmin):
    list_display = ["name", "client_type", "authorization_grant_type", "user", "created"]
    list_filter = ["client_type", "authorization_grant_type", "created"]
    search_fields = ["name", "client_id", "redirect_uris"]
    list_select_related = ["user"]
    ordering = ["-created"]
    fields = ["name", "client_id", "client_type", "authorization_grant_type", "redirect_uris", "user", "created", "updated"]
    actions = [
        staff_action(
            "Remove",
            verb=_remove,
            warning="Everybody who uses these programs is signed out of them.",
            needs_reason=True,
        ),
    ]


for hidden in (get_access_token_model(), get_grant_model(), get_id_token_model(), get_refresh_token_model()):
    admin.site.unregister(hidden)
admin.site.unregister(Application)
admin.site.register(Application, ApplicationAdmin)
