"""Coming back with one's own keys by page, API and command; and the Move that the owner signs for other servers."""

import hashlib
import io
import json
import tempfile
from pathlib import Path
from typing import Any

import pytest
from django.core.management import CommandError, call_command
from django.test import Client
from nacl.public import PublicKey, SealedBox

from federation import arriving
from federation.models import Delivery
from server.accounts import moving, telling
from server.accounts.models import SignedMove
from server.core import canonical, clock, worker
from server.core.errors import Conflict, NotAllowed, WrongState
from server.identity import mnemonic, queries, statements, tool
from server.identity.models import Receipt
from server.identity.offer import read_offer
from tests.server.calls import Api
from tests.server.test_moving import send
from tests.server.wanderers import Wanderer, body_of, wanderer
from tests.world import PASSWORD, World, rsa_pair

pytestmark = pytest.mark.django_db
OLD = "http://localhost:8001/users/alice"
ROWS = [
    {"actor": f"https://{host}/users/x", "inbox": f"https://{host}/users/x/inbox", "sharedInbox": f"https://{host}/inbox"}
    for host in ("masto.example", "gts.example")
]


@pytest.fixture
def gone() -> Wanderer:
    return wanderer()


@pytest.fixture
def browser(client: Client, world: World) -> Client:
    assert client.login(username="alice@example.org", password=PASSWORD)
    return client


def witnessed(scid: str) -> None:
    """Two other instances have seen the newest entry: what cannot be taken back may happen."""
    identity = queries.by_scid(scid)
    for name in ("one", "two"):
        Receipt.objects.create(
            identity=identity, replica=f"https://{name}.example", number=identity.head_number,
            version_id=identity.head_version_id, first_seen=clock.now(), document=b"{}",
        )  # fmt: skip


def signed_with(gone: Wanderer, document: dict[str, Any], *, with_key: bool = True) -> dict[str, Any]:
    """What the recovery tool makes of the MoveRequests: it holds them against the log first."""
    archived = json.dumps({"v": 1, "keys": [{"privateKeyPem": rsa_pair("alice of old")[0]}]}).encode()
    files = {
        "did.jsonl": queries.log_bytes(queries.by_scid(gone.scid)),
        "requests.json": json.dumps(document).encode(),
        "keys.sealed": SealedBox(PublicKey(bytes(mnemonic.box_key(gone.seed).public_key))).encrypt(archived),
        "words": mnemonic.words(hashlib.sha256(b"alice").digest()).encode(),
    }
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        for file, data in files.items():
            (folder / file).write_bytes(data)
        keys = ["--keys", str(folder / "keys.sealed")] if with_key else []
        asked = [str(folder / file) for file in ("did.jsonl", "requests.json")]
        now = canonical.time_text(clock.now())
        out = folder / "signed.json"
        assert tool.main(["tell", *asked, *keys, "--words", str(folder / "words"), "--now", now, "-o", str(out)]) == tool.DONE
        return dict(json.loads(out.read_bytes()))


