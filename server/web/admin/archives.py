"""Staff pages for archives, imports and copies kept for others. What is in them is shown to nobody but their owner."""

from django.contrib import admin
from django.db import transaction

from server.accounts.models import User
from server.moderation.actions import audit
from server.moderation.audited_admin import ReadOnlyAdmin, staff_action
from server.portability import holding
from server.portability.models import Archive, Held, Import, Replica


@transaction.atomic
def _forget(*, row: Held, by_staff: User, reason: str) -> None:
    audit(
        by_staff=by_staff,
        action="forget_copy",
        target=f"copy held for somebody {row.pk}",
        detail={"copy": str(row), "reason": reason},
    )
    holding.forget(held=row)


@admin.register(Archive)
class ArchiveAdmin(ReadOnlyAdmin):
    list_display = ["account", "kind", "state", "permille", "seq", "bytes_total", "asked_at"]
    list_filter = ["state", "kind"]
    search_fields = ["account__handle", "manifest_sha256"]
    list_select_related = ["account"]
    ordering = ["-pk"]


@admin.register(Import)
class ImportAdmin(ReadOnlyAdmin):
    list_display = ["account", "filename", "kind", "state", "permille", "code", "created_at"]
    list_filter = ["state", "kind", "code"]
    search_fields = ["account__handle", "filename"]
    list_select_related = ["account"]
    ordering = ["-pk"]


@admin.register(Replica)
class ReplicaAdmin(ReadOnlyAdmin):
    list_display = ["account", "origin", "seq", "copied_at", "error"]
    search_fields = ["account__handle", "origin"]
    list_select_related = ["account"]
    ordering = ["-pk"]


@admin.register(Held)
class HeldAdmin(ReadOnlyAdmin):
    list_display = ["scid", "seq", "bytes_total", "received_at", "whole_at"]
    search_fields = ["scid", "manifest_sha256"]
    ordering = ["-bytes_total"]
    actions = [
        staff_action(
            "Forget copy",
            verb=_forget,
            warning="If this person's home is gone, nobody may have another copy.",
            needs_reason=True,
        )
    ]
