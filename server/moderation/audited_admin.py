"""The base of every staff page: an audit entry for each act in the transaction of the act, and nothing destroyed by one click.

It stands here because the trail is kept here, below every door: the pages of ``server/web/admin`` and of
``federation/admin.py`` are built on it, and must not import each other.
"""

from collections.abc import Callable
from typing import Any, Protocol

from django.contrib import admin, messages
from django.contrib.admin.helpers import ACTION_CHECKBOX_NAME
from django.db import transaction
from django.db.models import Model, QuerySet
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.template.response import TemplateResponse
from django.urls import reverse

from server.accounts.models import User
from server.core.errors import TributaryError
from server.moderation import actions

ROWS_AT_ONCE_MAX = 500


def name_of(row: Model) -> str:
    """How the audit trail calls a row: its kind, key and what it says of itself."""
    return f"{row._meta.verbose_name} {row.pk}: {row}"


def audit(request: HttpRequest, verb: str, row: Model, detail: dict[str, object]) -> None:
    """Write what the signed-in member of staff does to ``row``."""
    assert isinstance(request.user, User)
    actions.audit(by_staff=request.user, action=verb, target=name_of(row), detail=detail)


class StaffAdmin(admin.ModelAdmin):
    """A staff page whose additions, changes and deletions are written into the audit trail."""

    @staticmethod
    def trail_of(row: Model) -> str:
        """The words by which the audit trail knows ``row``."""
        return f"{row._meta.verbose_name} {row.pk}"

    show_full_result_count = False
    list_per_page = 50
    # True where the verbs behind add and delete write the trail themselves.
    verbs_audit = False

    def log_addition(self, request: HttpRequest, obj: Model, message: Any) -> Any:
        if not self.verbs_audit:
            audit(request, f"add_{self.opts.model_name}", obj, {})
        return super().log_addition(request, obj, message)

    def log_change(self, request: HttpRequest, obj: Model, message: Any) -> Any:
        # Names of the changed fields, not their values: some are secrets.
        audit(request, f"change_{self.opts.model_name}", obj, {"changes": message})
        return super().log_change(request, obj, message)

    def log_deletions(self, request: HttpRequest, queryset: QuerySet[Any]) -> Any:
        if not self.verbs_audit:
            for obj in queryset:
                audit(request, f"delete_{self.opts.model_name}", obj, {})
        return super().log_deletions(request, queryset)

    def has_act_permission(self, request: HttpRequest) -> bool:
        """May this member of staff use the actions? Whoever may change the model may, also where no field can be edited."""
        return bool(request.user.has_perm(f"{self.opts.app_label}.change_{self.opts.model_name}"))

    def response_action(self, request: HttpRequest, queryset: QuerySet[Any]) -> HttpResponse | None:  # type: ignore[override]
        """Run an action in one transaction with its audit entries; what our verbs refuse becomes a message."""
        try:
            with transaction.atomic():
                return super().response_action(request, queryset)
        except TributaryError as error:
            self.message_user(request, f"Nothing was changed: {error}", messages.ERROR)
            return HttpResponseRedirect(request.get_full_path())

    def changeform_view(self, request: HttpRequest, *args: Any, **kwargs: Any) -> Any:
        """As Django's; what our verbs refuse becomes a message."""
        try:
            return super().changeform_view(request, *args, **kwargs)
        except TributaryError as error:
            self.message_user(request, f"Nothing was changed: {error}", messages.ERROR)
            return HttpResponseRedirect(request.get_full_path())

    def render_change_form(self, request: HttpRequest, context: dict[str, Any], *args: Any, **kwargs: Any) -> HttpResponse:
        """Offer the actions of the list on the page of one row too."""
        found: dict[str, Any] = self.get_actions(request) or {}
        if context.get("original") is not None:
            context["trail"] = reverse("admin:moderation_auditentry_changelist", query={"q": self.trail_of(context["original"])})
        context["row_actions"] = [(name, label) for name, (_, _, label) in found.items() if name != "delete_selected"]
        return super().render_change_form(request, context, *args, **kwargs)


class ReadOnlyAdmin(StaffAdmin):
    """A staff page that shows rows; what may be done with them is its actions."""

    def get_fields(self, request: HttpRequest, obj: Model | None = None) -> Any:
        # Named without building a form: there is nothing to fill in.
        return self.fields or [field.name for field in self.opts.fields if not field.primary_key]

    def has_add_permission(self, request: HttpRequest) -> bool:
        return False

    def has_change_permission(self, request: HttpRequest, obj: Model | None = None) -> bool:
        return False

    def has_delete_permission(self, request: HttpRequest, obj: Model | None = None) -> bool:
        return False


class _Verb(Protocol):
    def __call__(self, *, row: Any, by_staff: User, reason: str) -> None: ...


def staff_action(
    label: str, *, verb: _Verb, warning: str = "", needs_reason: bool = False
) -> Callable[[StaffAdmin, HttpRequest, QuerySet[Any]], HttpResponse | None]:
    """An action for the chosen rows that calls ``verb(row=, by_staff=, reason=)`` for each, all or none.

    ``verb`` writes the audit trail itself. With ``warning`` a page first names the rows and asks; with ``needs_reason``
    it also asks why.
    """

    @admin.action(description=label, permissions=["act"])
    def act(page: StaffAdmin, request: HttpRequest, chosen: QuerySet[Any]) -> HttpResponse | None:
        assert isinstance(request.user, User)
        rows = list(chosen[: ROWS_AT_ONCE_MAX + 1])
        if len(rows) > ROWS_AT_ONCE_MAX:
            page.message_user(request, f"Nothing was changed: at most {ROWS_AT_ONCE_MAX} at once.", messages.ERROR)
            return None
        reason = request.POST.get("reason", "").strip()
        if (warning or needs_reason) and (not request.POST.get("confirmed") or (needs_reason and not reason)):
            return _ask(page, request, rows, label, warning, needs_reason=needs_reason)
        for row in rows:
            verb(row=row, by_staff=request.user, reason=reason)
        page.message_user(request, f"{label}: {', '.join(map(str, rows[:5]))}{' …' if len(rows) > 5 else ''}", messages.SUCCESS)  # noqa: PLR2004
        return None

    act.__name__ = label.lower().replace(" ", "_")
    return act


def _ask(
    page: StaffAdmin, request: HttpRequest, rows: list[Any], label: str, warning: str, *, needs_reason: bool
) -> HttpResponse:
    context = {
        **page.admin_site.each_context(request),
        "title": f"{label}?",
        "opts": page.opts,
        "rows": rows,
        "warning": warning,
        "label": label,
        "needs_reason": needs_reason,
        "missing_reason": needs_reason and bool(request.POST.get("confirmed")),
        "action": request.POST.get("action", ""),
        "checkbox_name": ACTION_CHECKBOX_NAME,
        "back": request.get_full_path(),
    }
    return TemplateResponse(request, "admin/confirm_action.html", context)
