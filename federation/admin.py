"""Staff pages for other servers: what they sent, what we owe them, and how that is going."""

from django.contrib import admin
from django.db.models import Model, QuerySet
from django.http import HttpRequest
from django.template.defaultfilters import truncatechars
from django.utils.safestring import SafeString

from federation import staff
from federation.models import Actor, Delivery, InboxItem, Peer, SeenSignature, Tombstone
from server.accounts.models import User
from server.core import clock
from server.moderation import actions as moderation
from server.moderation.audited_admin import ReadOnlyAdmin, staff_action
from server.moderation.staff_display import mark, raw, when


def _block(*, row: Peer, by_staff: User, reason: str) -> None:
    moderation.block_domain(domain=row.host, by_staff=by_staff, reason=reason)


class OpenFilter(admin.SimpleListFilter):
    """Servers to which nothing is sent for a while."""

    title, parameter_name = "sending", "sending"

    def lookups(self, request: HttpRequest, model_admin: admin.ModelAdmin) -> list[tuple[str, str]]:
        return [("paused", "Paused after failures"), ("failing", "Failing"), ("fine", "Fine")]

    def queryset(self, request: HttpRequest, queryset: QuerySet[Peer]) -> QuerySet[Peer]:
        chosen: dict[str, dict[str, object]] = {
            "paused": {"open_until__gt": clock.now()},
            "failing": {"failures__gt": 0},
            "fine": {"failures": 0},
        }
        return queryset.filter(**chosen.get(self.value() or "", {}))


@admin.register(Peer)
class PeerAdmin(ReadOnlyAdmin):
    list_display = ["host", "runs", "failures", "paused_until", "error", "received", "delivered"]
    list_filter = [OpenFilter, "software"]
    search_fields = ["host", "software"]
    ordering = ["host"]
    actions = [
        staff_action("Send again now", verb=lambda *, row, by_staff, reason: staff.revive_peer(peer=row, by_staff=by_staff)),
        staff_action(
            "Block domain",
            verb=_block,
            warning="Nothing more will be accepted from these servers or sent to them, and their accounts and videos are hidden.",
            needs_reason=True,
        ),
    ]

    @admin.display(description="software", ordering="software")
    def runs(self, peer: Peer) -> str:
        return f"{peer.software} {peer.version}".strip()

    @staticmethod
    def trail_of(row: Model) -> str:
        assert isinstance(row, Peer)
        return row.host

    @admin.display(description="paused until", ordering="open_until")
    def paused_until(self, peer: Peer) -> SafeString | str:
        return when(peer.open_until if peer.open_until and peer.open_until > clock.now() else None)

    @admin.display(description="last received", ordering="last_received_at")
    def received(self, peer: Peer) -> SafeString | str:
        return when(peer.last_received_at)

    @admin.display(description="last delivered", ordering="last_delivered_at")
    def delivered(self, peer: Peer) -> SafeString | str:
        return when(peer.last_delivered_at)

    @admin.display(description="last error")
    def error(self, peer: Peer) -> str:
        return truncatechars(peer.last_error, 80)


@admin.register(Actor)
class ActorAdmin(ReadOnlyAdmin):
    list_display = ["uri", "kind", "peer", "account", "fetched_at", "gone_at"]
    list_filter = ["kind", ("gone_at", admin.EmptyFieldListFilter)]
    search_fields = ["uri", "key_id", "peer__host"]
    list_select_related = ["peer", "account"]


@admin.register(InboxItem)
class InboxItemAdmin(ReadOnlyAdmin):
    list_display = ["received", "standing", "kind", "problem", "sender"]
    list_display_links = ["received"]
    list_filter = ["state", "kind", "received_at"]
    search_fields = ["uri", "actor__uri", "error"]
    list_select_related = ["actor"]
    ordering = ["-received_at"]
    fields = [
        "uri",
        "kind",
        "standing",
        "error",
        "actor",
        "received_at",
        "handled_at",
        "key_id",
        "is_carried",
        "signing_string_raw",
        "document",
    ]
    readonly_fields = ["standing", "signing_string_raw", "document"]
    actions = [
        staff_action("Handle again", verb=lambda *, row, by_staff, reason: staff.rerun_inbox_item(item=row, by_staff=by_staff)),
    ]

    @admin.display(description="received", ordering="received_at")
    def received(self, item: InboxItem) -> SafeString | str:
        return when(item.received_at)

    @admin.display(description="state", ordering="state")
    def standing(self, item: InboxItem) -> SafeString:
        return mark(item.state)

    @admin.display(description="actor", ordering="actor__uri")
    def sender(self, item: InboxItem) -> str:
        return item.actor.uri

    @admin.display(description="error")
    def problem(self, item: InboxItem) -> str:
        return truncatechars(item.error, 100)

    @admin.display(description="string whose signature was checked")
    def signing_string_raw(self, item: InboxItem) -> SafeString:
        return raw(item.signing_string)

    @admin.display(description="activity as it came")
    def document(self, item: InboxItem) -> SafeString:
        return raw(item.body)


@admin.register(Delivery)
class DeliveryAdmin(ReadOnlyAdmin):
    list_display = ["made", "standing", "kind", "host", "error", "attempts", "next_try"]
    list_display_links = ["made"]
    list_filter = ["state", "kind", "answered_status", "created_at"]
    search_fields = ["host", "inbox", "activity_uri", "last_error"]
    list_select_related = ["sender"]
    ordering = ["-created_at"]
    fields = [
        "activity_uri", "kind", "inbox", "sender", "standing", "attempts", "answered_status", "last_error",
        "created_at", "next_try_at", "expires_at", "delivered_at", "lease_until", "document",
    ]  # fmt: skip
    readonly_fields = ["standing", "document"]
    actions = [
        staff_action(
            "Try again now", verb=lambda *, row, by_staff, reason: staff.retry_delivery(delivery=row, by_staff=by_staff)
        ),
        staff_action(
            "Give up",
            verb=lambda *, row, by_staff, reason: staff.abandon_delivery(delivery=row, by_staff=by_staff, reason=reason),
            warning="These servers will not be told. What people there see may stay out of date for ever.",
        ),
    ]

    @admin.display(description="made", ordering="created_at")
    def made(self, delivery: Delivery) -> SafeString | str:
        return when(delivery.created_at)

    @admin.display(description="state", ordering="state")
    def standing(self, delivery: Delivery) -> SafeString:
        return mark(delivery.state)

    @admin.display(description="next try", ordering="next_try_at")
    def next_try(self, delivery: Delivery) -> SafeString | str:
        return when(delivery.next_try_at if delivery.state == "waiting" else None)

    @admin.display(description="last error")
    def error(self, delivery: Delivery) -> str:
        return truncatechars(delivery.last_error, 100)

    @admin.display(description="activity as it is sent")
    def document(self, delivery: Delivery) -> SafeString:
        return raw(delivery.body)


@admin.register(SeenSignature)
class SeenSignatureAdmin(ReadOnlyAdmin):
    list_display = ["digest", "expires_at"]
    search_fields = ["digest"]
    ordering = ["-expires_at"]


@admin.register(Tombstone)
class TombstoneAdmin(ReadOnlyAdmin):
    list_display = ["uri", "deleted_at"]
    search_fields = ["uri"]
    ordering = ["-deleted_at"]
