"""Sponsor slots in the feed: our player asks for one, shows it, and says when it was really seen."""

from uuid import UUID

from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from django.views.decorators.http import require_POST

from server.core import storage
from server.sponsors import actions
from server.videos import queries as videos
from server.web.answers import door
from server.web.viewers import viewer_of

DIGITS_MAX = 19


def _number(text: str) -> int:
    return int(text) if text.isascii() and text.isdigit() and len(text) <= DIGITS_MAX else 0


@require_POST
@door
def slot(request: HttpRequest) -> HttpResponse:
    """The slot that follows the video ``after``, as a part of the page; 204 when nobody pays for one."""
    viewer = viewer_of(request)
    after = videos.visible_to(viewer).filter(pk=_number(request.POST.get("after", ""))).first()
    address = request.META.get("REMOTE_ADDR", "")
    offer = actions.offer_slot(viewer=viewer, after=after, address=address) if after is not None else None
    if offer is None:
        return HttpResponse(status=204)
    campaign = offer.campaign
    picture = storage.url(campaign.image_file) if campaign.image_file else ""
    playback = videos.playback(campaign.video) if campaign.video is not None else None
    return render(request, "parts/slot.html", {"offer": offer, "campaign": campaign, "picture": picture, "playback": playback})


@require_POST
@door
def seen(request: HttpRequest, offer_id: UUID) -> HttpResponse:
    """Half of the slot was visible for so long. Billed once."""
    visible_ms = _number(request.POST.get("visible_ms", ""))
    address = request.META.get("REMOTE_ADDR", "")
    actions.record_impression(offer_id=offer_id, viewer=viewer_of(request), visible_ms=visible_ms, address=address)
    return HttpResponse(status=204)
