"""Staff pages for reports, blocked domains and the audit trail."""

from typing import Any

from django.contrib import admin
from django.db.models import Model, QuerySet
from django.forms import ModelForm
from django.http import HttpRequest
from django.utils.safestring import SafeString

from server.accounts.models import User
from server.core.errors import NotAllowed
from server.moderation import actions
from server.moderation.audited_admin import ReadOnlyAdmin, StaffAdmin, staff_action
from server.moderation.models import AuditEntry, DomainBlock, Report
from server.moderation.staff_display import NOTHING, mark, page_of, raw, when
from server.web.admin.videos import picture


def _staff(request: HttpRequest) -> User:
    if not isinstance(request.user, User):
        raise NotAllowed("Only staff may do this.")
    return request.user


class OpenFilter(admin.SimpleListFilter):
    """Open reports unless others are asked for."""

    title, parameter_name = "state", "state"

    def lookups(self, request: HttpRequest, model_admin: admin.ModelAdmin) -> list[tuple[str, str]]:
        return [("resolved", "Resolved"), ("all", "All")]

    def choices(self, changelist: Any) -> Any:
        first, *others = super().choices(changelist)
        yield {**first, "display": "Open"}
        yield from others

    def queryset(self, request: HttpRequest, queryset: QuerySet[Report]) -> QuerySet[Report]:
        if self.value() == "all":
            return queryset
        return queryset.filter(resolved_at__isnull=self.value() != "resolved")


@admin.register(Report)
class ReportAdmin(ReadOnlyAdmin):
    list_display = ["reported", "reason", "state", "target", "about", "text", "reporter"]
    list_display_links = ["reported", "reason"]
    list_filter = [OpenFilter, "reason", "created_at"]
    search_fields = ["text", "target__handle", "target__domain", "reporter__handle", "resolution"]
    list_select_related = ["target", "reporter", "video__account", "comment__account"]
    ordering = ["created_at"]
    fields = [
        "reason", "state", "text", "target", "video", "video_picture", "video_caption", "comment", "comment_text", "reporter",
        "created_at",
        "resolution", "resolved_by", "resolved_at",
    ]  # fmt: skip
    readonly_fields = ["state", "video_picture", "video_caption", "comment_text"]
    actions = [
        staff_action(
            "Resolve",
            verb=lambda *, row, by_staff, reason: actions.resolve_report(report=row, by_staff=by_staff, resolution=reason),
            needs_reason=True,
        ),
    ]

    @admin.display(description="state")
    def state(self, report: Report) -> SafeString:
        return mark("resolved" if report.resolved_at else "open")

    @admin.display(description="reported", ordering="created_at")
    def reported(self, report: Report) -> SafeString | str:
        return when(report.created_at)

    @admin.display(description="picture of the video")
    def video_picture(self, report: Report) -> SafeString | str:
        return picture(report.video)

    @admin.display(description="about")
    def about(self, report: Report) -> SafeString | str:
        return page_of(report.video or report.comment)

    @admin.display(description="caption of the video")
    def video_caption(self, report: Report) -> str:
        return report.video.caption if report.video else NOTHING

    @admin.display(description="text of the comment")
    def comment_text(self, report: Report) -> str:
        return report.comment.text if report.comment else NOTHING


@admin.register(DomainBlock)
class DomainBlockAdmin(StaffAdmin):
    """Adding a row blocks, deleting it unblocks; both are verbs that write the trail themselves."""

    verbs_audit = True
    list_display = ["domain", "reason", "created_at"]
    search_fields = ["domain", "reason"]
    ordering = ["domain"]
    fields = ["domain", "reason"]

    @staticmethod
    def trail_of(row: Model) -> str:
        assert isinstance(row, DomainBlock)
        return row.domain

    def has_change_permission(self, request: HttpRequest, obj: DomainBlock | None = None) -> bool:
        return False

    def save_model(self, request: HttpRequest, obj: DomainBlock, form: ModelForm, change: bool) -> None:
        made = actions.block_domain(domain=obj.domain, by_staff=_staff(request), reason=obj.reason)
        obj.pk, obj.domain = made.pk, made.domain

    def delete_model(self, request: HttpRequest, obj: DomainBlock) -> None:
        actions.unblock_domain(domain=obj.domain, by_staff=_staff(request))

    def delete_queryset(self, request: HttpRequest, queryset: QuerySet[DomainBlock]) -> None:
        for row in queryset:
            self.delete_model(request, row)


@admin.register(AuditEntry)
class AuditEntryAdmin(ReadOnlyAdmin):
    list_display = ["moment", "actor", "action", "target"]
    list_display_links = ["moment", "action"]
    list_filter = ["action", "at"]
    search_fields = ["actor__email", "target", "action"]
    list_select_related = ["actor"]
    date_hierarchy = "at"
    ordering = ["-at"]
    fields = ["at", "actor", "action", "target", "detail_raw"]
    readonly_fields = ["detail_raw"]

    @admin.display(description="when", ordering="at")
    def moment(self, entry: AuditEntry) -> SafeString | str:
        return when(entry.at)

    @admin.display(description="detail")
    def detail_raw(self, entry: AuditEntry) -> SafeString:
        return raw(entry.detail)
