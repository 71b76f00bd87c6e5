"""The books of this instance, as rows read from its log, and what we know of the logs of others.

The log's files are the record; ``LogEntry``, ``AccountHead`` and ``Balance`` are written only by ``log.catch_up`` from them.
Amounts are integers of 10^-6 of the currency unit.
"""

from django.db import models

from server.core import clock


class LogEntry(models.Model):
    """One entry of our own log, byte for byte."""

    index = models.PositiveBigIntegerField(primary_key=True)
    # Made by the client of the pen: the same id twice is the same wish.
    entry_id = models.CharField(max_length=32, unique=True)
    type = models.CharField(max_length=40, db_index=True)
    at = models.DateTimeField(db_index=True)
    data = models.BinaryField()

    class Meta:
        verbose_name_plural = "log entries"

    def __str__(self) -> str:
        return f"{self.index} {self.type}"


class AccountHead(models.Model):
    """The end of the chain of one identity's account: what is owed to it here, and held back."""

    scid = models.CharField(max_length=64, db_index=True)
    currency = models.CharField(max_length=3)
    seq = models.PositiveBigIntegerField()
    leaf = models.CharField(max_length=64)
    balance = models.BigIntegerField()
    held = models.BigIntegerField()
    unclaimed = models.BigIntegerField(default=0)

    class Meta:
        constraints = [models.UniqueConstraint(fields=["scid", "currency"], name="account_head_once")]

    def __str__(self) -> str:
        return f"{self.scid} {self.currency}"


class EntryOfAccount(models.Model):
    """Which entries touch an identity's account, in order of its sequence."""

    entry = models.ForeignKey(LogEntry, on_delete=models.CASCADE, related_name="touches")
    scid = models.CharField(max_length=64)
    currency = models.CharField(max_length=3)
    seq = models.PositiveBigIntegerField()
    amount = models.BigIntegerField()

    class Meta:
        constraints = [models.UniqueConstraint(fields=["scid", "currency", "seq"], name="entry_of_account_once")]

    def __str__(self) -> str:
        return f"{self.scid} {self.currency} {self.seq}"


class Balance(models.Model):
    """The sum of all postings of one account by its full name: debits positive, credits negative."""

    name = models.CharField(max_length=400, primary_key=True)
    amount = models.BigIntegerField(default=0)

    def __str__(self) -> str:
        return self.name


class Blob(models.Model):
    """Bytes that an entry names by their SHA-256: inputs of a close, lines of an accrual, evidence."""

    sha256 = models.CharField(max_length=64, primary_key=True)
    data = models.BinaryField()
    # Only what the log publishes may be fetched by anyone; evidence stays with the staff.
    is_public = models.BooleanField(default=True)
    created_at = models.DateTimeField(default=clock.now)

    def __str__(self) -> str:
        return self.sha256


class Agreement(models.Model):
    """An agreement in force or to come, as it was signed and logged."""

    id = models.CharField(max_length=64, primary_key=True)
    kind = models.CharField(max_length=20)
    scope = models.CharField(max_length=300)
    document = models.BinaryField()
    effective_from = models.DateTimeField(db_index=True)
    entry = models.ForeignKey(LogEntry, null=True, blank=True, on_delete=models.PROTECT, related_name="+")
    created_at = models.DateTimeField(default=clock.now)

    def __str__(self) -> str:
        return f"{self.kind} {self.scope} {self.id[:12]}"


class Acceptance(models.Model):
    """An identity agreed to the instance's offer: from then on its earnings are payable, not unclaimed."""

    scid = models.CharField(max_length=64)
    agreement = models.ForeignKey(Agreement, on_delete=models.PROTECT, related_name="acceptances")
    at = models.DateTimeField(default=clock.now)

    class Meta:
        constraints = [models.UniqueConstraint(fields=["scid", "agreement"], name="acceptance_once")]

    def __str__(self) -> str:
        return f"{self.scid} {self.agreement_id}"


