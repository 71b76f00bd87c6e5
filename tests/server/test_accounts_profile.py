"""Profiles: changing one's own, receiving those of others, finding people by address."""

import io

import pytest
from django.test import override_settings
from PIL import Image

from server.accounts import actions, avatars, queries
from server.accounts.models import Account
from server.accounts.remote import RemoteProfile, clean_html
from server.core import limits, storage
from server.core.errors import Conflict, Invalid, NotAllowed, NotFound, TooLarge
from server.core.models import Task
from tests.world import World


def picture(kind: str, size: tuple[int, int] = (60, 40), mode: str = "RGB") -> bytes:
    out = io.BytesIO()
    exif = Image.Exif()
    exif[0x010E] = "where I live"
    Image.new(mode, size, (200, 30, 30, 128)[: len(mode)]).save(out, kind, exif=exif)
    return out.getvalue()


def profile(**fields: object) -> RemoteProfile:
    return RemoteProfile(**{"uri": "https://peer.example/users/erin", "handle": "erin", "domain": "peer.example", **fields})  # type: ignore[arg-type]


def change(account: Account, by: Account, **fields: object) -> None:
    actions.update_profile(account=account, by=by, **{"display_name": "Alice", "bio": "I film rabbits.", **fields})  # type: ignore[arg-type]


def test_only_the_owner_changes_a_profile(world: World) -> None:
    change(world.alice, world.alice, manually_approves_followers=True)
    with pytest.raises(NotAllowed):
        change(world.alice, world.charlie, bio="hacked")
    world.alice.refresh_from_db()
    assert (world.alice.name, world.alice.bio) == ("Alice", "I film rabbits.")
    assert world.alice.manually_approves_followers
    assert [task.payload for task in Task.objects.filter(fact="AccountUpdated")] == [{"account_id": world.alice.pk}]


def test_control_characters_go_and_joined_emoji_stay(world: World) -> None:
    family = "\U0001f468\u200d\U0001f469\u200d\U0001f467"
    change(world.alice, world.alice, display_name=f"\u202eA\x00\n {family}\ud800", bio=f" one\r\ntwo\x00\x1b {family} \u2066")
    assert (world.alice.display_name, world.alice.bio) == (f"A {family}", f"one\ntwo {family}")


@pytest.mark.parametrize(("field", "text"), [("display_name", "x" * 65), ("bio", "x" * 501)])
def test_too_long_texts_are_refused_by_field(world: World, field: str, text: str) -> None:
    with pytest.raises(Invalid) as refusal:
        change(world.alice, world.alice, **{field: text})
    assert refusal.value.field == field
    world.alice.refresh_from_db()
    assert world.alice.bio == ""


@pytest.mark.parametrize(("kind", "mode"), [("JPEG", "RGB"), ("PNG", "RGBA"), ("PNG", "L"), ("WEBP", "RGBA")])
def test_a_picture_is_written_anew_square_and_without_metadata(kind: str, mode: str) -> None:
    made = Image.open(io.BytesIO(avatars.encode(picture(kind, mode=mode))))
    assert (made.format, made.size) == ("JPEG", (limits.AVATAR_SIDE_PIXELS, limits.AVATAR_SIDE_PIXELS))
    assert not made.getexif()


def test_what_is_no_picture_is_refused() -> None:
    svg = b"<svg xmlns='http://www.w3.org/2000/svg'><script>alert(1)</script></svg>"
    cut = picture("PNG")[:60]
    for data in (b"", b"GIF89a", svg, cut, picture("GIF"), picture("TIFF"), b"\x89PNG\r\n\x1a\n" + b"\0" * 40):
        with pytest.raises(Invalid) as refusal:
            avatars.encode(data)
        assert refusal.value.field == "avatar"
    for data in (b"x" * (limits.AVATAR_BYTES_MAX + 1), picture("PNG", (5000, 5000)), picture("PNG", (10_000, 9_500), "L")):
        with pytest.raises(TooLarge):
            avatars.encode(data)


@pytest.mark.django_db(transaction=True)
def test_the_old_picture_goes_unless_somebody_else_shows_it() -> None:
    from tests import world as people

    alice, bob = people.local("alice"), people.local("bob")
    first, second = picture("PNG"), picture("PNG", mode="L")
    for account in (alice, bob):
        change(account, account, avatar=first)
    name = alice.avatar_file
    assert bob.avatar_file == name
    change(alice, alice, avatar=second)
    assert storage.exists(name)
    with pytest.raises(Invalid):
        change(bob, bob, avatar=b"no picture")
    assert storage.exists(name)
    change(bob, bob, avatar=second)
    assert not storage.exists(name)
    actions.close_account(account=alice, by=alice)
    assert storage.exists(bob.avatar_file)
    actions.close_account(account=bob, by=bob)
    assert not storage.exists(bob.avatar_file or alice.avatar_file or name)


