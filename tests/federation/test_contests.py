"""Two histories of one identity: evidence, gossip, what waits, and what settles it. Everything arrives over HTTP."""

import json
from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest
from django.test import Client

from payouts import log as pen
from payouts.freezes import PayoutFrozen
from payouts.ledger.entries import Draft
from payouts.ledger.errors import LedgerError
from server.core import canonical, clock, limits
from server.core.models import Task
from server.identity import contests, keylog, queries, receipts, replicas, resolving
from server.identity.models import Fork, Identity, Watcher
from tests.federation.copies import ROOT, Grace
from tests.federation.stranger import Answer, Server
from tests.pure.identities import commit, key, public
from tests.world import World

pytestmark = pytest.mark.django_db
API = "/api/tributary/v1/identities"


@pytest.fixture
def grace(world: World) -> Grace:
    """Alice follows grace of peer.example."""
    made = Grace()
    made.followed_by(world.alice)
    return made


def post(client: Client, data: bytes) -> Any:
    return client.post(f"{ROOT}/log", data=data, content_type="text/jsonl")


def show(client: Client, data: bytes) -> Any:
    return client.post(f"{ROOT}/fork", data=data, content_type="application/json")


def is_contested(client: Client, grace: Grace) -> bool:
    return client.get(f"{API}/{grace.scid}").json()["contested"]


class Replica:
    """Another instance, played: its instance actor, and the receipts it gives for the entries it saw."""

    def __init__(self, server: Server, name: str) -> None:
        self.server, self.name, self.origin = server, name, server.url("", name)
        actor = f"{self.origin}/actor"
        method = {"id": f"{actor}#instance-1", "type": "Multikey", "controller": actor, "publicKeyMultibase": public(name)}
        server.serve(actor, {"id": actor, "assertionMethod": [method]})

    def receipt(self, scid: str, version_id: str, **changes: Any) -> dict[str, Any]:
        return receipts.make_receipt(
            **{
                "scid": scid, "version_id": version_id, "replica": self.origin,
                "verification_method": f"{self.origin}/actor#instance-1", "key": key(self.name), "now": clock.now(), **changes,
            }
        )  # fmt: skip

    def gives(self, *documents: dict[str, Any]) -> None:
        self.server.answers[self.server.host(self.name), f"{ROOT}/receipts?scid={documents[0]['scid']}"] = Answer(
            json.dumps(documents).encode(), content_type="application/json"
        )


# -- the evidence --------------------------------------------------------------------------------------------------------


def test_a_second_branch_is_refused_and_the_evidence_is_published(client: Client, grace: Grace) -> None:
    ours, theirs = grace.change("home-2"), grace.change("home-3")
    post(client, ours.data)
    assert client.get(f"{ROOT}/fork?scid={grace.scid}").json() == []
    assert not is_contested(client, grace)
    assert post(client, theirs.data).json()["code"] == "v15_fork"
    (evidence,) = client.get(f"{ROOT}/fork?scid={grace.scid}").json()
    # Whoever holds only the first entry checks it.
    found = keylog.check_fork(evidence, log=grace.log, now=clock.now())
    assert {json.loads(line)["versionId"] for line in (found.left, found.right)} == {
        ours.head.entry.version_id, theirs.head.entry.version_id,
    }  # fmt: skip
    assert is_contested(client, grace)
    # What is pinned is pinned, whatever follows on the other branch (V15).
    longer = grace.change("home-4", by="paper-2", after=theirs, at=grace.past + timedelta(days=2))
    assert post(client, longer.data).json()["code"] == "v15_fork"
    assert client.get(f"{ROOT}/log?scid={grace.scid}").content == ours.data
    assert len(client.get(f"{ROOT}/fork?scid={grace.scid}").json()) == 1


def test_a_fork_by_the_device_key_is_settled_by_the_paper_key(client: Client, grace: Grace) -> None:
    post(client, grace.change("home-2").data)
    assert post(client, grace.change("thief", by="device-1").data).json()["code"] == "v15_fork"
    assert len(client.get(f"{ROOT}/fork?scid={grace.scid}").json()) == 1
    assert not is_contested(client, grace)


