"""An archive arrives at another home: judged before anything has an effect, resumable, and honest about what is missing."""

import io
import json
import os
import shutil
import zipfile
from base64 import b64decode, b64encode
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from django.conf import settings as conf
from django.test import Client

from payouts import statements
from payouts.ledger import canonical as ledger_canonical
from payouts.ledger import container
from payouts.ledger.errors import PostingsUnbalanced
from server.accounts import actions as accounts
from server.accounts.models import Account, Block, Follow, Mute, WaitingRelation
from server.accounts.remote import RemoteProfile
from server.core import clock, keys, storage, worker
from server.core.errors import Conflict, NotFound, TooLarge, WrongState
from server.core.models import Task
from server.identity import actions as identity_actions
from server.identity import queries as identities
from server.identity.models import OutboxHead
from server.portability import (
    actions,
    download,
    imports,
    incoming,
    manifest,
    parts,
    paths,
    requests,
    tar,
    unpacking,
    vault,
    verify,
)
from server.portability.facts import ImportTurn
from server.portability.models import Archive, Carried, Earlier, Import, Original
from server.videos import publishing
from server.videos.models import Upload, Video
from tests import clips
from tests import world as people
from tests.payouts.room import Room, identity
from tests.server.test_archive_make import judged, lines, part
from tests.world import World

pytestmark = pytest.mark.django_db
AS = {"Accept": "application/activity+json"}
OLD, NEW = "http://localhost:8001", "http://localhost:8000"


def at(settings: Any, origin: str) -> None:
    settings.ORIGIN, settings.HOST = origin, origin.removeprefix("http://")


def work(*queues: str, rounds: int = 60) -> None:
    """Run what is due, as workers do, until nothing is; the clock does not stand in the way."""
    for _ in range(rounds):
        Task.objects.filter(dead_at=None).update(next_try_at=datetime.now(UTC) - timedelta(seconds=1))
        if not sum(worker.work(queue, seconds_max=30) for queue in queues or ("default", "transcode")):
            break
    failed = [task.last_error for task in Task.objects.all() if task.last_error]
    assert failed == []


def real_clip(seconds: float = 1) -> bytes:
    return clips.pattern(f"archive-{seconds}.mp4", seconds=seconds, sound=False).read_bytes()


@dataclass
class Move:
    """Alice lived at the old home, where this archive was made; now her identity lives at the new one."""

    account: Account
    tar: bytes
    old_uri: str
    world: World


@pytest.fixture
def move(world: World, settings: Any) -> Move:
    return moved(world, settings)


def moved(world: World, settings: Any, *, kind: str = "demand", change: Callable[[Account], None] | None = None) -> Move:
    at(settings, OLD)
    old = people.local("alice_old")
    accounts.update_profile(account=old, by=old, display_name="Alice of old", bio="I film rabbits")
    for number, caption in enumerate(["First #hop", "Second"]):
        people.published(
            old,
            caption=caption,
            mp4_file=storage.put_bytes(real_clip(1 + number), "mp4"),
            poster_file=storage.put_bytes(f"poster {number}".encode(), "jpg"),
            published_at=datetime(2026, 1, 2 + number, tzinfo=UTC),
        )
    accounts.block(account=old, target=world.dora)
    accounts.mute(account=old, target=people.remote("mallory", "noisy.example"))
    WaitingRelation.objects.create(account=old, address="eve@far.example", kind="block")
    accounts.follow(follower=old, target=people.remote("frank"))
    Carried.objects.create(account=old, name="lists", data=b"Friends,bob@localhost:8000\n")
    if change is not None:
        change(old)
    archive = actions.ask_archive(account=old, by=old, kind=kind)
    work("default")
    data = b"".join(download.layout(Archive.objects.get(pk=archive.pk)).stream())
    scid, old_uri = old.scid or "", old.uri
    at(settings, NEW)
    new = world.alice
    offer = identity_actions.offer_home(
        scid=scid, handle=new.handle, actor_uri=new.uri, home_key=new.keys.get(name="home-1").public
    )
    # What she signed at the old home was signed before she left: the log counts whole seconds.
    with clock.moved(timedelta(seconds=2)):
        log, grant = identity_actions.sign_move(identity=identities.by_scid(scid), offer=offer)
        identity_actions.arrive(data=log.data, grant=grant)
    Account.objects.filter(pk=new.pk).update(scid=scid)
    new.refresh_from_db()
    # The old home is gone, and nothing of its disk is here.
    Video.objects.filter(account=old).delete()
    Account.objects.filter(pk=old.pk).delete()
    shutil.rmtree(conf.MEDIA_ROOT, ignore_errors=True)
    shutil.rmtree(vault.folder(), ignore_errors=True)
    Task.objects.all().delete()
    return Move(new, data, old_uri, world)


