"""What we say of ourselves: documents over HTTP, and whether the others take them."""

import json
from typing import Any

import base58
import pytest
from django.test import Client

from federation import announcing, translate
from federation import published as published_documents
from federation.wire import activities, objects
from server.accounts import actions as accounts
from server.accounts.models import Account, Follow, User
from server.core import clock
from server.videos import actions as videos
from server.videos.models import Hashtag, Video
from tests import world as world_module
from tests.federation import other_rules
from tests.federation.stranger import ACTIVITY, PUBLIC
from tests.world import World, published, remote

AS = {"accept": ACTIVITY}
LD = {"accept": 'application/ld+json; profile="https://www.w3.org/ns/activitystreams"'}
BROWSER = {"accept": "text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8"}


@pytest.fixture
def secure(db: None, settings: Any) -> World:
    """The same people on https://we.example."""
    settings.ORIGIN, settings.HOST = "https://we.example", "we.example"
    settings.ALLOWED_HOSTS = ["we.example", "testserver"]
    return world_module.make()


def digest(sha256: str) -> str:
    return "z" + base58.b58encode(bytes.fromhex("1220" + sha256)).decode()


def rich(world: World) -> Video:
    video = published(
        world.alice,
        caption="Look, @dora@peer.example! #Sea https://example.org/?a=1&b=2 <b>",
        blurhash="LEHV6nWB2yk8pyo0adR*.7kCMdnj",
        language="en",
    )
    video.hashtags.add(Hashtag.objects.create(name="sea"))
    return video


# --- shapes ---


def test_a_note_as_it_is_sent(secure: World) -> None:
    video = rich(secure)
    note = translate.note(video)
    number = video.pk
    html = '<p>Look, <a href="https://peer.example/@dora" class="u-url mention">@dora@peer.example</a>! <a href="https://we.example/tags/sea" class="mention hashtag" rel="tag">#Sea</a> <a href="https://example.org/?a=1&amp;b=2" rel="nofollow noopener noreferrer">https://example.org/?a=1&amp;b=2</a> &lt;b&gt;</p>'
    assert note == {
        "id": f"https://we.example/users/alice/posts/{number}",
        "type": "Note",
        "attributedTo": "https://we.example/users/alice",
        "content": html,
        "contentMap": {"en": html},
        "url": f"https://we.example/w/{number}",
        "summary": None,
        "inReplyTo": None,
        "sensitive": False,
        "published": clock.iso(video.published_at),
        "to": [PUBLIC],
        "cc": ["https://we.example/users/alice/followers", "https://peer.example/users/dora"],
        "attachment": [
            {
                "type": "Document",
                "mediaType": "video/mp4",
                "url": "https://we.example/media/" + video.mp4_file,
                "name": "A rabbit in a meadow",
                "width": 1280,
                "height": 720,
                "blurhash": "LEHV6nWB2yk8pyo0adR*.7kCMdnj",
                "duration": "PT5S",
                "digestMultibase": digest("aa" * 32),
                "icon": {
                    "type": "Image",
                    "mediaType": "image/jpeg",
                    "url": "https://we.example/media/" + video.poster_file,
                    "digestMultibase": digest("bb" * 32),
                },
            }
        ],
        "tag": [
            {"type": "Hashtag", "name": "#sea", "href": "https://we.example/tags/sea"},
            {"type": "Mention", "name": "@dora@peer.example", "href": "https://peer.example/users/dora"},
        ],
        "likes": {"id": f"https://we.example/users/alice/posts/{number}/likes", "type": "Collection"},
        "shares": {"id": f"https://we.example/users/alice/posts/{number}/shares", "type": "Collection"},
        "replies": {"id": f"https://we.example/users/alice/posts/{number}/replies", "type": "Collection"},
        "interactionPolicy": {
            name: {"automaticApproval": [PUBLIC], "manualApproval": []}
            for name in ("canLike", "canReply", "canAnnounce", "canQuote")
        },
    }


def test_the_others_take_our_video(secure: World) -> None:
    video = rich(secure)
    activity = published_documents.create_video(video)
    other_rules.loops_accepts(activity)
    note = activity["object"]
    media = other_rules.mastodon_reads_media(note["attachment"][0])
    assert media["thumbnail_remote_url"] is not None
    assert media["description"] == "A rabbit in a meadow"
    assert other_rules.mastodon_visibility(note) == "public"
    other_rules.html_is_shown_whole(note["content"])
    for document in (activity, note):
        other_rules.peertube_takes_addressing(document)


