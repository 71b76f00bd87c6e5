"""The real settings; tables are made straight from the models, and bells ring nowhere."""

from server.settings import *  # noqa: F403
from server.settings import INSTALLED_APPS

MIGRATION_MODULES = {name.removesuffix("Config").split(".apps")[0].rpartition(".")[2]: None for name in INSTALLED_APPS}
DOORBELL = "tests.federation.one_process_settings.no_bell"


def no_bell(queue: str) -> None:
    """Nobody listens."""
