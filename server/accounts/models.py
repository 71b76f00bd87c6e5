"""People: who signs in (User), who speaks (Account, local or remote), and who follows, blocks and mutes whom."""

from typing import ClassVar

from django.contrib.auth.models import AbstractBaseUser, BaseUserManager, PermissionsMixin
from django.db import models
from django.db.models.functions import Lower

from server.core import clock, limits
from server.core.snowflake import make_id


class UserManager(BaseUserManager["User"]):
    """Makes users by e-mail address; the rest of a sign-up is ``actions.sign_up``."""

    def create_user(self, email: str, password: str | None = None, **fields: object) -> "User":
        """A user that may sign in with ``email`` and ``password``."""
        user = self.model(email=self.normalize_email(email), **fields)
        user.set_password(password)
        user.save(using=self._db)
        return user

    def create_superuser(self, email: str, password: str | None = None, **fields: object) -> "User":
        """An administrator (``manage.py createsuperuser``)."""
        return self.create_user(email, password, **{**fields, "is_staff": True, "is_superuser": True})


class User(AbstractBaseUser, PermissionsMixin):
    """Someone who signs in here. What others see of her is her Account."""

    email = models.EmailField(unique=True)
    is_active = models.BooleanField(default=True)
    is_staff = models.BooleanField(default=False)
    date_joined = models.DateTimeField(default=clock.now)

    objects: ClassVar[UserManager] = UserManager()
    USERNAME_FIELD = "email"
    EMAIL_FIELD = "email"
    REQUIRED_FIELDS: ClassVar[list[str]] = []

    def __str__(self) -> str:
        return self.email


class Account(models.Model):
    """Someone who speaks: a person here (``domain`` empty) or on another server."""

    id = models.BigIntegerField(primary_key=True, default=make_id)
    user = models.OneToOneField(User, null=True, blank=True, on_delete=models.SET_NULL, related_name="account")
    handle = models.CharField(max_length=255)
    # Empty for accounts of this instance, else the canonical host that follows the @ in the address.
    domain = models.CharField(max_length=255, blank=True, db_index=True)
    # The ActivityPub id. A locator: the key of a person is her SCID.
    uri = models.URLField(max_length=limits.URL_CHARACTERS_MAX, unique=True)
    url = models.URLField(max_length=limits.URL_CHARACTERS_MAX, blank=True)
    # An account that moved and the one it moved to have the same. For a remote one: what her server claims.
    scid = models.CharField(max_length=64, null=True, blank=True, db_index=True)
    display_name = models.CharField(max_length=255, blank=True)
    # Plain text for local accounts, sanitised HTML for remote ones.
    bio = models.TextField(blank=True)
    # Content-addressed name of a file of ours, or the address of a remote picture.
    avatar_file = models.CharField(max_length=200, blank=True)
    avatar_remote_url = models.URLField(max_length=limits.URL_CHARACTERS_MAX, blank=True)
    also_known_as = models.JSONField(default=list, blank=True)
    moved_to = models.ForeignKey("self", null=True, blank=True, on_delete=models.SET_NULL, related_name="moved_from")
    # What came along with an identity is still being checked: hidden from feeds, and nothing is posted.
    held_back_at = models.DateTimeField(null=True, blank=True)
    # Identity proofs (FEP-c390) that are valid for this account: documents, as they stand in the actor's ``attachment``.
    identity_proofs = models.JSONField(default=list, blank=True)
    manually_approves_followers = models.BooleanField(default=False)
    created_at = models.DateTimeField(default=clock.now)
    updated_at = models.DateTimeField(default=clock.now)
    suspended_at = models.DateTimeField(null=True, blank=True)
    deleted_at = models.DateTimeField(null=True, blank=True)

    class Meta:
        constraints = [models.UniqueConstraint(Lower("handle"), "domain", name="account_handle_once_per_domain")]

    def __str__(self) -> str:
        return f"@{self.acct}"

    @property
    def is_local(self) -> bool:
        """True for accounts of this instance."""
        return not self.domain

    @property
    def acct(self) -> str:
        """``alice`` here, ``bob@peer.example`` elsewhere."""
        return self.handle if self.is_local else f"{self.handle}@{self.domain}"

    @property
    def name(self) -> str:
        """What to call her on a page."""
        return self.display_name or self.handle


