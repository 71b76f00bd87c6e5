"""Sign-up, log-in, profile, search: the pages about people."""

import io

import pytest
from django.core import mail
from django.core.files.uploadedfile import SimpleUploadedFile
from django.core.management import CommandError, call_command
from django.test import Client
from PIL import Image

from server.accounts import actions
from server.accounts.models import Account, User
from server.core.errors import Conflict, Unavailable
from tests.server.test_pages_watch import signed_in, text
from tests.world import PASSWORD, World, published, remote

pytestmark = pytest.mark.django_db
NEW = {"email": "erin@example.org", "password1": "a long enough one", "handle": "Erin_7"}


def test_sign_up_makes_the_user_and_the_account(client: Client):
    answer = client.post("/account/signup/", NEW)
    assert (answer.status_code, answer["Location"]) == (302, "/settings/identity/keys?new")
    account = Account.objects.get()
    assert (account.handle, account.user.email) == ("Erin_7", "erin@example.org")
    assert {key.name for key in account.keys.all()} == {"main-key", "home-1"}
    assert 'href="/@Erin_7"' in text(client.get("/"))


@pytest.mark.parametrize(
    ("changed", "field", "words"),
    [
        ({"handle": "ALICE"}, "handle", "taken"),
        ({"handle": "admin"}, "handle", "reserved"),
        ({"handle": "two words"}, "handle", "letters"),
        ({"handle": ""}, "handle", "required"),
        ({"email": "not an address"}, "email", "valid email"),
        ({"password1": "short"}, "password1", "too short"),
        ({"password1": "password1234567890"[:10]}, "password1", "common"),
    ],
)
def test_sign_up_refusals_stand_beside_the_field_and_make_nothing(client: Client, world: World, changed, field: str, words: str):
    users = User.objects.count()
    answer = client.post("/account/signup/", {**NEW, **changed})
    assert answer.status_code == 200
    assert words in text(answer).split(f'id="id_{field}_error"')[1].split("</div>")[0]
    assert User.objects.count() == users


def test_a_handle_taken_in_the_last_moment_makes_no_half_of_a_sign_up(client: Client, monkeypatch: pytest.MonkeyPatch):
    def taken(**_: object) -> None:
        raise Conflict("This handle is taken. Choose another one.", field="handle")

    monkeypatch.setattr(actions, "open_account", taken)
    answer = client.post("/account/signup/", NEW, follow=True)
    assert "This handle is taken" in text(answer)
    assert not User.objects.exists()


def test_closed_registration_is_closed(client: Client, settings):
    settings.REGISTRATION_OPEN = False
    assert "Sign-up is closed" in text(client.get("/account/signup/"))
    client.post("/account/signup/", NEW)
    assert not User.objects.exists()
    assert "Create an account" not in text(client.get("/account/login/"))


def test_log_in_and_out(client: Client, world: World):
    wrong = client.post("/account/login/", {"login": "alice@example.org", "password": "nope"})
    assert "form-errors" in text(wrong)
    right = client.post("/account/login/?next=/studio", {"login": "alice@example.org", "password": PASSWORD, "next": "/studio"})
    assert right["Location"] == "/studio"
    assert client.get("/studio").status_code == 200
    assert "Log out?" in text(client.get("/account/logout/"))
    assert client.post("/account/logout/").status_code == 302
    assert client.get("/studio").status_code == 302


def test_a_forgotten_password(client: Client, world: World):
    answer = client.post("/account/password/reset/", {"email": "alice@example.org"}, follow=True)
    assert "Look into your mail" in text(answer)
    link = next(word for word in mail.outbox[0].body.split() if "/account/password/reset/key/" in word)
    page = client.get(link.replace("http://testserver", ""), follow=True)
    assert "Choose a new password" in text(page)
    new = {"password1": "an entirely new one", "password2": "an entirely new one"}
    client.post(page.redirect_chain[-1][0], new)
    assert Client().login(email="alice@example.org", password="an entirely new one")
    assert "This link is used up" in text(Client().get(link.replace("http://testserver", ""), follow=True))


def test_a_suspended_account_is_a_visitor(world: World):
    alice = signed_in(world.alice)
    world.alice.suspended_at = world.alice.created_at
    world.alice.save()
    assert alice.get("/studio").status_code == 302
    assert alice.get("/").status_code == 200


def test_an_administrator_without_an_account_opens_one(client: Client):
    client.force_login(User.objects.create_superuser("root@example.org", PASSWORD))
    assert client.get("/studio")["Location"] == "/settings/handle?next=%2Fstudio"
    assert "Choose a handle" in text(client.get("/settings/handle"))
    assert client.post("/settings/handle", {"handle": "no spaces"}).status_code == 422
    assert client.post("/settings/handle", {"handle": "keeper", "next": "/studio"})["Location"] == "/studio"
    assert client.get("/studio").status_code == 200
    assert "Administration" in text(client.get("/studio"))


