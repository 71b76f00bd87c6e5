"""Resolution by SCID: every source is equal, the longest valid log wins, forks are noticed, and nobody makes us ask at home."""

import io
import json
import threading
import time
from collections.abc import Callable, Iterator
from datetime import timedelta
from typing import Any

import pytest
from django.core.management import CommandError, call_command
from django.test import Client

from server.accounts.models import Account
from server.core import clock, limits
from server.identity import actions, keylog, queries, resolving
from server.identity.models import Identity, Watcher
from tests.federation.copies import ROOT, Grace
from tests.federation.stranger import Answer, Received, Server
from tests.pure.identities import commit, key
from tests.world import World

pytestmark = pytest.mark.django_db


@pytest.fixture
def grace(server: Server) -> Grace:
    """She lives at a host that is dead, unless a test brings it to life."""
    return Grace("home.localhost", port=server.port)


def holds(server: Server, name: str, log: keylog.PolicyLog, data: bytes | None = None) -> str:
    """The watcher ``name`` has this log, or these bytes instead."""
    server.answers[server.host(name), f"{ROOT}/log?scid={log.scid}"] = Answer(data or log.data, content_type="text/jsonl")
    return server.url("", name)


def outcomes(found: resolving.Found) -> dict[str, str]:
    return {one.source.split("//")[1].split(".")[0]: one.outcome for one in found.asked}


def test_a_log_is_found_by_its_scid_when_its_home_is_dead(db: None, server: Server, grace: Grace) -> None:
    longer = grace.change("home-2")
    also = [holds(server, "first", grace.log), holds(server, "second", longer)]
    found = resolving.resolve(grace.scid, also=also, did=grace.log.did.text)
    assert found.log.data == longer.data
    assert outcomes(found) == {"home": "not_found", "first": "valid", "second": "valid"}
    assert not found.is_kept
    assert not Identity.objects.filter(scid=grace.scid).exists()
    kept = resolving.resolve(grace.scid, keep=True, also=also)
    assert kept.is_kept
    assert queries.log_bytes(queries.by_scid(grace.scid)) == longer.data


def test_every_kind_of_nonsense_is_passed_over(db: None, server: Server, grace: Grace) -> None:
    stranger = Grace("other.example")
    lines = grace.change("home-2").data.split(b"\n")
    also = [
        holds(server, "truncated", grace.log),
        holds(server, "forged", grace.log, lines[0] + b"\n" + lines[1].replace(b"home-2", b"home-3")),
        holds(server, "other", grace.log, stranger.log.data),
        holds(server, "html", grace.log, b"<html>"),
        holds(server, "huge", grace.log, b"{" * (keylog.SOFT.bytes_max + 1)),
        server.url("", "silent"),
        "https://127.0.0.1",
        "https://[::1]",
        "ftp://x",
        "https://10.0.0.1.example:22",
    ]
    found = resolving.resolve(grace.scid, also=also)
    assert found.log.data == grace.log.data
    said = {one.source: one.outcome for one in found.asked}
    assert [said[source] for source in also] == [
        "valid", "v4_entry_hash", "v14_requested", "v1_form", "answer_too_large", "not_found",
        "bad_address", "bad_address", "bad_address", "address_blocked",
    ]  # fmt: skip


def test_no_redirect_is_followed(db: None, server: Server, grace: Grace) -> None:
    away = Answer(b"", 302, headers={"Location": "http://localhost:1/secret"})
    server.answers[server.host("home"), "/u/grace/did.jsonl"] = away
    with pytest.raises(resolving.NotResolved):
        resolving.resolve(grace.scid, did=grace.log.did.text)
    assert len(server.received) == 1


def test_at_first_contact_two_are_asked(db: None, server: Server, grace: Grace) -> None:
    """The home shows an old log; whoever asked the home alone would believe it."""
    server.answers[server.host("home"), "/u/grace/did.jsonl"] = Answer(grace.log.data, content_type="text/jsonl")
    longer = grace.change("home-2")
    Watcher.objects.create(origin=holds(server, "peer", longer))
    found = resolving.resolve(grace.scid, did=grace.log.did.text)
    assert found.log.data == longer.data
    # Known, one answer of those that the log names is enough.
    actions.accept_log(data=longer.data)
    server.received.clear()
    resolving.resolve(grace.scid)
    assert {request.headers["host"] for request in server.received} == {server.host("home")}


