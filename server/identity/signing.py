"""What the owner signs beside her key log: payout routes, and the Move that servers without key logs understand. Pure.

The Move is for the day on which the old home is dead: signed with the old actor's RSA key, which lies sealed in the archive, one
HTTP request for each inbox (T1), or with her ``#user`` key as a FEP-8b32 proof that anybody may relay (T3).
"""

import base64
import hashlib
import re
from datetime import UTC, datetime
from email.utils import format_datetime
from typing import Any
from urllib.parse import urlsplit

from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import padding, rsa
from nacl.signing import SigningKey

from server.core import canonical, proofs
from server.core.errors import Invalid

ACTIVITY_STREAMS = "https://www.w3.org/ns/activitystreams"
DATA_INTEGRITY = "https://w3id.org/security/data-integrity/v1"
COVERED = ("(request-target)", "host", "date", "digest")
_PEM = re.compile(r"-----BEGIN (?:RSA )?PRIVATE KEY-----[\s\S]+?-----END (?:RSA )?PRIVATE KEY-----")


def payout_route(
    *, scid: str, debtor: str, seq: int, sealed: bytes, key: SigningKey, verification_method: str, now: datetime
) -> dict[str, Any]:
    """Where ``debtor`` is to pay: ``sealed`` to its ``#instance-box``, signed by ``#user``. The highest ``seq`` wins."""
    route = {
        "v": 1,
        "scid": scid,
        "debtor": debtor,
        "seq": seq,
        "sealed": base64.b64encode(sealed).decode(),
        "created": canonical.time_text(now),
    }
    proof = proofs.create_proof(route, key=key, verification_method=verification_method, created=now)
    return {**route, "proof": proof}


def move_activity(*, old: str, new: str) -> dict[str, Any]:
    """The Move from the actor ``old`` to ``new``. Its context is a list, to which Mastodon holds a proof's."""
    return {
        "@context": [ACTIVITY_STREAMS, DATA_INTEGRITY],
        "id": f"{old}#moves/{new}",
        "type": "Move",
        "actor": old,
        "object": old,
        "target": new,
        "to": [f"{old}/followers"],
    }


def with_proof(activity: dict[str, Any], *, key: SigningKey, verification_method: str, now: datetime) -> dict[str, Any]:
    """T3: the activity with a FEP-8b32 proof; ``verification_method`` is one that the old actor listed."""
    return {**activity, "proof": proofs.create_proof(activity, key=key, verification_method=verification_method, created=now)}


def read_rsa_key(text: str) -> rsa.RSAPrivateKey:
    """The actor's private key in the opened ``keys.sealed``, wherever the PEM stands in it. Raises Invalid."""
    found = _PEM.search(text.replace("\\n", "\n"))
    try:
        key = serialization.load_pem_private_key(found[0].encode(), None) if found else None
    except ValueError as error:
        raise Invalid("The private key in this file cannot be read.") from error
    if not isinstance(key, rsa.RSAPrivateKey):
        raise Invalid("There is no RSA private key in this file.")
    return key


def signed_request(activity: dict[str, Any], *, inbox: str, key: rsa.RSAPrivateKey, key_id: str, now: datetime) -> dict[str, Any]:
    """T1: the request that carries ``activity`` to one inbox, signed (draft-cavage-http-signatures-12). Good for some hours."""
    parts = urlsplit(inbox)
    body = canonical.jcs(activity)
    values = {
        "(request-target)": f"post {parts.path or '/'}{'?' + parts.query if parts.query else ''}",
        "host": parts.netloc,
        "date": format_datetime(now.astimezone(UTC), usegmt=True),
        "digest": "SHA-256=" + base64.b64encode(hashlib.sha256(body).digest()).decode(),
    }
    message = "\n".join(f"{name}: {values[name]}" for name in COVERED).encode()
    signature = base64.b64encode(key.sign(message, padding.PKCS1v15(), hashes.SHA256())).decode()
    header = f'keyId="{key_id}",algorithm="rsa-sha256",headers="{" ".join(COVERED)}",signature="{signature}"'
    return {
        "method": "POST",
        "url": inbox,
        "headers": {
            "Host": values["host"],
            "Date": values["date"],
            "Digest": values["digest"],
            "Content-Type": "application/activity+json",
            "Signature": header,
        },
        "body": body.decode(),
    }