def test_what_a_thief_was_first_with_stays_pinned_and_contested(client: Client, grace: Grace) -> None:
    stolen = grace.move("evil.example", by="device-1")
    post(client, stolen.data)
    assert post(client, grace.change("home-2").data).json()["code"] == "v15_fork"
    assert is_contested(client, grace)
    # The owner takes it back as n+2: the paper hash was carried along (V8b).
    back = keylog.move(
        stolen, home=grace.home("peer.example", "home-3"), key=key("paper-1"), next_keys=commit("paper-2"),
        now=grace.past + timedelta(days=3), loopback=True,
    )  # fmt: skip
    assert post(client, back.data).status_code == 200
    # Both branches hold an entry by index 0 now, and only receipts decide; from two instances.
    assert is_contested(client, grace)


def test_evidence_is_taken_from_anybody_and_judged_by_the_pinned_log(
    client: Client, grace: Grace, work: Callable[[], int]
) -> None:
    ours, theirs = grace.change("home-2"), grace.change("home-3")
    fork = keylog.find_fork(ours, theirs)
    assert fork is not None
    document = keylog.prove_fork(fork)
    good = canonical.jcs(document)
    assert show(client, good).status_code == 404
    post(client, grace.log.data)
    swapped = {**document, "left": document["right"], "right": document["left"]}
    forged = json.loads(good)
    forged["left"]["proof"][0]["proofValue"] = forged["right"]["proof"][0]["proofValue"]
    for body, status, code in [
        (canonical.jcs(swapped), 422, "v16_fork"),
        (canonical.jcs(forged), 422, "v6_proof"),
        (canonical.jcs({**document, "more": 1}), 422, "v16_fork"),
        (canonical.jcs({**document, "right": document["left"]}), 422, "v16_fork"),
        (b"{}", 422, "v16_fork"),
        (b"no", 422, "v16_fork"),
        (b"x" * (keylog.limits.EVIDENCE_BYTES_MAX + 1), 413, "too_large"),
    ]:
        answer = show(client, body)
        assert (answer.status_code, answer.json()["code"]) == (status, code), body[:80]
    assert not is_contested(client, grace)
    # Neither branch is pinned here: nothing can count yet.
    assert show(client, good).status_code == 202
    assert show(client, good).status_code == 202
    assert Fork.objects.count() == 1
    assert is_contested(client, grace)
    # Now one of them is, and the other is no better.
    assert post(client, ours.data).status_code == 200
    assert is_contested(client, grace)


def test_the_evidence_is_shown_once_to_the_home_and_all_we_know(
    client: Client, world: World, server: Server, work: Callable[[], int]
) -> None:
    grace = Grace("peer.localhost", port=server.port)
    grace.followed_by(world.alice)
    post(client, grace.log.data)
    Watcher.objects.create(origin=server.url("", "other"))
    shown: list[bytes] = []

    def take(request: Any) -> Answer:
        shown.append(request.body)
        return Answer(b"{}", 202, "application/json")

    for name in ("peer", "other"):
        server.answers[server.host(name), f"{ROOT}/fork"] = take
    post(client, grace.change("home-2").data)
    post(client, grace.change("home-3").data)
    work()
    assert shown == [bytes(Fork.objects.get().evidence)] * 2
    show(client, shown[0])
    work()
    assert len(shown) == 2


def test_a_silent_instance_is_shown_it_again_and_one_that_refuses_is_not(
    client: Client, world: World, server: Server, work: Callable[[], int]
) -> None:
    grace = Grace("peer.localhost", port=server.port)
    grace.followed_by(world.alice)
    post(client, grace.change("home-2").data)
    server.answers[server.host(), f"{ROOT}/fork"] = Answer(b"{}", 503, "application/json")
    post(client, grace.change("home-3").data)
    work()
    assert Task.objects.get(fact="ForkDue").attempts == 1
    server.answers[server.host(), f"{ROOT}/fork"] = Answer(b"{}", 404, "application/json")
    with clock.moved(timedelta(hours=1)):
        work()
    assert not Task.objects.filter(fact="ForkDue").exists()


