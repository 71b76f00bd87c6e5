"""An archive of an account: asked for, made in slices by workers, downloaded, verified by a stranger."""

import io
import json
import os
import tarfile
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from unittest import mock

import pytest
from cryptography.hazmat.primitives import serialization
from django.conf import settings
from nacl.public import PrivateKey

from federation import outbox
from payouts.ledger import merkle
from payouts.ledger.errors import LedgerError
from server.accounts import actions as accounts
from server.accounts.models import AccountKey, WaitingRelation
from server.core import canonical, keys, storage, worker
from server.core.errors import NotAllowed, NotFound, TributaryError
from server.core.models import Task
from server.identity import actions as identity_actions
from server.identity import keylog, signing, tool
from server.identity import queries as identities
from server.identity.models import CustodyKey, Identity, OutboxHead
from server.portability import actions, download, making, manifest, sealing, vault, verify, witnessed
from server.portability.errors import ArchiveRefused, BadPart, ForeignIdentity
from server.portability.facts import ArchiveTurn
from server.portability.models import Archive, ArchiveFile
from server.videos import reactions
from server.videos.facts import VideoPublished
from server.videos.models import Video
from tests import world as people
from tests.server.owners import owner_of
from tests.world import World

pytestmark = pytest.mark.django_db


def stored_video(world: World, name: str = "one", **fields: Any) -> Video:
    """A published video of alice whose files are really there."""
    return people.published(
        world.alice,
        mp4_file=storage.put_bytes(f"film {name}".encode() * 1000, "mp4"),
        poster_file=storage.put_bytes(f"poster {name}".encode(), "jpg"),
        **fields,
    )


def work() -> None:
    """Run what is due, as a worker does; a task that fails is a failed test."""
    worker.work("default")
    failed = [task.last_error for task in Task.objects.filter(queue="default") if task.last_error]
    assert failed == []


def made(world: World, kind: str = "demand") -> Archive:
    archive = actions.ask_archive(account=world.alice, by=world.alice, kind=kind)
    work()
    archive.refresh_from_db()
    assert (archive.state, archive.permille) == ("ready", 1000)
    return archive


def tar_of(archive: Archive) -> bytes:
    laid = download.layout(archive)
    data = b"".join(laid.stream())
    assert len(data) == laid.size
    return data


def judged(data: bytes, **more: Any) -> verify.Verdict:
    return verify.verify(io.BytesIO(data), now=datetime.now(UTC), bytes_max=len(data), **more)


def part(data: bytes, path: str) -> bytes:
    with tarfile.open(fileobj=io.BytesIO(data)) as tar:
        file = tar.extractfile(path)
        assert file is not None
        return file.read()


def names(data: bytes) -> list[str]:
    with tarfile.open(fileobj=io.BytesIO(data)) as tar:
        assert all(member.isreg() for member in tar)
        return tar.getnames()


def lines(data: bytes, path: str) -> list[Any]:
    return [json.loads(line) for line in part(data, path).splitlines()]


def give_to_owner(world: World) -> PrivateKey:
    """Alice takes her keys: her log names a #box, and the server holds #user no more."""
    identity = identities.by_scid(world.alice.scid or "")
    log = identities.log_of(identity)
    box = PrivateKey.generate()
    root = next(
        held for held in CustodyKey.objects.filter(identity=identity, role="root")
        if keylog.key_hash(held.public) in log.head.parameters.next_key_hashes
    )  # fmt: skip
    user, paper = keys.make_ed25519(), keys.make_ed25519()
    owned = keylog.give_to_owner(
        log,
        user_key=user.public,
        box_key=canonical.multikey_x25519(bytes(box.public_key)),
        key=identity_actions.open_key(root),
        next_keys=[keylog.key_hash(paper.public)],
        now=datetime.now(UTC),
        loopback=True,
    )
    identity_actions.accept_log(data=owned.data)
    CustodyKey.objects.filter(identity=identity).delete()
    return box


