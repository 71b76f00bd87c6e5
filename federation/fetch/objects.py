"""Remote posts, fetched by rule R1 from the origin of their own id."""

from federation.fetch.documents import WrongDocument, fetch_ap
from federation.wire.json import JsonObject
from federation.wire.objects import Note, read_note
from server.core import hosts


def fetch_object(uri: str) -> tuple[Note, JsonObject]:
    """The post at ``uri`` as its own server tells it, and the document; ``Note.uri`` is what it may be believed about.

    Raises Gone, Missing, Refused, Busy, WrongDocument, Malformed, DomainBlocked, http.HttpError.
    """
    _, document = fetch_ap(uri)
    note = read_note(document)
    if not hosts.same_origin(note.uri, note.attributed_to):
        raise WrongDocument(f"{note.uri} names an author on another server")
    return note, document
