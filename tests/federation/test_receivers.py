"""A6 and A7: the Move of an account whose home is dead, as our delivery sends it, at doubles of other software over real HTTP."""

import json
from collections.abc import Callable, Iterator
from datetime import timedelta
from typing import Any

import pytest
from django.test import Client

from federation import delivery
from federation.models import Delivery
from server.accounts import bringing, moving, telling
from server.accounts.models import SignedMove
from server.core import clock
from server.identity import mnemonic, moverequests, queries
from server.identity.models import Receipt
from tests.federation.receivers import GoToSocial, Mastodon, Misskey, PeerTube, Receiver
from tests.federation.stranger import Server
from tests.server.test_moving import at, send
from tests.server.wanderers import Wanderer, wanderer
from tests.world import World, rsa_pair

pytestmark = pytest.mark.django_db
# Nothing has ever listened there.
GONE = "http://localhost:1"
OLD = f"{GONE}/users/alice"


class Scene:
    """Alice's new home at ``server``, and the servers of her followers."""

    def __init__(self, client: Client, server: Server, world: World, gone: Wanderer) -> None:
        self.client, self.server, self.world, self.gone = client, server, world, gone
        self.receivers: list[Receiver] = []

    def old_document(self) -> dict[str, Any]:
        """The old actor, as her followers' servers fetched it while she lived there."""
        user = queries.documents(queries.by_scid(self.gone.scid))[0].user
        method = {"id": f"{OLD}#user-1", "type": "Multikey", "controller": OLD, "publicKeyMultibase": user.multikey}
        return {
            "id": OLD, "assertionMethod": [method],
            "publicKey": {"id": f"{OLD}#main-key", "owner": OLD, "publicKeyPem": rsa_pair("alice of old")[1]},
        }  # fmt: skip

    def followed_at(self, kind: type[Receiver], **more: Any) -> Any:
        made = kind(self.old_document(), **more)
        self.receivers.append(made)
        return made

    def serve_new(self, **changes: Any) -> None:
        """What anybody gets who asks for the new actor."""
        answer = self.client.get("/users/alice", headers={"Accept": "application/activity+json"})
        assert answer.status_code == 200, answer.content
        self.server.serve(self.world.alice.uri, {**answer.json(), **changes})

    def sign(self, *, with_key: bool = True) -> SignedMove:
        """All that her owner does: the list of followers, and her signature."""
        rows = [{"actor": f"http://{one.host}/users/bob", "inbox": one.inbox} for one in self.receivers]
        bringing.keep_followers(account=self.world.alice, rows=rows)
        log = queries.log_of(queries.by_scid(self.gone.scid))
        asked = telling.ask_signatures(account=self.world.alice, by=self.world.alice)
        key = moverequests.load_actor_key(rsa_pair("alice of old")[0].encode()) if with_key else None
        signed = moverequests.sign(asked, log=log, user_key=mnemonic.user_key(self.gone.seed, 0), actor_key=key, now=clock.now())
        return telling.take_signed(account=self.world.alice, by=self.world.alice, data=json.dumps(signed).encode())


@pytest.fixture
def scene(
    client: Client, server: Server, settings: Any, request: pytest.FixtureRequest, work: Callable[[], int]
) -> Iterator[Scene]:
    at(settings, f"http://localhost:{server.port}")
    settings.ALLOWED_HOSTS = ["*"]
    world: World = request.getfixturevalue("world")
    gone = wanderer(origin=GONE)
    offer = bringing.bring(account=world.alice, by=world.alice, named="", log=gone.log.data)
    assert send(client, gone.move(offer)).status_code == 200
    world.alice.refresh_from_db()
    identity = queries.by_scid(gone.scid)
    for name in ("one", "two"):
        Receipt.objects.create(
            identity=identity, replica=f"https://{name}.example", number=identity.head_number,
            version_id=identity.head_version_id, first_seen=clock.now(), document=b"{}",
        )  # fmt: skip
    made = Scene(client, server, world, gone)
    made.serve_new()
    yield made
    for receiver in made.receivers:
        receiver.close()


def deliver(work: Callable[[], int]) -> None:
    """Only the Move that was signed: what the new account says in its own name comes later."""
    work()
    Delivery.objects.exclude(activity_uri__startswith=OLD).delete()
    # A row that was not believed is due again at once.
    while delivery.send_due():
        pass


def followed(receiver: Receiver) -> set[str]:
    return {target for _, target in receiver.follows}


def test_mastodon_and_gotosocial_re_point(scene: Scene, work: Callable[[], int]) -> None:
    old_mastodon = scene.followed_at(Mastodon, version=(3, 4))
    mastodon, gotosocial = scene.followed_at(Mastodon), scene.followed_at(GoToSocial)
    move = scene.sign()
    deliver(work)
    new = scene.world.alice.uri
    for receiver in (old_mastodon, mastodon, gotosocial):
        assert (followed(receiver), receiver.log) == ({new}, []), type(receiver).__name__
    rows = Delivery.objects.filter(activity_uri=move.activity_uri)
    assert {(row.state, row.answered_status) for row in rows} == {("delivered", 202)}


def test_the_proof_alone_moves_mastodon_from_4_7_and_nobody_else(scene: Scene, work: Callable[[], int]) -> None:
    old_mastodon = scene.followed_at(Mastodon, version=(4, 6))
    mastodon, gotosocial = scene.followed_at(Mastodon), scene.followed_at(GoToSocial)
    scene.sign(with_key=False)
    deliver(work)
    assert followed(mastodon) == {scene.world.alice.uri}
    assert (followed(old_mastodon), old_mastodon.log) == ({OLD}, ["relayed, and not proven"])
    assert (followed(gotosocial), gotosocial.log[:1]) == ({OLD}, ["the requester is not the actor"])


