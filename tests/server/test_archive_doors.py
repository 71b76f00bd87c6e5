"""Archives through their doors: the page, the API, the command line, and copies between servers over real HTTP."""

import io
import json
import os
from datetime import UTC, datetime, timedelta
from pathlib import Path
from types import SimpleNamespace
from typing import Any
from unittest import mock

import pytest
from django.core.files.uploadedfile import SimpleUploadedFile
from django.core.management import call_command
from django.test import Client
from pytest_django.live_server_helper import LiveServer

from server.accounts.models import Account, Block
from server.core import storage
from server.core.errors import Conflict, Invalid, TributaryError
from server.identity import queries as identities
from server.identity.models import Identity
from server.portability import actions, copies, fetching, holding, incoming, manifest, requests, vault
from server.portability.facts import CopyTurn
from server.portability.models import Archive, Held, HeldFile, Import, Replica
from tests import world as people
from tests.server.calls import Api
from tests.server.test_archive_make import give_to_owner, judged, made, part, stored_video, tar_of, work
from tests.world import World

pytestmark = pytest.mark.django_db


def browser(account: Account) -> Client:
    client = Client()
    assert account.user is not None
    client.force_login(account.user)
    return client


def body(response: Any) -> bytes:
    return b"".join(response.streaming_content) if response.streaming else response.content


# --- the page ---


def test_make_and_download_on_the_page(world: World) -> None:
    stored_video(world)
    client = browser(world.alice)
    assert client.post("/settings/archive/make").status_code == 302
    page = client.get("/settings/archive").content.decode()
    assert "Being made" in page
    assert "data-working" in page
    work()
    page = client.get("/settings/archive", headers={"X-Fragment": "archive"}).content.decode()
    assert "Download" in page
    assert "<html" not in page
    archive = Archive.objects.get()
    address = f"/settings/archive/{archive.pk}"
    whole = client.get(address)
    data = body(whole)
    assert (whole["Content-Type"], int(whole["Content-Length"])) == ("application/x-tar", len(data))
    assert judged(data).videos == 1
    rest = client.get(address, headers={"Range": "bytes=1000-"})
    assert (rest.status_code, rest["Content-Range"]) == (206, f"bytes 1000-{len(data) - 1}/{len(data)}")
    assert body(rest) == data[1000:]
    assert client.get(address, headers={"Range": f"bytes={len(data)}-"}).status_code == 416
    assert client.get(address, headers={"Range": "bytes=5-9"}).status_code == 200
    assert browser(world.charlie).get(address).status_code == 404
    assert Client().get(address).status_code == 302


def test_lists_on_the_page(world: World) -> None:
    Block.objects.create(account=world.alice, target=world.dora)
    response = browser(world.alice).get("/settings/archive/export/blocks.csv")
    assert response.content == b"dora@peer.example\n"
    assert 'filename="blocked_accounts.csv"' in response["Content-Disposition"]
    assert browser(world.alice).get("/settings/archive/export/secrets.csv").status_code == 404


def test_import_on_the_page(world: World) -> None:
    client = browser(world.alice)
    sent = {"file": SimpleUploadedFile("blocked_accounts.csv", b"dora@peer.example\nnonsense\n")}
    answer = client.post("/settings/archive/import", sent)
    one = Import.objects.get()
    assert answer["Location"] == f"/settings/archive/imports/{one.pk}"
    work()
    page = client.get(answer["Location"]).content.decode()
    assert "Done" in page
    assert "nonsense" in page
    assert Block.objects.filter(account=world.alice, target=world.dora).exists()
    assert browser(world.charlie).get(answer["Location"]).status_code == 404
    assert client.post("/settings/archive/import", {}).status_code == 422
    assert client.post(f"/settings/archive/imports/{one.pk}/stop").status_code == 409
    assert Client(enforce_csrf_checks=True).post("/settings/archive/import", sent).status_code == 403


def test_refusals_are_shown(world: World) -> None:
    client = browser(world.alice)
    answer = client.post("/settings/archive/import", {"file": SimpleUploadedFile("archive.tar", b"x" * 2000)})
    work()
    page = client.get(answer["Location"]).content.decode()
    assert "not_an_archive" in page
    assert "nothing was changed" in page
    assert client.post("/settings/archive/fetch", {"source": "friends.example", "manifest": "zz"}).status_code == 422
    assert client.post("/settings/archive/replicas", {"origin": "http://localhost:8000"}).status_code == 422


