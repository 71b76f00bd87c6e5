"""What each kind of activity does here: one function a kind, one table. They take verified activities only.

Ownership is always that of the stored row, never of what is claimed; rows under our own domain are never touched by what
another server says about them.
"""

from collections.abc import Callable, Mapping
from typing import Any

from federation.handlers.follows import on_accept, on_follow, on_reject
from federation.handlers.moves import on_move
from federation.handlers.outcomes import Handled, Ignored, Outcome
from federation.handlers.posts import on_create, on_delete, on_update
from federation.handlers.reactions import on_announce, on_like
from federation.handlers.undoing import on_undo
from federation.models import Actor
from federation.peers import DomainBlocked, require_welcome
from federation.wire.activities import Activity
from federation.wire.verified import Verified
from server.accounts.models import Account

__all__ = ["HANDLERS", "Handled", "Ignored", "Outcome", "dispatch"]

HANDLERS: Mapping[str, Callable[[Verified[Any], Account], Outcome]] = {
    "Follow": on_follow,
    "Accept": on_accept,
    "Reject": on_reject,
    "Undo": on_undo,
    "Create": on_create,
    "Update": on_update,
    "Delete": on_delete,
    "Like": on_like,
    "Announce": on_announce,
    "Move": on_move,
}


def dispatch(activity: Verified[Activity], sender: Actor) -> Outcome:
    """Hand ``activity`` to the function of its kind. Raises TributaryError; ``permanent`` says whether to try again."""
    try:
        require_welcome(sender.uri)
    except DomainBlocked:
        return Ignored("the server was blocked meanwhile")
    handler = HANDLERS.get(activity.value.kind)
    if handler is None:
        return Ignored(f"{activity.value.kind} is not a kind that we handle")
    if sender.account is None:
        return Ignored(f"its sender is of kind {sender.kind}, which speaks for a server and not for a person")
    return handler(activity, sender.account)
