"""What others show us of a log, held against what we know; a log that shows two histories is convicted by whoever sees both."""

import base64
import subprocess
import sys
from hashlib import sha256
from pathlib import Path

import pytest
from django.test import Client

from payouts import forks, gossip, mirror, peers, pins, store
from payouts.facts import NoteHeard
from payouts.ledger.checkpoint import Checkpoint, sign_checkpoint
from payouts.ledger.errors import LedgerError, MalformedCheckpoint
from payouts.ledger.fork import check_fork
from payouts.ledger.note import Signer
from payouts.mirror_files import name_of
from payouts.models import HeardNote, PeerLog
from payouts.refusals import LogForked
from server.core import worker
from server.core.errors import NotFound, TributaryError, WrongState
from server.core.models import Task
from tests.payouts.ledger_world import Log
from tests.payouts.neighbour import Neighbour
from tests.payouts.test_room_peers import followed, grow, pinned

pytestmark = pytest.mark.django_db


def header_of(note: bytes) -> str:
    return base64.b64encode(note).decode()


def hear(note: bytes) -> bool:
    return gossip.hear(header_of(note), host="charlie.example")


def judge_all() -> None:
    for heard in HeardNote.objects.filter(state="waiting"):
        gossip.judge(NoteHeard(heard_id=heard.pk))


def another_history(neighbour: Neighbour, *names: str) -> Log:
    """Signed by the same key; the neighbour does not show it."""
    shown, neighbour.log = neighbour.log, Log(neighbour.instance)
    grow(neighbour, *names)
    hidden, neighbour.log = neighbour.log, shown
    return hidden


def convicted(peer: PeerLog, neighbour: Neighbour) -> bool:
    peer.refresh_from_db()
    if peer.forked_at is None:
        return False
    check_fork(bytes(peer.fork_proof or b""), [neighbour.instance.ledger.verifier])
    return True


def test_a_newer_head_that_was_heard_moves_the_pin(neighbour: Neighbour) -> None:
    peer = followed(neighbour, "one")
    grow(neighbour, "two")
    assert hear(neighbour.checkpoint())
    assert pinned(peer)[0] == 2, "nothing is judged where it arrives"
    assert worker.work("ledger") >= 1
    assert pinned(peer)[0] == 3
    assert peer.cosignature
    assert not HeardNote.objects.exists()


def test_an_older_head_of_the_same_history_is_forgotten(neighbour: Neighbour) -> None:
    grow(neighbour, "one")
    old = neighbour.checkpoint()
    peer = followed(neighbour, "two", "three")
    before = pinned(peer)
    assert hear(old)
    judge_all()
    assert pinned(peer) == before
    assert not HeardNote.objects.exists()
    assert peer.forked_at is None


@pytest.mark.parametrize("count", [1, 2, 3, 5])
def test_another_history_convicts_whatever_its_size(neighbour: Neighbour, count: int, client: Client) -> None:
    peer = followed(neighbour, "one", "two")
    mirror.mirror_peer(peer)
    before = pinned(peer)
    hidden = another_history(neighbour, *(f"other {number}" for number in range(count)))
    note = hidden.checkpoint().data
    if hidden.edge.size > before[0]:
        # Somebody else kept the tiles of the larger tree: the log itself does not show them.
        files = {f"ledger/peers/there/{path}": data for path, data in hidden.files.items()}
        neighbour.shown = files
        gossip.take(note, source="elsewhere", tiles_url=f"{neighbour.origin}/ledger/peers/there")
    else:
        assert hear(note)
    judge_all()
    assert convicted(peer, neighbour)
    assert pinned(peer) == before
    assert {bytes(peer.kept_note_a or b""), bytes(peer.kept_note_b or b"")} == {before[2], note}
    assert HeardNote.objects.get().state == "forked"
    shown = client.get(f"/ledger/forks/{name_of(peer.origin)}")
    assert shown.content == bytes(peer.fork_proof or b"")
    assert len(shown.content) < 3000
    with pytest.raises(LedgerError):
        check_fork(shown.content, [Signer(peer.origin, 1, b"\x09" * 32).verifier])


