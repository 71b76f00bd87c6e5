"""Everything that our people publish proves itself, always by the same bytes, to readers who share no code with us."""

import hashlib
import json
import urllib.parse
from collections.abc import Callable, Iterator
from datetime import timedelta
from typing import Any

import base58
import pytest
from django.test import Client

from federation import announcing, published, sealing
from federation.models import Delivery, ProvenDocument
from server.accounts import actions as accounts
from server.accounts.models import Account
from server.core import clock, storage
from server.identity import queries
from server.identity.models import Identity
from server.videos import actions as videos
from tests.federation.other_rules import mastodon_takes_proof
from tests.federation.stranger import ACTIVITY
from tests.world import World
from tests.world import published as published_row

pytestmark = pytest.mark.django_db
AS = {"Accept": ACTIVITY}


def get(client: Client, url: str) -> bytes:
    return client.get(urllib.parse.urlsplit(url).path, headers=AS).content


def actor_of(client: Client, account: Account) -> dict[str, Any]:
    document: dict[str, Any] = json.loads(get(client, account.uri))
    return document


def signed_parts(value: Any) -> Iterator[dict[str, Any]]:
    if isinstance(value, dict):
        if "proof" in value:
            yield value
        for name, each in value.items():
            if name != "proof":
                yield from signed_parts(each)


def test_every_activity_is_taken_by_mastodons_rules(world: World, client: Client, work: Callable[[], int]) -> None:
    """Each verb of alice: post, edit, comment, like, share, undo, follow, delete, profile, leave."""
    accounts.receive_follow(follower=world.dora, target=world.alice, uri="https://peer.example/follows/1")
    theirs = published_row(world.dora)
    video = published_row(world.alice, state="ready", published_at=None)
    videos.publish(video=video, by=world.alice)
    work()
    Delivery.objects.update(state="delivered")
    videos.edit(video=video, by=world.alice, caption="Two")
    comment = videos.comment(video=theirs, by=world.alice, text="Lovely")
    videos.like(video=theirs, by=world.alice)
    videos.share(video=theirs, by=world.alice)
    work()
    videos.unlike(video=theirs, by=world.alice)
    videos.delete_comment(comment=comment, by=world.alice)
    videos.delete(video=video, by=world.alice)
    accounts.follow(follower=world.alice, target=world.dora)
    accounts.update_profile(account=world.alice, by=world.alice, display_name="Alice", bio="")
    work()
    actor = actor_of(client, world.alice)
    accounts.close_account(account=Account.objects.get(pk=world.alice.pk), by=world.alice)
    work()
    sent = [json.loads(row.body) for row in Delivery.objects.filter(sender=world.alice)]
    kinds = {document["type"] for document in sent}
    assert kinds == {"Create", "Update", "Like", "Announce", "Undo", "Delete", "Follow", "Accept"}
    for document in sent:
        parts = list(signed_parts(document))
        assert parts[0] is document
        assert {mastodon_takes_proof(part, actor) for part in parts} == {f"{world.alice.uri}#home-1"}
        if document["type"] in {"Create", "Update"}:
            assert len(parts) == 2
    tombstones = [document["object"] for document in sent if document["type"] == "Delete" and document["object"] != actor["id"]]
    assert [part["type"] for part in tombstones for part in signed_parts(part)] == ["Tombstone", "Tombstone"]


@pytest.mark.parametrize("spoil", ["content", "published", "attributedTo", "@context"])
def test_a_changed_word_is_noticed_by_them(spoil: str, world: World, client: Client) -> None:
    video = published_row(world.alice)
    note = json.loads(get(client, video.uri))
    actor = actor_of(client, world.alice)
    assert mastodon_takes_proof(note, actor) == f"{world.alice.uri}#home-1"
    with pytest.raises(AssertionError):
        mastodon_takes_proof({**note, spoil: [*note["@context"][:1]] if spoil == "@context" else "x"}, actor)


def test_the_same_bytes_until_it_says_something_new(world: World, client: Client, work: Callable[[], int]) -> None:
    video = published_row(world.alice, state="ready", published_at=None)
    videos.publish(video=video, by=world.alice)
    first = get(client, video.uri)
    work()
    videos.like(video=video, by=world.bob)
    assert get(client, video.uri) == first
    assert json.loads(get(client, f"{video.uri}/activity"))["object"] == json.loads(first)
    page = json.loads(client.get("/users/alice/outbox?page=true", headers=AS).content)
    assert page["orderedItems"] == [json.loads(get(client, f"{video.uri}/activity"))]
    videos.edit(video=video, by=world.alice, caption="Two")
    second = json.loads(get(client, video.uri))
    work()
    assert second["content"] == "<p>Two</p>"
    assert second["proof"] != json.loads(first)["proof"]
    assert json.loads(get(client, video.uri)) == second
    assert ProvenDocument.objects.filter(uri=video.uri).count() == 1


