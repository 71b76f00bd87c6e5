"""Following others: the log that forked, went backwards or lied, and the witness's door."""

from collections.abc import Callable
from hashlib import sha256

import pytest
from django.test import Client

from payouts import cosigning, instance_keys, log, peers, pins, queries, standing, statements, store
from payouts.ledger.checkpoint import Checkpoint, open_checkpoint, sign_checkpoint
from payouts.ledger.errors import BadTile, Inconsistent, LedgerError, WentBackwards, WrongOrigin
from payouts.ledger.fields import to_base64
from payouts.ledger.follower import first_pin, proof_between
from payouts.ledger.fork import check_fork
from payouts.models import PeerClaim, PeerLog, SignedHead, Witness
from payouts.refusals import LogForked
from server.core.errors import Conflict, Invalid, TributaryError
from tests.payouts.neighbour import Neighbour
from tests.payouts.played_month import play_month
from tests.payouts.room import Room

pytestmark = pytest.mark.django_db
LATER = "2026-11-21T09:00:00Z"
DOOR = "/ledger/witness/add-checkpoint"


def grow(neighbour: Neighbour, *names: str) -> None:
    from payouts.ledger.entries import Draft
    from tests.payouts.ledger_world import draft_id

    for name in names:
        body = {"reason": name, "until": "2027-01-01T00:00:00Z"}
        neighbour.log.append(LATER, Draft("shutdown", draft_id(name), body, {}))


def followed(neighbour: Neighbour, *names: str) -> PeerLog:
    grow(neighbour, *names)
    return peers.follow_log(instance_origin=neighbour.origin)


def pinned(peer: PeerLog) -> tuple[int, str, bytes, str]:
    peer.refresh_from_db()
    return peer.size, peer.root, bytes(peer.checkpoint), peer.cosignature


def test_a_log_that_grows_is_pinned_and_cosigned(neighbour: Neighbour, client: Client) -> None:
    peer = followed(neighbour, "one")
    grow(neighbour, *(f"more {number}" for number in range(300)))
    peer = peers.refresh(peer)
    assert peer.size == 302
    shown = client.get(f"/ledger/peers/{sha256(peer.origin.encode()).hexdigest()}/checkpoint")
    ours = instance_keys.signer("witness").verifier
    signed = open_checkpoint(
        shown.content, origin=peer.origin, log_keys=[neighbour.instance.ledger.verifier], cosigners=[ours]
    )  # fmt: skip
    assert signed.note.signed_by(ours)
    # The same again changes nothing, and following twice is following once.
    before = pinned(peer)[:3]
    peers.follow_log(instance_origin=neighbour.origin)
    assert pinned(peer)[:3] == before
    assert client.get(f"/ledger/peers/{'0' * 64}/checkpoint").status_code == 404


def test_a_log_that_goes_backwards_keeps_its_pin_and_both_notes(neighbour: Neighbour) -> None:
    grow(neighbour, "one")
    old = neighbour.checkpoint()
    peer = followed(neighbour, "two", "three")
    before = pinned(peer)
    neighbour.note = old
    with pytest.raises(WentBackwards):
        peers.refresh(peer)
    assert pinned(peer) == before
    assert (peer.error, peer.forked_at, bytes(peer.kept_note_b or b"")) == ("went_backwards", None, old)
    neighbour.note = None
    grow(neighbour, "four")
    # An old copy convicts nobody: when it goes on, so do we.
    assert peers.refresh(peer).error == ""


def fork_same_size(neighbour: Neighbour) -> None:
    size = neighbour.log.edge.size
    lie = Checkpoint(neighbour.instance.origin, size, b"\x07" * 32)
    neighbour.note = sign_checkpoint(lie, neighbour.instance.ledger)


def fork_another_history(neighbour: Neighbour) -> None:
    from tests.payouts.ledger_world import Log

    neighbour.log = Log(neighbour.instance)
    grow(neighbour, "another one", "another two", "another three", "another four")


