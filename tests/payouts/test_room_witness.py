"""The witness's door (C2SP tlog-witness): every status, the race of two requests, and how long one may ask in vain."""

import os
import sqlite3
import subprocess
import sys
import time
from pathlib import Path

import pytest
from django.db import connection
from django.test import Client

from payouts import instance_keys, log
from payouts.ledger.checkpoint import Checkpoint, open_checkpoint, sign_checkpoint
from payouts.ledger.fields import to_base64
from payouts.ledger.follower import proof_between
from payouts.ledger.note import Signer
from payouts.models import HeardNote, PeerLog
from server.core import clock, limits
from server.core.models import Task
from tests.payouts.neighbour import Neighbour
from tests.payouts.test_room_peers import DOOR, ask, followed, grow, pinned
from tests.payouts.test_room_rotation import rotate
from tests.pure.test_ledger_witness import requests as litewitness

ROOT = Path(__file__).parents[2]


def request_of(neighbour: Neighbour, old: int) -> bytes:
    proof = proof_between(neighbour.log.tiles, old, neighbour.log.edge.size)
    return "\n".join([f"old {old}", *map(to_base64, proof), "", ""]).encode() + neighbour.log.checkpoint().data


@pytest.mark.django_db
def test_logs_that_are_not_followed_are_unknown(client: Client) -> None:
    log.begin_log()
    for body, _, _ in litewitness():
        assert client.post(DOOR, body, content_type="text/plain").status_code == 404
    assert not PeerLog.objects.exists()


@pytest.mark.django_db
def test_every_refusal_of_the_specification(neighbour: Neighbour, client: Client) -> None:
    peer = followed(neighbour, "one", "two")
    before = pinned(peer)
    good = request_of(neighbour, 3)
    head, _, note = good.partition(b"\n\n")
    stranger = Signer(neighbour.instance.origin, 1, b"\x09" * 32)
    cases = {
        400: [
            b"",
            b"old 3\n" + note,
            b"old 03\n\n" + note,
            b"old -1\n\n" + note,
            b"old 3 \n\n" + note,
            b"old 3\r\n\r\n" + note,
            b"old 3\nAAAA\n\n" + note,
            b"old 3\n" + b"\n".join([to_base64(b"\x01" * 32).encode()] * 64) + b"\n\n" + note,
            b"old 4\n\n" + note,
            head + b"\n\n" + note.replace(b"\n3\n", b"\n03\n"),
            head + b"\n\n" + note + b"x" * (64 * 1024),
            b"\xff\xfe\n\n" + note,
        ],
        403: [head + b"\n\n" + sign_checkpoint(Checkpoint(neighbour.instance.origin, 3, b"\x02" * 32), stranger)],
        404: [head + b"\n\n" + sign_checkpoint(Checkpoint("charlie.example/ledger/1", 3, b"\x02" * 32), stranger)],
        409: [b"old 0\n\n" + note, b"old 2\n\n" + note],
        422: [b"old 3\n" + to_base64(b"\x05" * 32).encode() + b"\n\n" + note],
    }
    for status, bodies in cases.items():
        for body in bodies:
            answer = client.post(DOOR, body, content_type="text/plain")
            assert (answer.status_code, body[:40]) == (status, body[:40])
            size = answer["content-type"] == "text/x.tlog.size"
            assert (size, answer.content == b"3\n") == (status == 409, status == 409)
    assert pinned(peer) == before
    answer = client.post(DOOR, good, content_type="text/plain")
    assert answer.status_code == 200
    witness = instance_keys.signer("witness").verifier
    signed = open_checkpoint(
        note + answer.content, origin=peer.origin, log_keys=[neighbour.instance.ledger.verifier], cosigners=[witness]
    )
    assert signed.note.signed_by(witness)
    # Nothing moved, so nothing was written.
    assert pinned(peer) == before


