"""How long a second start takes, from the command to an answering /readyz."""

import subprocess
import sys
import time

from bench import Measurement, at_most
from tests.services import free_port
from tests.two_servers.instance import Instance


def measure() -> list[Measurement]:
    """First start makes the data; the second is measured, three times, and the median counts."""
    plain = time.monotonic()
    subprocess.run([sys.executable, "-c", "import django, celery, rest_framework"], check=True)
    import_s = time.monotonic() - plain
    instance = Instance("bench", free_port())
    try:
        instance.start()
        instance.stop()
        seconds = []
        for _ in range(3):
            started = time.monotonic()
            instance.start()
            seconds.append(time.monotonic() - started)
            instance.stop()
    finally:
        instance.remove()
    return [at_most("cold_start_s", sorted(seconds)[1], "s", 5, f"importing Django, DRF and Celery alone: {import_s:.2f} s")]