def take(account: Account, data: bytes, name: str = "archive.tar") -> Import:
    return incoming.take_file(account=account, by=account, filename=name, stream=io.BytesIO(data), size=len(data))


def imported(account: Account, data: bytes, name: str = "archive.tar") -> Import:
    one = take(account, data, name)
    work()
    one.refresh_from_db()
    return one


def states(one: Import, kind: str) -> dict[str, str]:
    return dict(one.items.filter(kind=kind).values_list("name", "state"))


def repack(data: bytes, change: Callable[[list[tuple[str, bytes]]], list[tuple[str, bytes]]]) -> bytes:
    file = io.BytesIO(data)
    members = [(member.path, data[member.offset : member.offset + member.size]) for member in tar.members(file)]
    out = b""
    for path, content in change(members):
        out += tar.header(path, len(content), moment=datetime(2026, 1, 1, tzinfo=UTC)) + content + tar.padding(len(content))
    return out + tar.END


@pytest.mark.slow
def test_everything_arrives(move: Move, client: Client) -> None:
    before = {row["id"]: row for row in lines(move.tar, verify.VIDEOS)}
    one = imported(move.account, move.tar)

    assert (one.state, one.code, one.permille, one.kind) == ("done", "", 1000, "tributary")
    assert set(states(one, "video").values()) == {"done"}
    videos = list(Video.objects.filter(account=move.account).order_by("published_at"))
    assert [(video.caption, video.state, video.published_at) for video in videos] == [
        ("First #hop", "published", datetime(2026, 1, 2, tzinfo=UTC)),
        ("Second", "published", datetime(2026, 1, 3, tzinfo=UTC)),
    ]
    assert all(video.uri.startswith(NEW) and storage.exists(video.mp4_file) and video.duration_ms for video in videos)
    assert list(videos[0].hashtags.values_list("name", flat=True)) == ["hop"]
    # They are no news: nobody is told.
    assert not Task.objects.filter(fact="VideoPublished").exists()
    # A3: the same files, though what is shown was made anew.
    assert {original.sha256 for original in Original.objects.all()} == {row["video"] for row in before.values()}
    # A4
    assert set(Block.objects.filter(account=move.account).values_list("target__handle", flat=True)) == {"dora"}
    assert set(Mute.objects.filter(account=move.account).values_list("target__handle", flat=True)) == {"mallory"}
    assert set(WaitingRelation.objects.filter(account=move.account).values_list("address", "kind")) == {
        ("eve@far.example", "block")
    }
    assert Follow.objects.filter(follower=move.account, target__handle="frank").exists()
    assert bytes(Carried.objects.get(account=move.account, name="lists").data) == b"Friends,bob@localhost:8000\n"
    assert (Account.objects.get(pk=move.account.pk).display_name, Account.objects.get(pk=move.account.pk).bio) == (
        "Alice of old",
        "I film rabbits",
    )
    # FEP-1580: old to new.
    assert dict(Earlier.objects.filter(account=move.account).values_list("uri", "video__uri")) == dict(
        zip(sorted(before), sorted(video.uri for video in videos), strict=True)
    )
    # ... as the signed map says that the old home asks for, and by which it sends on.
    work("federation")
    map_uri = client.get("/users/alice", headers=AS).json()["migration"]
    whole = client.get(map_uri.removeprefix(NEW), headers=AS).json()
    assert (whole["migrationComplete"], whole["totalItems"]) == (True, 2)
    page = client.get(whole["first"].removeprefix(NEW), headers=AS).json()
    assert {(item["actor"], item["origin"], item["target"]) for item in page["orderedItems"]} == {
        (move.old_uri, old, new) for old, new in Earlier.objects.values_list("uri", "video__uri")
    }
    assert not incoming.path_of(one).exists()
    assert one.files.count() == 0

    # The next archive goes on from this one and has the same files, byte for byte.
    archive = actions.ask_archive(account=move.account, by=move.account)
    work("default")
    archive.refresh_from_db()
    again = b"".join(download.layout(archive).stream())
    about = manifest.parse(part(again, "manifest.json"))
    assert (about.seq, about.prev) == (2, manifest.parse(part(move.tar, "manifest.json")).digest)
    assert {row["video"] for row in lines(again, verify.VIDEOS)} == {row["video"] for row in before.values()}
    assert {row["origin"] for row in lines(again, "migration/map.jsonl")} == set(before)
    assert [row["object"]["id"] for row in lines(again, "objects/earlier.jsonl")] == sorted(before)
    for name in ("graph/blocks.csv", "graph/mutes.csv", "graph/lists.csv", "graph/following.csv"):
        assert part(again, name) == part(move.tar, name)
    assert judged(again).missing == []


