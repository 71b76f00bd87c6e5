"""Links and marks that several staff pages show."""

from django.db.models import Model
from django.urls import reverse
from django.utils.html import format_html
from django.utils.safestring import SafeString

# State to the kind of mark it gets (static/staff/admin.css).
TONES = {
    "published": "good",
    "ready": "good",
    "processing": "busy",
    "uploading": "busy",
    "waiting": "busy",
    "open": "busy",
    "failed": "bad",
    "given up": "bad",
    "suspended": "bad",
    "running": "good",
}


def mark(state: str) -> SafeString:
    """A state as a small coloured mark; the word is always there too."""
    return format_html('<span class="mark mark-{}">{}</span>', TONES.get(state, "plain"), state)


def page_of(row: Model | None) -> SafeString | str:
    """A link to the staff page of ``row``, or a dash."""
    if row is None:
        return "—"
    address = reverse(f"admin:{row._meta.app_label}_{row._meta.model_name}_change", args=[row.pk])
    return format_html('<a href="{}">{}</a>', address, str(row))


def list_of(model: type[Model], label: str, **filters: object) -> SafeString:
    """A link to the staff list of ``model`` with ``filters`` applied."""
    address = reverse(f"admin:{model._meta.app_label}_{model._meta.model_name}_changelist", query=filters)
    return format_html('<a href="{}">{}</a>', address, label)