def test_a_remote_profile_is_kept_once_and_changed_by_its_id(world: World) -> None:
    first = actions.receive_remote_account(profile=profile(display_name="Erin\u202e\n2", bio_html="<p>hi<script>x</script></p>"))
    assert (first.acct, first.display_name, first.bio) == ("erin@peer.example", "Erin 2", "<p>hi</p>")
    assert not first.is_local
    again = actions.receive_remote_account(
        profile=profile(handle="Erin", display_name="E", also_known_as=("https://old.example/e",))
    )
    assert (again.pk, again.handle, again.display_name) == (first.pk, "Erin", "E")
    assert again.also_known_as == ["https://old.example/e"]
    assert queries.by_uri(first.uri) == first


@pytest.mark.parametrize(
    ("fields", "error"),
    [
        ({"uri": "http://localhost:8000/users/alice"}, NotAllowed),
        ({"domain": "localhost:8000"}, NotAllowed),
        ({"domain": ""}, Invalid),
        ({"domain": "a/b"}, Invalid),
        ({"uri": "javascript:alert(1)"}, Invalid),
        ({"uri": "https://peer.example/" + "x" * 3000}, Invalid),
        ({"handle": "e rin"}, Invalid),
        ({"handle": ""}, Invalid),
        ({"handle": "dora"}, Conflict),
    ],
)
def test_remote_profiles_that_pretend_are_refused(world: World, fields: dict[str, object], error: type[Exception]) -> None:
    before = Account.objects.count()
    with pytest.raises(error):
        actions.receive_remote_account(profile=profile(**fields))
    assert Account.objects.count() == before


def test_addresses_in_a_remote_profile_must_be_web_addresses(world: World) -> None:
    made = actions.receive_remote_account(
        profile=profile(
            url="javascript:alert(1)", avatar_url="data:image/png;base64,xx", also_known_as=("at://x", "https://ok.example/")
        )
    )
    assert (made.url, made.avatar_remote_url, made.also_known_as) == ("", "", ["https://ok.example/"])


def test_profile_html_keeps_links_and_loses_what_runs() -> None:
    dirty = '<p onclick="x()">a <a href="https://x.example" style="position:fixed" target=_top>b</a><a href="javascript:x">c</a><img src=x><style>p{}</style>'
    assert clean_html(dirty) == (
        '<p>a <a href="https://x.example" rel="nofollow noopener noreferrer ugc">b</a>'
        '<a rel="nofollow noopener noreferrer ugc">c</a></p>'
    )


def test_by_acct_reads_every_spelling_and_nothing_else(world: World) -> None:
    for acct in ("alice", "@alice", "ALICE", "alice@localhost:8000", "@Alice@LOCALHOST:8000"):
        assert queries.by_acct(acct) == world.alice
    for acct in ("dora@peer.example", "@DORA@Peer.Example"):
        assert queries.by_acct(acct) == world.dora
    for acct in ("dora", "alice@peer.example", "nobody", "", "@", "a@b@c", "alice@localhost:8001"):
        with pytest.raises(NotFound):
            queries.by_acct(acct)


asked: list[str] = []


def resolver(address: str) -> Account:
    """Stands where federation stands: this test is about who is asked and when, not about the network."""
    asked.append(address)
    return actions.receive_remote_account(profile=profile())


@override_settings(ACCOUNT_RESOLVER="tests.server.test_accounts_profile.resolver")
def test_only_unknown_people_are_looked_up_elsewhere(world: World) -> None:
    asked.clear()
    assert actions.discover_account(address="@alice@localhost:8000") == world.alice
    assert actions.discover_account(address="dora@peer.example") == world.dora
    assert asked == []
    assert actions.discover_account(address="acct:erin@Peer.Example").acct == "erin@peer.example"
    assert asked == ["erin@peer.example"]
    assert actions.discover_account(address="erin@peer.example")
    assert asked == ["erin@peer.example"]
    for address, error in (("nobody@localhost:8000", NotFound), ("erin", Invalid), ("erin@a/b", Invalid)):
        with pytest.raises(error):
            actions.discover_account(address=address)
    actions.receive_account_deleted(account=world.dora)
    with pytest.raises(NotFound):
        actions.discover_account(address="dora@peer.example")
    assert asked == ["erin@peer.example"]


def test_people_are_found_by_the_beginning_of_their_name(world: World) -> None:
    change(world.bob, world.bob, display_name="Alina")
    assert [account.handle for account in queries.search("ali")] == ["alice", "bob"]
    assert list(queries.search("@dora@peer")) == [world.dora]
    assert list(queries.search("  ")) == []
