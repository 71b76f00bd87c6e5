"""Every reason for which the ledger refuses something, each with a stable ``code`` (the class name in snake_case).

The codes are part of the formats: refusal vectors, verdicts and reference pages name them.
"""

import re


class LedgerError(Exception):
    """Base of all refusals. ``code`` is stable; the message is for people and may name the place."""

    code = "ledger_error"

    def __init_subclass__(cls) -> None:
        cls.code = re.sub(r"(?<!^)(?=[A-Z])", "_", cls.__name__).lower()

    def __init__(self, message: str = "") -> None:
        super().__init__(message or (type(self).__doc__ or "").strip())


# Canonical JSON (canonical.py).


class TooLarge(LedgerError):
    """There are more bytes than the limit."""


class NotUtf8(LedgerError):
    """The bytes are not UTF-8, or a string holds half a surrogate pair."""


class NotJson(LedgerError):
    """The bytes are not one JSON value, or the value is none that JSON has."""


class TooDeep(LedgerError):
    """Objects and lists are nested deeper than six."""


class DuplicateKey(LedgerError):
    """An object names the same member twice."""


class NonAsciiKey(LedgerError):
    """A member name is not ASCII."""


class NotNfc(LedgerError):
    """A string is not in Unicode normalisation form C."""


class FloatRefused(LedgerError):
    """A number has a fraction or an exponent."""


class IntegerTooLarge(LedgerError):
    """An integer is outside of plus and minus 2^53 - 1."""


class NotCanonical(LedgerError):
    """The bytes are not the canonical encoding of their value."""


# Documents of any kind.


class MissingMember(LedgerError):
    """A member is missing."""


class UnknownMember(LedgerError):
    """A member is unknown."""


class UnknownVersion(LedgerError):
    """``v`` is not 1."""


class BadMember(LedgerError):
    """A member does not have the form its page asks."""


class BadTime(LedgerError):
    """A time is not a real one of the form YYYY-MM-DDTHH:MM:SSZ."""


class BadBase64(LedgerError):
    """A text is not canonical base64."""


# Money (money.py).


class BadAmount(LedgerError):
    """An amount is not a decimal string of at most 18 digits."""


class BadAccount(LedgerError):
    """An account name does not have the form ``L:payee:<scid>#EUR/6``."""


class UnknownAccount(LedgerError):
    """An account name begins with a kind that this version does not know."""


# Entries (entries.py, bodies.py, chain.py).


class EntryTooLarge(LedgerError):
    """An entry has more than 4 KiB."""


class BadOrigin(LedgerError):
    """An origin does not have the form ``<host>/ledger/<n>``."""


class BadIndex(LedgerError):
    """An index is not a whole number from 0, or not the entry's place in the log."""


class UnknownType(LedgerError):
    """The entry type is unknown."""


class BadEntryId(LedgerError):
    """An entry id is not 32 lower-case hex digits."""


class BadBody(LedgerError):
    """The body of an entry is not what its type asks."""


class BadPosting(LedgerError):
    """A posting is not a pair of account and non-zero amount."""


class PostingsUnsorted(LedgerError):
    """Postings are not sorted by account, or name an account twice."""


class PostingsUnbalanced(LedgerError):
    """The postings of an entry do not sum to zero in every currency."""


class PostingNotAllowed(LedgerError):
    """An entry of this type must not touch this account."""


class AmountMismatch(LedgerError):
    """The postings of an entry do not say what its body says."""


class AccountsUnsorted(LedgerError):
    """Account links are not sorted by (scid, currency), or name an account twice."""


class AccountLinkMissing(LedgerError):
    """An entry touches an account without its link in ``accounts``."""


class AccountLinkUnexpected(LedgerError):
    """An entry has a link for an account that it does not touch."""


class AccountSequenceBroken(LedgerError):
    """An account's ``seq`` does not follow the one before: an entry is missing or doubled."""


class AccountChainBroken(LedgerError):
    """An account's ``prev`` is not the leaf hash of the account's entry before."""


class AccountBalanceWrong(LedgerError):
    """``balance_after`` or ``held_after`` is not what the postings give."""


class AccountOverdrawn(LedgerError):
    """A payee's account would fall below zero."""


class TimeWentBackwards(LedgerError):
    """An entry is older than the entry before it."""


class EntryIdRepeated(LedgerError):
    """Two entries have the same id."""


class CloseBatchCut(LedgerError):
    """A checkpoint ends inside the batch of a close, or the batch is not what the close announced."""


# Trees (merkle.py, tiles.py).


class BadHash(LedgerError):
    """A hash does not have 32 bytes."""


class BadTreeSize(LedgerError):
    """A tree size, an index or a range is impossible."""


class ProofTooShort(LedgerError):
    """A proof has fewer hashes than it needs."""


class ProofTooLong(LedgerError):
    """A proof has more hashes than it needs."""


class RootMismatch(LedgerError):
    """A proof does not lead to the root."""


class BadTile(LedgerError):
    """A tile or an entry bundle does not have the form or the length its place asks."""


class BadTilePath(LedgerError):
    """A tile path does not have the form of C2SP tlog-tiles."""


