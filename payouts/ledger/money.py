"""Money as whole millionths of a currency unit, and the names of the accounts it moves between."""

import re
from functools import lru_cache
from typing import Final, NamedTuple

from payouts.ledger.errors import BadAccount, BadAmount, UnknownAccount

UNIT: Final = 1_000_000
AMOUNT_MAX: Final = 10**18 - 1

CURRENCY: Final = r"[A-Z]{3}"
SCID: Final = r"Qm[1-9A-HJ-NP-Za-km-z]{44}"
PERIOD: Final = r"[0-9]{4}-[0-9]{2}(?:-[0-9]{2})?(?:\.[1-9][0-9]{0,2})?"
ORIGIN: Final = r"[a-z0-9](?:[a-z0-9.-]{0,251}[a-z0-9])?(?::[1-9][0-9]{0,4})?/ledger/[1-9][0-9]{0,3}"
NAME: Final = r"[a-z0-9](?:[a-z0-9_.-]{0,62}[a-z0-9])?"

# Kind -> what stands after it. A = asset, L = liability, E = equity, X = expense.
KINDS: Final = {
    "A:cash": NAME,  # money in the till of a rail
    "A:peer": ORIGIN,  # what a peer owes us
    "L:payee": SCID,  # payable to an identity
    "L:hold": SCID,  # owed to an identity, not yet payable
    "L:unclaimed": SCID,  # owed to an identity that has not signed yet
    "L:transit": NAME,  # on its way to payees over a rail
    "L:pool": rf"{NAME}:{PERIOD}",  # to be shared at the close of a period
    "L:viewers": PERIOD,  # the viewers' share of a period
    "L:contributors": PERIOD,  # the contributors' share of a period
    "L:advertiser": NAME,  # paid in by an advertiser, not yet used
    "L:peer": ORIGIN,  # what we owe a peer
    "L:tax": r"[a-z]{2}",
    "L:ops": "",  # the operating share, to be used for published costs
    "E:reserve": "",
    "X:psp-fee": "",
    "X:refund": "",
}
PAYABLE: Final = "L:payee"
HELD: Final = "L:hold"
UNCLAIMED: Final = "L:unclaimed"
OF_AN_IDENTITY: Final = frozenset({PAYABLE, HELD, UNCLAIMED})

_AMOUNT = re.compile(r"0|-?[1-9][0-9]{0,17}")
_ACCOUNT = re.compile(rf"([ALEX]:[a-z-]+)(?::([A-Za-z0-9_.:/-]+))?#({CURRENCY})/6")
_DETAILS = {kind: re.compile(detail) for kind, detail in KINDS.items()}


class Account(NamedTuple):
    """A parsed account name. ``detail`` is the SCID for the kinds of OF_AN_IDENTITY."""

    kind: str
    detail: str
    currency: str

    @property
    def name(self) -> str:
        """The name that was parsed."""
        return f"{self.kind}:{self.detail}#{self.currency}/6" if self.detail else f"{self.kind}#{self.currency}/6"


def parse_amount(text: object) -> int:
    """The millionths that an amount such as ``"-650000"`` says. Raises BadAmount."""
    if type(text) is not str or _AMOUNT.fullmatch(text) is None:
        raise BadAmount(f"{text!r} is no amount")
    return int(text)


def format_amount(millionths: int) -> str:
    """The decimal string of an amount. Raises BadAmount beyond 18 digits."""
    if not -AMOUNT_MAX <= millionths <= AMOUNT_MAX:
        raise BadAmount(f"{millionths} has more than 18 digits")
    return str(millionths)


@lru_cache(maxsize=4096)
def parse_account(name: str) -> Account:
    """The parts of an account name. Raises BadAccount, UnknownAccount."""
    found = _ACCOUNT.fullmatch(name)
    if found is None:
        raise BadAccount(f"{name!r} is no account")
    kind, detail, currency = found[1], found[2] or "", found[3]
    pattern = _DETAILS.get(kind)
    if pattern is None:
        raise UnknownAccount(f"{kind!r} is no kind of account")
    if pattern.fullmatch(detail) is None:
        raise BadAccount(f"{name!r} does not name one {kind}")
    return Account(kind, detail, currency)


def account(kind: str, currency: str, detail: str = "") -> str:
    """The name of an account, checked. Raises BadAccount, UnknownAccount."""
    name = Account(kind, detail, currency).name
    parse_account(name)
    return name


def in_units(millionths: int) -> str:
    """An amount for people: whole units, a point, six digits. No locale."""
    sign, whole = ("-" if millionths < 0 else ""), abs(millionths)
    return f"{sign}{whole // UNIT}.{whole % UNIT:06d}"