def test_a_file_that_is_too_large_for_the_page(world: World, settings: Any) -> None:
    settings.ARCHIVE_BYTES_MAX = 1000
    answer = browser(world.alice).post("/settings/archive/import", {"file": SimpleUploadedFile("a.tar", b"x" * 2000)})
    assert answer.status_code == 422
    assert "larger than" in answer.content.decode()


# --- the API ---


def test_the_api(world: World) -> None:
    stored_video(world)
    api = Api(world.alice)
    started = api.call("POST", "me/archives")
    assert (started.status, started.body["state"]) == (202, "making")
    work()
    shown = api.get(f"me/archives/{started.body['id']}")
    assert (shown.body["state"], shown.body["permille"], shown.body["seq"]) == ("ready", 1000, 1)
    assert [each["id"] for each in api.get("me/archives").body["results"]] == [started.body["id"]]
    response = api.client.get(f"/api/tributary/v1/me/archives/{started.body['id']}/content", headers=api.headers)
    data = body(response)
    assert judged(data).digest == shown.body["manifest_sha256"]
    stranger = Api(world.charlie)
    assert stranger.get(f"me/archives/{started.body['id']}").status == 404
    assert api.client.get("/api/tributary/v1/me/exports/mutes", headers=api.headers).content.startswith(b"Account address")
    assert api.get("me/exports/nothing").status == 404

    one = api.call("POST", "me/imports", {"filename": "a.tar", "bytes": len(data)})
    assert one.status == 201
    address = f"me/imports/{one.body['id']}"
    half = len(data) // 2
    assert api.call("PUT", f"{address}/content", data[:half], Upload_Offset="0").body["bytes_received"] == half
    assert api.call("POST", f"{address}/begin").status == 409
    assert api.call("PUT", f"{address}/content", data[half:], Upload_Offset=str(half)).status == 200
    assert stranger.call("POST", f"{address}/begin").status == 404
    assert api.call("POST", f"{address}/begin").status == 202
    work()
    done = api.get(address).body
    # Her own posts are here already: nothing comes twice.
    assert done["state"] == "done"
    assert [(each["kind"], each["state"]) for each in api.get(f"{address}/items").body["results"]] == [("video", "done")]
    assert api.call("POST", f"{address}/stop").status == 409
    assert api.call("POST", "me/imports", {"filename": "a.tar"}).status == 422
    assert api.call("POST", "me/replicas", {"origin": "https://friends.example"}).body[0]["origin"] == "https://friends.example"
    assert api.call("PUT", "me/replicas", {"origin": "https://friends.example"}).body == []


# --- the command ---


def run(*arguments: str) -> tuple[int, Any]:
    out = io.StringIO()
    status = 0
    try:
        call_command("archive", *arguments, "--json", stdout=out)
    except SystemExit as left:
        status = int(left.code or 0)
    return status, json.loads(out.getvalue()) if out.getvalue() else None


