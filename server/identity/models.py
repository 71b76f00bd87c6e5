"""Identities by SCID, their key logs line by line, and the keys this server holds for people under its custody."""

from django.db import models

from server.core import clock, limits


class Identity(models.Model):
    """What we know of one identity: the newest version of its log that we verified (the pin, rule V15)."""

    scid = models.CharField(max_length=64, primary_key=True)
    did = models.CharField(max_length=limits.URL_CHARACTERS_MAX)
    # The actor and the origin of the home that the newest entry names.
    actor_uri = models.URLField(max_length=limits.URL_CHARACTERS_MAX)
    home_origin = models.CharField(max_length=300)
    # True where the home is this instance.
    is_home = models.BooleanField(default=False)
    custody = models.CharField(max_length=10, choices=[("owner", "owner"), ("server", "server")])
    head_number = models.PositiveIntegerField()
    head_version_id = models.CharField(max_length=120)
    # Payouts wait until then after a change of keys (kept for the debtors on this instance).
    payouts_frozen_until = models.DateTimeField(null=True, blank=True)
    # The HostGrant with which the present home was taken, shown to whoever follows; none before the first move.
    host_grant = models.JSONField(null=True, blank=True)
    # Since when its keys are known to have signed two histories of which neither counts yet (rule V16).
    contested_at = models.DateTimeField(null=True, blank=True)
    # What the log takes, in bytes; and the did-witness.json beside it, where the log names witnesses.
    log_bytes = models.PositiveIntegerField(default=0)
    witness_file = models.BinaryField(null=True, blank=True)
    created_at = models.DateTimeField(default=clock.now)
    changed_at = models.DateTimeField(default=clock.now)
    checked_at = models.DateTimeField(default=clock.now)
    # When its copies at replicas were last looked after, for one that lives here.
    tended_at = models.DateTimeField(null=True, blank=True)

    class Meta:
        verbose_name_plural = "identities"

    def __str__(self) -> str:
        return self.did


class KeyLogLine(models.Model):
    """One entry of a key log, byte for byte as it was signed. Lines are only ever added."""

    identity = models.ForeignKey(Identity, on_delete=models.CASCADE, related_name="lines")
    number = models.PositiveIntegerField()
    version_id = models.CharField(max_length=120)
    line = models.BinaryField()
    received_at = models.DateTimeField(default=clock.now)

    class Meta:
        constraints = [models.UniqueConstraint(fields=["identity", "number"], name="key_log_line_once")]
        ordering = ["identity", "number"]

    def __str__(self) -> str:
        return self.version_id


class CustodyKey(models.Model):
    """A private key the server holds for an identity: under server custody the next root key and the ``#user`` key.

    A root key is used once, for one log entry, and its private half is destroyed then. Under owner custody there may be one
    ``custodian`` key, with which the server helps when the owner has lost her words; it can never evict her paper key.
    """

    ROLES = [("root", "root"), ("user", "user"), ("custodian", "custodian")]
    # Empty while the key is only offered for an identity that has not arrived yet.
    identity = models.ForeignKey(Identity, null=True, blank=True, on_delete=models.CASCADE, related_name="custody_keys")
    role = models.CharField(max_length=10, choices=ROLES)
    public = models.CharField(max_length=100, unique=True)
    private_sealed = models.BinaryField()
    # When this key first signed an entry that may have left the house: it signs no other entry after that.
    signed_at = models.DateTimeField(null=True, blank=True)
    created_at = models.DateTimeField(default=clock.now)

    def __str__(self) -> str:
        return f"{self.role} {self.public}"


class HomeOffer(models.Model):
    """This instance offers to become the home of an identity: the challenge a HostGrant must answer, once."""

    nonce = models.CharField(max_length=64, unique=True)
    scid = models.CharField(max_length=64, db_index=True)
    actor_uri = models.URLField(max_length=limits.URL_CHARACTERS_MAX, db_index=True)
    handle = models.CharField(max_length=limits.HANDLE_CHARACTERS_MAX)
    home_key = models.CharField(max_length=100)
    root_key = models.ForeignKey(CustodyKey, on_delete=models.CASCADE, related_name="+")
    user_key = models.ForeignKey(CustodyKey, on_delete=models.CASCADE, related_name="+")
    created_at = models.DateTimeField(default=clock.now)
    expires_at = models.DateTimeField()
    claimed_at = models.DateTimeField(null=True, blank=True)

    def __str__(self) -> str:
        return f"{self.scid} to {self.actor_uri}"


