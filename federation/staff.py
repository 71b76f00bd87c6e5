"""The verbs of staff for what goes between servers. Each writes the audit trail in its own transaction."""

from datetime import timedelta

from django.db import transaction

from federation import peers
from federation.facts import ActivityReceived
from federation.models import Delivery, InboxItem, Peer
from server.accounts.models import User
from server.core import clock, facts, limits
from server.core.errors import WrongState
from server.moderation.actions import audit


@transaction.atomic
def retry_delivery(*, delivery: Delivery, by_staff: User) -> None:
    """Try a waiting or given-up delivery again now, with a fresh time to live. Raises NotAllowed, WrongState (delivered)."""
    row = Delivery.objects.select_for_update().get(pk=delivery.pk)
    if row.state == "delivered":
        raise WrongState(f"{row.kind} to {row.inbox} is delivered already.")
    moment = clock.now()
    row.state, row.attempts, row.next_try_at, row.lease_token, row.lease_until = "waiting", 0, moment, None, None
    row.expires_at = max(row.expires_at, moment + timedelta(seconds=limits.DELIVERY_AGE_SECONDS_MAX))
    row.save(update_fields=["state", "attempts", "next_try_at", "lease_token", "lease_until", "expires_at"])
    facts.ring("federation")
    audit(by_staff=by_staff, action="retry_delivery", target=f"delivery {row.pk}", detail=_described(row))


@transaction.atomic
def abandon_delivery(*, delivery: Delivery, by_staff: User, reason: str) -> None:
    """Give a waiting delivery up. Given up already is no error. Raises NotAllowed, WrongState (delivered)."""
    row = Delivery.objects.select_for_update().get(pk=delivery.pk)
    if row.state == "delivered":
        raise WrongState(f"{row.kind} to {row.inbox} is delivered already.")
    row.state, row.lease_token, row.lease_until = "dead", None, None
    row.save(update_fields=["state", "lease_token", "lease_until"])
    audit(by_staff=by_staff, action="abandon_delivery", target=f"delivery {row.pk}", detail={**_described(row), "reason": reason})


@transaction.atomic
def rerun_inbox_item(*, item: InboxItem, by_staff: User) -> None:
    """Handle a failed activity once more. Raises NotAllowed, WrongState (it did not fail)."""
    row = InboxItem.objects.select_for_update().get(pk=item.pk)
    if row.state != "failed":
        raise WrongState(f"{row.kind} {row.uri} did not fail: it is {row.state}.")
    row.state, row.error, row.handled_at = "received", "", None
    row.save(update_fields=["state", "error", "handled_at"])
    facts.record(ActivityReceived(inbox_item_id=row.pk))
    audit(by_staff=by_staff, action="rerun_inbox_item", target=f"inbox item {row.pk}", detail={"kind": row.kind, "uri": row.uri})


@transaction.atomic
def revive_peer(*, peer: Peer, by_staff: User) -> None:
    """Send to a server again that was left alone because deliveries failed. Raises NotAllowed."""
    peers.revive(peer)
    audit(by_staff=by_staff, action="revive_peer", target=peer.host, detail={})


def _described(row: Delivery) -> dict[str, object]:
    return {"kind": row.kind, "activity": row.activity_uri, "inbox": row.inbox}
