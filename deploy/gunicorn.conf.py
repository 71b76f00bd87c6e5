"""How gunicorn serves an instance; the command line names the address, WEB_CONCURRENCY the number of processes."""  # noqa: INP001

import os
from pathlib import Path
from typing import Any

wsgi_app = "server.wsgi"
worker_class = "gthread"
workers = int(os.environ.get("WEB_CONCURRENCY", "2"))
threads = 8
# The main thread of a gthread worker reports that it lives, so a slow upload is not cut off; a hung process is.
timeout = 60
graceful_timeout = 30
keepalive = 15
worker_tmp_dir = "/dev/shm"  # noqa: S108 (a heartbeat file; on a disk it can block)
control_socket_disable = True
# Nothing is believed here about who a request is from: TRIBUTARY_TRUSTED_PROXIES decides, in one place.
forwarded_allow_ips = ""
# The application writes one line per request. gunicorn's own messages (started, stopped, worker died) get the same shape.
accesslog = None


def on_starting(server: Any) -> None:
    """Make the folder that the web server in front reads the published ledger from: it is mounted before the first entry."""
    if data := os.environ.get("TRIBUTARY_DATA_DIR"):
        (Path(data) / "ledger" / "1").mkdir(parents=True, exist_ok=True)


logconfig_dict = {
    "version": 1,
    "disable_existing_loggers": False,
    "formatters": {"line": {"()": "server.core.logs.formatter", "style": os.environ.get("TRIBUTARY_LOG_FORMAT", "json")}},
    "handlers": {"stdout": {"class": "logging.StreamHandler", "stream": "ext://sys.stdout", "formatter": "line"}},
    "root": {"handlers": ["stdout"], "level": "WARNING"},
    "loggers": {"gunicorn.error": {"handlers": ["stdout"], "level": "INFO", "propagate": False}},
}
