"""Copies of our people's logs at other instances: handed over, receipted, tried again, named in the log. The others are played."""

import json
from collections.abc import Callable
from datetime import timedelta
from typing import Any
from urllib.parse import parse_qs, quote, urlsplit

import pytest
from django.test import Client
from nacl.signing import SigningKey

from server.core import clock, limits
from server.core.errors import NotFound, WrongState
from server.core.models import Task
from server.identity import actions, keylog, queries, replicas, watcher_client
from server.identity.facts import IdentityChanged
from server.identity.models import Copy, CustodyKey, Identity, Watcher
from tests.federation.copies import ROOT
from tests.federation.stranger import Answer, Received, Server
from tests.federation.test_contests import Replica
from tests.world import World

pytestmark = pytest.mark.django_db


class Keeper(Replica):
    """A replica that takes logs, and gives a receipt for the newest entry of each."""

    def __init__(self, server: Server, name: str) -> None:
        super().__init__(server, name)
        self.taken: list[bytes] = []
        self.refusal: tuple[int, str] | None = None
        self.spoilt: dict[str, Any] = {}
        self.watcher = Watcher.objects.create(origin=self.origin)

    def keeps(self, scid: str, did: str) -> "Keeper":
        self.server.answers[self.server.host(self.name), f"{ROOT}/log?did={quote(did)}"] = self.take
        return self

    def take(self, request: Received) -> Answer:
        if self.refusal is not None:
            status, code = self.refusal
            return Answer(json.dumps({"code": code}).encode(), status, "application/problem+json")
        self.taken.append(request.body)
        newest = json.loads(request.body.splitlines()[-1])
        scid = parse_qs(urlsplit(request.path).query)["did"][0].split(":")[2]
        receipt = self.receipt(**{"scid": scid, "version_id": newest["versionId"], **self.spoilt})
        return Answer(json.dumps(receipt).encode(), content_type="application/json")


@pytest.fixture
def alice(world: World) -> Identity:
    Identity.objects.exclude(pk=world.alice.scid).delete()
    Task.objects.all().delete()
    return queries.by_scid(world.alice.scid)


@pytest.fixture
def keeper(server: Server, alice: Identity) -> Keeper:
    return Keeper(server, "keeper").keeps(alice.scid, alice.did)


def spread(identity: Identity, work: Callable[[], int]) -> None:
    replicas.spread(IdentityChanged(scid=identity.scid, version_id=identity.head_version_id))
    work()


def test_a_new_entry_goes_to_who_keeps_copies_and_the_receipt_is_kept(
    client: Client, alice: Identity, keeper: Keeper, work: Callable[[], int]
) -> None:
    spread(alice, work)
    assert keeper.taken == [queries.log_bytes(alice)]
    copy = Copy.objects.get()
    assert (copy.version_id, copy.error) == (alice.head_version_id, "")
    assert copy.receipt_at is not None
    shown = client.get(f"{ROOT}/receipts?scid={alice.scid}").json()
    assert {one["replica"] for one in shown} == {"http://localhost:8000", keeper.origin}
    (told,) = queries.replicas_of(alice)
    assert (told.origin, told.version, told.is_named, told.error) == (keeper.origin, 1, False, "")


@pytest.mark.parametrize(
    "spoilt", [{"replica": "https://other.example"}, {"version_id": "1-Qm" + "1" * 44}, {"now": clock.now() + timedelta(hours=1)}]
)
def test_a_false_receipt_is_no_receipt(alice: Identity, keeper: Keeper, work: Callable[[], int], spoilt: dict[str, Any]) -> None:
    keeper.spoilt = spoilt
    spread(alice, work)
    copy = Copy.objects.get()
    assert (copy.version_id, copy.receipt_at) == ("", None)
    assert copy.error.startswith("receipt")
    assert not alice.receipts.filter(replica=keeper.origin).exists()


def test_a_key_that_changed_is_asked_for_again(alice: Identity, keeper: Keeper, work: Callable[[], int]) -> None:
    Watcher.objects.update(instance_key=keylog.multikey_of(SigningKey.generate()))
    spread(alice, work)
    assert Copy.objects.get().version_id == alice.head_version_id


