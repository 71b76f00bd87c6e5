"""ML-DSA-44 for notes, by OpenSSL: what a program that knows it gives to ``open_note``, in the slot that the core leaves.

Nothing of ours asks such a witness yet: the offline verifier runs with PyNaCl alone.
"""

from collections.abc import Mapping
from typing import Final

from cryptography.exceptions import InvalidSignature, UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric.mldsa import MLDSA44PublicKey

from payouts.ledger.errors import BadSignature
from payouts.ledger.mldsa import verifier
from payouts.ledger.note import ML_DSA_44, Verifier


def verify(public: bytes, message: bytes, signature: bytes) -> None:
    """Refuse unless ``signature`` is the key's over ``message``. Raises BadSignature."""
    try:
        MLDSA44PublicKey.from_public_bytes(public).verify(signature, message)
    except (InvalidSignature, UnsupportedAlgorithm, ValueError) as error:
        raise BadSignature from error


VERIFIERS: Final[Mapping[int, Verifier]] = {ML_DSA_44: verifier(verify)}
