"""Staff pages for the ledger and payouts: history is read-only; periods are approved and closed, peers are followed."""

from typing import Any

from django.contrib import admin
from django.db import transaction
from django.db.models import URLField
from django.forms import ModelForm
from django.http import HttpRequest
from django.utils.safestring import SafeString

from payouts import audit as ledger_audit
from payouts import checks, forks, mirror, peers, settlement, witnesses
from payouts.ledger.errors import LedgerError
from payouts.ledger.money import in_units
from payouts.models import (
    Acceptance,
    AccountHead,
    Agreement,
    Balance,
    EntryOfAccount,
    LogEntry,
    MeteredImpression,
    MeteredView,
    PeerAgreement,
    PeerClaim,
    PeerLog,
    Period,
    SignedHead,
    Witness,
    WitnessPolicy,
)
from server.accounts.models import User
from server.core.errors import Invalid
from server.moderation.actions import audit
from server.moderation.audited_admin import ReadOnlyAdmin, StaffAdmin, staff_action
from server.moderation.staff_display import mark, raw
from server.sponsors import closing


def _approve(*, row: Period, by_staff: User, reason: str) -> None:
    closing.approve(period=row, by_staff=by_staff)


def _close(*, row: Period, by_staff: User, reason: str) -> None:
    closing.close(period=row, by_staff=by_staff)


def _discard(*, row: Period, by_staff: User, reason: str) -> None:
    closing.discard(period=row, by_staff=by_staff, reason=reason)


def _refresh(*, row: PeerLog, by_staff: User, reason: str) -> None:
    try:
        peers.refresh(row)
    except LedgerError as error:
        raise Invalid(f"{error.code}: {error}") from error


@transaction.atomic
def _ask(*, row: Witness, by_staff: User, reason: str) -> None:
    witnesses.set_active(witness=row, is_active=True)
    audit(by_staff=by_staff, action="ask_witness", target=str(row), detail={})


@transaction.atomic
def _stop_asking(*, row: Witness, by_staff: User, reason: str) -> None:
    witnesses.set_active(witness=row, is_active=False)
    audit(by_staff=by_staff, action="stop_asking_witness", target=str(row), detail={"reason": reason})


def _copy(*, row: PeerLog, by_staff: User, reason: str) -> None:
    report = mirror.mirror_peer(row)
    if report.error:
        raise Invalid(report.error)
    audit_report = ledger_audit.audit_peer(row)
    if audit_report.error:
        raise Invalid(audit_report.error)


def _stop_copying(*, row: PeerLog, by_staff: User, reason: str) -> None:
    PeerLog.objects.filter(pk=row.pk).update(is_mirrored=False)
    audit(by_staff=by_staff, action="stop_mirroring", target=str(row), detail={"reason": reason})


def _go_on_copying(*, row: PeerLog, by_staff: User, reason: str) -> None:
    PeerLog.objects.filter(pk=row.pk).update(is_mirrored=True)
    audit(by_staff=by_staff, action="go_on_mirroring", target=str(row), detail={})


@transaction.atomic
def _acknowledge(*, row: PeerLog, by_staff: User, reason: str) -> None:
    forks.acknowledge(row, by=by_staff.email)
    audit(by_staff=by_staff, action="acknowledge_fork", target=str(row), detail={"reason": reason})


def _check(*, row: LogEntry, by_staff: User, reason: str) -> None:
    problems = checks.find_problems()
    if problems:
        raise Invalid("; ".join(problems[:5]))


@admin.register(LogEntry)
class LogEntryAdmin(ReadOnlyAdmin):
    list_display = ["index", "type", "at", "entry_id"]
    list_filter = ["type", "at"]
    search_fields = ["=index", "entry_id", "touches__scid"]
    ordering = ["-index"]
    fields = ["index", "type", "at", "entry_id", "text"]
    readonly_fields = ["text"]
    actions = [staff_action("Check the whole log", verb=_check)]

    @admin.display(description="entry")
    def text(self, entry: LogEntry) -> SafeString:
        return raw(bytes(entry.data))


@admin.register(SignedHead)
class SignedHeadAdmin(ReadOnlyAdmin):
    list_display = ["size", "signed_at", "cosigners"]
    ordering = ["-size"]
    fields = ["size", "signed_at", "text"]
    readonly_fields = ["text"]

    @admin.display(description="cosigned by")
    def cosigners(self, head: SignedHead) -> str:
        return ", ".join(line.split(" ")[1] for line in head.cosignatures.splitlines()) or "nobody"

    @admin.display(description="note")
    def text(self, head: SignedHead) -> SafeString:
        return raw(head.full_note.decode())


@admin.register(AccountHead)
class AccountHeadAdmin(ReadOnlyAdmin):
    list_display = ["scid", "currency", "payable", "on_hold", "waiting", "seq"]
    list_filter = ["currency"]
    search_fields = ["scid"]

    @admin.display(description="payable", ordering="balance")
    def payable(self, head: AccountHead) -> str:
        return in_units(head.balance)

    @admin.display(description="held", ordering="held")
    def on_hold(self, head: AccountHead) -> str:
        return in_units(head.held)

    @admin.display(description="unclaimed", ordering="unclaimed")
    def waiting(self, head: AccountHead) -> str:
        return in_units(head.unclaimed)


