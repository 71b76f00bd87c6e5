"""What the tests of the payouts room share."""

from collections.abc import Iterator

import pytest

from tests.payouts.neighbour import Neighbour
from tests.payouts.room import Room


@pytest.fixture
def neighbour() -> Iterator[Neighbour]:
    """Another instance with a ledger."""
    from server.core import http

    it = Neighbour()
    yield it
    it.close()
    http.forget_connections()


@pytest.fixture
def room(db: None) -> Room:
    """Alice and bob with identities here, a funded sponsor, a month that was watched."""
    return Room()