def test_on_demand(world: World) -> None:
    video = stored_video(world, caption="Rabbit #hop", alt_text="A rabbit")
    accounts.follow(follower=world.alice, target=world.bob)
    accounts.follow(follower=world.charlie, target=world.alice)
    accounts.block(account=world.alice, target=world.dora)
    accounts.mute(account=world.alice, target=world.bob)
    WaitingRelation.objects.create(account=world.alice, address="eve@far.example", kind="block")
    reactions.like(video=people.published(world.bob), by=world.alice)

    archive = made(world)
    data = tar_of(archive)

    verdict = judged(data)
    assert (verdict.scid, verdict.seq, verdict.authority) == (world.alice.scid, 1, "user")
    assert (verdict.posts, verdict.videos, verdict.missing, verdict.statement) == (1, 1, [], "none")
    assert verdict.files == archive.files.count()
    assert names(data)[:2] == ["manifest.yml", "manifest.json"]
    assert part(data, "identity/did.jsonl") == identities.log_bytes(Identity.objects.get(scid=world.alice.scid))
    assert part(data, "graph/following.csv").decode().splitlines() == [
        "Account address,Show boosts,Notify on new posts,Languages",
        "bob@localhost:8000,true,false,",
    ]
    assert part(data, "graph/blocks.csv").decode().splitlines() == ["dora@peer.example", "eve@far.example"]
    assert part(data, "graph/mutes.csv").decode().splitlines() == [
        "Account address,Hide notifications",
        "bob@localhost:8000,true",
    ]
    assert [row["actor"] for row in lines(data, "graph/followers.jsonl")] == [world.charlie.uri]
    assert json.loads(part(data, "settings.json"))["display_name"] == world.alice.display_name
    assert len(lines(data, "objects/likes.jsonl")) == 1
    [row] = lines(data, "objects/videos.jsonl")
    assert (row["id"], row["caption"], row["alt_text"]) == (video.uri, "Rabbit #hop", "A rabbit")
    assert part(data, f"media/sha256/{row['video']}") == b"film one" * 1000
    assert part(data, f"media/sha256/{row['poster']}") == b"poster one"
    [activity] = lines(data, "objects/outbox.jsonl")
    assert (activity["type"], activity["object"]["id"]) == ("Create", video.uri)
    # A key in an open file could be used by whoever finds it.
    assert "actor/keys.json" not in names(data)


def test_the_root_is_that_of_rfc_6962(world: World) -> None:
    data = tar_of(made(world))
    about = json.loads(part(data, "manifest.json"))
    leaves = [merkle.leaf_hash(canonical.jcs(file)) for file in about["files"]]
    assert merkle.root_of(leaves).hex() == about["root"]
    assert [file["path"] for file in about["files"]] == sorted(file["path"] for file in about["files"])


def test_the_daily_one_has_nothing_private_without_a_seal(world: World) -> None:
    stored_video(world)
    accounts.block(account=world.alice, target=world.dora)
    archive = made(world, "daily")
    data = tar_of(archive)
    assert judged(data).authority == "home"
    assert [name for name in names(data) if name.startswith(("graph/", "settings", "actor/"))] == [
        "actor/actor.json",
        "graph/following.csv",
    ]
    assert b"dora@peer.example" not in data


@pytest.mark.parametrize("kind", ["daily", "demand"])
def test_the_owner_alone_opens_what_is_private(world: World, kind: str) -> None:
    box = give_to_owner(world)
    accounts.block(account=world.alice, target=world.dora)
    archive = made(world, kind)
    data = tar_of(archive)
    verdict = judged(data)
    # The server does not hold #user, so it cannot sign as her.
    assert verdict.authority == "home"
    assert verdict.sealed == ["actor/keys.sealed", "graph/blocks.csv.sealed", "graph/mutes.csv.sealed", "settings.sealed"]
    assert b"dora@peer.example" not in data
    assert sealing.unseal(part(data, "graph/blocks.csv.sealed"), key=bytes(box)) == b"dora@peer.example\n"
    kept = json.loads(sealing.unseal(part(data, "actor/keys.sealed"), key=bytes(box)))
    held = AccountKey.objects.get(account=world.alice, name="main-key")
    assert kept["keys"][0]["privateKeyPem"].encode() == keys.unseal(bytes(held.private_sealed))
    with pytest.raises(ArchiveRefused):
        sealing.unseal(part(data, "settings.sealed"), key=bytes(PrivateKey.generate()))


