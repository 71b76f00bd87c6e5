"""What an entry says, in words for people. Pure: the log's own names in, sentences and labels out.

A member that has no label here is shown under its own name, so a new type of entry is shown before anybody described it.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Final

from payouts.ledger.money import in_units

TEXT, MONEY, ENTRY, BLOB, HASH, TIME = "text", "money", "entry", "blob", "hash", "time"

# Type -> its name for people, and what such an entry does.
TYPES: Final[Mapping[str, tuple[str, str]]] = {
    "genesis": ("The ledger begins", "Names the keys of this instance and the rules of its books. Everything later rests on it."),
    "key.rotate": ("A key changes", "Another key signs the ledger from here on; the root, the old and the new key agree."),
    "policy.witness": ("Witness policy", "Says which witnesses count, and how many of them are enough."),
    "shutdown": ("Shutdown", "This instance announces that it will end."),
    "will": ("Will", "Says who takes over when this instance is gone."),
    "redact": ("A blob is erased", "A published file was erased; its hash stays, so that nobody can put another in its place."),
    "audit.dispute": ("Dispute", "This instance says that the ledger of another one broke a rule, with a signed document."),
    "identity": ("An identity", "From here on the ledger knows this version of an identity's key log."),
    "agreement": ("Agreement", "Terms for sharing money, signed by all parties; the file is named by its hash."),
    "revenue": ("Money comes in", "An advertiser paid; the money is kept for its campaigns."),
    "refund": ("Money goes back", "Money that was paid in was given back."),
    "ops.cost": ("Operating cost", "A published cost of running this instance was paid."),
    "meter": ("A period is counted", "How many views and impressions the period had. Nobody who watched is named."),
    "charge": ("An advertiser is charged", "Billable impressions of a campaign were paid from what its advertiser had paid in."),
    "close": ("A period is shared", "The money of a period is shared by a published algorithm; anyone can compute it again."),
    "accrue": ("A share", "What one identity gets from the close of a period."),
    "hold": ("Held back", "A part of what is owed is kept back for a stated reason."),
    "release": ("Set free", "What was held back is payable again."),
    "clawback": ("Taken back", "Money that should not have been shared is taken back, with a reason that can be appealed."),
    "appeal": ("Appeal", "An identity asks for a decision to be looked at again."),
    "ruling": ("Ruling", "What became of an appeal."),
    "claim": ("Signed and claimed", "An identity signed the terms: what waited for its signature is payable."),
    "unclaimed.return": ("Returned to the pool", "A share that nobody claimed in time goes back to the pool."),
    "payout.intent": ("A payout begins", "The amount leaves the account and is on its way."),
    "payout.sent": ("A payout is sent", "The payment was handed to the bank or payment service."),
    "payout.settled": ("A payout has arrived", "The payment is final."),
    "payout.failed": ("A payout failed", "The payment came back; the amount is owed again."),
    "accounts.root": ("All accounts", "Commits to the balance of every account, so that a statement can prove it is complete."),
    "usage.root": ("Use of data", "Commits to how data was used on a day, without showing it."),
    "attest.solvency": ("Solvency", "Says what is owed in all and what is there to pay it."),
}  # fmt: skip

LABELS: Final[Mapping[str, str]] = {
    "scid": "Identity", "origin": "Ledger", "index": "Entry there", "size": "Size of that ledger",
    "rule": "Rule that was broken", "evidence": "Evidence", "currency": "Currency", "amount": "Amount", "gross": "Paid in",
    "fee": "Kept by the payment service", "net": "Left of it", "source": "How", "reference": "Reference", "period": "Period",
    "campaign": "Campaign", "impressions": "Billable impressions", "price_per_thousand": "Price for a thousand",
    "pool": "Pool", "algorithm": "Algorithm", "code": "Hash of its code", "entries": "Money came in by", "inputs": "Inputs",
    "outputs": "Root over the shares", "carry": "Carried to the next period", "accruals": "Shares", "close": "Close",
    "batch": "Shares in this close", "lines": "Work by work", "agreements": "Under agreements", "agreement": "Agreement",
    "blob": "File", "kind": "Kind", "prev": "Replaces", "effective_from": "In force from", "works": "Counts by work",
    "views_root": "Root over the views", "qualified": "Views that count", "sessions": "Sessions", "rejected": "Not counted",
    "root": "Root", "count": "Accounts", "version": "Version of its key log", "reason": "Reason", "until": "Until",
    "hold": "Held by", "about": "About", "deadline": "Deadline", "appeal": "Appeal", "outcome": "Outcome",
    "since": "Waiting since", "payout": "Payout", "rail": "By", "route": "Hash of the sealed route",
    "seq_hi": "Up to sequence number", "document": "Document", "what": "What for", "day": "Day", "liabilities": "Owed in all",
    "reserves": "There to pay it", "policy": "Policy", "old": "Old key", "new": "New key", "ledger": "Ledger key",
    "witness": "Witness key", "auditor": "Auditor key", "mirror": "Mirror key", "instance": "Instance key", "box": "Box key",
    "actor": "Actor", "currencies": "Currencies", "calendar": "Calendar", "rounding": "Rounding", "retention": "Kept",
    "root_signature": "Signature of the root", "old_signature": "Signature of the old key",
    "new_signature": "Signature of the new key",
}  # fmt: skip

# Kind of account -> its name for people (money.KINDS).
ACCOUNTS: Final[Mapping[str, str]] = {
    "A:cash": "In the till", "A:peer": "Owed to us by another instance", "L:payee": "Payable to an identity",
    "L:hold": "Held back for an identity", "L:unclaimed": "Waits for an identity's signature",
    "L:transit": "On its way to payees", "L:pool": "Pool of a period", "L:viewers": "Viewers' share",
    "L:contributors": "Contributors' share", "L:advertiser": "Paid in by an advertiser", "L:peer": "Owed to another instance",
    "L:tax": "Tax", "L:ops": "Operating share", "E:reserve": "Reserve", "X:psp-fee": "Fees of payment services",
    "X:refund": "Refunds",
}  # fmt: skip

_MONEY = frozenset({
    "amount", "gross", "fee", "net", "price_per_thousand", "carry", "liabilities", "reserves",
})  # fmt: skip
_TIMES = frozenset({"until", "deadline", "effective_from"})
_HASHES = frozenset({"code", "outputs", "views_root", "root", "route", "agreement", "agreements", "prev", "document"})
# What is published beside the log; the evidence of money that came in or went out stays with the staff.
_BLOBS = frozenset({
    ("agreement", "blob"), ("close", "inputs"), ("accrue", "lines"), ("meter", "works"), ("charge", "evidence"),
    ("accounts.root", "blob"), ("audit.dispute", "evidence"), ("redact", "blob"), ("will", "document"),
})  # fmt: skip
_ENTRIES = frozenset({"close", "entries", "hold", "about", "appeal", "since"})


@dataclass(frozen=True, slots=True)
class Said:
    """One thing that an entry says. ``kind`` tells how to show ``value``: a BLOB is a SHA-256, an ENTRY an index of this log."""

    name: str
    label: str
    kind: str
    value: str


def title(type_name: str) -> str:
    """What an entry of this type is called for people."""
    return TYPES.get(type_name, (type_name, ""))[0]


def sentence(type_name: str) -> str:
    """What such an entry does; empty for a type that nobody described."""
    return TYPES.get(type_name, ("", ""))[1]


def account_words(kind: str) -> str:
    """What a kind of account is, for people."""
    return ACCOUNTS.get(kind, kind)


def said(type_name: str, body: Mapping[str, Any]) -> Iterator[Said]:
    """The members of a body, each as often as it has values, empty ones left out."""
    currency = str(body.get("currency", ""))
    for name, value in body.items():
        label, kind = LABELS.get(name, name), _kind_of(type_name, name)
        for one in value if isinstance(value, list) else [value]:
            text = _text(one, kind, currency)
            if text:
                yield Said(name, label, kind, text)


def _kind_of(type_name: str, name: str) -> str:
    if (type_name, name) in _BLOBS:
        return BLOB
    if name == "root" and type_name == "genesis":
        return TEXT
    kinds = ((_MONEY, MONEY), (_TIMES, TIME), (_HASHES, HASH), (_ENTRIES, ENTRY))
    return next((kind for names, kind in kinds if name in names), HASH if name == "evidence" else TEXT)


def _text(value: Any, kind: str, currency: str) -> str:
    if kind == MONEY:
        return f"{in_units(int(value))} {currency}".strip()
    # A tally: a reason, and how often it was the reason.
    return " ".join(map(str, value)) if isinstance(value, list) else str(value)
