"""Search: people by name or address, also on servers we never met; hashtags; captions."""

from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from django.views.decorators.http import require_safe

from server.accounts import actions, addresses
from server.accounts import queries as accounts
from server.accounts.models import Account
from server.core import limits
from server.core.errors import Invalid, NotAuthenticated, TributaryError
from server.videos import queries as videos
from server.videos.captions import tag_name
from server.videos.models import Hashtag, Video
from server.web.answers import door
from server.web.cards import cards
from server.web.viewers import viewer_of

PEOPLE_COUNT, TAGS_COUNT, VIDEOS_COUNT = 10, 12, 24


@require_safe
@door
def search(request: HttpRequest) -> HttpResponse:
    """What fits the words; without words the tags and the newest videos of this instance."""
    viewer = viewer_of(request)
    words = request.GET.get("q", "").strip()[: limits.CAPTION_CHARACTERS_MAX]
    context: dict[str, object] = {"q": words}
    if words:
        people, problem = _people(words, viewer)
        found = _videos(words, viewer)
        context |= {"people": people, "problem": problem, "tags": _tags(words), "cards": cards(found, viewer)}
    else:
        newest = videos.visible_to(viewer).order_by("-published_at")[:VIDEOS_COUNT]
        context |= {"tags": _tags(""), "cards": cards(list(newest), viewer)}
    return render(request, "pages/search.html", context)


def _people(words: str, viewer: Account | None) -> tuple[list[Account], str]:
    """The accounts that fit, and why an address could not be found on its own server."""
    problem = ""
    try:
        addresses.parse_address(words)
    except Invalid:
        return list(accounts.search(words)[:PEOPLE_COUNT]), ""
    try:
        # A visitor may not make this server ask others: she sees whom we know.
        if viewer is None:
            raise NotAuthenticated("Log in to look for people on other servers.")
        return [actions.discover_account(address=words)], ""
    except TributaryError as error:
        problem = str(error)
    known = list(accounts.search(words)[:PEOPLE_COUNT])
    return known, "" if known else problem


def _tags(words: str) -> list[Hashtag]:
    wanted = tag_name(words) if words else ""
    if wanted is None:
        return []
    every = Hashtag.objects.filter(videos__state="published", videos__visibility="public").distinct()
    return list(every.filter(name__startswith=wanted).order_by("name" if words else "-id")[:TAGS_COUNT])


def _videos(words: str, viewer: Account | None) -> list[Video]:
    every = videos.visible_to(viewer)
    if words.startswith("#") and (name := tag_name(words)):
        every = every.filter(hashtags__name=name)
    else:
        every = every.filter(caption__icontains=words)
    return list(every.order_by("-published_at")[:VIDEOS_COUNT])
