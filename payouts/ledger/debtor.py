"""One debtor's part of a statement, verified rung by rung.

The checkpoint is signed; genesis and every entry stand in its tree; the account chains are whole from seq 1; the latest
accounts root says the same and shows no further account; payouts and holds follow their steps; the agreements are there and
signed.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Final, Protocol

from payouts.ledger.accounts_root import AccountLeaf, check_run
from payouts.ledger.chain import START, Head, Move, check_link, head_after
from payouts.ledger.checkpoint import SignedCheckpoint, open_checkpoint
from payouts.ledger.entries import Entry, parse_entry
from payouts.ledger.errors import (
    AccountLeafMissing,
    AccountLeafStale,
    AccountLeafWrong,
    AgreementMismatch,
    AgreementMissing,
    AgreementUnsigned,
    AgreementUnused,
    CloseBatchCut,
    EntryIdRepeated,
    ForeignEntry,
    LogNotTrusted,
    StatementIncomplete,
    TimeWentBackwards,
    WrongOrigin,
)
from payouts.ledger.merkle import check_inclusion
from payouts.ledger.money import parse_amount
from payouts.ledger.note import Signature
from payouts.ledger.policy import Policy, counted_cosignatures
from payouts.ledger.ranges import check_range
from payouts.ledger.rotation import ROTATE, keys_of_genesis, ledger_key_at
from payouts.ledger.statement import Debtor
from payouts.ledger.steps import ON_THE_WAY, SETTLED, Holds, Payouts
from payouts.ledger.usual import Usual, read_entries

ACCOUNTS_ROOT: Final = "accounts.root"


@dataclass(frozen=True, slots=True)
class Identity:
    """A verified identity log.

    ``version``: its newest versionId; ``keys``: verification method -> Ed25519 key, of all versions.
    """

    scid: str
    custody: str
    version: str
    keys: Mapping[str, bytes]


class Agreement(Protocol):
    """What a checked agreement says."""

    @property
    def id(self) -> str:
        """Its hash."""

    @property
    def origin(self) -> str:
        """The debtor it binds."""

    @property
    def parties(self) -> tuple[str, ...]:
        """The SCIDs that signed."""


# The lines of an identity log -> the identity. Raises BadIdentityLog.
VerifyLog = Callable[[Sequence[bytes]], Identity]
KeyOf = Callable[[str], bytes | None]
# The bytes of an agreement and the keys that are known -> the agreement, and the parties whose proofs could not be checked.
CheckAgreement = Callable[[bytes, KeyOf], tuple[Agreement, tuple[str, ...]]]


@dataclass(frozen=True, slots=True)
class AccountVerdict:
    """One account, in millionths: owed = payable + held; unclaimed waits for a signature. ``seq`` entries tell its story."""

    currency: str
    payable: int
    held: int
    unclaimed: int
    accrued: int
    paid: int
    on_the_way: int
    seq: int


@dataclass(frozen=True, slots=True)
class DebtorVerdict:
    """One debtor, as of the ``accounts.root`` at ``as_of_index``, written at ``as_of``, in the tree of ``size`` entries.

    ``witnesses``: cosignatures that count (other hosts), ``others``: verified signatures that do not (own host, mirrors,
    auditors). ``unchecked``: parties of agreements whose keys this file does not contain.
    """

    origin: str
    as_of_index: int
    as_of: str
    size: int
    accounts: tuple[AccountVerdict, ...]
    witnesses: tuple[Signature, ...]
    others: tuple[Signature, ...]
    unchecked: tuple[str, ...]

    @property
    def witnessed(self) -> bool:
        """Whether anybody but the debtor's own host has seen these books."""
        return bool(self.witnesses)


