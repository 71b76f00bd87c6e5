"""Group commit: who waits at the same moment is written by one, in one transaction, and fails together."""

import threading
import time
from collections.abc import Callable

import pytest
from django.db import connection

from payouts.group_commit import GroupCommit, NotCommitted


class Racers:
    """Threads that ask for a change each, the first of which is held until the others have gathered."""

    def __init__(self, changes: list[Callable[[], bool]]) -> None:
        self.commits, self.entered, self.go = GroupCommit(), threading.Event(), threading.Event()
        self.results: dict[int, object] = {}
        self.writers: dict[int, int] = {}
        self.changes = changes

    def run(self) -> None:
        threads = [threading.Thread(target=self._ask, args=(number,)) for number in range(len(self.changes) + 1)]
        threads[0].start()
        assert self.entered.wait(10)
        for thread in threads[1:]:
            thread.start()
        until = time.monotonic() + 10
        while len(self.commits._waiting) < len(self.changes) and time.monotonic() < until:
            time.sleep(0.001)
        self.go.set()
        for thread in threads:
            thread.join(10)

    def _ask(self, number: int) -> None:
        try:
            self.results[number] = self.commits.run(lambda: self._change(number), order=-number)
        except (RuntimeError, NotCommitted) as error:
            self.results[number] = type(error)
        finally:
            connection.close()

    def _change(self, number: int) -> bool:
        assert connection.in_atomic_block
        self.writers[number] = threading.get_ident()
        if number == 0:
            self.entered.set()
            assert self.go.wait(10)
            return True
        return self.changes[number - 1]()


@pytest.mark.django_db(transaction=True)
def test_those_who_wait_are_written_at_once() -> None:
    racers = Racers([lambda: True, lambda: False, lambda: True])
    racers.run()
    assert racers.results == {0: True, 1: True, 2: False, 3: True}
    first, *others = (racers.writers[number] for number in range(4))
    assert len(set(others)) == 1
    assert first not in others
    # In the order of the rows, so that two processes never wait for each other in a circle.
    assert list(racers.writers) == [0, 3, 2, 1]


@pytest.mark.django_db(transaction=True)
def test_what_cannot_be_committed_is_promised_to_nobody() -> None:
    def fail() -> bool:
        raise RuntimeError("disk full")

    racers = Racers([lambda: True, fail, lambda: True])
    racers.run()
    assert racers.results.pop(0) is True
    told = list(racers.results.values())
    assert (told.count(RuntimeError), told.count(NotCommitted)) == (1, 2)
    # The next one begins anew.
    assert racers.commits.run(lambda: True, order=1) is True
