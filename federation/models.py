"""Other servers, their actors, what they sent us and what we owe them."""

from django.db import models

from server.accounts.models import Account
from server.core import clock, limits

URL_MAX = limits.URL_CHARACTERS_MAX


class Peer(models.Model):
    """Another server, by canonical host, and how delivery to it is going."""

    host = models.CharField(max_length=255, unique=True)
    software = models.CharField(max_length=100, blank=True)
    version = models.CharField(max_length=100, blank=True)
    first_seen_at = models.DateTimeField(default=clock.now)
    last_received_at = models.DateTimeField(null=True, blank=True)
    last_delivered_at = models.DateTimeField(null=True, blank=True)
    failures = models.PositiveIntegerField(default=0)
    # While set and in the future nothing is sent; then one delivery goes first as a probe.
    open_until = models.DateTimeField(null=True, blank=True)
    last_error = models.TextField(blank=True)

    def __str__(self) -> str:
        return self.host


class Actor(models.Model):
    """The ActivityPub side of a remote account (or of a remote service): inboxes and key."""

    uri = models.URLField(max_length=URL_MAX, unique=True)
    peer = models.ForeignKey(Peer, on_delete=models.CASCADE, related_name="actors")
    # Empty for instance actors and groups, who speak for servers and not for people.
    account = models.OneToOneField(Account, null=True, blank=True, on_delete=models.CASCADE, related_name="actor")
    kind = models.CharField(max_length=20)
    inbox = models.URLField(max_length=URL_MAX)
    shared_inbox = models.URLField(max_length=URL_MAX, blank=True)
    followers_uri = models.URLField(max_length=URL_MAX, blank=True)
    outbox_uri = models.URLField(max_length=URL_MAX, blank=True)
    key_id = models.CharField(max_length=URL_MAX, db_index=True)
    public_key_pem = models.TextField()
    # What assertionMethod lists (FEP-521a), id to Ed25519 Multikey; known here also when her server is gone.
    assertion_keys = models.JSONField(default=dict, blank=True)
    fetched_at = models.DateTimeField(default=clock.now)
    gone_at = models.DateTimeField(null=True, blank=True)

    def __str__(self) -> str:
        return self.uri

    @property
    def delivery_inbox(self) -> str:
        """Where public posts go: one POST per server when it has a shared inbox."""
        return self.shared_inbox or self.inbox


class InboxItem(models.Model):
    """An activity that arrived, was verified, and waits to be handled or was. Its id is unique, so a replay is a no-op."""

    STATES = [(name, name) for name in ("received", "handled", "ignored", "failed")]
    uri = models.CharField(max_length=URL_MAX, unique=True)
    actor = models.ForeignKey(Actor, on_delete=models.CASCADE, related_name="inbox_items")
    kind = models.CharField(max_length=40)
    body = models.BinaryField()
    # The string whose signature was checked, for the debugger and for doubters.
    signing_string = models.TextField(blank=True)
    key_id = models.CharField(max_length=URL_MAX, blank=True)
    # Its own proof speaks for it (``key_id``), and not the request it came with.
    is_carried = models.BooleanField(default=False)
    state = models.CharField(max_length=10, choices=STATES, default="received", db_index=True)
    error = models.TextField(blank=True)
    received_at = models.DateTimeField(default=clock.now, db_index=True)
    handled_at = models.DateTimeField(null=True, blank=True)

    def __str__(self) -> str:
        return f"{self.kind} {self.uri}"


class SeenSignature(models.Model):
    """The hash of a signature that was accepted, kept for the whole date window: the same request twice is a replay."""

    digest = models.CharField(max_length=64, unique=True)
    expires_at = models.DateTimeField(db_index=True)

    def __str__(self) -> str:
        return self.digest