def test_the_offline_tool_opens_what_the_archive_sealed(world: World, tmp_path: Path) -> None:
    """With the words alone: the RSA key of the old actor, in the form in which the tool signs a Move with it."""
    hers = owner_of(world.alice)
    assert hers.take().status == 200
    sealed, opened, words = tmp_path / "keys.sealed", tmp_path / "keys.json", tmp_path / "words.txt"
    sealed.write_bytes(part(tar_of(made(world, "daily")), "actor/keys.sealed"))
    words.write_text(hers.words)
    assert tool.main(["open", str(sealed), "--words", str(words), "-o", str(opened)]) == tool.DONE
    private = signing.read_rsa_key(opened.read_text())
    public = private.public_key().public_bytes(serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo)
    assert public.decode().strip() == world.alice.keys.get(name="main-key").public.strip()


def test_what_others_saw_is_in_it(world: World) -> None:
    """Receipts and outbox heads, each line checked; and the head over a manifest that only the home signed."""
    video = stored_video(world)
    outbox.announce_video(VideoPublished(video_id=video.pk))
    first = made(world, "daily")
    [head] = OutboxHead.objects.filter(identity_id=world.alice.scid, object=first.manifest_sha256)
    data = tar_of(made(world, "daily"))
    verdict = judged(data)
    assert [line["seq"] for line in lines(data, verify.HEADS)] == list(range(1, head.seq + 1))
    assert (verdict.heads, verdict.receipts) == (head.seq, 1)
    log = identities.log_of(Identity.objects.get(scid=world.alice.scid))
    whole = part(data, verify.HEADS).splitlines()
    assert len(whole) > 1
    for changed in (
        [*whole[:-1], whole[-1].replace(b'"v":1', b'"v":2')],
        [*whole[:-1], whole[-1].replace(first.manifest_sha256.encode(), b"0" * 64)],
        [whole[-1], whole[0], b"{}"],
    ):
        with pytest.raises(BadPart):
            witnessed.check_heads(changed, log=log, now=datetime.now(UTC))
    [receipt] = part(data, verify.RECEIPTS).splitlines()
    with pytest.raises(BadPart):
        witnessed.check_receipts([receipt.replace(b'"v":1', b'"v":2')], scid=log.scid)
    with pytest.raises(ForeignIdentity):
        witnessed.check_receipts([receipt], scid=world.bob.scid or "")


def test_what_her_own_key_signed_needs_no_head(world: World) -> None:
    archive = made(world)
    assert not OutboxHead.objects.filter(object=archive.manifest_sha256).exists()


def test_each_names_the_one_before(world: World) -> None:
    first, second = made(world), made(world, "daily")
    about = manifest.parse(part(tar_of(second), "manifest.json"))
    assert (first.seq, second.seq, about.prev) == (1, 2, first.manifest_sha256)
    assert first.manifest_sha256 == manifest.parse(part(tar_of(first), "manifest.json")).digest


def test_nobody_else_asks_or_downloads(world: World) -> None:
    with pytest.raises(NotAllowed):
        actions.ask_archive(account=world.alice, by=world.charlie)
    archive = made(world)
    with pytest.raises(NotFound):
        download.archive_of(world.charlie, archive.pk)


def test_asked_twice_is_made_once(world: World) -> None:
    one = actions.ask_archive(account=world.alice, by=world.alice)
    assert actions.ask_archive(account=world.alice, by=world.alice).pk == one.pk
    work()
    assert Archive.objects.count() == 1