@pytest.mark.django_db
def test_a_convicted_log_is_answered_as_one_whose_key_nobody_trusts(neighbour: Neighbour, client: Client) -> None:
    peer = followed(neighbour, "one")
    lie = sign_checkpoint(Checkpoint(neighbour.instance.origin, 2, b"\x03" * 32), neighbour.instance.ledger)
    assert ask(client, neighbour, 2, lie) == (409, b"2\n", "text/x.tlog.size")
    before = pinned(peer)
    grow(neighbour, "two")
    status, body, _ = ask(client, neighbour, 2)
    assert (status, body[:10]) == (403, b"log_forked")
    assert pinned(peer) == before
    assert bytes(peer.kept_note_b or b"") == lie
    # The offending checkpoint that came later is evidence too.
    assert HeardNote.objects.get().source == "add-checkpoint"


@pytest.mark.django_db
def test_a_larger_tree_that_does_not_extend_the_pin_is_kept_for_the_judge(neighbour: Neighbour, client: Client) -> None:
    peer = followed(neighbour, "one")
    grow(neighbour, "two")
    bad = b"old 2\n" + to_base64(b"\x05" * 32).encode() + b"\n\n" + neighbour.log.checkpoint().data
    assert client.post(DOOR, bad, content_type="text/plain").status_code == 422
    assert client.post(DOOR, bad, content_type="text/plain").status_code == 422
    heard = HeardNote.objects.get()
    assert (heard.peer, bytes(heard.note)) == (peer, neighbour.log.checkpoint().data)
    assert Task.objects.filter(fact="NoteHeard").count() == 1


