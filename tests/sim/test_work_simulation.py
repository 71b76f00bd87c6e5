"""Seeded simulation of background work: failing subscribers, killed workers, a lost broker, duplicate bells.

Whatever happens, each fact that was committed reaches each subscriber, and its effect stands exactly once.
"""

import random
from collections import Counter
from datetime import timedelta

import pytest
from django.db import transaction

from federation.models import Tombstone
from server.core import clock, facts, worker
from server.core.models import Task
from tests.sim import wiring

SEEDS = 300
FACTS = 6
WORKERS = 3


class Killed(BaseException):
    """kill -9: nothing after this line runs; the database rolls back what was not committed."""


class Broken(Exception):
    """A subscriber that fails this time."""


class Simulation:
    """One seed: a schedule of steps chosen by chance, then calm weather until all is quiet."""

    def __init__(self, seed: int) -> None:
        self.chance = random.Random(seed)
        self.hands: list[list[Task]] = [[] for _ in range(WORKERS)]
        self.committed: set[int] = set()
        self.calm = False
        self.number = seed * 1_000
        self.deaths = 0
        self.failures = 0

    def trouble(self, where: str) -> None:
        if self.calm:
            return
        luck = self.chance.random()
        if luck < 0.10:
            self.deaths += 1
            raise Killed(where)
        if luck < 0.30:
            self.failures += 1
            raise Broken(where)

    def something_happens(self) -> None:
        self.number += 1
        try:
            with transaction.atomic():
                facts.record(wiring.Happened(number=self.number))
                self.trouble("record")
            self.committed.add(self.number)
        except (Broken, Killed):
            pass  # the caller's transaction was rolled back: it never happened

    def one_worker_moves(self) -> None:
        hand = self.chance.randrange(WORKERS)
        try:
            if self.hands[hand]:
                worker.run(self.hands[hand].pop(0))
            else:
                # A bell may come twice or for an empty queue; a claim is what decides.
                self.hands[hand] = worker.claim(self.chance.choice(["default", "federation"]), self.chance.randint(1, 4))
                self.trouble("claimed")
        except (Killed, Broken):
            self.hands[hand] = []

    def run(self) -> None:
        hours = 0.0
        for step in range(60):
            if step % 10 == 0:
                self.something_happens()
            with clock.moved(timedelta(hours=hours)):
                self.one_worker_moves()
            # Time passes unevenly: leases run out while somebody still holds the task in hand.
            hours += self.chance.choice([0, 0, 0, 0.001, 0.02, 1.5])
        self.calm = True
        self.hands = [[] for _ in range(WORKERS)]
        for _ in range(200):
            hours += 2
            with clock.moved(timedelta(hours=hours)):
                if not worker.work("default") + worker.work("federation") and not Task.objects.exists():
                    return


@pytest.mark.slow
@pytest.mark.django_db
def test_nothing_lost_nothing_twice(small_world: None, monkeypatch: pytest.MonkeyPatch) -> None:
    deaths = failures = facts_seen = 0
    for seed in range(SEEDS):
        simulation = Simulation(seed)
        monkeypatch.setattr(wiring, "trouble", [simulation.trouble])
        simulation.run()
        context = f"seed {seed}"
        assert not Task.objects.exists(), context
        effects = Counter(uri.split("/")[2] + "/" + uri.split("/")[3] for uri in Tombstone.objects.values_list("uri", flat=True))
        expected = {f"{kind}.example/{number}": 1 for number in simulation.committed for kind in ("atomic", "keyed")}
        assert effects == expected, context
        Tombstone.objects.all().delete()
        deaths, failures, facts_seen = (
            deaths + simulation.deaths,
            failures + simulation.failures,
            facts_seen + len(simulation.committed),
        )
    # The weather was really bad, or the test would prove nothing.
    assert deaths > SEEDS
    assert failures > SEEDS
    assert facts_seen > SEEDS * 3
    print(f"{SEEDS} seeds, {facts_seen} facts, {deaths} kills, {failures} failures")