def test_a_request_that_is_not_believed_goes_out_in_the_new_name(scene: Scene, work: Callable[[], int]) -> None:
    """The receiver has another RSA key of the old account in its cache: the proof still counts."""
    mastodon = scene.followed_at(Mastodon)
    mastodon.known[OLD].rsa = {f"{OLD}#main-key": rsa_pair("somebody else")[1]}
    scene.sign()
    deliver(work)
    assert followed(mastodon) == {scene.world.alice.uri}
    (row,) = Delivery.objects.filter(state="delivered")
    assert (row.attempts, row.signed_headers) == (2, None)


def test_no_move_to_an_account_that_does_not_name_the_old_one(scene: Scene, work: Callable[[], int]) -> None:
    mastodon, gotosocial = scene.followed_at(Mastodon), scene.followed_at(GoToSocial)
    scene.serve_new(alsoKnownAs=["https://somebody.example/users/else"])
    scene.sign()
    deliver(work)
    assert followed(mastodon) == followed(gotosocial) == {OLD}
    # Mastodon lets go of its lock; a second try, with the name in place, counts. GoToSocial waits five minutes.
    scene.serve_new()
    Delivery.objects.update(state="waiting", next_try_at=clock.now())
    deliver(work)
    assert (followed(mastodon), followed(gotosocial)) == ({scene.world.alice.uri}, {OLD})
    gotosocial.clock = lambda: clock.now() + timedelta(minutes=6)
    Delivery.objects.update(state="waiting", next_try_at=clock.now())
    deliver(work)
    assert followed(gotosocial) == {scene.world.alice.uri}


def test_one_move_in_seven_days(scene: Scene, work: Callable[[], int]) -> None:
    mastodon, gotosocial = scene.followed_at(Mastodon), scene.followed_at(GoToSocial)
    scene.sign()
    deliver(work)
    for receiver in (mastodon, gotosocial):
        receiver.follows.add(("carol", OLD))
    for days, expected in ((6, True), (8, False)):
        for receiver in (mastodon, gotosocial):
            receiver.clock = lambda days=days: clock.now() + timedelta(days=days)  # type: ignore[misc]
            receiver._check_time = lambda *_: None  # type: ignore[method-assign]
        Delivery.objects.update(state="waiting", next_try_at=clock.now())
        deliver(work)
        assert [("carol", OLD) in receiver.follows for receiver in (mastodon, gotosocial)] == [expected] * 2


def test_for_twelve_hours_and_then_in_the_new_name(scene: Scene, work: Callable[[], int]) -> None:
    mastodon = scene.followed_at(Mastodon)
    move = scene.sign()
    work()
    (row,) = Delivery.objects.filter(activity_uri=move.activity_uri)
    mastodon.clock = lambda: clock.now() + timedelta(hours=11)
    assert row.signed_headers is not None
    headers = {name.lower(): value for name, value in row.signed_headers.items()}
    assert mastodon.signer("/inbox", headers, row.body.encode()).uri == OLD
    without = {**headers, "signature": headers["signature"].replace(f"expires={int(move.signed_until.timestamp())},", "")}
    with pytest.raises(Exception, match="date outside"):
        mastodon.signer("/inbox", without, row.body.encode())
    Delivery.objects.filter(pk=row.pk).update(signed_until=clock.now())
    mastodon.clock = clock.now
    deliver(work)
    assert followed(mastodon) == {scene.world.alice.uri}


def test_misskey_and_peertube_do_not_come_along(scene: Scene, work: Callable[[], int]) -> None:
    """As docs/howto/when-your-server-is-gone.md says."""
    misskey, peertube = scene.followed_at(Misskey), scene.followed_at(PeerTube)
    scene.sign()
    deliver(work)
    assert followed(misskey) == followed(peertube) == {OLD}
    assert "cannot be fetched" in misskey.log[0]


def test_on_a_domain_of_her_own_everybody_still_follows(
    client: Client, server: Server, settings: Any, request: pytest.FixtureRequest, work: Callable[[], int]
) -> None:
    """T0: the same address and the same key on a new server. What she posts there is believed, and nobody had to move."""
    at(settings, f"http://localhost:{server.port}")
    settings.ALLOWED_HOSTS = ["*"]
    world: World = request.getfixturevalue("world")
    gone = wanderer(origin=f"http://localhost:{server.port}")
    offer = bringing.bring(account=world.alice, by=world.alice, named="", log=gone.log.data)
    assert send(client, gone.move(offer)).status_code == 200
    world.alice.refresh_from_db()
    scene = Scene(client, server, world, gone)
    before = {**scene.old_document(), "id": world.alice.uri, "assertionMethod": []}
    before["publicKey"] = {
        "id": f"{world.alice.uri}#main-key",
        "owner": world.alice.uri,
        "publicKeyPem": rsa_pair("alice of old")[1],
    }
    receivers = [kind(before) for kind in (Mastodon, GoToSocial, Misskey, PeerTube)]
    moving.take_actor_key(account=world.alice, pem=rsa_pair("alice of old")[0].encode())
    seen: list[str] = []
    for receiver in receivers:
        receiver.process = lambda signer, activity: seen.append(f"{signer.uri} {activity['type']}")  # type: ignore[method-assign]
    activity = {"id": f"{world.alice.uri}/posts/1/activity", "type": "Create", "actor": world.alice.uri, "object": "x"}
    delivery.enqueue(activity=activity, sender=world.alice, inboxes=[receiver.inbox for receiver in receivers])
    delivery.send_due()
    assert seen == [f"{world.alice.uri} Create"] * 4
    assert all(followed(receiver) == {world.alice.uri} for receiver in receivers)
    for receiver in receivers:
        receiver.close()
