"""Coming back with the words alone: the old home is asked nothing, and the new one gets no key."""

from datetime import timedelta
from typing import Any

import pytest
from django.test import Client
from nacl.signing import SigningKey

from server.accounts import bringing, moving
from server.accounts.models import Account, FormerFollower
from server.core import canonical, clock
from server.core.errors import Conflict, Invalid, NotAllowed, NotFound, WrongState
from server.identity import actions, keylog, mnemonic, owner, queries, statements
from server.identity.keylog import KeyLogError
from server.identity.models import CustodyKey, HomeOffer, Identity
from server.identity.offer import Offer, offer_document, read_offer
from server.videos import actions as videos
from tests.server.test_moving import problem, send
from tests.server.wanderers import Wanderer, wanderer
from tests.world import World

pytestmark = pytest.mark.django_db
OLD = "http://localhost:8001"


@pytest.fixture
def gone() -> Wanderer:
    """Alice of OLD; nothing answers there."""
    return wanderer()


def expect(world: World, gone: Wanderer, **more: Any) -> Offer:
    return bringing.bring(**{"account": world.alice, "by": world.alice, "named": "", "log": gone.log.data, **more})


def test_she_comes_back_with_her_words_and_the_log(client: Client, world: World, gone: Wanderer) -> None:
    expect(world, gone)
    document = client.get("/users/alice/move-offer").json()
    offer = read_offer(document, loopback=True)
    assert document == offer_document(offer)
    answer = send(client, gone.move(offer))
    assert answer.status_code == 200, answer.content
    world.alice.refresh_from_db()
    identity = queries.by_scid(gone.scid)
    assert (world.alice.scid, identity.is_home, identity.custody) == (gone.scid, True, "owner")
    assert identity.actor_uri == world.alice.uri
    assert f"{OLD}/users/alice" in world.alice.also_known_as
    # Entry n+1 is the newest: this home wrote none of its own, and holds no key of hers.
    assert identity.head_number == 2
    assert not CustodyKey.objects.filter(identity=identity).exists()
    before, after = (keylog.read(version.entry.state) for version in queries.log_of(identity).versions)
    assert (after.user, after.box, after.custody) == (before.user, before.box, "owner")
    # The next key is the next of her words.
    words = owner.standing(queries.log_of(identity), gone.seed)
    assert (words.paper, words.user) == (2, 0)


def test_by_scid_or_old_address_where_the_log_is_known(world: World, gone: Wanderer) -> None:
    with pytest.raises(NotFound):
        expect(world, gone, named=gone.scid, log=None)
    with pytest.raises(NotFound):
        expect(world, gone, named="alice@localhost:8001", log=None)
    actions.accept_log(data=gone.log.data)
    Account.objects.create(handle="alice", domain="localhost:8001", uri=f"{OLD}/users/alice", scid=gone.scid)
    # The old home does not answer, and need not.
    assert expect(world, gone, named=gone.scid, log=None).scid == gone.scid
    assert expect(world, gone, named="@alice@localhost:8001", log=None).scid == gone.scid
    assert expect(world, gone, named="alice@localhost:8001").scid == gone.scid
    assert HomeOffer.objects.count() == 1, "a new offer takes the place of the one before"


def test_what_cannot_be_brought(world: World, gone: Wanderer) -> None:
    for named in ("bob@localhost:8001", wanderer("mallory").scid):
        with pytest.raises(Invalid, match="another identity"):
            expect(world, gone, named=named)
    with pytest.raises(NotAllowed, match="not your account"):
        expect(world, gone, by=world.charlie)
    with pytest.raises(NotAllowed, match="held by its old home"):
        expect(world, wanderer("sam", custody="server"))
    with pytest.raises(KeyLogError):
        expect(world, gone, log=gone.log.data.replace(b"alice", b"alicf"))
    with pytest.raises(Conflict, match="lives here already"):
        expect(world, gone, log=queries.log_bytes(queries.by_scid(world.bob.scid or "")))
    Account.objects.filter(pk=world.alice.pk).update(moved_to=world.dora)
    world.alice.refresh_from_db()
    with pytest.raises(Conflict, match="moved away"):
        expect(world, gone)
    assert not HomeOffer.objects.exists()