# Keys and notes (ed25519.py, note.py, checkpoint.py, cosignature.py, policy.py).


class BadKey(LedgerError):
    """A public key is not a canonical point of prime order, or a verifier key is not well formed."""


class UnsupportedAlgorithm(LedgerError):
    """A verifier key has an algorithm that this verifier does not have."""


class BadSignature(LedgerError):
    """A signature is not one by this key over these bytes, or is not canonical."""


class MalformedNote(LedgerError):
    """A signed note is not well formed."""


class NoKnownSignature(LedgerError):
    """A note carries no signature of a known key."""


class UnknownSignature(LedgerError):
    """A note carries a signature of a key that the document does not name."""


class DuplicateSignature(LedgerError):
    """A note carries two signatures of the same key."""


class MalformedCheckpoint(LedgerError):
    """The text of a checkpoint is not well formed."""


class WrongOrigin(LedgerError):
    """A checkpoint or an entry is of another log."""


class MalformedPolicy(LedgerError):
    """A witness policy is not well formed."""


class QuorumNotMet(LedgerError):
    """A checkpoint does not have the cosignatures that the policy asks."""


class MalformedTlogProof(LedgerError):
    """A tlog-proof is not well formed."""


# Following a log, convicting it, rotating its key (follower.py, fork.py, rotation.py).


class WentBackwards(LedgerError):
    """A checkpoint is smaller than one already seen."""


class Inconsistent(LedgerError):
    """A checkpoint is not proven to extend the one already seen."""


class NotAFork(LedgerError):
    """Two checkpoints do not contradict each other, or not provably."""


class BadRotation(LedgerError):
    """A key rotation is not signed by the root, the old and the new key, or does not follow the key in use."""


class BadPayoutId(LedgerError):
    """A payout id is not the one its account and sequence number give."""


class HoldBroken(LedgerError):
    """A release is of no hold, of more than was held, or comes before its time."""


class PayoutOutOfOrder(LedgerError):
    """A step of a payout does not follow the step before it, or is about another amount, rail or account."""


# A whole log, entry by entry (replay.py).


class GenesisMisplaced(LedgerError):
    """A log does not begin with its genesis, or has a second one."""


class LiabilityOverdrawn(LedgerError):
    """Money leaves an account of the instance that does not have it: a campaign, a pool, money on its way."""


class AgreementNotAnnounced(LedgerError):
    """An entry rests on an agreement that the log has not announced before."""


class CloseOutputsWrong(LedgerError):
    """The accruals of a close are not those of its amount or of its outputs root."""


class AccountsRootWrong(LedgerError):
    """An accounts root is not that of the accounts at its place in the log."""


# Statements (accounts_root.py, statement.py) and agreements.


class StatementDamaged(LedgerError):
    """The gzip container of a statement is not the one of the format, or its bytes were changed."""


class MalformedStatement(LedgerError):
    """A statement is not well formed."""


class WrongScid(LedgerError):
    """The identity log, a leaf or an entry belongs to another identity."""


class BadIdentityLog(LedgerError):
    """The identity log of a statement does not verify."""


class RangesUnsorted(LedgerError):
    """Ranges are empty, out of order, overlapping, or touch without being one."""


class ForeignEntry(LedgerError):
    """A statement contains an entry that says nothing about this account."""


class AccountLeafMissing(LedgerError):
    """A statement comes without its account's leaf of the latest accounts root."""


class AccountLeafStale(LedgerError):
    """A statement shows entries that are newer than its account leaf."""


class AccountLeafWrong(LedgerError):
    """An account leaf does not say what the entries say."""


class AccountsTreeUnsorted(LedgerError):
    """The leaves of an accounts tree are not sorted by (scid, currency)."""


class AccountRunIncomplete(LedgerError):
    """The leaves shown do not prove that all accounts of the identity are there."""


class StatementIncomplete(LedgerError):
    """Entries of the account are missing from the statement."""


class LogNotTrusted(LedgerError):
    """The reader's policy names logs, and this one is not among them."""


class PolicyNotExact(LedgerError):
    """The policy in a statement does not say exactly who signed."""


class AgreementMissing(LedgerError):
    """An accrual names an agreement that the statement does not contain."""


class AgreementMismatch(LedgerError):
    """An accrual is payable without an agreement that the identity signed, or unclaimed although it signed all of them."""


class AgreementUnused(LedgerError):
    """A statement contains an agreement that no accrual names."""


class BadAgreement(LedgerError):
    """An agreement is not well formed."""


class BadAgreementId(LedgerError):
    """The id of an agreement is not the hash of its text."""


class SharesDoNotSum(LedgerError):
    """The shares of an agreement do not sum to 1,000,000."""


class AgreementUnsigned(LedgerError):
    """A party of an agreement has not signed it."""


class AgreementProofUnexpected(LedgerError):
    """A proof of an agreement is of nobody who is a party, or the second of the same party."""


# Settlement (splits.py).


class UnknownAlgorithm(LedgerError):
    """No settlement function has this id and code hash."""


class BadSettlementInput(LedgerError):
    """The input of a settlement is not what its function asks."""


class SharesLost(LedgerError):
    """A settlement's parts do not make the whole."""
