"""Feed, watch page, profile and tag: what stands on them, for whom, and that nothing on them needs inline code."""

import re

import pytest
from django.test import Client

from server.accounts import actions as account_actions
from server.videos import actions
from server.videos.tagging import set_hashtags
from tests.world import World, published

pytestmark = pytest.mark.django_db
JSON = {"Accept": "application/json"}


def signed_in(account) -> Client:
    client = Client()
    client.force_login(account.user)
    return client


def text(response) -> str:
    return response.content.decode()


def test_the_feed_shows_slides_and_the_way_to_the_next(client: Client, world: World):
    for number in range(8):
        published(world.alice if number % 2 else world.bob, caption=f"Number {number}")
    page = client.get("/")
    assert page.status_code == 200
    assert text(page).count("data-slide=") == 6
    more = re.search(r'data-more><a [^>]*href="([^"]+)"', text(page))
    assert more
    address = more[1].replace("&amp;", "&")
    rest = client.get(address, headers={"X-Fragment": "slides"})
    assert text(rest).count("data-slide=") == 2
    assert "<html" not in text(rest)
    assert "You are all caught up" in text(rest)
    assert "X-Fragment" in rest["Vary"]
    assert "<html" in text(client.get(address)), "without scripts the link is a page"


@pytest.mark.parametrize("query", ["tab=secret", "cursor=broken"])
def test_a_broken_address_says_so(client: Client, world: World, query: str):
    answer = client.get(f"/?{query}")
    assert answer.status_code == 422
    assert "not valid" in text(answer) or "no such tab" in text(answer)


def test_empty_tabs_say_what_to_do(world: World):
    client = signed_in(world.bob)
    assert "A dry river bed" in text(client.get("/"))
    assert "Nobody here yet" in text(client.get("/?tab=following"))
    assert "Nothing from elsewhere yet" in text(client.get("/?tab=federated"))


def test_the_watch_page_introduces_itself_to_other_sites(client: Client, world: World):
    video = published(world.alice, caption="A <b>clip</b> #test")
    page = text(client.get(f"/w/{video.pk}"))
    assert f'<link rel="alternate" type="application/activity+json" href="{video.uri}">' in page
    assert f'<link rel="canonical" href="{video.url}">' in page
    assert '<meta property="og:image" content="http://localhost:8000/media/bb/' in page
    assert '<meta property="og:video" content="http://localhost:8000/media/aa/' in page
    assert 'content="A &lt;b&gt;clip&lt;/b&gt; #test"' in page
    assert "<b>clip</b>" not in page
    assert "noindex" not in page


def test_a_sensitive_video_shows_no_picture_before_it_is_asked_for(client: Client, world: World):
    page = text(client.get(f"/w/{published(world.alice, sensitive=True).pk}"))
    assert "og:image" not in page
    assert "poster=" not in page
    assert "Sensitive video" in page


def test_who_may_watch_what(world: World):
    unlisted = published(world.alice, visibility="unlisted")
    held_back = published(world.alice, state="ready")
    alice, charlie = signed_in(world.alice), signed_in(world.charlie)
    assert "noindex" in text(charlie.get(f"/w/{unlisted.pk}"))
    assert charlie.get(f"/w/{held_back.pk}").status_code == 404
    assert "Only you see this" in text(alice.get(f"/w/{held_back.pk}"))
    account_actions.block(account=world.alice, target=world.charlie)
    assert charlie.get(f"/w/{unlisted.pk}").status_code == 404
    assert charlie.get("/w/9999999999999999999").status_code == 404


def test_a_remote_video_plays_from_its_own_server_and_says_where_it_lives(client: Client, world: World):
    video = published(
        world.dora, mp4_file="", poster_file="", remote_mp4_url="https://peer.example/v.mp4", caption_html="<p>Tide</p>"
    )
    page = text(client.get(f"/w/{video.pk}"))
    assert 'src="https://peer.example/v.mp4"' in page
    assert "from peer.example" in page
    assert "data-hls" not in page


def test_a_profile_here_and_one_from_elsewhere(client: Client, world: World):
    published(world.alice, caption="Mine")
    published(world.alice, caption="Hidden", visibility="unlisted")
    account_actions.follow(follower=world.bob, target=world.alice)
    page = text(client.get("/@alice"))
    assert "Mine" in page
    assert "Hidden" not in page
    assert re.search(r"data-follower-count[^>]*>1<", page)
    assert "Hidden" in text(signed_in(world.alice).get("/@alice"))
    elsewhere = text(client.get("/@dora@peer.example"))
    assert "Lives on peer.example" in elsewhere
    assert client.get("/@nobody").status_code == 404


