"""Who has just come from another home: held back while her archive is judged, let go before her media are here, followers kept."""

import json
from typing import Any

import pytest

from server.accounts import bringing
from server.accounts.models import Account
from server.core.models import Task
from server.portability import imports, incoming, settling
from server.portability.facts import ImportTurn
from server.portability.models import Import
from tests import world as people
from tests.server.test_archive_import import Move, moved, repack, states, take
from tests.world import World

pytestmark = pytest.mark.django_db
ROWS = [
    {"actor": f"https://peer.example/users/{name}", "inbox": f"https://peer.example/users/{name}/inbox", "sharedInbox": ""}
    for name in ("eve", "frank")
]


@pytest.fixture
def move(world: World, settings: Any) -> Move:
    return moved(world, settings)


def with_followers(tar: bytes, data: bytes) -> bytes:
    """The archive with the list of followers as its owner opened it."""
    return repack(tar, lambda members: [*members, ("opened/graph/followers.jsonl", data)])


def turn(one: Import, number: int) -> Account:
    """One turn, as the two subscribers of the fact take it."""
    fact = ImportTurn(import_id=one.pk, turn=number)
    settling.attend(fact)
    imports.run(fact)
    settling.attend(fact)
    one.refresh_from_db()
    one.account.refresh_from_db()
    return one.account


def test_held_back_until_only_media_are_missing(move: Move) -> None:
    one = take(move.account, with_followers(move.tar, "\n".join(json.dumps(row) for row in ROWS).encode()))
    assert bringing.held_back_since(move.account) is None, "only its bytes are here"
    held = {}
    while one.step < settling.MEDIA_STEP:
        account = turn(one, one.turn)
        held[one.step] = bringing.held_back_since(account) is not None
    assert held == {1: True, 2: True, 3: True, 4: True, 5: True, 6: False}
    assert (one.state, imports.STEPS[settling.MEDIA_STEP].__name__) == ("running", "_videos")
    assert sorted(move.account.former_followers.values_list("uri", flat=True)) == [row["actor"] for row in ROWS]
    assert states(one, "followers") == {"graph/followers.jsonl": "done"}
    assert Task.objects.filter(fact="FollowersKnown").count() == 1, "read once, however many turns there are"


def test_a_list_that_is_none_fails_by_name_and_the_import_goes_on(move: Move) -> None:
    for data in (b"a,b\n", b'{"actor": "https://a.example/u", "inbox": "https://victim.example/inbox"}\n', b"[]\n"):
        one = take(move.account, with_followers(move.tar, data))
        for _ in range(3):
            turn(one, one.turn)
        assert states(one, "followers") == {"graph/followers.jsonl": "failed"}
        assert one.state == "running"
        incoming.cancel(one=one, by=move.account)
    assert not move.account.former_followers.exists()


def test_however_an_import_ends_nobody_stays_held_back(move: Move) -> None:
    for data in (move.tar, move.tar[:-600]):
        one = take(move.account, data)
        account = turn(one, 0)
        assert bringing.held_back_since(account) is not None
        assert settling.let_go_checked() == (0 if one.state == "running" else 1)
        if one.state == "running":
            incoming.cancel(one=one, by=account)
            assert settling.let_go_checked() == 1
        account.refresh_from_db()
        assert bringing.held_back_since(account) is None
    assert one.state == "refused"


def test_who_lives_here_already_is_not_held_back(move: Move, world: World) -> None:
    lists = take(move.account, b"Account address\nx@y.example\n", name="mutes.csv")
    assert bringing.held_back_since(turn(lists, 0)) is None
    assert lists.kind == "csv"
    people.published(move.account)
    never_moved = take(world.bob, move.tar)
    for one in (take(move.account, move.tar), never_moved):
        assert bringing.held_back_since(turn(one, 0)) is None
