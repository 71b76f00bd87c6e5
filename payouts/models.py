"""The books of this instance, as rows read from its log, and what we know of the logs of others.

The log's files are the record; ``LogEntry``, ``AccountHead``, ``EntryOfAccount``, ``Balance`` and ``SignedHead`` are written
only by ``log`` from them. Amounts are integers of 10^-6 of the currency unit.
"""

from django.db import models

from payouts.peer_models import Dispute, HeardNote, PeerMirror
from server.core import clock

__all__ = [
    "Acceptance", "AccountHead", "Agreement", "Balance", "Dispute", "EntryOfAccount", "HeardNote", "LogEntry",
    "MeteredImpression", "MeteredView", "PeerClaim", "PeerLog", "PeerMirror", "Period", "SignedHead", "Witness", "WitnessPolicy",
]  # fmt: skip


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


class SignedHead(models.Model):
    """A head of our log that was signed, with the cosignatures that came for it, a line each."""

    size = models.PositiveBigIntegerField(primary_key=True)
    note = models.BinaryField()
    signed_at = models.DateTimeField(default=clock.now)
    cosignatures = models.TextField(blank=True)

    def __str__(self) -> str:
        return f"size {self.size}"

    @property
    def full_note(self) -> bytes:
        """The note with all its signatures."""
        return bytes(self.note) + self.cosignatures.encode()


class AccountHead(models.Model):
    """The end of the chain of one identity's account: what is owed to it here, held back, or waits for its signature."""

    scid = models.CharField(max_length=64, db_index=True)
    currency = models.CharField(max_length=3)
    seq = models.PositiveBigIntegerField()
    leaf = models.CharField(max_length=64)
    balance = models.BigIntegerField()
    held = models.BigIntegerField()
    unclaimed = models.BigIntegerField(default=0)

    class Meta:
        constraints = [
            models.UniqueConstraint(fields=["scid", "currency"], name="account_head_once"),
            models.CheckConstraint(
                condition=models.Q(balance__gte=0, held__gte=0, unclaimed__gte=0), name="account_head_not_below_zero"
            ),
        ]

    def __str__(self) -> str:
        return f"{self.scid} {self.currency}"


class EntryOfAccount(models.Model):
    """Which entries touch an identity's account, in order of its sequence; the amounts are what each changed."""

    entry = models.ForeignKey(LogEntry, on_delete=models.CASCADE, related_name="touches")
    scid = models.CharField(max_length=64)
    currency = models.CharField(max_length=3)
    seq = models.PositiveBigIntegerField()
    payable = models.BigIntegerField()
    held = models.BigIntegerField()
    unclaimed = models.BigIntegerField()

    class Meta:
        constraints = [models.UniqueConstraint(fields=["scid", "currency", "seq"], name="entry_of_account_once")]
        verbose_name_plural = "entries of accounts"

    def __str__(self) -> str:
        return f"{self.scid} {self.currency} {self.seq}"


class Balance(models.Model):
    """The sum of all postings of one account by its full name: debits positive, credits negative."""

    name = models.CharField(max_length=400, primary_key=True)
    amount = models.BigIntegerField(default=0)

    def __str__(self) -> str:
        return self.name


class Agreement(models.Model):
    """An agreement in force or to come, as it was signed and logged."""

    id = models.CharField(max_length=64, primary_key=True)
    kind = models.CharField(max_length=20, db_index=True)
    scope = models.CharField(max_length=300, db_index=True)
    document = models.BinaryField()
    effective_from = models.DateTimeField(db_index=True)
    entry = models.ForeignKey(LogEntry, on_delete=models.PROTECT, related_name="+")
    created_at = models.DateTimeField(default=clock.now)

    def __str__(self) -> str:
        return f"{self.kind} {self.scope} {self.id[:12]}"