def test_the_html_of_another_servers_bio_is_cleaned(client: Client, world: World):
    world.dora.bio = '<p onclick="x()">Hi <script>alert(1)</script><a href="javascript:x()">there</a></p>'
    world.dora.save()
    page = text(client.get("/@dora@peer.example"))
    assert "alert(1)" not in page
    assert "onclick" not in page
    assert "javascript:" not in page


def test_tiles_have_pages(client: Client, world: World):
    for number in range(26):
        published(world.alice, caption=f"Number {number}.")
    page = text(client.get("/@alice"))
    assert page.count('<a class="tile') == 24
    address = re.search(r'href="(/@alice\?before=[\w-]+)"', page)
    assert address
    rest = text(client.get(address[1], headers={"X-Fragment": "tiles"}))
    assert rest.count('<a class="tile') == 2
    assert client.get("/@alice?before=x").status_code == 422


def test_a_tag(client: Client, world: World):
    set_hashtags(published(world.alice, caption="Wet #River"), ["River"])
    published(world.bob, caption="Dry")
    page = text(client.get("/tags/RIVER"))
    assert "Wet" in page
    assert "Dry" not in page
    assert "Nobody used this tag yet" in text(client.get("/tags/desert"))


@pytest.fixture
def all_pages(world: World) -> list[str]:
    video = published(world.bob, caption="Hello @alice #test https://example.org", blurhash="LEHV6nWB2yk8pyo0adR*.7kCMdnj")
    actions.comment(video=video, by=world.alice, text="Nice #one")
    return [
        *("/", "/?tab=local", f"/w/{video.pk}", f"/w/{video.pk}/comments", "/@bob", "/@dora@peer.example", "/upload", "/studio"),
        *("/settings/profile", "/following", "/search?q=bob", "/search", "/tags/test", "/about", "/components", "/nothing/here"),
        *(f"/report/video/{video.pk}", "/report/account/bob", "/account/email/", "/account/password/change/", "/account/logout/"),
    ]


def test_no_page_needs_inline_code_and_every_page_forbids_it(world: World, all_pages: list[str]):
    client = signed_in(world.alice)
    for address in all_pages:
        answer = client.get(address)
        assert answer.status_code == (404 if "nothing" in address else 200), address
        policy = answer["Content-Security-Policy"]
        assert "script-src 'self';" in policy + ";"
        assert "style-src 'self'" in policy
        assert "unsafe" not in policy
        page = re.sub(r"<template.*?</template>", "", text(answer), flags=re.DOTALL)
        assert not re.search(r"\sstyle\s*=", page), address
        assert not re.search(r"\son[a-z]+\s*=\s*[\"']", page), address
        assert not re.search(r"<script(?![^>]*\ssrc=)", page), address
        assert "<style" not in page


def test_every_page_reads_in_a_bounded_number_of_queries(world: World, django_assert_max_num_queries):
    client = signed_in(world.alice)
    for number in range(20):
        video = published([world.bob, world.dora, world.alice][number % 3], caption="Words")
        actions.comment(video=video, by=world.charlie, text="Hm")
    for address in ("/", "/?tab=local", "/@bob", "/search?q=Words", "/studio"):
        with django_assert_max_num_queries(24):
            client.get(address)


def test_errors_say_what_to_do(client: Client, world: World):
    answer = client.get("/no/such/page")
    assert answer.status_code == 404
    assert "This branch runs dry" in text(answer)
    assert client.get("/no/such/page", headers=JSON).json()["code"] == "error"
    client.raise_request_exception = False


def test_a_bug_gets_a_page_of_its_own_that_needs_no_database(world: World, monkeypatch: pytest.MonkeyPatch):
    def broken(*args: object, **kwargs: object) -> None:
        raise RuntimeError("boom")

    monkeypatch.setattr("server.feed.queries.page", broken)
    client = Client(raise_request_exception=False)
    answer = client.get("/")
    assert answer.status_code == 500
    assert "Something broke here" in text(answer)
    assert "boom" not in text(answer)
    assert client.get("/", headers=JSON).json()["code"] == "error"


def test_the_manifest(client: Client):
    manifest = client.get("/manifest.webmanifest").json()
    assert manifest["start_url"] == "/"
    assert manifest["display"] == "standalone"