def test_a_form_that_is_overtaken_never_comes_back(world: World, work: Callable[[], int]) -> None:
    """A reader holds the row as it was before an edit that has been signed meanwhile."""
    video = published_row(world.alice)
    published.note(video)
    stale = type(video).objects.select_related("account").get(pk=video.pk)
    videos.edit(video=video, by=world.alice, caption="Two")
    work()
    assert published.note(stale)["content"] == "<p>Two</p>"


def test_what_is_deleted_answers_with_its_signed_tombstone(world: World, client: Client, work: Callable[[], int]) -> None:
    video = published_row(world.alice)
    published.note(video)
    videos.delete(video=video, by=world.alice)
    work()
    answer = client.get(urllib.parse.urlsplit(video.uri).path, headers=AS)
    assert answer.status_code == 410
    assert mastodon_takes_proof(answer.json(), actor_of(client, world.alice)) == f"{world.alice.uri}#home-1"
    assert (answer.json()["type"], answer.json()["attributedTo"]) == ("Tombstone", world.alice.uri)


def test_a_video_that_was_taken_back_and_comes_again_is_signed_anew(
    world: World, client: Client, work: Callable[[], int]
) -> None:
    video = published_row(world.alice)
    published.note(video)
    videos.unpublish(video=video, by=world.alice)
    work()
    assert client.get(urllib.parse.urlsplit(video.uri).path, headers=AS).status_code == 404
    assert not ProvenDocument.objects.filter(uri=video.uri).exists()
    videos.publish(video=video, by=world.alice)
    assert json.loads(get(client, video.uri))["type"] == "Note"


def test_the_actor_lists_the_keys_of_her_log_and_proves_itself(world: World, client: Client) -> None:
    document = queries.document_of(Identity.objects.get(scid=world.alice.scid))
    actor = actor_of(client, world.alice)
    listed = {key["id"]: key["publicKeyMultibase"] for key in actor["assertionMethod"]}
    assert listed == {
        f"{world.alice.uri}#home-{document.home.number}": document.home.multikey,
        f"{world.alice.uri}#user-{document.user.number}": document.user.multikey,
    }
    assert mastodon_takes_proof(actor, actor) == f"{world.alice.uri}#home-1"
    assert get(client, world.alice.uri) == get(client, world.alice.uri)
    accounts.update_profile(account=world.alice, by=world.alice, display_name="Another", bio="")
    again = actor_of(client, world.alice)
    assert again["name"] == "Another"
    assert again["proof"] != actor["proof"]
    # The key that others know signs nothing here; RSA stays for those who know nothing else.
    assert actor["publicKey"]["id"] == f"{world.alice.uri}#main-key"


def test_digests_are_those_of_the_bytes_that_are_served(world: World, client: Client) -> None:
    files = {"mp4_file": storage.put_bytes(b"a film", "mp4"), "poster_file": storage.put_bytes(b"a poster", "jpg")}
    (attachment,) = published.note(published_row(world.alice, **files))["attachment"]
    for part in (attachment, attachment["icon"]):
        response = client.get(urllib.parse.urlsplit(part["url"]).path)
        served = b"".join(response.streaming_content) if response.streaming else response.content  # type: ignore[attr-defined]
        assert base58.b58decode(part["digestMultibase"][1:]) == b"\x12\x20" + hashlib.sha256(served).digest()


def test_an_old_home_signs_nothing_any_more(world: World) -> None:
    """Her log no longer knows the key that she had here: what it signed now would be refused, and rightly."""
    Identity.objects.filter(scid=world.alice.scid).update(is_home=False)
    activity = announcing.move(world.alice, "https://new.example/users/alice")
    assert "proof" not in sealing.seal(activity, by=world.alice)
    # What it said before stays said.
    assert "proof" in sealing.seal(activity, by=world.bob)


def test_posts_from_before_there_were_proofs_are_signed_when_somebody_asks(world: World, client: Client) -> None:
    video = published_row(world.alice, published_at=clock.now() - timedelta(days=400))
    comment = videos.comment(video=video, by=world.alice, text="First")
    assert not ProvenDocument.objects.exists()
    for uri in (video.uri, comment.uri):
        note = json.loads(get(client, uri))
        assert mastodon_takes_proof(note, actor_of(client, world.alice)) == f"{world.alice.uri}#home-1"
        # The proof says when it was made, which is not when it was posted.
        assert note["proof"]["created"] >= clock.iso(clock.now() - timedelta(minutes=1))
