"""A home that dies, and its owner who comes back elsewhere with what is in her kit: her words, and her identity's name."""

import hashlib
import json
import os
import shutil
import signal
import time
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from server.core import proofs
from server.identity import keylog, mnemonic, owner
from server.identity.offer import read_offer
from tests.two_servers.instance import PASSWORD, Failed, Instance, Person, fetch, wait_for

TARGETS = """SELECT count(*) AS n FROM accounts_follow f JOIN accounts_account t ON t.id = f.target_id
    WHERE t.uri = ? AND f.state = 'accepted'"""


@dataclass(frozen=True)
class Kit:
    """What she has when all else is gone."""

    words: str
    scid: str

    @property
    def seed(self) -> bytes:
        """The seed of her words."""
        return mnemonic.seed(self.words)


def take_keys(person: Person) -> Kit:
    """The keys pass into her hands, made by the Python tool's own code from new words; the server signs with its last one."""
    words = mnemonic.words(hashlib.sha256(os.urandom(32)).digest())
    seed = mnemonic.seed(words)
    keys = {
        "user_key": keylog.multikey_of(mnemonic.user_key(seed, 0)),
        "box_key": owner.box_multikey(mnemonic.box_key(seed)),
        "paper_key_hash": keylog.key_hash(owner.paper_multikey(seed, 0)),
    }
    entry = person.api("POST", "/me/identity/custody", keys)["entry"]
    method = next(one["id"] for one in entry["state"]["verificationMethod"] if "#user-" in one["id"])
    proof = proofs.create_proof(entry, key=mnemonic.user_key(seed, 0), verification_method=method, created=datetime.now(UTC))
    person.api("POST", "/me/identity/custody/finish", {"entry": entry, "proof": proof, "password": PASSWORD})
    return Kit(words, person.api("GET", "/me/identity")["scid"])


def destroy(instance: Instance) -> None:
    """``kill -9`` for every process of it, and its data directory removed."""
    assert instance.process is not None
    os.killpg(instance.process.pid, signal.SIGKILL)
    instance.process.wait(10)
    instance.process = None
    wait_for("its data is gone", lambda: _is_removed(instance), seconds_max=10)
    wait_for("nobody answers there", lambda: _is_silent(instance), seconds_max=10)


def _is_removed(instance: Instance) -> bool:
    try:
        shutil.rmtree(instance.data)
    except OSError:
        # A killed worker that is not quite dead wrote once more.
        return not instance.data.exists()
    return True


def _is_silent(instance: Instance) -> bool:
    try:
        fetch(f"{instance.origin}/readyz")
    except OSError:
        return True
    return False


def sign_arrival(person: Person, kit: Kit) -> bytes:
    """Find the log and sign with the words: only what is in the kit is used. Nothing has moved after it."""
    found = person.api("POST", "/me/identity/bring", {"named": kit.scid})
    log = keylog.verify_policy(
        "".join(f"{line}\n" for line in found["log"]).encode(), now=datetime.now(UTC), caps=keylog.HARD, requested=kit.scid,
        loopback=True,
    )  # fmt: skip
    offer = read_offer(found["offer"], loopback=True)
    moved, grant = owner.move(log, seed=kit.seed, offer=offer, now=datetime.now(UTC).replace(microsecond=0), loopback=True)
    return json.dumps({"log": moved.data.decode().splitlines(), "grant": grant}).encode()


def come_back(person: Person, kit: Kit) -> dict[str, Any]:
    """Sign and arrive. Returns what the new home says of her."""
    body = sign_arrival(person, kit)
    answer = person.request("POST", f"/users/{person.handle}/move", body, **{"Content-Type": "application/json"})
    if answer.status != 200:
        raise Failed(f"the new home did not take her: {answer.status} {answer.body[:500]!r}")
    return person.api("GET", "/me/identity")


def recover(person: Person, kit: Kit, followers: Sequence[tuple[Instance, int]]) -> tuple[float, float]:
    """Seconds until the identity lives at the new home, and until all ``followers`` (so many at each instance) follow it."""
    began = time.monotonic()
    said = come_back(person, kit)
    if said["scid"] != kit.scid or said["custody"] != "owner":
        raise Failed(f"another identity arrived: {said}")
    live_s = time.monotonic() - began
    actor = f"{person.instance.origin}/users/{person.handle}"
    for instance, count in followers:
        wait_for(
            f"{count} followers re-pointed at {instance.name}",
            lambda: instance.rows(TARGETS, actor)[0]["n"] == count,  # noqa: B023 (called within the round)
            seconds_max=180,
        )
    return live_s, time.monotonic() - began
