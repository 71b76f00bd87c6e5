"""Somebody came to live here whose old home may be dead: those who followed her there are told by us.

What is sent is a Move by the new account (FEP-7628, pull mode). Servers that keep key logs take it for a doorbell and ask
the log; Mitra and its kin compare identity proofs (FEP-c390) or aliases. It cannot be taken back, so for servers that are not
known to keep key logs it waits as long as the log says.
"""

from datetime import timedelta

from django.db import transaction
from django.db.models import Count

from federation import announcing, peers
from federation.delivery import enqueue
from federation.fetch import learn_software
from federation.models import Delivery
from federation.sealing import seal
from server.accounts import moving, queries
from server.accounts.facts import AccountArrived, FollowersKnown, MoveSigned
from server.accounts.models import Account, SignedMove
from server.core import clock, facts, hosts, limits
from server.identity import queries as identities
from server.identity.models import Identity
from server.moderation import queries as moderation

OUR_SOFTWARE = "tributary"
# Servers whose software is asked for in one run; the others wait as if they were of another kind.
ASKED_COUNT_MAX = 50
# Deliveries that were made are forgotten after a week.
COUNTED_FOR = timedelta(days=7)


def tell_followers(fact: AccountArrived | FollowersKnown) -> None:
    """Owe the pull Move to each server on which a former follower reads. Twice is once, for an activity goes to an inbox once."""
    account = Account.objects.get(pk=fact.account_id)
    identity = Identity.objects.filter(scid=account.scid, is_home=True).first()
    if identity is None or identity.contested_at is not None or not queries.is_active(account):
        return
    inboxes = {row.shared_inbox or row.inbox for row in account.former_followers.all()}
    wait_seconds = moving.effects_wait_seconds(identity)
    if wait_seconds and inboxes:
        inboxes = {inbox for inbox in inboxes if _keeps_logs(inbox, inboxes)}
        facts.record(FollowersKnown(account_id=account.pk), delay_seconds=wait_seconds)
    old_uri = identities.former_actor(identity)
    if inboxes and old_uri:
        enqueue(activity=seal(announcing.move_here(account, old_uri), by=account), sender=account, inboxes=inboxes)


@transaction.atomic
def send_signed(fact: MoveSigned) -> None:
    """Owe the Move that an owner signed to every server that was asked for, byte for byte. Twice is once."""
    move = SignedMove.objects.select_related("account").get(pk=fact.signed_move_id)
    moment = clock.now()
    refused = peers.own_hosts() | moderation.blocked_among({hosts.parse_url(inbox).authority for inbox in move.requests})
    Delivery.objects.bulk_create(
        (
            Delivery(
                activity_uri=move.activity_uri,
                kind="Move",
                body=move.body,
                sender=move.account,
                inbox=inbox,
                host=hosts.parse_url(inbox).authority,
                signed_headers=headers,
                signed_until=move.signed_until if headers else None,
                created_at=moment,
                next_try_at=moment,
                expires_at=moment + timedelta(seconds=limits.DELIVERY_AGE_SECONDS_MAX),
            )
            for inbox, headers in move.requests.items()
            if hosts.parse_url(inbox).authority not in refused
        ),
        ignore_conflicts=True,
    )
    facts.ring("federation")


def count_sent() -> int:
    """Note how far the signed Moves got, for their owners to see. Returns how many are under way (chore)."""
    under_way = SignedMove.objects.filter(waiting__gt=0, signed_at__gt=clock.now() - COUNTED_FOR)
    for move in under_way:
        rows = Delivery.objects.filter(activity_uri=move.activity_uri, sender=move.account_id).values_list("state")
        states: dict[str, int] = dict(rows.annotate(Count("id")).order_by())
        counts = {"delivered": states.get("delivered", 0), "dead": states.get("dead", 0)}
        waiting = max(0, len(move.requests) - sum(counts.values())) if states else move.waiting
        SignedMove.objects.filter(pk=move.pk).update(waiting=waiting, **counts)
    return len(under_way)


def _keeps_logs(inbox: str, among: set[str]) -> bool:
    peer = peers.peer_of(inbox)
    if not peer.software and len(among) <= ASKED_COUNT_MAX:
        learn_software(peer, hosts.origin(inbox))
        peer.refresh_from_db()
    return peer.software == OUR_SOFTWARE