def test_the_others_take_our_comment(secure: World) -> None:
    video = published(secure.dora)
    comment = videos.comment(video=video, by=secure.alice, text="Nice, @bob!\n\nTwo & <three>")
    activity = published_documents.create_comment(comment)
    other_rules.loops_accepts(activity)
    other_rules.peertube_takes_addressing(activity["object"])
    note = activity["object"]
    assert (note["inReplyTo"], note["attributedTo"]) == (video.uri, secure.alice.uri)
    assert {tag["href"] for tag in note["tag"]} == {secure.dora.uri, secure.bob.uri}
    assert set(note["cc"]) == {f"{secure.alice.uri}/followers", secure.dora.uri, secure.bob.uri}
    assert (
        note["content"]
        == '<p>Nice, <a href="https://we.example/@bob" class="u-url mention">@bob</a>!</p><p>Two &amp; &lt;three&gt;</p>'
    )
    other_rules.html_is_shown_whole(note["content"])
    reply = videos.comment(video=video, by=secure.bob, text="And you?", parent=comment)
    assert translate.comment_note(reply)["inReplyTo"] == comment.uri
    # Who is answered is named; the owner of the video is not, when somebody else is answered.
    assert [tag["href"] for tag in translate.comment_note(reply)["tag"]] == [secure.alice.uri]


def test_the_others_take_our_actors(secure: World) -> None:
    secure.alice.avatar_file = "cc/" + "c" * 64 + ".jpg"
    secure.alice.also_known_as = ["https://old.example/users/alice"]
    for actor in (translate.person(secure.alice), translate.instance_actor()):
        other_rules.peertube_takes_actor(actor)
        assert objects.read_actor(json.loads(json.dumps(actor))).keys[0].id == f"{actor['id']}#main-key"
    person = translate.person(secure.alice)
    assert person["icon"]["url"] == "https://we.example/media/cc/" + "c" * 64 + ".jpg"
    assert person["alsoKnownAs"] == ["https://old.example/users/alice"]
    home, user = person["assertionMethod"]
    assert (home["id"], user["id"]) == (f"{secure.alice.uri}#home-1", f"{secure.alice.uri}#user-1")
    for method in (home, user):
        assert (method["type"], method["controller"]) == ("Multikey", secure.alice.uri)
        assert method["publicKeyMultibase"].startswith("z6Mk")
    assert person["followers"] == "https://we.example/users/alice/followers"


def test_every_activity_we_send_is_one_we_understand(secure: World) -> None:
    """Read back by our own parser: ids on our origin, addressed by arrays, objects with ids."""
    video, theirs = published(secure.alice, edited_at=clock.now()), published(secure.dora)
    comment = videos.comment(video=theirs, by=secure.alice, text="x")
    sent = [
        published_documents.create_video(video),
        announcing.update_video(video, published_documents.note(video)),
        published_documents.delete(video.uri, secure.alice),
        published_documents.create_comment(comment),
        announcing.like(f"{secure.alice.uri}/likes/1", secure.alice, theirs),
        announcing.undo(announcing.like(f"{secure.alice.uri}/likes/1", secure.alice, theirs)),
        announcing.announce(f"{secure.alice.uri}/shares/1", secure.alice, theirs),
        announcing.undo(announcing.announce(f"{secure.alice.uri}/shares/1", secure.alice, theirs)),
        announcing.follow(f"{secure.alice.uri}/follows/1", secure.alice, secure.dora),
        announcing.undo(announcing.follow(f"{secure.alice.uri}/follows/1", secure.alice, secure.dora)),
        announcing.answer("https://peer.example/follows/1", secure.dora, secure.alice, accepted=True),
        announcing.answer("https://peer.example/follows/1", secure.dora, secure.alice, accepted=False),
        announcing.update_person(secure.alice, published_documents.person(secure.alice)),
        announcing.delete_person(secure.alice),
    ]
    ids = set()
    for document in sent:
        activity = activities.read(json.loads(json.dumps(document)))
        assert not isinstance(activity, activities.Other)
        assert activity.actor == secure.alice.uri
        assert activity.uri.startswith("https://we.example/")
        other_rules.peertube_takes_addressing(document)
        assert "#" not in activity.uri
        ids.add(activity.uri)
    assert len(ids) == len(sent)


@pytest.mark.parametrize(
    ("milliseconds", "text"), [(5_000, "PT5S"), (5_499, "PT5S"), (5_500, "PT6S"), (100, "PT1S"), (0, "PT1S"), (179_999, "PT180S")]
)
def test_durations(milliseconds: int, text: str) -> None:
    assert translate.duration(milliseconds) == text


