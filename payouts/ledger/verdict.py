"""The judgement on a statement: who owes what to whom, as of when, and who saw the same books. Or the one reason why not."""

from dataclasses import dataclass

from payouts.ledger.debtor import CheckAgreement, DebtorBooks, DebtorVerdict, VerifyLog
from payouts.ledger.errors import PolicyNotExact, WrongScid
from payouts.ledger.policy import Policy, exact_policy, parse_policy
from payouts.ledger.statement import parse_statement


@dataclass(frozen=True, slots=True)
class Verdict:
    """What a statement proves."""

    scid: str
    custody: str
    version: str
    debtors: tuple[DebtorVerdict, ...]


def verify(data: bytes, *, verify_log: VerifyLog, check_agreement: CheckAgreement, policy: Policy | None = None) -> Verdict:
    """The verdict on a statement's file. Every changed byte raises a LedgerError whose ``code`` names the reason.

    ``policy``: the reader's own; without it the keys are those the file names, and the cosignatures are told, not asked for.
    """
    statement = parse_statement(data)
    identity = verify_log(statement.identity)
    if identity.scid != statement.scid:
        raise WrongScid(f"the log is of {identity.scid}")
    file_policy = parse_policy(statement.policy.encode())
    books = [DebtorBooks(debtor, identity, file_policy, policy, check_agreement) for debtor in statement.debtors]
    if exact_policy([one.ledger_key for one in books], [one.signed for one in books]) != statement.policy:
        raise PolicyNotExact
    return Verdict(identity.scid, identity.custody, identity.version, tuple(one.verdict() for one in books))
