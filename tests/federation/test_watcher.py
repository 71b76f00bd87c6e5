"""The watcher's door: whose logs are kept, what is refused by which rule, receipts, deletion. Everything over HTTP."""

import re
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path
from typing import Any
from urllib.parse import quote

import pytest
import yaml
from django.conf import settings as django_settings
from django.core.cache import cache
from django.test import Client

from server.core import clock, limits
from server.identity import actions, keylog, queries, receipts
from server.identity.models import Identity, KeyLogLine, Tombstone
from tests.federation.copies import ROOT, Grace, instance_key, presentation
from tests.federation.stranger import Answer, Server
from tests.pure.identities import approvals, by_hand, commit, key, public
from tests.world import World

pytestmark = pytest.mark.django_db
SPECIFICATION = Path(__file__).parent.parent / "vectors/identity/didwebvh-schema/watcher-v1.0.0.yml"


def post(client: Client, data: bytes, path: str = "log", content_type: str = "text/jsonl") -> Any:
    return client.post(f"{ROOT}/{path}", data=data, content_type=content_type)


def refused(answer: Any, status: int, code: str) -> None:
    assert (answer.status_code, answer.json()["code"]) == (status, code), answer.content


@pytest.fixture
def grace(world: World) -> Grace:
    """Alice follows grace of peer.example."""
    made = Grace()
    made.followed_by(world.alice)
    return made


def test_a_log_that_nobody_asked_for_is_not_kept(client: Client, world: World) -> None:
    stranger = Grace("stranger.example")
    refused(post(client, stranger.log.data), 403, "not_wanted")
    # A remote follower is nobody here.
    stranger.followed_by(world.dora)
    refused(post(client, stranger.log.data), 403, "not_wanted")
    assert not Identity.objects.filter(scid=stranger.scid).exists()


def test_the_log_of_whom_somebody_here_follows_is_kept_served_and_receipted(client: Client, grace: Grace) -> None:
    before = clock.now() - timedelta(seconds=1)
    answer = post(client, grace.log.data, f"log?did={grace.log.did.text}")
    assert answer.status_code == 200, answer.content
    actor = client.get("/actor").json()
    receipt = receipts.verify_receipt(
        answer.json(), replica=django_settings.ORIGIN, verification_method=f"{actor['id']}#instance-1",
        public=instance_key(actor), now=clock.now(),
    )  # fmt: skip
    assert (receipt.scid, receipt.version_id) == (grace.scid, grace.log.head.entry.version_id)
    assert before <= receipt.first_seen <= clock.now()
    served = client.get(f"{ROOT}/log?scid={grace.scid}")
    assert (served.status_code, served.content) == (200, grace.log.data)
    assert served["Content-Type"] == "text/jsonl"
    assert served["Access-Control-Allow-Origin"] == "*"
    again = client.get(f"{ROOT}/log?scid={grace.scid}", headers={"If-None-Match": served["ETag"]})
    assert (again.status_code, again.content) == (304, b"")
    assert client.get(f"{ROOT}/receipts?scid={grace.scid}").json() == [answer.json()]


def test_posted_twice_the_receipt_is_the_same(client: Client, grace: Grace) -> None:
    first = post(client, grace.log.data).json()
    with clock.moved(timedelta(hours=1)):
        assert post(client, grace.log.data).json() == first
        longer = grace.change("home-2")
        second = post(client, longer.data).json()
    assert second["versionId"] == longer.head.entry.version_id
    assert second["proof"]["created"] > first["proof"]["created"]
    assert client.get(f"{ROOT}/receipts?scid={grace.scid}").json() == [first, second]


def test_each_kind_of_bad_log_is_refused_by_its_rule(client: Client, grace: Grace) -> None:
    longer = grace.change("home-2")
    assert post(client, longer.data).status_code == 200
    lines = longer.data.split(b"\n")
    forged = lines[0] + b"\n" + lines[1].replace(b'"ActivityPubActor"', b'"ActivityPubActoR"') + b"\n"
    thief = keylog.rotate_home(
        grace.log, home_key=keylog.multikey_of(key("thief")), key=key("device-1"), next_keys=[], now=grace.past + timedelta(days=2),
        loopback=True,
    )  # fmt: skip
    evicts = by_hand(
        grace.log, signer="device-1", time=clock.iso(grace.past + timedelta(days=2)),
        updateKeys=[public("device-1")], nextKeyHashes=commit("device-2"),
    )  # fmt: skip
    for data, code in [
        (grace.log.data, "v15_stale"),
        (forged, "v4_entry_hash"),
        (lines[0] + b"\n" + re.sub(rb'("proofValue":"z)...', rb"\g<1>111", lines[1]), "v6_proof"),
        (grace.change("home-3").data, "v15_fork"),
        (thief.data, "v15_fork"),
        (lines[0] + b"\n" + evicts, "v8b_carry_over"),
        (b"no log", "v1_form"),
        (Grace("other.example").log.data.split(b"\n")[0] + b"\n" + lines[1], "not_wanted"),
    ]:
        answer = post(client, data)
        assert answer.status_code in (403, 422), (code, answer.content)
        assert answer.json()["code"] == code, (code, answer.content)
    assert client.get(f"{ROOT}/log?scid={grace.scid}").content == longer.data


