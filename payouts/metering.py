"""Counting what a period is shared by: qualified views steer, billable impressions bring money. Nobody's name is kept.

Rows are open until a period is planned; ``claim_*`` hands them to it, so that nothing is counted twice.
"""

from collections.abc import Mapping
from datetime import date
from typing import Any, Protocol

from django.db import transaction
from django.db.models import F, Model, Sum

from payouts.models import MeteredImpression, MeteredView
from server.core import clock
from server.core.errors import Invalid

WORK_CHARACTERS_MAX = 300


class Viewed(Protocol):
    """The fact that a work was viewed. ``reason``: why it does not count; empty for a view that does."""

    @property
    def work(self) -> str:
        """The address of the work."""

    @property
    def creator_scid(self) -> str | None:
        """Whose it is, when that is known."""

    @property
    def weight_ms(self) -> int:
        """How long it was watched, capped."""

    @property
    def reason(self) -> str:
        """Why it was rejected."""


def on_view(fact: Viewed) -> None:
    """Count the view of a fact on today's row."""
    count_view(
        day=clock.now().date(),
        work=fact.work,
        creator_scid=fact.creator_scid or "",
        weight_ms=fact.weight_ms,
        rejected=fact.reason,
    )


def count_view(*, day: date, work: str, creator_scid: str, weight_ms: int, rejected: str = "") -> None:
    """Add one view. ``rejected``: the reason why it does not steer (it is then only told). Raises Invalid."""
    if not work or len(work) > WORK_CHARACTERS_MAX or "\n" in work or weight_ms < 0:
        raise Invalid("A view is of a named work and not shorter than nothing.", field="work")
    _add(
        MeteredView, {"day": day, "work": work, "rejected": rejected, "period": ""},
        creator_scid=creator_scid, count=1, weight_ms=0 if rejected else weight_ms,
    )  # fmt: skip


def count_impression(*, day: date, campaign: str, work: str, creator_scid: str) -> None:
    """Add one billable impression beside ``work`` (empty: no video came before the slot). Raises Invalid."""
    if len(work) > WORK_CHARACTERS_MAX or "\n" in work:
        raise Invalid("The name of a work is too long.", field="work")
    key = {"day": day, "campaign": campaign, "work": work, "period": ""}
    _add(MeteredImpression, key, creator_scid=creator_scid, count=1)


def open_impressions(*, campaign: str, first: date | None = None, last: date | None = None) -> Mapping[str, int]:
    """Impressions by work that no period has counted yet."""
    found = MeteredImpression.objects.filter(campaign=campaign, period="", count__gt=0)
    if first is not None:
        found = found.filter(day__gte=first)
    if last is not None:
        found = found.filter(day__lte=last)
    return dict(found.values_list("work").annotate(Sum("count")).order_by("work"))


@transaction.atomic
def claim_views(*, period: str, first: date, last: date) -> None:
    """Hand the open views of these days to ``period``."""
    MeteredView.objects.filter(period="", day__gte=first, day__lte=last).update(period=period)


@transaction.atomic
def claim_impressions(*, period: str, campaign: str, wanted: Mapping[str, int], first: date, last: date) -> None:
    """Hand these counts by work to ``period``. Raises Invalid when fewer were metered; then nothing was handed over."""
    for work, count in wanted.items():
        if count < 0:
            raise Invalid("Impressions are counted from 0.", field="impressions")
        left = count
        rows = MeteredImpression.objects.select_for_update().filter(
            period="", campaign=campaign, work=work, day__gte=first, day__lte=last
        )
        for row in rows.order_by("day"):
            taken = min(left, row.count)
            if not taken:
                break
            left -= taken
            key = {"day": row.day, "campaign": campaign, "work": work, "period": period}
            _add(MeteredImpression, key, creator_scid=row.creator_scid, count=taken)
            MeteredImpression.objects.filter(pk=row.pk).update(count=F("count") - taken)
        if left:
            raise Invalid(f"{campaign}: {left} more impressions beside {work or 'no work'} are charged than were metered.")


def _add(model: type[Model], key: Mapping[str, Any], *, creator_scid: str, **amounts: int) -> None:
    changes: dict[str, Any] = {name: F(name) + amount for name, amount in amounts.items()}
    if creator_scid:
        changes["creator_scid"] = creator_scid
    rows = model._default_manager
    while True:
        # The row of the day may be made by two at once: whoever comes second adds to it. It may go to a period just then.
        row, _ = rows.get_or_create(**key, defaults={"creator_scid": creator_scid})
        if rows.filter(pk=row.pk, **key).update(**changes):
            return


@transaction.atomic
def reopen(*, period: str) -> None:
    """Make open again what ``period`` had claimed."""
    for shown in MeteredImpression.objects.filter(period=period):
        key = {"day": shown.day, "campaign": shown.campaign, "work": shown.work, "period": ""}
        _add(MeteredImpression, key, creator_scid=shown.creator_scid, count=shown.count)
        shown.delete()
    for view in MeteredView.objects.filter(period=period):
        key = {"day": view.day, "work": view.work, "rejected": view.rejected, "period": ""}
        _add(MeteredView, key, creator_scid=view.creator_scid, count=view.count, weight_ms=view.weight_ms)
        view.delete()
