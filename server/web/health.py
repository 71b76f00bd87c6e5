"""Is it alive, is it ready, how is it doing: for load balancers, container engines and Prometheus."""

import logging
import tempfile
import threading
from collections.abc import Callable, Mapping
from pathlib import Path

from django.conf import settings
from django.db import DatabaseError, connection
from django.db.migrations.executor import MigrationExecutor
from django.http import HttpRequest, HttpResponse, HttpResponseNotFound, JsonResponse
from django.urls import path
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_safe

from payouts import standing
from server.core import metrics
from server.web import proxies

log = logging.getLogger(__name__)
_migrated = threading.Event()


@require_safe
@never_cache
def healthz(request: HttpRequest) -> HttpResponse:
    """200 as long as the process answers; no work, so that a slow database never gets a process killed."""
    return HttpResponse("ok\n", content_type="text/plain; charset=utf-8")


@require_safe
@never_cache
def readyz(request: HttpRequest) -> HttpResponse:
    """200 when requests can be served, else 503 with the reasons. Warnings are for people: requests are served all the same."""
    reasons = not_ready()
    body = {"ready": not reasons, "reasons": reasons, "warnings": warnings()}
    return JsonResponse(body, status=503 if reasons else 200)


@require_safe
@never_cache
def metrics_page(request: HttpRequest) -> HttpResponse:
    """Prometheus metrics for the addresses of ``TRIBUTARY_METRICS_ALLOWED``; for everybody else there is no such page."""
    if request.META.get(proxies.DOUBTFUL) or not proxies.is_within(request.META.get("REMOTE_ADDR", ""), settings.METRICS_ALLOWED):
        return HttpResponseNotFound("not found\n", content_type="text/plain; charset=utf-8")
    return HttpResponse(metrics.exposition(), content_type="text/plain; version=0.0.4; charset=utf-8")


def not_ready() -> list[str]:
    """What keeps this process from serving, in words without details (those are in the log); empty when nothing does."""
    reasons = []
    try:
        with connection.cursor() as cursor:
            cursor.execute("SELECT 1")
        if _migrations_missing():
            reasons.append("migrations are missing")
    except DatabaseError:
        log.exception("not ready: database")
        reasons.append("the database does not answer")
    folders = [settings.UPLOAD_DIR] if settings.S3_BUCKET else [settings.UPLOAD_DIR, settings.MEDIA_ROOT]
    reasons += [f"the {folder.name} directory cannot be written" for folder in folders if not _writable(folder)]
    return reasons


def warnings() -> list[str]:
    """What an administrator must look at while everything else goes on."""
    return ["the ledger is read-only"] if standing.suspension() else []


def _migrations_missing() -> bool:
    """Does the database wait for a migration? Once it does not, it never will again in the life of this process."""
    if not _migrated.is_set():
        executor = MigrationExecutor(connection)
        if executor.migration_plan(executor.loader.graph.leaf_nodes()):
            return True
        _migrated.set()
    return False


def _writable(folder: Path) -> bool:
    try:
        with tempfile.TemporaryFile(dir=folder):
            return True
    except OSError:
        log.exception("not ready: directory")
        return False


# Path to answer; the outermost middleware looks here before anything else.
PROBES: Mapping[str, Callable[[HttpRequest], HttpResponse]] = {
    "/healthz": healthz,
    "/readyz": readyz,
    "/metrics": metrics_page,
}
urlpatterns = [path(address.removeprefix("/"), probe) for address, probe in PROBES.items()]
