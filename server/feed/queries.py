"""A page of a feed. Nothing is written on the way."""

from dataclasses import dataclass, replace

from server.accounts.models import Account
from server.core import clock, limits
from server.core.errors import Invalid
from server.feed import candidates, ranking
from server.feed import cursor as cursors
from server.feed.cursor import Cursor
from server.feed.ranking import Candidate
from server.videos.models import Video

TABS = ("foryou", "following", "local", "federated")


@dataclass(frozen=True)
class Page:
    """Some videos (with their ``account``) and the text that fetches the next ones; None at the end."""

    videos: list[Video]
    next_cursor: str | None


def page(*, viewer: Account | None, tab: str, cursor: str | None, count: int = limits.PAGE_COUNT_DEFAULT) -> Page:
    """The next ``count`` videos of ``tab`` for ``viewer``. Raises Invalid for an unknown tab or a broken cursor.

    Stable while new videos arrive: the first page fixes the moment of reading, later pages show nothing newer, and no
    video comes twice.
    """
    if tab not in TABS:
        raise Invalid("There is no such tab.", field="tab")
    if not 1 <= count <= limits.PAGE_COUNT_MAX:
        raise Invalid(f"A page has between 1 and {limits.PAGE_COUNT_MAX} videos.", field="count")
    start = cursors.decode(cursor) if cursor else Cursor(as_of_us=candidates.microseconds(clock.now()))
    return _ranked(viewer, start, count) if tab == "foryou" else _newest_first(viewer, tab, start, count)


def _newest_first(viewer: Account | None, tab: str, start: Cursor, count: int) -> Page:
    found = list(candidates.older(candidates.of_tab(tab, viewer), start)[: count + 1])
    videos, more = found[:count], len(found) > count
    return Page(videos, cursors.encode(_behind(start, videos[-1])) if more else None)


def _ranked(viewer: Account | None, start: Cursor, count: int) -> Page:
    """Fill the page from windows of the newest candidates: rank the window, serve what was not served, then the next one."""
    videos: list[Video] = []
    place: Cursor | None = start
    while place is not None and len(videos) < count:
        window = _window(viewer, place)
        waiting = [each for each in window if cursors.mark(each.id) not in place.served]
        chosen = _best(waiting, place, count - len(videos))
        videos += chosen
        if len(chosen) < len(waiting):
            place = replace(place, served=place.served | {cursors.mark(each.id) for each in chosen})
        else:
            place = _next_window(viewer, place, window)
    return Page(videos, cursors.encode(place) if place is not None else None)


def _window(viewer: Account | None, place: Cursor) -> list[Video]:
    every = candidates.seen_before(candidates.of_tab("foryou", viewer), viewer, place)
    return list(candidates.older(every, place)[: cursors.WINDOW_COUNT_MAX])


def _best(waiting: list[Video], place: Cursor, count: int) -> list[Video]:
    as_of = candidates.moment(place.as_of_us)
    by_id = {each.id: each for each in waiting}
    order = ranking.rank(
        Candidate(
            video_id=each.id,
            account_id=each.account_id,
            age_hours=(as_of - (each.published_at or as_of)).total_seconds() / 3600,
            likes=each.like_count,
            comments=each.comment_count,
            shares=each.share_count,
        )
        for each in waiting
    )
    return [by_id[number] for number in order[:count]]


def _next_window(viewer: Account | None, place: Cursor, window: list[Video]) -> Cursor | None:
    """Behind a full window comes the next; behind the last unseen one come the seen; behind those nothing."""
    if window:
        behind = _behind(place, window[-1])
        if _window(viewer, behind):
            return behind
    if place.seen_part:
        return None
    seen = Cursor(as_of_us=place.as_of_us, seen_part=True)
    return seen if _window(viewer, seen) else None


def _behind(place: Cursor, last: Video) -> Cursor:
    assert last.published_at is not None
    return replace(place, after_us=candidates.microseconds(last.published_at), after_id=last.id, served=frozenset())
