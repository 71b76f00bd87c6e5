"""``manage.py queues``: what background work waits, for people and for health checks."""

import argparse
from typing import Any

from django.core.management.base import BaseCommand, CommandError

from federation import gauges as federation_gauges
from server.core import gauges
from server.core.metrics import Gauge


def _by_queue(gauge: Gauge) -> dict[str, float]:
    return {queue: value for (queue,), value in gauge.read()}


class Command(BaseCommand):
    """Show the queues, and fail when work is overdue."""

    help = "Show waiting and given-up work by queue: queues [--fail-overdue-seconds N] [QUEUE...]"

    def add_arguments(self, parser: argparse.ArgumentParser) -> None:
        parser.add_argument("queue", nargs="*", help="only these queues")
        parser.add_argument(
            "--fail-overdue-seconds", type=float, help="exit with 1 when due work of these queues has waited longer than this"
        )

    def handle(self, *_args: Any, **options: Any) -> None:
        waiting, dead = _by_queue(gauges.tasks_waiting), _by_queue(gauges.tasks_dead)
        overdue = _by_queue(gauges.tasks_overdue)
        # Deliveries are rows of another table that the same workers claim.
        ((_, deliveries_overdue),) = federation_gauges.deliveries_overdue.read()
        overdue["federation"] = max(overdue.get("federation", 0.0), deliveries_overdue)
        chosen = options["queue"] or sorted(waiting)
        for queue in chosen:
            self.stdout.write(
                f"{queue}: {waiting.get(queue, 0):.0f} waiting, {dead.get(queue, 0):.0f} given up, "
                f"due for {overdue.get(queue, 0):.0f} s"
            )
        seconds_max = options["fail_overdue_seconds"]
        late = [queue for queue in chosen if seconds_max is not None and overdue.get(queue, 0) > seconds_max]
        if late:
            raise CommandError(f"work has been due for more than {seconds_max:.0f} s in {', '.join(late)}: are workers running?")
