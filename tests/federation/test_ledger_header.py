"""The ``Ledger-Checkpoint`` header: on every delivery that leaves, and heard from every delivery that is let in."""

import base64
from collections.abc import Iterator

import pytest
from django.db import transaction
from django.test import Client

from federation import delivery, translate
from federation.models import Delivery, InboxItem
from payouts import discovery, log, peers, store
from payouts.models import HeardNote
from payouts.queries import describe_ledger
from server.core import limits, worker
from server.core.models import Task
from tests.federation.stranger import Server, dora
from tests.payouts.neighbour import Neighbour
from tests.payouts.test_room_peers import followed, grow, pinned
from tests.world import World

pytestmark = pytest.mark.django_db
HEADER = "Ledger-Checkpoint"


@pytest.fixture
def neighbour() -> Iterator[Neighbour]:
    it = Neighbour()
    yield it
    it.close()


def deliver(world: World, server: Server, number: int) -> str | None:
    activity = {"id": f"{world.alice.uri}/posts/{number}/activity", "type": "Create", "actor": world.alice.uri, "object": "x"}
    with transaction.atomic():
        delivery.enqueue(activity=activity, sender=world.alice, inboxes=[server.url("/inbox")])
    delivery.send_due()
    assert Delivery.objects.filter(state="delivered").count() == number
    return {name.lower(): value for name, value in server.posts()[-1].headers.items()}.get(HEADER.lower())


def test_every_delivery_carries_our_newest_checkpoint(world: World, server: Server) -> None:
    from tests.federation.stranger import Answer

    server.answers[server.host(), "/inbox"] = Answer(b"", 202, "text/html", {})
    assert deliver(world, server, 1) is None
    log.begin_log()
    value = deliver(world, server, 2)
    assert value is not None
    assert base64.b64decode(value) == store.published_checkpoint()
    assert len(value) <= limits.CHECKPOINT_HEADER_BYTES_MAX


def test_what_a_delivery_says_of_a_ledger_is_judged_by_a_worker(world: World, client: Client, neighbour: Neighbour) -> None:
    peer = followed(neighbour, "one")
    grow(neighbour, "two")
    neighbour.asked.clear()
    request = dora().request(dora().activity("Follow", world.alice.uri))
    request.headers[HEADER] = base64.b64encode(neighbour.checkpoint()).decode()
    assert request.send(client).status_code == 202
    assert neighbour.asked == [], "the inbox asks nobody"
    assert HeardNote.objects.get().source == "peer.example"
    assert pinned(peer)[0] == 2
    worker.work("ledger")
    assert pinned(peer)[0] == 3


@pytest.mark.parametrize("value", ["nonsense", "AAAA", "A" * 9000, "=", "Zm9v\u00e9"])
def test_a_bad_header_costs_nobody_the_activity(world: World, client: Client, neighbour: Neighbour, value: str) -> None:
    followed(neighbour, "one")
    request = dora().request(dora().activity("Follow", world.alice.uri))
    request.headers[HEADER] = value
    assert request.send(client).status_code == 202
    assert InboxItem.objects.count() == 1
    assert not HeardNote.objects.exists()


def test_who_is_not_let_in_is_not_heard(world: World, client: Client, neighbour: Neighbour) -> None:
    followed(neighbour, "one")
    grow(neighbour, "two")
    request = dora().request(dora().activity("Follow", world.alice.uri))
    request.headers[HEADER] = base64.b64encode(neighbour.checkpoint()).decode()
    request.body = request.body + b" "
    assert request.send(client).status_code == 401
    assert not HeardNote.objects.exists()
    assert not Task.objects.filter(fact="NoteHeard").exists()


@pytest.mark.parametrize("tells", ["nodeinfo", "actor"])
def test_a_ledger_is_found_through_nodeinfo_or_the_instance_actor(neighbour: Neighbour, tells: str) -> None:
    neighbour.tells = tells
    assert peers.follow_log(instance_origin=neighbour.origin).origin == neighbour.instance.origin


def test_an_instance_that_tells_nothing_has_no_ledger(neighbour: Neighbour) -> None:
    neighbour.tells = "nowhere"
    with pytest.raises(discovery.NoLedger):
        peers.follow_log(instance_origin=neighbour.origin)


def test_our_own_actor_says_where_our_ledger_is(world: World) -> None:
    assert "ledger" not in translate.instance_actor()
    log.begin_log()
    assert translate.instance_actor()["ledger"] == describe_ledger()
    assert set(translate.instance_actor()["ledger"]) == {"origin", "url", "vkey"}