class DebtorBooks:
    """A verified part: whoever holds one, holds proof. The rungs are climbed in the order of ``__init__``."""

    def __init__(
        self, debtor: Debtor, identity: Identity, file_policy: Policy, policy: Policy | None, check_agreement: CheckAgreement
    ) -> None:
        self.debtor, self.identity = debtor, identity
        genesis = parse_entry(debtor.genesis, origin=debtor.origin, index=0)
        self.keys = keys_of_genesis(genesis)
        runs = [(one.start, one.entries) for one in debtor.ranges]
        self.entries = read_entries(runs, origin=debtor.origin, scid=identity.scid)
        rotations = [entry for entry in self.entries if isinstance(entry, Entry) and entry.type == ROTATE]
        self.ledger_key = ledger_key_at(self.keys, rotations)
        self.signed = self._open_checkpoint(file_policy, policy)
        self._check_places(genesis)
        self._check_order([genesis, *self.entries])
        self.payouts, self.holds = Payouts(), Holds()
        self.accrued: dict[str, int] = {}
        self.heads = self._follow_chains()
        self.root = self._check_accounts_root()
        self.unchecked = self._check_agreements(check_agreement, genesis.body["actor"])

    def _open_checkpoint(self, file_policy: Policy, policy: Policy | None) -> SignedCheckpoint:
        cosigners = set(file_policy.witnesses.values()) | set(policy.witnesses.values() if policy else ())
        signed = open_checkpoint(
            self.debtor.checkpoint,
            origin=self.debtor.origin,
            log_keys=[self.ledger_key],
            cosigners=sorted(cosigners, key=str),
            only_known=True,
        )
        if signed.checkpoint.extensions:
            raise WrongOrigin("a checkpoint of this ledger has three lines")
        if policy is not None:
            if policy.logs and self.ledger_key not in policy.logs:
                raise LogNotTrusted(self.debtor.origin)
            policy.check(signed)
        return signed

    def _check_places(self, genesis: Entry) -> None:
        size, root = self.signed.checkpoint.size, self.signed.checkpoint.root
        check_inclusion(genesis.leaf, 0, size, self.debtor.genesis_proof, root)
        leaves = iter(self.entries)
        for one in self.debtor.ranges:
            check_range([next(leaves).leaf for _ in one.entries], one.start, size, one.proof, root)

    def _check_order(self, entries: Sequence[Entry | Usual]) -> None:
        seen: set[str] = set()
        at = ""
        for entry in entries:
            if entry.at < at:
                raise TimeWentBackwards(f"entry {entry.index}")
            if entry.id in seen:
                raise EntryIdRepeated(f"entry {entry.index}")
            at = entry.at
            seen.add(entry.id)

    def _follow_chains(self) -> dict[str, Head]:
        heads: dict[str, Head] = {}
        for entry in self.entries:
            if isinstance(entry, Usual):
                # It was read against the head that the entries before it gave, and these have passed here.
                heads[entry.key[1]] = entry.after
                if entry.payout:
                    self.payouts.step(entry, entry.payout, seq=entry.after.seq, seq_hi=entry.seq_hi)
                    continue
            else:
                self._follow_links(entry, heads)
                self.payouts.add(entry)
            self.holds.add(entry)
            if entry.type == "accrue":
                self._check_batch(entry)
        return heads

    def _follow_links(self, entry: Entry, heads: dict[str, Head]) -> None:
        scid = self.identity.scid
        links = [link for link in entry.links if link.scid == scid]
        if not links and entry.type not in (ACCOUNTS_ROOT, ROTATE):
            raise ForeignEntry(f"entry {entry.index}, {entry.type}")
        for link in links:
            head = heads.get(link.currency, START)
            move = entry.moves.get((link.scid, link.currency), Move())
            check_link(link, head, move)
            heads[link.currency] = head_after(link, entry.leaf, head, move)

    def _check_batch(self, entry: Entry | Usual) -> None:
        close, batch, currency = entry.body["close"], entry.body["batch"], entry.body["currency"]
        if not close < entry.index <= close + batch < self.signed.checkpoint.size:
            raise CloseBatchCut(f"entry {entry.index} of the close at {close}")
        self.accrued[currency] = self.accrued.get(currency, 0) + parse_amount(entry.body["amount"])

    def _check_accounts_root(self) -> Entry | Usual:
        roots = [entry for entry in self.entries if entry.type == ACCOUNTS_ROOT]
        if len(roots) != 1:
            raise AccountLeafMissing(f"{len(roots)} accounts roots, not the latest alone")
        root = roots[0]
        if any(entry.index > root.index and entry.links for entry in self.entries):
            raise AccountLeafStale
        leaves = check_run(self.debtor.run, self.identity.scid, root=bytes.fromhex(root.body["root"]), count=root.body["count"])
        for leaf in leaves:
            self._check_leaf(leaf, self.heads.get(leaf.currency, START))
        if missing := self.heads.keys() - {leaf.currency for leaf in leaves}:
            raise AccountLeafMissing(min(missing))
        return root

    def _check_leaf(self, leaf: AccountLeaf, head: Head) -> None:
        if head.seq < leaf.seq:
            raise StatementIncomplete(f"{leaf.currency}: seq {leaf.seq}, but the entries end at {head.seq}")
        if head.seq > leaf.seq:
            raise AccountLeafStale(f"{leaf.currency}: seq {leaf.seq}, but the entries end at {head.seq}")
        if (leaf.balance, leaf.held) != (head.balance, head.held):
            raise AccountLeafWrong(f"{leaf.currency}: {leaf.balance} and {leaf.held}")

    def _check_agreements(self, check_agreement: CheckAgreement, actor: str) -> tuple[str, ...]:
        keys = {**self.identity.keys, f"{actor}#instance-1": self.keys.instance}
        known: dict[str, Agreement] = {}
        unchecked: set[str] = set()
        for data in self.debtor.agreements:
            agreement, parties = check_agreement(data, keys.get)
            if agreement.origin != self.debtor.origin:
                raise WrongOrigin(f"an agreement of {agreement.origin}")
            if self.identity.scid in parties:
                raise AgreementUnsigned("signed with a key that is not in the identity log")
            known[agreement.id] = agreement
            unchecked.update(parties)
        if list(known) != sorted(known) or len(known) != len(self.debtor.agreements):
            raise AgreementUnused("agreements are not sorted by id, or one stands twice")
        used: set[str] = set()
        for entry in self.entries:
            if entry.type in ("accrue", "claim"):
                used |= self._check_terms(entry, known)
        if known.keys() - used:
            raise AgreementUnused
        return tuple(sorted(unchecked))

    def _check_terms(self, entry: Entry | Usual, known: Mapping[str, Agreement]) -> set[str]:
        """The agreements that an entry rests on; payable money needs one that the identity signed."""
        ids: list[str] = entry.body["agreements"] if entry.type == "accrue" else [entry.body["agreement"]]
        if not known.keys() >= set(ids):
            raise AgreementMissing(f"entry {entry.index}")
        own = [self.identity.scid in known[one].parties for one in ids]
        move = entry.moves[self.identity.scid, entry.body["currency"]]
        if (move.payable > 0 and not any(own)) or (move.unclaimed > 0 and all(own)):
            raise AgreementMismatch(f"entry {entry.index}")
        return set(ids)

    def verdict(self) -> DebtorVerdict:
        """What these books prove."""
        witnesses = counted_cosignatures(self.signed)
        return DebtorVerdict(
            origin=self.debtor.origin,
            as_of_index=self.root.index,
            as_of=self.root.at,
            size=self.signed.checkpoint.size,
            accounts=tuple(self._account(currency, head) for currency, head in sorted(self.heads.items())),
            witnesses=witnesses,
            others=tuple(one for one in self.signed.note.signatures if one not in witnesses and one.key != self.ledger_key),
            unchecked=self.unchecked,
        )

    def _account(self, currency: str, head: Head) -> AccountVerdict:
        return AccountVerdict(
            currency=currency,
            payable=head.balance,
            held=head.held,
            unclaimed=head.unclaimed,
            accrued=self.accrued.get(currency, 0),
            paid=self.payouts.total([SETTLED], currency),
            on_the_way=self.payouts.total(ON_THE_WAY, currency),
            seq=head.seq,
        )
