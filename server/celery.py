"""Celery carries doorbells, never work: every message says only "look at the rows of this queue"."""

import os

from celery import Celery
from kombu.transport import TRANSPORT_ALIASES

TRANSPORT_ALIASES["bells"] = "server.bells:Transport"
os.environ.setdefault("DJANGO_SETTINGS_MODULE", "server.settings")

app = Celery("tributary")
app.config_from_object("django.conf:settings", namespace="CELERY")
app.conf.update(
    task_ignore_result=True,
    task_acks_late=False,
    worker_enable_remote_control=False,
    worker_send_task_events=False,
    worker_hijack_root_logger=False,
    broker_connection_retry_on_startup=True,
    worker_prefetch_multiplier=1,
    task_publish_retry=False,
)

QUEUES = ("default", "federation", "transcode", "ledger", "feed")
# A bell nobody heard is worthless after this time: the sweep rings again.
BELL_SECONDS = 20


@app.task(name="work")
def work(queue: str) -> None:
    """Run the due rows of ``queue``; ring again when time was up before the rows were."""
    from server import schedule

    if schedule.work(queue):
        ring(queue)


@app.task(name="sweep")
def sweep() -> None:
    """Ring every queue that has due rows: lost bells, expired leases, later tries."""
    from server import schedule

    for queue in schedule.queues_due():
        ring(queue)


@app.task(name="chore")
def chore(name: str) -> None:
    """Run one function of the schedule by its name (``server/wiring.py``)."""
    from server import schedule

    schedule.run_chore(name)


def ring(queue: str) -> None:
    """Send one bell to the workers of ``queue``. Raises when the broker cannot be reached."""
    work.apply_async((queue,), queue=queue, expires=BELL_SECONDS, retry=False)


@app.on_after_configure.connect
def _schedule(sender: Celery, **_: object) -> None:
    import django

    django.setup()
    from server import schedule

    sender.add_periodic_task(2.0, sweep.s(), name="sweep", queue="default", expires=BELL_SECONDS)
    for name, seconds in schedule.chore_seconds().items():
        sender.add_periodic_task(seconds, chore.s(name), name=name, queue="default", expires=seconds)
