"""Custody passes to the owner, and stays with her: what the server may still do, and what it can no longer do."""

import json
from datetime import timedelta
from typing import Any

import pytest
from django.core.files.uploadedfile import SimpleUploadedFile
from django.test import Client

from payouts import agreements, instance_keys, offers
from payouts.ledger import canonical as ledger_canonical
from payouts.models import Acceptance
from server.accounts import moving
from server.core import clock, keys
from server.core.errors import NotFound, WrongState
from server.identity import actions, hostgrant, keylog, mnemonic, owner, queries
from server.identity.models import CustodyKey, HomeOffer, Identity, KeyLogLine
from tests.server.calls import Api
from tests.server.owners import Owner, owner_of
from tests.server.test_pages_money import earned, staff
from tests.server.test_pages_watch import signed_in
from tests.world import World

pytestmark = pytest.mark.django_db


def identity_of(who: Owner) -> Identity:
    return queries.by_scid(who.account.scid)


def unchanged(who: Owner) -> bool:
    identity = identity_of(who)
    roles = set(CustodyKey.objects.filter(identity=identity).values_list("role", flat=True))
    return identity.custody == "server" and identity.head_number == 1 and {"root", "user"} <= roles


def test_the_keys_pass_to_the_owner_and_the_server_destroys_its_own(world: World) -> None:
    alice = owner_of(world.alice)
    answer = alice.take()
    assert (answer.status, answer.body["custody"]) == (200, "owner")
    log = keylog.verify_policy("\n".join(answer.body["lines"]).encode(), now=clock.now(), caps=keylog.SOFT, loopback=True)
    document = keylog.read(log.head.entry.state)
    assert (log.custody, log.head.key_index) == ("owner", 0)
    assert (document.user.multikey, document.user.number) == (alice.keys["user_key"], 2)
    assert document.box is not None
    assert document.box.multikey == alice.keys["box_key"]
    assert log.head.parameters.next_key_hashes == (alice.keys["paper_key_hash"],)
    assert not CustodyKey.objects.filter(identity=identity_of(alice)).exists()
    assert Api(world.alice).get("me/identity").body["custody"] == "owner"
    # The server's keys counted before: payouts wait seven days, and say until when.
    frozen = identity_of(alice).payouts_frozen_until
    assert frozen is not None
    assert timedelta(days=6, hours=23) < frozen - clock.now() <= timedelta(days=7)
    # Taking them twice is refused in words; nothing is written.
    assert Api(world.alice).post("me/identity/custody", alice.keys).body["code"] == "wrong_state"
    assert identity_of(alice).head_number == 2


@pytest.mark.parametrize(
    ("changed", "field"),
    [
        ({"user_key": "z6Mk"}, "user_key"),
        ({"box_key": "z6LSbad"}, "box_key"),
        ({"paper_key_hash": "Qm"}, "paper_key_hash"),
        ({"user_key": 7}, "user_key"),
        ({"with_recovery": "yes"}, "with_recovery"),
    ],
)
def test_keys_that_are_none(world: World, changed: dict[str, Any], field: str) -> None:
    alice = owner_of(world.alice)
    assert Api(world.alice).post("me/identity/custody", {**alice.keys, **changed}).fields == [field]
    assert unchanged(alice)


def test_a_key_that_is_in_use_already(world: World) -> None:
    alice = owner_of(world.alice)
    document = queries.document_of(identity_of(alice))
    for used in (document.user.multikey, document.home.multikey):
        assert Api(world.alice).post("me/identity/custody", {**alice.keys, "user_key": used}).body["code"] == "conflict"
    committed = queries.log_of(identity_of(alice)).head.parameters.next_key_hashes[0]
    assert Api(world.alice).post("me/identity/custody", {**alice.keys, "paper_key_hash": committed}).body["code"] == "conflict"


def test_only_the_prepared_entry_with_a_good_proof_and_the_password_counts(world: World) -> None:
    alice, bob = owner_of(world.alice), owner_of(world.bob, "bob")
    entry = alice.prepare()
    theirs = alice.proof(entry)
    other = owner_of(world.alice, "other")
    moved = json.loads(json.dumps(entry))
    moved["state"]["service"][0]["serviceEndpoint"] = "https://evil.example/users/alice"
    dropped = {**entry, "parameters": {**entry["parameters"], "nextKeyHashes": []}}
    second = {**entry, "parameters": {**entry["parameters"], "nextKeyHashes": [alice.keys["paper_key_hash"]] * 2}}
    for bad in (moved, dropped, second, {}, {**entry, "more": 1}, {**entry, "versionTime": "2020-01-01T00:00:00Z"}, {"state": 7}):
        assert alice.finish(entry, entry=bad).fields == ["entry"], bad
    for proof in (other.proof(entry), {**theirs, "proofValue": "z1"}, {}, {**theirs, "verificationMethod": "x"}):
        assert alice.finish(entry, proof=proof).status == 403
    assert alice.finish(entry, password="not it").fields == ["password"]
    # Another account cannot finish it, with her own password or not.
    assert bob.finish(entry, proof=theirs).fields == ["entry"]
    assert Api(None).post("me/identity/custody/finish", {"entry": entry, "proof": theirs, "password": "x"}).status == 401
    assert Api(world.alice, "read").post("me/identity/custody", alice.keys).status == 403
    assert unchanged(alice)
    assert unchanged(bob)
    with clock.moved(timedelta(minutes=16)):
        assert alice.finish(entry).fields == ["entry"]
    assert unchanged(alice)


