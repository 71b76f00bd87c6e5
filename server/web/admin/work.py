"""Staff pages for background work and the instance's keys."""

from django.contrib import admin
from django.db import transaction
from django.db.models import QuerySet
from django.http import HttpRequest
from django.template.defaultfilters import truncatechars
from django.utils.safestring import SafeString

from server.accounts.models import User
from server.core import clock, worker
from server.core.errors import WrongState
from server.core.models import InstanceKey, Task
from server.moderation.actions import audit
from server.moderation.audited_admin import ReadOnlyAdmin, staff_action
from server.moderation.staff_display import mark, raw, when


@transaction.atomic
def _retry(*, row: Task, by_staff: User, reason: str) -> None:
    if not worker.retry_dead(Task.objects.filter(pk=row.pk)):
        raise WrongState(f"{row} was not given up; it will be tried at {row.next_try_at:%Y-%m-%d %H:%M} anyway.")
    audit(by_staff=by_staff, action="retry_task", target=f"task {row.pk}", detail={"task": str(row)})


@transaction.atomic
def _forget(*, row: Task, by_staff: User, reason: str) -> None:
    if not worker.forget_dead(Task.objects.filter(pk=row.pk)):
        raise WrongState(f"{row} was not given up.")
    detail = {"task": str(row), "payload": row.payload, "reason": reason}
    audit(by_staff=by_staff, action="forget_task", target=f"task {row.pk}", detail=detail)


class StateFilter(admin.SimpleListFilter):
    """What is happening to a task now."""

    title, parameter_name = "state", "state"

    def lookups(self, request: HttpRequest, model_admin: admin.ModelAdmin) -> list[tuple[str, str]]:
        return [("dead", "Given up"), ("waiting", "Waiting"), ("running", "Running"), ("failing", "Failed before")]

    def queryset(self, request: HttpRequest, queryset: QuerySet[Task]) -> QuerySet[Task]:
        alive = queryset.filter(dead_at=None)
        chosen = {
            "dead": queryset.exclude(dead_at=None),
            "running": alive.filter(lease_until__gt=clock.now()),
            "waiting": alive.exclude(lease_until__gt=clock.now()),
            "failing": alive.exclude(last_error=""),
        }
        return chosen.get(self.value() or "", queryset)


@admin.register(Task)
class TaskAdmin(ReadOnlyAdmin):
    list_display = ["recorded", "state", "fact", "told", "error", "queue", "attempts", "next_try"]
    list_display_links = ["recorded", "fact"]
    list_filter = [StateFilter, "queue", "fact"]
    search_fields = ["subscriber", "fact", "last_error", "=fact_id"]
    ordering = ["-created_at"]
    fields = [
        "fact", "subscriber", "queue", "state", "attempts", "error_in_full", "payload_raw",
        "created_at", "next_try_at", "lease_until", "dead_at", "fact_id",
    ]  # fmt: skip
    readonly_fields = ["state", "error_in_full", "payload_raw"]
    actions = [
        staff_action("Try again", verb=_retry),
        staff_action("Forget", verb=_forget, warning="What these tasks were to do will not happen.", needs_reason=True),
    ]

    @admin.display(description="recorded", ordering="created_at")
    def recorded(self, task: Task) -> SafeString | str:
        return when(task.created_at)

    @admin.display(description="next try", ordering="next_try_at")
    def next_try(self, task: Task) -> SafeString | str:
        return when(task.next_try_at if task.dead_at is None else None)

    @admin.display(description="told to", ordering="subscriber")
    def told(self, task: Task) -> str:
        return task.subscriber.rpartition(".")[2]

    @admin.display(description="state")
    def state(self, task: Task) -> SafeString:
        if task.dead_at is not None:
            return mark("given up")
        return mark("running" if task.lease_until and task.lease_until > clock.now() else "waiting")

    @admin.display(description="last error")
    def error(self, task: Task) -> str:
        # The last line of a traceback says what went wrong.
        return truncatechars(task.last_error.strip().rpartition("\n")[2], 100)

    @admin.display(description="last error")
    def error_in_full(self, task: Task) -> SafeString:
        return raw(task.last_error)

    @admin.display(description="what happened")
    def payload_raw(self, task: Task) -> SafeString:
        return raw(task.payload)


@admin.register(InstanceKey)
class InstanceKeyAdmin(ReadOnlyAdmin):
    list_display = ["name", "algorithm", "created_at"]
    # Not the private half, sealed though it is.
    fields = ["name", "algorithm", "public", "created_at"]
