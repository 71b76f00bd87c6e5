"""Videos, what they are made of, and what people say and do about them."""

from django.db import models

from server.accounts.models import Account
from server.core import clock, limits
from server.core.snowflake import make_id
from server.videos import states

URL_MAX = limits.URL_CHARACTERS_MAX


class Hashtag(models.Model):
    """A tag, lower-case, without the ``#``."""

    name = models.CharField(max_length=limits.HASHTAG_CHARACTERS_MAX, unique=True)

    def __str__(self) -> str:
        return f"#{self.name}"


class Video(models.Model):
    """One video post, local or remote. Its life is the table in ``states.py``."""

    id = models.BigIntegerField(primary_key=True, default=make_id)
    uuid = models.UUIDField(unique=True)
    account = models.ForeignKey(Account, on_delete=models.CASCADE, related_name="videos")
    # The ActivityPub id of the Note, and the page people watch it on.
    uri = models.URLField(max_length=URL_MAX, unique=True)
    url = models.URLField(max_length=URL_MAX)
    is_local = models.BooleanField()
    state = models.CharField(
        max_length=12, choices=[(name, name) for name in states.STATES], default=states.UPLOADING, db_index=True
    )
    visibility = models.CharField(max_length=10, choices=[("public", "public"), ("unlisted", "unlisted")], default="public")
    publish_when_ready = models.BooleanField(default=True)
    # Why the last transcode failed, in words for the owner.
    failure = models.TextField(blank=True)
    progress_percent = models.PositiveSmallIntegerField(default=0)

    # Plain text for local videos; for remote ones the text of the sanitised HTML.
    caption = models.TextField(blank=True)
    caption_html = models.TextField(blank=True)
    alt_text = models.TextField(blank=True)
    language = models.CharField(max_length=20, blank=True)
    sensitive = models.BooleanField(default=False)
    comments_open = models.BooleanField(default=True)
    hashtags = models.ManyToManyField(Hashtag, blank=True, related_name="videos")

    duration_ms = models.PositiveIntegerField(null=True, blank=True)
    width = models.PositiveIntegerField(null=True, blank=True)
    height = models.PositiveIntegerField(null=True, blank=True)
    blurhash = models.CharField(max_length=100, blank=True)
    # Content-addressed names of our own files; remote videos are played from where they are.
    poster_file = models.CharField(max_length=200, blank=True)
    mp4_file = models.CharField(max_length=200, blank=True)
    mp4_bytes = models.BigIntegerField(null=True, blank=True)
    remote_mp4_url = models.URLField(max_length=URL_MAX, blank=True)
    remote_poster_url = models.URLField(max_length=URL_MAX, blank=True)

    like_count = models.PositiveIntegerField(default=0)
    comment_count = models.PositiveIntegerField(default=0)
    share_count = models.PositiveIntegerField(default=0)
    view_count = models.PositiveIntegerField(default=0)

    created_at = models.DateTimeField(default=clock.now)
    published_at = models.DateTimeField(null=True, blank=True)
    edited_at = models.DateTimeField(null=True, blank=True)
    deleted_at = models.DateTimeField(null=True, blank=True)

    class Meta:
        indexes = [
            models.Index(
                fields=["-published_at"], name="video_newest", condition=models.Q(state="published", visibility="public")
            ),
            models.Index(fields=["account", "-published_at"], name="video_by_account"),
        ]

    def __str__(self) -> str:
        return f"{self.account} {self.id} ({self.state})"


class Upload(models.Model):
    """A file on its way in. Its bytes lie in the data directory's ``uploads`` folder until they are transcoded."""

    id = models.UUIDField(primary_key=True)
    account = models.ForeignKey(Account, on_delete=models.CASCADE, related_name="uploads")
    video = models.OneToOneField(Video, null=True, blank=True, on_delete=models.SET_NULL, related_name="upload")
    filename = models.CharField(max_length=255)
    bytes_expected = models.BigIntegerField()
    bytes_received = models.BigIntegerField(default=0)
    created_at = models.DateTimeField(default=clock.now)
    finished_at = models.DateTimeField(null=True, blank=True)

    def __str__(self) -> str:
        return f"{self.filename} ({self.bytes_received}/{self.bytes_expected})"


