"""Reading the books: what an identity earned, who owes it, what this ledger is called."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from django.conf import settings

from payouts import instance_keys, store
from payouts.ledger import canonical
from payouts.ledger.entries import parse_entry
from payouts.ledger.money import parse_amount
from payouts.models import Acceptance, AccountHead, Dispute, EntryOfAccount, LogEntry, PeerAgreement, PeerClaim, SignedHead
from payouts.store import DiskTiles

FORKED = "forked"
LINES_BYTES_MAX = 64 * 1024 * 1024


@dataclass(frozen=True)
class Line:
    """What one work earned under one agreement, in millionths."""

    work: str
    agreement: str
    amount: int


@dataclass(frozen=True)
class Earning:
    """One accrual: what a period brought. ``unclaimed`` is the part of ``amount`` that waits for a signature."""

    index: int
    at: datetime
    period: str
    currency: str
    amount: int
    unclaimed: int
    lines: tuple[Line, ...]


@dataclass(frozen=True)
class Claim:
    """What one instance owes an identity: by our own books, or by a statement of a peer that we verified."""

    debtor: str
    is_ours: bool
    currency: str
    payable: int
    held: int
    unclaimed: int
    as_of_index: int | None
    as_of: datetime | None
    witnesses: tuple[str, ...]
    checked_at: datetime | None
    # An error of the debtor's log since then, by name: the claim stands, but its books are in doubt.
    doubt: str = ""
    # When its agreement was signed; None as long as it was not.
    signed_at: datetime | None = None

    @property
    def owed(self) -> int:
        """Payable and held."""
        return self.payable + self.held

    @property
    def is_forked(self) -> bool:
        """Did the debtor sign two histories? Nothing is signed for it then."""
        return self.doubt == FORKED


def earnings(scid: str) -> list[Earning]:
    """What the periods of this instance brought to ``scid``, newest first."""
    touches = EntryOfAccount.objects.filter(scid=scid, entry__type="accrue").select_related("entry").order_by("-entry_id")
    return [_earning(touch) for touch in touches]


def claims(scid: str) -> list[Claim]:
    """What every debtor owes ``scid``: this instance, then peers whose statements were verified."""
    heads = AccountHead.objects.filter(scid=scid).order_by("currency")
    root = LogEntry.objects.filter(type="accounts.root").order_by("-index").first()
    names = _cosigners()
    accepted = Acceptance.objects.filter(scid=scid).order_by("-id").first()
    signed = {one.peer_id: one.signed_at for one in signed_with_others(scid)}
    ours = [
        Claim(
            debtor=instance_keys.origin(), is_ours=True, currency=head.currency, payable=head.balance, held=head.held,
            unclaimed=head.unclaimed, as_of_index=root.index if root else None, as_of=root.at if root else None,
            witnesses=names, checked_at=None, signed_at=accepted.at if accepted else None,
        )
        for head in heads
    ]  # fmt: skip
    disputed = set(Dispute.objects.values_list("origin", flat=True))
    theirs = [
        Claim(
            debtor=claim.peer.origin, is_ours=False, currency=claim.currency, payable=claim.balance, held=claim.held,
            unclaimed=claim.unclaimed, as_of_index=claim.as_of_index, as_of=claim.as_of,
            witnesses=tuple(claim.witnesses.split()), checked_at=claim.checked_at,
            doubt=FORKED if claim.peer.forked_at else "disputed" if claim.peer.origin in disputed else claim.peer.error,
            signed_at=signed.get(claim.peer_id),
        )
        for claim in PeerClaim.objects.filter(scid=scid).select_related("peer").order_by("peer__origin", "currency")
    ]  # fmt: skip
    return [*ours, *theirs]


def signed_with_others(scid: str) -> list[PeerAgreement]:
    """What ``scid`` signed with other instances from here, the oldest first."""
    return list(PeerAgreement.objects.filter(scid=scid).select_related("peer").order_by("pk"))


def account_entries(scid: str) -> Sequence[EntryOfAccount]:
    """Every entry that touched the accounts of ``scid``, newest first, with the entry itself."""
    return EntryOfAccount.objects.filter(scid=scid).select_related("entry").order_by("-entry_id")  # type: ignore[return-value]


def names_identity(scid: str) -> bool:
    """Does our log owe this identity something, or did it ever?"""
    return AccountHead.objects.filter(scid=scid).exists()


def describe_ledger() -> dict[str, Any] | None:
    """What NodeInfo tells others so that they can follow our log; None before it has begun. Reads only."""
    if not SignedHead.objects.exists():
        return None
    # The genesis, not the key store, says what the key of this log is.
    genesis = parse_entry(bytes(LogEntry.objects.get(index=0).data))
    return {"origin": genesis.origin, "url": f"{settings.ORIGIN}/ledger/1", "vkey": genesis.body["ledger"]}


def tile_file(path: str) -> bytes:
    """A tile or bundle below the signed size. Raises BadTilePath, BadTile: what nobody signed is not shown."""
    return DiskTiles.published(path, store.read_head().size)


def _earning(touch: EntryOfAccount) -> Earning:
    body = parse_entry(bytes(touch.entry.data)).body
    rows = canonical.decode(store.read_blob(body["lines"], public=True), bytes_max=LINES_BYTES_MAX)
    return Earning(
        index=touch.entry_id,
        at=touch.entry.at,
        period=body["period"],
        currency=touch.currency,
        amount=parse_amount(body["amount"]),
        unclaimed=touch.unclaimed,
        lines=tuple(Line(row["work"], row["agreement"], parse_amount(row["amount"])) for row in rows),
    )


def _cosigners() -> tuple[str, ...]:
    head = SignedHead.objects.exclude(cosignatures="").order_by("-size").first()
    lines = head.cosignatures.splitlines() if head else []
    return tuple(line.split(" ")[1] for line in lines)