def test_who_is_away_is_tried_again(alice: Identity, keeper: Keeper, work: Callable[[], int]) -> None:
    keeper.refusal = (503, "unavailable")
    spread(alice, work)
    assert Task.objects.get(fact="CopyDue").attempts == 1
    assert Copy.objects.get().error.startswith("unavailable")
    keeper.refusal = None
    with clock.moved(timedelta(minutes=5)):
        work()
    assert Copy.objects.get().version_id == alice.head_version_id
    assert not Task.objects.filter(fact="CopyDue").exists()


def test_who_refuses_is_asked_again_after_a_day(alice: Identity, keeper: Keeper, work: Callable[[], int]) -> None:
    keeper.refusal = (403, "not_wanted")
    spread(alice, work)
    assert not Task.objects.filter(fact="CopyDue").exists()
    assert "not_wanted" in Copy.objects.get().error
    keeper.refusal = None
    for hours, held in [(23, 0), (25, 1)]:
        with clock.moved(timedelta(hours=hours)):
            replicas.tend()
            work()
            assert len(keeper.taken) == held


def test_a_replica_that_holds_another_branch_leaves_evidence(alice: Identity, keeper: Keeper, work: Callable[[], int]) -> None:
    log = queries.log_of(alice)
    root = actions.open_key(actions._committed_root(alice, log))
    rival = keylog.name_replicas(log, replicas=["https://evil.example"], key=root, next_keys=[], now=clock.now(), loopback=True)
    ours = keylog.name_replicas(log, replicas=["https://good.example"], key=root, next_keys=[], now=clock.now(), loopback=True)
    actions.accept_log(data=ours.data)
    keeper.refusal = (422, "v15_fork")
    keeper.server.answers[keeper.server.host(keeper.name), f"{ROOT}/log?scid={alice.scid}"] = Answer(rival.data)
    work()
    alice.refresh_from_db()
    assert alice.contested_at is not None
    assert alice.forks.get().source == keeper.origin


# -- who is asked --------------------------------------------------------------------------------------------------------


def test_the_administrators_choice_comes_before_those_we_happen_to_know(settings: Any, alice: Identity) -> None:
    for number in range(8):
        Watcher.objects.create(origin=f"https://known{number}.example")
    assert len(replicas.default_origins()) == limits.REPLICAS_COUNT_MAX
    Watcher.objects.filter(origin="https://known7.example").update(is_chosen=True)
    assert replicas.default_origins() == ["https://known7.example"]
    settings.REPLICAS = ["https://listed.example"]
    assert replicas.default_origins() == ["https://listed.example", "https://known7.example"]
    assert [watcher.origin for watcher in replicas.targets(alice)] == replicas.default_origins()


def test_a_peer_that_runs_this_software_is_known_by_its_nodeinfo(server: Server, db: None) -> None:
    from federation.fetch import learn_software
    from federation.models import Peer

    for name, software in [("ours", "tributary"), ("other", "mastodon")]:
        link = {"rel": "http://nodeinfo.diaspora.software/ns/schema/2.1", "href": server.url("/nodeinfo/2.1", name)}
        server.serve(server.url("/.well-known/nodeinfo", name), {"links": [link]}, content_type="application/json")
        server.serve(link["href"], {"software": {"name": software, "version": "1"}}, content_type="application/json")
        learn_software(Peer.objects.create(host=server.host(name)), server.url("", name))
    assert list(Watcher.objects.values_list("origin", flat=True)) == [server.url("", "ours")]


# -- the log names them --------------------------------------------------------------------------------------------------


def test_who_gave_a_receipt_is_named_in_the_log(alice: Identity, keeper: Keeper, work: Callable[[], int]) -> None:
    spread(alice, work)
    replicas.tend()
    work()
    alice.refresh_from_db()
    assert alice.head_number == 2
    log, document = queries.log_of(alice), queries.document_of(alice)
    assert document.replicas == (f"{keeper.origin}{ROOT}",)
    assert log.head.parameters.watchers == document.replicas
    assert log.head.entry.state["service"][1]["id"].endswith("#replica-1")
    # The spent key is gone, the next one is held, and nothing froze.
    assert CustodyKey.objects.filter(identity=alice, role="root").count() == 1
    assert alice.payouts_frozen_until is None
    # The entry that names it went to it too, and no further one follows.
    assert len(keeper.taken) == 2
    with clock.moved(timedelta(days=2)):
        replicas.tend()
    assert Identity.objects.get(pk=alice.pk).head_number == 2
    assert queries.replicas_of(alice)[0].is_named


