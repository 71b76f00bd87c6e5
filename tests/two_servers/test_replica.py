"""The home is killed and its disk is gone: a replica still has the log, the receipts, and what the home said last."""

import contextlib
import json
import os
import shutil
import signal
import urllib.parse
from pathlib import Path

import pytest

from tests.services import free_port
from tests.two_servers.conftest import befriend
from tests.two_servers.instance import Instance, fetch, wait_for

pytestmark = pytest.mark.slow
DOOR = "/.well-known/webvh"


def test_a_log_outlives_its_home(pair: tuple[Instance, Instance]) -> None:
    third, replica = pair
    home = Instance("Doomed", free_port())
    home.start()
    try:
        maker, _ = befriend(home, replica)
        scid = maker.api("GET", "/me/identity")["scid"]
        # The follow made the home known to the replica and the replica to the home; the log came with the follow.
        wait_for("the copy", lambda: fetch(f"{replica.origin}{DOOR}/log?scid={scid}").status == 200)
        known = "SELECT origin FROM identity_watcher WHERE origin = ?"
        wait_for("the replica known at home", lambda: home.rows(known, replica.origin))
        # What the ten-minute chore does, now.
        chore = "from server.identity import replicas; replicas.tend()"
        home.manage(
            "shell", "-c", f"from server.identity.models import Identity; Identity.objects.update(tended_at=None); {chore}"
        )
        wait_for(
            "the receipt",
            lambda: any(one["receipt_at"] for one in maker.api("GET", "/me/identity")["replicas"]),
        )
        home.manage("shell", "-c", chore)
        wait_for(
            "the replica named in the log",
            lambda: maker.api("GET", f"/identities/{scid}")["replicas"][0]["is_named"] and newest(replica, scid) == 2,
        )
        log = fetch(f"{home.origin}{DOOR}/log?scid={scid}").body
        destroy(home)
        # Somebody who never heard of her finds her by the SCID alone, and who has seen what.
        told = json.loads(third.manage("identity", "watch", scid, "--from", replica.origin, "--json"))
        assert (told["kept"], told["contested"], len(told["replicas"])) == (True, False, 1)
        assert fetch(f"{third.origin}{DOOR}/log?scid={scid}").body == log
        receipts = fetch(f"{replica.origin}{DOOR}/receipts?scid={scid}").json
        assert {one["versionId"].partition("-")[0] for one in receipts if one["replica"] == replica.origin} == {"1", "2"}
        # The home is not missed: at the next look the log itself says where to ask.
        again = json.loads(third.manage("identity", "resolve", scid, "--json"))
        said = {urllib.parse.urlsplit(one["url"]).netloc: one["outcome"] for one in again["asked"]}
        assert said == {home.host: "unreachable", replica.host: "unchanged"}
    finally:
        home.remove()


def destroy(instance: Instance) -> None:
    """Kill -9 of every process, and the disk is gone."""
    assert instance.process is not None
    family = [instance.process.pid, *children(instance.process.pid)]
    for process in family:
        with contextlib.suppress(ProcessLookupError):  # the end of one may take others along
            os.kill(process, signal.SIGKILL)
    instance.process.wait(20)
    instance.process = None
    wait_for("the end of all", lambda: not any(is_running(process) for process in family))
    shutil.rmtree(instance.data)


def children(parent: int) -> list[int]:
    """The process ids below ``parent``."""
    found = []
    for status in Path("/proc").glob("[0-9]*/status"):
        with contextlib.suppress(OSError):  # it has just ended
            if f"PPid:\t{parent}\n" in status.read_text():
                found.append(int(status.parent.name))
    return found + [below for each in found for below in children(each)]


def is_running(process: int) -> bool:
    """Not ended; one that only waits to be buried has."""
    try:
        return "State:\tZ" not in Path(f"/proc/{process}/status").read_text()
    except OSError:
        return False


def newest(instance: Instance, scid: str) -> int:
    return len(fetch(f"{instance.origin}{DOOR}/log?scid={scid}").body.splitlines())
