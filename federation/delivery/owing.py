"""What we owe: written in the transaction of the change that makes us owe it."""

from collections import defaultdict
from collections.abc import Iterable
from datetime import timedelta

from django.db.models import Q

from federation import peers
from federation.models import Delivery, Peer
from federation.wire import json
from federation.wire.json import JsonObject
from server.accounts.models import Account
from server.core import clock, facts, hosts, limits
from server.moderation import queries as moderation

DELIVERED_KEPT = timedelta(days=7)
DEAD_KEPT = timedelta(days=30)
# A row beyond its time is still due for one last try, unless its host is paused for longer than this.
EXPIRED_FOR = timedelta(days=2)


def enqueue(
    *,
    activity: JsonObject,
    sender: Account | None,
    inboxes: Iterable[str],
    ttl_seconds: int = limits.DELIVERY_AGE_SECONDS_MAX,
) -> int:
    """Owe ``activity`` to each of ``inboxes``, in the caller's transaction. Twice is once. Returns how many are owed.

    Our own server and blocked ones are left out.
    """
    moment = clock.now()
    body = json.dump(activity)
    by_host: dict[str, list[str]] = defaultdict(list)
    for inbox in sorted(set(inboxes)):
        by_host[hosts.parse_url(inbox).authority].append(inbox)
    open_until = dict(Peer.objects.filter(host__in=by_host, open_until__gt=moment).values_list("host", "open_until"))
    refused = peers.own_hosts() | moderation.blocked_among(by_host)
    rows = [
        Delivery(
            activity_uri=activity["id"],
            kind=activity["type"],
            body=body,
            sender=sender,
            inbox=inbox,
            host=host,
            created_at=moment,
            next_try_at=open_until.get(host) or moment,
            expires_at=moment + timedelta(seconds=ttl_seconds),
        )
        for host, of_host in by_host.items()
        if host not in refused
        for inbox in of_host
    ]
    Delivery.objects.bulk_create(rows, ignore_conflicts=True)
    if rows:
        facts.ring("federation")
    return len(rows)


def refresh_waiting(*, activity: JsonObject, sender: Account) -> set[str]:
    """``activity`` reads otherwise now than when it was enqueued: what still waits of it shall say the new words.

    Returns the inboxes to which nobody has tried to send it: they need not be told of the change.
    """
    waiting = Delivery.objects.filter(sender=sender, state="waiting", activity_uri=activity["id"])
    untried = set(waiting.filter(attempts=0).values_list("inbox", flat=True))
    waiting.update(body=json.dump(activity))
    return untried


def drop_waiting(*, sender: Account, kinds: Iterable[str], about: str = "") -> int:
    """Give up what still waits about the object ``about`` (or about anything) because something newer says all there is to say.

    A row that is being sent right now loses its lease: when that attempt fails it is not made again. Else an old
    Create could arrive after the Delete. Returns how many were given up.
    """
    waiting = Delivery.objects.filter(sender=sender, state="waiting", kind__in=list(kinds))
    if about:
        named = Q(activity_uri=about) | Q(activity_uri__startswith=f"{about}/")
        waiting = waiting.filter(named)
    return waiting.update(state="dead", last_error="overtaken by a newer activity", lease_token=None, lease_until=None)


def forget_old() -> int:
    """Forget what was delivered a week ago or given up a month ago, and give up what is too old. Returns how many are gone."""
    moment = clock.now()
    Delivery.objects.filter(state="waiting", expires_at__lt=moment - EXPIRED_FOR, lease_token=None).update(state="dead")
    made = Q(state="delivered", delivered_at__lt=moment - DELIVERED_KEPT)
    given_up = Q(state="dead", expires_at__lt=moment - DEAD_KEPT)
    deleted, _ = Delivery.objects.filter(made | given_up).delete()
    return deleted