@pytest.mark.parametrize("fork", [fork_same_size, fork_another_history])
def test_a_fork_keeps_both_notes_and_the_proof_and_is_cosigned_no_more(
    neighbour: Neighbour, fork: Callable[[Neighbour], None]
) -> None:
    peer = followed(neighbour, "one", "two")
    before = pinned(peer)
    fork(neighbour)
    with pytest.raises(Inconsistent):
        peers.refresh(peer)
    assert pinned(peer) == before
    assert peer.forked_at is not None
    assert bytes(peer.kept_note_a or b"") == before[2]
    assert bytes(peer.kept_note_b or b"") == neighbour.checkpoint()
    convicted = check_fork(bytes(peer.fork_proof or b""), [neighbour.instance.ledger.verifier])
    assert convicted.older.origin == neighbour.instance.origin
    with pytest.raises((TributaryError, LedgerError)):
        peers.refresh(peer)
    assert pinned(peer) == before


def test_tiles_that_do_not_give_the_root_move_no_pin_and_convict_nobody(neighbour: Neighbour) -> None:
    peer = followed(neighbour, "one")
    before = pinned(peer)
    grow(neighbour, "two")
    path = "tile/0/000.p/3"
    neighbour.log.files[path] = bytes([neighbour.log.files[path][0] ^ 1]) + neighbour.log.files[path][1:]
    with pytest.raises(BadTile):
        peers.refresh(peer)
    assert pinned(peer) == before
    assert (peer.forked_at, peer.error) == (None, "bad_tile")


def test_a_checkpoint_with_a_flipped_bit_is_refused(neighbour: Neighbour) -> None:
    peer = followed(neighbour, "one")
    before = pinned(peer)
    grow(neighbour, "two")
    note = neighbour.checkpoint()
    for place in range(0, len(note), 9):
        neighbour.note = note[:place] + bytes([note[place] ^ 1]) + note[place + 1 :]
        with pytest.raises((LedgerError, TributaryError)):
            peers.refresh(peer)
        assert pinned(peer) == before


def test_an_instance_shows_its_own_ledger_only(neighbour: Neighbour, settings: object) -> None:
    from tests.payouts.ledger_world import Instance

    neighbour.instance = Instance("victim.example")
    with pytest.raises(Invalid):
        peers.follow_log(instance_origin=neighbour.origin)
    assert not PeerLog.objects.exists()


# --- the claims of people ---


def test_a_statement_of_another_log_or_beyond_the_pin_is_refused(room: Room, neighbour: Neighbour) -> None:
    scid = room.alice.scid
    lines = [bytes(line.line) for line in room.alice.lines.order_by("number")]
    play_month(neighbour, scid)
    data = neighbour.show_statement(scid, lines)
    peer = peers.follow_log(instance_origin=neighbour.origin)
    with pytest.raises(WrongOrigin):
        peers.take_statement(peer=peer, scid=room.bob.scid, data=data)
    for place in range(0, len(data), 97):
        with pytest.raises(LedgerError):
            peers.take_statement(peer=peer, scid=scid, data=data[:place] + bytes([data[place] ^ 1]) + data[place + 1 :])
    grow(neighbour, "later")
    with pytest.raises(LedgerError, match="we know"):
        peers.take_statement(peer=peer, scid=scid, data=neighbour.show_statement(scid, lines))
    assert not PeerClaim.objects.exists()
    # The older one still proves itself against the newer pin.
    peers.take_statement(peer=peers.refresh(peer), scid=scid, data=data)
    (claim,) = PeerClaim.objects.all()
    assert claim.unclaimed == 1_300_000
    fork_same_size(neighbour)
    peers.refresh_claims(scid)
    assert [one.doubt for one in queries.claims(scid) if not one.is_ours] == ["forked"]
    # A good statement of before the fork is not taken any more: no claim rests on a key that signed two histories.
    with pytest.raises(LogForked):
        peers.take_statement(peer=peer, scid=scid, data=data)


# --- our own head, shown to a witness ---


def test_our_head_is_cosigned_once_and_the_next_one_too(room: Room, neighbour: Neighbour, client: Client) -> None:
    room.fund()
    peer = followed(neighbour, "one")
    cosigning.push_head()
    assert SignedHead.objects.order_by("-size").first().cosignatures == ""  # it does not know us yet
    assert Witness.objects.get().error == "witness_unclear"
    neighbour.follow(instance_keys.origin(), instance_keys.signer("ledger").verifier)
    cosigning.push_head()
    room.fund(name="second")
    cosigning.push_head()
    note = client.get("/ledger/1/checkpoint").content
    assert note.count(neighbour.instance.witness.name.encode()) == 1
    assert note == SignedHead.objects.order_by("-size").first().full_note
    assert Witness.objects.get(peer=peer).saw_size == store.read_head().size
    asked = len(neighbour.asked)
    cosigning.push_head()
    assert len(neighbour.asked) == asked
    statements.open_head(SignedHead.objects.order_by("-size").first())


