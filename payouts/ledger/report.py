"""A verdict in words and as JSON. Pure."""

from datetime import UTC, datetime
from typing import Any, Final

from payouts.ledger.debtor import AccountVerdict, DebtorVerdict
from payouts.ledger.money import format_amount, in_units
from payouts.ledger.note import Signature
from payouts.ledger.verdict import Verdict

CUSTODY: Final = {"owner": "held by the person", "server": "held by the home server"}
# An accounts root is written once a day; beyond this the newest one was not shown, or not written.
ROOT_AGE_HOURS_MAX: Final = 26


def as_text(verdict: Verdict, *, own_policy: bool) -> str:
    """The verdict for people. ``own_policy``: whether the reader's policy was asked for."""
    keys = CUSTODY.get(verdict.custody, "custody not stated")
    lines = [f"VERIFIED: what is owed to {verdict.scid}", f"  identity log {verdict.version}, keys {keys}"]
    for debtor in verdict.debtors:
        lines += ["", debtor.origin, f"  as of index {debtor.as_of_index}, at {debtor.as_of}, in a log of {debtor.size} entries"]
        lines += [line for account in debtor.accounts for line in _account(account)]
        lines += _signatures(debtor)
    lines += ["", _trust(own_policy=own_policy)]
    return "".join(f"{line}\n" for line in lines)


def as_json(verdict: Verdict, *, own_policy: bool) -> dict[str, Any]:
    """The verdict for machines; amounts are decimal strings of millionths."""
    return {
        "verified": True,
        "scid": verdict.scid,
        "custody": verdict.custody,
        "version": verdict.version,
        "policy": "reader" if own_policy else "file",
        "debtors": [
            {
                "origin": debtor.origin,
                "as_of_index": debtor.as_of_index,
                "as_of": debtor.as_of,
                "size": debtor.size,
                "witnessed": debtor.witnessed,
                "witnesses": [_signature(one) for one in debtor.witnesses],
                "others": [_signature(one) for one in debtor.others],
                "stale": _hours_behind(debtor) > ROOT_AGE_HOURS_MAX,
                "unchecked": list(debtor.unchecked),
                "accounts": [_account_json(account) for account in debtor.accounts],
            }
            for debtor in verdict.debtors
        ],
    }


def _account(account: AccountVerdict) -> list[str]:
    owed = in_units(account.payable + account.held)
    lines = [f"  {account.currency} owed {owed}: payable {in_units(account.payable)}, held {in_units(account.held)}"]
    if account.unclaimed:
        lines.append(f"      unclaimed {in_units(account.unclaimed)}: waits for a signed agreement")
    told = f"accrued {in_units(account.accrued)}, paid {in_units(account.paid)}, on the way {in_units(account.on_the_way)}"
    return [*lines, f"      {told}, in {account.seq} entries"]


def _account_json(account: AccountVerdict) -> dict[str, Any]:
    amounts = ("payable", "held", "unclaimed", "accrued", "paid", "on_the_way")
    return {
        "currency": account.currency,
        "owed": format_amount(account.payable + account.held),
        **{name: format_amount(getattr(account, name)) for name in amounts},
        "seq": account.seq,
    }


def _signatures(debtor: DebtorVerdict) -> list[str]:
    host = debtor.origin.partition("/")[0]
    lines = [f"  witnessed by {one.key.name} at {_time(one)}" for one in debtor.witnesses]
    if not debtor.witnessed:
        lines = [f"  UNWITNESSED: nobody but {host} has signed these books"]
    lines += [f"  also signed by {one.key.name} at {_time(one)}" for one in debtor.others]
    if _hours_behind(debtor) > ROOT_AGE_HOURS_MAX:
        lines.append(f"  STALE: the accounts root is {_hours_behind(debtor)} hours older than the newest signature")
    lines += [f"  not checked here: the signature of {scid} under an agreement" for scid in debtor.unchecked]
    return lines


def _trust(*, own_policy: bool) -> str:
    if own_policy:
        return "Every log and quorum is as your policy asks."
    return "The keys are those the file names; --policy FILE asks for the logs and witnesses you trust."


def _signature(signature: Signature) -> dict[str, str]:
    return {"key": str(signature.key), "at": _time(signature)}


def _time(signature: Signature) -> str:
    # datetime ends with the year 9999; a cosignature may not.
    seconds = min(signature.timestamp, 253402300799)
    return datetime.fromtimestamp(seconds, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def _hours_behind(debtor: DebtorVerdict) -> int:
    newest = max((one.timestamp for one in debtor.witnesses), default=0)
    return max(0, newest - int(datetime.fromisoformat(debtor.as_of).timestamp())) // 3600