class Acceptance(models.Model):
    """An identity agreed to the instance's offer: from then on its earnings are payable, not unclaimed."""

    scid = models.CharField(max_length=64)
    # What she signed: the offer with her SCID in it.
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
    # The period whose close counted the row; empty while it is open.
    period = models.CharField(max_length=40, blank=True, db_index=True)
    count = models.PositiveBigIntegerField(default=0)
    weight_ms = models.PositiveBigIntegerField(default=0)

    class Meta:
        constraints = [models.UniqueConstraint(fields=["day", "work", "rejected", "period"], name="metered_view_once")]

    def __str__(self) -> str:
        return f"{self.day} {self.work} {self.rejected or 'counted'}"


class MeteredImpression(models.Model):
    """Billable impressions of one campaign beside one work on one day. ``work`` is empty where no video came before."""

    day = models.DateField(db_index=True)
    campaign = models.CharField(max_length=64)
    work = models.CharField(max_length=500, blank=True)
    creator_scid = models.CharField(max_length=64, blank=True)
    period = models.CharField(max_length=40, blank=True, db_index=True)
    count = models.PositiveBigIntegerField(default=0)

    class Meta:
        constraints = [models.UniqueConstraint(fields=["day", "campaign", "work", "period"], name="metered_impression_once")]

    def __str__(self) -> str:
        return f"{self.day} {self.campaign} {self.work}"


class Period(models.Model):
    """A stretch of time whose money is shared at once. Its life: planned, approved, closed."""

    STATES = [(name, name) for name in ("planned", "approved", "closed")]
    name = models.CharField(max_length=20)
    currency = models.CharField(max_length=3)
    pool = models.CharField(max_length=64, default="ads")
    state = models.CharField(max_length=10, choices=STATES, default="planned")
    # Everything the close is computed from, frozen when it was planned: canonical JSON (periods.py).
    plan = models.BinaryField()
    # Paid by advertisers for this period, and what was left of the one before.
    amount = models.BigIntegerField()
    carried_in = models.BigIntegerField(default=0)
    carry = models.BigIntegerField(default=0)
    # Who planned and who approved: two people above the set amount.
    planned_by = models.CharField(max_length=254)
    approved_by = models.CharField(max_length=254, blank=True)
    closed_by = models.CharField(max_length=254, blank=True)
    planned_at = models.DateTimeField(default=clock.now)
    closed_at = models.DateTimeField(null=True, blank=True)
    close_entry = models.ForeignKey(LogEntry, null=True, blank=True, on_delete=models.PROTECT, related_name="+")

    class Meta:
        constraints = [models.UniqueConstraint(fields=["name", "currency", "pool"], name="period_once")]

    def __str__(self) -> str:
        return f"{self.name} {self.currency} {self.pool} ({self.state})"


class PeerLog(models.Model):
    """The log of another instance as far as we have verified it: the pin, which is only ever extended."""

    origin = models.CharField(max_length=300, unique=True)
    # Where its tiles and checkpoint are, without a slash at the end.
    url = models.URLField(max_length=500)
    genesis = models.BinaryField()
    size = models.PositiveBigIntegerField(default=0)
    root = models.CharField(max_length=64)
    checkpoint = models.BinaryField(default=bytes)
    # Our own cosignature of that checkpoint, a line.
    cosignature = models.TextField(blank=True)
    # Not read any more since there is Witness; the columns go with a later version.
    is_witness = models.BooleanField(default=True)
    saw_size = models.PositiveBigIntegerField(default=0)
    # Do we keep a copy of all its entries, and judge them?
    is_mirrored = models.BooleanField(default=True)
    # Its key.rotate entries as far as we know them, canonical bytes as text, one a line, in order.
    rotations = models.TextField(blank=True, default="")
    # Its entries below this were read for them. The pin may be larger: a witness sees hashes only.
    read_size = models.PositiveBigIntegerField(default=0)
    seen_at = models.DateTimeField(null=True, blank=True)
    error = models.TextField(blank=True)
    # Two signed checkpoints that do not go together; with ``forked_at`` they cannot both be true, and nothing more is cosigned.
    kept_note_a = models.BinaryField(null=True, blank=True)
    kept_note_b = models.BinaryField(null=True, blank=True)
    fork_proof = models.BinaryField(null=True, blank=True)
    forked_at = models.DateTimeField(null=True, blank=True)
    # A person has read the conviction; the log stays frozen, the warning on the staff pages goes.
    fork_acknowledged_by = models.CharField(max_length=254, blank=True)
    fork_acknowledged_at = models.DateTimeField(null=True, blank=True)
    created_at = models.DateTimeField(default=clock.now)

    def __str__(self) -> str:
        return self.origin


