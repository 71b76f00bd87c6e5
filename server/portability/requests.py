"""Two small documents that an owner signs with her ``#user`` key. Pure.

``CopyRequest``: "tell me which archive of mine you keep", to one server, good for five minutes.
``ArchiveApproval``: "this archive is mine", for an archive that a home server signed which is gone or not trusted any more.
"""

from collections.abc import Mapping
from datetime import datetime, timedelta
from typing import Any

from nacl.signing import SigningKey

from server.core import canonical, proofs
from server.core.errors import TributaryError
from server.identity import keylog
from server.identity.keylog import PolicyLog
from server.identity.keylog.limits import CLOCK_SKEW_SECONDS

GOOD_SECONDS = 300
_ABOUT = {"CopyRequest": "audience", "ArchiveApproval": "manifest"}


class NotTheOwner(TributaryError):
    """This is not signed by the owner of the identity."""

    code, status, permanent = "not_the_owner", 403, True


def make(kind: str, *, log: PolicyLog, about: str, key: SigningKey, now: datetime) -> dict[str, Any]:
    """A document of ``kind`` about an audience (an origin) or a manifest (its digest), signed with ``#user``."""
    document = {"type": kind, "v": 1, "scid": log.scid, _ABOUT[kind]: about, "created": canonical.time_text(now)}
    method = keylog.read(log.head.entry.state).user_method
    return {**document, "proof": proofs.create_proof(document, key=key, verification_method=method, created=now)}


def check(document: Any, *, kind: str, log: PolicyLog, about: str, now: datetime) -> None:
    """Raises NotTheOwner unless the present ``#user`` key of ``log`` signed exactly this."""
    members = {"type", "v", "scid", _ABOUT[kind], "created", "proof"}
    if not isinstance(document, Mapping) or document.keys() != members:
        raise NotTheOwner("The document has exactly the members of version 1.")
    wanted = {"type": kind, "v": 1, "scid": log.scid, _ABOUT[kind]: about}
    if any(type(document[name]) is not type(value) or document[name] != value for name, value in wanted.items()):
        raise NotTheOwner("The document is about something else.")
    named = keylog.read(log.head.entry.state)
    try:
        created = proofs.plain_created(document["proof"])
        if canonical.time_text(created) != document["created"] or document["proof"]["verificationMethod"] != named.user_method:
            raise NotTheOwner
        public = canonical.multikey_ed25519_decode(named.user.multikey)
        proofs.verify_proof(document, document["proof"], public=public, now=now)
    except (proofs.BadProof, proofs.BadSignature, ValueError) as error:
        raise NotTheOwner(str(error)) from error
    if created > now + timedelta(seconds=CLOCK_SKEW_SECONDS):
        raise NotTheOwner("The document is from the future.")
    if kind == "CopyRequest" and created < now - timedelta(seconds=GOOD_SECONDS):
        raise NotTheOwner("The request is too old.")
