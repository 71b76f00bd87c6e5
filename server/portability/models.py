"""Archives made here, imports, what was carried here from elsewhere, and copies: ours on replicas, others' on this one."""

from django.db import models

from server.accounts.models import Account
from server.core import clock, limits
from server.videos.models import Video


class Archive(models.Model):
    """One archive of an account, in the making or whole. Its bytes lie in the media store and in the vault."""

    KINDS = [("daily", "daily"), ("demand", "on demand")]
    STATES = [("making", "in the making"), ("ready", "ready"), ("failed", "failed")]
    account = models.ForeignKey(Account, on_delete=models.CASCADE, related_name="archives")
    kind = models.CharField(max_length=10, choices=KINDS)
    state = models.CharField(max_length=10, choices=STATES, default="making", db_index=True)
    # The next step of ``making.STEPS``, and the slice of work that is due.
    step = models.PositiveSmallIntegerField(default=0)
    turn = models.PositiveIntegerField(default=0)
    permille = models.PositiveSmallIntegerField(default=0)
    failure = models.TextField(blank=True)
    seq = models.PositiveIntegerField(null=True, blank=True)
    manifest_sha256 = models.CharField(max_length=64, blank=True, db_index=True)
    bytes_total = models.BigIntegerField(default=0)
    # Media that a post names and whose file is gone or damaged: said, and left out.
    absent = models.JSONField(default=list, blank=True)
    asked_at = models.DateTimeField(default=clock.now)
    made_at = models.DateTimeField(null=True, blank=True)

    class Meta:
        indexes = [models.Index(fields=["account", "-id"], name="archive_by_account")]

    def __str__(self) -> str:
        return f"{self.account} {self.kind} {self.pk} ({self.state})"


class ArchiveFile(models.Model):
    """A file of an archive: in the media store under ``media_name``, or in the vault under its hash."""

    archive = models.ForeignKey(Archive, on_delete=models.CASCADE, related_name="files")
    path = models.CharField(max_length=100)
    size = models.BigIntegerField()
    sha256 = models.CharField(max_length=64, db_index=True)
    media_name = models.CharField(max_length=200, blank=True)
    checked = models.BooleanField(default=False)

    class Meta:
        constraints = [models.UniqueConstraint(fields=["archive", "path"], name="archive_path_once")]

    def __str__(self) -> str:
        return self.path


class ArchiveHead(models.Model):
    """The newest archive of an identity that is known here, wherever it was made: the next one goes on from it."""

    scid = models.CharField(max_length=64, primary_key=True)
    seq = models.PositiveIntegerField()
    digest = models.CharField(max_length=64)

    def __str__(self) -> str:
        return f"{self.scid} {self.seq}"


class Original(models.Model):
    """The file from which an imported video was made anew; the next archive contains this one. It lies in the vault."""

    video = models.OneToOneField(Video, on_delete=models.CASCADE, related_name="original")
    sha256 = models.CharField(max_length=64, db_index=True)
    size = models.BigIntegerField()

    def __str__(self) -> str:
        return self.sha256


class Earlier(models.Model):
    """A post that its owner made at an earlier home, as it was published there, and what it became here, if anything."""

    account = models.ForeignKey(Account, on_delete=models.CASCADE, related_name="earlier_posts")
    uri = models.CharField(max_length=limits.URL_CHARACTERS_MAX)
    # The actor that posted it, and the object that is ours now.
    actor = models.CharField(max_length=limits.URL_CHARACTERS_MAX)
    video = models.ForeignKey(Video, null=True, blank=True, on_delete=models.SET_NULL, related_name="earlier_posts")
    line = models.TextField()
    created_at = models.DateTimeField(default=clock.now)

    class Meta:
        constraints = [models.UniqueConstraint(fields=["account", "uri"], name="earlier_once")]

    def __str__(self) -> str:
        return self.uri


class Carried(models.Model):
    """A part of an archive that this server has no use for (lists, bookmarks...): kept as it is, for the next archive."""

    account = models.ForeignKey(Account, on_delete=models.CASCADE, related_name="carried_parts")
    name = models.CharField(max_length=100)
    data = models.BinaryField()
    updated_at = models.DateTimeField(default=clock.now)

    class Meta:
        constraints = [models.UniqueConstraint(fields=["account", "name"], name="carried_once")]

    def __str__(self) -> str:
        return f"{self.account} {self.name}"


