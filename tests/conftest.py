"""Fixtures for all tests."""

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
