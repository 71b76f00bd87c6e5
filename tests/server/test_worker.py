"""The worker's rules one by one: claims, leases, back-off, burial, revival."""

import uuid
from datetime import timedelta

import pytest

from federation.models import Tombstone
from server.core import clock, facts, worker
from server.core.errors import NotFound, Unavailable
from server.core.models import Task
from tests.sim import wiring
from tests.sim.conftest import small_world  # noqa: F401

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("small_world")]


def record() -> Task:
    facts.record(wiring.Happened(number=1))
    return Task.objects.get(queue="default")


def fail_with(monkeypatch: pytest.MonkeyPatch, error: BaseException) -> None:
    def trouble(where: str) -> None:
        raise error

    monkeypatch.setattr(wiring, "trouble", [trouble])


def test_a_fact_is_one_row_per_subscriber_with_json_payload() -> None:
    facts.record(wiring.Happened(number=7))
    assert {(task.subscriber, task.queue) for task in Task.objects.all()} == {
        ("tests.sim.wiring.write_once", "default"),
        ("tests.sim.wiring.write_idempotent", "federation"),
    }
    assert all(task.payload == {"number": 7} for task in Task.objects.all())


def test_an_unwired_fact_is_refused() -> None:
    class Unknown(facts.Fact):
        pass

    with pytest.raises(KeyError):
        facts.record(Unknown())
    assert not Task.objects.exists()


def test_a_claimed_task_is_nobody_elses_until_its_lease_ends() -> None:
    record()
    (mine,) = worker.claim("default", 10)
    assert worker.claim("default", 10) == []
    with clock.moved(timedelta(seconds=61)):
        (theirs,) = worker.claim("default", 10)
    assert theirs.id == mine.id
    # The first worker wakes up late: its token is worthless, and it does nothing.
    worker.run(mine)
    assert not Tombstone.objects.exists()
    worker.run(theirs)
    assert Tombstone.objects.count() == 1


def test_a_task_that_kills_its_worker_every_time_is_buried_at_last() -> None:
    task = record()
    Task.objects.filter(id=task.id).update(attempts=1_000)
    worker.work("default")
    assert "killed at every try" in Task.objects.get(id=task.id).last_error
    assert not Tombstone.objects.exists()


def test_a_delayed_fact_waits() -> None:
    facts.record(wiring.Happened(number=1), delay_seconds=60)
    assert worker.work("default") == 0
    with clock.moved(timedelta(seconds=61)):
        assert worker.work("default") == 1


def test_a_failure_rolls_back_and_waits_longer_each_time(monkeypatch: pytest.MonkeyPatch) -> None:
    record()
    fail_with(monkeypatch, Unavailable("the peer sleeps"))
    worker.work("default")
    task = Task.objects.get(queue="default")
    assert not Tombstone.objects.exists()
    assert (task.attempts, task.lease_until, task.dead_at) == (1, None, None)
    assert "the peer sleeps" in task.last_error
    assert task.next_try_at > clock.now()


@pytest.mark.parametrize("error", [NotFound("gone"), NotFound()])
def test_a_permanent_error_is_buried_at_once_and_can_be_revived(error: Exception, monkeypatch: pytest.MonkeyPatch) -> None:
    record()
    fail_with(monkeypatch, error)
    worker.work("default")
    task = Task.objects.get(queue="default")
    assert task.dead_at is not None
    assert worker.work("default") == 0
    monkeypatch.setattr(wiring, "trouble", [])
    assert worker.retry_dead(Task.objects.all()) == 1
    assert worker.work("default") == 1
    assert Tombstone.objects.count() == 1


def test_a_bug_in_a_subscriber_is_noted_with_its_traceback(monkeypatch: pytest.MonkeyPatch) -> None:
    record()
    fail_with(monkeypatch, ZeroDivisionError("oops"))
    worker.work("default")
    assert "Traceback" in Task.objects.get(queue="default").last_error


def test_a_task_of_a_version_that_no_longer_knows_it_is_buried() -> None:
    task = record()
    Task.objects.filter(id=task.id).update(subscriber="server.gone.away")
    worker.work("default")
    assert "no subscriber" in Task.objects.get(id=task.id).last_error


def test_renew_without_a_task_does_nothing_and_with_a_lost_lease_raises(monkeypatch: pytest.MonkeyPatch) -> None:
    worker.renew()
    facts.record(wiring.Happened(number=1))
    (mine,) = worker.claim("federation", 1)

    def steal(where: str) -> None:
        Task.objects.filter(id=mine.id).update(lease_token=uuid.uuid4())
        worker.renew()

    monkeypatch.setattr(wiring, "trouble", [steal])
    worker.run(mine)
    assert Task.objects.filter(id=mine.id, dead_at=None).exists()
    assert not Tombstone.objects.exists()


@pytest.mark.django_db(transaction=True)
def test_a_lost_broker_does_not_lose_the_fact(settings: object, monkeypatch: pytest.MonkeyPatch) -> None:
    settings.DOORBELL = "tests.server.test_worker.broken_bell"
    facts.record(wiring.Happened(number=1))
    assert Task.objects.count() == 2
    assert worker.work("default") == 1


def broken_bell(queue: str) -> None:
    raise ConnectionError(queue)