def test_tries_of_a_password_are_bounded(world: World) -> None:
    alice = owner_of(world.alice)
    entry = alice.prepare()
    said = [alice.try_to_finish(entry, password="guess").status for _ in range(7)]
    assert said[:5] == [422] * 5
    assert said[6] == 403
    assert unchanged(alice)


def test_two_who_finish_at_once_write_one_entry(world: World) -> None:
    alice = owner_of(world.alice)
    first, second = alice.prepare(), alice.prepare()
    assert alice.finish(first).status == 200
    assert alice.finish(second).body["code"] == "wrong_state"
    assert KeyLogLine.objects.filter(identity=identity_of(alice)).count() == 2


def test_recovery_with_the_servers_help_never_evicts_the_owner(world: World) -> None:
    """A11b: the words are lost; later the paper is found again, and it wins."""
    alice = owner_of(world.alice)
    alice.take(with_recovery=True)
    first = queries.log_of(identity_of(alice))
    assert len(first.head.parameters.next_key_hashes) == 2
    assert [key.role for key in CustodyKey.objects.filter(identity=identity_of(alice))] == ["custodian"]
    again = owner_of(world.alice, "new words")
    assert again.take(with_recovery=True).status == 200
    log = queries.log_of(identity_of(alice))
    assert log.head.key_index == 1
    assert log.head.parameters.next_key_hashes[:2] == (alice.keys["paper_key_hash"], again.keys["paper_key_hash"])
    assert keylog.read(log.head.entry.state).user.multikey == again.keys["user_key"]
    frozen = identity_of(alice).payouts_frozen_until
    assert frozen is not None
    with clock.moved(timedelta(days=400)):
        back = owner.recover(log, seed=alice.seed, now=clock.now(), loopback=True)
        actions.accept_log(data=back.data)
    assert back.head.key_index == 0
    assert len(back.head.parameters.next_key_hashes) == 1
    assert keylog.read(back.head.entry.state).user.multikey == keylog.multikey_of(mnemonic.user_key(alice.seed, 0))


def test_what_the_recovery_tool_signed_is_taken_in_by_its_home(world: World) -> None:
    alice = owner_of(world.alice)
    alice.take()
    longer = owner.recover(queries.log_of(identity_of(alice)), seed=alice.seed, now=clock.now(), loopback=True)
    client, charlie = signed_in(world.alice), signed_in(world.charlie)

    def send(who: Client, data: bytes) -> int:
        return who.post("/settings/identity/log", {"log": SimpleUploadedFile("did.jsonl", data)}).status_code

    assert send(charlie, longer.data) == 422
    assert send(client, longer.data[:-20]) == 422
    assert client.post("/settings/identity/log").status_code == 422
    assert identity_of(alice).head_number == 2
    assert send(client, longer.data) == 302
    assert identity_of(alice).head_version_id == longer.head.entry.version_id
    assert send(client, longer.data) == 302
    # What is shorter than the pin says nothing new, and is refused by its name.
    assert send(client, b"".join(longer.data.splitlines(keepends=True)[:2])) in (409, 422)
    assert identity_of(alice).head_number == 3


def test_a_move_from_a_file_reaches_the_new_home(world: World) -> None:
    _, data, grant, _ = moved_by_the_owner(world)
    body = json.dumps({"log": data.decode().splitlines(), "grant": grant}).encode()
    bob, charlie = signed_in(world.bob), signed_in(world.charlie)
    page = "/settings/identity/bring/sign"
    assert charlie.post(page, {"signed": SimpleUploadedFile("move.json", body)}).status_code == 404
    assert bob.post(page).status_code == 422
    assert bob.post(page, {"signed": SimpleUploadedFile("move.json", body)}).status_code == 302
    world.bob.refresh_from_db()
    assert world.bob.scid == world.alice.scid


