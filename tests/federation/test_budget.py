"""How often strangers may make us do something, with and without a cache."""

from collections.abc import Callable
from typing import Any

import pytest
from django.test import Client

from federation import trust
from federation.models import InboxItem
from server.core import budget
from server.videos.models import Share, Video
from tests.federation.stranger import Server, dora
from tests.services import free_port
from tests.world import World

pytestmark = pytest.mark.django_db


def test_once() -> None:
    assert budget.once("a", 60)
    assert not budget.once("a", 60)
    assert budget.once("b", 60)


def test_spend() -> None:
    assert [budget.spend("a", per_minute_max=2) for _ in range(4)] == [True, True, False, False]
    assert budget.spend("b", per_minute_max=2)


def test_remember() -> None:
    assert not budget.is_remembered("a")
    budget.remember("a", 60)
    assert budget.is_remembered("a")


@pytest.fixture
def no_cache(settings: Any) -> None:
    """Redis is configured and away."""
    settings.REDIS_URL = f"redis://127.0.0.1:{free_port()}"
    settings.CACHES = {"default": {"BACKEND": "django.core.cache.backends.redis.RedisCache", "LOCATION": settings.REDIS_URL}}


def test_without_a_cache_everything_is_allowed(no_cache: None) -> None:
    for _ in range(3):
        assert budget.once("a", 60)
        assert budget.spend("a", per_minute_max=1)
        budget.remember("a", 60)
        assert not budget.is_remembered("a")


def test_without_a_cache_strangers_are_let_in_and_kept_out(no_cache: None, world: World, client: Client, server: Server) -> None:
    erin = server.person("erin")
    assert erin.request(erin.activity("Follow", world.alice.uri)).send(client).status_code == 202
    request = erin.request(erin.activity("Follow", world.alice.uri))
    request.headers["Signature"] = request.headers["Signature"].replace('signature="', 'signature="AAAA')
    assert request.send(client).status_code == 401


def test_nobody_points_us_at_a_victim(
    world: World, client: Client, server: Server, work: Callable[[], int], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Dora names five posts that we do not know; after the third the rest waits for another minute."""
    monkeypatch.setattr(trust, "FETCHES_PER_SERVER_AND_MINUTE_MAX", 3)
    frank = server.person("frank")
    for number in range(5):
        server.serve(frank.note(str(number))["id"], frank.note(str(number)))
        dora().request(dora().activity("Announce", frank.note(str(number))["id"])).send(client)
    work()
    assert (Video.objects.count(), Share.objects.count()) == (3, 3)
    assert InboxItem.objects.filter(state="received", error__contains="later").count() == 2
