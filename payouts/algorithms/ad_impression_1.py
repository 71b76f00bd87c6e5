"""The settlement function ad-impression/1.

FROZEN: its SHA-256 stands in every close that used it. Never edit, never format; a better idea is ad_impression_2.py.

Money that advertisers paid for billable impressions goes to the works those impressions belong to, and from each work to
the receivers its agreement names. Whole millionths only; no clock, no chance, no order of input that matters.

    settle(inputs) -> outputs        raises ValueError for inputs it does not understand

inputs   {"period", "currency", "pool",
          "campaigns":   [{"campaign", "amount"}],                        net, paid for this period
          "impressions": [{"campaign", "work", "table", "count"}],       work "" = no video before the slot;
                                                                           table "contextual" or "personal"
          "works":       [{"work", "creator", "agreement", "weight_ms"}], creator "" = no SCID; qualified watch time
          "agreements":  {id: {"parties": [scid], "shares": {table: {receiver: millionths}}}},
          "operating_cost": amount,                                       published cost of the period
          "carry": amount}                                                left over from the period before
outputs  {"payees": [{"scid", "amount", "unclaimed",
                      "lines": [{"agreement", "work", "amount"}]}],       sorted by scid; unclaimed is part of amount
          "places": {"contributors", "operating", "reserve", "viewers"},  amounts
          "carry": amount, "amount": amount}                              amount = everything that was shared out or carried

Both are JSON. Amounts are decimal strings of millionths, counts and weights are integers. Steps:
 1 each campaign's amount over its impressions, by count;
 2 what fell on no work, with the carry, over all works by watch time (no watch time: it is carried);
 3 each work's amount over the receivers of its agreement, by the table its impressions ran under; what fell to a work in
   step 2 runs under "contextual";
 4 the share of a creator without SCID and the operating share beyond the published cost go back: over the payees' lines, by
   their amounts (no lines: it is carried).
Every split: largest remainder; ties by the SHA-256 of the JCS of [period, pool, name], in step 3 of
[period, pool followed by the work's name, receiver]. A name made of several parts joins them with a line feed.
"""

import hashlib
import json
import re
from collections.abc import Mapping, Sequence
from typing import Any

WHOLE = 1_000_000
TABLES = ("contextual", "personal")
PLACES = ("contributors", "operating", "reserve", "viewers")
MEMBERS = {"period", "currency", "pool", "campaigns", "impressions", "works", "agreements", "operating_cost", "carry"}

Earned = dict[tuple[str, str], int]  # (work, table) -> millionths
Lines = dict[tuple[str, str, str], int]  # (scid, agreement, work) -> millionths


def settle(inputs: Mapping[str, Any]) -> dict[str, Any]:
    """The outputs for these inputs, as the module says."""
    if set(inputs) != MEMBERS:
        raise ValueError("members of inputs")
    works = _by_name(inputs["works"], "work")
    _check_works(works, inputs["agreements"])
    earned, loose, paid_in = _over_impressions(inputs, works)
    loose = _over_works(inputs, works, earned, loose)
    lines, places, back = _over_receivers(inputs, works, earned)
    back = _give_back(inputs, lines, places, back)
    payees = _payees(inputs["agreements"], lines)
    amount = sum(lines.values()) + sum(places.values()) + loose + back
    assert amount == paid_in, "the parts do not make the whole"
    return {
        "payees": payees,
        "places": {place: str(part) for place, part in places.items()},
        "carry": str(loose + back),
        "amount": str(amount),
    }


def _over_impressions(inputs: Mapping[str, Any], works: Mapping[str, Any]) -> tuple[Earned, int, int]:
    """Step 1: what works earned, what fell on none (with the carry), and all that was paid in."""
    campaigns = _by_name(inputs["campaigns"], "campaign")
    counts: dict[str, dict[str, int]] = {name: {} for name in campaigns}
    for row in inputs["impressions"]:
        if row["campaign"] not in counts or row["table"] not in TABLES or (row["work"] and row["work"] not in works):
            raise ValueError("an impression of an unknown campaign, table or work")
        key = row["work"] + "\n" + row["table"] if row["work"] else ""
        cell = counts[row["campaign"]]
        cell[key] = cell.get(key, 0) + _natural(row["count"])
    earned: Earned = {}
    paid_in = loose = _amount(inputs["carry"])
    for name, campaign in campaigns.items():
        amount = _amount(campaign["amount"])
        paid_in += amount
        for key, part in _apportion(inputs, amount, counts[name], "").items():
            amount -= part
            if key:
                work, table = key.split("\n")
                earned[work, table] = earned.get((work, table), 0) + part
            else:
                loose += part
        loose += amount
    return earned, loose, paid_in