def test_a_grant_is_for_one_server_one_time_and_a_quarter_of_an_hour(client: Client, world: World, gone: Wanderer) -> None:
    offer = expect(world, gone)
    sent = gone.move(offer)
    forged = {**sent, "grant": {**sent["grant"], "audience": "http://localhost:9"}}
    assert problem(send(client, forged)) == (422, "host_grant_audience")
    with clock.moved(timedelta(minutes=15, seconds=1)):
        assert problem(send(client, sent)) == (422, "host_grant_expired")
    assert not Identity.objects.get(scid=gone.scid).is_home
    assert send(client, sent).status_code == 200
    assert problem(send(client, sent)) == (404, "not_found"), "the challenge is used up"


def test_a_relayed_challenge_is_no_use_to_the_one_who_relays(client: Client, world: World, gone: Wanderer) -> None:
    """Mallory's server shows alice the challenge of ours as if it were its own: what she signs is good here or nowhere."""
    offer = expect(world, gone)
    relayed = Offer(
        nonce=offer.nonce, scid=offer.scid, audience="http://localhost:8666", user_key=offer.user_key,
        root_key_hash=offer.root_key_hash,
        home=keylog.Home(
            host="localhost", port=8666, path=("u", "alice"), actor="http://localhost:8666/users/alice",
            acct="acct:alice@localhost:8666", key=offer.home.key,
        ),
    )  # fmt: skip
    status, _ = problem(send(client, gone.move(relayed)))
    assert status == 404, "the grant names another account"


def test_the_new_home_can_neither_rotate_nor_move_her_on(client: Client, world: World, gone: Wanderer) -> None:
    """A9: all that a malicious new home holds is #home and, if she wants that, a key for recovery behind her paper key."""
    offer = expect(world, gone)
    assert send(client, gone.move(offer, with_recovery=True)).status_code == 200
    identity = queries.by_scid(gone.scid)
    log = queries.log_of(identity)
    held = CustodyKey.objects.get(identity=identity)
    assert held.role == "custodian"
    custodian = actions.open_key(held)
    # With a key that the log does not wait for it can write nothing at all.
    with pytest.raises(KeyLogError):
        keylog.rotate_user(
            log, user_key=offer.user_key, key=mnemonic.user_key(b"evil" * 16, 0), next_keys=[offer.root_key_hash],
            now=clock.now(), loopback=True,
        )  # fmt: skip
    # With the recovery key it can write, but must carry her paper key over: evicting her is refused by every peer (V8b).
    evicted = _line(log, custodian, next_keys=[keylog.key_hash(keylog.multikey_of(mnemonic.user_key(b"evil" * 16, 1)))])
    with pytest.raises(KeyLogError) as refused:
        actions.accept_log(data=log.data + evicted)
    assert refused.value.code == "v8b_carry_over"
    # What it can write freezes what cannot be undone, and her paper key answers.
    grabbed = keylog.rotate_user(
        log, user_key=keylog.multikey_of(mnemonic.user_key(b"evil" * 16, 0)), key=custodian, next_keys=[offer.root_key_hash],
        now=clock.now(), loopback=True,
    )  # fmt: skip
    kept = actions.accept_log(data=grabbed.data)
    with pytest.raises(WrongState):
        # Payout routes are signed by #user: it has none, not even after this.
        queries.custody_key(kept, "user")
    assert moving.effects_wait_seconds(kept) == pytest.approx(72 * 3600, abs=5)
    assert kept.payouts_frozen_until is not None
    back = owner.recover(grabbed, seed=gone.seed, now=clock.now() + timedelta(seconds=2), loopback=True)
    kept = actions.accept_log(data=back.data)
    assert (kept.head_number, moving.effects_wait_seconds(kept)) == (4, 0)


def _line(log: keylog.PolicyLog, signer: SigningKey, *, next_keys: list[str]) -> bytes:
    """The next line as somebody would write it who does not ask our rules."""
    head = log.head.entry
    entry = {
        "versionId": head.version_id,
        "versionTime": canonical.time_text(head.time + timedelta(seconds=1)),
        "parameters": {"updateKeys": [keylog.multikey_of(signer)], "nextKeyHashes": next_keys},
        "state": head.state,
    }
    entry["versionId"] = f"{head.number + 1}-{canonical.multihash_sha256(canonical.jcs(entry))}"
    return keylog.sign_entry(entry, key=signer, created=clock.now())


