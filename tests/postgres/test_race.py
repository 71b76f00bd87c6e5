"""Two worker processes race for 10,000 tasks on PostgreSQL: each is done exactly once."""

import os
import subprocess
import sys
from collections import Counter
from pathlib import Path

import pytest
from django.db import connection

from federation.models import Tombstone
from server.core import facts
from server.core.models import Task
from tests.sim.conftest import small_world  # noqa: F401

COUNT = 10_000


@pytest.mark.slow
@pytest.mark.django_db(transaction=True)
@pytest.mark.usefixtures("small_world")
def test_each_of_ten_thousand_tasks_is_done_exactly_once() -> None:
    assert connection.vendor == "postgresql"
    base = facts.Task
    moment = facts.clock.now()
    Task.objects.bulk_create(
        [
            base(
                fact_id=facts.uuid.uuid4(),
                fact="Happened",
                subscriber="tests.sim.wiring.write_once",
                payload={"number": number},
                queue="default",
                created_at=moment,
                next_try_at=moment,
            )
            for number in range(COUNT)
        ],
        batch_size=1_000,
    )
    settings_dict = connection.settings_dict
    url = f"postgres://{settings_dict['USER']}:{settings_dict['PASSWORD']}@{settings_dict['HOST']}:{settings_dict['PORT']}/{settings_dict['NAME']}"
    environment = {**os.environ, "TRIBUTARY_DATABASE_URL": url}
    root = Path(__file__).parents[2]
    racers = [
        subprocess.Popen(
            [sys.executable, "-m", "tests.postgres.race"], cwd=root, env=environment, stdout=subprocess.PIPE, text=True
        )
        for _ in range(2)
    ]
    shares = [int(racer.communicate(timeout=240)[0]) for racer in racers]
    assert [racer.returncode for racer in racers] == [0, 0]
    assert sum(shares) == COUNT
    assert min(shares) > COUNT // 20, "both really raced"
    done = Counter(uri.split("/")[3] for uri in Tombstone.objects.values_list("uri", flat=True))
    assert len(done) == COUNT
    assert set(done.values()) == {1}
    assert not Task.objects.exists()