def test_unlisted_and_closed(secure: World) -> None:
    note = translate.note(published(secure.alice, visibility="unlisted", comments_open=False))
    assert (note["to"], note["cc"]) == (["https://we.example/users/alice/followers"], [PUBLIC])
    assert other_rules.mastodon_visibility(note) == "unlisted"
    assert note["interactionPolicy"]["canReply"]["automaticApproval"] == [secure.alice.uri]
    assert note["interactionPolicy"]["canAnnounce"]["automaticApproval"] == [secure.alice.uri]


# --- over HTTP ---


def test_documents_and_pages_share_an_address(world: World, client: Client) -> None:
    video = published(world.alice)
    for path, uri in [
        ("/@alice", world.alice.uri),
        (f"/w/{video.pk}", video.uri),
        ("/users/alice", world.alice.uri),
        (f"/users/alice/posts/{video.pk}", video.uri),
    ]:
        for accept in (AS, LD, {"accept": f"{ACTIVITY}, text/html;q=0.5"}):
            response = client.get(path, headers=accept)
            assert (response.status_code, response.headers["Content-Type"]) == (200, ACTIVITY), path
            assert response.json()["id"] == uri
            assert "Accept" in response.headers["Vary"]
            assert response.headers["ETag"]
        page = client.get(path, headers=BROWSER)
        assert page.status_code == (302 if path.startswith("/users") else 200)
        assert ACTIVITY not in page.headers["Content-Type"]
        assert "Accept" in page.headers["Vary"]
    assert client.get("/users/alice", headers=BROWSER).headers["Location"] == world.alice.url
    assert client.get(f"/users/alice/posts/{video.pk}", headers=BROWSER).headers["Location"] == video.url
    # Whoever does not say what it wants gets the document at an id, and the page at a page's address.
    assert client.get("/users/alice").headers["Content-Type"] == ACTIVITY
    assert "text/html" in client.get("/@alice").headers["Content-Type"]


def test_conditional_requests(world: World, client: Client) -> None:
    first = client.get("/users/alice", headers=AS)
    again = client.get("/users/alice", headers={**AS, "if-none-match": first.headers["ETag"]})
    assert (again.status_code, again.content) == (304, b"")
    accounts.update_profile(account=world.alice, by=world.alice, display_name="Alice again", bio="")
    changed = client.get("/users/alice", headers={**AS, "if-none-match": first.headers["ETag"]})
    assert (changed.status_code, changed.json()["name"]) == (200, "Alice again")
    assert client.head("/users/alice", headers=AS).content == b""


def test_what_is_not_there(world: World, client: Client) -> None:
    theirs = published(world.dora)
    waiting = published(world.alice, state="ready")
    for path in [
        "/users/nobody", "/@nobody", "/@dora@peer.example", "/users/nobody/outbox", "/users/nobody/followers", "/users/nobody/following",
        f"/users/alice/posts/{waiting.pk}", f"/w/{waiting.pk}", f"/users/bob/posts/{waiting.pk}", "/users/alice/posts/1", f"/w/{theirs.pk}",
        f"/users/dora/posts/{theirs.pk}", "/users/alice/comments/1", "/users/alice/posts/1/likes", "/users/alice/posts/1/replies", "/users/alice/posts/1/activity",
        "/users/alice/outbox?page=true&before=x", "/users/alice/outbox?page=true&before=99999999999999999999",
    ]:  # fmt: skip
        response = client.get(path, headers=AS)
        assert response.status_code == 404, path
        assert response.headers["Content-Type"] == "application/problem+json", path


def test_what_is_gone(world: World, client: Client) -> None:
    video = published(world.alice)
    comment = videos.comment(video=published(world.bob), by=world.alice, text="x")
    videos.delete(video=video, by=world.alice)
    videos.delete_comment(comment=comment, by=world.alice)
    accounts.close_account(account=world.charlie, by=world.charlie)
    for path, uri in [
        (f"/users/alice/posts/{video.pk}", video.uri),
        (f"/w/{video.pk}", video.uri),
        (f"/users/alice/comments/{comment.pk}", comment.uri),
        ("/users/charlie", world.charlie.uri),
    ]:
        response = client.get(path, headers=AS)
        assert (response.status_code, response.headers["Content-Type"]) == (410, ACTIVITY), path
        body = response.json()
        assert (body["id"], body["type"]) == (uri, "Tombstone")


def test_a_suspended_person_is_gone_with_all_she_made(world: World, client: Client) -> None:
    video = published(world.alice)
    staff = User.objects.create_user("staff@example.org", "a long password", is_staff=True)
    accounts.suspend_account(account=world.alice, by_staff=staff)
    for path in ["/users/alice", f"/users/alice/posts/{video.pk}"]:
        assert client.get(path, headers=AS).status_code == 410
    for path in [
        "/users/alice/outbox",
        "/users/alice/followers",
        f"/users/alice/posts/{video.pk}/activity",
        f"/users/alice/posts/{video.pk}/replies",
    ]:
        assert client.get(path, headers=AS).status_code == 404