class MeteredView(models.Model):
    """Views of one work on one day that steer shares, counted without saying whose they were."""

    day = models.DateField(db_index=True)
    work = models.CharField(max_length=500)
    creator_scid = models.CharField(max_length=64, blank=True)
    # The reason a view did not count, empty for those that did.
    rejected = models.CharField(max_length=40, blank=True)
    count = models.PositiveBigIntegerField(default=0)
    weight_ms = models.PositiveBigIntegerField(default=0)

    class Meta:
        constraints = [models.UniqueConstraint(fields=["day", "work", "rejected"], name="metered_view_once")]

    def __str__(self) -> str:
        return f"{self.day} {self.work} {self.rejected or 'counted'}"


class MeteredImpression(models.Model):
    """Billable impressions of one campaign beside one work on one day."""

    day = models.DateField(db_index=True)
    campaign = models.CharField(max_length=64)
    work = models.CharField(max_length=500)
    creator_scid = models.CharField(max_length=64, blank=True)
    count = models.PositiveBigIntegerField(default=0)

    class Meta:
        constraints = [models.UniqueConstraint(fields=["day", "campaign", "work"], name="metered_impression_once")]

    def __str__(self) -> str:
        return f"{self.day} {self.campaign} {self.work}"


class Period(models.Model):
    """A stretch of time whose money is shared at once. Its life: open, planned, approved, closed."""

    STATES = [(name, name) for name in ("planned", "approved", "closed")]
    name = models.CharField(max_length=20)
    currency = models.CharField(max_length=3)
    pool = models.CharField(max_length=64, default="ads")
    state = models.CharField(max_length=10, choices=STATES, default="planned")
    # Everything the close is computed from, frozen when it was planned.
    inputs = models.BinaryField()
    amount = models.BigIntegerField()
    # Who planned and who approved: two people above the set amount.
    planned_by = models.CharField(max_length=254)
    approved_by = models.CharField(max_length=254, blank=True)
    planned_at = models.DateTimeField(default=clock.now)
    closed_at = models.DateTimeField(null=True, blank=True)
    close_entry = models.ForeignKey(LogEntry, null=True, blank=True, on_delete=models.PROTECT, related_name="+")

    class Meta:
        constraints = [models.UniqueConstraint(fields=["name", "currency", "pool"], name="period_once")]

    def __str__(self) -> str:
        return f"{self.name} {self.currency} {self.pool} ({self.state})"


class PeerLog(models.Model):
    """The log of another instance as far as we have verified it."""

    origin = models.CharField(max_length=300, unique=True)
    # Where its tiles and checkpoint are, without a slash at the end.
    url = models.URLField(max_length=500)
    genesis = models.BinaryField()
    size = models.PositiveBigIntegerField(default=0)
    root = models.CharField(max_length=64)
    checkpoint = models.BinaryField(default=bytes)
    cosignature = models.TextField(blank=True)
    # May it witness our log?
    is_witness = models.BooleanField(default=True)
    seen_at = models.DateTimeField(null=True, blank=True)
    error = models.TextField(blank=True)
    # Two signed checkpoints that cannot both be true. Nothing more is cosigned.
    fork_note_a = models.BinaryField(null=True, blank=True)
    fork_note_b = models.BinaryField(null=True, blank=True)
    forked_at = models.DateTimeField(null=True, blank=True)
    created_at = models.DateTimeField(default=clock.now)

    def __str__(self) -> str:
        return self.origin


class PeerClaim(models.Model):
    """What another instance owes one of our people, from a statement we verified."""

    peer = models.ForeignKey(PeerLog, on_delete=models.CASCADE, related_name="claims")
    scid = models.CharField(max_length=64, db_index=True)
    currency = models.CharField(max_length=3)
    balance = models.BigIntegerField()
    held = models.BigIntegerField()
    as_of_index = models.PositiveBigIntegerField()
    as_of = models.DateTimeField()
    statement = models.BinaryField()
    checked_at = models.DateTimeField(default=clock.now)

    class Meta:
        constraints = [models.UniqueConstraint(fields=["peer", "scid", "currency"], name="peer_claim_once")]

    def __str__(self) -> str:
        return f"{self.peer} owes {self.scid}"
