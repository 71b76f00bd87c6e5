"""Fixtures of the federation tests: a played server, and a worker that runs what was recorded."""

from collections.abc import Callable, Iterator

import pytest

from server.core import http, worker
from tests.federation import stranger


@pytest.fixture
def server() -> Iterator[stranger.Server]:
    """A real HTTP server on loopback that plays other servers."""
    made = stranger.Server()
    yield made
    http.forget_connections()
    made.close()


@pytest.fixture
def work() -> Callable[[], int]:
    """Run the recorded facts of the federation queue to the end."""
    return lambda: worker.work("federation")