def test_without_tiles_a_larger_tree_is_kept_and_convicts_nobody(neighbour: Neighbour) -> None:
    peer = followed(neighbour, "one", "two")
    before = pinned(peer)
    hidden = another_history(neighbour, "other", "others", "more", "and more")
    assert hear(hidden.checkpoint().data)
    judge_all()
    assert not convicted(peer, neighbour)
    assert pinned(peer) == before
    heard = HeardNote.objects.get()
    assert (heard.state, bytes(heard.note)) == ("unclear", hidden.checkpoint().data)


def test_a_header_of_strangers_or_nonsense_leaves_nothing(neighbour: Neighbour) -> None:
    peer = followed(neighbour, "one")
    before = pinned(peer)
    grow(neighbour, "two")
    stranger = Signer(neighbour.instance.origin, 1, b"\x09" * 32)
    forged = sign_checkpoint(Checkpoint(neighbour.instance.origin, 9, b"\x02" * 32), stranger)
    unknown = sign_checkpoint(Checkpoint("charlie.example/ledger/1", 9, b"\x02" * 32), stranger)
    note = header_of(neighbour.checkpoint())
    for value in ("", "x", "é" * 10, header_of(forged), header_of(unknown), header_of(b""), note[:-8], "A" * 9000, note * 40):
        assert not gossip.hear(value, host="charlie.example")
    assert not HeardNote.objects.exists()
    assert not Task.objects.filter(fact="NoteHeard").exists()
    assert pinned(peer) == before
    # The same set-up, an honest header: it is heard once.
    assert gossip.hear(note, host="charlie.example")
    assert not gossip.hear(note, host="charlie.example")


def test_only_so_many_notes_of_one_log_are_kept(neighbour: Neighbour, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pins, "HEARD_PER_LOG_MAX", 3)
    followed(neighbour, "one")
    signer = neighbour.instance.ledger
    heard = [hear(sign_checkpoint(Checkpoint(signer.name, 9 + n, b"\x02" * 32), signer)) for n in range(5)]
    assert heard == [True, True, True, False, False]


def test_peers_are_asked_what_they_have_seen(neighbour: Neighbour) -> None:
    """The neighbour's log shows us one history and Charlie's instance another; Charlie keeps the tiles of what it saw."""
    third = Neighbour()
    try:
        peer = followed(neighbour, "one", "two")
        peers.follow_log(instance_origin=third.origin)
        hidden = another_history(neighbour, "other", "others", "more", "and more")
        place = f"ledger/peers/{sha256(peer.origin.encode()).hexdigest()}"
        third.shown = {f"{place}/{path}": data for path, data in hidden.files.items()}
        third.shown[f"{place}/checkpoint"] = hidden.checkpoint().data
        assert gossip.compare_with_peers() == 1
        judge_all()
        assert convicted(peer, neighbour)
        assert HeardNote.objects.get().source == third.instance.origin
    finally:
        third.close()


def test_a_convicted_log_is_frozen_until_for_ever_and_a_person_says_that_she_read_it(neighbour: Neighbour) -> None:
    peer = followed(neighbour, "one")
    forks.check_not_frozen(peer.origin)
    with pytest.raises(NotFound):
        forks.proof(name_of(peer.origin))
    with pytest.raises(WrongState):
        forks.acknowledge(peer, by="admin@example.org")
    assert hear(another_history(neighbour, "other").checkpoint().data)
    judge_all()
    with pytest.raises(LogForked):
        forks.check_not_frozen(peer.origin)
    assert forks.unread() == [peer]
    assert forks.acknowledge(peer, by="admin@example.org").fork_acknowledged_by == "admin@example.org"
    assert forks.unread() == []
    assert forks.convicted() == [peer]
    with pytest.raises(LogForked):
        forks.check_not_frozen(peer.origin)
    first = bytes(peer.fork_proof or b"")
    # A second lie adds nothing to the verdict.
    assert hear(another_history(neighbour, "yet another").checkpoint().data)
    judge_all()
    peer.refresh_from_db()
    assert bytes(peer.fork_proof or b"") == first