def test_a_second_replica_is_named_after_a_day(server: Server, alice: Identity, keeper: Keeper, work: Callable[[], int]) -> None:
    spread(alice, work)
    replicas.tend()
    work()
    Keeper(server, "second").keeps(alice.scid, alice.did)
    with clock.moved(timedelta(days=1, hours=-1)):
        Identity.objects.update(tended_at=None)
        replicas.tend()
        work()
        replicas.tend()
        assert len(queries.document_of(Identity.objects.get(pk=alice.pk)).replicas) == 1
    with clock.moved(timedelta(days=1, hours=1)):
        Identity.objects.update(tended_at=None)
        replicas.tend()
        named = queries.document_of(Identity.objects.get(pk=alice.pk)).replicas
    assert [endpoint.removesuffix(ROOT) for endpoint in named] == [keeper.origin, server.url("", "second")]


def test_a_replica_that_is_lost_for_a_week_is_named_no_more(
    server: Server, alice: Identity, keeper: Keeper, work: Callable[[], int]
) -> None:
    second = Keeper(server, "second").keeps(alice.scid, alice.did)
    spread(alice, work)
    replicas.tend()
    work()
    assert len(queries.document_of(Identity.objects.get(pk=alice.pk)).replicas) == 2
    Copy.objects.filter(watcher=second.watcher).update(error="unreachable: gone")
    for days, named in [(6, 2), (8, 1)]:
        with clock.moved(timedelta(days=days)):
            Watcher.objects.filter(origin=keeper.origin).update(answered_at=clock.now())
            Identity.objects.update(tended_at=None)
            replicas.tend()
            assert len(queries.document_of(Identity.objects.get(pk=alice.pk)).replicas) == named


def test_a_key_that_signed_a_move_names_nobody(alice: Identity, keeper: Keeper, work: Callable[[], int], settings: Any) -> None:
    """Two entries by one key would be a fork, of our own making."""
    spread(alice, work)
    offer = actions.offer_home(
        scid=alice.scid,
        handle="alice",
        actor_uri="http://localhost:8000/users/alice",
        home_key=keylog.multikey_of(SigningKey.generate()),
    )
    actions.sign_move(identity=alice, offer=offer)
    with pytest.raises(WrongState, match="signed a move"):
        actions.name_replicas(identity=alice, origins=[keeper.origin])
    replicas.tend()
    assert Identity.objects.get(pk=alice.pk).head_number == 1


def test_who_holds_her_own_keys_names_them_herself(alice: Identity, keeper: Keeper, work: Callable[[], int]) -> None:
    spread(alice, work)
    CustodyKey.objects.all().delete()
    replicas.tend()
    assert Identity.objects.get(pk=alice.pk).head_number == 1


def test_an_identity_that_left_is_not_handed_on_by_us(alice: Identity, keeper: Keeper, work: Callable[[], int]) -> None:
    Identity.objects.filter(pk=alice.pk).update(is_home=False)
    spread(alice, work)
    assert not keeper.taken


def test_no_address_literal_is_spoken_to() -> None:
    from server.core.hosts import BadAddress

    for origin in ("https://127.0.0.1", "https://[::1]", "https://2130706433", "https://93.184.216.34", "https://0x7f.1"):
        with pytest.raises(BadAddress):
            watcher_client.fetch(f"{origin}{ROOT}/log?scid=x", size_bytes_max=10)


def test_what_a_replica_answers_is_believed_by_nobody(server: Server, alice: Identity) -> None:
    watcher = Watcher.objects.create(origin=server.url("", "odd"))
    for body in (b"", b"[]", b"{}", b'{"assertionMethod":[{}]}', b'{"assertionMethod":[{"id":"x"}]}', b"\xff"):
        server.answers[server.host("odd"), "/actor"] = Answer(body)
        with pytest.raises(watcher_client.NoInstanceKey):
            replicas.keep_receipt(alice, watcher, {})
    server.answers[server.host("odd"), f"{ROOT}/receipts?scid={alice.scid}"] = Answer(b'{"a":1}')
    assert replicas.collect_receipts(alice, watcher.origin) == 0
    with pytest.raises(NotFound):
        replicas.collect_receipts(alice, server.url("", "nobody"))
