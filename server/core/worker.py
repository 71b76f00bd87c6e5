"""Claim due tasks by compare-and-set, run them, forget them. Lost bells, killed workers and empty brokers only cost time."""

import contextvars
import logging
import random
import time
import traceback
import uuid
from dataclasses import dataclass
from datetime import datetime, timedelta

from django.db import connection, transaction
from django.db.models import F, Q, QuerySet

from server.core import clock, facts, limits, metrics
from server.core.errors import TributaryError
from server.core.models import Task

log = logging.getLogger(__name__)
_chance = random.SystemRandom()


class LeaseLost(TributaryError):
    """Another worker took this task over."""

    code = "lease_lost"


@dataclass(frozen=True)
class Lease:
    """The right to run one task until ``lease_seconds`` after the last renewal."""

    task_id: int
    token: uuid.UUID
    seconds: int


_lease: contextvars.ContextVar[Lease | None] = contextvars.ContextVar("lease", default=None)


def due(queue: str, moment: datetime) -> QuerySet[Task]:
    """Tasks of ``queue`` that nobody holds and whose time has come, oldest first."""
    free = Q(lease_until=None) | Q(lease_until__lt=moment)
    return Task.objects.filter(free, queue=queue, dead_at=None, next_try_at__lte=moment).order_by("next_try_at", "id")


def claim(queue: str, count: int) -> list[Task]:
    """Take up to ``count`` due tasks; two workers never hold the same one. An empty list is no error."""
    moment = clock.now()
    token = uuid.uuid4()
    with transaction.atomic():
        wanted = due(queue, moment)
        if connection.features.has_select_for_update_skip_locked:
            wanted = wanted.select_for_update(skip_locked=True)
        ids = list(wanted.values_list("id", flat=True)[:count])
        # The conditions stand again in the update: whoever comes second matches no row.
        due(queue, moment).order_by().filter(id__in=ids).update(
            lease_token=token, lease_until=moment + timedelta(seconds=limits.TASK_LEASE_SECONDS), attempts=F("attempts") + 1
        )
    return list(Task.objects.filter(lease_token=token).order_by("next_try_at", "id"))


def renew() -> None:
    """Keep the lease of the task being run; long work calls this now and then. Raises LeaseLost; without a task, does nothing."""
    lease = _lease.get()
    if lease is not None:
        _extend(lease)


def _extend(lease: Lease) -> None:
    until = clock.now() + timedelta(seconds=lease.seconds)
    if not Task.objects.filter(id=lease.task_id, lease_token=lease.token).update(lease_until=until):
        raise LeaseLost


def run(task: Task) -> None:
    """Hand one claimed task to its subscriber and forget the row, or note the error and the next try.

    Only here and at the doors is everything caught: a bug in a subscriber must not stop the others.
    """
    found = facts.subscribers_by_name().get((task.fact, task.subscriber))
    if found is None:
        _bury(task, f"no subscriber {task.subscriber} for {task.fact} in this version")
        return
    fact_type, subscriber = found
    if task.attempts > subscriber.tries_max:
        # No error was ever noted: each try ended with its worker.
        _bury(task, task.last_error or "the worker was killed at every try")
        return
    assert task.lease_token is not None
    lease = Lease(task.id, task.lease_token, subscriber.lease_seconds)
    mark = _lease.set(lease)
    try:
        fact = fact_type(**task.payload)
        if subscriber.atomic:
            with transaction.atomic():
                _forget(lease)
                subscriber.function(fact)
        else:
            _extend(lease)
            subscriber.function(fact)
            _forget(lease)
        metrics.tasks_run_total.labels(task.subscriber, "done").inc()
    except LeaseLost:
        metrics.tasks_run_total.labels(task.subscriber, "lost").inc()
        log.info("lease lost", extra={"task": task.id, "subscriber": task.subscriber})
    except Exception as error:
        _note_failure(task, subscriber, error)
    finally:
        _lease.reset(mark)


def _forget(lease: Lease) -> None:
    deleted, _ = Task.objects.filter(id=lease.task_id, lease_token=lease.token).delete()
    if not deleted:
        raise LeaseLost


def _note_failure(task: Task, subscriber: facts.Subscriber, error: Exception) -> None:
    expected = isinstance(error, TributaryError)
    text = f"{type(error).__name__}: {error}" if expected else traceback.format_exc()
    if (isinstance(error, TributaryError) and error.permanent) or task.attempts >= subscriber.tries_max:
        _bury(task, text)
        return
    metrics.tasks_run_total.labels(task.subscriber, "retry").inc()
    wait_seconds_max = min(limits.TASK_BACKOFF_SECONDS_MAX, limits.TASK_BACKOFF_SECONDS_MIN * 2**task.attempts)
    log.warning("task failed, will be tried again", extra={"task": task.id, "subscriber": task.subscriber, "error": text[-500:]})
    Task.objects.filter(id=task.id, lease_token=task.lease_token).update(
        lease_token=None,
        lease_until=None,
        next_try_at=clock.now() + timedelta(seconds=_chance.uniform(1, wait_seconds_max)),
        last_error=text[-limits.ERROR_CHARACTERS_MAX :],
    )


def _bury(task: Task, text: str) -> None:
    metrics.tasks_run_total.labels(task.subscriber, "dead").inc()
    log.error("task given up", extra={"task": task.id, "subscriber": task.subscriber, "error": text[-500:]})
    Task.objects.filter(id=task.id, lease_token=task.lease_token).update(
        lease_token=None, lease_until=None, dead_at=clock.now(), last_error=text[-limits.ERROR_CHARACTERS_MAX :]
    )


def retry_dead(tasks: QuerySet[Task]) -> int:
    """Give buried tasks a fresh set of tries (an administrator's button). Returns how many."""
    return tasks.exclude(dead_at=None).update(dead_at=None, attempts=0, next_try_at=clock.now())


def forget_dead(tasks: QuerySet[Task]) -> int:
    """Drop buried tasks for good (an administrator's button). Returns how many."""
    return tasks.exclude(dead_at=None).delete()[0]


def work(queue: str, *, seconds_max: float = limits.WORK_SECONDS_MAX) -> int:
    """Run due tasks of ``queue`` until none is left or ``seconds_max`` have passed. Returns how many were run."""
    stop_at = time.monotonic() + seconds_max
    ran = 0
    # A slow queue claims one at a time: a claimed task that waits behind a long one would only lose its lease.
    batch = 1 if queue == "transcode" else limits.TASK_BATCH_COUNT
    while time.monotonic() < stop_at and (tasks := claim(queue, batch)):
        for task in tasks:
            run(task)
            ran += 1
    return ran