def test_two_replicas_that_were_fed_two_branches_find_out_in_one_round(
    client: Client, world: World, server: Server, work: Callable[[], int]
) -> None:
    """The other replica is played: it was shown another entry 2 than we were."""
    grace = Grace("dead.localhost", port=server.port)
    grace.followed_by(world.alice)
    replica = server.url(ROOT, "replica")
    named = grace.names(replica)
    ours = grace.change("home-2", by="paper-2", after=named, at=grace.past + timedelta(days=2))
    theirs = grace.change("home-3", by="paper-2", after=named, at=grace.past + timedelta(days=2))
    post(client, ours.data)
    server.answers[server.host("replica"), f"{ROOT}/log?scid={grace.scid}"] = Answer(theirs.data, content_type="text/jsonl")
    shown: list[bytes] = []

    def take(request: Any) -> Answer:
        shown.append(request.body)
        return Answer(b"{}", 202, "application/json")

    server.answers[server.host("replica"), f"{ROOT}/fork"] = take
    resolving.check_silent_homes()
    work()
    assert is_contested(client, grace)
    # The replica holds its own branch, and takes what it was sent.
    (body,) = shown
    assert keylog.check_fork(json.loads(body), log=theirs, now=clock.now(), loopback=True).number == 3


def test_the_paper_key_takes_a_stolen_identity_back_at_any_time(client: Client, grace: Grace) -> None:
    """A11: the thief's entry stands, the owner appends to it; that is no fork, and every peer follows."""
    stolen = grace.move("evil.example", by="device-1")
    post(client, stolen.data)
    with clock.moved(timedelta(days=400)):
        back = keylog.move(
            stolen, home=grace.home("peer.example", "home-3"), key=key("paper-1"), next_keys=commit("paper-2"), now=clock.now(),
            loopback=True,
        )  # fmt: skip
        assert post(client, back.data).status_code == 200
    identity = Identity.objects.get(scid=grace.scid)
    assert (identity.home_origin, identity.head_number, identity.contested_at) == ("https://peer.example", 3, None)


# -- receipts settle -----------------------------------------------------------------------------------------------------


def test_receipts_of_two_instances_settle_what_the_keys_cannot(client: Client, world: World, server: Server) -> None:
    """A12: a spent paper key signs another entry n: refused where n was receipted, and the receipts say which came first."""
    grace = Grace()
    grace.followed_by(world.alice)
    ours, theirs = grace.change("home-2"), grace.change("home-3")
    post(client, ours.data)
    post(client, theirs.data)
    assert is_contested(client, grace)
    identity = Identity.objects.get(scid=grace.scid)
    first, second, third = (Replica(server, name) for name in ("first", "second", "third"))
    seen, other = ours.head.entry.version_id, theirs.head.entry.version_id
    first.gives(first.receipt(grace.scid, seen))
    assert replicas.collect_receipts(identity, first.origin) == 1
    assert is_contested(client, grace), "one instance is not enough"
    third.gives(third.receipt(grace.scid, other), third.receipt(grace.scid, seen))
    replicas.collect_receipts(identity, third.origin)
    assert is_contested(client, grace), "one against one; a replica speaks once"
    second.gives(second.receipt(grace.scid, seen))
    replicas.collect_receipts(identity, second.origin)
    # Two against one.
    assert not is_contested(client, grace)
    assert client.get(f"{ROOT}/log?scid={grace.scid}").content == ours.data
    assert len(client.get(f"{ROOT}/receipts?scid={grace.scid}").json()) == 5


