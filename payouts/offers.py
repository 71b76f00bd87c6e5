"""Writing agreements: the offer that every instance publishes, and what a creator signs to accept it. Pure."""

from collections.abc import Mapping
from datetime import datetime
from typing import Any, Final

from nacl.signing import SigningKey

from payouts.agreement import CREATOR, NOTICE_DAYS_MIN, Agreement, agreement_id
from payouts.ledger.fields import VERSION, ZERO_HASH
from server.core import proofs

DEFAULT_SHARES: Final[Mapping[str, Mapping[str, int]]] = {
    "contextual": {CREATOR: 650_000, "contributors": 100_000, "operating": 250_000},
    "personal": {CREATOR: 550_000, "contributors": 100_000, "operating": 200_000, "viewers": 150_000},
}
DEFAULT_HOLDS: Final = [
    {"rail": "bank", "days": 14, "rate_millionths": 0},
    {"rail": "card", "days": 120, "rate_millionths": 100_000},
]


def default_offer(origin: str, *, created: str, effective_from: str, prev: str = ZERO_HASH) -> dict[str, Any]:
    """The agreement that every instance publishes: not signed yet. ``prev``: the id of the offer it takes the place of."""
    return draft({
        "kind": "default",
        "origin": origin,
        "scope": "*",
        "prev": prev,
        "created": created,
        "effective_from": effective_from,
        "notice_days": NOTICE_DAYS_MIN,
        "parties": [],
        "shares": _tables(DEFAULT_SHARES),
        "holds": DEFAULT_HOLDS,
        "losses": ["reserve", "operating"],
    })  # fmt: skip


def channel_agreement(
    offer: Agreement,
    *,
    scid: str,
    custody: str,
    created: str,
    effective_from: str,
    shares: Mapping[str, Mapping[str, int]] | None = None,
) -> dict[str, Any]:
    """What a creator signs to accept an offer for her channel (or with other ``shares``): the same terms, her SCID in them."""
    own = {
        table: {scid if to == CREATOR else to: share for to, share in rows.items()}
        for table, rows in (shares or offer.shares).items()
    }  # fmt: skip
    return draft({
        **{name: offer.document[name] for name in ("origin", "notice_days", "holds", "losses")},
        "kind": "channel",
        "scope": scid,
        "prev": offer.id,
        "created": created,
        "effective_from": effective_from,
        "parties": [{"scid": scid, "role": "creator", "custody": custody}],
        "shares": _tables(own),
    })  # fmt: skip


def draft(document: Mapping[str, Any]) -> dict[str, Any]:
    """A document with ``v``, its ``id`` and no proof yet, ready to be signed by each party."""
    whole = {**document, "v": VERSION}
    return {**whole, "id": agreement_id(whole), "proof": []}


def sign(document: Mapping[str, Any], *, key: SigningKey, verification_method: str, created: datetime) -> dict[str, Any]:
    """The document with one more proof. Proofs are kept sorted by verification method."""
    unsigned = {name: value for name, value in document.items() if name not in ("id", "proof")}
    proof = proofs.create_proof(unsigned, key=key, verification_method=verification_method, created=created)
    return {**document, "proof": sorted([*document["proof"], proof], key=lambda one: str(one["verificationMethod"]))}


def _tables(shares: Mapping[str, Mapping[str, int]]) -> dict[str, Any]:
    return {
        table: [{"to": receiver, "share_millionths": share} for receiver, share in sorted(rows.items())]
        for table, rows in shares.items()
    }  # fmt: skip
