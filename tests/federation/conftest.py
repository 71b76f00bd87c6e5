"""Fixtures of the federation tests: a played server, and a worker that runs what was recorded."""

import socket
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from server.core import http, reach, worker
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


@pytest.fixture(autouse=True)
def _no_names(monkeypatch: pytest.MonkeyPatch) -> None:
    """Nobody outside is asked: every name but the loopback ones is unknown."""

    real = socket.getaddrinfo

    def unknown(host: str, *arguments: Any, **options: Any) -> object:
        if host in {"localhost", "127.0.0.1", "::1"}:
            return real(host, *arguments, **options)
        raise socket.gaierror(socket.EAI_NONAME, f"{host} is not known in tests")

    monkeypatch.setattr(reach.socket, "getaddrinfo", unknown)
