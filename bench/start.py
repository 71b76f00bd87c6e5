"""How long a second start takes, from the command to an answering /readyz."""

import time

from bench import Measurement, at_most
from tests.services import free_port
from tests.two_servers.instance import Instance


def measure() -> list[Measurement]:
    """First start makes the data; the second is measured, three times, and the median counts."""
    instance = Instance("bench", free_port())
    try:
        instance.start()
        instance.stop()
        plain = time.monotonic()
        instance.manage("shell", "-c", "pass")
        load_s = time.monotonic() - plain
        seconds = []
        for _ in range(3):
            started = time.monotonic()
            instance.start()
            seconds.append(time.monotonic() - started)
            instance.stop()
    finally:
        instance.remove()
    reference = f"loading the same code to do nothing (manage.py shell -c pass): {load_s:.2f} s"
    return [at_most("cold_start_s", sorted(seconds)[1], "s", 5, reference)]
