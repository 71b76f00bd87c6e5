"""Changing the ledger key: by the root alone, followed by those who pinned it, judged by place and not by time."""

import io
import json
from pathlib import Path

import pytest
from django.core.management import CommandError, call_command

from payouts import checks, cosigning, instance_keys, key_rotation, log, peers, recovery, statements, store, witnesses
from payouts.ledger import canonical
from payouts.ledger.__main__ import main
from payouts.ledger.checkpoint import Checkpoint, open_checkpoint, sign_checkpoint
from payouts.ledger.entries import Draft
from payouts.ledger.errors import BadRotation, LedgerError, NoKnownSignature
from payouts.ledger.note import Signer
from payouts.ledger.rotation import rotation_body
from payouts.models import LogEntry, PeerLog, SignedHead, Witness
from server.core.errors import Invalid, TributaryError
from server.core.models import InstanceKey
from tests.payouts.ledger_world import draft_id, seed
from tests.payouts.neighbour import Neighbour
from tests.payouts.room import Room, entry_id
from tests.payouts.test_room_peers import LATER, ask, followed, grow, pinned
from tests.payouts.test_room_pen import PowerCut, cut_at

pytestmark = pytest.mark.django_db


def note(name: str) -> Draft:
    return Draft("shutdown", entry_id(name), {"reason": name, "until": "2027-01-01T00:00:00Z"}, {})


def root_seed() -> bytes:
    log.begin_log()
    return bytes.fromhex(instance_keys.root_path().read_text())


# --- our own ---


def test_the_new_key_signs_from_its_entry_on_and_statements_follow(room: Room, tmp_path: Path) -> None:
    room.month()
    first = instance_keys.signer("ledger").verifier
    before = store.read_head()
    done = key_rotation.rotate_ledger_key(root_seed=root_seed())
    second = instance_keys.signer("ledger").verifier
    assert (done.old, done.new, done.index) == (first, second, before.size)
    log.append([note("later")])
    origin = instance_keys.origin()
    for head in SignedHead.objects.all():
        right, wrong = (first, second) if head.size <= done.index else (second, first)
        assert open_checkpoint(bytes(head.note), origin=origin, log_keys=[right])
        with pytest.raises(NoKnownSignature):
            open_checkpoint(bytes(head.note), origin=origin, log_keys=[wrong])
    assert checks.find_problems() == []
    file = tmp_path / "statement.json.gz"
    file.write_bytes(statements.build(room.alice.scid))
    assert main(["verify", str(file)]) == 0


def test_a_statement_of_a_head_before_the_rotation_shows_no_rotation(room: Room, neighbour: Neighbour, tmp_path: Path) -> None:
    neighbour.follow(instance_keys.origin(), instance_keys.signer("ledger").verifier)
    peers.follow_log(instance_origin=neighbour.origin)
    room.month()
    cosigning.push_head()
    key_rotation.rotate_ledger_key(root_seed=root_seed())
    file = tmp_path / "statement.json.gz"
    file.write_bytes(statements.build(room.alice.scid))
    assert main(["verify", str(file)]) == 0
    cosigning.push_head()
    # It goes by what it was told and refuses the new key until its operator has followed us.
    assert Witness.objects.get().error == "witness_unclear"
    keys, pin = neighbour.pins[instance_keys.origin()]
    neighbour.pins[instance_keys.origin()] = [*keys, instance_keys.signer("ledger").verifier], pin
    cosigning.push_head()
    assert Witness.objects.get().error == ""
    log.append([note("its newest head of us is signed by the new key")])


def test_only_the_root_of_the_genesis_can_rotate() -> None:
    log.begin_log()
    before = store.read_head()
    for wrong in (bytes(32), seed("charlie"), b"", root_seed()[:31], root_seed() + b"\x00"):
        with pytest.raises(Invalid):
            key_rotation.rotate_ledger_key(root_seed=wrong)
    assert store.read_head() == before
    assert instance_keys.ledger_keys().later == ()


@pytest.mark.parametrize("after", [False, True], ids=["failed", "failed but persisted"])
def test_a_power_cut_at_every_call_of_a_rotation_is_mended(after: bool) -> None:
    root = root_seed()
    with cut_at(0, after=False) as calls:
        key_rotation.rotate_ledger_key(root_seed=root)
    for number in range(1, len(calls) + 1):
        with cut_at(number, after=after), pytest.raises(PowerCut):
            key_rotation.rotate_ledger_key(root_seed=root)
        log.append([note(f"after {number}")])
        history = instance_keys.ledger_keys()
        assert instance_keys.signer("ledger").verifier == history.newest
        key_rotation.rotate_ledger_key(root_seed=root)
    assert checks.find_problems() == []


def test_a_key_that_the_database_forgot_is_beside_it_and_one_that_is_nowhere_stops_the_pen() -> None:
    done = key_rotation.rotate_ledger_key(root_seed=root_seed())
    InstanceKey.objects.filter(name__startswith="ledger/1/").delete()
    (entry,) = log.append([note("one")])
    assert instance_keys.signer("ledger").verifier == done.new
    InstanceKey.objects.filter(name__startswith="ledger/1/").delete()
    kept = instance_keys.root_path().parent / "ledger"
    gone = {path: path.read_bytes() for path in kept.glob("ledger-1-*")}
    for path in gone:
        path.unlink()
    try:
        with pytest.raises(store.LogDamaged, match="key of this log is not here"):
            log.append([note("two")])
    finally:
        for path, data in gone.items():
            path.write_bytes(data)
    assert store.read_head().size == entry.index + 1


