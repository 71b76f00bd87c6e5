"""One line per event: JSON for machines, readable text at a terminal. Secrets are taken out on the way, whoever logged them."""

import logging
import re
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

import structlog
from structlog.typing import EventDict, Processor

# Names of values that never reach a log.
SECRET_NAMES = re.compile(
    r"(?i)password|passwd|secret|token|authorization|cookie|signature|sessionid|csrf|api_?key|private|^body$|^key$|^code$"
)
# Secrets inside texts: HTTP credentials, PEM keys, parameters of addresses and forms, passwords in database addresses.
SECRET_TEXTS = (
    (re.compile(r"(?i)\b(bearer|basic)\s+[A-Za-z0-9._~+/=-]{8,}"), r"\1 [removed]"),
    (re.compile(r"-----BEGIN [A-Z ]*PRIVATE KEY-----.*?(?:-----END [A-Z ]*PRIVATE KEY-----|\Z)", re.DOTALL), "[removed]"),
    (
        re.compile(
            r"(?i)\b((?:access_|refresh_|id_|csrfmiddleware)?token|password\d?|secret|client_secret|signature|code|key)=(\"[^\"]*\"|[^\s&\"',;)]+)"
        ),
        r"\1=[removed]",
    ),
    (re.compile(r"(?i)\b([a-z][a-z0-9+]*://[^\s:/@]*):[^\s@/]+@"), r"\1:[removed]@"),
)
REMOVED = "[removed]"
# What Django adds to its records and what is no use, or too much, in a line.
_DROPPED = {"request", "server_time", "taskName", "color_message"}


def without_secrets(value: Any, name: str = "") -> Any:
    """``value`` with everything that looks like a secret replaced; ``name`` is what it is called."""
    if name and SECRET_NAMES.search(name):
        return REMOVED
    if isinstance(value, str):
        for pattern, replacement in SECRET_TEXTS:
            value = pattern.sub(replacement, value)
        return value
    if isinstance(value, Mapping):
        return {key: without_secrets(inner, str(key)) for key, inner in value.items()}
    if isinstance(value, list | tuple | set | frozenset):
        return [without_secrets(inner) for inner in value]
    return value if value is None or isinstance(value, bool | int | float) else without_secrets(str(value))


def _describe(_logger: Any, _method: str, event: EventDict) -> EventDict:
    record: logging.LogRecord = event["_record"]
    head = {
        "at": datetime.fromtimestamp(record.created, UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z"),
        "level": record.levelname.lower(),
        "logger": record.name,
    }
    return {**head, **{name: value for name, value in event.items() if name not in _DROPPED}}


def _remove_secrets(_logger: Any, _method: str, event: EventDict) -> EventDict:
    return {name: without_secrets(value, name) for name, value in event.items()}


def formatter(style: str) -> logging.Formatter:
    """The formatter of ``settings.LOGGING``: ``json`` or ``console``. Raises ValueError for another style.

    ``extra={...}`` of a log call and what ``structlog.contextvars`` holds (the request's id) become members of the line.
    """
    if style not in {"json", "console"}:
        raise ValueError(f"TRIBUTARY_LOG_FORMAT must be json or console, not {style!r}")
    render: Processor = (
        structlog.processors.JSONRenderer(ensure_ascii=False)
        if style == "json"
        else structlog.dev.ConsoleRenderer(colors=False, pad_event_to=0)
    )
    return structlog.stdlib.ProcessorFormatter(
        foreign_pre_chain=[structlog.contextvars.merge_contextvars, structlog.stdlib.ExtraAdder()],
        processors=[
            _describe,
            structlog.stdlib.ProcessorFormatter.remove_processors_meta,
            structlog.processors.format_exc_info,
            _remove_secrets,
            render,
        ],
    )