@admin.register(Balance)
class BalanceAdmin(ReadOnlyAdmin):
    list_display = ["name", "sum"]
    search_fields = ["name"]
    ordering = ["name"]
    fields = ["name", "amount"]

    @admin.display(description="balance (debits positive)", ordering="amount")
    def sum(self, balance: Balance) -> str:
        return in_units(balance.amount)


@admin.register(Agreement)
class AgreementAdmin(ReadOnlyAdmin):
    list_display = ["kind", "scope", "effective_from", "entry"]
    list_filter = ["kind"]
    search_fields = ["id", "scope"]
    list_select_related = ["entry"]
    ordering = ["-effective_from"]
    fields = ["id", "kind", "scope", "effective_from", "entry", "text"]
    readonly_fields = ["text"]

    @admin.display(description="document")
    def text(self, agreement: Agreement) -> SafeString:
        return raw(bytes(agreement.document))


@admin.register(Period)
class PeriodAdmin(ReadOnlyAdmin):
    list_display = ["name", "currency", "pool", "state_mark", "sum", "planned_by", "approved_by", "closed_at"]
    list_filter = ["state", "currency"]
    ordering = ["-planned_at"]
    fields = [
        "name", "currency", "pool", "state_mark", "sum", "carried_in", "carry", "planned_by", "planned_at", "approved_by",
        "closed_by", "closed_at", "close_entry", "shares", "text",
    ]  # fmt: skip
    readonly_fields = ["state_mark", "sum", "shares", "text"]
    actions = [
        staff_action("Approve", verb=_approve, warning="What was planned can then be closed by anybody here."),
        staff_action("Close", verb=_close, warning="Entries in the log are for ever."),
        staff_action("Discard the plan", verb=_discard, warning="What it had counted is open again.", needs_reason=True),
    ]

    @admin.display(description="state", ordering="state")
    def state_mark(self, period: Period) -> SafeString:
        return mark(period.state)

    @admin.display(description="amount", ordering="amount")
    def sum(self, period: Period) -> str:
        return in_units(period.amount)

    @admin.display(description="who gets what")
    def shares(self, period: Period) -> SafeString:
        shares = settlement.preview(period)
        return raw({
            "payees": {one.scid: in_units(one.amount) for one in shares.accruals},
            "places": {place: in_units(amount) for place, amount in shares.places.items()},
            "carry": in_units(shares.carry),
        })  # fmt: skip

    @admin.display(description="plan")
    def text(self, period: Period) -> SafeString:
        return raw(bytes(period.plan))


@admin.register(PeerLog)
class PeerLogAdmin(StaffAdmin):
    """Adding a row follows the ledger of an instance; nothing of it can be edited."""

    list_display = ["origin", "size", "state", "seen_at"]
    search_fields = ["origin"]
    readonly_fields = ["state", "note", "kept"]
    formfield_overrides = {URLField: {"assume_scheme": "https"}}
    actions = [
        staff_action("Look now", verb=_refresh),
        staff_action("Copy and audit now", verb=_copy),
        staff_action("Stop copying", verb=_stop_copying, warning="What was copied stays on the disk.", needs_reason=True),
        staff_action("Go on copying", verb=_go_on_copying),
        staff_action(
            "Acknowledge the fork",
            verb=_acknowledge,
            warning="The warning goes; the ledger stays frozen for ever.",
            needs_reason=True,
        ),
    ]

    def get_fields(self, request: HttpRequest, obj: PeerLog | None = None) -> Any:
        if obj is None:
            return ["url"]
        return [
            "origin",
            "url",
            "size",
            "root",
            "state",
            "seen_at",
            "is_mirrored",
            "note",
            "forked_at",
            "fork_acknowledged_by",
            "fork_acknowledged_at",
            "kept",
        ]

    def has_change_permission(self, request: HttpRequest, obj: PeerLog | None = None) -> bool:
        return False

    def has_delete_permission(self, request: HttpRequest, obj: PeerLog | None = None) -> bool:
        return False

    def save_model(self, request: HttpRequest, obj: PeerLog, form: ModelForm, change: bool) -> None:
        try:
            made = peers.follow_log(instance_origin=obj.url)
        except LedgerError as error:
            raise Invalid(f"{error.code}: {error}") from error
        obj.pk, obj.origin = made.pk, made.origin

    @admin.display(description="state")
    def state(self, peer: PeerLog) -> SafeString:
        return mark(peer.error or "ready")

    @admin.display(description="newest checkpoint, with our cosignature")
    def note(self, peer: PeerLog) -> SafeString:
        return raw(bytes(peer.checkpoint).decode() + peer.cosignature)

    @admin.display(description="notes that do not go together")
    def kept(self, peer: PeerLog) -> SafeString:
        return raw("\n\n".join(bytes(note).decode() for note in (peer.kept_note_a, peer.kept_note_b) if note))


