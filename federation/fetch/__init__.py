"""Asking other servers: documents, actors, addresses. With ``delivery`` the only user of ``core.http``."""

from federation.fetch.actors import fetch_actor, lookup_acct
from federation.fetch.documents import Busy, Gone, Missing, Refused, WrongDocument, fetch_ap
from federation.fetch.nodeinfo import learn_software
from federation.fetch.objects import fetch_object

__all__ = [
    "Busy",
    "Gone",
    "Missing",
    "Refused",
    "WrongDocument",
    "fetch_actor",
    "fetch_ap",
    "fetch_object",
    "learn_software",
    "lookup_acct",
]
