"""A fact that leads to nothing, for ``bench/work.py``."""

from dataclasses import dataclass

from server.core.facts import Fact, Subscriber


@dataclass(frozen=True, kw_only=True)
class Nothing(Fact):
    """Nothing happened."""

    number: int


def ignore(_fact: Nothing) -> None:
    """Do nothing."""


def silent(_queue: str) -> None:
    """Ring no bell."""


SUBSCRIBERS = {Nothing: [Subscriber(function=ignore)]}