def test_replicas_that_the_log_names_and_earlier_homes_are_asked(db: None, server: Server, grace: Grace) -> None:
    named = grace.names(server.url(ROOT, "replica"))
    moved = keylog.move(
        named, home=grace.home("new.localhost", "home-9"), key=key("paper-2"), next_keys=commit("paper-3", "device-1"),
        now=grace.past + timedelta(days=2), loopback=True,
    )  # fmt: skip
    actions.accept_log(data=moved.data)
    asked = {one.url for one in resolving.resolve(grace.scid).asked}
    assert asked == {
        server.url("/u/grace/did.jsonl", "new"), server.url("/u/grace/did.jsonl", "home"),
        server.url(f"{ROOT}/log?scid={grace.scid}", "replica"), server.url(f"{ROOT}/log?scid={grace.scid}", "home"),
    }  # fmt: skip


def test_what_has_not_changed_is_not_sent_again(db: None, server: Server, grace: Grace) -> None:
    actions.accept_log(data=grace.log.data)
    etag = f'"{grace.log.head.entry.version_id}"'

    def answer(request: Received) -> Answer:
        assert request.headers["if-none-match"] == etag
        return Answer(b"", 304)

    server.answers[server.host("home"), "/u/grace/did.jsonl"] = answer
    assert [one.outcome for one in resolving.resolve(grace.scid).asked] == ["unchanged"]


def test_two_branches_at_first_contact_leave_what_they_share_and_the_evidence(db: None, server: Server, grace: Grace) -> None:
    also = [holds(server, "left", grace.change("home-2")), holds(server, "right", grace.change("home-3"))]
    found = resolving.resolve(grace.scid, keep=True, also=also)
    assert found.is_contested
    identity = queries.by_scid(grace.scid)
    assert (identity.head_number, identity.forks.count()) == (1, 1)
    assert identity.contested_at is not None


def test_at_first_contact_the_paper_keys_branch_counts(db: None, server: Server, grace: Grace) -> None:
    honest, thief = grace.change("home-2"), grace.change("thief", by="device-1")
    for also in ([holds(server, "left", honest), holds(server, "right", thief)],) * 2:
        found = resolving.resolve(grace.scid, keep=True, also=also)
        assert found.log.data == honest.data
        assert not found.is_contested
        also.reverse()
    assert queries.by_scid(grace.scid).forks.count() == 1


def test_a_move_is_found_when_the_old_home_is_dead(world: World, server: Server, grace: Grace, work: Callable[[], int]) -> None:
    """Alice follows grace, whose home is gone for good; a replica that her log names has the entry that names the new one."""
    named = grace.names(server.url(ROOT, "replica"))
    actions.accept_log(data=named.data)
    moved = keylog.move(
        named, home=grace.home("new.localhost", "home-9"), key=key("paper-2"), next_keys=commit("paper-3", "device-1"),
        now=grace.past + timedelta(days=2), loopback=True,
    )  # fmt: skip
    holds(server, "replica", moved)
    assert resolving.check_silent_homes() == 1
    identity = queries.by_scid(grace.scid)
    assert (identity.home_origin, identity.head_number) == (server.url("", "new"), 3)


@pytest.mark.parametrize("left", ["first", "second", "third"])
def test_one_replica_of_three_is_enough(db: None, server: Server, grace: Grace, left: str) -> None:
    """A22: home and two of three replicas are gone."""
    named = grace.names(*(server.url(ROOT, name) for name in ("first", "second", "third")))
    longer = grace.change("home-2", by="paper-2", after=named, at=grace.past + timedelta(days=2))
    actions.accept_log(data=named.data)
    holds(server, left, longer)
    assert resolving.resolve(grace.scid).log.data == longer.data
    assert queries.by_scid(grace.scid).head_number == 3


def test_dead_homes_do_not_keep_the_others_waiting(db: None, server: Server) -> None:
    people = [Grace(f"dead{number}.localhost", port=server.port, past=timedelta(days=10, minutes=number)) for number in range(3)]
    for person in people:
        actions.accept_log(data=person.log.data)
    with clock.moved(timedelta(hours=1)):
        assert resolving.check_silent_homes(count_max=2) == 0
        asked = {request.headers["host"] for request in server.received}
        resolving.check_silent_homes(count_max=2)
        assert len({request.headers["host"] for request in server.received}) == 3 > len(asked)


