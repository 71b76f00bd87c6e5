"""Rule R3: which embedded objects may be believed. Nothing here trusts what an activity says about others."""

from federation.fetch import fetch_object
from federation.fetch.documents import WrongDocument
from federation.models import Actor
from federation.wire.activities import Reference
from federation.wire.objects import Note, read_note
from server.core import budget, hosts
from server.core.errors import NotAllowed, Unavailable

# Each may cost another server three requests: nobody points us at a victim.
FETCHES_PER_SERVER_AND_MINUTE_MAX = 60


def note_by(reference: Reference, author: Actor) -> Note:
    """The post that ``author`` created or changed.

    What is embedded counts only when its id has her origin and it is attributed to her; else the post is fetched from
    the origin of its own id. Raises NotAllowed for the post of somebody else, and whatever fetching raises.
    """
    if reference.document is not None and hosts.same_origin(reference.uri, author.uri):
        note = read_note(reference.document)
        if note.attributed_to == author.uri:
            return note
        raise NotAllowed("the post is attributed to somebody else")
    note = fetch_for(author.peer.host, reference.uri)
    if note.uri != reference.uri:
        raise WrongDocument("the post has another id")
    if note.attributed_to != author.uri:
        raise NotAllowed("the post belongs to somebody else")
    return note


def fetch_for(host: str, uri: str) -> Note:
    """The post at ``uri``, which an activity from ``host`` names.

    Raises Unavailable when that server has named too many lately, and whatever fetching raises.
    """
    if not budget.spend(f"fetches:{host}", per_minute_max=FETCHES_PER_SERVER_AND_MINUTE_MAX):
        raise Unavailable("one server names too many posts that we do not know; later")
    return fetch_object(uri)