def test_the_profile_is_changed_and_the_picture_written_anew(world: World):
    alice = signed_in(world.alice)
    picture = io.BytesIO()
    Image.new("RGB", (50, 80), "teal").save(picture, "PNG")
    fields = {"display_name": "Alice Weir", "bio": "Bees. https://weir.example", "manually_approves_followers": "on"}
    answer = alice.post("/settings/profile", {**fields, "avatar": SimpleUploadedFile("me.png", picture.getvalue())}, follow=True)
    assert "Profile saved." in text(answer)
    page = text(Client().get("/@alice"))
    assert "Alice Weir" in page
    assert 'href="https://weir.example"' in page
    world.alice.refresh_from_db()
    assert world.alice.avatar_file.endswith(".jpg")
    assert world.alice.manually_approves_followers


@pytest.mark.parametrize(
    ("fields", "words"),
    [
        ({"bio": "x" * 501}, "at most 500 characters"),
        ({"display_name": "x" * 65}, "at most 64 characters"),
        ({"avatar": SimpleUploadedFile("me.svg", b"<svg onload='x()'/>")}, "JPEG, PNG or WebP"),
    ],
)
def test_a_wrong_profile_is_refused_beside_the_field(world: World, fields, words: str):
    answer = signed_in(world.alice).post("/settings/profile", {"display_name": "", "bio": "", **fields})
    assert answer.status_code == 422
    assert words in text(answer)
    world.alice.refresh_from_db()
    assert (world.alice.bio, world.alice.avatar_file) == ("", "")


def test_search_finds_people_tags_and_captions(client: Client, world: World):
    from server.videos.tagging import set_hashtags

    set_hashtags(published(world.alice, caption="Slow river #river"), ["river"])
    page = text(client.get("/search?q=riv"))
    assert 'href="/tags/river"' in page
    assert "Slow river" in page
    assert "Slow river" in text(client.get("/search?q=%23river"))
    assert 'href="/@alice"' in text(client.get("/search?q=ali"))
    assert "Nothing found" in text(client.get("/search?q=zzz"))
    assert client.get("/search?q=" + "%ff<>'\"" * 50).status_code == 200
    for address in ("/search?q=%00", "/tags/a%00b", "/@a%00b", "/@alice?before=%00", "/report/account/%00"):
        assert client.get(address).status_code == 404, address


def resolver(address: str) -> Account:
    if address.startswith("gone@"):
        raise Unavailable("peer.example does not answer. Try again later.")
    return remote("newcomer", "far.example")


def test_search_asks_another_server_for_members_only(client: Client, world: World, settings):
    settings.ACCOUNT_RESOLVER = "tests.server.test_pages_me.resolver"
    visitor = text(client.get("/search?q=newcomer@far.example"))
    assert "Log in to look for people on other servers." in visitor
    assert not Account.objects.filter(handle="newcomer").exists()
    bob = signed_in(world.bob)
    assert 'href="/@newcomer@far.example"' in text(bob.get("/search?q=@newcomer@far.example"))
    assert "does not answer" in text(bob.get("/search?q=gone@far.example"))
    assert 'href="/@dora@peer.example"' in text(client.get("/search?q=dora@peer.example"))


def test_the_about_page_counts(client: Client, world: World):
    published(world.alice)
    page = text(client.get("/about"))
    assert "people live here" in page
    assert "other server known" in page


def test_an_account_is_closed_with_its_password_by_nobody_else(world: World):
    found = signed_in(world.alice)
    assert "Close your account" in text(found.get("/settings/profile"))
    sent = {"password": PASSWORD, "sure": "on"}
    for changed in ({"password": "wrong"}, {"sure": ""}, {"password": ""}):
        assert found.post("/settings/close", {**sent, **changed}).status_code == 422
    assert Client().post("/settings/close", sent).status_code == 302  # to the log-in
    assert Account.objects.get(pk=world.alice.pk).deleted_at is None

    answer = found.post("/settings/close", sent, follow=True)
    assert "Your account is closed" in text(answer)
    assert Account.objects.get(pk=world.alice.pk).deleted_at is not None
    assert found.get("/settings/profile").status_code == 302, "she is signed out"
    assert Client().get("/@alice").status_code in (404, 410)
    assert Account.objects.get(pk=world.charlie.pk).deleted_at is None


def test_the_password_cannot_be_guessed_on_the_closing_page(world: World):
    found = signed_in(world.bob)
    for _ in range(5):
        assert "This is not your password" in text(found.post("/settings/close", {"password": "wrong", "sure": "on"}))
    assert "Wait a minute" in text(found.post("/settings/close", {"password": PASSWORD, "sure": "on"}))
    assert Account.objects.get(pk=world.bob.pk).deleted_at is None


def test_an_account_is_closed_from_the_command_line_only_when_meant(world: World):
    for arguments in (("close", "alice"), ("close", "nobody", "--yes"), ("close", "dora", "--yes")):
        with pytest.raises(CommandError):
            call_command("accounts", *arguments)
    assert not Account.objects.exclude(deleted_at=None).exists()
    call_command("accounts", "close", "Alice", "--yes")
    assert [account.handle for account in Account.objects.exclude(deleted_at=None)] == ["alice"]
