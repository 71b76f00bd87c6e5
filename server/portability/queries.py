"""Reading: what the pages, the API and the commands show of archives, imports and copies."""

from collections import Counter
from dataclasses import dataclass

from django.db.models import QuerySet

from server.accounts.models import Account
from server.portability.models import Archive, Import, ImportItem, Replica

SHOWN_COUNT = 10


@dataclass(frozen=True)
class Tally:
    """Of the things of one kind that an import brings: how many, and what became of them."""

    kind: str
    total: int
    done: int
    waiting: int
    kept: int
    missing: int
    failed: int


def archives(account: Account) -> QuerySet[Archive]:
    """The archives of an account, the newest first."""
    return Archive.objects.filter(account=account).order_by("-pk")


def imports(account: Account) -> QuerySet[Import]:
    """What an account brought, the newest first."""
    return Import.objects.filter(account=account).order_by("-pk")


def replicas(account: Account) -> QuerySet[Replica]:
    """Where its copies are."""
    return Replica.objects.filter(account=account).order_by("origin")


def tallies(one: Import) -> list[Tally]:
    """Kind by kind."""
    counts: Counter[tuple[str, str]] = Counter()
    for kind, state in one.items.values_list("kind", "state").iterator(2_000):
        counts[kind, state] += 1
    kinds = sorted({kind for kind, _ in counts})
    return [
        Tally(
            kind=kind,
            total=sum(number for (other, _), number in counts.items() if other == kind),
            **{state: counts[kind, state] for state, _ in ImportItem.STATES},
        )
        for kind in kinds
    ]


def shortfalls(one: Import) -> QuerySet[ImportItem]:
    """What did not come, with the reason."""
    return one.items.filter(state__in=["missing", "failed"]).order_by("kind", "pk")