class Import(models.Model):
    """Somebody brings an archive or a list from elsewhere."""

    STATES = [
        ("arriving", "arriving"),
        ("running", "running"),
        ("done", "done"),
        ("refused", "refused"),
        ("failed", "failed"),
        ("cancelled", "cancelled"),
    ]
    account = models.ForeignKey(Account, on_delete=models.CASCADE, related_name="imports")
    state = models.CharField(max_length=10, choices=STATES, default="arriving", db_index=True)
    filename = models.CharField(max_length=255)
    # tributary, mastodon, peertube or csv, once somebody has looked.
    kind = models.CharField(max_length=20, blank=True)
    # Where it is fetched from, when it was not uploaded: a replica, and the digest of the manifest.
    source = models.URLField(max_length=limits.URL_CHARACTERS_MAX, blank=True)
    manifest_sha256 = models.CharField(max_length=64, blank=True)
    # An ArchiveApproval: the owner's own word for an archive whose signer cannot be asked any more.
    approval = models.JSONField(null=True, blank=True)
    bytes_expected = models.BigIntegerField(default=0)
    bytes_received = models.BigIntegerField(default=0)
    step = models.PositiveSmallIntegerField(default=0)
    turn = models.PositiveIntegerField(default=0)
    permille = models.PositiveSmallIntegerField(default=0)
    # The name of the reason and a sentence, when it was refused or failed.
    code = models.CharField(max_length=40, blank=True)
    reason = models.TextField(blank=True)
    # What has no row of its own: files that are missing, parts that are kept without effect.
    notes = models.JSONField(default=list, blank=True)
    created_at = models.DateTimeField(default=clock.now)
    finished_at = models.DateTimeField(null=True, blank=True)

    class Meta:
        indexes = [models.Index(fields=["account", "-id"], name="import_by_account")]

    def __str__(self) -> str:
        return f"{self.account} {self.filename} ({self.state})"


class ImportFile(models.Model):
    """A file that was unpacked from an archive and found right; it lies in the vault."""

    of = models.ForeignKey(Import, on_delete=models.CASCADE, related_name="files")
    path = models.CharField(max_length=1024)
    size = models.BigIntegerField()
    sha256 = models.CharField(max_length=64, db_index=True)

    class Meta:
        constraints = [models.UniqueConstraint(fields=["of", "path"], name="import_path_once")]

    def __str__(self) -> str:
        return self.path


class ImportItem(models.Model):
    """One thing that an import brings: a video, a follow, a block... and what became of it."""

    STATES = [
        ("waiting", "waiting"),
        ("done", "done"),
        ("kept", "kept without effect"),
        ("missing", "missing"),
        ("failed", "failed"),
    ]
    of = models.ForeignKey(Import, on_delete=models.CASCADE, related_name="items")
    kind = models.CharField(max_length=20)
    # The id or address of the thing where it came from.
    name = models.CharField(max_length=limits.URL_CHARACTERS_MAX)
    state = models.CharField(max_length=10, choices=STATES, default="waiting")
    why = models.CharField(max_length=300, blank=True)
    data = models.JSONField(default=dict, blank=True)
    video = models.ForeignKey(Video, null=True, blank=True, on_delete=models.SET_NULL, related_name="+")

    class Meta:
        constraints = [models.UniqueConstraint(fields=["of", "kind", "name"], name="import_item_once")]
        indexes = [models.Index(fields=["of", "kind", "state"], name="import_item_due")]

    def __str__(self) -> str:
        return f"{self.kind} {self.name} ({self.state})"


class Replica(models.Model):
    """A server that an account has picked to keep a copy of her daily archive."""

    account = models.ForeignKey(Account, on_delete=models.CASCADE, related_name="replicas")
    origin = models.CharField(max_length=300)
    turn = models.PositiveIntegerField(default=0)
    # What lies there whole, and how far the one under way is.
    seq = models.PositiveIntegerField(null=True, blank=True)
    manifest_sha256 = models.CharField(max_length=64, blank=True)
    permille = models.PositiveSmallIntegerField(default=0)
    copied_at = models.DateTimeField(null=True, blank=True)
    error = models.CharField(max_length=300, blank=True)
    picked_at = models.DateTimeField(default=clock.now)

    class Meta:
        constraints = [models.UniqueConstraint(fields=["account", "origin"], name="replica_once")]

    def __str__(self) -> str:
        return f"{self.account} at {self.origin}"


class Held(models.Model):
    """A copy of somebody's archive that this server keeps for her."""

    scid = models.CharField(max_length=64, db_index=True)
    manifest_sha256 = models.CharField(max_length=64, unique=True)
    seq = models.PositiveIntegerField()
    bytes_total = models.BigIntegerField()
    # When this server first saw the manifest: what it signs for is not younger.
    received_at = models.DateTimeField(default=clock.now)
    whole_at = models.DateTimeField(null=True, blank=True)

    class Meta:
        verbose_name = "copy held for somebody"
        verbose_name_plural = "copies held for others"

    def __str__(self) -> str:
        return f"{self.scid} {self.seq}"


class HeldFile(models.Model):
    """A file of a copy; its bytes are in the vault once ``here``."""

    held = models.ForeignKey(Held, on_delete=models.CASCADE, related_name="files")
    sha256 = models.CharField(max_length=64, db_index=True)
    size = models.BigIntegerField()
    here = models.BooleanField(default=False)

    class Meta:
        constraints = [models.UniqueConstraint(fields=["held", "sha256"], name="held_file_once")]

    def __str__(self) -> str:
        return self.sha256