@pytest.mark.slow
def test_twice_is_once(move: Move) -> None:
    imported(move.account, move.tar)
    again = imported(move.account, move.tar)
    assert again.state == "done"
    assert Video.objects.filter(account=move.account).count() == 2
    assert {item.why for item in again.items.filter(kind="video")} == {"It is here already."}


def test_a_block_stands_before_the_first_delivery(move: Move) -> None:
    """A4: eve was never met here. The moment her server is first heard, before anything of hers counts, she is blocked."""
    one = take(move.account, move.tar)
    for turn in range(3):
        imports.run(ImportTurn(import_id=one.pk, turn=turn))
    one.refresh_from_db()
    assert one.step == 3
    eve = accounts.receive_remote_account(
        profile=RemoteProfile(uri="https://far.example/users/Eve", handle="Eve", domain="far.example")
    )
    assert Block.objects.filter(account=move.account, target=eve).exists()
    assert accounts.receive_follow(follower=eve, target=move.account, uri="https://far.example/f/1") is None
    assert not WaitingRelation.objects.filter(address="eve@far.example").exists()


@pytest.mark.slow
def test_what_was_dropped_is_listed_and_nothing_is_invented(move: Move) -> None:
    rows = lines(move.tar, verify.VIDEOS)
    gone = paths.media(rows[0]["video"])
    one = imported(move.account, repack(move.tar, lambda members: [each for each in members if each[0] != gone]))
    assert one.state == "done"
    assert states(one, "video") == {rows[0]["id"]: "missing", rows[1]["id"]: "done"}
    assert f"Missing from the archive: {gone}" in one.notes
    assert [video.caption for video in Video.objects.filter(account=move.account)] == ["Second"]


def _swap(path: str, new: bytes) -> Callable[[list[tuple[str, bytes]]], list[tuple[str, bytes]]]:
    return lambda members: [(name, new if name == path else content) for name, content in members]