@pytest.fixture
def slow(server: Server) -> Iterator[threading.Event]:
    released = threading.Event()
    yield released
    released.set()


def test_the_fan_out_is_bounded_in_number_and_time(
    db: None, server: Server, grace: Grace, slow: threading.Event, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(limits, "RESOLVE_SECONDS_MAX", 1)
    monkeypatch.setattr(limits, "RESOLVE_ANSWER_SECONDS_MAX", 2)
    inside: list[int] = []
    now = [0]
    lock = threading.Lock()

    def wait(request: Received) -> Answer:
        with lock:
            now[0] += 1
            inside.append(now[0])
        slow.wait(5)
        with lock:
            now[0] -= 1
        return Answer(grace.log.data)

    also = [server.url("", f"slow{number}") for number in range(40)]
    for origin in also:
        server.answers[origin.partition("//")[2], f"{ROOT}/log?scid={grace.scid}"] = wait
    begun = time.monotonic()
    with pytest.raises(resolving.NotResolved) as refused:
        resolving.resolve(grace.scid, also=also)
    assert time.monotonic() - begun < 2
    assert len(refused.value.asked) == limits.RESOLVE_SOURCES_MAX
    assert {one.outcome for one in refused.value.asked} == {"too_slow"}
    assert max(inside) <= limits.RESOLVE_AT_ONCE_MAX


# -- from the command line -----------------------------------------------------------------------------------------------


def run(*arguments: str) -> Any:
    out = io.StringIO()
    call_command("identity", *arguments, "--json", stdout=out)
    return json.loads(out.getvalue())


def test_the_command_finds_shows_and_keeps(db: None, server: Server, grace: Grace, client: Client) -> None:
    origin = holds(server, "peer", grace.log)
    with pytest.raises(CommandError, match="not_resolved") as nobody:
        run("resolve", grace.scid)
    assert nobody.value.returncode == 1
    told = run("resolve", grace.scid, "--from", origin)
    assert (told["version_id"], told["kept"], told["contested"]) == (grace.log.head.entry.version_id, False, False)
    with pytest.raises(CommandError, match="not_found"):
        run("log", grace.scid)
    assert run("watch", grace.scid, "--from", origin)["kept"]
    assert run("log", grace.scid) == [json.loads(line) for line in grace.log.data.splitlines()]
    (receipt,) = run("receipts", grace.scid)
    assert receipt["versionId"] == grace.log.head.entry.version_id
    out = io.StringIO()
    call_command("identity", "log", grace.scid, stdout=out)
    assert out.getvalue().encode() == grace.log.data
    call_command("identity", "resolve", grace.scid, stdout=out)
    assert "/u/grace/did.jsonl: not_found" in out.getvalue()
    with pytest.raises(CommandError, match="no SCID"):
        run("log", "Qm")


def test_the_command_says_that_an_identity_is_contested(db: None, server: Server, grace: Grace) -> None:
    also = [holds(server, "left", grace.change("home-2")), holds(server, "right", grace.change("home-3"))]
    with pytest.raises(CommandError, match="contested") as refused:
        run("watch", grace.scid, "--from", also[0], "--from", also[1])
    assert refused.value.returncode == 2


# -- over the API --------------------------------------------------------------------------------------------------------


def test_the_api_says_what_is_known(world: World, client: Client, grace: Grace) -> None:
    from tests.server.calls import Api

    nobody = Api(None)
    assert nobody.get(f"identities/{grace.scid}").status == 404
    actions.accept_log(data=grace.change("home-2", by="device-1").data)
    told = nobody.get(f"identities/{grace.scid}").body
    assert (told["version"], told["lives_here"], told["contested"], told["receipts"]) == (2, False, False, 0)
    assert told["payouts_frozen_until"] is not None
    assert told["effects_held_until"] is not None
    assert client.get(told["log_url"]).content == grace.change("home-2", by="device-1").data
    mine = Api(Account.objects.get(pk=world.alice.pk)).get("me/identity").body
    assert (mine["contested"], mine["replicas"]) == (False, [])