@admin.register(Witness)
class WitnessAdmin(StaffAdmin):
    """Who cosigns our heads. Followed instances stand here by themselves; any other C2SP witness is added by its key."""

    list_display = ["name", "is_active", "saw_size", "answered_at", "error", "peer"]
    list_filter = ["is_active"]
    list_select_related = ["peer"]
    search_fields = ["name"]
    formfield_overrides = {URLField: {"assume_scheme": "https"}}
    readonly_fields = ["name", "is_active", "saw_size", "answered_at", "error", "peer", "created_at"]
    actions = [
        staff_action("Ask as witness", verb=_ask),
        staff_action(
            "Stop asking as witness", verb=_stop_asking, warning="It will not be shown our heads any more.", needs_reason=True
        ),
    ]

    def get_fields(self, request: HttpRequest, obj: Witness | None = None) -> Any:
        added = ["vkey", "url", "monitoring_url"]
        return added if obj is None else ["name", *added, "peer", "is_active", "saw_size", "answered_at", "error", "created_at"]

    def has_change_permission(self, request: HttpRequest, obj: Witness | None = None) -> bool:
        return False

    def has_delete_permission(self, request: HttpRequest, obj: Witness | None = None) -> bool:
        return False

    def save_model(self, request: HttpRequest, obj: Witness, form: ModelForm, change: bool) -> None:
        made = witnesses.add(vkey=obj.vkey, url=obj.url, monitoring_url=obj.monitoring_url)
        obj.pk, obj.name = made.pk, made.name


@admin.register(WitnessPolicy)
class WitnessPolicyAdmin(StaffAdmin):
    """How many cosignatures make a head witnessed. Each change is a new row."""

    list_display = ["quorum", "set_by", "created_at"]
    ordering = ["-pk"]
    readonly_fields = ["set_by", "created_at"]

    def get_fields(self, request: HttpRequest, obj: WitnessPolicy | None = None) -> Any:
        return ["quorum"] if obj is None else ["quorum", "set_by", "created_at"]

    def has_change_permission(self, request: HttpRequest, obj: WitnessPolicy | None = None) -> bool:
        return False

    def has_delete_permission(self, request: HttpRequest, obj: WitnessPolicy | None = None) -> bool:
        return False

    def save_model(self, request: HttpRequest, obj: WitnessPolicy, form: ModelForm, change: bool) -> None:
        assert isinstance(request.user, User)
        obj.pk = witnesses.set_quorum(quorum=obj.quorum, by=request.user.email).pk


@admin.register(PeerClaim)
class PeerClaimAdmin(ReadOnlyAdmin):
    list_display = ["peer", "scid", "currency", "payable", "as_of", "checked_at"]
    list_select_related = ["peer"]
    search_fields = ["scid", "peer__origin"]
    fields = ["peer", "scid", "currency", "payable", "held", "unclaimed", "as_of_index", "as_of", "witnesses", "checked_at"]
    readonly_fields = ["payable"]

    @admin.display(description="payable", ordering="balance")
    def payable(self, claim: PeerClaim) -> str:
        return in_units(claim.balance)


@admin.register(PeerAgreement)
class PeerAgreementAdmin(ReadOnlyAdmin):
    list_display = ["scid", "peer", "signed_at", "agreement_id"]
    list_select_related = ["peer"]
    search_fields = ["scid", "peer__origin", "agreement_id"]
    ordering = ["-signed_at"]
    fields = ["scid", "peer", "signed_at", "agreement_id", "offer_id", "text"]
    readonly_fields = ["text"]

    @admin.display(description="document, as both signed it")
    def text(self, signed: PeerAgreement) -> SafeString:
        return raw(bytes(signed.document))


@admin.register(MeteredView)
class MeteredViewAdmin(ReadOnlyAdmin):
    list_display = ["day", "work", "rejected", "count", "weight_ms", "period"]
    list_filter = ["rejected", "day"]
    search_fields = ["work", "creator_scid", "period"]
    ordering = ["-day", "work"]


@admin.register(MeteredImpression)
class MeteredImpressionAdmin(ReadOnlyAdmin):
    list_display = ["day", "campaign", "work", "count", "period"]
    list_filter = ["day"]
    search_fields = ["campaign", "work", "creator_scid", "period"]
    ordering = ["-day", "campaign", "work"]


@admin.register(EntryOfAccount)
class EntryOfAccountAdmin(ReadOnlyAdmin):
    list_display = ["entry", "scid", "currency", "seq", "payable", "held", "unclaimed"]
    list_select_related = ["entry"]
    search_fields = ["scid"]
    ordering = ["-entry_id"]


@admin.register(Acceptance)
class AcceptanceAdmin(ReadOnlyAdmin):
    list_display = ["scid", "agreement", "at"]
    list_select_related = ["agreement"]
    search_fields = ["scid"]
