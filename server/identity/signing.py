"""What the owner signs beside her key log: payout routes. And the key with which she signs a Move (moverequests.py). Pure."""

import base64
import re
from datetime import datetime
from typing import Any

from cryptography.hazmat.primitives.asymmetric import rsa
from nacl.signing import SigningKey

from server.core import canonical, proofs
from server.identity import moverequests

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


def read_rsa_key(text: str) -> rsa.RSAPrivateKey:
    """The old account's private key in the opened ``keys.sealed``, wherever the PEM stands in it. Raises BadMoveRequests."""
    found = _PEM.search(text.replace("\\n", "\n"))
    return moverequests.load_actor_key(found[0].encode() if found else b"")