def test_a_comment_over_http(world: World, client: Client) -> None:
    comment = videos.comment(video=published(world.bob), by=world.alice, text="Nice")
    response = client.get(f"/users/alice/comments/{comment.pk}", headers=AS)
    assert response.json()["content"] == "<p>Nice</p>"
    assert client.get(f"/users/alice/comments/{comment.pk}/activity", headers=AS).json()["id"] == f"{comment.uri}/activity"
    assert client.get(f"/users/bob/comments/{comment.pk}", headers=AS).status_code == 404
    assert client.get(f"/users/alice/comments/{comment.pk}", headers=BROWSER).status_code == 302


def test_collections(world: World, client: Client) -> None:
    for number in range(45):
        published(world.alice, caption=f"Clip {number}")
    published(world.alice, visibility="unlisted")
    published(world.alice, state="ready")
    outbox = client.get("/users/alice/outbox", headers=AS).json()
    assert (outbox["type"], outbox["totalItems"]) == ("OrderedCollection", 45)
    seen: list[str] = []
    following = outbox["first"]
    while following:
        page = client.get(following.removeprefix("http://localhost:8000"), headers=AS).json()
        assert (page["type"], page["partOf"]) == ("OrderedCollectionPage", outbox["id"])
        assert page["id"] == following
        assert all(
            item["type"] == "Create" and item["object"]["type"] == "Note" and item["proof"] and item["object"]["proof"]
            for item in page["orderedItems"]
        )
        seen += [item["id"] for item in page["orderedItems"]]
        following = page.get("next")
    assert len(seen) == len(set(seen)) == 45


def test_followers_and_following(world: World, client: Client) -> None:
    accounts.follow(follower=world.bob, target=world.alice)
    accounts.receive_follow(follower=world.dora, target=world.alice, uri="https://peer.example/follows/1")
    pending = accounts.follow(follower=world.alice, target=remote("erin"))
    assert pending.state == "pending"
    followers = client.get("/users/alice/followers", headers=AS).json()
    assert followers["totalItems"] == 2
    page = client.get("/users/alice/followers?page=true", headers=AS).json()
    assert set(page["orderedItems"]) == {world.bob.uri, world.dora.uri}
    assert client.get("/users/alice/following", headers=AS).json()["totalItems"] == 0
    assert client.get("/users/bob/following?page=true", headers=AS).json()["orderedItems"] == [world.alice.uri]
    Account.objects.filter(pk=world.bob.pk).update(suspended_at=clock.now())
    assert client.get("/users/alice/followers", headers=AS).json()["totalItems"] == 1
    assert Follow.objects.filter(state="accepted").count() == 2


def test_counts_of_a_video(world: World, client: Client) -> None:
    video = published(world.alice)
    videos.like(video=video, by=world.bob)
    videos.share(video=video, by=world.bob)
    comment = videos.comment(video=video, by=world.bob, text="x")
    base = f"/users/alice/posts/{video.pk}"
    for name in ("likes", "shares", "replies"):
        assert client.get(f"{base}/{name}", headers=AS).json()["totalItems"] == 1
    assert "first" not in client.get(f"{base}/likes", headers=AS).json()
    assert client.get(f"{base}/replies?page=true", headers=AS).json()["orderedItems"] == [comment.uri]
    note = client.get(base, headers=AS).json()
    # How many there are is not part of what is signed.
    assert [note[name] for name in ("likes", "shares")] == [
        {"id": f"{video.uri}/{name}", "type": "Collection"} for name in ("likes", "shares")
    ]
    assert client.get(f"{base}/activity", headers=AS).json()["id"] == f"{video.uri}/activity"


def test_the_instance(world: World, client: Client) -> None:
    actor = client.get("/actor", headers=AS).json()
    assert (actor["id"], actor["type"], actor["inbox"]) == (
        "http://localhost:8000/actor",
        "Application",
        "http://localhost:8000/inbox",
    )
    assert client.get("/actor/outbox", headers=AS).json()["totalItems"] == 0
    # The key is made once.
    assert client.get("/actor", headers=AS).json()["publicKey"] == actor["publicKey"]


def test_only_reading(world: World, client: Client) -> None:
    video = published(world.alice)
    for path in ["/actor", "/users/alice", "/users/alice/outbox", f"/users/alice/posts/{video.pk}", "/users/alice/followers"]:
        assert client.post(path, data=b"{}", content_type=ACTIVITY).status_code == 405
