"""Statements (docs/reference/statement-format.md): a second implementation from the reference pages, without product code."""

import base64
import zlib
from datetime import UTC, datetime

from tests.independent import check_identity as identity
from tests.independent.agreements import check_agreement
from tests.independent.basics import (
    ORIGIN,
    SCID,
    Refused,
    decode,
    each,
    hashes,
    members,
    need,
    number,
    rising,
    sha256,
    text,
    unbase64,
)
from tests.independent.entries import START, check_steps, follow, parse_entry
from tests.independent.notes import counted, ledger_key, open_checkpoint, parse_policy
from tests.independent.trees import check_inclusion, check_range, check_run, leaf

HEADER = bytes.fromhex("1f8b08040000000002ff240054532000")


def unpack(data):
    need("too_large", len(data) <= 16 << 20)
    need("statement_damaged", data[:16] == HEADER, sha256(data[48:]) == data[16:48])
    stream = zlib.decompressobj(-15)
    need("statement_damaged", lambda: True)
    out = stream.decompress(data[48:], (32 << 20) + 1)
    need("too_large", len(out) <= 32 << 20)
    need(
        "statement_damaged",
        stream.eof and stream.unused_data == zlib.crc32(out).to_bytes(4, "little") + len(out).to_bytes(4, "little"),
    )
    return out


def read_statement(data):
    raw = unpack(data)
    need("too_large", sum(map(raw.count, (b'"', b",", b"[", b"{"))) <= 3_000_000)
    doc = decode(raw, 32 << 20)
    members(doc, {"v", "scid", "identity", "debtors", "policy"})
    need("unknown_version", type(doc["v"]) is int and doc["v"] == 1)
    need("malformed_statement", text(SCID, doc["scid"]), type(doc["policy"]) is str)
    need(
        "malformed_statement",
        each(lambda line: type(line) is str and "\n" not in line, doc["identity"], 2000, 1),
        each(lambda _: True, doc["debtors"], 256, 1),
    )
    for debtor in doc["debtors"]:
        need("account_leaf_missing", type(debtor) is not dict or debtor.get("account_leaf"))
        members(debtor, {"origin", "genesis", "checkpoint", "ranges", "agreements", "account_leaf", "account_proof"})
        members(debtor["genesis"], {"entry", "proof"})
        members(debtor["account_leaf"], {"index", "leaves"})
        run = debtor["account_leaf"]
        need("malformed_statement", text(ORIGIN, debtor["origin"]), type(debtor["checkpoint"]) is str, number(run["index"]))
        need("malformed_statement", type(run["leaves"]) is list, each(lambda _: True, debtor["agreements"], 1000))
        need("ranges_unsorted", each(lambda _: True, debtor["ranges"], 20000, 1))
        end = 0
        for one in debtor["ranges"]:
            members(one, {"start", "entries", "proof"})
            need("ranges_unsorted", number(one["start"]), type(one["entries"]) is list and one["entries"])
            one["proof"], one["entries"] = hashes(one["proof"], 126), list(map(unbase64, one["entries"]))
        for one in debtor["ranges"]:
            need("ranges_unsorted", one["start"] > end or (one["start"] == 1 and end == 0))
            end = one["start"] + len(one["entries"])
        debtor["genesis"] = {"entry": unbase64(debtor["genesis"]["entry"]), "proof": hashes(debtor["genesis"]["proof"], 63)}
        debtor["agreements"] = list(map(unbase64, debtor["agreements"]))
        debtor["run"] = {**run, "proof": hashes(debtor["account_proof"], 126)}
    need("malformed_statement", rising(debtor["origin"] for debtor in doc["debtors"]))
    return doc


def check_debtor(debtor, scid, keys, file_policy, reader):
    origin = debtor["origin"]
    genesis = parse_entry(debtor["genesis"]["entry"], origin, 0)
    ledger_key(genesis, [])
    entries = [
        parse_entry(data, origin, one["start"] + place) for one in debtor["ranges"] for place, data in enumerate(one["entries"])
    ]
    key = ledger_key(genesis, entries)
    head = open_checkpoint(
        debtor["checkpoint"], origin, [key], file_policy["witnesses"] + (reader["witnesses"] if reader else [])
    )
    need("wrong_origin", head["lines"] == 3)
    if reader:
        need("log_not_trusted", not reader["logs"] or key["vkey"] in {one["vkey"] for one in reader["logs"]})
        need("quorum_not_met", reader["met"](head))
    check_inclusion(genesis["leaf"], 0, head["size"], debtor["genesis"]["proof"], head["root"])
    for one in debtor["ranges"]:
        check_range(list(map(leaf, one["entries"])), one["start"], head["size"], one["proof"], head["root"])
    at, ids = "", set()
    for entry in [genesis, *entries]:
        need("time_went_backwards", entry["at"] >= at)
        need("entry_id_repeated", entry["id"] not in ids)
        at = entry["at"]
        ids.add(entry["id"])
    heads, payouts, holds, accrued = {}, {}, {}, {}
    for entry in entries:
        need(
            "foreign_entry",
            entry["type"] in ("accounts.root", "key.rotate") or scid in {link["scid"] for link in entry["accounts"]},
        )
        follow(heads, entry, scid)
        check_steps(entry, origin, payouts, holds)
        if entry["type"] == "accrue":
            close, last = entry["body"]["close"], entry["body"]["close"] + entry["body"]["batch"]
            need("close_batch_cut", close < entry["index"] <= last < head["size"])
            accrued[entry["body"]["currency"]] = accrued.get(entry["body"]["currency"], 0) + int(entry["body"]["amount"])
    roots = [entry for entry in entries if entry["type"] == "accounts.root"]
    need("account_leaf_missing", len(roots) == 1)
    need("account_leaf_stale", not any(entry["accounts"] and entry["index"] > roots[0]["index"] for entry in entries))
    leaves = check_run(debtor["run"], scid, roots[0]["body"]["root"], roots[0]["body"]["count"])
    for one in leaves:
        end = heads.get(one["currency"], START)
        need("statement_incomplete", end["seq"] >= one["seq"])
        need("account_leaf_stale", end["seq"] == one["seq"])
        need("account_leaf_wrong", (int(one["balance"]), int(one["held"])) == (end["balance"], end["held"]))
    need("account_leaf_missing", heads.keys() <= {one["currency"] for one in leaves})
    keys = {**keys, genesis["body"]["actor"] + "#instance-1": identity.ed25519_key(genesis["body"]["instance"])}
    agreements = [check_agreement(data, keys.get) for data in debtor["agreements"]]
    need("wrong_origin", all(one["origin"] == origin for one in agreements))
    need("agreement_unsigned", all(scid not in one["unchecked"] for one in agreements))
    need("agreement_unused", rising(one["id"] for one in agreements))
    known, used = {one["id"]: one for one in agreements}, set()
    for entry in (one for one in entries if one["type"] in ("accrue", "claim")):
        named = entry["body"].get("agreements") or [entry["body"]["agreement"]]
        need("agreement_missing", set(named) <= known.keys())
        own, move = [scid in known[one]["parties"] for one in named], entry["moves"][scid, entry["body"]["currency"]]
        need("agreement_mismatch", move[0] <= 0 or any(own), move[2] <= 0 or not all(own))
        used |= set(named)
    need("agreement_unused", known.keys() <= used)
    return {
        "head": head,
        "key": key,
        "root": roots[0],
        "heads": heads,
        "payouts": payouts,
        "accrued": accrued,
        "unchecked": sorted({one for each in agreements for one in each["unchecked"]}),
    }


