"""What operators measure. Counters are kept per process and added up over processes; gauges are read when somebody asks."""

import os
import socket
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

from django.conf import settings
from prometheus_client import CollectorRegistry, Counter, Histogram, generate_latest, values
from prometheus_client.core import GaugeMetricFamily
from prometheus_client.multiprocess import MultiProcessCollector

_FOLDER: Path | None = settings.METRICS_DIR
if _FOLDER is not None:
    # Each process writes a file of its own. Containers number their processes alike, so the host's name belongs to it.
    _FOLDER.mkdir(mode=0o700, parents=True, exist_ok=True)
    os.environ["PROMETHEUS_MULTIPROC_DIR"] = str(_FOLDER)
    values.ValueClass = values.MultiProcessValue(lambda: f"{socket.gethostname()}-{os.getpid()}")  # type: ignore[no-untyped-call]

# The counters of this process, or the ones we write to files.
REGISTRY = CollectorRegistry()

http_requests_total = Counter(
    "tributary_http_requests_total",
    "Requests answered, by method, route and status.",
    ["method", "route", "status"],
    registry=REGISTRY,
)
http_request_seconds = Histogram(
    "tributary_http_request_seconds", "Time to answer a request, by method.", ["method"], registry=REGISTRY
)
http_out_total = Counter(
    "tributary_http_out_total",
    "Requests we sent to other servers, by method and outcome.",
    ["method", "outcome"],
    registry=REGISTRY,
)
inbox_refused_total = Counter(
    "tributary_inbox_refused_total",
    "Activities refused at the door, by error code and reason (bad_signature: why the signature was not good).",
    ["code", "reason"],
    registry=REGISTRY,
)
tasks_run_total = Counter(
    "tributary_tasks_run_total",
    "Background tasks run, by subscriber and outcome (done, retry, dead, lost).",
    ["subscriber", "outcome"],
    registry=REGISTRY,
)
transcodes_total = Counter(
    "tributary_transcodes_total", "Transcodes ended, by outcome (done, failed).", ["outcome"], registry=REGISTRY
)
transcode_seconds = Histogram(
    "tributary_transcode_seconds",
    "Time ffmpeg took for one video, all its renditions together.",
    buckets=(1, 2, 5, 10, 20, 40, 80, 160, 320, 640, 1280, float("inf")),
    registry=REGISTRY,
)


# What a gauge reads: for each set of label values the number.
Reader = Callable[[], Iterable[tuple[tuple[str, ...], float]]]


@dataclass(frozen=True)
class Gauge:
    """A number that is read at the moment it is asked for."""

    name: str
    description: str
    labels: tuple[str, ...]
    read: Reader


_gauges: dict[str, Gauge] = {}


def gauge(name: str, description: str, *labels: str) -> Callable[[Reader], Gauge]:
    """Offer the decorated function as gauge ``tributary_<name>``.

    An app's gauges stand in its ``gauges.py``, which its ``apps.py`` loads when the app is ready.
    """

    def offer(read: Reader) -> Gauge:
        made = Gauge(f"tributary_{name}", description, labels, read)
        _gauges[made.name] = made
        return made

    return offer


def gauges() -> Iterable[Gauge]:
    """All gauges that were offered, by name."""
    return [_gauges[name] for name in sorted(_gauges)]


def reading(name: str) -> dict[tuple[str, ...], float]:
    """What the gauge ``tributary_<name>`` reads now, by label values. Raises KeyError for a name nobody offered."""
    return dict(_gauges[f"tributary_{name}"].read())


class _Gauges:
    def collect(self) -> Iterator[GaugeMetricFamily]:
        for each in gauges():
            family = GaugeMetricFamily(each.name, each.description, labels=each.labels)
            for label_values, value in each.read():
                family.add_metric(label_values, value)
            yield family


def exposition() -> bytes:
    """Everything in the Prometheus text format 0.0.4."""
    registry = CollectorRegistry()
    registry.register(_Gauges())
    if _FOLDER is None:
        return generate_latest(REGISTRY) + generate_latest(registry)
    MultiProcessCollector(registry, path=str(_FOLDER))  # type: ignore[no-untyped-call]
    return generate_latest(registry)
