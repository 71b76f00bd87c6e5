"""What we know of the logs of others beyond their pin: our copy of them, notes that were heard, disputes that we raised."""

from django.db import models

from server.core import clock

MISSING_MAX = 1000


class PeerMirror(models.Model):
    """Our copy of one history of another's log: verified up to ``size``, judged up to ``judged``, re-executed up to ``audited``.

    ``branch`` is empty for the history that we pinned; of a log that forked the other one is kept under the root that it showed.
    """

    peer = models.ForeignKey("payouts.PeerLog", on_delete=models.CASCADE, related_name="mirrors")
    branch = models.CharField(max_length=64, blank=True)
    size = models.PositiveBigIntegerField(default=0)
    root = models.CharField(max_length=64)
    # The checkpoint of exactly ``size``, once all of it is here; in between it is the last that was complete.
    checkpoint = models.BinaryField(default=bytes)
    complete_size = models.PositiveBigIntegerField(default=0)
    # Lines of our mirror and auditor keys over that checkpoint.
    cosignatures = models.TextField(blank=True)
    stored_bytes = models.PositiveBigIntegerField(default=0)
    judged = models.PositiveBigIntegerField(default=0)
    audited = models.PositiveBigIntegerField(default=0)
    # The index of the first entry that broke a rule; nothing behind it is judged, all of it is kept.
    broken_at = models.PositiveBigIntegerField(null=True, blank=True)
    # [SHA-256, index of the entry that names it]: published bytes that the log does not show, those to be asked for next first.
    missing = models.JSONField(default=list)
    # What the auditor re-executed (audit.Verdict documents by the index of the close), and what it could not.
    verdicts = models.JSONField(default=dict)
    error = models.TextField(blank=True)
    seen_at = models.DateTimeField(null=True, blank=True)

    class Meta:
        constraints = [models.UniqueConstraint(fields=["peer", "branch"], name="peer_mirror_once")]

    def __str__(self) -> str:
        return f"{self.peer} to {self.size}" + (f" (branch {self.branch[:12]})" if self.branch else "")

    def note_missing(self, digest: str, index: int) -> None:
        """Put a blob at the end of the line of those to be asked for; saved by the caller."""
        self.note_found(digest)
        if len(self.missing) < MISSING_MAX:
            self.missing.append([digest, index])

    def note_found(self, digest: str) -> None:
        """Take a blob out of the line; saved by the caller."""
        self.missing = [one for one in self.missing if one[0] != digest]


class HeardNote(models.Model):
    """A checkpoint, signed by a log we follow, that somebody showed us and that does not simply extend our pin.

    Kept while it is judged; for ever when it does not go together with the pin.
    """

    STATES = [(name, name) for name in ("waiting", "unclear", "forked")]
    peer = models.ForeignKey("payouts.PeerLog", on_delete=models.CASCADE, related_name="heard")
    digest = models.CharField(max_length=64)
    note = models.BinaryField()
    # "add-checkpoint", or the host whose delivery carried it, or the origin of the ledger that showed it.
    source = models.CharField(max_length=300)
    # Where the one who showed it keeps that log's tiles, if it does.
    tiles_url = models.CharField(max_length=600, blank=True)
    state = models.CharField(max_length=10, choices=STATES, default="waiting")
    heard_at = models.DateTimeField(default=clock.now)

    class Meta:
        constraints = [models.UniqueConstraint(fields=["peer", "digest"], name="heard_note_once")]

    def __str__(self) -> str:
        return f"{self.peer} from {self.source}: {self.state}"


class Dispute(models.Model):
    """What we say another log did wrong: a signed document that anyone re-checks, named in our own log."""

    # SHA-256 of the document; with it, its address.
    digest = models.CharField(max_length=64, primary_key=True)
    origin = models.CharField(max_length=300, db_index=True)
    size = models.PositiveBigIntegerField()
    index = models.PositiveBigIntegerField()
    rule = models.CharField(max_length=64)
    document = models.BinaryField()
    entry = models.ForeignKey("payouts.LogEntry", null=True, blank=True, on_delete=models.PROTECT, related_name="+")
    raised_at = models.DateTimeField(default=clock.now)

    class Meta:
        constraints = [models.UniqueConstraint(fields=["origin", "index", "rule"], name="dispute_once")]

    def __str__(self) -> str:
        return f"{self.origin} {self.index} {self.rule}"
