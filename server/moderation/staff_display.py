"""How staff pages show things: states as marks, times short, JSON indented, rows as links."""

import json
from datetime import datetime

from django.contrib.humanize.templatetags.humanize import naturaltime
from django.db.models import Model
from django.urls import reverse
from django.utils.html import format_html
from django.utils.safestring import SafeString

from server.core import clock

NOTHING = "—"
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
    "dead": "bad",
    "received": "busy",
    "delivered": "good",
    "handled": "good",
    "good": "good",
}


def raw(value: object) -> SafeString:
    """``value`` (JSON as text, bytes or values; or any text) indented for reading, in a ``pre``; nothing in it is markup."""
    if isinstance(value, bytes | memoryview):
        value = bytes(value).decode("utf-8", "replace")
    if isinstance(value, str):
        try:
            value = json.loads(value)
        except ValueError:
            return format_html('<pre class="raw">{}</pre>', value)
    return format_html('<pre class="raw">{}</pre>', json.dumps(value, indent=2, ensure_ascii=False))


def mark(state: str) -> SafeString:
    """A state as a small coloured mark; the word is always there too."""
    return format_html('<span class="mark mark-{}">{}</span>', TONES.get(state, "plain"), state)


def when(moment: datetime | None) -> SafeString | str:
    """A time as people say it (``3 hours ago``), with the exact one to be seen when pointed at."""
    if moment is None:
        return NOTHING
    # Django's filter asks the machine's clock; the difference is what counts.
    said = naturaltime(datetime.now(moment.tzinfo) + (moment - clock.now()))
    return format_html('<time datetime="{}" title="{}">{}</time>', clock.iso(moment), f"{moment:%Y-%m-%d %H:%M:%S} UTC", said)


def page_of(row: Model | None) -> SafeString | str:
    """A link to the staff page of ``row``, or a dash."""
    if row is None:
        return NOTHING
    address = reverse(f"admin:{row._meta.app_label}_{row._meta.model_name}_change", args=[row.pk])
    return format_html('<a href="{}">{}</a>', address, str(row))


def list_of(model: type[Model], label: str, **filters: object) -> SafeString:
    """A link to the staff list of ``model`` with ``filters`` applied."""
    address = reverse(f"admin:{model._meta.app_label}_{model._meta.model_name}_changelist", query=filters)
    return format_html('<a href="{}">{}</a>', address, label)
