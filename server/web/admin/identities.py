"""Staff pages for portable identities: what the verified key logs say. Private keys are never shown."""

from typing import Any

from django.contrib import admin
from django.forms import ModelForm
from django.http import HttpRequest
from django.utils.safestring import SafeString

from server.identity import queries, watching
from server.identity.models import Copy, Fork, Identity, Watcher
from server.moderation.audited_admin import ReadOnlyAdmin, StaffAdmin
from server.moderation.staff_display import raw


@admin.register(Identity)
class IdentityAdmin(ReadOnlyAdmin):
    list_display = [
        "scid",
        "home_origin",
        "is_home",
        "custody",
        "head_number",
        "contested_at",
        "payouts_frozen_until",
        "changed_at",
    ]
    list_filter = ["is_home", "custody"]
    search_fields = ["scid", "did", "actor_uri"]
    ordering = ["-changed_at"]
    fields = [
        "scid", "did", "actor_uri", "home_origin", "is_home", "custody", "head_version_id", "contested_at",
        "payouts_frozen_until",
        "created_at", "changed_at", "checked_at", "grant", "log",
    ]  # fmt: skip
    readonly_fields = ["grant", "log"]

    @admin.display(description="host grant of the present home")
    def grant(self, identity: Identity) -> SafeString:
        return raw(identity.host_grant or "none: it has not moved")

    @admin.display(description="key log, as it is published")
    def log(self, identity: Identity) -> SafeString:
        return raw(queries.log_bytes(identity).decode())


@admin.register(Watcher)
class WatcherAdmin(StaffAdmin):
    """Who may keep copies of the key logs of our people. Peers stand here by themselves; another is added by its address."""

    list_display = ["origin", "is_chosen", "answered_at", "error"]
    list_filter = ["is_chosen"]
    search_fields = ["origin"]
    ordering = ["origin"]
    readonly_fields = ["instance_key", "learnt_at", "answered_at", "error"]
    fields = ["origin", "is_chosen", *readonly_fields]

    def get_readonly_fields(self, request: HttpRequest, obj: Watcher | None = None) -> Any:
        return self.readonly_fields if obj is None else ["origin", *self.readonly_fields]

    def save_model(self, request: HttpRequest, obj: Watcher, form: ModelForm, change: bool) -> None:
        if not change:
            # In the one spelling by which it is known; refused is what is no origin.
            obj.origin = watching.parse_origin(obj.origin)
        super().save_model(request, obj, form, change)


@admin.register(Copy)
class CopyAdmin(ReadOnlyAdmin):
    list_display = ["identity", "watcher", "version_id", "receipt_at", "tried_at", "error"]
    list_select_related = ["identity", "watcher"]
    search_fields = ["identity__scid", "watcher__origin"]
    ordering = ["-id"]


@admin.register(Fork)
class ForkAdmin(ReadOnlyAdmin):
    list_display = ["identity", "number", "source", "found_at"]
    list_select_related = ["identity"]
    search_fields = ["identity__scid"]
    ordering = ["-id"]
    fields = ["identity", "number", "left_id", "right_id", "source", "found_at", "shown"]
    readonly_fields = ["shown"]

    @admin.display(description="evidence, as it is published")
    def shown(self, fork: Fork) -> SafeString:
        return raw(bytes(fork.evidence).decode())
