"""Tasks a second through claim, lease, run and forget, beside the bare insert and delete of such rows."""

import atexit
import os
import shutil
import tempfile
import time
from pathlib import Path

from bench import Measurement, at_least

COUNT = 2_000


def measure() -> list[Measurement]:
    """One worker, empty subscribers, SQLite with synchronous=FULL in a fresh directory."""
    data = Path(tempfile.mkdtemp(prefix="tributary-bench-"))
    atexit.register(shutil.rmtree, data, ignore_errors=True)
    os.environ |= {
        "TRIBUTARY_DATA_DIR": str(data),
        "DJANGO_SETTINGS_MODULE": "server.settings",
        "TRIBUTARY_LOG_FORMAT": "console",
    }
    from server.secrets import ensure

    ensure(data)
    import django

    django.setup()
    from django.conf import settings
    from django.core.management import call_command
    from django.db import transaction

    settings.FACTS_WIRING = "bench.work_wiring.SUBSCRIBERS"
    settings.DOORBELL = "bench.work_wiring.silent"
    call_command("migrate", verbosity=0)
    from bench.work_wiring import Nothing
    from server.core import facts, worker
    from server.core.models import Task

    started = time.monotonic()
    for number in range(COUNT):
        with transaction.atomic():
            facts.record(Nothing(number=number))
        with transaction.atomic():
            Task.objects.filter(payload__number=number).delete()
    bare = COUNT / (time.monotonic() - started)
    for number in range(COUNT):
        facts.record(Nothing(number=number))
    started = time.monotonic()
    while worker.work("default"):
        pass
    rate = COUNT / (time.monotonic() - started)
    return [
        at_least(
            "tasks_per_s",
            rate,
            "tasks/s",
            bare / 2,
            f"bare insert and delete, one transaction each: {bare:.0f}/s; target: half of it",
        )
    ]
