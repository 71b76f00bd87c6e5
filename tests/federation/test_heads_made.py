"""Each post, edit and deletion of our people makes an outbox head, chained, in the transaction that publishes it."""

import json
import urllib.parse
from collections.abc import Callable
from typing import Any

import pytest
from django.db import transaction
from django.test import Client

from federation import published, sealing
from federation.models import Delivery, ProvenDocument
from server.accounts import actions as accounts
from server.core import clock
from server.identity import keylog, queries
from server.identity.models import Identity, OutboxHead
from server.videos import actions as videos
from tests.federation.stranger import ACTIVITY
from tests.independent import fresh_reader
from tests.world import World
from tests.world import published as published_row

pytestmark = pytest.mark.django_db
AS = {"Accept": ACTIVITY}


def heads(world: World) -> list[dict[str, Any]]:
    return [json.loads(bytes(row.document)) for row in OutboxHead.objects.filter(identity_id=world.alice.scid).order_by("seq")]


def digest(document: dict[str, Any]) -> str:
    """By the reader that shares no code with us."""
    return fresh_reader.sha(fresh_reader.canon(document)).hex()


def test_every_post_edit_and_deletion_makes_one_in_order(world: World, work: Callable[[], int], client: Client) -> None:
    video = published_row(world.alice, state="ready", published_at=None)
    said = []
    videos.publish(video=video, by=world.alice)
    work()
    said.append(published.note(video))
    videos.edit(video=video, by=world.alice, caption="Two")
    work()
    video.refresh_from_db()
    said.append(published.note(video))
    comment = videos.comment(video=video, by=world.alice, text="First")
    work()
    said.append(published.comment(comment))
    videos.like(video=published_row(world.dora), by=world.alice)
    videos.delete_comment(comment=comment, by=world.alice)
    videos.delete(video=video, by=world.alice)
    work()
    said += [published.stands_for(uri) for uri in (comment.uri, video.uri)]  # type: ignore[list-item]
    assert [document["type"] for document in said] == ["Note", "Note", "Note", "Tombstone", "Tombstone"]
    chain = heads(world)
    assert [head["object"] for head in chain] == [digest(document) for document in said]
    assert [head["seq"] for head in chain] == [1, 2, 3, 4, 5]
    assert [head["prev"] for head in chain] == ["0" * 64, *(digest(head) for head in chain[:-1])]
    document = queries.document_of(Identity.objects.get(scid=world.alice.scid))
    for head in chain:
        assert head["scid"] == world.alice.scid
        assert head["proof"]["verificationMethod"] == document.home_method
        bare = {name: value for name, value in head.items() if name != "proof"}
        assert fresh_reader.proof_holds(bare, head["proof"], fresh_reader.multikey(document.home.multikey))


def test_asking_again_makes_none(world: World, client: Client, work: Callable[[], int]) -> None:
    video = published_row(world.alice)
    for _ in range(3):
        client.get(urllib.parse.urlsplit(video.uri).path, headers=AS)
    published_row(world.bob)
    videos.share(video=video, by=world.alice)
    accounts.update_profile(account=world.alice, by=world.alice, display_name="A", bio="")
    work()
    assert [head["seq"] for head in heads(world)] == [1]


def test_a_video_that_was_taken_back_and_comes_again(world: World, work: Callable[[], int]) -> None:
    video = published_row(world.alice)
    published.note(video)
    videos.unpublish(video=video, by=world.alice)
    work()
    video.refresh_from_db()
    videos.publish(video=video, by=world.alice)
    work()
    assert [head["seq"] for head in heads(world)] == [1, 2, 3]
    assert heads(world)[2]["object"] == digest(published.note(video))


def test_what_is_not_published_has_no_head(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    """All or nothing: a head that cannot be kept takes the post with it, and a post that is rolled back its head."""
    video = published_row(world.alice)
    with transaction.atomic():
        published.note(video)
        transaction.set_rollback(True)
    assert (ProvenDocument.objects.count(), OutboxHead.objects.count()) == (0, 0)

    def fail(*_: object) -> None:
        raise RuntimeError

    monkeypatch.setattr(sealing.outbox_heads, "accept_head", fail)
    with pytest.raises(RuntimeError):
        published.note(video)
    assert (ProvenDocument.objects.count(), Delivery.objects.count()) == (0, 0)


def test_they_are_published_in_pages(world: World, client: Client) -> None:
    for number in range(45):
        published.note(published_row(world.alice, caption=str(number)))
    actor = client.get("/users/alice", headers=AS).json()
    collection = client.get(urllib.parse.urlsplit(actor["heads"]).path, headers=AS).json()
    assert (collection["type"], collection["totalItems"]) == ("OrderedCollection", 45)
    seen: list[dict[str, Any]] = []
    following = collection["first"]
    while following:
        page = client.get(following.removeprefix("http://localhost:8000"), headers=AS).json()
        seen += page["orderedItems"]
        following = page.get("next")
    assert seen == heads(world)[::-1]
    assert client.get("/users/nobody/heads", headers=AS).status_code == 404


def test_a_replica_can_follow_the_chain_and_v17_believes_what_it_covers(world: World) -> None:
    note = published.note(published_row(world.alice))
    log = queries.log_of(Identity.objects.get(scid=world.alice.scid))
    chain: tuple[keylog.SeenHead, ...] = ()
    for document in heads(world):
        chain = keylog.extend_heads(chain, keylog.verify_head(document, log=log, now=clock.now()), seen_at=clock.now())
    assert keylog.covered_at(chain, digest(note)) is not None
    assert keylog.covered_at(chain, "0" * 64) is None


def test_an_old_home_says_nothing_more(world: World) -> None:
    Identity.objects.filter(scid=world.alice.scid).update(is_home=False)
    assert "proof" not in published.note(published_row(world.alice))
    assert heads(world) == []