def test_a_witness_that_saw_more_of_us_stops_the_pen(room: Room, neighbour: Neighbour) -> None:
    room.fund()
    followed(neighbour, "one")
    signer = instance_keys.signer("ledger")
    # A witness that only says so is not believed.
    neighbour.pins[instance_keys.origin()] = ([signer.verifier], first_pin(instance_keys.origin())._replace(size=900))
    neighbour.seen[instance_keys.origin()] = sign_checkpoint(
        Checkpoint(instance_keys.origin(), 900, b"\x01" * 32), neighbour.instance.ledger
    )
    cosigning.push_head()
    room.fund(name="second")
    # One that shows our own signature is.
    neighbour.seen[instance_keys.origin()] = sign_checkpoint(Checkpoint(instance_keys.origin(), 900, b"\x01" * 32), signer)
    cosigning.push_head()
    with pytest.raises(standing.LogReadOnly):
        room.fund(name="third")


# --- the witness's door ---


def ask(client: Client, neighbour: Neighbour, old: int, note: bytes | None = None) -> tuple[int, bytes, str]:
    proof = proof_between(neighbour.log.tiles, old, neighbour.log.edge.size)
    lines = [f"old {old}", *map(to_base64, proof), "", ""]
    body = "\n".join(lines).encode() + (note if note is not None else neighbour.log.checkpoint().data)
    answer = client.post(DOOR, body, content_type="text/plain")
    return answer.status_code, answer.content, answer["content-type"]


def test_the_witness_answers_as_c2sp_says(neighbour: Neighbour, client: Client) -> None:
    log.begin_log()
    assert ask(client, neighbour, 0)[0] == 404
    peer = followed(neighbour, "one")
    grow(neighbour, "two")
    status, line, _ = ask(client, neighbour, 2)
    assert status == 200
    witness = instance_keys.signer("witness").verifier
    signed = open_checkpoint(
        neighbour.log.checkpoint().data + line, origin=peer.origin,
        log_keys=[neighbour.instance.ledger.verifier], cosigners=[witness],
    )  # fmt: skip
    assert signed.note.signed_by(witness)
    assert pinned(peer)[0] == 3  # stored before it was answered
    assert ask(client, neighbour, 2) == (409, b"3\n", "text/x.tlog.size")
    assert ask(client, neighbour, 3)[0] == 200
    forged = sign_checkpoint(
        Checkpoint(neighbour.instance.origin, 3, b"\x02" * 32), neighbour.instance.witness.__class__(
            neighbour.instance.origin, 1, b"\x09" * 32
        ),
    )  # fmt: skip
    assert ask(client, neighbour, 3, forged)[0] == 403
    assert client.post(DOOR, b"nonsense", content_type="text/plain").status_code == 400
    assert client.get(DOOR).status_code == 405
    grow(neighbour, "three")
    bad = b"old 3\n" + to_base64(b"\x05" * 32).encode() + b"\n\n" + neighbour.log.checkpoint().data
    assert client.post(DOOR, bad, content_type="text/plain").status_code == 422
    assert pinned(peer)[0] == 3


def test_the_witness_keeps_both_notes_of_a_fork_and_signs_no_more(neighbour: Neighbour, client: Client) -> None:
    peer = followed(neighbour, "one")
    before = pinned(peer)
    lie = sign_checkpoint(Checkpoint(neighbour.instance.origin, 2, b"\x03" * 32), neighbour.instance.ledger)
    assert ask(client, neighbour, 2, lie)[:2] == (409, b"2\n")
    assert pinned(peer) == before
    assert peer.forked_at is not None
    assert bytes(peer.kept_note_b or b"") == lie
    grow(neighbour, "two")
    status, body, _ = ask(client, neighbour, 2)
    assert (status, body[:10]) == (403, b"log_forked")
    assert pinned(peer) == before


def test_of_two_that_move_one_pin_one_wins(neighbour: Neighbour) -> None:
    peer = followed(neighbour, "one")
    stale = PeerLog.objects.get()
    grow(neighbour, "two")
    pins.move(peer, neighbour.log.checkpoint())
    with pytest.raises(Conflict):
        pins.move(stale, neighbour.log.checkpoint())