def _over_works(inputs: Mapping[str, Any], works: Mapping[str, Any], earned: Earned, loose: int) -> int:
    """Step 2: share what fell on no work; what remains, because nobody watched anything."""
    weights = {name: _natural(work["weight_ms"]) for name, work in works.items()}
    parts = _apportion(inputs, loose, weights, "")
    for name, part in parts.items():
        earned[name, "contextual"] = earned.get((name, "contextual"), 0) + part
    return loose - sum(parts.values())


def _over_receivers(inputs: Mapping[str, Any], works: Mapping[str, Any], earned: Earned) -> tuple[Lines, dict[str, int], int]:
    """Step 3: the payees' lines, the places, and the shares of creators without SCID."""
    lines: Lines = {}
    places = dict.fromkeys(PLACES, 0)
    back = 0
    for (name, table), amount in earned.items():
        work = works[name]
        shares = inputs["agreements"][work["agreement"]]["shares"][table]
        for receiver, part in _apportion(inputs, amount, shares, name).items():
            scid = work["creator"] if receiver == "creator" else receiver
            if receiver in places:
                places[receiver] += part
            elif scid:
                key = (scid, work["agreement"], name)
                lines[key] = lines.get(key, 0) + part
            else:
                back += part
    return lines, places, back


def _give_back(inputs: Mapping[str, Any], lines: Lines, places: dict[str, int], back: int) -> int:
    """Step 4: share what goes back over the lines; what remains, because there are none."""
    unused = max(0, places["operating"] - _amount(inputs["operating_cost"]))
    places["operating"] -= unused
    back += unused
    keys = {"\n".join(key): key for key in lines}
    parts = _apportion(inputs, back, {name: lines[key] for name, key in keys.items()}, "")
    for name, part in parts.items():
        lines[keys[name]] += part
    return back - sum(parts.values())


def _payees(agreements: Mapping[str, Any], lines: Lines) -> list[dict[str, Any]]:
    own: dict[str, list[tuple[str, str, int]]] = {}
    for (scid, agreement, work), amount in sorted(lines.items()):
        if amount:
            own.setdefault(scid, []).append((agreement, work, amount))
    return [
        {
            "scid": scid,
            "amount": str(sum(amount for _, _, amount in rows)),
            "unclaimed": str(sum(amount for agreement, _, amount in rows if scid not in agreements[agreement]["parties"])),
            "lines": [{"agreement": agreement, "work": work, "amount": str(amount)} for agreement, work, amount in rows],
        }
        for scid, rows in own.items()
    ]


def _apportion(inputs: Mapping[str, Any], total: int, weights: Mapping[str, int], within: str) -> dict[str, int]:
    """Largest remainder: the parts sum to ``total``, or there are none when all weights are zero."""
    whole = sum(weights.values())
    if whole == 0:
        return {}
    parts = {name: total * weight // whole for name, weight in weights.items()}
    left = total - sum(parts.values())
    if left == 0:
        return parts
    rests = {name: total * weight % whole for name, weight in weights.items()}
    last = sorted(rests.values(), reverse=True)[left - 1]  # at least this much is left of whoever gets one more

    def tie(name: str) -> bytes:
        text = json.dumps([inputs["period"], inputs["pool"] + within, name], ensure_ascii=False, separators=(",", ":"))
        return hashlib.sha256(text.encode()).digest()

    sure = [name for name, rest in rests.items() if rest > last]
    tied = [name for name, rest in rests.items() if rest == last]
    for name in sure + sorted(tied, key=tie)[: left - len(sure)]:
        parts[name] += 1
    return parts


def _amount(text: Any) -> int:
    if type(text) is not str or not re.fullmatch("0|[1-9][0-9]{0,17}", text):
        raise ValueError("an amount is no decimal string from 0")
    return int(text)


def _natural(number: Any) -> int:
    if type(number) is not int or number < 0:
        raise ValueError("a count, weight or share is no whole number from 0")
    return number


def _by_name(rows: Sequence[Mapping[str, Any]], member: str) -> dict[str, Mapping[str, Any]]:
    named = {row[member]: row for row in rows}
    if len(named) != len(rows):
        raise ValueError("two rows of one name")
    return named


def _check_works(works: Mapping[str, Any], agreements: Mapping[str, Any]) -> None:
    for name, work in works.items():
        if type(name) is not str or not name or "\n" in name or work["agreement"] not in agreements:
            raise ValueError("a work without a name or an agreement")
    for agreement in agreements.values():
        for table in TABLES:
            shares = agreement["shares"][table]
            if not shares or sum(map(_natural, shares.values())) != WHOLE:
                raise ValueError("shares do not sum to 1,000,000")
