"""The entry types: for each its body, member by member, and the kinds of account its postings may touch.

All members are required; an empty text or list says "none". To add a type is to add a row here and to its reference page.
"""

from collections.abc import Callable, Mapping
from typing import Any, Final, NamedTuple

from payouts.ledger import money
from payouts.ledger.errors import BadBody, UnknownType
from payouts.ledger.fields import (
    check_members,
    is_ascending,
    is_hex_hash,
    is_integer,
    is_list,
    is_text,
    is_time,
)

Check = Callable[[Any], bool]

# More ids than this would not leave room for the rest of an accrual in 4 KiB.
AGREEMENTS_MAX: Final = 32

_multikey = is_text(r"z[1-9A-HJ-NP-Za-km-z]{47,48}")
_vkey = is_text(r"[!-*,-~]{1,255}\+[0-9a-f]{8}\+[A-Za-z0-9+/]{44}")
_scid = is_text(money.SCID)
_version_id = is_text(r"[1-9][0-9]{0,5}-" + money.SCID)
_origin = is_text(money.ORIGIN)
_currency = is_text(money.CURRENCY)
_unit = is_text(money.CURRENCY + "/6")
_period = is_text(money.PERIOD)
_name = is_text(money.NAME)
_url = is_text(r"https?://[!-~]{1,500}", plain=False)
_word = is_text(r"[a-z0-9][a-z0-9._/-]{0,63}")
_note = is_text(r"[^\x00-\x1f\x7f]{0,200}", plain=False)
_algorithm = is_text(r"[a-z][a-z0-9-]{0,40}/[1-9][0-9]{0,3}")
_amount = is_text(r"0|[1-9][0-9]{0,17}")  # never negative: the sign stands in postings only
_index = is_integer()
_count = is_integer()
_payout = is_text(r"[0-9a-f]{32}")
_signature = is_text(r"[A-Za-z0-9+/]{86}==")


def _tally(value: Any) -> bool:
    """A list of [reason, count], each reason once."""
    pairs = is_list(lambda pair: type(pair) is list and list(map(type, pair)) == [str, int], count_max=64)(value)
    return (
        pairs and all(_word(reason) and _count(count) for reason, count in value) and is_ascending(reason for reason, _ in value)
    )


_indices = is_list(_index, count_max=256, ascending=True)
_agreement_ids = is_list(is_hex_hash, count_max=AGREEMENTS_MAX, count_min=1, ascending=True)
_units = is_list(_unit, count_max=32, count_min=1, ascending=True)


class Type(NamedTuple):
    """What an entry of one type may say. ``touches``: kinds of accounts in its postings."""

    body: Mapping[str, Check]
    touches: frozenset[str] = frozenset()


def _type(*touches: str, **body: Check) -> Type:
    return Type(body, frozenset(touches))


_payout_step: Final = {"payout": _payout, "scid": _scid, "currency": _currency, "amount": _amount, "rail": _name}
_held_step: Final = {"scid": _scid, "currency": _currency, "amount": _amount, "reason": _word, "evidence": is_hex_hash}

