"""Which rows are due, and taking them by lease: two workers never hold the same one."""

import uuid
from collections.abc import Iterable
from datetime import datetime, timedelta

from django.db import connection, transaction
from django.db.models import Exists, F, OuterRef, Q, QuerySet, Window
from django.db.models.functions import RowNumber

from federation.models import Delivery, Peer
from server.core import clock, limits

BATCH = 256
ROWS_PER_HOST_MAX = 64
LEASE_SECONDS = 180


def _due(moment: datetime) -> QuerySet[Delivery]:
    free = Q(lease_until=None) | Q(lease_until__lt=moment)
    closed = ~Exists(Peer.objects.filter(host=OuterRef("host"), open_until__gt=moment))
    return Delivery.objects.filter(free, closed, state="waiting", next_try_at__lte=moment)


def any_due() -> bool:
    """Is anything owed that may be sent now?"""
    return _due(clock.now()).exists()


def claim(busy: Iterable[str] = ()) -> list[Delivery]:
    """Up to ``BATCH`` due rows of hosts that are not ``busy``, the hosts taking turns; of a failing one a single probe."""
    moment, token = clock.now(), uuid.uuid4()
    with transaction.atomic():
        turn = Window(RowNumber(), partition_by=F("host"), order_by=[F("next_try_at"), F("id")])
        wanted = (
            _due(moment)
            .exclude(host__in=list(busy))
            .annotate(turn=turn)
            .filter(turn__lte=ROWS_PER_HOST_MAX)
            .order_by("turn", "next_try_at", "id")
        )
        found = list(wanted.values_list("id", "host", "turn")[:BATCH])
        failing = set(
            Peer.objects.filter(host__in={host for _, host, _ in found}, failures__gte=limits.HOST_FAILURES_MAX).values_list(
                "host", flat=True
            )
        )
        ids = [row_id for row_id, host, place in found if place == 1 or host not in failing]
        if connection.features.has_select_for_update_skip_locked:
            ids = list(Delivery.objects.select_for_update(skip_locked=True).filter(id__in=ids).values_list("id", flat=True))
        # The conditions stand again in the update: whoever comes second matches no row.
        _due(moment).filter(id__in=ids).update(
            lease_token=token, lease_until=moment + timedelta(seconds=LEASE_SECONDS), attempts=F("attempts") + 1
        )
    return list(Delivery.objects.filter(lease_token=token).select_related("sender").order_by("id"))
