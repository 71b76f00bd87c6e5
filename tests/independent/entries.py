"""Entries and account chains (docs/reference/ledger-format.md, sections 3 to 7, and 13): a second implementation from the reference pages, without product code."""

import re
from pathlib import Path

from tests.independent.basics import (
    CURRENCY,
    HASH,
    HEX32,
    NAME,
    ORIGIN,
    PERIOD,
    SCID,
    amount,
    decode,
    each,
    encode,
    is_time,
    members,
    need,
    number,
    rising,
    sha256,
    text,
)
from tests.independent.trees import leaf

ACCOUNTS = {
    "A:cash": NAME, "A:peer": ORIGIN, "L:peer": ORIGIN, "L:payee": SCID, "L:hold": SCID, "L:unclaimed": SCID, "L:transit": NAME, "L:pool": f"{NAME}:{PERIOD}",
    "L:viewers": PERIOD, "L:contributors": PERIOD, "L:advertiser": NAME, "L:tax": "[a-z]{2}", "L:ops": "", "E:reserve": "", "X:psp-fee": "", "X:refund": "",
}  # fmt: skip
VKEY = r"[!-*,-~]{1,255}\+[0-9a-f]{8}\+[A-Za-z0-9+/]{44}"
KINDS = {
    "amount": "0|[1-9][0-9]{0,17}", "hash": HASH, "key": "z[1-9A-HJ-NP-Za-km-z]{47,48}", "vkey": VKEY, "word": "[a-z0-9][a-z0-9._/-]{0,63}", "alg": "[a-z][a-z0-9-]{0,40}/[1-9][0-9]{0,3}",
    "note": r"[^\x00-\x1f\x7f]{0,200}", "sig": "[A-Za-z0-9+/]{86}==", "payout": HEX32, "version": f"[1-9][0-9]{{0,5}}-{SCID}", "url": "https?://[!-~]{1,500}", "scid": SCID, "currency": CURRENCY,
    "period": PERIOD, "name": NAME, "origin": ORIGIN, "utc": "UTC", "policy": r"[\n\x20-\x7e]{1,3000}", "day": "[0-9]{4}-[0-9]{2}-[0-9]{2}",
}  # fmt: skip
PAGE = (Path(__file__).parents[2] / "docs" / "reference" / "ledger-format.md").read_text()
# The table of section 5, read from the page itself: type -> (member -> kind, kinds of accounts).
TYPES = {
    row[1]: (dict(re.findall(r"`(\w+)` (\w+)", row[2])), re.findall(r"`([^`]+)`", row[3]))
    for row in re.finditer(r"^\| `([a-z.]+)` \| (.*) \|(.*)\|$", PAGE.partition("## 5.")[2].partition("## 6.")[0], re.MULTILINE)
}
MOVES = {"hold": (-1, 1, 0), "release": (1, -1, 0), "claim": (1, 0, -1), "unclaimed.return": (0, 0, -1), "payout.intent": (-1, 0, 0), "payout.failed": (1, 0, 0), "payout.sent": (0, 0, 0), "payout.settled": (0, 0, 0)}  # fmt: skip


def kind(name, value):
    if name in KINDS:
        return text(KINDS[name], value)
    return {
        "int": lambda: number(value), "positive": lambda: number(value, 1), "time": lambda: is_time(value),
        "indices": lambda: each(number, value, 256) and rising(value), "ids": lambda: each(lambda one: text(HASH, one), value, 32, 1) and rising(value),
        "units": lambda: each(lambda one: text(CURRENCY + "/6", one), value, 32, 1) and rising(value),
        "tally": lambda: each(lambda one: len(one) == 2 and text(KINDS["word"], one[0]) and number(one[1]), value, 64) and rising(one[0] for one in value),
    }[name]()  # fmt: skip


