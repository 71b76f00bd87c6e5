"""What happens to every request before anything else: who sent it, an id, one line in the log, one count."""

import logging
import re
import time
import uuid
from collections.abc import Callable, Mapping
from typing import cast

import structlog
from django.core.handlers.exception import convert_exception_to_response
from django.http import HttpRequest
from django.http.response import HttpResponseBase

from payouts.views import add_checkpoint
from server.core import metrics
from server.web import health, proxies

log = logging.getLogger("tributary.request")

View = Callable[[HttpRequest], HttpResponseBase]

METHODS = {"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"}
SERVER_ERROR = 500
# Path -> the view that answers without any other middleware.
DIRECT: Mapping[str, View] = {
    **health.PROBES,
    "/ledger/witness/add-checkpoint": cast(View, convert_exception_to_response(add_checkpoint)),
}
_REQUEST_ID = re.compile(r"[A-Za-z0-9-]{8,64}")
# Addresses whose path is itself a secret: links sent by e-mail.
_SECRET_PATHS = re.compile(r"(/account/(?:confirm-email|password/reset/key)/)[^/]+")


def request_log(get_response: View) -> View:
    """The outermost middleware: settles the client's address, gives the request an id, logs one line without secrets.

    Probes are answered here, because load balancers and container engines ask by whatever host name they know; and so are doors
    for machines that know no session, no form and no page, where all that is between costs more than the answer.
    """

    def middleware(request: HttpRequest) -> HttpResponseBase:
        started = time.perf_counter()
        proxies.settle(request)
        given = request.META.get("HTTP_X_REQUEST_ID", "")
        request_id = given if _REQUEST_ID.fullmatch(given) else uuid.uuid4().hex
        with structlog.contextvars.bound_contextvars(request_id=request_id):
            response = DIRECT.get(request.path, get_response)(request)
            response["X-Request-ID"] = request_id
            _note(request, response, time.perf_counter() - started)
        return response

    return middleware


def _note(request: HttpRequest, response: HttpResponseBase, seconds: float) -> None:
    is_probe = request.path in health.PROBES
    match = request.resolver_match
    route = request.path if request.path in DIRECT else f"/{match.route}" if match is not None else "unmatched"
    method = request.method if request.method in METHODS else "other"
    metrics.http_requests_total.labels(method, route, str(response.status_code)).inc()
    metrics.http_request_seconds.labels(method).observe(seconds)
    level = logging.ERROR if response.status_code >= SERVER_ERROR else logging.DEBUG if is_probe else logging.INFO
    # Only a user who was looked up anyway is named: the log must not cost a query.
    user = getattr(request, "_cached_user", None)
    log.log(
        level,
        "request",
        extra={
            "method": method,
            "path": _SECRET_PATHS.sub(r"\1[removed]", request.path)[:500],
            "route": route,
            "status": response.status_code,
            "ms": round(seconds * 1000, 1),
            "client": request.META.get("REMOTE_ADDR", ""),
            "user": getattr(user, "pk", None),
        },
    )
