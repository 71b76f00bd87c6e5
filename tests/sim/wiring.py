"""A small world of facts for the worker's tests: effects are Tombstone rows, because they have nothing but a name."""

import uuid
from collections.abc import Callable
from dataclasses import dataclass

from federation.models import Tombstone
from server.core.facts import Fact, Subscriber


@dataclass(frozen=True, kw_only=True)
class Happened(Fact):
    """Something with a number happened."""

    number: int


# The simulation puts its own trouble here: called before and after the effect of every subscriber.
trouble: list[Callable[[str], None]] = []


def _trouble(where: str) -> None:
    for make in trouble:
        make(where)


def write_once(fact: Happened) -> None:
    """Atomic: not idempotent by itself, so that a second run would be seen as a second row."""
    _trouble("before")
    Tombstone.objects.create(uri=f"https://atomic.example/{fact.number}/{uuid.uuid4()}")
    _trouble("after")


def write_idempotent(fact: Happened) -> None:
    """Not atomic: runs at least once; the unique name makes the second time a no-op."""
    _trouble("before")
    Tombstone.objects.get_or_create(uri=f"https://keyed.example/{fact.number}")
    _trouble("after")


SUBSCRIBERS = {
    Happened: [
        Subscriber(function=write_once, tries_max=1_000),
        Subscriber(function=write_idempotent, queue="federation", atomic=False, tries_max=1_000),
    ]
}