def test_receipts_of_others_names_and_times_do_not_count(client: Client, world: World, grace: Grace, server: Server) -> None:
    ours = grace.change("home-2")
    post(client, ours.data)
    identity = Identity.objects.get(scid=grace.scid)
    honest, liar = Replica(server, "honest"), Replica(server, "liar")
    seen = ours.head.entry.version_id
    stranger = Grace("stranger.example")
    bad = [
        liar.receipt(grace.scid, seen, replica=honest.origin),
        liar.receipt(grace.scid, seen, key=key("charlie")),
        liar.receipt(grace.scid, seen, verification_method=f"{honest.origin}/actor#instance-1"),
        liar.receipt(grace.scid, seen, now=clock.now() + timedelta(hours=1)),
        liar.receipt(stranger.scid, stranger.log.head.entry.version_id),
        liar.receipt(grace.scid, "2-Qm" + "1" * 44),
        {**liar.receipt(grace.scid, seen), "more": 1},
    ]
    watcher = Watcher.objects.create(origin=liar.origin)
    for document in bad:
        with pytest.raises(receipts.ReceiptRefused):
            replicas.keep_receipt(identity, watcher, document)
    assert replicas.keep_receipt(identity, watcher, liar.receipt(grace.scid, seen)).version_id == seen


# -- what waits ----------------------------------------------------------------------------------------------------------


def pays(scid: str) -> None:
    pen.append([Draft("payout.intent", pen.make_id("payout", scid), {"scid": scid}, {})])


def test_no_payout_begins_to_a_contested_identity(client: Client, grace: Grace) -> None:
    post(client, grace.change("home-2").data)
    with pytest.raises(LedgerError):
        # Nothing is frozen: it is the draft that is wrong.
        pays(grace.scid)
    post(client, grace.change("home-3").data)
    with pytest.raises(PayoutFrozen, match="two histories"):
        pays(grace.scid)


def test_payouts_wait_to_the_second(client: Client, grace: Grace) -> None:
    post(client, grace.log.data)
    post(client, grace.change("home-2", by="device-1").data)
    until = Identity.objects.get(scid=grace.scid).payouts_frozen_until
    assert until is not None
    with clock.moved(until - timedelta(seconds=1) - clock.now()), pytest.raises(PayoutFrozen, match="wait until"):
        pays(grace.scid)
    with clock.moved(until - clock.now()), pytest.raises(LedgerError):
        pays(grace.scid)


def test_what_cannot_be_taken_back_waits_72_hours_and_for_two_receipts(client: Client, grace: Grace, server: Server) -> None:
    post(client, grace.log.data)
    ours = grace.change("home-2", by="device-1", at=grace.past + timedelta(days=1))
    post(client, ours.data)
    identity = Identity.objects.get(scid=grace.scid)
    # It counts from when we saw it: the entry says that it is nine days old.
    since = identity.lines.get(number=2).received_at
    assert queries.effects_held_until(grace.scid) == since + timedelta(hours=72)
    version_id = ours.head.entry.version_id
    for name in ("first", "second"):
        replica = Replica(server, name)
        replica.gives(replica.receipt(grace.scid, version_id))
        with clock.moved(since + timedelta(hours=72) - clock.now()), pytest.raises(queries.TooFewReceipts):
            queries.check_effects(grace.scid)
        replicas.collect_receipts(identity, replica.origin)
    with clock.moved(since + timedelta(hours=71, minutes=59, seconds=59) - clock.now()), pytest.raises(queries.EffectsHeld):
        queries.check_effects(grace.scid)
    with clock.moved(since + timedelta(hours=72) - clock.now()):
        queries.check_effects(grace.scid)
        # The paper key waits for nobody, but its entry must be seen too.
        paper = grace.change("home-3", by="paper-1", after=ours, at=clock.now())
        post(client, paper.data)
        assert queries.effects_held_until(grace.scid) is None
        with pytest.raises(queries.TooFewReceipts):
            queries.check_effects(grace.scid)


def test_a_contested_identity_does_nothing_that_cannot_be_taken_back(client: Client, grace: Grace) -> None:
    post(client, grace.change("home-2").data)
    post(client, grace.change("home-3").data)
    with pytest.raises(queries.Contested):
        queries.check_effects(grace.scid)
    with pytest.raises(queries.Contested):
        contests.require_uncontested(grace.scid)


def test_a_hundred_forks_are_enough(client: Client, grace: Grace, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(limits, "FORKS_COUNT_MAX", 2)
    post(client, grace.change("home-2").data)
    for name in ("home-3", "home-4", "home-5"):
        assert post(client, grace.change(name).data).json()["code"] == "v15_fork"
    assert Fork.objects.count() == 2
