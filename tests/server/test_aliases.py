"""Accounts elsewhere that are the same person: by page, API and command; who may, and what others read."""

import io
from datetime import timedelta
from typing import Any

import pytest
from django.core.management import CommandError, call_command
from django.test import Client

from federation import published
from server.accounts import aliases
from server.accounts.models import Account
from server.core import limits
from server.core.errors import Invalid, NotAllowed, NotFound, WrongState
from server.core.models import Task
from server.identity import actions as identities
from server.identity import keylog, queries
from tests.pure.identities import NOW, commit, home, key, public
from tests.server.calls import Api
from tests.server.test_pages_watch import signed_in, text
from tests.world import World

pytestmark = pytest.mark.django_db


def asked(address: str) -> Account:
    found = Account.objects.filter(
        handle=address.partition("@")[0], domain=address.partition("@")[2].replace("localhost:8000", "")
    ).first()
    if found is None:
        raise NotFound("There is nobody at that address.")
    return found


@pytest.fixture(autouse=True)
def _asked(settings: Any) -> None:
    settings.ACCOUNT_RESOLVER = f"{__name__}.asked"


def told() -> int:
    return Task.objects.filter(fact="AccountUpdated").count()


def test_add_and_remove(world: World) -> None:
    before = told()
    for _ in range(2):
        assert aliases.add_alias(account=world.alice, by=world.alice, address="dora@peer.example") == world.dora
    world.alice.refresh_from_db()
    assert world.alice.also_known_as == [world.dora.uri]
    assert told() == before + 1
    assert published.person(world.alice)["alsoKnownAs"] == [world.dora.uri]
    for _ in range(2):
        aliases.remove_alias(account=world.alice, by=world.alice, uri=world.dora.uri)
    world.alice.refresh_from_db()
    assert (world.alice.also_known_as, told()) == ([], before + 2)
    assert "alsoKnownAs" not in published.person(world.alice)


def test_refusals(world: World) -> None:
    with pytest.raises(NotAllowed):
        aliases.add_alias(account=world.alice, by=world.charlie, address="dora@peer.example")
    with pytest.raises(NotAllowed):
        aliases.remove_alias(account=world.alice, by=world.charlie, uri=world.dora.uri)
    with pytest.raises(NotFound):
        aliases.add_alias(account=world.alice, by=world.alice, address="nobody@peer.example")
    with pytest.raises(Invalid):
        aliases.add_alias(account=world.alice, by=world.alice, address="alice@localhost:8000")
    full = [f"https://x.example/{number}" for number in range(limits.ALIASES_COUNT_MAX)]
    Account.objects.filter(pk=world.alice.pk).update(also_known_as=full)
    with pytest.raises(Invalid):
        aliases.add_alias(account=world.alice, by=world.alice, address="dora@peer.example")
    world.alice.refresh_from_db()
    assert world.alice.also_known_as == full


def test_an_earlier_home_of_the_identity_stays(world: World) -> None:
    assert aliases.earlier_homes(world.alice) == frozenset()
    log = keylog.genesis(
        document=keylog.first_document(home("old.example", "home-1"), user_key=public("user-1"), custody="server"),
        key=key("root-1"),
        next_keys=commit("root-2"),
        now=NOW,
    )
    here = queries.home_of(handle="alice", home_key=world.alice.keys.get(name="home-1").public)
    moved = keylog.move(log, home=here, key=key("root-2"), next_keys=commit("root-3"), now=NOW + timedelta(days=1), loopback=True)
    identity = identities.accept_log(data=moved.data, requested=moved.scid)
    old = "https://old.example/users/alice"
    Account.objects.filter(pk=world.alice.pk).update(also_known_as=[old], scid=identity.scid)
    world.alice.refresh_from_db()
    assert old in aliases.earlier_homes(world.alice)
    with pytest.raises(WrongState):
        aliases.remove_alias(account=world.alice, by=world.alice, uri=old)
    page = text(signed_in(world.alice).get("/settings/aliases"))
    assert "An earlier home" in page
    assert "Remove" not in page
    world.alice.refresh_from_db()
    assert world.alice.also_known_as == [old]
    # The name of the key that signs here is the one in the log, and not the one in the table of keys.
    assert [each["id"] for each in published.person(world.alice)["assertionMethod"]] == [
        f"{world.alice.uri}#home-2",
        f"{world.alice.uri}#user-1",
    ]


def test_the_page(world: World) -> None:
    client = signed_in(world.alice)
    assert Client().get("/settings/aliases").status_code == 302
    assert client.get("/settings/aliases").status_code == 200
    assert client.post("/settings/aliases", {"address": "nobody@peer.example"}).status_code == 422
    assert client.post("/settings/aliases", {"address": "dora@peer.example"}).status_code == 302
    page = client.get("/settings/aliases").content.decode()
    assert "@dora@peer.example" in page
    assert client.post("/settings/aliases", {"remove": world.dora.uri}).status_code == 302
    world.alice.refresh_from_db()
    assert world.alice.also_known_as == []


def test_the_command(world: World) -> None:
    out = io.StringIO()
    call_command("accounts", "alias", "alice", "dora@peer.example", stdout=out)
    world.alice.refresh_from_db()
    assert world.alice.also_known_as == [world.dora.uri]
    assert out.getvalue().strip() == "@dora@peer.example is an account of @alice"
    call_command("accounts", "alias", "alice", "dora@peer.example", "--remove", stdout=out)
    world.alice.refresh_from_db()
    assert world.alice.also_known_as == []
    for arguments in (["nobody", "dora@peer.example"], ["alice", "nobody@peer.example"]):
        with pytest.raises(CommandError):
            call_command("accounts", "alias", *arguments)


def test_the_api(world: World) -> None:
    alice = Api(world.alice)
    assert alice.get("me/aliases").body == {"aliases": []}
    for acct in ("dora@peer.example", "dora@peer.example"):
        assert alice.put(f"me/aliases/{acct}").body == {"aliases": [world.dora.uri]}
    assert alice.put("me/aliases/nobody@peer.example").status == 404
    assert Api(None).get("me/aliases").status == 401
    assert Api(world.charlie).get("me/aliases").body == {"aliases": []}
    assert alice.delete("me/aliases/dora@peer.example").body == {"aliases": []}
    assert alice.delete("me/aliases/dora@peer.example").status == 200
