"""Opening, closing and suspending accounts, and what a handle may be."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from server.accounts import actions, addresses, queries
from server.accounts.models import Account, Follow, User
from server.core import canonical, keys
from server.core.errors import Conflict, Invalid, NotAllowed, NotFound
from server.core.models import Task
from tests import world as people
from tests.world import World


def user(email: str = "new@example.org") -> User:
    return User.objects.create_user(email, people.PASSWORD)


def staff() -> User:
    return User.objects.create_user("staff@example.org", people.PASSWORD, is_staff=True)


@pytest.mark.django_db
def test_an_open_account_has_addresses_and_two_sealed_keys() -> None:
    account = actions.open_account(user=user(), handle="Erin_1", display_name="  Erin  of the\u202e hill ")
    assert account.acct == "Erin_1"
    assert account.uri == "http://localhost:8000/users/Erin_1"
    assert account.url == "http://localhost:8000/@Erin_1"
    assert account.display_name == "Erin of the hill"
    rsa = queries.signing_key(account)
    assert (rsa.name, rsa.algorithm) == ("main-key", "rsa")
    assert rsa.public.startswith("-----BEGIN PUBLIC KEY-----")
    assert b"PRIVATE" in keys.unseal(rsa.private_sealed)
    assert b"PRIVATE" not in bytes(rsa.private_sealed)
    home = account.keys.get(name="home-1")
    assert len(canonical.multikey_ed25519_decode(home.public)) == 32


@pytest.mark.django_db
@pytest.mark.parametrize("handle", ["", "a" * 31, "a b", "a-b", "a.b", "é", "a@b", "../x", "x\n", "ａ", "1/2", "123"])  # noqa: RUF001
def test_other_shapes_are_refused(handle: str) -> None:
    with pytest.raises(Invalid) as refusal:
        actions.open_account(user=user(), handle=handle)
    assert refusal.value.field == "handle"
    assert not Account.objects.exists()


@pytest.mark.django_db
@pytest.mark.parametrize("handle", ["admin", "ADMIN", "root", "instance", "actor", "inbox", "api", "Me"])
def test_reserved_names_are_refused(handle: str) -> None:
    with pytest.raises(Conflict) as refusal:
        actions.open_account(user=user(), handle=handle)
    assert refusal.value.field == "handle"


def test_a_handle_is_taken_in_every_case_of_letters_and_for_ever(world: World) -> None:
    with pytest.raises(Conflict):
        actions.open_account(user=user(), handle="ALICE")
    actions.close_account(account=world.alice, by=world.alice)
    with pytest.raises(Conflict):
        actions.open_account(user=user("other@example.org"), handle="alice")
    # A remote namesake is somebody else.
    assert actions.open_account(user=user("dora@example.org"), handle="dora").pk != world.dora.pk


def test_one_account_for_each_user(world: World) -> None:
    assert world.alice.user is not None
    with pytest.raises(Conflict):
        actions.open_account(user=world.alice.user, handle="second")


def test_closing_takes_what_described_her_and_leaves_what_the_farewell_needs(world: World) -> None:
    actions.receive_follow(follower=world.dora, target=world.alice, uri="https://peer.example/f/1")
    with pytest.raises(NotAllowed):
        actions.close_account(account=world.alice, by=world.charlie)
    assert queries.local_by_handle("alice") == world.alice
    Task.objects.all().delete()

    actions.close_account(account=world.alice, by=world.alice)
    with pytest.raises(NotFound):
        queries.local_by_handle("alice")
    gone = Account.objects.get(pk=world.alice.pk)
    assert gone.user is None
    assert gone.bio == gone.display_name == ""
    assert not User.objects.filter(email="alice@example.org").exists()
    assert list(queries.accepted_followers(gone)) == [world.dora]
    assert queries.signing_key(gone)
    tasks = Task.objects.filter(fact="AccountDeleted")
    assert {(task.subscriber, task.payload["account_id"]) for task in tasks} == {
        ("federation.outbox.delete_account", gone.pk),
        ("server.videos.jobs.forget_closed_account", gone.pk),
        ("server.portability.actions.forget_originals", gone.pk),
    }
    actions.close_account(account=gone, by=gone)
    assert tasks.count() == 3


def test_suspending_hides_and_signs_out_and_can_be_taken_back(world: World) -> None:
    with pytest.raises(NotAllowed):
        actions.suspend_account(account=world.alice, by_staff=world.charlie.user)  # type: ignore[arg-type]
    assert queries.by_acct("alice")
    boss = staff()
    actions.suspend_account(account=world.alice, by_staff=boss)
    actions.suspend_account(account=world.alice, by_staff=boss)
    with pytest.raises(NotFound):
        queries.by_acct("alice")
    assert not User.objects.get(email="alice@example.org").is_active
    with pytest.raises(NotAllowed):
        actions.follow(follower=world.alice, target=world.bob)
    actions.unsuspend_account(account=world.alice, by_staff=boss)
    assert User.objects.get(email="alice@example.org").is_active
    assert actions.follow(follower=world.alice, target=world.bob).state == "accepted"


def test_a_deleted_remote_account_is_gone_with_its_follows_and_cannot_come_back(world: World) -> None:
    from server.accounts.remote import RemoteProfile

    actions.receive_follow(follower=world.dora, target=world.alice, uri="https://peer.example/f/1")
    with pytest.raises(NotAllowed):
        actions.receive_account_deleted(account=world.charlie)
    actions.receive_account_deleted(account=world.dora)
    assert not Follow.objects.exists()
    with pytest.raises(NotFound):
        queries.by_acct("dora@peer.example")
    with pytest.raises(NotAllowed):
        actions.receive_remote_account(profile=RemoteProfile(uri=world.dora.uri, handle="dora", domain="peer.example"))


@pytest.mark.parametrize(
    ("text", "host"),
    [
        ("Peer.Example", "peer.example"),
        ("peer.example.", "peer.example"),
        ("peer.example:443", "peer.example"),
        ("localhost:8002", "localhost:8002"),
        ("faß.de", "xn--fa-hia.de"),
        ("BÜCHER.example", "xn--bcher-kva.example"),
        ("127.0.0.1:80", "127.0.0.1"),
    ],
)
def test_one_canonical_form_of_a_host(text: str, host: str) -> None:
    assert addresses.canonical_host(text) == host
    assert addresses.canonical_host(host) == host


@pytest.mark.parametrize(
    "text",
    [
        "",
        "a b",
        "a/b",
        "a%00",
        "a\\b",
        "user@host",
        "a:b",
        "a:0",
        "a:70000",
        "a:8_0",
        "-a.example",
        "a..b",
        "[::1]",
        "a:1:2",
        "\ud800",
    ],
)
def test_what_is_no_host_is_refused(text: str) -> None:
    with pytest.raises(Invalid):
        addresses.canonical_host(text)


@pytest.mark.parametrize("text", ["dora@Peer.Example", "@dora@peer.example", " acct:dora@peer.example:443 "])
def test_an_address_is_read_in_its_usual_spellings(text: str) -> None:
    assert str(addresses.parse_address(text)) == "dora@peer.example"


@pytest.mark.parametrize(
    "text", ["", "dora", "@dora", "dora@", "@", "do ra@peer.example", "dora@peer.example/x", "a@b@c", "dora@-"]
)
def test_what_is_no_address_is_refused(text: str) -> None:
    with pytest.raises(Invalid) as refusal:
        addresses.parse_address(text)
    assert refusal.value.field == "address"


@given(st.text(max_size=300))
def test_reading_an_address_answers_or_refuses_and_nothing_else(text: str) -> None:
    try:
        address = addresses.parse_address(text)
    except Invalid:
        return
    assert addresses.parse_address(str(address)) == address