def test_the_pages_from_the_log_to_the_last_server(browser: Client, world: World, gone: Wanderer) -> None:
    page = browser.get("/settings/identity/bring/keys")
    assert b"nobody has to ask your old server" in page.content
    missing = browser.post("/settings/identity/bring/keys", {"named": gone.scid})
    assert (missing.status_code, b"Nobody we know has the log" in missing.content) == (422, True)
    found = browser.post("/settings/identity/bring/keys", {"named": "alice@localhost:8001", "log": io.BytesIO(gone.log.data)})
    assert (found.status_code, found["Location"]) == (302, "/settings/identity/bring/sign")
    page = browser.get("/settings/identity/bring/sign")
    assert gone.scid.encode() in page.content
    assert b"dishonest" in page.content
    offer = browser.get("/settings/identity/bring/offer.json")
    assert offer["Content-Disposition"] == 'attachment; filename="offer.json"'
    assert browser.get("/settings/identity/bring/did.jsonl").content == gone.log.data
    sent = body_of(gone.move(read_offer(offer.json(), loopback=True)))
    refused = browser.post("/settings/identity/bring/sign", {"signed": io.BytesIO(b"{}")})
    assert (refused.status_code, b"a log and a grant" in refused.content) == (422, True)
    arrived = browser.post("/settings/identity/bring/sign", {"signed": io.BytesIO(sent)})
    assert (arrived.status_code, arrived["Location"]) == (302, "/settings/identity/tell")
    page = browser.get("/settings/identity/tell")
    assert OLD.encode() in page.content
    assert browser.get("/settings/identity/tell/requests").status_code == 409, "nobody else has seen the entry yet"
    followers = "\n".join(json.dumps(row) for row in ROWS).encode()
    bad = browser.post("/settings/identity/tell", {"step": "followers", "followers": io.BytesIO(b"a,b")})
    assert bad.status_code == 422
    browser.post("/settings/identity/tell", {"step": "followers", "followers": io.BytesIO(followers)})
    witnessed(gone.scid)
    document = browser.get("/settings/identity/tell/requests").json()
    assert document["inboxes"] == ["https://gts.example/inbox", "https://masto.example/inbox"]
    signed = json.dumps(signed_with(gone, document)).encode()
    done = browser.post("/settings/identity/tell", {"step": "signed", "signed": io.BytesIO(signed)})
    assert done.status_code == 302
    assert browser.get("/settings/identity/tell/progress").json() == {"waiting": 2, "delivered": 0, "dead": 0}
    assert b"0</strong> servers told, 2 to go" in browser.get("/settings/identity/tell").content
    again = browser.post("/settings/identity/tell", {"step": "signed", "signed": io.BytesIO(signed)})
    assert (again.status_code, b"in 7 days" in again.content) == (422, True)


def test_pages_of_a_stranger_and_of_nobody(client: Client, world: World) -> None:
    for path in ("bring/keys", "bring/sign", "bring/offer.json", "tell", "tell/requests", "tell/progress"):
        assert client.get(f"/settings/identity/{path}").status_code == 302
    client.login(username="charlie@example.org", password=PASSWORD)
    assert client.get("/settings/identity/bring/sign").status_code == 404
    assert client.get("/settings/identity/tell/requests").status_code == 409
    assert client.get("/settings/identity/tell/progress").status_code == 404
    assert b"No identity has come" in client.get("/settings/identity/tell").content


def test_programs_do_the_same(client: Client, world: World, gone: Wanderer) -> None:
    api = Api(world.alice)
    found = api.post("me/identity/bring", {"log": gone.log.data.decode().splitlines()})
    assert (found.status, found.body["scid"], found.body["log"]) == (200, gone.scid, gone.log.data.decode().splitlines())
    assert api.post("me/identity/bring", {"named": gone.scid + "x"}).status == 422
    assert send(client, gone.move(read_offer(found.body["offer"], loopback=True))).status_code == 200
    world.alice.refresh_from_db()
    added = api.post("me/identity/followers", {"followers": ROWS})
    assert (added.status, added.body) == (200, {"added": 2, "known": 2})
    assert api.post("me/identity/followers", {"followers": [{**ROWS[0], "inbox": "https://victim.example/"}]}).status == 422
    proof = statements.make_statement(key=mnemonic.user_key(gone.seed, 0), actor=world.alice.uri, now=clock.now())
    assert api.put("me/identity/proof", {"proof": proof}).status == 204
    assert api.get("me/identity/move-progress").status == 404
    witnessed(gone.scid)
    document = api.get("me/identity/move-requests").body
    assert api.post("me/identity/move-requests", {"signed": {"v": 1}}).status == 422
    sent = api.post("me/identity/move-requests", {"signed": signed_with(gone, document)})
    assert (sent.status, sent.body["waiting"]) == (200, 2)
    assert api.get("me/identity/move-progress").body["waiting"] == 2
    assert Api(world.charlie).get("me/identity/move-requests").status == 409