def test_the_command(world: World, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    stored_video(world)
    target = tmp_path / "alice.tar"
    status, said = run("make", "alice", "--output", str(target))
    assert (status, said["ok"], said["seq"]) == (0, True, 1)
    assert target.stat().st_size == said["file_bytes"]
    with pytest.raises(SystemExit) as left:
        call_command("archive", "verify", str(target), "--json")
    assert left.value.code == 0
    assert json.loads(capsys.readouterr().out)["manifest"] == said["manifest"]
    target.write_bytes(target.read_bytes()[:-2000])
    with pytest.raises(SystemExit) as left:
        call_command("archive", "verify", str(target), "--json")
    assert left.value.code == 1
    assert json.loads(capsys.readouterr().out)["reason"] == "truncated"
    status, said = run("list", "alice")
    assert (status, len(said["archives"])) == (0, 1)
    assert run("make", "nobody")[0] == 1
    lists = tmp_path / "blocked_accounts.csv"
    lists.write_bytes(b"dora@peer.example\nnonsense\n")
    status, said = run("import", "alice", str(lists))
    assert (status, said["state"], [each["name"] for each in said["shortfalls"]]) == (3, "done", ["nonsense"])
    status, said = run("import", "alice", str(target))
    assert (status, said["reason"]) == (1, "truncated")


# --- copies ---


def homeless(world: World) -> tuple[Archive, manifest.Manifest, bytes]:
    """A daily archive of alice, whose identity lives elsewhere as far as this server knows."""
    archive = made(world, "daily")
    data = tar_of(archive)
    Identity.objects.filter(scid=world.alice.scid).update(is_home=False)
    return archive, manifest.parse(part(data, "manifest.json")), data


def test_a_copy_is_taken_piece_by_piece(world: World) -> None:
    stored_video(world)
    _, about, data = homeless(world)
    api = Api(None)
    for name, _ in list(vault.all_names()):
        vault.path_of(name).unlink()
    held = api.call("POST", "copies", about.data)
    assert held.status == 200
    wanted = {each["sha256"]: each["bytes"] for each in held.body["missing"]}
    assert wanted == {file.sha256: file.size for file in about.files}
    files = {file.sha256: part(data, file.path) for file in about.files}
    base = f"copies/{about.digest}/files"
    assert api.call("POST", f"{base}/{'0' * 64}", b"x", Upload_Offset="0").status == 404
    first, *others = sorted(files)
    assert api.call("POST", f"{base}/{first}", files[first][:10], Upload_Offset="0").body["received"] == 10
    assert api.call("POST", f"{base}/{first}", files[first], Upload_Offset="0").status == 409
    assert api.call("POST", f"{base}/{first}", files[first][10:] + b"x", Upload_Offset="10").status == 413
    assert api.call("POST", f"{base}/{first}", b"x" * (len(files[first]) - 10), Upload_Offset="10").body["code"] == "wrong_hash"
    assert api.get(f"copies/{about.digest}/missing").body["missing"][0]["received"] == 0
    for sha256 in (first, *others):
        assert api.call("POST", f"{base}/{sha256}", files[sha256], Upload_Offset="0").body["received"] == len(files[sha256])
    assert Held.objects.get().whole_at is not None
    assert api.call("POST", "copies", about.data).body["missing"] == []
    read = api.client.get(f"/api/tributary/v1/{base}/{first}?offset=3")
    assert body(read) == files[first][3:]
    assert body(api.client.get(f"/api/tributary/v1/{base}/{about.digest}")) == about.data
    assert api.get(f"{base}/{'1' * 64}").status == 404
    assert api.get(f"copies/{'1' * 64}/files/{first}").status == 404
    # Swept is only what nobody names.
    for name, _ in vault.all_names():
        os.utime(vault.path_of(name), (0, 0))
    Archive.objects.all().delete()
    actions.sweep_vault()
    assert {name for name, _ in vault.all_names()} == {*files, about.digest}


def test_what_is_not_kept(world: World, settings: Any) -> None:
    _, about, _ = homeless(world)
    Held.objects.all().delete()

    def refused(data: bytes = about.data) -> str:
        return str(Api(None).call("POST", "copies", data).body["code"])

    settings.COPY_BYTES_MAX = 0
    assert refused() == "no_copies"
    settings.COPY_BYTES_MAX = 10
    assert refused() == "quota_exceeded"
    settings.COPY_BYTES_MAX, settings.COPIES_BYTES_MAX = 10**9, 10
    assert refused() == "quota_full"
    settings.COPIES_BYTES_MAX = 10**9
    assert refused(b"{}") == "bad_manifest"
    assert refused(about.data.replace(about.root.encode(), b"0" * 64)) == "wrong_root"
    assert refused(about.data[:-4] + b'z"}}') in {"wrong_signer", "bad_manifest"}
    Identity.objects.filter(scid=about.scid).update(is_home=True)
    assert refused() == "conflict"
    Identity.objects.filter(scid=about.scid).delete()
    assert refused() == "unknown_identity"
    assert not Held.objects.exists()


def test_open_private_parts_are_not_kept(world: World) -> None:
    archive = made(world, "demand")
    Identity.objects.filter(scid=world.alice.scid).update(is_home=False)
    assert Api(None).call("POST", "copies", part(tar_of(archive), "manifest.json")).body["code"] == "unsealed"


def test_the_newer_takes_the_place_of_the_older(world: World) -> None:
    numbers = []
    for _ in range(4):
        _, about, data = homeless(world)
        Identity.objects.filter(scid=about.scid).update(is_home=True)
        numbers.append((about, {file.sha256: part(data, file.path) for file in about.files}))
    Identity.objects.filter(scid=world.alice.scid).update(is_home=False)
    for about, files in numbers:
        held = holding.take_manifest(about.data)
        for wanted in holding.missing(held):
            holding.take_piece(held=held, sha256=wanted["sha256"], offset=0, stream=io.BytesIO(files[wanted["sha256"]]))
    assert [held.seq for held in Held.objects.order_by("seq")] == [3, 4]
    with pytest.raises(Conflict):
        holding.take_manifest(numbers[0][0].data)


def test_the_owner_asks_what_is_kept(world: World, settings: Any) -> None:
    _, about, _ = homeless(world)
    holding.take_manifest(about.data)
    identity = Identity.objects.get(scid=about.scid)
    log, user = identities.log_of(identity), identities.custody_key(identity, "user")
    now = datetime.now(UTC)
    asked = requests.make("CopyRequest", log=log, about=settings.ORIGIN, key=user, now=now)
    api = Api(None)
    assert api.call("POST", "copies/newest", asked).body["manifest_sha256"] == about.digest
    for bad in ({**asked, "audience": "https://else.example"}, {**asked, "v": True}, {**asked, "more": 1}):
        assert api.call("POST", "copies/newest", bad).body["code"] == "not_the_owner"
    assert api.call("POST", "copies/newest", {}).status == 422
    for seconds in (-400, 400):
        late = requests.make("CopyRequest", log=log, about=settings.ORIGIN, key=user, now=now + timedelta(seconds=seconds))
        assert api.call("POST", "copies/newest", late).body["code"] == "not_the_owner"
    other = identities.custody_key(Identity.objects.get(scid=world.bob.scid), "user")
    forged = requests.make("CopyRequest", log=log, about=settings.ORIGIN, key=other, now=now)
    assert api.call("POST", "copies/newest", forged).body["code"] == "not_the_owner"


def test_picking(world: World) -> None:
    with pytest.raises(Invalid):
        copies.pick(account=world.alice, by=world.alice, origin="http://localhost:8000")
    with pytest.raises(TributaryError):
        copies.pick(account=world.alice, by=world.charlie, origin="https://a.example")
    for number in range(8):
        copies.pick(account=world.alice, by=world.alice, origin=f"s{number}.example")
    copies.pick(account=world.alice, by=world.alice, origin="https://s0.example")
    with pytest.raises(Conflict):
        copies.pick(account=world.alice, by=world.alice, origin="more.example")


@pytest.mark.django_db(transaction=True)
def test_there_and_back_over_http(live_server: LiveServer) -> None:
    """A copy goes to another server and is fetched again: the private parts stay sealed all the way."""
    world = people.make()
    give_to_owner(world)
    Block.objects.create(account=world.alice, target=world.dora)
    big = b"large film " * 900_000
    stored_video(world)
    people.published(world.alice, mp4_file=storage.put_bytes(big, "mp4"), poster_file="")
    archive, about, _ = homeless(world)
    replica = copies.pick(account=world.alice, by=world.alice, origin=live_server.url)
    replica.refresh_from_db()
    saved = {name: vault.path_of(name).read_bytes() for name, _ in vault.all_names()}
    # One data directory serves both sides here: the other one has nothing yet when it is asked.
    for name in saved:
        if name != about.digest and name not in {file.sha256 for file in archive.files.filter(media_name="")}:
            vault.path_of(name).unlink()
    copies.push(CopyTurn(replica_id=replica.pk, turn=replica.turn))
    replica.refresh_from_db()
    assert (replica.error, replica.seq, replica.permille) == ("", about.seq, 1000)
    held = Held.objects.get()
    assert held.whole_at is not None
    assert HeldFile.objects.filter(held=held, here=True).count() == len({file.sha256 for file in about.files})
    assert all(b"dora@peer.example" not in vault.path_of(name).read_bytes() for name, _ in vault.all_names())

    one = incoming.fetch_from(account=world.alice, by=world.alice, origin=live_server.url, manifest_sha256=about.digest)
    # As on a disk where nothing lies yet.
    empty = SimpleNamespace(keep=lambda _: False, writing=vault.writing, put=vault.put)
    with mock.patch.object(fetching, "vault", empty):
        done, permille = fetching.fetch(one, until=float("inf"))
    assert (done, permille) == (True, 500)
    assert {file.path: file.sha256 for file in one.files.all()} == {
        "manifest.json": about.digest,
        **{file.path: file.sha256 for file in about.files},
    }


@pytest.mark.django_db(transaction=True)
def test_a_refusal_of_the_other_server_is_told(live_server: LiveServer, settings: Any) -> None:
    world = people.make()
    homeless(world)
    settings.COPY_BYTES_MAX = 0
    replica = copies.pick(account=world.alice, by=world.alice, origin=live_server.url)
    replica.refresh_from_db()
    copies.push(CopyTurn(replica_id=replica.pk, turn=replica.turn))
    replica.refresh_from_db()
    assert replica.error == "The other server says: This server keeps no copies for others."
    assert Replica.objects.get().copied_at is None
