"""Publish, take back, edit, delete: who may, from which state, and what is recorded."""

from typing import Any

import pytest

from server.core import limits
from server.core.errors import Invalid, NotAllowed, NotFound, WrongState
from server.core.models import Task
from server.videos import actions
from server.videos.models import Video
from tests import world as world_module
from tests.video_facts import recorded
from tests.world import World


def ready(world: World, **fields: Any) -> Video:
    return world_module.published(world.alice, **{"state": "ready", "published_at": None, **fields})


def test_publish_and_take_back_and_publish_again(world: World) -> None:
    video = ready(world)
    actions.publish(video=video, by=world.alice)
    video.refresh_from_db()
    first = video.published_at
    assert (video.state, first is not None, recorded()) == ("published", True, ["VideoPublished"])
    actions.unpublish(video=video, by=world.alice)
    assert (video.state, recorded()) == ("ready", ["VideoPublished", "VideoUnpublished"])
    actions.publish(video=video, by=world.alice)
    assert (video.state, video.published_at) == ("published", first)


@pytest.mark.parametrize("state", ["uploading", "processing", "failed", "published", "deleted"])
def test_only_what_is_ready_is_published(world: World, state: str) -> None:
    video = ready(world, state=state)
    with pytest.raises(WrongState):
        actions.publish(video=video, by=world.alice)
    video.refresh_from_db()
    assert (video.state, recorded()) == (state, [])


def test_a_stranger_does_nothing_and_does_not_even_learn_of_a_draft(world: World) -> None:
    draft, shown = ready(world), world_module.published(world.alice)
    for by in (world.charlie, world.dora):
        for verb in (actions.publish, actions.unpublish, actions.edit, actions.delete, actions.retry_transcode):
            with pytest.raises(NotFound):
                verb(video=draft, by=by)
            with pytest.raises(NotAllowed):
                verb(video=shown, by=by)
    assert recorded() == []


def test_the_suspended_change_nothing(world: World) -> None:
    video = ready(world)
    world.alice.suspended_at = world.alice.created_at
    with pytest.raises(NotAllowed):
        actions.publish(video=video, by=world.alice)


def test_edit_changes_what_is_given(world: World) -> None:
    video = world_module.published(world.alice, caption="Old #one")
    actions.edit(video=video, by=world.alice, caption=" New #two\r\n#Three ", sensitive=True)
    video.refresh_from_db()
    assert (video.caption, video.alt_text, video.sensitive, video.comments_open) == (
        "New #two\n#Three",
        "A rabbit in a meadow",
        True,
        True,
    )
    assert sorted(tag.name for tag in video.hashtags.all()) == ["three", "two"]
    assert video.edited_at is not None
    assert recorded() == ["VideoEdited"]
    actions.edit(video=video, by=world.alice, alt_text="", comments_open=False)
    video.refresh_from_db()
    assert (video.caption, video.alt_text, video.sensitive, video.comments_open) == ("New #two\n#Three", "", True, False)


def test_editing_a_draft_is_nobodys_business(world: World) -> None:
    video = ready(world)
    actions.edit(video=video, by=world.alice, caption="New")
    video.refresh_from_db()
    assert (video.caption, video.edited_at, recorded()) == ("New", None, [])


@pytest.mark.parametrize(
    ("change", "field"),
    [
        ({"caption": "x" * (limits.CAPTION_CHARACTERS_MAX + 1)}, "caption"),
        ({"alt_text": "x" * (limits.ALT_TEXT_CHARACTERS_MAX + 1)}, "alt_text"),
    ],
)
def test_too_long_changes_nothing(world: World, change: dict[str, str], field: str) -> None:
    video = world_module.published(world.alice)
    with pytest.raises(Invalid) as refused:
        actions.edit(video=video, by=world.alice, sensitive=True, **change)  # type: ignore[arg-type]
    assert refused.value.field == field
    video.refresh_from_db()
    assert (video.sensitive, recorded()) == (False, [])


def test_deleted_or_remote_is_not_edited(world: World) -> None:
    gone, remote = ready(world, state="deleted"), world_module.published(world.dora)
    with pytest.raises(WrongState):
        actions.edit(video=gone, by=world.alice, caption="x")
    with pytest.raises(NotAllowed):
        actions.edit(video=remote, by=world.dora, caption="x")


@pytest.mark.parametrize("state", ["processing", "failed", "ready", "published"])
def test_delete_empties_the_words_and_keeps_the_row(world: World, state: str) -> None:
    video = world_module.published(world.alice, state=state, failure="why")
    actions.edit(video=video, by=world.alice, caption="Words #tag")
    Task.objects.all().delete()
    actions.delete(video=video, by=world.alice)
    video.refresh_from_db()
    assert (video.state, video.caption, video.alt_text, video.failure) == ("deleted", "", "", "")
    assert video.deleted_at is not None
    assert not video.hashtags.exists()
    assert recorded() == ["VideoDeleted"]
    deleted_at = video.deleted_at
    actions.delete(video=video, by=world.alice)
    video.refresh_from_db()
    assert (video.deleted_at, Task.objects.filter(fact="VideoDeleted").values("fact_id").distinct().count()) == (deleted_at, 1)


def test_staff_delete_and_nobody_pretends_to_be_staff(world: World) -> None:
    user = world.bob.user
    local, remote = world_module.published(world.alice), world_module.published(world.dora)
    for video in (local, remote):
        with pytest.raises(NotAllowed):
            actions.delete(video=video, by=None)
        with pytest.raises(NotAllowed):
            actions.delete(video=video, by=None, by_staff=user)
    with pytest.raises(NotAllowed):
        actions.delete(video=remote, by=world.dora)
    assert user is not None
    user.is_staff = True
    actions.delete(video=local, by=None, by_staff=user)
    assert recorded() == ["VideoDeleted"]
    Task.objects.all().delete()
    # Deleted here only: other servers hear nothing of it from us.
    actions.delete(video=remote, by=None, by_staff=user)
    assert (remote.state, remote.remote_mp4_url, recorded()) == ("deleted", "", [])
