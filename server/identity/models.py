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
    created_at = models.DateTimeField(default=clock.now)
    changed_at = models.DateTimeField(default=clock.now)
    checked_at = models.DateTimeField(default=clock.now)

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
