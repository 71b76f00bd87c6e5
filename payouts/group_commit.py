"""Group commit: changes that wait at the same moment share one durable transaction, so the disk is synced once for all of them.

While one thread commits, the others gather; the next takes all who wait, writes for them too, and each returns only when its
change is on the disk. (DeWitt et al. 1984, Implementation techniques for main memory database systems, section 5.2.)
"""

import threading
from collections.abc import Callable
from dataclasses import dataclass

from django.db import transaction

from server.core.errors import TributaryError


class NotCommitted(TributaryError):
    """This could not be stored just now. Ask again."""

    code, status = "not_committed", 503


@dataclass(slots=True)
class _Wish:
    order: int
    change: Callable[[], bool]
    is_done: bool = False
    is_stored: bool = False
    result: bool = False


class GroupCommit:
    """``run`` is called by many threads; one transaction at a time is open in this process."""

    def __init__(self) -> None:
        self._turn = threading.Lock()
        self._gathering = threading.Lock()
        self._waiting: list[_Wish] = []

    def run(self, change: Callable[[], bool], *, order: int) -> bool:
        """What ``change`` returned, once it is durable. None of a group is stored when one of them or the commit fails.

        Raises then, in the thread that wrote, what was raised; in the others NotCommitted.

        ``order``: the key of the row that it locks; all processes lock rows in this order, so that none waits in a circle.
        """
        wish = _Wish(order, change)
        with self._gathering:
            self._waiting.append(wish)
        with self._turn:
            if not wish.is_done:
                with self._gathering:
                    group, self._waiting = self._waiting, []
                _commit(group)
        if not wish.is_stored:
            raise NotCommitted
        return wish.result


def _commit(group: list[_Wish]) -> None:
    is_stored = False
    try:
        with transaction.atomic():
            for wish in sorted(group, key=lambda one: one.order):
                wish.result = wish.change()
        is_stored = True
    finally:
        for wish in group:
            wish.is_done, wish.is_stored = True, is_stored
