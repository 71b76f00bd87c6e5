"""Staff pages for portable identities: what the verified key logs say. Private keys are never shown."""

from django.contrib import admin
from django.utils.safestring import SafeString

from server.identity import queries
from server.identity.models import Identity
from server.moderation.audited_admin import ReadOnlyAdmin
from server.moderation.staff_display import raw


@admin.register(Identity)
class IdentityAdmin(ReadOnlyAdmin):
    list_display = ["scid", "home_origin", "is_home", "custody", "head_number", "payouts_frozen_until", "changed_at"]
    list_filter = ["is_home", "custody"]
    search_fields = ["scid", "did", "actor_uri"]
    ordering = ["-changed_at"]
    fields = [
        "scid", "did", "actor_uri", "home_origin", "is_home", "custody", "head_version_id", "payouts_frozen_until",
        "created_at", "changed_at", "checked_at", "grant", "log",
    ]  # fmt: skip
    readonly_fields = ["grant", "log"]

    @admin.display(description="host grant of the present home")
    def grant(self, identity: Identity) -> SafeString:
        return raw(identity.host_grant or "none: it has not moved")

    @admin.display(description="key log, as it is published")
    def log(self, identity: Identity) -> SafeString:
        return raw(queries.log_bytes(identity).decode())
