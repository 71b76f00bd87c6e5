"""Views: which of them steer money, and the named reason of each that does not."""

from datetime import timedelta

import pytest

from payouts.models import MeteredView
from server.accounts.models import Account
from server.core import clock, worker
from server.core.errors import Invalid
from server.videos import viewing
from server.videos.models import Video, ViewMark
from tests.world import World, published

pytestmark = pytest.mark.django_db


@pytest.fixture
def clip(world: World) -> Video:
    return published(world.alice, duration_ms=30_000)


def metered() -> dict[str, tuple[int, int]]:
    """Reason -> (views, milliseconds), after the worker has counted them."""
    worker.work("ledger")
    return {row.rejected: (row.count, row.weight_ms) for row in MeteredView.objects.all()}


def test_a_view_steers_by_the_time_watched(world: World, clip: Video) -> None:
    viewing.count_view(video=clip, viewer=world.bob, watched_ms=9_000)
    assert metered() == {"": (1, 9_000)}
    row = MeteredView.objects.get()
    assert (row.work, row.creator_scid) == (clip.uri, world.alice.scid)


def test_a_view_weighs_at_most_eighteen_seconds(world: World, clip: Video) -> None:
    viewing.count_view(video=clip, viewer=world.bob, watched_ms=10**12)
    assert metered() == {"": (1, viewing.WEIGHT_MS_MAX)}
    short = published(world.alice, duration_ms=4_000)
    viewing.count_view(video=short, viewer=world.bob, watched_ms=60_000)
    worker.work("ledger")
    assert MeteredView.objects.get(work=short.uri).weight_ms == 4_000


@pytest.mark.parametrize(
    ("who", "watched_ms", "reason", "shown"),
    [("bob", 4_999, "too-short", 0), ("alice", 9_000, "own-work", 1), (None, 9_000, "logged-out", 1)],
)
def test_views_that_steer_nothing(world: World, clip: Video, who: str | None, watched_ms: int, reason: str, shown: int) -> None:
    viewing.count_view(video=clip, viewer=getattr(world, who) if who else None, watched_ms=watched_ms)
    assert metered() == {reason: (1, 0)}
    clip.refresh_from_db()
    assert clip.view_count == shown


def test_half_of_a_short_video_is_enough(world: World) -> None:
    short = published(world.alice, duration_ms=4_000)
    viewing.count_view(video=short, viewer=world.bob, watched_ms=1_999)
    viewing.count_view(video=short, viewer=world.bob, watched_ms=2_000)
    assert metered() == {"too-short": (1, 0), "": (1, 2_000)}


def test_the_same_view_again_steers_once_a_day(world: World, clip: Video) -> None:
    for _ in range(3):
        viewing.count_view(video=clip, viewer=world.bob, watched_ms=9_000)
    viewing.count_view(video=clip, viewer=world.charlie, watched_ms=9_000)
    assert metered() == {"": (2, 18_000), "repeated": (2, 0)}
    with clock.moved(timedelta(days=1)):
        viewing.count_view(video=clip, viewer=world.bob, watched_ms=9_000)
        worker.work("ledger")
    assert sum(row.count for row in MeteredView.objects.filter(rejected="")) == 3


def test_a_day_has_so_many_views(world: World, clip: Video, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(viewing, "VIEWS_OF_DAY_MAX", 1)
    viewing.count_view(video=published(world.alice), viewer=world.bob, watched_ms=9_000)
    viewing.count_view(video=clip, viewer=world.bob, watched_ms=9_000)
    viewing.count_view(video=clip, viewer=world.charlie, watched_ms=9_000)
    worker.work("ledger")
    assert {(row.work == clip.uri, row.rejected, row.count) for row in MeteredView.objects.all()} == {
        (False, "", 1), (True, "daily-cap", 1), (True, "", 1),
    }  # fmt: skip


def test_a_creator_without_an_identity_earns_nothing(world: World) -> None:
    viewing.count_view(video=published(world.dora), viewer=world.bob, watched_ms=9_000)
    assert metered() == {"no-identity": (1, 0)}
    Account.objects.filter(pk=world.dora.pk).update(scid="QmDora")
    viewing.count_view(video=published(world.dora), viewer=world.bob, watched_ms=9_000)
    worker.work("ledger")
    assert MeteredView.objects.get(rejected="").creator_scid == "QmDora"


def test_what_cannot_be_reached_counts_nothing(world: World, clip: Video) -> None:
    with pytest.raises(Invalid):
        viewing.count_view(video=clip, viewer=world.bob, watched_ms=-1)
    Video.objects.filter(pk=clip.pk).update(state="ready")
    viewing.count_view(video=clip, viewer=world.bob, watched_ms=9_000)
    assert metered() == {}


def test_nobody_is_named_and_marks_are_forgotten(world: World, clip: Video) -> None:
    viewing.count_view(video=clip, viewer=world.bob, watched_ms=9_000)
    today = ViewMark.objects.get()
    assert str(world.bob.pk) not in today.viewer
    assert world.bob.handle not in today.viewer
    with clock.moved(timedelta(days=1)):
        viewing.count_view(video=clip, viewer=world.bob, watched_ms=9_000)
        assert ViewMark.objects.exclude(pk=today.pk).get().viewer != today.viewer, "days cannot be joined"
    assert viewing.forget_old_marks() == 0
    with clock.moved(timedelta(days=3)):
        assert viewing.forget_old_marks() == 1