@pytest.mark.django_db
def test_who_asks_in_vain_waits_and_a_log_that_grows_does_not(
    neighbour: Neighbour, client: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(limits, "WITNESS_IN_VAIN_PER_MINUTE_MAX", 3)
    peer = followed(neighbour, "one")
    for number in range(5):
        grow(neighbour, f"more {number}")
        assert ask(client, neighbour, 2 + number)[0] == 200
    statuses = [client.post(DOOR, b"nonsense", content_type="text/plain", REMOTE_ADDR="192.0.2.7") for _ in range(6)]
    assert [one.status_code for one in statuses] == [400, 400, 400, 400, 429, 429]
    assert statuses[-1]["retry-after"] == "60"
    # Only that address waits.
    assert ask(client, neighbour, 7)[0] == 200
    assert pinned(peer)[0] == 7


@pytest.mark.django_db
def test_what_a_process_remembers_decides_nothing_but_growth(neighbour: Neighbour, client: Client) -> None:
    """Another process stored a newer pin, or convicted the log: this one answers by the row, whatever it remembers."""
    peer = followed(neighbour, "one")
    grow(neighbour, "two")
    assert ask(client, neighbour, 2)[0] == 200
    grow(neighbour, "three")
    stale = request_of(neighbour, 3)
    grow(neighbour, "four")
    newest = neighbour.log.checkpoint()
    PeerLog.objects.filter(pk=peer.pk).update(size=5, root=newest.checkpoint.root.hex(), checkpoint=newest.data)
    answer = client.post(DOOR, stale, content_type="text/plain")
    assert (answer.status_code, answer.content) == (409, b"5\n")
    assert pinned(peer)[0] == 5
    # What stands there is remembered in turn, until it is something else again.
    grow(neighbour, "five")
    assert ask(client, neighbour, 5)[0] == 200
    PeerLog.objects.filter(pk=peer.pk).update(forked_at=clock.now())
    grow(neighbour, "six")
    assert ask(client, neighbour, 6)[0] == 403
    assert pinned(peer)[0] == 6


@pytest.mark.django_db
def test_a_head_is_not_stored_by_a_key_that_was_replaced_meanwhile(neighbour: Neighbour, client: Client) -> None:
    peer = followed(neighbour, "one")
    grow(neighbour, "two")
    assert ask(client, neighbour, 2)[0] == 200
    neighbour.log.signer = rotate(neighbour)
    PeerLog.objects.filter(pk=peer.pk).update(rotations=neighbour.log.entries[-1].data.decode())
    assert ask(client, neighbour, 3)[0] == 403
    assert pinned(peer)[0] == 3


def own_database(folder: Path) -> str:
    """The address of the test's database for another process; of SQLite, which lives in memory here, a copy in a file."""
    if connection.vendor == "sqlite":
        connection.ensure_connection()
        with sqlite3.connect(folder / "race.sqlite3") as copy:
            connection.connection.backup(copy)
        copy.close()
        return f"sqlite:///{folder}/race.sqlite3"
    told = connection.settings_dict
    return f"postgres://{told['USER']}:{told['PASSWORD']}@{told['HOST']}:{told['PORT']}/{told['NAME']}"


def stored_size(url: str, peer: PeerLog) -> int:
    if url.startswith("sqlite"):
        with sqlite3.connect(url.removeprefix("sqlite:///")) as database:
            size = database.execute("SELECT size FROM payouts_peerlog WHERE id = ?", [peer.pk]).fetchone()[0]
        database.close()
        return int(size)
    peer.refresh_from_db()
    return peer.size


@pytest.mark.slow
@pytest.mark.django_db(transaction=True)
def test_of_two_requests_at_once_one_wins(neighbour: Neighbour, tmp_path: Path) -> None:
    """Both extend size 2, to 3 and to 5. Whoever comes second is told the size; no pin ever rolls back."""
    peer = followed(neighbour, "one")
    grow(neighbour, "two")
    smaller = request_of(neighbour, 2)
    grow(neighbour, "three", "four")
    larger = request_of(neighbour, 2)
    url, start = own_database(tmp_path), tmp_path / "start"
    environment = {**os.environ, "TRIBUTARY_DATABASE_URL": url, "DJANGO_SETTINGS_MODULE": "server.settings"}
    racers, ready = [], []
    for number, body in enumerate((smaller, larger)):
        (tmp_path / f"request-{number}").write_bytes(body)
        ready.append(tmp_path / f"ready-{number}")
        argv = ["-m", "tests.payouts.witness_race", str(tmp_path / f"request-{number}"), str(start), str(ready[-1])]
        racers.append(subprocess.Popen([sys.executable, *argv], cwd=ROOT, env=environment, stdout=subprocess.PIPE, text=True))
    waited_until = time.monotonic() + 60
    while not all(one.exists() for one in ready) and time.monotonic() < waited_until:
        time.sleep(0.01)
    start.touch()
    told = [racer.communicate(timeout=60)[0].strip().splitlines()[-1].split("\t") for racer in racers]
    assert [racer.returncode for racer in racers] == [0, 0]
    assert sorted(one[0] for one in told) == ["200", "409"], told
    won = 0 if told[0][0] == "200" else 1
    size = (3, 5)[won]
    assert told[1 - won][1:] == ["text/x.tlog.size", str(size)]
    assert stored_size(url, peer) == size


@pytest.mark.django_db
def test_the_door_needs_no_session_and_a_broken_one_is_told_and_counted(
    neighbour: Neighbour, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """It is answered before the middleware for people; what breaks in it is a line of the log and a 500 all the same."""
    followed(neighbour, "one")
    door = Client(raise_request_exception=False)
    answer = door.post(DOOR, request_of(neighbour, 2), content_type="text/plain", HTTP_HOST="any.name.example")
    assert (answer.status_code, answer["cache-control"], "set-cookie" in answer) == (200, "no-store", False)
    assert door.get(DOOR).status_code == 405

    def breaks(_: object) -> None:
        raise OSError("the disk went away")

    monkeypatch.setattr("payouts.pins.witness", breaks)
    caplog.clear()
    assert door.post(DOOR, request_of(neighbour, 2), content_type="text/plain").status_code == 500
    assert [one.status for one in caplog.records if one.message == "request"] == [500]
