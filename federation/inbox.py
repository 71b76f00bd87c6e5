"""What arrives: let in at the door (``accept``, in the request), handled by a worker (``handle``).

The door answers 202 only when the activity is stored; its id is unique, so whatever arrives twice is handled once.
"""

import logging
from dataclasses import dataclass, replace
from datetime import timedelta

from django.db import IntegrityError, transaction

from federation import handlers
from federation.authentication import Authenticated, NothingToDelete, authenticate
from federation.facts import ActivityReceived
from federation.fetch import learn_software
from federation.models import InboxItem, SeenSignature
from federation.peers import note_received
from federation.wire import activities, json, proving
from federation.wire.activities import Activity, Create, Other, Update
from federation.wire.signatures import BadSignature, Message
from federation.wire.verified import SEAL, Verified
from payouts import gossip
from server.core import clock, facts, hosts, limits
from server.core.errors import TributaryError

log = logging.getLogger(__name__)

# A date may lie in the future when it is accepted, and then stays good for the whole window.
SIGNATURE_KEPT = timedelta(seconds=limits.SIGNATURE_PAST_SECONDS_MAX + limits.SIGNATURE_FUTURE_SECONDS_MAX)


@dataclass(frozen=True)
class Accepted:
    """Stored, and will be handled (``item_id``)."""

    item_id: int


@dataclass(frozen=True)
class Known:
    """It was here before, or there is nothing to do: nothing was stored."""

    reason: str


def accept(message: Message) -> Accepted | Known:
    """Verify ``message`` and store its activity for a worker. Returns only when it is durable.

    Raises what ``authenticate`` raises, and BadSignature("replay") for a request that was accepted before.
    """
    try:
        sender = authenticate(message)
    except NothingToDelete as error:
        return Known(error.code)
    if sender.signed is not None:
        # Who only carries what proves itself is nobody that we know to be alive.
        note_received(sender.actor.peer)
        gossip.hear(message.headers.get(gossip.HEADER.lower(), ""), host=sender.actor.peer.host)
    return _store(sender, message)


def _store(sender: Authenticated, message: Message) -> Accepted | Known:
    kept_until = clock.now() + SIGNATURE_KEPT
    activity, signed, proved = sender.activity.value, sender.signed, sender.proved
    try:
        with transaction.atomic():
            if signed is not None:
                SeenSignature.objects.create(digest=signed.digest, expires_at=kept_until)
            item = InboxItem.objects.create(
                uri=activity.uri,
                actor=sender.actor,
                kind=activity.kind,
                body=message.body,
                signing_string=signed.signing_string if signed is not None else "",
                is_carried=signed is None,
                key_id=signed.key.id if signed is not None else proved.method if proved is not None else "",
            )
            if isinstance(activity, Other):
                _finish(item, "ignored", f"{activity.kind} is not a kind that we handle")
            else:
                facts.record(ActivityReceived(inbox_item_id=item.pk))
    except IntegrityError:
        if signed is not None and SeenSignature.objects.filter(digest=signed.digest).exists():
            raise BadSignature("replay", "this request was accepted before") from None
        if not InboxItem.objects.filter(uri=activity.uri).exists():
            raise
        return Known("repeated")
    return Accepted(item.pk)


def restore(item: InboxItem) -> Verified[Activity]:
    """The activity of a stored row. It was verified at the door: nothing else writes these rows.

    Of what somebody else carried, an embedded post counts only with a proof of its own, which tells older forms from newer
    ones; any other is asked of its origin.
    """
    activity = activities.read(json.parse(bytes(item.body)))
    if item.is_carried and isinstance(activity, (Create, Update)):
        document = activity.object.document
        if document is not None and proving.read(document, owner=activity.actor) is None:
            activity = replace(activity, object=replace(activity.object, document=None))
    return Verified(activity, seal=SEAL)


def handle(fact: ActivityReceived) -> None:
    """Do what a stored activity says. Safe to run again after any crash: every effect has a unique key.

    An activity that can never be handled is marked failed with the reason; what may work later is raised to the worker.
    """
    item = InboxItem.objects.select_related("actor__account", "actor__peer").filter(pk=fact.inbox_item_id).first()
    if item is None or item.state != "received":
        return
    try:
        outcome = handlers.dispatch(restore(item), item.actor)
    except TributaryError as error:
        text = f"{error.code}: {error}"
        if not error.permanent:
            InboxItem.objects.filter(pk=item.pk).update(error=text[: limits.ERROR_CHARACTERS_MAX])
            raise
        _finish(item, "failed", text)
    else:
        _finish(item, outcome.state, outcome.reason)
        learn_software(item.actor.peer, hosts.origin(item.actor.uri))


def _finish(item: InboxItem, state: str, reason: str) -> None:
    item.state, item.error, item.handled_at = state, reason[: limits.ERROR_CHARACTERS_MAX], clock.now()
    item.save(update_fields=["state", "error", "handled_at"])
    log.info("activity %s", state, extra={"kind": item.kind, "uri": item.uri, "reason": reason[:200]})


def forget_old_signatures() -> int:
    """Forget signatures whose date window has passed: the date itself refuses them now."""
    deleted, _ = SeenSignature.objects.filter(expires_at__lt=clock.now()).delete()
    return deleted
