"""Other servers: who they are to us, and whether we talk to them at all."""

from datetime import datetime, timedelta

from django.conf import settings
from django.db import transaction
from django.db.models import Q

from federation.models import Delivery, Peer
from server.core import clock, facts, hosts, limits
from server.core.errors import NotAllowed
from server.moderation import queries as moderation

# "Last heard of" need not be exact to the second, and a row written by every request is a bottleneck.
NOTED_SECONDS = 60


class DomainBlocked(NotAllowed):
    """We have no dealings with that server."""

    code = "domain_blocked"


def own_hosts() -> frozenset[str]:
    """The canonical hosts under which this server may be addressed."""
    return frozenset({settings.HOST})


def require_welcome(uri: str) -> None:
    """Raise DomainBlocked when the server of ``uri`` is blocked, NotAllowed when it is this very server."""
    authority = hosts.parse_url(uri).authority
    if authority in own_hosts():
        raise NotAllowed("this is an address of our own")
    if moderation.is_domain_blocked(authority):
        raise DomainBlocked


def peer_of(uri: str) -> Peer:
    """The row of the server of ``uri``, made when it is new."""
    peer, _ = Peer.objects.get_or_create(host=hosts.parse_url(uri).authority)
    return peer


def note_received(peer: Peer) -> None:
    """A verified message came from ``peer``: it lives, so what waits for it may go at once."""
    moment = clock.now()
    _forgive(peer)
    if _is_long_ago(peer.last_received_at, moment):
        Peer.objects.filter(pk=peer.pk).update(last_received_at=moment)


def note_delivered(names: set[str], moment: datetime) -> None:
    """Deliveries to these hosts succeeded."""
    known = {peer.host: peer for peer in Peer.objects.filter(host__in=names)}
    for host in names:
        if host not in known:
            known[host], _ = Peer.objects.get_or_create(host=host)
    for peer in known.values():
        _forgive(peer)
    stale = [peer.pk for peer in known.values() if _is_long_ago(peer.last_delivered_at, moment)]
    if stale:
        Peer.objects.filter(pk__in=stale).update(last_delivered_at=moment)


def _is_long_ago(noted: datetime | None, moment: datetime) -> bool:
    return noted is None or noted < moment - timedelta(seconds=NOTED_SECONDS)


def _forgive(peer: Peer) -> None:
    if peer.failures >= limits.HOST_FAILURES_MAX:
        revive(peer)
    elif peer.failures:
        # A few failures beside successes lie with single activities; those keep their own waits.
        Peer.objects.filter(pk=peer.pk).update(failures=0, last_error="")


def revive(peer: Peer) -> None:
    """Close the breaker of ``peer`` and let its waiting deliveries go now."""
    moment = clock.now()
    Peer.objects.filter(pk=peer.pk).update(failures=0, open_until=None, last_error="")
    if Delivery.objects.filter(host=peer.host, state="waiting", next_try_at__gt=moment).update(next_try_at=moment):
        facts.ring("federation")


def note_failed(host: str, why: str, *, count: int = 1) -> None:
    """``count`` deliveries to ``host`` failed for a reason that lies with it; after too many it is left alone.

    Each probe that fails after a pause doubles the next one, up to one probe a day.
    """
    moment = clock.now()
    with transaction.atomic():
        peer, _ = Peer.objects.select_for_update().get_or_create(host=host)
        peer.last_error = why[: limits.ERROR_CHARACTERS_MAX]
        paused = peer.open_until is not None and peer.open_until > moment
        if peer.failures < limits.HOST_FAILURES_MAX:
            peer.failures = min(peer.failures + count, limits.HOST_FAILURES_MAX)
        elif not paused:
            peer.failures += 1
        peer.save(update_fields=["failures", "last_error"])
    beyond = peer.failures - limits.HOST_FAILURES_MAX
    if beyond >= 0 and not paused:
        seconds = min(limits.DELIVERY_BACKOFF_SECONDS_MAX, limits.HOST_OPEN_SECONDS * 2 ** min(beyond, 10))
        pause(host, moment + timedelta(seconds=seconds))


def pause(host: str, until: datetime) -> None:
    """Send nothing to ``host`` before ``until`` (never shortens a pause)."""
    Peer.objects.get_or_create(host=host)
    shorter = Q(open_until=None) | Q(open_until__lt=until)
    Peer.objects.filter(shorter, host=host).update(open_until=until)
