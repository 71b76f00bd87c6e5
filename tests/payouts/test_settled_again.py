"""A settlement comes out the same wherever it is run: other hash seeds, locales, time zones, databases, orders of rows."""

import json
import os
import shutil
import sqlite3
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from django.conf import settings
from django.db import connection

ROOT = Path(__file__).parents[2]
GOLDEN = Path(__file__).with_name("settled.json")

Settle = Callable[..., dict[str, Any]]


def make_locale(folder: Path, name: str) -> None:
    """A locale of the C library of its own, from the sources in Debian's package ``locales``: it need not be generated."""
    subprocess.run(["localedef", "-i", name, "-f", "UTF-8", "--no-archive", str(folder / f"{name}.UTF-8")], check=True)


@pytest.fixture
def settle(transactional_db: None, tmp_path: Path) -> Settle:
    """Settle the month in a process of its own, with a data directory of its own and a database as the tests have it."""
    make_locale(tmp_path, "tr_TR")

    def run(seed: str, **around: str) -> dict[str, Any]:
        data = tmp_path / f"data {len(list(tmp_path.iterdir()))}"
        shutil.copytree(settings.SECRETS_DIR, data / "secrets", ignore=shutil.ignore_patterns("ledger", "instance_root"))
        environment = {**os.environ, "TRIBUTARY_DATA_DIR": str(data), "LOCPATH": str(tmp_path), **around}
        environment.pop("TRIBUTARY_DATABASE_URL", None)
        if connection.vendor == "postgresql":
            known = connection.settings_dict
            login = f"{known['USER']}:{known['PASSWORD']}@{known['HOST']}:{known['PORT']}"
            environment["TRIBUTARY_DATABASE_URL"] = f"postgres://{login}/{known['NAME']}"
        else:
            connection.ensure_connection()
            with sqlite3.connect(data / "tributary.sqlite3") as copy:
                connection.connection.backup(copy)
            copy.close()
        argv = [sys.executable, "-m", "tests.payouts.settle_again", seed]
        done = subprocess.run(argv, cwd=ROOT, env=environment, capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stderr[-4000:]
        (line,) = [line for line in done.stdout.splitlines() if line.startswith("settled ")]
        found: dict[str, Any] = json.loads(line.removeprefix("settled "))
        return found

    return run


@pytest.mark.slow
def test_a_month_is_settled_alike_wherever_it_is_settled(settle: Settle) -> None:
    """The golden file is one for SQLite and PostgreSQL; both parts of the tests run this."""
    places = [
        {"seed": "one order", "PYTHONHASHSEED": "random", "LC_ALL": "C", "TZ": "America/St_Johns"},
        {"seed": "another", "PYTHONHASHSEED": "4711", "LC_ALL": "tr_TR.UTF-8", "TZ": "Asia/Kathmandu"},
    ]
    found = [settle(**place) for place in places]
    around = [one["around"] for one in found]
    # The places are really different ones.
    assert len({one["hash"] for one in around}) == len(places)
    assert around[0]["language"] == "C"
    assert "tr_TR" in around[1]["language"]
    assert [one["zone"] for one in around] == ["-0330", "+0530"]
    assert {one["vendor"] for one in around} == {connection.vendor}
    golden = json.loads(GOLDEN.read_text())
    assert [one["told"] for one in found] == [golden] * len(places)