class AccountKey(models.Model):
    """A key pair the home server holds for a local account: RSA for servers that know only RSA, Ed25519 ``#home-n`` else."""

    account = models.ForeignKey(Account, on_delete=models.CASCADE, related_name="keys")
    # The fragment of the key's id: main-key, home-1, ...
    name = models.CharField(max_length=40)
    algorithm = models.CharField(max_length=20, choices=[("rsa", "RSA-2048"), ("ed25519", "Ed25519")])
    # PEM (SPKI) for RSA, multibase Multikey for Ed25519.
    public = models.TextField()
    private_sealed = models.BinaryField()
    created_at = models.DateTimeField(default=clock.now)

    class Meta:
        constraints = [models.UniqueConstraint(fields=["account", "name"], name="account_key_name_once")]

    def __str__(self) -> str:
        return f"{self.account_id}#{self.name}"


class Follow(models.Model):
    """``follower`` follows ``target``; ``pending`` until the other side has accepted."""

    follower = models.ForeignKey(Account, on_delete=models.CASCADE, related_name="following")
    target = models.ForeignKey(Account, on_delete=models.CASCADE, related_name="followers")
    state = models.CharField(max_length=10, choices=[("pending", "pending"), ("accepted", "accepted")])
    # Id of the Follow activity, ours or theirs: Accept, Reject and Undo name it.
    uri = models.URLField(max_length=limits.URL_CHARACTERS_MAX, unique=True)
    created_at = models.DateTimeField(default=clock.now)

    class Meta:
        constraints = [
            models.UniqueConstraint(fields=["follower", "target"], name="follow_once"),
            models.CheckConstraint(condition=~models.Q(follower=models.F("target")), name="follow_not_oneself"),
        ]

    def __str__(self) -> str:
        return f"{self.follower} follows {self.target} ({self.state})"


class Block(models.Model):
    """``account`` wants nothing to do with ``target``: no follows, no replies, out of sight."""

    account = models.ForeignKey(Account, on_delete=models.CASCADE, related_name="blocks")
    target = models.ForeignKey(Account, on_delete=models.CASCADE, related_name="blocked_by")
    created_at = models.DateTimeField(default=clock.now)

    class Meta:
        constraints = [models.UniqueConstraint(fields=["account", "target"], name="block_once")]

    def __str__(self) -> str:
        return f"{self.account} blocks {self.target}"


class Mute(models.Model):
    """``account`` does not want to see ``target``; ``target`` never learns of it."""

    account = models.ForeignKey(Account, on_delete=models.CASCADE, related_name="mutes")
    target = models.ForeignKey(Account, on_delete=models.CASCADE, related_name="muted_by")
    created_at = models.DateTimeField(default=clock.now)

    class Meta:
        constraints = [models.UniqueConstraint(fields=["account", "target"], name="mute_once")]

    def __str__(self) -> str:
        return f"{self.account} mutes {self.target}"


class WaitingRelation(models.Model):
    """``account`` follows, blocks or mutes the person at ``address``, whom this server has not met yet."""

    KINDS = [("follow", "follow"), ("block", "block"), ("mute", "mute")]
    account = models.ForeignKey(Account, on_delete=models.CASCADE, related_name="waiting_relations")
    # user@host in lower case.
    address = models.CharField(max_length=520, db_index=True)
    kind = models.CharField(max_length=10, choices=KINDS)
    created_at = models.DateTimeField(default=clock.now)

    class Meta:
        constraints = [models.UniqueConstraint(fields=["account", "kind", "address"], name="waiting_relation_once")]

    def __str__(self) -> str:
        return f"{self.account} {self.kind} {self.address}"


class FormerFollower(models.Model):
    """Somebody who followed a local account at its former home, out of the archive: whom the new home tells of the move."""

    account = models.ForeignKey(Account, on_delete=models.CASCADE, related_name="former_followers")
    uri = models.URLField(max_length=limits.URL_CHARACTERS_MAX)
    inbox = models.URLField(max_length=limits.URL_CHARACTERS_MAX)
    shared_inbox = models.URLField(max_length=limits.URL_CHARACTERS_MAX, blank=True)

    class Meta:
        constraints = [models.UniqueConstraint(fields=["account", "uri"], name="former_follower_once")]

    def __str__(self) -> str:
        return f"{self.uri} followed {self.account_id}"


class SignedMove(models.Model):
    """A Move for servers without key logs, signed by the owner of ``account`` with her former keys, and how far it got."""

    account = models.ForeignKey(Account, on_delete=models.CASCADE, related_name="signed_moves")
    activity_uri = models.CharField(max_length=limits.URL_CHARACTERS_MAX)
    # Exactly these bytes are sent, to each inbox with the headers that were signed for it, if there are any.
    body = models.TextField()
    requests = models.JSONField()
    signed_until = models.DateTimeField()
    signed_at = models.DateTimeField(default=clock.now)
    waiting = models.PositiveIntegerField()
    delivered = models.PositiveIntegerField(default=0)
    dead = models.PositiveIntegerField(default=0)

    def __str__(self) -> str:
        return self.activity_uri