TYPES: Final[Mapping[str, Type]] = {
    # The log itself.
    "genesis": _type(
        root=_multikey, ledger=_vkey, witness=_vkey, auditor=_vkey, mirror=_vkey, instance=_multikey, box=_multikey,
        actor=_url, currencies=_units, calendar=is_text("UTC"), rounding=_algorithm, retention=_word,
    ),
    "key.rotate": _type(old=_vkey, new=_vkey, root_signature=_signature, old_signature=_signature, new_signature=_signature),
    "policy.witness": _type(policy=is_text(r"[\n\x20-\x7e]{1,3000}", plain=False)),
    "shutdown": _type(reason=_note, until=is_time),
    "will": _type(document=is_hex_hash),
    "redact": _type(blob=is_hex_hash, reason=_word),
    "audit.dispute": _type(origin=_origin, size=_count, index=_index, rule=_word, evidence=is_hex_hash),
    # Who and under which terms.
    "identity": _type(scid=_scid, version=_version_id),
    "agreement": _type(agreement=is_hex_hash, blob=is_hex_hash, kind=_word, prev=is_hex_hash, effective_from=is_time),
    # Money comes in.
    "revenue": _type(
        "A:cash", "A:peer", "L:advertiser", "L:pool", "L:tax", "X:psp-fee",
        source=_name, currency=_currency, gross=_amount, fee=_amount, net=_amount, reference=_note, evidence=is_hex_hash,
    ),
    "refund": _type(
        "A:cash", "L:advertiser", "X:refund", "X:psp-fee", "L:tax",
        source=_name, currency=_currency, amount=_amount, reference=_note, evidence=is_hex_hash,
    ),
    "ops.cost": _type(
        "A:cash", "L:ops", "L:tax",
        currency=_currency, period=_period, amount=_amount, what=_note, evidence=is_hex_hash,
    ),
    # A period is counted and shared.
    "meter": _type(
        period=_period, works=is_hex_hash, views_root=is_hex_hash, qualified=_count,
        impressions=_count, sessions=_count, rejected=_tally,
    ),
    "charge": _type(
        "L:advertiser", "L:pool", "L:tax",
        period=_period, campaign=_name, currency=_currency, impressions=_count,
        price_per_thousand=_amount, amount=_amount, evidence=is_hex_hash,
    ),
    "close": _type(
        "L:pool", "L:ops", "L:viewers", "L:contributors", "E:reserve",
        period=_period, currency=_currency, pool=_name, algorithm=_algorithm, code=is_hex_hash, entries=_indices,
        inputs=is_hex_hash, outputs=is_hex_hash, amount=_amount, carry=_amount, accruals=_count,
    ),
    "accrue": _type(
        "L:pool", "L:payee", "L:unclaimed",
        close=_index, batch=is_integer(1), scid=_scid, currency=_currency, period=_period, amount=_amount,
        lines=is_hex_hash, agreements=_agreement_ids,
    ),
    # A payee's account afterwards.
    "hold": _type("L:payee", "L:hold", **_held_step, until=is_time),
    "release": _type("L:payee", "L:hold", **_held_step, hold=_index),
    "clawback": _type(
        "L:payee", "L:hold", "L:unclaimed", "L:pool", "L:ops", "E:reserve", "X:refund",
        **_held_step, about=_index, deadline=is_time,
    ),
    "appeal": _type(scid=_scid, about=_index, reason=_word, evidence=is_hex_hash, deadline=is_time),
    "ruling": _type(scid=_scid, appeal=_index, outcome=_word, evidence=is_hex_hash),
    "claim": _type("L:payee", "L:unclaimed", scid=_scid, currency=_currency, amount=_amount, agreement=is_hex_hash),
    "unclaimed.return": _type("L:unclaimed", "L:pool", scid=_scid, currency=_currency, amount=_amount, since=_index),
    "payout.intent": _type("L:payee", "L:transit", **_payout_step, route=is_hex_hash, seq_hi=is_integer(1)),
    "payout.sent": _type(**_payout_step, evidence=is_hex_hash),
    "payout.settled": _type("L:transit", "A:cash", "X:psp-fee", **_payout_step, evidence=is_hex_hash),
    "payout.failed": _type("L:transit", "L:payee", **_payout_step, reason=_word),
    # Roots.
    "accounts.root": _type(root=is_hex_hash, count=_count, blob=is_hex_hash),
    "usage.root": _type(day=is_text(r"[0-9]{4}-[0-9]{2}-[0-9]{2}"), root=is_hex_hash),
    "attest.solvency": _type(currency=_currency, liabilities=_amount, reserves=_amount, root=is_hex_hash, evidence=is_hex_hash),
}  # fmt: skip


def check_body(type_name: Any, body: Any) -> Type:
    """The row of the type. Raises UnknownType; BadBody, MissingMember or UnknownMember with the member's name."""
    row = TYPES.get(type_name) if type(type_name) is str else None
    if row is None:
        raise UnknownType(f"{type_name!r} is no entry type")
    if type(body) is not dict:
        raise BadBody("body is no object")
    check_members(body, row.body.keys(), f"body of {type_name}")
    for member, check in row.body.items():
        if not check(body[member]):
            raise BadBody(f"{type_name}.{member}: {str(body[member])[:80]!r}")
    return row