def check_identity_log(lines):
    try:
        log = identity.check_log(
            {"judge": "policy", "now": "2030-01-01T00:00:00Z", "log": "".join(line + "\n" for line in lines), "loopback": True}
        )
        methods = {}
        for one in log:
            user = next(key for key in one["entry"]["state"]["verificationMethod"] if "#user-" in key["id"])
            methods[user["id"].replace("#", f"?versionId={one['entry']['versionId']}#")] = identity.ed25519_key(
                user["publicKeyMultibase"]
            )
    except (Refused, KeyError, TypeError, ValueError, StopIteration) as error:
        raise Refused("bad_identity_log") from error
    return identity.meaning(log), methods


def check_statement(case):
    doc = read_statement(base64.b64decode(case["base64"]))
    who, keys = check_identity_log(doc["identity"])
    need("wrong_scid", who["scid"] == doc["scid"])
    file_policy, reader = parse_policy(doc["policy"]), parse_policy(case["policy"]) if "policy" in case else None
    books = [check_debtor(debtor, doc["scid"], keys, file_policy, reader) for debtor in doc["debtors"]]
    cosigners = sorted(
        {one["vkey"] for one in (sign for book in books for sign in book["head"]["signatures"]) if one["type"] == 4}
    )
    counts = [counted(book["head"]) for book in books]
    names, least = sorted({one["name"] for each in counts for one in each}), min(map(len, counts))
    quorum = [f"group witnesses {least} {' '.join(names)}", "quorum witnesses"] if least else ["quorum none"]
    lines = [
        *(f"log {key}" for key in sorted(book["key"]["vkey"] for book in books)),
        *(f"witness {key.partition('+')[0]} {key}" for key in cosigners),
        *quorum,
    ]
    need("policy_not_exact", doc["policy"] == "".join(line + "\n" for line in lines))
    debtors = [verdict(book, count) for book, count in zip(books, counts, strict=True)]
    return {
        "verdict": {
            "verified": True,
            "scid": who["scid"],
            "custody": who["custody"],
            "version": who["versionId"],
            "policy": "reader" if reader else "file",
            "debtors": debtors,
        }
    }


def stamp(one):
    return {"key": one["vkey"], "at": datetime.fromtimestamp(one["timestamp"], UTC).strftime("%Y-%m-%dT%H:%M:%SZ")}


def verdict(book, witnesses):
    def paid(currency, *types):
        return sum(
            int(one["body"]["amount"])
            for one in book["payouts"].values()
            if one["type"] in types and one["body"]["currency"] == currency
        )

    accounts = []
    for currency, head in sorted(book["heads"].items()):
        sums = {
            "owed": head["balance"] + head["held"], "payable": head["balance"], "held": head["held"], "unclaimed": head["unclaimed"], "accrued": book["accrued"].get(currency, 0),
            "paid": paid(currency, "payout.settled"), "on_the_way": paid(currency, "payout.intent", "payout.sent"),
        }  # fmt: skip
        accounts.append({"currency": currency, "seq": head["seq"], **{name: str(value) for name, value in sums.items()}})
    others = [one for one in book["head"]["signatures"] if one["type"] == 4 and one not in witnesses]
    old = max([one["timestamp"] for one in witnesses], default=0) - datetime.fromisoformat(book["root"]["at"]).timestamp()
    return {
        "origin": book["root"]["origin"], "as_of_index": book["root"]["index"], "as_of": book["root"]["at"], "size": book["head"]["size"], "witnessed": bool(witnesses),
        "witnesses": list(map(stamp, witnesses)), "others": list(map(stamp, others)), "stale": old // 3600 > 26, "unchecked": book["unchecked"], "accounts": accounts,
    }  # fmt: skip
