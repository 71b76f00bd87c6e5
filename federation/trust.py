"""Rule R3: which embedded objects may be believed (FEP-fe34). Nothing here trusts what an activity says about others."""

from dataclasses import dataclass

from federation import proven
from federation.fetch import fetch_actor, fetch_object
from federation.fetch.documents import WrongDocument
from federation.models import Actor
from federation.wire import proving
from federation.wire.activities import Reference
from federation.wire.fields import Malformed
from federation.wire.json import JsonObject
from federation.wire.objects import Note, read_note
from federation.wire.proving import Proved, WrongProof
from federation.wire.verified import Verified
from server.core import budget, hosts
from server.core.errors import NotAllowed, Unavailable

# Each may cost another server three requests: nobody points us at a victim.
FETCHES_PER_SERVER_AND_MINUTE_MAX = 60
CHANGED_KEYS = frozenset({"unknown_proof_key", "key_not_in_log", "key_removed"})


@dataclass(frozen=True)
class Post:
    """A post that may be believed. ``proved`` is its document where that carries a proof of its author, which then holds."""

    note: Note
    proved: Verified[Proved] | None


def post_by(reference: Reference, author: Actor) -> Post:
    """The post that ``author`` created or changed.

    What is embedded counts only when its id has her origin and it is attributed to her; else the post is fetched from
    the origin of its own id. Raises NotAllowed for the post of somebody else, WrongProof, and whatever fetching raises.
    """
    if reference.document is not None and hosts.same_origin(reference.uri, author.uri):
        note = read_note(reference.document)
        if note.attributed_to == author.uri:
            return Post(note, _judge(reference.document, author))
        raise NotAllowed("the post is attributed to somebody else")
    note, document = fetch_for(author.peer.host, reference.uri)
    if note.uri != reference.uri:
        raise WrongDocument("the post has another id")
    if note.attributed_to != author.uri:
        raise NotAllowed("the post belongs to somebody else")
    return Post(note, _judge_at_home(document, author))


def post_of_anybody(reference: Reference, *, host: str) -> tuple[Post, Actor]:
    """A post that somebody from ``host`` passes on, and its author, who need not be the one who passes it on.

    An embedded copy counts when its author's own proof holds; else the post is fetched from its origin. Raises whatever
    fetching raises, and WrongProof for what its own origin shows with a proof that does not hold.
    """
    if reference.document is not None:
        embedded = _embedded(reference.document, host)
        if embedded is not None:
            return embedded
    note, document = fetch_for(host, reference.uri)
    author = fetch_actor(note.attributed_to)
    return Post(note, _judge_at_home(document, author)), author


def _embedded(document: JsonObject, host: str) -> tuple[Post, Actor] | None:
    try:
        note = read_note(document)
        claim = proving.read(document, owner=note.attributed_to)
        if claim is None or not hosts.same_origin(note.uri, note.attributed_to):
            return None
        _spend(host)
        author = fetch_actor(note.attributed_to)
        return Post(note, proven.judge(claim, author)), author
    except (Malformed, WrongProof):
        # Whoever passes it on may have spoilt it: its own server is asked.
        return None


def _judge(document: JsonObject, author: Actor) -> Verified[Proved] | None:
    claim = proving.read(document, owner=author.uri)
    return proven.judge(claim, author) if claim is not None else None


def _judge_at_home(document: JsonObject, author: Actor) -> Verified[Proved] | None:
    """As ``_judge``, for what its own origin shows: that need not prove itself by a key that has been changed since."""
    try:
        return _judge(document, author)
    except WrongProof as error:
        if error.reason in CHANGED_KEYS:
            return None
        raise


def fetch_for(host: str, uri: str) -> tuple[Note, JsonObject]:
    """The post at ``uri``, which an activity from ``host`` names, and its document.

    Raises Unavailable when that server has named too many lately, and whatever fetching raises.
    """
    _spend(host)
    return fetch_object(uri)


def _spend(host: str) -> None:
    if not budget.spend(f"fetches:{host}", per_minute_max=FETCHES_PER_SERVER_AND_MINUTE_MAX):
        raise Unavailable("one server names too many posts that we do not know; later")