@pytest.mark.parametrize(
    ("change", "code"),
    [
        (lambda data: data[: len(data) // 2], "truncated"),
        (lambda data: data + b"x", "trailing_bytes"),
        (lambda data: b"MZ" + data[2:], "bad_header"),
        (lambda data: data.replace(b"I film rabbits", b"I film foxes!!"), "wrong_hash"),
        (lambda data: repack(data, _swap("manifest.json", b"{}")), "bad_manifest"),
        (lambda data: repack(data, lambda members: [*members, ("zzz", b"x")]), "not_listed"),
        (lambda data: repack(data, lambda members: [*members, ("opened/evil.sh", b"x")]), "bad_part"),
        (lambda data: repack(data, lambda members: [one for one in members if one[0] != verify.LOG]), "bad_part"),
        (lambda data: repack(data, lambda members: [*members[:2], *members[:1:-1]]), "out_of_order"),
    ],
)  # fmt: skip
def test_hostile_archives_change_nothing(move: Move, change: Callable[[bytes], bytes], code: str) -> None:
    one = imported(move.account, change(move.tar))
    assert (one.state, one.code) == ("refused", code)
    assert one.reason
    assert one.items.count() == 0
    assert not Video.objects.filter(account=move.account).exists()
    assert not Block.objects.filter(account=move.account).exists()
    assert not incoming.path_of(one).exists()


def test_somebody_elses_archive(move: Move) -> None:
    one = imported(move.world.charlie, move.tar)
    assert (one.state, one.code) == ("refused", "foreign_identity")


def test_a_home_that_is_gone_is_not_believed_without_the_owner(world: World, settings: Any) -> None:
    """FORMATS 4.4: its key was removed by the move; the owner's own key says that the archive is hers."""
    move = moved(world, settings, kind="daily")
    # This server runs both homes here: it forgets what it would not have seen.
    OutboxHead.objects.all().delete()
    assert imported(move.account, move.tar).code == "unvouched"
    digest = manifest.parse(part(move.tar, "manifest.json")).digest
    identity = identities.by_scid(move.account.scid or "")
    log = identities.log_of(identity)
    user = identities.custody_key(identity, "user")
    good = requests.make("ArchiveApproval", log=log, about=digest, key=user, now=datetime.now(UTC))
    for approval, code in [
        ({**good, "manifest": "0" * 64}, "not_the_owner"),
        (requests.make("ArchiveApproval", log=log, about=digest, key=identity_actions.open_key(keys_of_eve()), now=datetime.now(UTC)), "not_the_owner"),
        (good, ""),
    ]:  # fmt: skip
        one = incoming.announce(
            account=move.account, by=move.account, filename="a.tar", bytes_expected=len(move.tar), approval=approval
        )
        incoming.append(one=one, by=move.account, offset=0, stream=io.BytesIO(move.tar))
        incoming.begin(one=one, by=move.account)
        imports.run(ImportTurn(import_id=one.pk, turn=0))
        one.refresh_from_db()
        assert (one.code, one.step) == (code, 0 if code else 1)


def test_a_home_that_is_gone_is_believed_where_its_head_was_seen(world: World, settings: Any) -> None:
    """FORMATS 4.4: a head over the manifest, seen before the move, or a later one that chains back to it."""
    move = moved(world, settings, kind="daily")
    digest = manifest.parse(part(move.tar, "manifest.json")).digest
    head = OutboxHead.objects.get(identity_id=move.account.scid, object=digest)
    move_at = identities.log_of(identities.by_scid(move.account.scid or "")).versions[1].entry.time
    for seen_at, code in [(move_at, "unvouched"), (move_at - timedelta(seconds=1), "")]:
        OutboxHead.objects.filter(pk=head.pk).update(seen_at=seen_at)
        one = take(move.account, move.tar)
        imports.run(ImportTurn(import_id=one.pk, turn=0))
        one.refresh_from_db()
        assert (one.code, one.step) == (code, 0 if code else 1)


def keys_of_eve() -> Any:
    from server.identity.models import CustodyKey

    pair = keys.make_ed25519()
    return CustodyKey(role="user", public=pair.public, private_sealed=pair.private_sealed)


def test_sealed_parts_wait_for_their_owner(move: Move) -> None:
    """What she opened with her own tool stands behind what the manifest lists."""
    opened = repack(
        move.tar,
        lambda members: [*members, ("opened/graph/mutes.csv", b"Account address,Hide notifications\nx@y.example,true\n")],
    )
    one = take(move.account, opened)
    for turn in range(3):
        imports.run(ImportTurn(import_id=one.pk, turn=turn))
    assert set(states(one, "mute")) == {"x@y.example"}
    assert unpacking.sealed(one) == []


def a_month(account: Account) -> None:
    """She earned something at her old home, whose ledger says so."""
    room = Room.__new__(Room)
    room.alice, room.bob = identities.by_scid(account.scid or ""), identity("zoe")
    room.month()


@pytest.mark.slow
def test_what_is_owed_is_proven_on_arrival(world: World, settings: Any) -> None:
    """A5: the statement in the archive verifies, without asking the old home."""
    move = moved(world, settings, change=a_month)
    assert judged(move.tar).statement == "verified"
    one = take(move.account, move.tar)
    for turn in range(2):
        imports.run(ImportTurn(import_id=one.pk, turn=turn))
    one.refresh_from_db()
    assert (one.code, one.step) == ("", 2)
    assert [note for note in one.notes if note.startswith("The statement of localhost:8001/ledger/1 in the archive is verified")]


@pytest.mark.slow
def test_an_altered_share_is_refused_by_name(world: World, settings: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """A5: the old home itself signs an archive in which the entry with her share says more."""
    old, new = b'"5400000"', b'"9400000"'

    def raised(account: Account) -> list[bytes]:
        document = json.loads(container.unpack(statements.build(account.scid or "")))
        raised_count = 0
        for held in document["debtors"][0]["ranges"]:
            entries = [b64decode(text) for text in held["entries"]]
            raised_count += sum(old in entry for entry in entries)
            held["entries"] = [b64encode(entry.replace(old, new)).decode() for entry in entries]
        assert raised_count
        return [container.pack(ledger_canonical.encode(document))]

    monkeypatch.setitem(parts.PARTS, verify.STATEMENT, raised)
    move = moved(world, settings, change=a_month)
    one = imported(move.account, move.tar)
    assert (one.state, one.code) == ("refused", PostingsUnbalanced.code)
    with pytest.raises(PostingsUnbalanced):
        judged(move.tar)
    assert not Video.objects.filter(account=move.account).exists()


def test_an_upload_goes_on_where_it_broke(move: Move) -> None:
    one = incoming.announce(account=move.account, by=move.account, filename="a.tar", bytes_expected=len(move.tar))
    incoming.append(one=one, by=move.account, offset=0, stream=io.BytesIO(move.tar[:5000]))
    with pytest.raises(Conflict):
        incoming.append(one=one, by=move.account, offset=0, stream=io.BytesIO(move.tar))
    with pytest.raises(Conflict):
        incoming.begin(one=one, by=move.account)
    with pytest.raises(NotFound):
        incoming.append(one=one, by=move.world.charlie, offset=5000, stream=io.BytesIO(move.tar[5000:]))
    with pytest.raises(TooLarge):
        incoming.append(one=one, by=move.account, offset=5000, stream=io.BytesIO(move.tar[5000:] + b"x"))
    incoming.append(one=one, by=move.account, offset=5000, stream=io.BytesIO(move.tar[5000:]))
    incoming.begin(one=one, by=move.account)
    with pytest.raises(WrongState):
        incoming.append(one=one, by=move.account, offset=0, stream=io.BytesIO(b"x"))
    assert incoming.path_of(one).read_bytes() == move.tar


def test_a_stopped_import(move: Move) -> None:
    one = take(move.account, move.tar)
    incoming.cancel(one=one, by=move.account)
    work("default")
    one.refresh_from_db()
    assert (one.state, one.items.count()) == ("cancelled", 0)
    with pytest.raises(WrongState):
        incoming.cancel(one=one, by=move.account)


def test_an_old_turn_does_nothing(move: Move) -> None:
    one = take(move.account, move.tar)
    imports.run(ImportTurn(import_id=one.pk, turn=0))
    one.refresh_from_db()
    imports.run(ImportTurn(import_id=one.pk, turn=0))
    assert Import.objects.get(pk=one.pk).turn == one.turn == 1


def test_abandoned_and_given_up(move: Move) -> None:
    one = incoming.announce(account=move.account, by=move.account, filename="a.tar", bytes_expected=10)
    Import.objects.filter(pk=one.pk).update(created_at=datetime.now(UTC) - timedelta(days=8))
    assert incoming.forget_abandoned() == 1
    two = take(move.account, move.tar)
    assert imports.fail_given_up() == 0
    Task.objects.update(dead_at=datetime.now(UTC))
    assert imports.fail_given_up() == 1
    assert Import.objects.get(pk=two.pk).state == "failed"


def test_limits(move: Move, settings: Any) -> None:
    settings.ARCHIVE_BYTES_MAX = 1000
    with pytest.raises(TooLarge):
        take(move.account, move.tar)
    settings.ARCHIVE_BYTES_MAX = 10**9
    for _ in range(4):
        incoming.announce(account=move.account, by=move.account, filename="a.tar", bytes_expected=10)
    with pytest.raises(Conflict):
        incoming.announce(account=move.account, by=move.account, filename="a.tar", bytes_expected=10)


# --- lists and foreign archives ---


def test_the_file_it_came_with_goes_with_a_deleted_video(world: World) -> None:
    for gone in (
        lambda video: publishing.delete(video=video, by=world.alice),
        lambda video: accounts.close_account(account=world.alice, by=world.alice),
    ):
        sha256, size = vault.put([b"what she brought"])
        video = people.published(world.alice)
        Original.objects.create(video=video, sha256=sha256, size=size)
        os.utime(vault.path_of(sha256), (0, 0))
        assert actions.sweep_vault() == 0
        gone(video)
        work("default")
        assert actions.sweep_vault() == 1
        assert not vault.has(sha256)


def test_csv_exports(world: World) -> None:
    files = {
        "blocked_accounts.csv": b"dora@peer.example\nnobody@nowhere.example\nnot an address\n",
        "following_accounts.csv": b"Account address,Show boosts,Notify on new posts,Languages\nbob@localhost:8000,true,false,\n",
        "muted_accounts.csv": b"Account address,Hide notifications\ncharlie@localhost:8000,true\n",
        "blocked_domains.csv": b"#domain\nbad.example\n",
        "bookmarks.csv": b"https://peer.example/posts/1\n",
        "lists.csv": b"Friends,bob@localhost:8000\n",
    }
    for name, data in files.items():
        assert imported(world.alice, data, name).state == "done", name
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w") as archive:
        for name, data in files.items():
            archive.writestr(name, data)
    one = imported(world.alice, out.getvalue(), "export.zip")
    assert (one.state, one.kind) == ("done", "csv")
    assert states(one, "block") == {"dora@peer.example": "done", "nobody@nowhere.example": "done", "not an address": "failed"}
    assert Block.objects.filter(account=world.alice, target=world.dora).exists()
    assert Follow.objects.filter(follower=world.alice, target=world.bob).exists()
    assert Mute.objects.filter(account=world.alice, target=world.charlie).exists()
    assert bytes(Carried.objects.get(account=world.alice, name="domain_blocks").data) == b"bad.example\n"


def mastodon(actor: str = "https://old.example/users/alice") -> dict[str, bytes]:
    def create(number: int, **note: Any) -> dict[str, Any]:
        uri = f"{actor}/statuses/{number}"
        base = {"id": uri, "type": "Note", "attributedTo": actor, "published": f"2020-01-0{number}T00:00:00Z",
                "to": ["https://www.w3.org/ns/activitystreams#Public"], "cc": [], "sensitive": False}  # fmt: skip
        return {"id": f"{uri}/activity", "type": "Create", "actor": actor, "object": {**base, **note}}

    video = {"type": "Document", "mediaType": "video/mp4", "url": "/media_attachments/files/1/original/a.mp4", "name": "A rabbit"}
    items = [
        create(1, content="<p>Hello <b>rabbits</b></p><p>#hop</p>", contentMap={"en": "<p>Hello <b>rabbits</b></p><p>#hop</p>"}, attachment=[video]),
        create(2, content="<p>Only words</p>", attachment=[]),
        create(3, content="<p>Lost</p>", attachment=[{**video, "url": "media_attachments/files/2/original/b.mp4"}]),
        create(4, content="<p>Secret</p>", to=[f"{actor}/followers"], attachment=[video]),
        create(5, content="<p>By eve</p>", attributedTo="https://evil.example/users/eve", attachment=[video]),
        {"id": f"{actor}/statuses/6/activity", "type": "Announce", "actor": actor, "object": "https://x.example/1"},
    ]  # fmt: skip
    return {
        "outbox.json": json.dumps({"id": "outbox.json", "type": "OrderedCollection", "orderedItems": items}).encode(),
        "actor.json": json.dumps({"id": actor, "type": "Person", "preferredUsername": "alice"}).encode(),
        "media_attachments/files/1/original/a.mp4": real_clip(),
        "avatar.png": b"png",
        "likes.json": b"{}",
    }


def zipped(files: dict[str, bytes], method: int = zipfile.ZIP_DEFLATED) -> bytes:
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w", method) as archive:
        for name, data in files.items():
            archive.writestr(name, data)
    return out.getvalue()


def tar_gz(files: dict[str, bytes]) -> bytes:
    import tarfile

    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w:gz", format=tarfile.USTAR_FORMAT) as archive:
        for name, data in files.items():
            info = tarfile.TarInfo(name)
            info.size = len(data)
            archive.addfile(info, io.BytesIO(data))
    return out.getvalue()


@pytest.mark.slow
@pytest.mark.parametrize("pack", [zipped, tar_gz])
def test_a_mastodon_archive(world: World, pack: Callable[[dict[str, bytes]], bytes]) -> None:
    one = imported(world.alice, pack(mastodon()), "archive")
    base = "https://old.example/users/alice/statuses"
    assert (one.state, one.kind) == ("done", "mastodon")
    assert states(one, "video") == {f"{base}/1": "done", f"{base}/3": "missing", f"{base}/4": "done"}
    public = Video.objects.get(account=world.alice, state="published")
    assert (public.caption, public.alt_text, public.language) == ("Hello rabbits\n\n#hop", "A rabbit", "en")
    # Nobody signed it, and nobody says that the account is the same: it has no date of its own.
    assert public.published_at is not None
    assert public.published_at.year > 2020
    assert any("date of today" in note for note in one.notes)
    # What few could see is not published.
    assert Video.objects.get(account=world.alice, state="ready").caption == "Secret"
    assert Earlier.objects.get(account=world.alice, uri=f"{base}/1").video == public


@pytest.mark.slow
def test_an_account_that_moved_here_brings_its_dates(world: World) -> None:
    old = people.remote("alice", "old.example")
    old.moved_to = world.alice
    old.save()
    imported(world.alice, zipped(mastodon()), "archive.zip")
    assert Video.objects.get(account=world.alice, state="published").published_at == datetime(2020, 1, 1, tzinfo=UTC)


@pytest.mark.slow
def test_a_peertube_export(world: World) -> None:
    def video(number: int, **more: Any) -> dict[str, Any]:
        base = {"uuid": f"0000-{number}", "url": f"https://tube.example/videos/watch/{number}", "name": f"Film {number}",
                "description": "About rabbits", "tags": ["hop"], "privacy": 1, "nsfw": False, "language": "en",
                "publishedAt": "2021-01-01T00:00:00.000Z", "duration": 1.5,
                "archiveFiles": {"videoFile": f"../files/videos/video-files/{number}.mp4", "thumbnail": None, "captions": {}}}  # fmt: skip
        return {**base, **more}

    files = {
        "peertube/videos.json": json.dumps({"videos": [video(1), video(2, privacy=3, archiveFiles={"videoFile": None})]}).encode(),
        "peertube/following.json": json.dumps({"following": [{"handle": "a@b", "targetHandle": "bob@localhost:8000"}]}).encode(),
        "peertube/blocklist.json": json.dumps({"instances": [{"host": "bad.example"}], "actors": [{"handle": "dora@peer.example"}]}).encode(),
        "peertube/account.json": json.dumps({"url": "https://tube.example/accounts/alice"}).encode(),
        "files/videos/video-files/1.mp4": real_clip(),
    }  # fmt: skip
    one = imported(world.alice, zipped(files), "export.zip")
    assert (one.state, one.kind) == ("done", "peertube")
    assert states(one, "video") == {
        "https://tube.example/videos/watch/1": "done",
        "https://tube.example/videos/watch/2": "missing",
    }
    made = Video.objects.get(account=world.alice)
    assert (made.caption, made.state) == ("Film 1\n\nAbout rabbits\n\n#hop", "published")
    assert Follow.objects.filter(follower=world.alice, target=world.bob).exists()
    assert Block.objects.filter(account=world.alice, target=world.dora).exists()


def _with_entry(**changes: Any) -> bytes:
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, data in mastodon().items():
            archive.writestr(name, data)
        info = zipfile.ZipInfo(changes.get("name", "media_attachments/x.mp4"))
        info.compress_type = changes.get("method", zipfile.ZIP_DEFLATED)
        info.external_attr = changes.get("mode", 0o100644) << 16
        archive.writestr(info, changes.get("data", b"x"))
    return out.getvalue()


def _encrypted() -> bytes:
    data = bytearray(zipped(mastodon()))
    at = data.rindex(b"PK\x01\x02")
    data[at + 8] |= 1
    return bytes(data)


@pytest.mark.filterwarnings("ignore:Duplicate name")
@pytest.mark.parametrize(
    ("make", "code"),
    [
        (lambda: b"hello", "not_an_archive"),
        (lambda: zipped({"hello.txt": b"hello"}), "not_an_archive"),
        (lambda: zipped(mastodon())[:-30], "truncated"),
        (lambda: zipped(mastodon(), zipfile.ZIP_LZMA), "not_an_archive"),
        (_encrypted, "encrypted"),
        (lambda: _with_entry(name="../x.mp4"), "bad_path"),
        (lambda: _with_entry(name="/x.mp4"), "bad_path"),
        (lambda: _with_entry(name="a\\b.mp4"), "bad_path"),
        (lambda: _with_entry(mode=0o120777), "link"),
        (lambda: _with_entry(name="outbox.json"), "out_of_order"),
        (lambda: _with_entry(data=bytes(20_000_000)), "compression_bomb"),
        (lambda: tar_gz({**mastodon(), "x.mp4": bytes(20_000_000)}), "compression_bomb"),
        (lambda: tar_gz(mastodon())[:-100], "truncated"),
        (lambda: tar_gz({**mastodon(), "../x": b""}), "bad_path"),
        (lambda: zipped({**mastodon(), "outbox.json": b"{"}), "bad_part"),
        (lambda: zipped({**mastodon(), "outbox.json": b'{"orderedItems":NaN}'}), "bad_part"),
        (lambda: zipped({**mastodon(), "outbox.json": b"[" * 100_000}), "bad_part"),
        (lambda: zipped({**mastodon(), "actor.json": b'{"id": 1}'}), "bad_part"),
    ],
)  # fmt: skip
def test_hostile_foreign_archives(world: World, make: Callable[[], bytes], code: str) -> None:
    one = imported(world.alice, make(), "archive.zip")
    assert (one.state, one.code) == ("refused", code)
    assert not Video.objects.filter(account=world.alice).exists()
    assert not Upload.objects.exists()


@pytest.mark.parametrize("data", [b"\xff\xfe", b"a\x00b", b'"unclosed\n', b"x" * 5000])
def test_hostile_csv(world: World, data: bytes) -> None:
    assert imported(world.alice, data, "lists.csv").code == "bad_part"


def test_the_vault_keeps_what_imports_need(move: Move) -> None:
    import os

    one = take(move.account, move.tar)
    imports.run(ImportTurn(import_id=one.pk, turn=0))
    for name, _ in vault.all_names():
        os.utime(vault.path_of(name), (0, 0))
    assert actions.sweep_vault() == 0
    incoming.cancel(one=one, by=move.account)
    assert actions.sweep_vault() > 0


def test_paths_of_uploads_are_linked_not_copied(move: Move) -> None:
    one = take(move.account, move.tar)
    for turn in range(7):
        imports.run(ImportTurn(import_id=one.pk, turn=turn))
    upload = Upload.objects.first()
    assert upload is not None
    assert (Path(conf.UPLOAD_DIR) / upload.id.hex).stat().st_nlink == 2
