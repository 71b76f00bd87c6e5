"""Sponsor slots: who pays, for which campaign, and each slot that was offered in a feed.

Amounts are integers of 10^-6 of the currency unit.
"""

import uuid

from django.core.validators import RegexValidator
from django.db import models

from server.accounts.models import Account
from server.core import clock, limits
from server.videos.models import Video

# The name stands in the ledger (L:advertiser:<name>), so it has the ledger's form and never changes.
NAME = RegexValidator(r"\A[a-z0-9](?:[a-z0-9-]{0,38}[a-z0-9])?\Z", "Small letters, digits and hyphens, at most 40.")


class Advertiser(models.Model):
    """Somebody who pays this instance for sponsor slots, in advance."""

    name = models.CharField(max_length=40, unique=True, validators=[NAME])
    display_name = models.CharField(max_length=100)
    contact_email = models.EmailField(blank=True)
    created_at = models.DateTimeField(default=clock.now)

    def __str__(self) -> str:
        return self.display_name


class Campaign(models.Model):
    """What is shown, from when to when, and what a thousand billable impressions cost."""

    STATES = [(name, name) for name in ("draft", "running", "stopped")]
    name = models.CharField(max_length=40, unique=True, validators=[NAME])
    advertiser = models.ForeignKey(Advertiser, on_delete=models.PROTECT, related_name="campaigns")
    state = models.CharField(max_length=10, choices=STATES, default="draft")
    headline = models.CharField(max_length=80)
    text = models.CharField(max_length=200, blank=True)
    link = models.URLField(max_length=limits.URL_CHARACTERS_MAX)
    # A clip of ours, or a picture.
    video = models.ForeignKey(Video, null=True, blank=True, on_delete=models.PROTECT, related_name="+")
    image_file = models.CharField(max_length=200, blank=True)
    currency = models.CharField(max_length=3, default="EUR")
    price_per_thousand = models.BigIntegerField()
    first_day = models.DateField()
    last_day = models.DateField()
    # One viewer is shown this campaign at most so often a day.
    per_viewer_day_max = models.PositiveSmallIntegerField(default=5)
    created_at = models.DateTimeField(default=clock.now)

    class Meta:
        constraints = [
            models.CheckConstraint(condition=models.Q(price_per_thousand__gt=0), name="campaign_costs_something"),
            models.CheckConstraint(condition=models.Q(last_day__gte=models.F("first_day")), name="campaign_ends_after_it_begins"),
        ]

    def __str__(self) -> str:
        return f"{self.headline} ({self.advertiser})"


class Offer(models.Model):
    """One slot that was put into one feed. It is billed at most once, for the work before it."""

    id = models.UUIDField(primary_key=True, default=uuid.uuid4)
    campaign = models.ForeignKey(Campaign, on_delete=models.CASCADE, related_name="offers")
    # The nearest preceding video of the same feed session: its creator gets the share.
    after = models.ForeignKey(Video, null=True, blank=True, on_delete=models.SET_NULL, related_name="+")
    viewer = models.ForeignKey(Account, null=True, blank=True, on_delete=models.SET_NULL, related_name="+")
    # Whom it was shown to when nobody was signed in: a name for a network that is good for one day (visitors.py).
    visitor = models.CharField(max_length=64, blank=True, db_index=True)
    offered_at = models.DateTimeField(default=clock.now, db_index=True)
    billed_at = models.DateTimeField(null=True, blank=True)

    def __str__(self) -> str:
        return f"{self.campaign} {self.id}"