class Watcher(models.Model):
    """Another instance that keeps copies of key logs: a peer that runs the same software, or one the administrator chose."""

    origin = models.CharField(max_length=300, unique=True)
    # On the administrator's list; where nobody is chosen, the peers we know serve.
    is_chosen = models.BooleanField(default=False)
    # The Multikey of its ``#instance-1``, as its instance actor lists it.
    instance_key = models.CharField(max_length=100, blank=True)
    learnt_at = models.DateTimeField(default=clock.now)
    answered_at = models.DateTimeField(null=True, blank=True)
    error = models.CharField(max_length=300, blank=True)

    def __str__(self) -> str:
        return self.origin


class Copy(models.Model):
    """The copy of a log of an identity that lives here, at a replica: how far it got, and what went wrong."""

    identity = models.ForeignKey(Identity, on_delete=models.CASCADE, related_name="copies")
    watcher = models.ForeignKey(Watcher, on_delete=models.CASCADE, related_name="copies")
    version_id = models.CharField(max_length=120, blank=True)
    receipt_at = models.DateTimeField(null=True, blank=True)
    tried_at = models.DateTimeField(null=True, blank=True)
    error = models.CharField(max_length=300, blank=True)
    # The newest outbox head it has.
    head_seq = models.PositiveBigIntegerField(default=0)
    heads_at = models.DateTimeField(null=True, blank=True)

    class Meta:
        verbose_name_plural = "copies"
        constraints = [models.UniqueConstraint(fields=["identity", "watcher"], name="copy_once")]

    def __str__(self) -> str:
        return f"{self.identity_id} at {self.watcher_id}"


class Receipt(models.Model):
    """A replica saw a version of a log, and says so with its signature. Ours among them."""

    identity = models.ForeignKey(Identity, on_delete=models.CASCADE, related_name="receipts")
    replica = models.CharField(max_length=300)
    number = models.PositiveIntegerField()
    version_id = models.CharField(max_length=120)
    first_seen = models.DateTimeField()
    # The canonical bytes of the document (docs/reference/host-grant.md).
    document = models.BinaryField()

    class Meta:
        # A replica speaks once for each number: what it said first stays.
        constraints = [models.UniqueConstraint(fields=["identity", "replica", "number"], name="receipt_once")]
        ordering = ["number", "replica"]

    def __str__(self) -> str:
        return f"{self.version_id} seen by {self.replica}"


class Fork(models.Model):
    """Two entries with one number and one predecessor: proof that a key of this identity signed twice."""

    identity = models.ForeignKey(Identity, on_delete=models.CASCADE, related_name="forks")
    number = models.PositiveIntegerField()
    left_id = models.CharField(max_length=120)
    right_id = models.CharField(max_length=120)
    # The ForkEvidence, in canonical bytes (docs/reference/key-log.md, section 10).
    evidence = models.BinaryField()
    # The lines of both branches from the fork on, as far as they were seen.
    left_lines = models.BinaryField()
    right_lines = models.BinaryField()
    # Who showed it first: an address, or empty.
    source = models.CharField(max_length=300, blank=True)
    found_at = models.DateTimeField(default=clock.now)

    class Meta:
        constraints = [models.UniqueConstraint(fields=["identity", "left_id", "right_id"], name="fork_once")]
        ordering = ["id"]

    def __str__(self) -> str:
        return f"{self.left_id} against {self.right_id}"


class OutboxHead(models.Model):
    """What a home server said came next, and when that first reached us (docs/reference/outbox-head.md). Only ever added."""

    identity = models.ForeignKey(Identity, on_delete=models.CASCADE, related_name="outbox_heads")
    seq = models.PositiveBigIntegerField()
    digest = models.CharField(max_length=64, unique=True)
    prev = models.CharField(max_length=64)
    object = models.CharField(max_length=64)
    # The entry of the key log that brought its key.
    number = models.PositiveIntegerField()
    created = models.DateTimeField()
    seen_at = models.DateTimeField()
    document = models.BinaryField()

    class Meta:
        indexes = [
            models.Index(fields=["identity", "seq"], name="outbox_head_order"),
            models.Index(fields=["identity", "object"], name="outbox_head_object"),
        ]
        ordering = ["identity", "seq", "id"]

    def __str__(self) -> str:
        return f"{self.identity_id} {self.seq}"


class Tombstone(models.Model):
    """An owner had the copy of her log deleted. Nobody brings it back before ``until``; the pin outlives it (rule V15)."""

    scid = models.CharField(max_length=64, primary_key=True)
    version_id = models.CharField(max_length=120)
    until = models.DateTimeField()
    created_at = models.DateTimeField(default=clock.now)

    def __str__(self) -> str:
        return f"{self.scid} until {self.until:%Y-%m-%d}"
