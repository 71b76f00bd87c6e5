"""Three instances and a stranger's witness watch one ledger; one of them dies; a fourth lies to two of them and is convicted."""

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from hashlib import sha256
from pathlib import Path
from typing import Any

import pytest

from tests.payouts.c2sp_witness import C2spWitness
from tests.payouts.ledger_world import Log
from tests.payouts.neighbour import Neighbour
from tests.payouts.test_room_peers import grow
from tests.services import free_port
from tests.two_servers.instance import PASSWORD, ROOT, Instance, Person, fetch, unique, wait_for

pytestmark = pytest.mark.slow
QUORUM_SECONDS_MAX = 60


@pytest.fixture
def west() -> Iterator[Instance]:
    """The third instance, which will be killed."""
    instance = Instance("West", free_port())
    try:
        instance.start()
        yield instance
    finally:
        instance.remove()


@pytest.fixture
def stranger() -> Iterator[C2spWitness]:
    witness = C2spWitness()
    yield witness
    witness.close()


def status(instance: Instance) -> dict[str, Any]:
    """What it says of its ledger; the exit status is 1 where a ledger it follows has forked."""
    try:
        text = instance.manage("ledger", "status", "--json")
    except subprocess.CalledProcessError as told:
        text = told.stdout
    found: dict[str, Any] = json.loads(text)
    return found


def follow(instance: Instance, origin: str) -> None:
    instance.manage("ledger", "follow", origin)


def administrator(instance: Instance) -> Person:
    person = Person(instance, unique("keeper"))
    arguments = ["accounts", "create", person.handle, "--email", f"{person.handle}@example.org", "--admin", "--password-stdin"]
    instance.manage(*arguments, typed=f"{PASSWORD}\n")
    person.log_in()
    return person


def seconds_to_quorum(instance: Instance, names: set[str], least: int) -> float:
    """Change the log, and wait until its newest head has ``least`` cosignatures of ``names``."""
    before = fetch(f"{instance.origin}/ledger/1/checkpoint").body.split(b"\n")[1]
    started = time.monotonic()
    Person(instance, unique("new")).sign_up()

    def reached() -> bool:
        note = fetch(f"{instance.origin}/ledger/1/checkpoint").body.decode()
        signers = {line.split(" ")[1] for line in note.splitlines() if line.startswith("\u2014 ")}
        return int(note.split("\n")[1]) > int(before) and len(signers & names) >= least

    wait_for(f"{least} of {sorted(names)}", reached, seconds_max=QUORUM_SECONDS_MAX)
    return time.monotonic() - started


def lie_to(first: Instance, second: Instance) -> Neighbour:
    """A ledger that shows two instances two books of one size, and is then heard of no more."""
    liar = Neighbour()
    grow(liar, "one", "two")
    follow(first, liar.origin)
    size = liar.log.edge.size
    liar.log = Log(liar.instance)
    grow(liar, "one", "another two")
    assert liar.log.edge.size == size
    follow(second, liar.origin)
    liar.server.shutdown()
    liar.server.server_close()
    return liar


def test_a_quorum_watches_one_may_die_and_who_lies_is_convicted_by_both(
    pair: tuple[Instance, Instance], west: Instance, stranger: C2spWitness, tmp_path: Path
) -> None:
    north, south = pair
    for one in (north, south, west):
        assert status(one)["size"] >= 1, "asking begins the log"
    for one in (north, south, west):
        for other in (north, south, west):
            if one is not other:
                follow(one, other.origin)
    liar = lie_to(north, south)

    told = status(north)
    stranger.logs[told["origin"]] = told["vkey"]
    keeper = administrator(north)
    keeper.form(
        "/admin/payouts/witness/add/", {"vkey": stranger.vkey, "url": stranger.url, "monitoring_url": "", "_save": "Save"}
    )
    keeper.form("/admin/payouts/witnesspolicy/add/", {"quorum": 2, "_save": "Save"})
    names = {f"{south.host}/witness/1", f"{west.host}/witness/1", stranger.name}
    assert set(status(north)["witnesses"]) - {f"{liar.host}/witness/1"} == names
    assert status(north)["quorum"] == 2
    assert seconds_to_quorum(north, names, 2) <= QUORUM_SECONDS_MAX

    assert west.process is not None
    os.kill(west.process.pid, signal.SIGKILL)
    wait_for("the end of West", lambda: not answers(west))
    assert seconds_to_quorum(north, names - {f"{west.host}/witness/1"}, 2) <= QUORUM_SECONDS_MAX
    dead = wait_for(
        "the dead witness shown", lambda: (one := status(north)["witnesses"][f"{west.host}/witness/1"])["error"] and one
    )
    assert dead["behind"] > 0
    assert status(north)["read-only"] == "no"

    name = sha256(liar.instance.origin.encode()).hexdigest()
    for instance in (north, south):
        proof = wait_for(
            f"the conviction at {instance.name}",
            lambda instance=instance: (found := fetch(f"{instance.origin}/ledger/forks/{name}")).status == 200 and found.body,
            seconds_max=180,
        )
        (tmp_path / instance.name).mkdir()
        (tmp_path / instance.name / "fork").write_bytes(proof)
        assert verify(tmp_path / instance.name, str(liar.instance.ledger.verifier)) == 0
        assert verify(tmp_path / instance.name, told["vkey"]) == 1, "another's key convicts nobody"
    assert set(status(north)["witnesses"]) == names, "who is convicted is no witness"


def answers(instance: Instance) -> bool:
    try:
        return fetch(f"{instance.origin}/healthz").status == 200
    except OSError:
        return False


def verify(folder: Path, vkey: str) -> int:
    """A process in a folder that holds only the proof, and that knows only the key."""
    argv = [sys.executable, "-m", "payouts.ledger", "verify-fork", "fork", "--key", vkey]
    return subprocess.run(argv, cwd=folder, env={"PYTHONPATH": str(ROOT)}, check=False, capture_output=True).returncode
