"""Say what happened, in the caller's transaction; the page that wires facts to subscribers is ``server/wiring.py``."""

import dataclasses
import functools
import logging
import uuid
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

from django.conf import settings
from django.db import transaction
from django.utils.module_loading import import_string

from server.core import clock, limits
from server.core.models import Task

log = logging.getLogger(__name__)


@dataclass(frozen=True, kw_only=True)
class Fact:
    """Something that happened. Subclasses are frozen dataclasses whose fields are JSON values (ids, never rows)."""


@dataclass(frozen=True, kw_only=True)
class Subscriber:
    """A function that must be told a fact.

    ``atomic``: run and forget the row in one transaction, so the effect happens exactly once; for work that reaches
    outside the database (ffmpeg, HTTP) set it False: such a function is run at least once and is idempotent itself.
    """

    function: Callable[[Any], None]
    queue: str = "default"
    atomic: bool = True
    lease_seconds: int = limits.TASK_LEASE_SECONDS
    tries_max: int = limits.TASK_TRIES_MAX

    @property
    def name(self) -> str:
        """The dotted name that stands in the row."""
        return f"{self.function.__module__}.{self.function.__qualname__}"


@functools.cache
def wiring() -> Mapping[type[Fact], list[Subscriber]]:
    """The table of ``settings.FACTS_WIRING``; looked up by name because the ground may not import the roof."""
    table: Mapping[type[Fact], list[Subscriber]] = import_string(settings.FACTS_WIRING)
    return table


@functools.cache
def subscribers_by_name() -> Mapping[tuple[str, str], tuple[type[Fact], Subscriber]]:
    """``(fact name, subscriber name)`` to the pair of objects, for the worker."""
    return {(fact.__name__, each.name): (fact, each) for fact, all_of in wiring().items() for each in all_of}


def record(fact: Fact, *, delay_seconds: int = 0) -> None:
    """Write one ``Task`` per subscriber of ``fact`` in the present transaction and ring the workers when it commits.

    Raises KeyError for a fact that ``server/wiring.py`` does not name (name it with an empty list if nobody listens).
    """
    subscribers = wiring()[type(fact)]
    moment = clock.now()
    fact_id = uuid.uuid4()
    Task.objects.bulk_create(
        Task(
            fact_id=fact_id,
            fact=type(fact).__name__,
            subscriber=subscriber.name,
            payload=dataclasses.asdict(fact),
            queue=subscriber.queue,
            created_at=moment,
            next_try_at=moment + timedelta(seconds=delay_seconds),
        )
        for subscriber in subscribers
    )
    if not delay_seconds:
        for queue in {subscriber.queue for subscriber in subscribers}:
            ring(queue)


def ring(queue: str) -> None:
    """Wake a worker of ``queue`` when the present transaction commits. The bell may be lost: the sweep finds the row."""
    connection = transaction.get_connection()
    # One bell a transaction and queue is enough, however many facts it records.
    pending = {function for _, function, *_ in connection.run_on_commit}
    bell = _bell(queue)
    if bell not in pending:
        transaction.on_commit(bell, robust=True)


@functools.cache
def _bell(queue: str) -> Callable[[], None]:
    def send() -> None:
        try:
            import_string(settings.DOORBELL)(queue)
        except Exception:  # the row stands; a lost broker only costs time
            log.warning("doorbell lost", extra={"queue": queue}, exc_info=True)

    return send
