"""Staff pages of what we know of others' ledgers: copies, notes that were heard, disputes. All read-only: it is evidence."""

from django.contrib import admin
from django.utils.safestring import SafeString

from payouts.models import Dispute, HeardNote, PeerMirror
from server.moderation.audited_admin import ReadOnlyAdmin
from server.moderation.staff_display import mark, raw


@admin.register(PeerMirror)
class PeerMirrorAdmin(ReadOnlyAdmin):
    list_display = ["peer", "branch", "size", "judged", "audited", "state", "seen_at"]
    list_select_related = ["peer"]
    search_fields = ["peer__origin"]
    fields = [
        "peer", "branch", "size", "root", "complete_size", "stored_bytes", "judged", "broken_at", "audited", "state", "seen_at",
        "cosigned", "closes", "not_shown",
    ]  # fmt: skip
    readonly_fields = ["state", "cosigned", "closes", "not_shown"]

    @admin.display(description="state")
    def state(self, copy: PeerMirror) -> SafeString:
        return mark("broken" if copy.broken_at is not None else copy.error or "ready")

    @admin.display(description="what our keys say of it")
    def cosigned(self, copy: PeerMirror) -> SafeString:
        return raw(bytes(copy.checkpoint).decode() + copy.cosignatures)

    @admin.display(description="closes that were run again")
    def closes(self, copy: PeerMirror) -> SafeString:
        return raw(copy.verdicts)

    @admin.display(description="published bytes that it does not show")
    def not_shown(self, copy: PeerMirror) -> SafeString:
        return raw(copy.missing)


@admin.register(HeardNote)
class HeardNoteAdmin(ReadOnlyAdmin):
    list_display = ["peer", "source", "state", "heard_at"]
    list_select_related = ["peer"]
    list_filter = ["state"]
    search_fields = ["peer__origin", "source"]
    fields = ["peer", "source", "tiles_url", "state", "heard_at", "text"]
    readonly_fields = ["text"]

    @admin.display(description="note")
    def text(self, heard: HeardNote) -> SafeString:
        return raw(bytes(heard.note).decode())


@admin.register(Dispute)
class DisputeAdmin(ReadOnlyAdmin):
    list_display = ["origin", "index", "rule", "raised_at", "entry"]
    list_select_related = ["entry"]
    list_filter = ["rule"]
    search_fields = ["origin", "digest"]
    ordering = ["-raised_at"]
    fields = ["origin", "size", "index", "rule", "raised_at", "entry", "digest", "text"]
    readonly_fields = ["text"]

    @admin.display(description="document")
    def text(self, dispute: Dispute) -> SafeString:
        return raw(bytes(dispute.document))
