"""The verbs of moderation. Whatever staff does is written into the audit trail in the same transaction."""

from django.conf import settings
from django.db import transaction
from django.db.models import QuerySet

from server.accounts import actions as accounts
from server.accounts.addresses import canonical_host
from server.accounts.models import Account, User
from server.core import clock, limits
from server.core.errors import Invalid, NotAllowed, WrongState
from server.moderation.models import AuditEntry, DomainBlock, Report
from server.moderation.queries import names_of
from server.videos.models import Comment, Video


@transaction.atomic
def report(
    *,
    reporter: Account | None,
    target: Account,
    video: Video | None = None,
    comment: Comment | None = None,
    reason: str,
    text: str = "",
) -> Report:
    """Ask the staff to look at ``target``, or at one video or comment of hers. The same open report twice is once.

    ``reporter`` is None for somebody without an account. Raises Invalid with ``field``.
    """
    if reason not in dict(Report.REASONS):
        raise Invalid("Choose one of the reasons.", field="reason")
    if len(text) > limits.REPORT_CHARACTERS_MAX:
        raise Invalid(f"At most {limits.REPORT_CHARACTERS_MAX} characters.", field="text")
    if reporter is not None and reporter.pk == target.pk:
        raise Invalid("This is you.", field="target")
    if video is not None and video.account_id != target.pk:
        raise Invalid("This video is not by the reported account.", field="video")
    if comment is not None and comment.account_id != target.pk:
        raise Invalid("This comment is not by the reported account.", field="comment")
    about = {"reporter": reporter, "target": target, "video": video, "comment": comment, "reason": reason}
    if reporter is not None:
        found = Report.objects.filter(**about, resolved_at=None).first()
        if found is not None:
            return found
    return Report.objects.create(**about, text=text.strip())


@transaction.atomic
def resolve_report(*, report: Report, by_staff: User, resolution: str) -> None:
    """Close a report with what was decided. Raises NotAllowed, WrongState (closed already)."""
    check_staff(by_staff)
    row = Report.objects.select_for_update().get(pk=report.pk)
    if row.resolved_at is not None:
        raise WrongState("This report is resolved already.")
    row.resolved_at, row.resolved_by, row.resolution = clock.now(), by_staff, resolution.strip()
    row.save(update_fields=["resolved_at", "resolved_by", "resolution"])
    audit(by_staff=by_staff, action="resolve_report", target=f"report {row.pk}", detail={"resolution": row.resolution})


@transaction.atomic
def block_domain(*, domain: str, by_staff: User, reason: str = "") -> DomainBlock:
    """Accept nothing from ``domain`` and its subdomains, send nothing there, and hide its accounts. Twice is once.

    Raises NotAllowed, Invalid(field="domain") for no host name or our own.
    """
    check_staff(by_staff)
    host = _checked_host(domain)
    row, created = DomainBlock.objects.get_or_create(domain=host, defaults={"reason": reason.strip()})
    if created:
        # The accounts carry the time of the block itself, by which a later unblocking knows them.
        _accounts_of(host).filter(suspended_at=None).update(suspended_at=row.created_at)
        audit(by_staff=by_staff, action="block_domain", target=host, detail={"reason": row.reason})
    return row


@transaction.atomic
def unblock_domain(*, domain: str, by_staff: User) -> None:
    """Take a block back; accounts it hid come back unless another block covers them. Not blocked is no error."""
    check_staff(by_staff)
    host = _checked_host(domain)
    row = DomainBlock.objects.select_for_update().filter(domain=host).first()
    if row is None:
        return
    row.delete()
    hidden = _accounts_of(host).filter(suspended_at=row.created_at)
    for name in set(hidden.values_list("domain", flat=True)):
        other = DomainBlock.objects.filter(domain__in=names_of(name)).first()
        hidden.filter(domain=name).update(suspended_at=other.created_at if other else None)
    audit(by_staff=by_staff, action="unblock_domain", target=host, detail={})


@transaction.atomic
def suspend(*, account: Account, by_staff: User, reason: str = "") -> None:
    """Suspend ``account`` and write it into the audit trail. Raises NotAllowed."""
    accounts.suspend_account(account=account, by_staff=by_staff)
    audit(by_staff=by_staff, action="suspend_account", target=account.uri, detail={"reason": reason.strip()})


@transaction.atomic
def unsuspend(*, account: Account, by_staff: User) -> None:
    """Take a suspension back and write it into the audit trail. Raises NotAllowed."""
    accounts.unsuspend_account(account=account, by_staff=by_staff)
    audit(by_staff=by_staff, action="unsuspend_account", target=account.uri, detail={})


def audit(*, by_staff: User, action: str, target: str, detail: dict[str, object]) -> AuditEntry:
    """Write one act of staff into the audit trail; call it inside the transaction of the act. Raises NotAllowed."""
    check_staff(by_staff)
    cut = target[: limits.URL_CHARACTERS_MAX]
    return AuditEntry.objects.create(at=clock.now(), actor=by_staff, action=action, target=cut, detail=detail)


def check_staff(by_staff: User) -> None:
    """Raise NotAllowed unless ``by_staff`` is staff in good standing."""
    if not (by_staff.is_staff and by_staff.is_active):
        raise NotAllowed("Only staff may do this.")


def _checked_host(domain: str) -> str:
    try:
        host = canonical_host(domain.strip().removeprefix("*.").removeprefix("."))
    except Invalid as error:
        raise Invalid("This is not a domain.", field="domain") from error
    if host == settings.HOST or settings.HOST in names_of(host) or host in names_of(settings.HOST):
        raise Invalid("This domain is, or holds, this server itself.", field="domain")
    return host


def _accounts_of(host: str) -> QuerySet[Account]:
    domains = Account.objects.exclude(domain="").values_list("domain", flat=True).distinct()
    return Account.objects.filter(domain__in=[domain for domain in domains if host in names_of(domain)])