def test_the_command_does_the_same(client: Client, world: World, gone: Wanderer, tmp_path: Any) -> None:
    def run(*arguments: str) -> str:
        told = io.StringIO()
        call_command("move", *arguments, stdout=told)
        return told.getvalue()

    def file(name: str, data: bytes) -> str:
        (tmp_path / name).write_bytes(data)
        return str(tmp_path / name)

    offer = json.loads(run("bring", "alice", "--log", file("did.jsonl", gone.log.data)))
    signed = file("move.json", body_of(gone.move(read_offer(offer, loopback=True))))
    assert gone.scid in run("arrive", "alice", signed)
    with pytest.raises(CommandError, match="not_found"):
        run("arrive", "alice", signed)
    rows = file("followers.jsonl", "\n".join(json.dumps(row) for row in ROWS).encode())
    assert json.loads(run("followers", "alice", rows, "--json")) == {"added": 2, "known": 2}
    with pytest.raises(CommandError, match="too_few_receipts"):
        run("requests", "alice")
    witnessed(gone.scid)
    document = json.loads(run("requests", "alice", "--json"))
    answer = file("signed.json", json.dumps(signed_with(gone, document)).encode())
    assert "waiting: 2" in run("send", "alice", answer)
    assert json.loads(run("progress", "alice", "--json")) == {"waiting": 2, "delivered": 0, "dead": 0}
    with pytest.raises(CommandError, match="has not lived at this address"):
        run("actor_key", "alice", file("key.pem", rsa_pair("alice of old")[0].encode()))


def ready(client: Client, world: World, gone: Wanderer) -> dict[str, Any]:
    api = Api(world.alice)
    found = api.post("me/identity/bring", {"log": gone.log.data.decode().splitlines()})
    assert send(client, gone.move(read_offer(found.body["offer"], loopback=True))).status_code == 200
    world.alice.refresh_from_db()
    api.post("me/identity/followers", {"followers": ROWS})
    witnessed(gone.scid)
    return api.get("me/identity/move-requests").body


def test_exactly_these_bytes_leave(client: Client, world: World, gone: Wanderer) -> None:
    signed = signed_with(gone, ready(client, world, gone))
    move = telling.take_signed(account=world.alice, by=world.alice, data=json.dumps(signed).encode())
    worker.work("federation")
    rows = Delivery.objects.filter(activity_uri=move.activity_uri)
    assert {row.inbox for row in rows} == {"https://masto.example/inbox", "https://gts.example/inbox"}
    for row in rows:
        assert row.body == signed["body"]
        assert row.signed_headers is not None
        assert f'keyId="{OLD}#main-key"' in row.signed_headers["Signature"]
        assert row.signed_until == move.signed_until
    rows.filter(host="gts.example").update(state="delivered")
    arriving.count_sent()
    move.refresh_from_db()
    assert (move.waiting, move.delivered, move.dead) == (1, 1, 0)


def test_when_the_move_is_not_signed_at_all(client: Client, world: World, gone: Wanderer) -> None:
    document = ready(client, world, gone)
    with pytest.raises(NotAllowed):
        telling.ask_signatures(account=world.alice, by=world.charlie)
    with pytest.raises(WrongState):
        telling.ask_signatures(account=world.bob, by=world.bob)
    world.alice.also_known_as = []
    world.alice.save()
    with pytest.raises(WrongState, match="does not name the old one"):
        telling.ask_signatures(account=world.alice, by=world.alice)
    world.alice.also_known_as = [OLD]
    world.alice.save()
    telling.take_signed(
        account=world.alice, by=world.alice, data=json.dumps(signed_with(gone, document, with_key=False)).encode()
    )
    with pytest.raises(Conflict, match="7 days"):
        telling.ask_signatures(account=world.alice, by=world.alice)
    assert SignedMove.objects.get().requests == dict.fromkeys(document["inboxes"])


def test_an_address_of_ones_own_keeps_its_key(client: Client, world: World) -> None:
    """T0: she lived at this very address before, on a server that is gone. Address and RSA key stay; nothing is to be moved."""
    gone = wanderer(origin="http://localhost:8000")
    found = Api(world.alice).post("me/identity/bring", {"log": gone.log.data.decode().splitlines()})
    assert found.status == 200, found.body
    assert send(client, gone.move(read_offer(found.body["offer"], loopback=True))).status_code == 200
    world.alice.refresh_from_db()
    assert (world.alice.scid, world.alice.also_known_as) == (gone.scid, [])
    assert queries.by_scid(gone.scid).did == gone.log.did.text, "no other name"
    private, public = rsa_pair("alice of old")
    moving.take_actor_key(account=world.alice, pem=private.encode())
    document = client.get("/users/alice", headers={"Accept": "application/activity+json"}).json()
    assert document["publicKey"]["publicKeyPem"] == public
    with pytest.raises(WrongState):
        telling.ask_signatures(account=world.alice, by=world.alice)