class Delivery(models.Model):
    """One activity owed to one inbox. Claimed with a lease, tried with a growing wait, given up after its time to live."""

    STATES = [(name, name) for name in ("waiting", "delivered", "dead")]
    activity_uri = models.CharField(max_length=URL_MAX)
    kind = models.CharField(max_length=40)
    body = models.TextField()
    # Who signs: a local account, or nobody for the instance actor.
    sender = models.ForeignKey(Account, null=True, blank=True, on_delete=models.CASCADE, related_name="deliveries")
    inbox = models.URLField(max_length=URL_MAX)
    host = models.CharField(max_length=255)
    state = models.CharField(max_length=10, choices=STATES, default="waiting")
    attempts = models.PositiveIntegerField(default=0)
    created_at = models.DateTimeField(default=clock.now)
    next_try_at = models.DateTimeField(default=clock.now)
    expires_at = models.DateTimeField()
    # Signed elsewhere, by whoever holds the key: sent as they are until ``signed_until``, then (or when the other side does not
    # believe them) the sender signs as usual.
    signed_headers = models.JSONField(null=True, blank=True)
    signed_until = models.DateTimeField(null=True, blank=True)
    lease_token = models.UUIDField(null=True, blank=True, db_index=True)
    lease_until = models.DateTimeField(null=True, blank=True)
    answered_status = models.PositiveIntegerField(null=True, blank=True)
    last_error = models.TextField(blank=True)
    delivered_at = models.DateTimeField(null=True, blank=True)

    class Meta:
        verbose_name_plural = "deliveries"
        constraints = [models.UniqueConstraint(fields=["activity_uri", "inbox"], name="delivery_once_per_inbox")]
        indexes = [models.Index(fields=["next_try_at"], name="delivery_due", condition=models.Q(state="waiting"))]

    def __str__(self) -> str:
        return f"{self.kind} to {self.inbox} ({self.state})"


class ProvenDocument(models.Model):
    """The newest form of a document with its proof, byte for byte: published by our people, or sent to us by others."""

    uri = models.URLField(max_length=URL_MAX, unique=True)
    account = models.ForeignKey(Account, on_delete=models.CASCADE, related_name="documents")
    # Which form of the object this is; later forms sort after earlier ones.
    version = models.CharField(max_length=64)
    text = models.TextField()
    # The signed activity that published it; empty for actors and for what others sent.
    activity = models.TextField(blank=True)
    made_at = models.DateTimeField(default=clock.now)

    class Meta:
        indexes = [models.Index(fields=["account", "id"], name="proven_document_of")]

    def __str__(self) -> str:
        return self.uri


class Migration(models.Model):
    """The posts of a local account that came from elsewhere, or left: how far the map of old and new ids has got (FEP-1580)."""

    account = models.OneToOneField(Account, on_delete=models.CASCADE, related_name="migration")
    # Everything that will ever stand in it does.
    is_complete = models.BooleanField(default=False)
    checked_at = models.DateTimeField(default=clock.now)
    error = models.CharField(max_length=300, blank=True)

    def __str__(self) -> str:
        return f"migration of {self.account}"


class MovedPost(models.Model):
    """One line of that map. At the old home ``old_uri`` is ours, at the new one ``new_uri``."""

    account = models.ForeignKey(Account, on_delete=models.CASCADE, related_name="moved_posts")
    old_uri = models.URLField(max_length=URL_MAX, unique=True)
    new_uri = models.URLField(max_length=URL_MAX)
    # The account that had it, for the reader of the map.
    old_actor_uri = models.URLField(max_length=URL_MAX)
    moved_at = models.DateTimeField(default=clock.now)

    def __str__(self) -> str:
        return f"{self.old_uri} is {self.new_uri}"


class Tombstone(models.Model):
    """An id that was deleted, here or by its owner, so that it answers 410 and never comes back."""

    uri = models.URLField(max_length=URL_MAX, unique=True)
    deleted_at = models.DateTimeField(default=clock.now)

    def __str__(self) -> str:
        return self.uri