class PeerClaim(models.Model):
    """What another instance owes an identity, from a statement we verified."""

    peer = models.ForeignKey(PeerLog, on_delete=models.CASCADE, related_name="claims")
    scid = models.CharField(max_length=64, db_index=True)
    currency = models.CharField(max_length=3)
    balance = models.BigIntegerField()
    held = models.BigIntegerField()
    unclaimed = models.BigIntegerField(default=0)
    as_of_index = models.PositiveBigIntegerField()
    as_of = models.DateTimeField()
    witnesses = models.TextField(blank=True)
    statement = models.BinaryField()
    checked_at = models.DateTimeField(default=clock.now)

    class Meta:
        constraints = [models.UniqueConstraint(fields=["peer", "scid", "currency"], name="peer_claim_once")]

    def __str__(self) -> str:
        return f"{self.peer} owes {self.scid}"


class PeerAgreement(models.Model):
    """What somebody from here signed with another instance over its offer, as that instance signed it too."""

    peer = models.ForeignKey(PeerLog, on_delete=models.CASCADE, related_name="agreements")
    scid = models.CharField(max_length=64, db_index=True)
    offer_id = models.CharField(max_length=64)
    agreement_id = models.CharField(max_length=64)
    document = models.BinaryField()
    signed_at = models.DateTimeField(default=clock.now)

    class Meta:
        constraints = [models.UniqueConstraint(fields=["peer", "scid", "offer_id"], name="peer_agreement_once")]

    def __str__(self) -> str:
        return f"{self.scid} with {self.peer}"


class Witness(models.Model):
    """Somebody who cosigns our heads: an instance that we follow, or any C2SP witness."""

    # The name of its key, which stands in every cosignature of it.
    name = models.CharField(max_length=255, unique=True)
    vkey = models.CharField(max_length=400, unique=True)
    # C2SP tlog-witness: heads are shown at URL/add-checkpoint ...
    url = models.URLField(max_length=500)
    # ... and what it has seen of a log stands at URL/SHA-256(origin)/checkpoint; empty where it does not say.
    monitoring_url = models.URLField(max_length=500, blank=True)
    peer = models.OneToOneField(PeerLog, null=True, blank=True, on_delete=models.PROTECT, related_name="witness")
    # An administrator's choice. Rows stay, so that old cosignatures can be read.
    is_active = models.BooleanField(default=True)
    # How far it has seen our log: a smaller head of ours would be a lie.
    saw_size = models.PositiveBigIntegerField(default=0)
    answered_at = models.DateTimeField(null=True, blank=True)
    error = models.CharField(max_length=60, blank=True)
    created_at = models.DateTimeField(default=clock.now)

    class Meta:
        verbose_name_plural = "witnesses"

    def __str__(self) -> str:
        return self.name


class WitnessPolicy(models.Model):
    """How many of the active witnesses must have cosigned a head before it counts as witnessed. The newest row counts."""

    quorum = models.PositiveSmallIntegerField()
    set_by = models.CharField(max_length=254)
    created_at = models.DateTimeField(default=clock.now)

    class Meta:
        verbose_name_plural = "witness policies"

    def __str__(self) -> str:
        return f"at least {self.quorum}"
