from collections.abc import Iterator

import pytest

from server.core import facts


@pytest.fixture
def small_world(settings: object) -> Iterator[None]:
    """Facts are wired to ``tests/sim/wiring.py`` instead of the real page."""
    settings.FACTS_WIRING = "tests.sim.wiring.SUBSCRIBERS"
    settings.DOORBELL = "tests.sim.wiring.trouble.count"
    facts.wiring.cache_clear()
    facts.subscribers_by_name.cache_clear()
    yield
    facts.wiring.cache_clear()
    facts.subscribers_by_name.cache_clear()
