"""Who is to be reminded that her keys are still with this server, and how loudly."""

from datetime import datetime, timedelta

from django.http import HttpRequest

from server.core import clock
from server.identity.models import Identity
from server.web.viewers import viewer_of

PUT_OFF = timedelta(days=7)
_KEPT = "keys_later_until"


def put_off(request: HttpRequest) -> None:
    """No strip for seven days, in this browser. The badge stays."""
    request.session[_KEPT] = (clock.now() + PUT_OFF).isoformat()


def keys_reminder(request: HttpRequest) -> str:
    """``strip`` for somebody whose keys this server holds, ``badge`` while she has put it off, else empty."""
    viewer = viewer_of(request)
    if viewer is None or not viewer.scid:
        return ""
    if not Identity.objects.filter(scid=viewer.scid, custody="server", is_home=True).exists():
        return ""
    until = request.session.get(_KEPT)
    return "badge" if until and datetime.fromisoformat(until) > clock.now() else "strip"
