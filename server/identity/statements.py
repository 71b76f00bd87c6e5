"""Identity proofs (FEP-c390): a key says which actor is its holder's. Two actors of whom one key says so are one person. Pure.

Servers that know no key logs link the actors of a move by these (FEP-7628). The subject is the did:key of ``#user``.
"""

from collections.abc import Iterable, Mapping
from datetime import datetime
from typing import Any

from nacl.signing import SigningKey

from server.core import canonical, proofs
from server.identity.keylog import multikey_of

TYPE = "VerifiableIdentityStatement"
_PREFIX = "did:key:"


def make_statement(*, key: SigningKey, actor: str, now: datetime) -> dict[str, Any]:
    """The statement of the ``#user`` key that ``actor`` is its holder's, for the ``attachment`` of that actor."""
    subject = f"{_PREFIX}{multikey_of(key)}"
    statement = {"type": TYPE, "subject": subject, "alsoKnownAs": actor}
    return {**statement, "proof": proofs.create_proof(statement, key=key, verification_method=subject, created=now)}


def check_statement(statement: Mapping[str, Any], *, actor: str, now: datetime) -> str:
    """The subject (did:key) of a statement about ``actor``. Raises BadSignature, BadProof for one that proves nothing about her.

    Source: FEP-c390, "Proof verification". The document may hold more; it is signed as it is.
    """
    subject, proof = statement.get("subject"), statement.get("proof")
    if statement.get("type") != TYPE or not isinstance(subject, str) or not isinstance(proof, Mapping):
        raise proofs.BadProof("this is no identity proof")
    if statement.get("alsoKnownAs") != actor or proof.get("verificationMethod") != subject:
        raise proofs.BadProof("the identity proof is for another actor, or by another key than its subject")
    try:
        public = canonical.multikey_ed25519_decode(subject.removeprefix(_PREFIX))
    except ValueError as error:
        raise proofs.BadProof("the subject of an identity proof must be the did:key of an Ed25519 key") from error
    proofs.verify_proof(statement, proof, public=public, now=now)
    return subject


def valid(attachments: Iterable[Any], *, actor: str, now: datetime) -> list[Mapping[str, Any]]:
    """Of what is attached to ``actor`` the valid identity proofs about her; all else is passed over (FEP-c390: discarded)."""
    found = []
    for each in attachments:
        if not isinstance(each, Mapping) or each.get("type") != TYPE:
            continue
        try:
            check_statement(each, actor=actor, now=now)
        except (proofs.BadProof, proofs.BadSignature):
            continue
        found.append(each)
    return found