def parse_entry(data, origin=None, index=None):
    entry = decode(data, 4096, "entry_too_large")
    members(entry, {"v", "origin", "index", "type", "at", "id", "body", "postings", "accounts"})
    need("unknown_version", type(entry["v"]) is int and entry["v"] == 1)
    need("bad_origin", text(ORIGIN, entry["origin"]) and origin in (None, entry["origin"]))
    need("bad_index", number(entry["index"]) and index in (None, entry["index"]))
    need("unknown_type", type(entry["type"]) is str and entry["type"] in TYPES)
    (wanted, touches), body = TYPES[entry["type"]], entry["body"]
    members(body, wanted.keys(), "bad_body")
    need("bad_body", *(lambda name=name: kind(wanted[name], body[name]) for name in wanted))
    need("bad_time", lambda: is_time(entry["at"]))
    need("bad_entry_id", text(HEX32, entry["id"]))
    need("bad_member", type(entry["postings"]) is list)
    last, sums, moves = "", {}, {}
    for pair in entry["postings"]:
        need("bad_posting", type(pair) is list and [type(one) for one in pair] == [str, str])
        found = re.fullmatch(rf"([ALEX]:[a-z-]+)(?::([A-Za-z0-9_.:/-]+))?#({CURRENCY})/6", pair[0])
        need("bad_account", found)
        need("unknown_account", found[1] in ACCOUNTS)
        need("bad_account", text(ACCOUNTS[found[1]], found[2] or ""))
        millionths = amount(pair[1])
        need("bad_posting", millionths != 0)
        need("posting_not_allowed", found[1] in touches)
        need("postings_unsorted", last < pair[0])
        last, sums[found[3]] = pair[0], sums.get(found[3], 0) + millionths
        if found[1] in ("L:payee", "L:hold", "L:unclaimed"):
            move = moves.setdefault((found[2], found[3]), [0, 0, 0])
            move[("L:payee", "L:hold", "L:unclaimed").index(found[1])] -= millionths
    need("postings_unbalanced", not any(sums.values()))
    touched = set(moves)
    if entry["type"] in MOVES or entry["type"] in ("accrue", "clawback"):
        touched = {(body["scid"], body["currency"])}
        move, size = moves.setdefault((body["scid"], body["currency"]), [0, 0, 0]), int(body["amount"])
        right = {"accrue": sum(move) == size and min(move) >= 0, "clawback": sum(move) == -size and max(move) <= 0}
        need(
            "amount_mismatch",
            set(moves) == touched,
            size > 0,
            right.get(entry["type"], move == [one * size for one in MOVES.get(entry["type"], ())]),
        )
    need("bad_member", type(entry["accounts"]) is list)
    for link in entry["accounts"]:
        members(link, {"scid", "currency", "seq", "prev", "balance_after", "held_after"})
        need(
            "bad_member",
            text(SCID, link["scid"]) and text(CURRENCY, link["currency"]) and number(link["seq"], 1) and text(HASH, link["prev"]),
        )
        need("account_chain_broken", (link["seq"] == 1) == (link["prev"] == "0" * 64))
        need("account_overdrawn", min([amount(link["balance_after"]), amount(link["held_after"])]) >= 0)
    keys = [(link["scid"], link["currency"]) for link in entry["accounts"]]
    need("accounts_unsorted", rising(keys))
    need("account_link_missing", touched <= set(keys))
    need("account_link_unexpected", set(keys) <= touched)
    return {**entry, "moves": moves, "leaf": leaf(data)}


START = {"seq": 0, "leaf": "0" * 64, "balance": 0, "held": 0, "unclaimed": 0}


def follow(heads, entry, scid):
    for link in (one for one in entry["accounts"] if one["scid"] == scid):
        head, move = heads.get(link["currency"], START), entry["moves"].get((scid, link["currency"]), [0, 0, 0])
        need("account_sequence_broken", link["seq"] == head["seq"] + 1)
        need("account_chain_broken", link["prev"] == head["leaf"])
        after = [head[name] + change for name, change in zip(("balance", "held", "unclaimed"), move, strict=True)]
        need("account_overdrawn", min(after) >= 0)
        need("account_balance_wrong", [int(link["balance_after"]), int(link["held_after"])] == after[:2])
        heads[link["currency"]] = {
            "seq": link["seq"],
            "leaf": entry["leaf"].hex(),
            **dict(zip(("balance", "held", "unclaimed"), after, strict=True)),
        }


def check_steps(entry, origin, payouts, holds):  # section 13, 7 and 8
    body, after = entry["body"], {"payout.intent": [None], "payout.sent": ["payout.intent"]}
    if entry["type"].startswith("payout."):
        before = payouts.get(body["payout"])
        need("payout_out_of_order", (before and before["type"]) in after.get(entry["type"], ["payout.intent", "payout.sent"]))
        need(
            "payout_out_of_order",
            not before or all(before["body"][one] == body[one] for one in ("scid", "currency", "amount", "rail")),
        )
        if not before:
            name = sha256(encode(["payout/1", origin, body["scid"], body["currency"], body["seq_hi"]])).hex()[:32]
            need("bad_payout_id", body["payout"] == name and body["seq_hi"] < entry["accounts"][0]["seq"])
        payouts[body["payout"]] = entry
    elif entry["type"] == "hold":
        holds[entry["index"]] = [body, int(body["amount"])]
    elif entry["type"] == "release":
        hold = holds.get(body["hold"])
        need("hold_broken", hold and all(hold[0][one] == body[one] for one in ("scid", "currency")))
        hold[1] -= int(body["amount"])
        need("hold_broken", hold[1] >= 0 and entry["at"] >= hold[0]["until"])
