"""What identities show to operators: whose logs are kept, what they take, and which copies of ours lag behind."""

from collections.abc import Iterable
from datetime import timedelta

from django.db.models import F

from server.core import clock, metrics
from server.identity import watching
from server.identity.models import Copy, Identity

Lines = Iterable[tuple[tuple[str, ...], float]]
BEHIND_AFTER = timedelta(hours=1)


@metrics.gauge("identities", "Identities whose key log is kept, by where they live; contested ones a second time.", "kind")
def identities() -> Lines:
    """``local``, ``remote`` and ``contested``."""
    kept = Identity.objects
    return [
        (("local",), kept.filter(is_home=True).count()),
        (("remote",), kept.filter(is_home=False).count()),
        (("contested",), kept.exclude(contested_at=None).count()),
    ]


@metrics.gauge("replica_bytes", "What the key logs of identities of other instances take.")
def replica_bytes() -> Lines:
    """Bounded by TRIBUTARY_REPLICA_BYTES_MAX."""
    return [((), watching.stored_bytes())]


@metrics.gauge("copies_behind", "Copies of our key logs at other instances that have lacked the newest entry for an hour.")
def copies_behind() -> Lines:
    """Those that once held a copy; who never took one is no replica."""
    held = Copy.objects.filter(identity__is_home=True, receipt_at__isnull=False)
    behind = held.filter(identity__changed_at__lt=clock.now() - BEHIND_AFTER).exclude(version_id=F("identity__head_version_id"))
    return [((), behind.count())]
