"""The pages people watch on: feed, video, profile, tag. Each reads, nothing here writes."""

from dataclasses import replace

from django.conf import settings
from django.db.models import QuerySet
from django.http import HttpRequest, HttpResponse, JsonResponse
from django.shortcuts import render
from django.templatetags.static import static
from django.urls import reverse
from django.views.decorators.http import require_safe

from server.accounts import queries as accounts
from server.accounts.models import Account
from server.core import clock, limits
from server.feed import candidates
from server.feed import cursor as cursors
from server.feed import queries as feed_queries
from server.feed.cursor import Cursor
from server.videos import queries as videos
from server.videos.models import Video
from server.web import threads
from server.web.answers import door, page_or_fragment
from server.web.cards import cards
from server.web.viewers import viewer_of

SLIDES_COUNT = 6
TILES_COUNT = 24
TABS = [("foryou", "For you"), ("following", "Following"), ("local", "Local"), ("federated", "Federated")]


@require_safe
@door
def feed(request: HttpRequest) -> HttpResponse:
    """The vertical feed: one video a screen, the next ones under the cursor of the last."""
    viewer = viewer_of(request)
    tab = request.GET.get("tab", "foryou")
    page = feed_queries.page(viewer=viewer, tab=tab, cursor=request.GET.get("cursor"), count=SLIDES_COUNT)
    context = {
        "tab": tab,
        "tabs": TABS,
        "cards": cards(page.videos, viewer),
        "next_cursor": page.next_cursor,
        "first_page": "cursor" not in request.GET,
        "here": reverse("feed") if tab == "foryou" else f"{reverse('feed')}?tab={tab}",
    }
    return page_or_fragment(request, "pages/feed.html", "parts/slides.html", context)


@require_safe
@door
def watch(request: HttpRequest, video_id: int) -> HttpResponse:
    """One video with everything that is said about it. The owner sees her own before it is published."""
    viewer = viewer_of(request)
    video = _watchable(video_id, viewer)
    card = cards([video], viewer)[0]
    others = videos.visible_to(viewer).filter(account=video.account).exclude(pk=video.pk)
    context = {
        "card": card,
        "thread": threads.of(video, viewer),
        "poster_absolute": absolute(card.playback.poster_url),
        "mp4_absolute": absolute(card.playback.mp4_url),
        "more": cards(list(others.order_by("-published_at")[:6]), viewer),
    }
    return render(request, "pages/watch.html", context)


@require_safe
@door
def profile(request: HttpRequest, acct: str) -> HttpResponse:
    """A person, here or elsewhere, and her videos, newest first."""
    viewer = viewer_of(request)
    account = accounts.by_acct(acct)
    relationship = accounts.relationship(viewer, account)
    # Who muted somebody and still comes to her page wants to see her; the public list is the one without mutes.
    shown = _shown_on_profile(account, None if relationship.muting and not relationship.blocking else viewer)
    found, before = tiles(shown, request.GET.get("before", ""))
    context = {
        "account": account,
        "relationship": relationship,
        "mine": viewer is not None and viewer.pk == account.pk,
        "cards": cards(found, viewer),
        "before": before,
        "here": reverse("profile", args=[account.acct]),
        "video_count": shown.count(),
        "follower_count": accounts.accepted_followers(account).count(),
        "following_count": accounts.accepted_following(account).count(),
    }
    return page_or_fragment(request, "pages/profile.html", "parts/tiles.html", context)


@require_safe
@door
def tag(request: HttpRequest, name: str) -> HttpResponse:
    """The public videos with a hashtag, newest first."""
    viewer = viewer_of(request)
    wanted = name.lower()
    every = videos.visible_to(viewer).filter(hashtags__name=wanted)
    found, before = tiles(every, request.GET.get("before", ""))
    context = {
        "name": wanted,
        "cards": cards(found, viewer),
        "before": before,
        "here": reverse("tag", args=[wanted]),
        "video_count": every.count(),
    }
    return page_or_fragment(request, "pages/tag.html", "parts/tiles.html", context)


@require_safe
def about(request: HttpRequest) -> HttpResponse:
    """Who runs this instance, and what it is part of."""
    context = {
        "contact_email": settings.CONTACT_EMAIL,
        "people": accounts.active().filter(domain="").count(),
        "videos": Video.objects.filter(is_local=True, state="published", visibility="public").count(),
        "servers": accounts.active().exclude(domain="").values("domain").distinct().count(),
        "upload_mib": settings.UPLOAD_BYTES_MAX // limits.MIB,
        "seconds_max": settings.VIDEO_SECONDS_MAX,
    }
    return render(request, "pages/about.html", context)


@require_safe
def manifest(request: HttpRequest) -> JsonResponse:
    """What a phone needs to put the instance on its home screen."""
    icons = [
        {"src": static("img/mark.svg"), "type": "image/svg+xml", "sizes": "any", "purpose": "any"},
        {"src": static("img/icon-512.png"), "type": "image/png", "sizes": "512x512", "purpose": "any maskable"},
    ]
    body = {
        "name": settings.INSTANCE_NAME,
        "short_name": settings.INSTANCE_NAME[:12],
        "description": settings.INSTANCE_DESCRIPTION,
        "start_url": reverse("feed"),
        "display": "standalone",
        "background_color": "#05090b",
        "theme_color": "#05090b",
        "icons": icons,
    }
    return JsonResponse(body, content_type="application/manifest+json")


def absolute(address: str) -> str:
    """The address with our origin, for readers on other sites; empty stays empty."""
    return f"{settings.ORIGIN}{address}" if address.startswith("/") else address


def _watchable(video_id: int, viewer: Account | None) -> Video:
    if viewer is not None:
        own = Video.objects.filter(pk=video_id, account=viewer, state="ready").select_related("account").first()
        if own is not None:
            return own
    return videos.public_video(video_id, viewer)


def _shown_on_profile(account: Account, viewer: Account | None) -> QuerySet[Video]:
    """Her public videos; she herself sees the unlisted ones too."""
    if viewer is not None and viewer.pk == account.pk:
        return Video.objects.filter(account=account, state="published").select_related("account")
    return videos.visible_to(viewer).filter(account=account)


def tiles(every: QuerySet[Video], before: str) -> tuple[list[Video], str]:
    """A page of tiles, newest first, and the text that fetches the next one. Raises Invalid for a text we did not make."""
    place = cursors.decode(before) if before else Cursor(as_of_us=candidates.microseconds(clock.now()))
    found = list(candidates.older(every, place)[: TILES_COUNT + 1])
    if len(found) <= TILES_COUNT:
        return found, ""
    last = found[TILES_COUNT - 1]
    assert last.published_at is not None
    behind = replace(place, after_us=candidates.microseconds(last.published_at), after_id=last.pk)
    return found[:TILES_COUNT], cursors.encode(behind)