def test_a_medium_that_is_gone_or_damaged_is_said(world: World) -> None:
    video, other = stored_video(world), stored_video(world, "two")
    storage.delete(video.poster_file)
    (settings.MEDIA_ROOT / other.mp4_file).write_bytes(b"bit rot")
    archive = made(world)
    assert sorted(archive.absent) == sorted([Path(video.poster_file).stem, Path(other.mp4_file).stem])
    data = tar_of(archive)
    assert judged(data).missing == []
    assert f"media/sha256/{Path(other.mp4_file).stem}" not in names(data)


def test_an_old_turn_does_nothing(world: World) -> None:
    archive = actions.ask_archive(account=world.alice, by=world.alice)
    making.make(ArchiveTurn(archive_id=archive.pk, turn=0))
    before = Archive.objects.get(pk=archive.pk)
    making.make(ArchiveTurn(archive_id=archive.pk, turn=0))
    after = Archive.objects.get(pk=archive.pk)
    assert (after.turn, after.step) == (before.turn, before.step) == (1, 1)
    assert Task.objects.filter(fact="ArchiveTurn").count() == 2


def test_of_two_workers_one_wins(world: World) -> None:
    archive = actions.ask_archive(account=world.alice, by=world.alice)
    seen = Archive.objects.get(pk=archive.pk)
    making.STEPS[0](Archive.objects.get(pk=archive.pk))
    making.STEPS[0](seen)
    assert ArchiveFile.objects.filter(archive=archive, path="identity/did.jsonl").count() == 1
    assert Archive.objects.get(pk=archive.pk).turn == 1


def test_large_media_take_several_slices(world: World) -> None:
    for name in "abc":
        stored_video(world, name)
    archive = actions.ask_archive(account=world.alice, by=world.alice)
    with mock.patch.object(making, "SLICE_SECONDS", 0):
        making.make(ArchiveTurn(archive_id=archive.pk, turn=0))
        seen = []
        for turn in range(1, 20):
            making.make(ArchiveTurn(archive_id=archive.pk, turn=turn))
            seen.append(Archive.objects.get(pk=archive.pk).permille)
            if seen[-1] == 1000:
                break
    assert seen == sorted(seen)
    assert len(set(seen)) > 4
    assert judged(tar_of(Archive.objects.get(pk=archive.pk))).videos == 3


def test_only_the_newest_are_kept_and_the_vault_is_swept(world: World) -> None:
    for _ in range(4):
        made(world)
    assert [archive.seq for archive in Archive.objects.order_by("pk")] == [3, 4]
    for name, _ in vault.all_names():
        os.utime(vault.path_of(name), (0, 0))
    assert actions.sweep_vault() > 0
    for archive in Archive.objects.all():
        assert judged(tar_of(archive)).missing == []


def test_daily_archives_are_asked_for_once_a_day(world: World) -> None:
    assert actions.make_daily() == 3
    assert actions.make_daily() == 0
    work()
    assert Archive.objects.filter(state="ready", kind="daily").count() == 3


def test_work_that_was_buried_is_told(world: World) -> None:
    archive = actions.ask_archive(account=world.alice, by=world.alice)
    assert actions.fail_given_up() == 0
    Task.objects.update(dead_at=datetime.now(UTC))
    assert actions.fail_given_up() == 1
    assert Archive.objects.get(pk=archive.pk).failure


def test_a_download_goes_on_from_any_byte(world: World) -> None:
    stored_video(world)
    laid = download.layout(made(world))
    whole = b"".join(laid.stream())
    for start in (0, 1, 511, 512, 5_000, laid.size - 1, laid.size):
        assert b"".join(laid.stream(start)) == whole[start:]


def test_every_flipped_byte_is_noticed(world: World) -> None:
    """Every 7th byte of the manifest's header, and every 211th behind it. Only the description carries no authority."""
    stored_video(world)
    data = tar_of(made(world))
    start = data.index(b"manifest.json\0")
    for at in [*range(start, start + 512, 7), *range(start + 512, len(data), 211)]:
        broken = bytearray(data)
        broken[at] ^= 1
        with pytest.raises((TributaryError, LedgerError)):
            judged(bytes(broken))
