"""Reports, what staff decided, which domains are blocked, and who did what."""

from django.conf import settings
from django.db import models

from server.accounts.models import Account
from server.core import clock, limits
from server.videos.models import Comment, Video


class Report(models.Model):
    """Somebody asks the staff to look at an account, a video or a comment."""

    REASONS = [
        ("spam", "Spam or scam"),
        ("harassment", "Harassment or hate"),
        ("violence", "Violence or danger"),
        ("sexual", "Sexual content"),
        ("intimate", "Intimate images without consent"),
        ("minor", "Harm to a child"),
        ("copyright", "Copyright"),
        ("other", "Something else"),
    ]
    reporter = models.ForeignKey(Account, null=True, blank=True, on_delete=models.SET_NULL, related_name="reports_made")
    target = models.ForeignKey(Account, on_delete=models.CASCADE, related_name="reports")
    video = models.ForeignKey(Video, null=True, blank=True, on_delete=models.SET_NULL, related_name="reports")
    comment = models.ForeignKey(Comment, null=True, blank=True, on_delete=models.SET_NULL, related_name="reports")
    reason = models.CharField(max_length=20, choices=REASONS)
    text = models.TextField(blank=True, max_length=2_000)
    created_at = models.DateTimeField(default=clock.now)
    resolved_at = models.DateTimeField(null=True, blank=True)
    resolved_by = models.ForeignKey(settings.AUTH_USER_MODEL, null=True, blank=True, on_delete=models.SET_NULL)
    resolution = models.TextField(blank=True)

    def __str__(self) -> str:
        return f"{self.reason}: {self.target}"


class DomainBlock(models.Model):
    """A server from which nothing is accepted and to which nothing is sent (its subdomains included)."""

    domain = models.CharField(max_length=255, unique=True)
    reason = models.TextField(blank=True)
    created_at = models.DateTimeField(default=clock.now)

    def __str__(self) -> str:
        return self.domain


class AuditEntry(models.Model):
    """One act of staff, written in the transaction of the act itself and never changed."""

    at = models.DateTimeField(default=clock.now, db_index=True)
    actor = models.ForeignKey(settings.AUTH_USER_MODEL, null=True, on_delete=models.SET_NULL, related_name="audit_entries")
    action = models.CharField(max_length=80)
    target = models.CharField(max_length=limits.URL_CHARACTERS_MAX)
    detail = models.JSONField(default=dict)

    class Meta:
        verbose_name_plural = "audit entries"

    def __str__(self) -> str:
        return f"{self.at:%Y-%m-%d %H:%M} {self.action} {self.target}"