def test_an_owner_without_recovery_gets_no_help(world: World) -> None:
    alice = owner_of(world.alice)
    alice.take()
    answer = Api(world.alice).post("me/identity/custody", owner_of(world.alice, "thief").keys)
    assert answer.body["code"] == "wrong_state"
    assert "recovery kit" in answer.body["detail"]


def moved_by_the_owner(world: World, *, with_recovery: bool = False) -> tuple[Owner, bytes, dict[str, Any], Identity]:
    """Alice's identity moves from elsewhere to bob's empty account here, signed by herself."""
    alice = owner_of(world.alice)
    alice.take()
    log = queries.log_of(identity_of(alice))
    offer = moving.identities.offer_home(
        scid=log.scid, handle="bob", actor_uri=world.bob.uri, home_key=world.bob.keys.get(name="home-1").public
    )
    moved, grant = owner.move(log, seed=alice.seed, offer=offer, now=clock.now(), with_recovery=with_recovery, loopback=True)
    return alice, moved.data, grant, identity_of(alice)


@pytest.mark.parametrize("with_recovery", [False, True])
def test_a_new_home_takes_an_owners_identity_and_none_of_her_keys(world: World, with_recovery: bool) -> None:
    alice, data, grant, _ = moved_by_the_owner(world, with_recovery=with_recovery)
    arrived = actions.arrive(data=data, grant=grant)
    assert queries.log_bytes(arrived) == data
    assert (arrived.custody, arrived.actor_uri, arrived.host_grant) == ("owner", world.bob.uri, grant)
    held = CustodyKey.objects.filter(identity=arrived)
    assert [key.role for key in held] == (["custodian"] if with_recovery else [])
    assert not CustodyKey.objects.filter(identity=None).exists()
    assert not HomeOffer.objects.exists()
    with pytest.raises(NotFound):
        actions.arrive(data=data, grant=grant)
    assert alice.keys["user_key"] == queries.document_of(arrived).user.multikey


def test_a_move_of_an_owner_needs_her_grant(world: World) -> None:
    _, data, grant, before = moved_by_the_owner(world)
    with pytest.raises(hostgrant.WrongKey):
        actions.arrive(data=data, grant={**grant, "proof": {**grant["proof"], "proofValue": "z" + "1" * 64}})
    assert queries.by_scid(before.scid).head_version_id == before.head_version_id
    assert HomeOffer.objects.exists()


def test_the_server_can_neither_move_nor_sign_for_an_owner(world: World) -> None:
    alice = owner_of(world.alice)
    earned(staff("root"), world.alice)
    alice.take(with_recovery=True)
    offer = actions.offer_home(scid=world.alice.scid, handle="bob", actor_uri=world.bob.uri, home_key=keys.make_ed25519().public)
    with pytest.raises(WrongState, match="recovery kit"):
        actions.sign_move(identity=identity_of(alice), offer=offer)
    refused = Api(world.alice).post("me/wallet/sign", {"debtor": instance_keys.origin()})
    assert (refused.status, refused.body["code"]) == (409, "wrong_state")
    assert "sign in the browser that has it" in refused.body["detail"]
    assert not Acceptance.objects.exists()


def test_an_owner_signs_an_agreement_herself(world: World) -> None:
    alice = owner_of(world.alice)
    earned(staff("root"), world.alice)
    alice.take()
    ours = {"debtor": instance_keys.origin(), "offer": agreements.default_offer().id}
    prepared = Api(world.alice).post("me/wallet/prepare", ours).body
    assert prepared["document"]["parties"] == [{"scid": world.alice.scid, "role": "creator", "custody": "owner"}]
    signed = offers.sign(
        prepared["document"],
        key=mnemonic.user_key(alice.seed, 0),
        verification_method=prepared["verification_method"],
        created=clock.now(),
    )
    by_another = offers.sign(
        prepared["document"],
        key=mnemonic.user_key(owner_of(world.alice, "thief").seed, 0),
        verification_method=prepared["verification_method"],
        created=clock.now(),
    )
    for bad in (by_another, prepared["document"], {**signed, "id": "0" * 64}, {"v": 1.5}):
        assert Api(world.alice).post("me/wallet/sign", {**ours, "document": bad}).status in (403, 422)
    # Bob hands in what is hers: it is not his to hand in.
    assert Api(world.bob).post("me/wallet/sign", {**ours, "document": signed}).status == 403
    assert not Acceptance.objects.exists()
    (claim,) = Api(world.alice).post("me/wallet/sign", {**ours, "document": signed}).body["claims"]
    assert (claim["payable"], claim["unclaimed"]) == ("18000000", "0")
    stored = bytes(Acceptance.objects.get().agreement.document)
    assert ledger_canonical.decode(stored, bytes_max=65_536)["parties"][0]["custody"] == "owner"
