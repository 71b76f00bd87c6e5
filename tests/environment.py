"""Loaded by pytest before Django reads its settings: a throw-away data directory and fixed test settings."""

import atexit
import os
import shutil
import tempfile
from pathlib import Path

from hypothesis import HealthCheck, settings

from server.secrets import ensure

# The same examples in every run: a test that fails here fails everywhere. A busy machine is no reason to fail.
settings.register_profile("same", derandomize=True, deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("same")

_data = Path(tempfile.mkdtemp(prefix="tributary-test-"))
atexit.register(shutil.rmtree, _data, ignore_errors=True)
ensure(_data)
# WhiteNoise warns where nobody has collected static files yet.
(_data / "static").mkdir()
os.environ.setdefault("TRIBUTARY_ORIGIN", "http://localhost:8000")
os.environ["TRIBUTARY_DATA_DIR"] = str(_data)
os.environ["TRIBUTARY_STATIC_DIR"] = str(_data / "static")
os.environ.setdefault("TRIBUTARY_ALLOW_LOOPBACK", "true")
os.environ.setdefault("TRIBUTARY_DEBUG", "false")
os.environ.setdefault("TRIBUTARY_LOG_FORMAT", "console")
os.environ.setdefault("TRIBUTARY_THROTTLE_ANON", "100000/min")
os.environ.setdefault("TRIBUTARY_THROTTLE_USER", "100000/min")
os.environ.setdefault("TRIBUTARY_EMAIL_URL", "memorymail://")
os.environ.setdefault("DJANGO_ALLOW_ASYNC_UNSAFE", "true")