def test_another_identity_than_the_one_announced_is_refused(client: Client, grace: Grace) -> None:
    other = Grace("other.example").log.did.text
    refused(post(client, grace.log.data, f"log?did={other}"), 422, "v14_requested")
    refused(post(client, grace.log.data, "log?did=did:webvh:nonsense:127.0.0.1"), 422, "v9_did")


def test_what_is_no_log_and_what_is_too_much(client: Client, grace: Grace, settings: Any) -> None:
    refused(post(client, grace.log.data, content_type="application/json"), 422, "invalid")
    refused(post(client, b"{" + b"x" * keylog.HARD.bytes_max), 413, "too_large")
    refused(post(client, b""), 422, "invalid")
    refused(client.get(f"{ROOT}/log?scid=Qm"), 400, "bad_scid")
    refused(client.get(f"{ROOT}/log"), 400, "bad_scid")
    refused(client.get(f"{ROOT}/log?scid={grace.scid}"), 404, "not_found")
    refused(client.get(f"{ROOT}/receipts?scid={grace.scid}"), 404, "not_found")
    assert client.delete(f"{ROOT}/log?scid={grace.scid}").status_code == 405


def test_strangers_are_counted(client: Client, grace: Grace, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(limits, "COPY_POSTS_PER_ADDRESS_PER_MINUTE_MAX", 3)
    answers = [post(client, grace.log.data).status_code for _ in range(4)]
    assert answers == [200, 200, 200, 429]


def test_one_identity_is_counted_too(client: Client, grace: Grace, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(limits, "COPY_POSTS_PER_IDENTITY_PER_MINUTE_MAX", 1)
    assert post(client, grace.log.data).status_code == 200
    refused(post(client, grace.log.data), 429, "too_often")


def test_without_room_nothing_new_is_kept_but_what_is_kept_may_grow(
    client: Client, grace: Grace, world: World, settings: Any
) -> None:
    assert post(client, grace.log.data).status_code == 200
    settings.REPLICA_BYTES_MAX = 1
    cache.delete("replica-bytes")  # it is weighed once a minute
    other = Grace("other.example")
    other.followed_by(world.alice)
    refused(post(client, other.log.data), 507, "quota_full")
    assert post(client, grace.change("home-2").data).status_code == 200
    assert Identity.objects.get(scid=grace.scid).log_bytes == len(grace.change("home-2").data)


def test_one_home_cannot_take_all_the_room(client: Client, world: World, grace: Grace, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(limits, "COPIES_PER_HOME_MAX", 1)
    assert post(client, grace.log.data).status_code == 200
    second = Grace(past=timedelta(days=11))
    second.followed_by(world.alice).__class__.objects.filter(uri__endswith="grace").update(scid=second.scid)
    refused(post(client, second.log.data), 507, "quota_full")
    elsewhere = Grace("other.example")
    elsewhere.followed_by(world.alice)
    assert post(client, elsewhere.log.data).status_code == 200


def test_nobody_comes_to_live_here_by_a_copy(client: Client, world: World) -> None:
    here = Grace("localhost", port=8000)
    here.followed_by(world.alice)
    refused(post(client, here.log.data), 403, "not_wanted")


def test_a_log_of_ours_is_served_and_may_be_brought_by_anyone(client: Client, world: World) -> None:
    scid = world.alice.scid
    log = queries.log_of(queries.by_scid(scid))
    assert client.get(f"{ROOT}/log?scid={scid}").content == log.data
    assert post(client, log.data).json()["versionId"] == log.head.entry.version_id


def test_word_without_a_log_makes_us_fetch_it(client: Client, world: World, server: Server, work: Callable[[], int]) -> None:
    grace = Grace("peer.localhost", port=server.port)
    word = f"log?did={quote(grace.log.did.text)}"
    refused(post(client, b"", word), 403, "not_wanted")
    grace.followed_by(world.alice)
    assert post(client, b"", word).status_code == 202
    refused(post(client, b"", word), 429, "too_often")
    server.answers[server.host(), "/u/grace/did.jsonl"] = Answer(grace.log.data, content_type="text/jsonl")
    work()
    assert client.get(f"{ROOT}/log?scid={grace.scid}").content == grace.log.data


def delete(client: Client, grace: Grace, signer: str, **changes: Any) -> Any:
    given = {"challenge": grace.scid, "domain": django_settings.ORIGIN, "at": clock.now(), **changes}
    return post(client, presentation(key(signer), **given), f"log/delete?scid={grace.scid}", "application/json")


def test_the_owner_has_her_copy_deleted_and_for_thirty_days_nobody_brings_it_back(client: Client, grace: Grace) -> None:
    longer = grace.change("home-2")
    post(client, longer.data)
    assert delete(client, grace, "paper-1").status_code == 202
    assert not KeyLogLine.objects.filter(identity_id=grace.scid).exists()
    refused(client.get(f"{ROOT}/log?scid={grace.scid}"), 410, "tombstoned")
    until = Tombstone.objects.get(scid=grace.scid).until
    for moment, status in [(until - timedelta(seconds=1), 410), (until, 200)]:
        with clock.moved(moment - clock.now()):
            if status == 200:
                # The pin outlives the copy.
                refused(post(client, grace.log.data), 422, "v15_stale")
                refused(post(client, grace.change("home-3").data), 422, "v15_fork")
            assert post(client, longer.data).status_code == status


@pytest.mark.parametrize(
    ("signer", "changes"),
    [
        ("root-1", {}),  # spent: the key of an older entry
        ("user-1", {}),
        ("charlie", {}),
        ("paper-1", {"challenge": "Qm" + "1" * 44}),
        ("paper-1", {"domain": "https://other.example"}),
        ("paper-1", {"proofPurpose": "assertionMethod"}),
        ("paper-1", {"at": clock.now() - timedelta(seconds=400)}),
    ],
)
def test_nobody_else_has_it_deleted(client: Client, grace: Grace, signer: str, changes: dict[str, Any]) -> None:
    post(client, grace.change("home-2").data)
    refused(delete(client, grace, signer, **changes), 403, "not_allowed")
    assert client.get(f"{ROOT}/log?scid={grace.scid}").status_code == 200


def test_a_device_key_has_nothing_deleted(client: Client, grace: Grace) -> None:
    post(client, grace.change("home-2", by="device-1").data)
    refused(delete(client, grace, "device-1"), 403, "not_allowed")


def test_what_is_needed_here_is_not_deleted(client: Client, world: World, grace: Grace, monkeypatch: pytest.MonkeyPatch) -> None:
    from payouts.models import AccountHead

    post(client, grace.change("home-2").data)
    owed = AccountHead.objects.create(scid=grace.scid, currency="EUR", seq=1, leaf="", balance=1, held=0, unclaimed=0)
    refused(delete(client, grace, "paper-1"), 409, "wrong_state")
    owed.delete()
    Identity.objects.filter(scid=grace.scid).update(is_home=True)
    refused(delete(client, grace, "paper-1"), 409, "wrong_state")


def test_a_presentation_of_another_shape_is_refused(client: Client, grace: Grace) -> None:
    post(client, grace.log.data)
    for body in (b"", b"[]", b"{}", b'{"proof":[]}', b"{" * 10_000, b"x" * 20_000):
        answer = post(client, body, f"log/delete?scid={grace.scid}", "application/json")
        assert answer.status_code in (413, 422), body[:20]


def test_witness_files_and_resources_are_not_here(client: Client, grace: Grace) -> None:
    post(client, grace.log.data)
    refused(client.get(f"{ROOT}/witness?scid={grace.scid}"), 404, "not_found")
    refused(client.get(f"{ROOT}/resource?scid={grace.scid}&path=whois.vp"), 404, "not_found")
    refused(client.post(f"{ROOT}/resource?scid={grace.scid}&path=whois.vp"), 422, "invalid")


def test_every_operation_of_the_watcher_api_has_its_address(client: Client, grace: Grace) -> None:
    specification = yaml.safe_load(SPECIFICATION.read_text())
    post(client, grace.log.data)
    for address, methods in specification["paths"].items():
        for method, operation in methods.items():
            answer = getattr(client, method)(f"{ROOT}{address}?scid={grace.scid}&did={grace.log.did.text}&path=x")
            assert str(answer.status_code) in {*operation["responses"], "422"}, (address, method, answer.status_code)


def test_a_log_that_names_witnesses_is_kept_with_their_approvals(client: Client, grace: Grace) -> None:
    post(client, grace.log.data)
    line = keylog.draft_entry(
        grace.log, state=grace.log.head.entry.state, update_key=public("paper-1"), next_keys=commit("paper-2"),
        now=grace.past + timedelta(days=1),
        changes={"witness": {"threshold": 1, "witnesses": [{"id": f"did:key:{public('witness')}"}]}},
    )  # fmt: skip
    data = grace.log.data + keylog.sign_entry(line, key=key("paper-1"), created=clock.now()) + b"\n"
    refused(post(client, data), 422, "v13_witness")
    file = approvals(line["versionId"], "witness")
    actions.accept_log(data=data, requested=grace.scid, witness_file=file)
    assert client.get(f"{ROOT}/witness?scid={grace.scid}").content == file
    assert queries.log_of(queries.by_scid(grace.scid)).head.entry.version_id == line["versionId"]
