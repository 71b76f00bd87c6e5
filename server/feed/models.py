"""What a viewer has already been shown, so that the feed does not repeat itself."""

from django.db import models

from server.accounts.models import Account
from server.core import clock
from server.videos.models import Video


class Seen(models.Model):
    """``account`` was shown ``video``, and for how long she watched."""

    account = models.ForeignKey(Account, on_delete=models.CASCADE, related_name="seen")
    video = models.ForeignKey(Video, on_delete=models.CASCADE, related_name="seen")
    watched_ms = models.PositiveIntegerField(default=0)
    at = models.DateTimeField(default=clock.now)

    class Meta:
        constraints = [models.UniqueConstraint(fields=["account", "video"], name="seen_once")]

    def __str__(self) -> str:
        return f"{self.account_id} saw {self.video_id}"
