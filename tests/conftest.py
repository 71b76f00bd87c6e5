"""Fixtures for all tests."""

import shutil
import uuid
from typing import Any

import pytest

from tests import world as world_module


@pytest.fixture
def world(db: None) -> world_module.World:
    """Alice, bob, charlie and dora (see ``tests/world.py``)."""
    return world_module.make()


@pytest.fixture(autouse=True)
def _forget_cache() -> None:
    from django.core.cache import cache

    cache.clear()


@pytest.fixture(autouse=True)
def _plain_static_names(settings: Any) -> None:
    """Pages name static files as they are in the source: nobody has collected and hashed them for a test."""
    settings.STORAGES = {**settings.STORAGES, "staticfiles": {"BACKEND": "django.contrib.staticfiles.storage.StaticFilesStorage"}}


@pytest.fixture(autouse=True)
def _fresh_ledger(settings: Any, tmp_path_factory: pytest.TempPathFactory) -> None:
    """The ledger's files, and its keys beside the database, belong to the database, which a test leaves empty."""
    folder = tmp_path_factory.getbasetemp() / f"ledger-{uuid.uuid4().hex}"
    settings.LEDGER_DIR = folder / "ledger"
    shared, settings.SECRETS_DIR = settings.SECRETS_DIR, folder / "secrets"
    settings.SECRETS_DIR.mkdir(mode=0o700, parents=True)
    for name in ("secret_key", "sealing_key"):
        shutil.copy(shared / name, settings.SECRETS_DIR)


def pytest_make_parametrize_id(val: object) -> str | None:
    """A function in a parameter is called by its name, not by its place in memory: two workers must agree on it."""
    return getattr(val, "__name__", None) if callable(val) else None
