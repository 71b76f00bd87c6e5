"""Outbox heads at the door: kept in their order, dated by us, and asked when a removed key claims to have signed long ago."""

import json
from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest
from django.test import Client

from server.core import clock
from server.identity import keylog, outbox_heads, queries, replicas
from server.identity.keylog.errors import V17Object
from server.identity.models import Copy, Identity, OutboxHead, Watcher
from tests.federation.copies import ROOT, Grace
from tests.federation.stranger import Answer, Server
from tests.pure.identities import key, public
from tests.world import World

pytestmark = pytest.mark.django_db


@pytest.fixture
def grace(world: World, client: Client) -> Grace:
    made = Grace()
    made.followed_by(world.alice)
    assert client.post(f"{ROOT}/log", data=made.log.data, content_type="text/jsonl").status_code == 200
    return made


def chain(
    log: keylog.PolicyLog, *notes: str, signer: str = "home-1", previous: dict[str, Any] | None = None
) -> list[dict[str, Any]]:
    made: list[dict[str, Any]] = []
    for note in notes:
        previous = keylog.make_head(log, previous=previous, document={"note": note}, key=key(signer), now=clock.now())
        made.append(previous)
    return made


def send(client: Client, grace: Grace, heads: list[dict[str, Any]]) -> Any:
    return client.post(f"{ROOT}/heads?scid={grace.scid}", data=json.dumps({"heads": heads}), content_type="application/json")


def test_heads_are_taken_in_order_and_handed_out(client: Client, grace: Grace) -> None:
    heads = chain(grace.log, "one", "two", "three")
    assert send(client, grace, heads[:2]).json() == {"seq": 2}
    assert send(client, grace, heads).json() == {"seq": 3}
    assert client.get(f"{ROOT}/heads?scid={grace.scid}").json() == {"heads": heads}
    assert client.get(f"{ROOT}/heads?scid={grace.scid}&after=2").json() == {"heads": heads[2:]}
    assert outbox_heads.newest_head(grace.scid) == heads[-1]


def test_each_bad_head_is_refused_by_its_name_and_those_before_it_stay(client: Client, grace: Grace) -> None:
    one, two, three, four = chain(grace.log, "one", "two", "three", "four")
    (other,) = chain(grace.log, "other", previous=one)
    (stolen,) = chain(Grace("other.example").log, "stolen")
    for heads, status, code, kept in [
        ([one, {**two, "object": "0" * 64}], 422, "head_key", 1),
        ([two, four], 422, "head_gap", 2),
        ([other], 422, "head_fork", 2),
        ([{**three, "v": 2}], 422, "head_form", 2),
        ([{**three, "more": 1}], 422, "head_form", 2),
        ([stolen], 404, "not_found", 2),
    ]:
        answer = send(client, grace, heads)
        assert (answer.status_code, answer.json()["code"]) == (status, code)
        assert OutboxHead.objects.count() == kept, code
    assert send(client, grace, [three, four]).json() == {"seq": 4}


def test_what_is_no_list_of_heads_is_refused(client: Client, grace: Grace) -> None:
    for body in (b"", b"[]", b'{"heads":{}}', b'{"heads":[1]}', b'{"heads":[' + b",".join([b"{}"] * 501) + b"]}"):
        assert client.post(f"{ROOT}/heads?scid={grace.scid}", data=body, content_type="application/json").status_code == 422
    assert client.get(f"{ROOT}/heads?scid={grace.scid}&after=-1").status_code == 422
    unknown = Grace("other.example").scid
    assert client.get(f"{ROOT}/heads?scid={unknown}").status_code == 404


def test_a_stolen_home_key_cannot_date_a_forgery_back(client: Client, grace: Grace) -> None:
    (honest,) = chain(grace.log, "honest")
    send(client, grace, [honest])
    identity = Identity.objects.get(scid=grace.scid)
    removed = grace.change("home-2", at=clock.now() + timedelta(seconds=60))
    created = clock.now()
    with clock.moved(timedelta(seconds=120)):
        client.post(f"{ROOT}/log", data=removed.data, content_type="text/jsonl")
        removal = removed.head.entry.time
        # What the thief signs with the old key, dated back, is covered by no head from before; and no new head takes it.
        digest = keylog.digest_of({"note": "forged"})
        (late,) = chain(grace.log, "forged", previous=honest)
        assert send(client, grace, [late]).json()["code"] == "head_key"
        with pytest.raises(V17Object):
            queries.check_covered(identity, key=public("home-1"), created=created, digest=digest)
        assert not queries.was_covered_before(identity, digest, removal)
        said = keylog.digest_of({"note": "honest"})
        assert queries.was_covered_before(identity, said, removal)
        assert not queries.was_covered_before(identity, said, OutboxHead.objects.get().seen_at)
        assert queries.check_covered(identity, key=public("home-1"), created=created, digest=said).entry.number == 1


def test_our_heads_go_to_whoever_keeps_a_copy_at_most_every_ten_minutes(
    client: Client, world: World, server: Server, work: Callable[[], int]
) -> None:
    identity = queries.by_scid(world.alice.scid)
    watcher = Watcher.objects.create(origin=server.url("", "replica"))
    copy = Copy.objects.create(identity=identity, watcher=watcher, receipt_at=clock.now(), version_id=identity.head_version_id)
    taken: list[list[int]] = []

    def take(request: Any) -> Answer:
        heads = json.loads(request.body)["heads"]
        taken.append([head["seq"] for head in heads])
        return Answer(json.dumps({"seq": heads[-1]["seq"]}).encode(), content_type="application/json")

    server.answers[server.host("replica"), f"{ROOT}/heads?scid={identity.scid}"] = take
    log, home_key = queries.log_of(identity), world.alice.keys.get(name="home-1")
    from nacl.signing import SigningKey

    from server.core import keys

    def say(note: str) -> None:
        outbox_heads.accept_head(
            keylog.make_head(
                log, previous=outbox_heads.newest_head(identity.scid), document={"note": note},
                key=SigningKey(keys.unseal(bytes(home_key.private_sealed))), now=clock.now(),
            )
        )  # fmt: skip

    assert replicas.due_heads() == 0
    say("one")
    say("two")
    assert replicas.due_heads() == 1
    work()
    say("three")
    assert replicas.due_heads() == 0
    copy.refresh_from_db()
    assert copy.head_seq == 2
    since = copy.heads_at
    assert since is not None
    with clock.moved(since + timedelta(seconds=599) - clock.now()):
        assert replicas.due_heads() == 0
    with clock.moved(since + timedelta(seconds=600) - clock.now()):
        assert replicas.due_heads() == 1
        work()
    assert taken == [[1, 2], [3]]


def test_the_home_is_asked_for_heads_that_we_lack(world: World, client: Client, server: Server) -> None:
    grace = Grace("peer.localhost", port=server.port)
    grace.followed_by(world.alice)
    client.post(f"{ROOT}/log", data=grace.log.data, content_type="text/jsonl")
    heads = chain(grace.log, "one", "two")
    server.serve(server.url(f"{ROOT}/heads?scid={grace.scid}&after=0"), {"heads": heads}, content_type="application/json")
    identity = Identity.objects.get(scid=grace.scid)
    assert replicas.pull_heads(identity) == 2
    assert replicas.pull_heads(identity) == 2, "asked once in ten minutes"
    assert len(server.gets(f"{ROOT}/heads")) == 1