def test_coming_back_to_a_home_she_left(client: Client, world: World, gone: Wanderer) -> None:
    offer = expect(world, gone)
    sent = gone.move(offer)
    assert send(client, sent).status_code == 200
    world.alice.refresh_from_db()
    # She moves on without a word to us, and comes back.
    away = keylog.Home(
        host="localhost", port=8002, path=("u", "alice"), actor="http://localhost:8002/users/alice",
        acct="acct:alice@localhost:8002", key=keylog.multikey_of(mnemonic.user_key(gone.seed, 98)),
    )  # fmt: skip
    now = clock.now() + timedelta(seconds=3)
    there = keylog.move(
        queries.log_of(queries.by_scid(gone.scid)), home=away, key=mnemonic.paper_key(gone.seed, 2),
        next_keys=[keylog.key_hash(owner.paper_multikey(gone.seed, 3))], now=now, loopback=True,
    )  # fmt: skip
    new = Account.objects.create(handle="alice", domain="localhost:8002", uri=away.actor, scid=gone.scid)
    Account.objects.filter(pk=world.alice.pk).update(moved_to=new)
    world.alice.refresh_from_db()
    again = bringing.bring(account=world.alice, by=world.alice, named=gone.scid, log=there.data)
    with clock.moved(timedelta(seconds=10)):
        assert send(client, Wanderer(there, gone.seed).move(again)).status_code == 200
    world.alice.refresh_from_db()
    assert (world.alice.moved_to, queries.by_scid(gone.scid).actor_uri) == (None, world.alice.uri)


def test_followers_come_out_of_the_archive(world: World) -> None:
    row = {"actor": "https://peer.example/users/dora", "inbox": "https://peer.example/users/dora/inbox"}
    shared = {
        "actor": "https://Other.example/u/eve",
        "inbox": "https://other.example/u/eve/in",
        "sharedInbox": "https://other.example/in",
    }
    assert bringing.keep_followers(account=world.alice, rows=[row, shared]) == 2
    assert bringing.keep_followers(account=world.alice, rows=[row]) == 0
    kept = FormerFollower.objects.get(uri="https://other.example/u/eve")
    assert (kept.inbox, kept.shared_inbox) == (shared["inbox"], shared["sharedInbox"])
    for spoilt in (
        {**row, "inbox": "https://victim.example/inbox"}, {**row, "more": 1}, {"actor": row["actor"]}, {**row, "inbox": 7}, 5,
        {**row, "inbox": "ftp://peer.example/inbox"}, {**shared, "sharedInbox": "https://victim.example/"},
    ):  # fmt: skip
        with pytest.raises(Invalid):
            bringing.keep_followers(account=world.alice, rows=[spoilt])  # type: ignore[list-item]


def test_who_is_being_checked_is_not_seen_and_does_not_post(world: World) -> None:
    bringing.hold_back(account=world.alice)
    world.alice.refresh_from_db()
    assert bringing.held_back_since(world.alice) is not None
    with pytest.raises(NotAllowed, match="still being checked"):
        videos.start_upload(account=world.alice, filename="clip.mp4", bytes_expected=10)
    bringing.let_go(account=world.alice)
    world.alice.refresh_from_db()
    assert videos.start_upload(account=world.alice, filename="clip.mp4", bytes_expected=10).account_id == world.alice.pk


def test_identity_proofs_are_by_the_persons_key_alone(client: Client, world: World, gone: Wanderer) -> None:
    assert send(client, gone.move(expect(world, gone))).status_code == 200
    world.alice.refresh_from_db()
    mine = mnemonic.user_key(gone.seed, 0)
    proof = statements.make_statement(key=mine, actor=world.alice.uri, now=clock.now())
    moving.prove_account(account=world.alice, proof=proof)
    answer = client.get("/users/alice", headers={"Accept": "application/activity+json"})
    assert answer.json()["attachment"] == [proof]
    other = statements.make_statement(key=mnemonic.user_key(gone.seed, 5), actor=world.alice.uri, now=clock.now())
    with pytest.raises(NotAllowed):
        moving.prove_account(account=world.alice, proof=other)


def test_the_server_proves_accounts_whose_keys_it_holds(world: World) -> None:
    assert moving.give_identity_proofs() > 0
    world.bob.refresh_from_db()
    (proof,) = world.bob.identity_proofs
    user = queries.document_of(queries.by_scid(world.bob.scid or "")).user.multikey
    assert statements.check_statement(proof, actor=world.bob.uri, now=clock.now()) == f"did:key:{user}"
    assert moving.give_identity_proofs() == 0, "once is enough"