class Rendition(models.Model):
    """One HLS rung: a media playlist and one fragmented MP4, both content-addressed."""

    video = models.ForeignKey(Video, on_delete=models.CASCADE, related_name="renditions")
    name = models.CharField(max_length=20)
    width = models.PositiveIntegerField()
    height = models.PositiveIntegerField()
    bits_per_second = models.PositiveIntegerField()
    codecs = models.CharField(max_length=100)
    playlist_file = models.CharField(max_length=200)
    media_file = models.CharField(max_length=200)
    media_bytes = models.BigIntegerField()

    class Meta:
        constraints = [models.UniqueConstraint(fields=["video", "name"], name="rendition_once_per_video")]

    def __str__(self) -> str:
        return f"{self.video_id} {self.name}"


class Comment(models.Model):
    """A reply to a video or to another comment, local or remote."""

    id = models.BigIntegerField(primary_key=True, default=make_id)
    video = models.ForeignKey(Video, on_delete=models.CASCADE, related_name="comments")
    parent = models.ForeignKey("self", null=True, blank=True, on_delete=models.SET_NULL, related_name="replies")
    account = models.ForeignKey(Account, on_delete=models.CASCADE, related_name="comments")
    uri = models.URLField(max_length=URL_MAX, unique=True)
    url = models.URLField(max_length=URL_MAX, blank=True)
    is_local = models.BooleanField()
    text = models.TextField()
    html = models.TextField(blank=True)
    created_at = models.DateTimeField(default=clock.now)
    edited_at = models.DateTimeField(null=True, blank=True)
    deleted_at = models.DateTimeField(null=True, blank=True)

    class Meta:
        indexes = [models.Index(fields=["video", "id"], name="comment_thread")]

    def __str__(self) -> str:
        return f"{self.account}: {self.text[:40]}"


class Like(models.Model):
    """``account`` likes ``video``."""

    account = models.ForeignKey(Account, on_delete=models.CASCADE, related_name="likes")
    video = models.ForeignKey(Video, on_delete=models.CASCADE, related_name="likes")
    # Id of the Like activity, ours or theirs: Undo names it.
    uri = models.URLField(max_length=URL_MAX, unique=True)
    created_at = models.DateTimeField(default=clock.now)

    class Meta:
        constraints = [models.UniqueConstraint(fields=["account", "video"], name="like_once")]

    def __str__(self) -> str:
        return f"{self.account} likes {self.video_id}"


class Share(models.Model):
    """``account`` passes ``video`` on to her followers (an Announce)."""

    account = models.ForeignKey(Account, on_delete=models.CASCADE, related_name="shares")
    video = models.ForeignKey(Video, on_delete=models.CASCADE, related_name="shares")
    uri = models.URLField(max_length=URL_MAX, unique=True)
    created_at = models.DateTimeField(default=clock.now)

    class Meta:
        constraints = [models.UniqueConstraint(fields=["account", "video"], name="share_once")]

    def __str__(self) -> str:
        return f"{self.account} shares {self.video_id}"


class ViewMark(models.Model):
    """Somebody viewed ``video`` on ``day``: kept for two days under a name that is good for one, so that a repeat is seen."""

    day = models.DateField()
    viewer = models.CharField(max_length=64)
    video = models.ForeignKey(Video, on_delete=models.CASCADE, related_name="+")

    class Meta:
        constraints = [models.UniqueConstraint(fields=["day", "viewer", "video"], name="view_mark_once")]

    def __str__(self) -> str:
        return f"{self.day} {self.video_id}"
