"""Two processes write one log, and one of them is killed: every wish stands once, and the log is whole."""

import json
import os
import shutil
import sqlite3
import subprocess
import sys
from collections.abc import Iterable, Iterator
from itertools import islice
from pathlib import Path

import pytest
from django.conf import settings
from django.db import connection

ROOT = Path(__file__).parents[2]
COUNT = 12


@pytest.fixture
def environment(transactional_db: None, tmp_path: Path) -> dict[str, str]:
    """A data directory of their own, and the test's database: PostgreSQL itself, or a copy of what SQLite has in memory."""
    shutil.copytree(settings.SECRETS_DIR, tmp_path / "secrets", ignore=shutil.ignore_patterns("ledger", "instance_root"))
    made = {**os.environ, "TRIBUTARY_DATA_DIR": str(tmp_path)}
    if connection.vendor == "postgresql":
        known = connection.settings_dict
        login = f"{known['USER']}:{known['PASSWORD']}@{known['HOST']}:{known['PORT']}"
        return {**made, "TRIBUTARY_DATABASE_URL": f"postgres://{login}/{known['NAME']}"}
    made.pop("TRIBUTARY_DATABASE_URL", None)
    connection.ensure_connection()
    with sqlite3.connect(tmp_path / "tributary.sqlite3") as copy:
        connection.connection.backup(copy)
    copy.close()
    return made


def race(environment: dict[str, str], name: str) -> "subprocess.Popen[str]":
    argv = [sys.executable, "-m", "tests.payouts.pen_racer", name, str(COUNT)]
    return subprocess.Popen(argv, cwd=ROOT, env=environment, stdout=subprocess.PIPE, text=True)


def entries_of(lines: Iterable[str]) -> Iterator[int]:
    """What a racer wrote, among the lines of the server's log."""
    return (int(line.removeprefix("entry ")) for line in lines if line.startswith("entry "))


@pytest.mark.slow
def test_two_processes_write_one_log_and_one_is_killed(environment: dict[str, str]) -> None:
    first, second = race(environment, "first"), race(environment, "second")
    assert second.stdout is not None
    seen = list(islice(entries_of(second.stdout), 5))
    # In the middle of whatever it is doing.
    second.kill()
    second.wait()
    second.stdout.close()
    again = race(environment, "second")
    indices = {name: list(entries_of(racer.communicate(timeout=120)[0].splitlines()))
               for name, racer in (("first", first), ("second", again))}  # fmt: skip
    assert (first.returncode, again.returncode) == (0, 0)
    assert indices["second"][:5] == seen
    assert sorted(indices["first"] + indices["second"]) == list(range(1, 2 * COUNT + 1))
    argv = [sys.executable, "manage.py", "ledger", "verify", "--json"]
    verified = subprocess.run(argv, cwd=ROOT, env=environment, capture_output=True, text=True, check=False)
    assert (verified.returncode, json.loads(verified.stdout)) == (0, {"size": 2 * COUNT + 1, "problems": []})