def test_the_command_rotates_and_shows(tmp_path: Path) -> None:
    root = root_seed()
    file = tmp_path / "instance_root"
    said = io.StringIO()
    file.write_text("no key")
    for path in (file, tmp_path / "nowhere"):
        with pytest.raises(CommandError, match="no key file"):
            call_command("ledger_keys", "rotate", "--root", str(path), stdout=said)
    file.write_text(seed("charlie").hex())
    with pytest.raises(CommandError, match="not the root key"):
        call_command("ledger_keys", "rotate", "--root", str(file), stdout=said)
    file.write_text(f"{root.hex()}\n")
    call_command("ledger_keys", "rotate", "--root", str(file), "--json", stdout=said)
    told = json.loads(said.getvalue())
    said = io.StringIO()
    call_command("ledger_keys", "show", stdout=said)
    assert f"from size 1: {told['old']}\nfrom size 2: {told['new']}\n" in said.getvalue()


def test_recovery_follows_a_rotation_that_this_machine_forgot() -> None:
    log.append([note("one")])
    old, rows = store.read_head(), LogEntry.objects.count()
    key_rotation.rotate_ledger_key(root_seed=root_seed())
    newest = store.read_head()
    (store.folder() / "head").write_bytes(canonical.encode({"size": old.size, "root": old.root.hex(), "note": old.note.decode()}))
    assert LogEntry.objects.count() > rows
    assert recovery.recover() == recovery.Recovered(1, newest.size, "the database")
    assert store.read_head() == newest


# --- another's ---


def rotate(neighbour: Neighbour, *, root: bytes | None = None, name: str = "second key") -> Signer:
    """The neighbour's log gets a ``key.rotate``, and its heads the new key."""
    old, new = neighbour.log.signer, Signer(neighbour.instance.origin, 1, seed(name))
    body = rotation_body(neighbour.instance.origin, root_seed=root or neighbour.instance.root_seed, old=old, new=new)
    neighbour.log.append(LATER, Draft("key.rotate", draft_id(name), body, {}))
    neighbour.log.signer = new
    return old


def test_a_peer_follows_the_key_and_the_old_one_signs_nothing_after_it(neighbour: Neighbour) -> None:
    peer = followed(neighbour, "one")
    old = rotate(neighbour)
    grow(neighbour, "two")
    peer = peers.refresh(peer)
    assert (peer.size, peer.error, len(peer.rotations.splitlines())) == (4, "", 1)
    rotate(neighbour, name="third key")
    peer = peers.refresh(peer)
    before = pinned(peer)
    # The thief of the first key goes on from where we are, with a tree that is right.
    grow(neighbour, "stolen")
    for thief in (old, Signer(neighbour.instance.origin, 1, seed("second key"))):
        head = Checkpoint(neighbour.instance.origin, neighbour.log.edge.size, neighbour.log.edge.root())
        neighbour.note = sign_checkpoint(head, thief)
        with pytest.raises(NoKnownSignature):
            peers.refresh(peer)
        assert pinned(peer) == before
    neighbour.note = None
    assert peers.refresh(peer).size == before[0] + 1


def test_the_thief_who_copies_the_rotation_is_refused_too(neighbour: Neighbour) -> None:
    """A head that contains the rotation but is signed by the key it revoked: place decides, not time."""
    peer = followed(neighbour, "one")
    before = pinned(peer)
    neighbour.log.signer = rotate(neighbour)
    with pytest.raises(NoKnownSignature):
        peers.refresh(peer)
    assert pinned(peer) == before


def test_charlie_cannot_rotate_without_the_root(neighbour: Neighbour, client: object) -> None:
    peer = followed(neighbour, "one")
    before = pinned(peer)
    rotate(neighbour, root=seed("charlie root"))
    with pytest.raises(BadRotation):
        peers.refresh(peer)
    assert pinned(peer) == before
    assert ask(client, neighbour, before[0])[0] == 403
    assert PeerLog.objects.get().rotations == ""
    with pytest.raises((LedgerError, TributaryError)):
        peers.follow_log(instance_origin=neighbour.origin)


def test_the_witness_takes_the_new_key_once_it_has_followed(neighbour: Neighbour, client: object) -> None:
    peer = followed(neighbour, "one")
    rotate(neighbour)
    assert ask(client, neighbour, 2)[0] == 403
    peers.refresh(peer)
    grow(neighbour, "two")
    assert ask(client, neighbour, 3)[0] == 200


def test_a_log_that_has_rotated_can_be_followed_from_its_root(neighbour: Neighbour) -> None:
    rotate(neighbour)
    rotate(neighbour, name="third key")
    peer = followed(neighbour, "one")
    assert (peer.size, len(peer.rotations.splitlines())) == (4, 2)
    assert witnesses.active()[0].name == neighbour.instance.witness.name


def test_a_rotation_in_a_bundle_that_was_not_signed_changes_no_key(neighbour: Neighbour) -> None:
    """The files are not trusted: a bundle with a rotation that the tree does not have is refused with the head."""
    peer = followed(neighbour, "one")
    before = pinned(peer)
    grow(neighbour, "two")
    honest = neighbour.log.checkpoint().data
    path = "tile/entries/000.p/3"
    from tests.payouts.ledger_world import Log

    other = Log(neighbour.instance)
    real, neighbour.log = neighbour.log, other
    grow(neighbour, "one")
    rotate(neighbour)
    neighbour.log = real
    neighbour.log.files[path] = other.files[path]
    neighbour.note = honest
    with pytest.raises(LedgerError):
        peers.refresh(peer)
    assert pinned(peer) == before
    peer.refresh_from_db()
    assert peer.rotations == ""