def test_the_header_says_our_newest_head(neighbour: Neighbour) -> None:
    assert gossip.header() == {}
    followed(neighbour, "one")
    value = gossip.header()[gossip.HEADER]
    assert base64.b64decode(value) == store.published_checkpoint()
    assert len(value) <= 8 * 1024


@pytest.mark.parametrize("size", [3, 5])
def test_lines_added_to_a_note_do_not_keep_it_from_convicting(neighbour: Neighbour, size: int) -> None:
    """Names that no proof may quote, and a hundred of them: the proof has the log's own lines alone."""
    peer = followed(neighbour, "one", "two")
    hidden = another_history(neighbour, *(f"other {number}" for number in range(size - 1)))
    junk = "".join(f"\u2014 cafe\u0301.example/{number} {'A' * 100}\n" for number in range(90))
    note = hidden.checkpoint().data + junk.encode()
    neighbour.shown = {f"ledger/peers/there/{path}": data for path, data in hidden.files.items()}
    assert gossip.take(note, source="elsewhere", tiles_url=f"{neighbour.origin}/ledger/peers/there")
    judge_all()
    assert convicted(peer, neighbour)
    assert bytes(peer.kept_note_b or b"") == hidden.checkpoint().data


def test_a_head_that_could_not_be_quoted_is_not_accepted(neighbour: Neighbour) -> None:
    peer = followed(neighbour, "one")
    before = pinned(peer)
    head = neighbour.log.checkpoint().checkpoint
    for extension in ("cafe\u0301", "x" * 3000):
        neighbour.note = sign_checkpoint(Checkpoint(head.origin, 9, head.root, (extension,)), neighbour.instance.ledger)
        with pytest.raises(MalformedCheckpoint):
            peers.refresh(peer)
        assert not hear(neighbour.note)
    peer.refresh_from_db()
    assert (peer.size, peer.root) == before[:2]


def test_a_head_whose_tiles_say_something_else_is_kept_and_judged_again(
    neighbour: Neighbour, monkeypatch: pytest.MonkeyPatch
) -> None:
    peer = followed(neighbour, "one", "two")
    hidden = another_history(neighbour, "other", "others", "more", "and more")
    neighbour.note = hidden.checkpoint().data
    with pytest.raises(LedgerError):
        peers.refresh(peer)
    judge_all()
    assert (HeardNote.objects.get().state, convicted(peer, neighbour)) == ("unclear", False)
    # An hour later it shows the tiles too.
    neighbour.log = hidden
    gossip.compare_with_peers()
    judge_all()
    assert convicted(peer, neighbour)


def test_tiles_that_cannot_be_reached_now_are_asked_for_later(neighbour: Neighbour) -> None:
    peer = followed(neighbour, "one", "two")
    hidden = another_history(neighbour, "other", "others", "more", "and more")
    assert hear(hidden.checkpoint().data)
    PeerLog.objects.filter(pk=peer.pk).update(url="http://127.0.0.1:9/ledger/1")
    with pytest.raises(TributaryError):
        judge_all()
    assert HeardNote.objects.get().state == "waiting"


def test_the_verdict_holds_in_another_process_that_knows_only_the_key(
    neighbour: Neighbour, client: Client, tmp_path: Path
) -> None:
    peer = followed(neighbour, "one", "two")
    assert hear(another_history(neighbour, "other").checkpoint().data)
    judge_all()
    file = tmp_path / "fork.json"
    file.write_bytes(client.get(f"/ledger/forks/{name_of(peer.origin)}").content)
    key = str(neighbour.instance.ledger.verifier)
    stranger = str(Signer(peer.origin, 1, b"\x09" * 32).verifier)
    for one, code in ((key, 0), (stranger, 1)):
        argv = [sys.executable, "-m", "payouts.ledger", "verify-fork", str(file), "--key", one]
        root = Path(__file__).parents[2]
        done = subprocess.run(argv, cwd=tmp_path, env={"PYTHONPATH": str(root)}, capture_output=True, check=False)
        assert done.returncode == code, done
