"""Money that comes in, with evidence; and what an advertiser has left of it."""

import re

from payouts import log, periods, store
from payouts.ledger.entries import Draft, Entry
from payouts.ledger.errors import LedgerError
from payouts.ledger.money import AMOUNT_MAX, account, format_amount, parse_amount
from payouts.models import Balance, Period
from server.core.errors import Invalid

EVIDENCE_BYTES_MAX = 5 * 1024 * 1024
_ID = re.compile(r"[0-9a-f]{32}")


def fund_advertiser(  # noqa: PLR0913 (what an entry says)
    *,
    advertiser: str,
    currency: str,
    gross: int,
    fee: int,
    source: str,
    reference: str,
    evidence: bytes,
    by: str,
    id: str,  # noqa: A002 (the word of the format)
) -> Entry:
    """Write what an advertiser paid in: ``gross`` millionths over the rail ``source``, which kept ``fee`` of them.

    ``evidence`` (a bank statement, an invoice) stays with the staff, its SHA-256 in the log; ``id`` (32 hex digits) makes a
    repeated wish harmless; ``by`` says in the evidence's note who entered it. Raises Invalid, Conflict for an id that stands
    with another content.
    """
    if not 0 < gross <= AMOUNT_MAX or not 0 <= fee < gross:
        raise Invalid("The amount must be above zero, and the fee below the amount.", field="gross")
    if not evidence or len(evidence) > EVIDENCE_BYTES_MAX:
        raise Invalid(f"Evidence is needed, at most {EVIDENCE_BYTES_MAX} bytes.", field="evidence")
    if not _ID.fullmatch(id):
        raise Invalid("An id has 32 hexadecimal digits.", field="id")
    net = gross - fee
    body = {
        "source": source, "currency": currency, "gross": format_amount(gross), "fee": format_amount(fee),
        "net": format_amount(net), "reference": reference, "evidence": store.put_blob(evidence, public=False),
    }  # fmt: skip
    try:
        postings = {
            account("A:cash", currency, source): net,
            account("L:advertiser", currency, advertiser): -net,
        }  # fmt: skip
        (entry,) = log.append([Draft("revenue", id, body, postings)])
    except LedgerError as error:
        raise Invalid(f"{error.code}: {error}") from error
    return entry


def balance(*, advertiser: str, currency: str) -> int:
    """Millionths that were paid in and are neither charged nor promised to a planned period.

    Impressions that no period has counted yet are not taken off. While a close is under way it may say too little.
    """
    row = Balance.objects.filter(name=account("L:advertiser", currency, advertiser)).first()
    return (-row.amount if row else 0) - _promised(advertiser, currency)


def _promised(advertiser: str, currency: str) -> int:
    plans = map(periods.read_plan, Period.objects.filter(currency=currency).exclude(state="closed"))
    return sum(parse_amount(one["amount"]) for plan in plans for one in plan["charges"] if one["advertiser"] == advertiser)
