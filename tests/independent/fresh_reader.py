"""The one-file reader: it judges our documents by what `docs/reference/` says.

It was written from those pages, the vectors and the C2SP pages they name, before any other code here was read. Where the
pages turned out to be unclear and were mended, it was mended with them.

It shares no code with the product nor with its neighbours here, uses the standard library and PyNaCl, and reads the table of
entry types out of the page itself. `judge` hands a reader the inputs of a vector, never its verdict. A refusal is one of the
pages' rules, by its name. It is no verifier to rely on, for it leaves to its longer neighbours what no vector asks of it: the
form of a DID document, hosts that are not ASCII, the finer grammar of a policy, all keys of a genesis but three, in a statement
the order of payouts and holds, and of its verdict all but the sums; and as documents of their own forks (V16), objects (V17)
and settlement.
"""

import base64
import functools
import hashlib
import itertools
import json
import re
import unicodedata
import urllib.parse
import zlib
from datetime import UTC, datetime
from pathlib import Path

from nacl.bindings import crypto_core_ed25519_is_valid_point
from nacl.exceptions import BadSignatureError
from nacl.signing import VerifyKey

PAGE = Path(__file__).resolve().parents[2] / "docs" / "reference" / "ledger-format.md"


class Refused(Exception):
    """The name of the rule that does not hold."""


def need(holds, reason):
    if not holds:
        raise Refused(reason)


def held(reader, *arguments):
    try:
        return reader(*arguments)
    except Refused:
        return None


# Kinds of values (ledger-format.md 3 and 5)

B58 = "123456789ABCDEFGHJKLMNPQRSTUVWXYZabcdefghijkmnopqrstuvwxyz"
SCID, NAME, DAY = f"Qm[{B58}]{{44}}", "[a-z0-9](?:[a-z0-9_.-]{0,62}[a-z0-9])?", "[0-9]{4}-[0-9]{2}-[0-9]{2}"
PERIOD = r"[0-9]{4}-[0-9]{2}(?:-[0-9]{2})?(?:\.[1-9][0-9]{0,2})?"
ORIGIN = "[a-z0-9](?:[a-z0-9.-]{0,251}[a-z0-9])?(?::[1-9][0-9]{0,4})?/ledger/[1-9][0-9]{0,3}"
KINDS = {
    "scid": SCID,
    "name": NAME,
    "period": PERIOD,
    "origin": ORIGIN,
    "day": DAY,
    "amount": "0|[1-9][0-9]{0,17}",
    "signed": "0|-?[1-9][0-9]{0,17}",
    "currency": "[A-Z]{3}",
    "unit": "[A-Z]{3}/6",
    "hash": "[0-9a-f]{64}",
    "payout": "[0-9a-f]{32}",
    "version": f"[1-9][0-9]{{0,5}}-{SCID}",
    "word": "[a-z0-9][a-z0-9._/-]{0,63}",
    "note": r"[^\x00-\x1f\x7f]{0,200}",
    "alg": "[a-z][a-z0-9-]{0,40}/[1-9][0-9]{0,3}",
    "url": "https?://[!-~]{1,500}",
    "policy": "[ -~\n]{1,3000}",
    "utc": "UTC",
    "text": "(?s:.*)",
    "int": lambda v: type(v) is int and 0 <= v < 2**53,
    "positive": lambda v: type(v) is int and v > 0,
    "one": lambda v: type(v) is int and v == 1,
    "list": lambda v: isinstance(v, list),
    "any": lambda v: True,
    "time": lambda v: seconds(v) is not None,
    "sig": "[A-Za-z0-9+/]{86}==",
    "key": f"z[{B58}]{{47,48}}",
    "vkey": r"[!-*,-~]{1,255}\+[0-9a-f]{8}\+[A-Za-z0-9+/]{44}",
    "indices": lambda v: listed(v, "int", 0, 256),
    "ids": lambda v: listed(v, "hash", 1, 32),
    "units": lambda v: listed(v, "unit", 1, 32),
    "pair": lambda v: isinstance(v, list) and len(v) == 2 and is_kind(v[0], "word") and is_kind(v[1], "int"),
    "tally": lambda v: listed(v, "pair", 0, 64) and ascends([word for word, _ in v]),
}


def is_kind(value, kind):
    rule = KINDS[kind]
    return bool(rule(value) if callable(rule) else isinstance(value, str) and re.fullmatch(rule, value))


def ascends(rows):
    return all(a < b for a, b in itertools.pairwise(rows))


def listed(value, kind, least, most):
    return isinstance(value, list) and least <= len(value) <= most and all(is_kind(v, kind) for v in value) and ascends(value)


def seconds(text):
    try:
        return int(datetime.strptime(text, "%Y-%m-%dT%H:%M:%SZ").replace(tzinfo=UTC).timestamp()) if len(text) == 20 else None
    except (TypeError, ValueError):
        return None


def form(value, names, reason="bad_member"):
    """An object with exactly these members, `name:kind` or just `name`."""
    kinds = {name: kind or "any" for name, _, kind in (pair.partition(":") for pair in names.split())}
    need(isinstance(value, dict), reason)
    need(value.keys() >= kinds.keys(), "missing_member")
    need(value.keys() <= kinds.keys(), "unknown_member")
    need(all(is_kind(value[name], kind) for name, kind in kinds.items()), reason)


def versioned(value, names, reason):
    """As `form`, with the integer 1 as `v` before the kinds of the others."""
    form(value, re.sub(":[a-z]+", "", names))
    need(is_kind(value["v"], "one"), "unknown_version")
    form(value, names, reason)


def without(value, *names):
    return {name: each for name, each in value.items() if name not in names}


# JSON, hashes, keys, signatures (ledger-format.md 2 and 11, key-log.md 2)


def jcs(value):
    if isinstance(value, dict):
        return (
            "{"
            + ",".join(jcs(k) + ":" + jcs(value[k]) for k in sorted(value, key=lambda k: k.encode("utf-16-be", "surrogatepass")))
            + "}"
        )
    return "[" + ",".join(map(jcs, value)) + "]" if isinstance(value, list) else json.dumps(value, ensure_ascii=False)


def canon(value):
    return jcs(value).encode()


def sha(data):
    return hashlib.sha256(data).digest()


def walk(value, levels, narrow):
    if isinstance(value, str):
        need(not narrow or unicodedata.is_normalized("NFC", value), "not_nfc")
    elif isinstance(value, dict | list):
        need(not narrow or isinstance(value, list) or "".join(value).isascii(), "non_ascii_key")
        need(levels, "too_deep")
        for each in [*value, *value.values()] if isinstance(value, dict) else value:
            walk(each, levels - 1, narrow)


def load(raw, levels, narrow):
    """The JSON value, and whether an object in it names a member twice."""
    twice = []

    def number(text):
        need(text.lstrip("-").isdigit(), "float_refused")
        need(len(text) < 18 and abs(int(text)) < 2**53, "integer_too_large")
        return int(text)

    def members(pairs):
        twice.append(len(pairs) > len(dict(pairs)))
        return dict(pairs)

    try:
        text = raw.decode()
        reader = json.JSONDecoder(parse_int=number, parse_float=number, parse_constant=number, object_pairs_hook=members)
        value, end = reader.raw_decode(text)
    except RecursionError:
        raise Refused("too_deep") from None
    except ValueError as broken:
        raise Refused("not_utf8" if isinstance(broken, UnicodeDecodeError) else "not_json") from None
    need(end == len(text), "not_json")
    walk(value, levels, narrow)
    need(not re.search("[\ud800-\udfff]", jcs(value)), "not_utf8")
    return value, any(twice)


def canonical(raw, limit, too_large="too_large"):
    need(len(raw) <= limit, too_large)
    value, twice = load(raw, 6, narrow=True)
    need(canon(value) == raw, "duplicate_key" if twice else "not_canonical")
    return value


def hash58(data):
    number, text = int.from_bytes(b"\x12\x20" + sha(data), "big"), ""
    while number:
        number, digit = divmod(number, 58)
        text = B58[digit] + text
    return text


def multibase(text, size):
    """The bytes behind `z`, if they are `size` bytes in base58btc; else none."""
    if not isinstance(text, str) or not re.fullmatch(f"z[{B58}]{{1,100}}", text):
        return b""
    number = functools.reduce(lambda total, letter: total * 58 + B58.index(letter), text[1:], 0)
    raw = bytes(len(text) - 1 - len(text[1:].lstrip("1"))) + number.to_bytes((number.bit_length() + 7) // 8, "big")
    return raw if len(raw) == size else b""


def multikey(text, kind=b"\xed\x01"):
    raw = multibase(text, 34)
    return raw[2:] if raw[:2] == kind else b""


def unbase64(text, reason="bad_base64"):
    try:
        raw = base64.b64decode(text, validate=True)
    except (ValueError, TypeError):
        raise Refused(reason) from None
    need(base64.b64encode(raw).decode() == text, reason)
    return raw


P, ORDER = 2**255 - 19, 2**252 + 27742317777372353535851937790883648493
SMALL = [
    bytes(32),
    b"\x01" + bytes(31),
    (P - 1).to_bytes(32, "little"),
    bytes.fromhex("26e8958fc2b227b045c3f489f2ef98f0d5dfac05d3c63339b13802886d53fc05"),
    bytes.fromhex("c7176a703d4dd84fba3c0b760d10670f2a2053fa2c39ccc64ec7fd7792ac037a"),
]


def verifies(key, message, signature):
    """Strict Ed25519."""
    if len(key) != 32 or len(signature) != 64 or int.from_bytes(signature[32:], "little") >= ORDER:
        return False
    heights = [int.from_bytes(point, "little") % 2**255 for point in (key, signature[:32])]
    if any(y >= P or y.to_bytes(32, "little") in SMALL for y in heights):
        return False
    try:
        return bool(VerifyKey(key).verify(message, signature)) or True
    except BadSignatureError:
        return False


PROOF = {"type": "DataIntegrityProof", "cryptosuite": "eddsa-jcs-2022", "proofPurpose": "assertionMethod"}
SIX = {*PROOF, "verificationMethod", "proofValue", "created"}


def is_proof(proof):
    return isinstance(proof, dict) and set(proof) == SIX and all(isinstance(each, str) for each in proof.values())


def proof_holds(document, proof, key):
    data = sha(canon(without(proof, "proofValue"))) + sha(canon(document))
    return proof.items() >= PROOF.items() and verifies(key, data, multibase(proof["proofValue"], 64))


# Entry, account chain, accounts root (ledger-format.md 3 to 9)

DETAILS = {
    "A:cash": NAME,
    "L:transit": NAME,
    "L:advertiser": NAME,
    "A:peer": ORIGIN,
    "L:peer": ORIGIN,
    "L:pool": f"{NAME}:{PERIOD}",
}
DETAILS |= dict.fromkeys(["L:payee", "L:hold", "L:unclaimed"], SCID) | dict.fromkeys(["L:viewers", "L:contributors"], PERIOD)
DETAILS |= dict.fromkeys(["L:ops", "E:reserve", "X:psp-fee", "X:refund"], "") | {"L:tax": "[a-z]{2}"}
UNITS = {"hold": [-1, 1, 0], "release": [1, -1, 0], "claim": [1, 0, -1], "unclaimed.return": [0, 0, -1]}
UNITS |= {"payout.intent": [-1, 0, 0], "payout.failed": [1, 0, 0], "payout.sent": [0, 0, 0], "payout.settled": [0, 0, 0]}


def types_of_the_page():
    """Type -> its body as `name:kind`, and the kinds of account that it may touch."""
    table = PAGE.read_text().split("\n## 5. ")[1].split("\n## ")[0]
    rows = re.findall(r"^\| `([a-z.]+)` \| (.*?) \| ?(.*?) ?\|$", table, re.MULTILINE)
    return {kind: (re.sub(r"`(\w+)` (\w+),?", r"\1:\2", body), re.findall("`([^`]+)`", may)) for kind, body, may in rows}


TYPES = types_of_the_page()


def changes(entry):
    """(scid, currency) -> what the postings do to payable, held and unclaimed."""
    touched, names, sums, body = {}, [""], {}, entry["body"]
    for row in entry["postings"]:
        need(isinstance(row, list) and len(row) == 2 and is_kind(row[0], "text") and is_kind(row[1], "text"), "bad_posting")
        shape = re.fullmatch("([A-Z]:[a-z-]+):?(.*)#([A-Z]{3})/6", row[0])
        need(shape, "bad_account")
        kind, detail, currency = shape.groups()
        need(kind in DETAILS, "unknown_account")
        need(
            re.fullmatch(DETAILS[kind], detail) and row[0].startswith(f"{kind}:{detail}#" if detail else f"{kind}#"),
            "bad_account",
        )
        need(is_kind(row[1], "signed"), "bad_amount")
        need(row[1] != "0", "bad_posting")
        need(kind in TYPES[entry["type"]][1], "posting_not_allowed")
        names.append(row[0])
        need(ascends(names), "postings_unsorted")
        sums[currency] = sums.get(currency, 0) + int(row[1])
        if DETAILS[kind] == SCID:
            touched.setdefault((detail, currency), [0, 0, 0])[["L:payee", "L:hold", "L:unclaimed"].index(kind)] -= int(row[1])
    need(not any(sums.values()), "postings_unbalanced")
    if entry["type"] in {*UNITS, "accrue", "clawback"}:
        change, amount = touched.setdefault((body["scid"], body["currency"]), [0, 0, 0]), int(body["amount"])
        need(len(touched) == 1 and amount, "amount_mismatch")
        sign = -1 if entry["type"] == "clawback" else 1
        free = sum(change) == sign * amount and all(each * sign >= 0 for each in change)
        need(change == [n * amount for n in UNITS[entry["type"]]] if entry["type"] in UNITS else free, "amount_mismatch")
    return touched


def read_entry(raw, origin=None, index=None):
    """The entry, and what it does to accounts."""
    entry = canonical(raw, 4096, "entry_too_large")
    form(entry, "v origin index type at id body postings accounts")
    need(is_kind(entry["v"], "one"), "unknown_version")
    need(is_kind(entry["origin"], "origin") and entry["origin"] == (origin or entry["origin"]), "bad_origin")
    need(is_kind(entry["index"], "int") and index in (None, entry["index"]), "bad_index")
    need(is_kind(entry["type"], "text") and entry["type"] in TYPES, "unknown_type")
    form(entry["body"], TYPES[entry["type"]][0], "bad_body")
    need(is_kind(entry["at"], "time"), "bad_time")
    need(is_kind(entry["id"], "payout"), "bad_entry_id")
    need(isinstance(entry["postings"], list), "bad_member")
    touched = changes(entry)
    need(isinstance(entry["accounts"], list), "bad_member")
    for link in entry["accounts"]:
        form(link, "scid:scid currency:currency seq:positive prev:hash balance_after held_after")
        need((link["prev"] == "0" * 64) == (link["seq"] == 1), "account_chain_broken")
        need(is_kind(link["balance_after"], "signed") and is_kind(link["held_after"], "signed"), "bad_amount")
        need(min(int(link["balance_after"]), int(link["held_after"])) >= 0, "account_overdrawn")
    linked = [(link["scid"], link["currency"]) for link in entry["accounts"]]
    need(ascends(linked), "accounts_unsorted")
    need(set(touched) <= set(linked), "account_link_missing")
    need(set(touched) >= set(linked), "account_link_unexpected")
    return entry, touched


def follow(chains, scid, raw, entry, touched):
    """Carries `chains` (currency -> seq, leaf hash, payable, held, unclaimed) over one entry."""
    for link in (link for link in entry["accounts"] if link["scid"] == scid):
        seq, leaf, *owed = chains.get(link["currency"], (0, "0" * 64, 0, 0, 0))
        owed = [before + change for before, change in zip(owed, touched[scid, link["currency"]], strict=True)]
        need(link["seq"] == seq + 1, "account_sequence_broken")
        need(link["prev"] == leaf, "account_chain_broken")
        need(min(owed) >= 0, "account_overdrawn")
        need((link["balance_after"], link["held_after"]) == (str(owed[0]), str(owed[1])), "account_balance_wrong")
        chains[link["currency"]] = (seq + 1, sha(b"\0" + raw).hex(), *owed)


def node(left, right):
    return sha(b"\1" + left + right)


def hashes(proof, most=126):
    need(isinstance(proof, list) and len(proof) <= most, "bad_member")
    need(all(len(unbase64(each)) == 32 for each in proof), "bad_hash")
    return [unbase64(each) for each in proof]


def range_root(start, leaves, size, path, root):
    """Whether `leaves` stand from `start` on in the tree of `size` leaves (section 9)."""
    rest = list(path)

    def descend(low, width):
        if low + width <= start or low >= start + len(leaves):
            need(rest, "proof_too_short")
            return rest.pop(0)
        half = 1 << (width - 1).bit_length() >> 1
        return node(descend(low, half), descend(low + half, width - half)) if width > 1 else sha(b"\0" + leaves[low - start])

    need(start + len(leaves) <= size, "bad_tree_size")
    found = descend(0, size)
    need(not rest, "proof_too_long")
    need(found == root, "root_mismatch")


def leaves_of(run):
    for leaf in run:
        form(leaf, "scid:scid currency:currency seq:positive balance held")
        need(is_kind(leaf["balance"], "signed") and is_kind(leaf["held"], "signed"), "bad_amount")
        need(min(int(leaf["balance"]), int(leaf["held"])) >= 0, "bad_member")
    return run


def run_holds(root, count, scid, index, leaves, path):
    own = [place for place, leaf in enumerate(leaves) if leaf["scid"] == scid]
    need(own, "account_leaf_missing")
    need(ascends([(leaf["scid"], leaf["currency"]) for leaf in leaves]), "accounts_tree_unsorted")
    range_root(index, [canon(leaf) for leaf in leaves], count, path, root)
    before, behind = own[0], len(leaves) - 1 - own[-1]
    need(before <= 1 and behind <= 1, "wrong_scid")
    need((before or index == 0) and (behind or index + len(leaves) == count), "account_run_incomplete")


# Notes and policies (ledger-format.md 11, 12)


def verifier_key(text):
    """(name, id, type, key)."""
    shape = re.fullmatch(r"([^\s+]+)\+([0-9a-f]{8})\+(.+)", text if isinstance(text, str) else "")
    need(shape, "bad_key")
    raw = unbase64(shape[3], "bad_key")
    need(raw and sha(shape[1].encode() + b"\n" + raw).hex()[:8] == shape[2], "bad_key")
    need(raw[0] in (1, 4), "unsupported_algorithm")
    need(len(raw) == 33 and crypto_core_ed25519_is_valid_point(raw[1:]), "bad_key")
    return shape[1], bytes.fromhex(shape[2]), raw[0], raw[1:]


def open_note(note, vkeys):
    """Its text, and vkey -> time of each signature; no key may have signed but these."""
    need(len(note.encode()) <= 65536 and not re.search("[\x00-\x09\x0b-\x1f]", note), "malformed_note")
    text, blank, tail = note.rpartition("\n\n")
    *lines, end = tail.split("\n")
    need(blank and not end and 1 <= len(lines) <= 100, "malformed_note")
    known, found = {verifier_key(vkey)[:2]: vkey for vkey in vkeys}, {}
    for line in lines:
        shape = re.fullmatch(r"— ([^\s+]+) ((?:[A-Za-z0-9+/]{4})+(?:[A-Za-z0-9+/]{2}==|[A-Za-z0-9+/]{3}=)?)", line)
        need(shape, "malformed_note")
        vkey = known.get((shape[1], base64.b64decode(shape[2])[:4]))
        need(vkey, "unknown_signature")
        signature, cosigned = unbase64(shape[2], "bad_signature")[4:], verifier_key(vkey)[2] == 4
        at = int.from_bytes(signature[:8], "big") if cosigned else 0
        message = (f"cosignature/v1\ntime {at}\n" if cosigned else "") + text + "\n"
        need(at < 2**63 and verifies(verifier_key(vkey)[3], message.encode(), signature[8 * cosigned :]), "bad_signature")
        need(vkey not in found, "duplicate_signature")
        found[vkey] = at
    return text + "\n", found


def open_checkpoint(note, origin, log_keys, cosigners):
    text, found = open_note(note, [*log_keys, *cosigners])
    *lines, _ = text.split("\n")
    need(len(lines) >= 3 and all(lines) and re.fullmatch("0|[1-9][0-9]{0,18}", lines[1]), "malformed_checkpoint")
    root = unbase64(lines[2], "malformed_checkpoint")
    need(int(lines[1]) < 2**63 and len(root) == 32, "malformed_checkpoint")
    need(set(found) & set(log_keys), "no_known_signature")
    need(lines[0] == origin and len(lines) == 3, "wrong_origin")
    return int(lines[1]), root, found


def read_policy(text):
    """(vkeys of logs, name -> vkey of witnesses, whether a set of vkeys meets the quorum)."""
    lines = [line.split() for line in text.split("\n") if line.strip() and line.strip()[0] != "#"]
    logs, witnesses, groups, quorum = [], {}, {}, []
    for verb, *words in lines:
        if verb == "log" and words:
            logs.append(words[0])
        elif verb == "witness" and len(words) > 1:
            witnesses[words[0]] = words[1]
        elif verb == "group" and len(words) > 2:
            groups[words[0]] = ({"any": "1", "all": str(len(words) - 2)}.get(words[1], words[1]), words[2:])
        else:
            need(verb == "quorum" and len(words) == 1, "malformed_policy")
            quorum += words
    need(all(held(verifier_key, vkey) for vkey in [*logs, *witnesses.values()]) and len(quorum) == 1, "malformed_policy")
    need(all(least.isdecimal() and {*witnesses, *groups} >= set(names) for least, names in groups.values()), "malformed_policy")
    need(quorum[0] in {*witnesses, *groups, "none"}, "malformed_policy")

    def met(name, vkeys):
        if name in groups:
            return sum(met(each, vkeys) for each in groups[name][1]) >= int(groups[name][0])
        return name == "none" or witnesses[name] in vkeys

    return logs, witnesses, functools.partial(met, quorum[0])


def counting(origin, found):
    """The cosigners that count: not the log's own host, no auditor, no mirror, no host twice."""
    hosts, counted = {origin.split("/")[0]}, []
    for vkey in found:
        name = vkey.split("+")[0]
        if name.split("/")[0] not in hosts and not re.search("/(auditor|mirror)/[0-9]+$", name):
            hosts.add(name.split("/")[0])
            counted.append(vkey)
    return counted


# The agreement (agreement-format.md)

AGREEMENT = "v id:hash kind:text scope:text origin:origin prev:hash created:time effective_from:time notice_days:int"
PLACES = {"contributors", "operating", "reserve", "viewers"}


def rows(value, names, most, key):
    """A list of objects, ascending by one of their members."""
    need(isinstance(value, list) and len(value) <= most, "bad_agreement")
    for row in value:
        form(row, names, "bad_agreement")
    need(ascends([row[key] for row in value]), "bad_agreement")
    return value


def terms(value):
    """What an agreement says, without its proofs; returns the parties."""
    versioned(
        value, "v id kind scope origin prev created effective_from notice_days parties shares holds losses proof", "bad_agreement"
    )
    need(value["id"] == sha(canon(without(value, "id", "proof"))).hex(), "bad_agreement_id")
    form(value, AGREEMENT + " parties shares holds:list losses proof:list", "bad_agreement")
    parties = {row["scid"] for row in rows(value["parties"], "scid:scid role:text custody:text", 16, "scid")}
    scopes = {"default": value["scope"] == "*", "channel": value["scope"] in parties, "work": bool(parties)}
    need(scopes.get(value["kind"]) and bool(parties) == (value["kind"] != "default"), "bad_agreement")
    need(re.fullmatch("[!-~]{1,300}", value["scope"]) and len(value["proof"]) <= 17, "bad_agreement")
    need(seconds(value["created"]) <= seconds(value["effective_from"]) and 30 <= value["notice_days"] <= 366, "bad_agreement")
    said = all(row["role"] in ("creator", "contributor") and row["custody"] in ("owner", "server") for row in value["parties"])
    need(said and value["losses"] in (["reserve", "operating"], ["operating", "reserve"]), "bad_agreement")
    form(value["shares"], "contextual personal", "bad_agreement")
    for table in ("contextual", "personal"):
        shares = {
            row["to"]: row["share_millionths"]
            for row in rows(value["shares"][table], "to:text share_millionths:positive", 20, "to")
        }
        need(set(shares) <= PLACES | (parties or {"creator"}) and set(shares) - PLACES, "bad_agreement")
        need(sum(shares.values()) == 1_000_000, "shares_do_not_sum")
    for row in rows(value["holds"], "rail:name days:int rate_millionths:int", 16, "rail"):
        need(row["days"] <= 366 and row["rate_millionths"] <= 1_000_000, "bad_agreement")
    return parties


def signer(method):
    """The SCID of the person who signs by a method, or "instance"."""
    shape = re.fullmatch(rf"did:webvh:({SCID}):[!-~]+\?versionId=[1-9][0-9]*-{SCID}#user-[1-9][0-9]*", method)
    need(shape or re.fullmatch(r"https?://[!-~]+#instance-1", method), "agreement_proof_unexpected")
    return shape[1] if shape else "instance"


def read_agreement(raw, keys):
    """The agreement, and the parties of whom the reader has no key; `keys`: method -> Multikey."""
    value = canonical(raw, 16384)
    missing, unchecked = terms(value) | {"instance"}, []
    for proof in value["proof"]:
        need(is_proof(proof), "bad_signature")
        signer(proof["verificationMethod"])
    need(ascends([proof["verificationMethod"] for proof in value["proof"]]), "agreement_proof_unexpected")
    for proof in value["proof"]:
        who, key = signer(proof["verificationMethod"]), keys.get(proof["verificationMethod"])
        need(who in missing, "agreement_proof_unexpected")
        missing.remove(who)
        need(key or who != "instance", "agreement_unsigned")
        need(not key or proof_holds(without(value, "id", "proof"), proof, multikey(key)), "bad_signature")
        unchecked += [] if key else [who]
    need(not missing, "agreement_unsigned")
    return value, unchecked


# The key log (key-log.md 2, 3, 5, 6)


def read_did(did, loopback=False):
    """(SCID, host, port, segments) of a did:webvh at an allowed place."""
    label = "[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?"
    host = rf"(?=[^:%]{{1,253}}(?:[:%]|$))({label}(?:\.{label})*)"
    shape = re.fullmatch(
        rf"did:webvh:({SCID}):{host}(?:%3A([1-9][0-9]{{0,4}}))?((?::[^:]+)*)", did if isinstance(did, str) else ""
    )
    need(shape and len(did) <= 1024, "V9")
    scid, host, port, segments = *shape.groups()[:3], shape[4].split(":")[1:]
    *above, last = host.split(".")
    need((above and last not in ("localhost", "local", "internal", "onion")) or (loopback and last == "localhost"), "V9")
    need(not re.fullmatch("[0-9]+|0x[0-9a-f]*", last) and int(port or 0) <= 65535, "V9")
    plain = [urllib.parse.unquote(each, errors="replace") for each in segments]
    need(not any(re.search("%(?![0-9A-F]{2})", each) for each in segments) and not {"", ".", ".."} & set(plain), "V9")
    need(not re.search(r'[\s\x00-\x1f\x7f-\x9f/\\?#:%"<>^{|}\[\]`\ufffd]', "".join(plain)), "V9")
    return scid, host, port, segments


def is_witness(value):
    form(value, "threshold:positive witnesses:list")
    ids = [form(each, "id:text") or each["id"] for each in value["witnesses"]]
    need(1 <= len(ids) <= 32 and all(each[:8] == "did:key:" and multikey(each[8:]) for each in ids), "V13")
    return len(set(ids)) == len(ids) >= value["threshold"]


def texts(value, longest):
    return isinstance(value, list) and len(value) <= 32 and all(isinstance(each, str) and len(each) <= longest for each in value)


PARAMETERS = {
    "method": ("V2", lambda v: v == "did:webvh:1.0"),
    "scid": ("V5", lambda v: is_kind(v, "scid")),
    "updateKeys": ("V1", lambda v: texts(v, 99) and all(map(multikey, v)) and len(set(v)) == len(v)),
    "nextKeyHashes": ("V1", lambda v: texts(v, 128)),
    "portable": ("V1", lambda v: isinstance(v, bool)),
    "witness": ("V13", lambda v: v == {} or held(is_witness, v)),
    "watchers": ("V1", lambda v: texts(v, 2048)),
    "deactivated": ("V1", lambda v: isinstance(v, bool)),
    "ttl": ("V1", lambda v: is_kind(v, "int") and v <= 2**31),
}
AT_FIRST = {"nextKeyHashes": [], "portable": False, "witness": {}, "deactivated": False}


def in_force(new, before):
    """The parameters after an entry; `before` is empty for the first."""
    need(before or "method" in new, "V2")
    need(before or "updateKeys" in new, "V1")
    need(before or is_kind(new.get("scid"), "scid"), "V5")
    need(not before or "scid" not in new, "V5")
    need(not before or before["portable"] or new.get("portable") is not True, "V1")
    for name, value in new.items():
        need(name in PARAMETERS and value is not None, "V1")
        need(PARAMETERS[name][1](value), PARAMETERS[name][0])
    return AT_FIRST | before | new


def log_line(line):
    need(line[:1] == b"{" and line[-1:] == b"}", "V1")
    entry, twice = held(load, line, 16, False) or (None, True)
    need(not twice and set(entry) == {"versionId", "versionTime", "parameters", "state", "proof"}, "V1")
    entry["proof"] = [entry["proof"]] if isinstance(entry["proof"], dict) else entry["proof"]
    need(isinstance(entry["parameters"], dict) and isinstance(entry["state"], dict) and isinstance(entry["proof"], list), "V1")
    need(len(entry["proof"]) <= 4 and all(isinstance(proof, dict) for proof in entry["proof"]), "V1")
    need(isinstance(entry["versionId"], str) and re.fullmatch(f"[1-9][0-9]*-{SCID}", entry["versionId"]), "V3")
    need(is_kind(entry["versionTime"], "time"), "V11")
    return entry


def proof_by(document, proof, more=()):
    """The Multikey that made a proof in a log (V6)."""
    need({*SIX, "id", *more} >= set(proof) >= SIX - {"created"} and all(isinstance(each, str) for each in proof.values()), "V6")
    dates = [proof[name] for name in ("created", *more) if name in proof]
    need(all(re.fullmatch(rf"{DAY}T\d\d:\d\d:\d\d(\.\d+)?(Z|[+-]\d\d:\d\d)", date) for date in dates), "V6")
    key = proof["verificationMethod"].partition("#")[2]
    need(proof["verificationMethod"] == f"did:key:{key}#{key}" and proof_holds(document, proof, multikey(key)), "V6")
    return key


def log_entry(entry, number, last, now, policy, loopback):
    """Judges one line behind `last`; returns it with the parameters in force and the place j of its key."""
    before = last["force"] if last else {}
    need(not before.get("deactivated"), "V12")
    need(entry["versionId"].split("-")[0] == str(number), "V3")
    force, document = in_force(entry["parameters"], before), without(entry, "proof")
    template = jcs(document | {"versionId": "{SCID}"}).replace(force["scid"], "{SCID}")
    need(last or hash58(canon(json.loads(template))) == force["scid"], "V5")
    chained = document | {"versionId": last["versionId"] if last else force["scid"]}
    need(entry["versionId"].split("-")[1] == hash58(canon(chained)), "V4")
    did = entry["state"].get("id")
    scid, _, port, _ = read_did(did, loopback)
    need(scid == force["scid"] and not (policy and port and not loopback), "V9")
    old, names = last["state"]["id"] if last else did, entry["state"].get("alsoKnownAs")
    need(did == old or (force["portable"] and isinstance(names, list) and old in names), "V10")
    at = seconds(entry["versionTime"])
    need(at <= now + 300 and (not last or at > seconds(last["versionTime"])), "V11")
    committed, hashed = before.get("nextKeyHashes", []), [hash58(key.encode()) for key in force["updateKeys"]]
    need(not committed or ({"updateKeys", "nextKeyHashes"} <= set(entry["parameters"]) and set(hashed) <= set(committed)), "V8")
    signers = {proof_by(document, proof) for proof in entry["proof"]}
    need(signers and signers <= set(force["updateKeys"] if committed or not last else before["updateKeys"]), "V6")
    place = None
    if policy:
        need(last or (force["portable"] and force["nextKeyHashes"]), "V7")
        need(len(hashed) == 1 and (committed or not last), "V8")
        place, coming = committed.index(hashed[0]) if last else None, force["nextKeyHashes"]
        need(len(set(coming)) == len(coming) <= 5 and coming[: place or 0] == committed[: place or 0], "V8b")
        kept = not force["deactivated"] and force["portable"] and force["witness"] == before.get("witness")
        need(not place or kept, "V8b")
    return entry | {"force": force, "place": place}


def approvals(entries, file, now):
    """V13."""
    numbers, given = {entry["versionId"]: number for number, entry in enumerate(entries)}, set()
    for version, proof in ((each["versionId"], proof) for each in file for proof in each["proof"]):
        key = held(proof_by, {"versionId": version}, proof, ("expires",))
        if key and version in numbers and datetime.fromisoformat(proof.get("expires", "9999-01-01T00:00:00Z")).timestamp() > now:
            given |= {(f"did:key:{key}", n) for n in range(numbers[version] + 1)}
    for number, entry in enumerate(entries):
        asked = entries[max(number - 1, 0)]["force"]["witness"] or entry["force"]["witness"]
        need(not asked or sum((each["id"], number) in given for each in asked["witnesses"]) >= asked["threshold"], "V13")


def read_key_log(text, now, judge="policy", requested=None, witness=(), loopback=False, pinned=(), most=(200, 2**18)):
    raw = text.encode(errors="surrogatepass")
    lines, entries = raw.removesuffix(b"\n").split(b"\n"), []
    need(len(lines) <= most[0] and len(raw) <= most[1], "V1")
    for number, line in enumerate(lines, 1):
        last = entries[-1] if entries else None
        entries.append(log_entry(log_line(line), number, last, now, judge == "policy", loopback))
    approvals(entries, witness, now)
    need(requested in {None, entries[0]["force"]["scid"], *(entry["state"]["id"] for entry in entries)}, "V14")
    need(set(pinned) <= {entry["versionId"] for entry in entries}, "V15")
    return entries


def custody(entry):
    said = entry["state"].get("tributary")
    return said["custody"] if said in ({"custody": "owner"}, {"custody": "server"}) else "unstated"


def speakers(entry):
    """user-n, its Multikey, the Multikey of #home, and the actor, as the document of an entry has them."""
    keys = {each["id"].partition("#")[2]: each["publicKeyMultibase"] for each in entry["state"]["verificationMethod"]}
    (user, key), (home, home_key) = list(keys.items())[:2]
    need(user.startswith("user-") and home.startswith("home-"), "bad_document")
    return user, key, home_key, entry["state"]["service"][0]["serviceEndpoint"]


# The statement (statement-format.md)


def unpacked(raw):
    need(len(raw) <= 2**24, "too_large")
    need(raw[:16] == bytes.fromhex("1f8b08040000000002ff240054532000") and raw[16:48] == sha(raw[48:]), "statement_damaged")
    stream = zlib.decompressobj(-zlib.MAX_WBITS)
    try:
        text = stream.decompress(raw[48:], 2**25)
    except zlib.error:
        raise Refused("statement_damaged") from None
    check = zlib.crc32(text).to_bytes(4, "little") + len(text).to_bytes(4, "little")
    need(stream.eof and stream.unused_data == check, "statement_damaged")
    need(sum(text.count(mark) for mark in (b'"', b",", b"[", b"{")) <= 3_000_000, "too_large")
    return text


def debtor_form(debtor):
    need(isinstance(debtor, dict) and debtor.get("account_leaf"), "account_leaf_missing")
    form(
        debtor,
        "account_leaf account_proof agreements:list checkpoint:text genesis origin:origin ranges:list",
        "malformed_statement",
    )
    form(debtor["genesis"], "entry:text proof:list")
    form(debtor["account_leaf"], "index:int leaves:list", "malformed_statement")
    end = 0
    for run in debtor["ranges"]:
        form(run, "start:int entries:list proof:list", "ranges_unsorted")
        need(run["entries"] and run["start"] > end, "ranges_unsorted")
        end = run["start"] + len(run["entries"])
    need(end and len(debtor["agreements"]) <= 1000, "ranges_unsorted")
    leaves_of(debtor["account_leaf"]["leaves"])


def agreements_bear(debtor, scid, keys, entries):
    """Every agreement is one and is needed; what is payable, is so under an agreement of hers (4.3.8)."""
    parties, used = {}, set()
    for raw in map(unbase64, debtor["agreements"]):
        value, unchecked = read_agreement(raw, keys)
        need(value["origin"] == debtor["origin"], "wrong_origin")
        need(scid not in unchecked, "agreement_unsigned")
        parties[value["id"]] = {party["scid"] for party in value["parties"]}
    need(list(parties) == sorted(parties) and len(parties) == len(debtor["agreements"]), "agreement_unused")
    for _, entry, touched in entries:
        if entry["type"] in ("accrue", "claim"):
            named = entry["body"].get("agreements") or [entry["body"]["agreement"]]
            need(set(named) <= set(parties), "agreement_missing")
            bound, (payable, _, unclaimed) = [scid in parties[each] for each in named], touched[scid, entry["body"]["currency"]]
            need((any(bound) or not payable) and (not all(bound) or unclaimed <= 0), "agreement_mismatch")
            used |= set(named)
    need(used == set(parties), "agreement_unused")


def history(scid, size, entries):
    """The chains of the identity after all entries, and the accounts root (4.3.6)."""
    chains, roots = {}, []
    for raw, entry, touched in entries:
        linked = any(link["scid"] == scid for link in entry["accounts"])
        need(linked or entry["type"] in ("accounts.root", "key.rotate"), "foreign_entry")
        follow(chains, scid, raw, entry, touched)
        if entry["type"] == "accrue":
            end = entry["body"]["close"] + entry["body"]["batch"]
            need(entry["body"]["close"] < entry["index"] <= end < size, "close_batch_cut")
        roots += [entry] if entry["type"] == "accounts.root" else []
    need(len(roots) == 1, "account_leaf_missing")
    need(
        all(entry["index"] <= roots[0]["index"] or entry["type"] == "key.rotate" for _, entry, _ in entries), "account_leaf_stale"
    )
    return chains, roots[0]["body"]


def read_debtor(debtor, scid, keys, policy, own):
    """(origin, ledger key, cosigners, those that count, what is owed by currency)."""
    origin, genesis_raw = debtor["origin"], unbase64(debtor["genesis"]["entry"])
    genesis = read_entry(genesis_raw, origin, 0)[0]
    need(genesis["type"] == "genesis" and genesis["body"]["ledger"].split("+")[0] == origin, "genesis_misplaced")
    runs = [(run["start"], [unbase64(raw) for raw in run["entries"]], hashes(run["proof"])) for run in debtor["ranges"]]
    entries = [(raw, *read_entry(raw, origin, start + n)) for start, raws, _ in runs for n, raw in enumerate(raws)]
    ledger = genesis["body"]["ledger"]
    for _, entry, _ in entries:
        if entry["type"] == "key.rotate":
            text = canon(["key.rotate/1", origin, ledger, entry["body"]["new"]])
            signing = [multikey(genesis["body"]["root"]), verifier_key(ledger)[3], verifier_key(entry["body"]["new"])[3]]
            signed = [unbase64(entry["body"][f"{who}_signature"]) for who in ("root", "old", "new")]
            need(all(verifies(key, text, signature) for key, signature in zip(signing, signed, strict=True)), "bad_rotation")
            ledger = entry["body"]["new"]
    cosigners = {*policy[1].values(), *(own[1].values() if own else ())}
    size, root, found = open_checkpoint(debtor["checkpoint"], origin, [ledger], cosigners)
    cosigned = [vkey for vkey in found if vkey != ledger]
    counted = counting(origin, cosigned)
    need(not own or not own[0] or ledger in own[0], "log_not_trusted")
    need(not own or own[2](counted), "quorum_not_met")
    path = hashes(debtor["genesis"]["proof"], 63)
    need(len(path) == (size - 1).bit_length(), "proof_too_short")
    need(functools.reduce(node, path, sha(b"\0" + genesis_raw)) == root, "root_mismatch")
    for start, raws, proof in runs:
        range_root(start, raws, size, proof, root)
    log = [genesis, *(entry for _, entry, _ in entries)]
    need(all(seconds(a["at"]) <= seconds(b["at"]) for a, b in itertools.pairwise(log)), "time_went_backwards")
    need(len({entry["id"] for entry in log}) == len(log), "entry_id_repeated")
    chains, accounts = history(scid, size, entries)
    leaves, index = debtor["account_leaf"]["leaves"], debtor["account_leaf"]["index"]
    run_holds(bytes.fromhex(accounts["root"]), accounts["count"], scid, index, leaves, hashes(debtor["account_proof"]))
    for leaf in (leaf for leaf in leaves if leaf["scid"] == scid):
        seq, _, payable, on_hold, _ = chains.get(leaf["currency"], (0, "", 0, 0, 0))
        need(seq >= leaf["seq"], "statement_incomplete")
        need(seq == leaf["seq"], "account_leaf_stale")
        need((leaf["balance"], leaf["held"]) == (str(payable), str(on_hold)), "account_leaf_wrong")
    need({leaf["currency"] for leaf in leaves if leaf["scid"] == scid} == set(chains), "account_leaf_missing")
    instance = {genesis["body"]["actor"] + "#instance-1": genesis["body"]["instance"]}
    agreements_bear(debtor, scid, keys | instance, entries)
    return origin, ledger, cosigned, counted, [owed_in(currency, chains[currency]) for currency in sorted(chains)]


def owed_in(currency, chain):
    seq, _, *amounts = chain
    names = ("payable", "held", "unclaimed")
    return {"currency": currency, "seq": seq} | {name: str(amount) for name, amount in zip(names, amounts, strict=True)}


def exact_policy(ledgers, cosigned, counted):
    """The one spelling of 4.4."""
    lines = [f"log {vkey}" for vkey in sorted(ledgers)]
    lines += [f"witness {vkey.split('+')[0]} {vkey}" for vkey in sorted({*itertools.chain(*cosigned)})]
    least, names = min(map(len, counted)), sorted({vkey.split("+")[0] for vkey in itertools.chain(*counted)})
    group = [f"group witnesses {least} {' '.join(names)}", "quorum witnesses"]
    return "\n".join(lines + (group if least else ["quorum none"])) + "\n"


def read_statement(packed, policy=None):
    value = canonical(unpacked(unbase64(packed)), 2**25)
    versioned(value, "v scid:scid policy:text identity:list debtors:list", "malformed_statement")
    need(1 <= len(value["identity"]) <= 2000 and all(is_kind(line, "text") for line in value["identity"]), "malformed_statement")
    need(1 <= len(value["debtors"]) <= 256, "malformed_statement")
    for debtor in value["debtors"]:
        debtor_form(debtor)
    need(ascends([debtor["origin"] for debtor in value["debtors"]]), "malformed_statement")
    now = 2**40  # a statement is read at any time, and the file has no clock of its own
    entries = held(functools.partial(read_key_log, loopback=True, most=(2000, 5 * 2**20)), "\n".join(value["identity"]), now)
    need(entries, "bad_identity_log")
    scid = value["scid"]
    need(entries[0]["force"]["scid"] == scid, "wrong_scid")
    keys = {
        f"{entry['state']['id']}?versionId={entry['versionId']}#{speakers(entry)[0]}": speakers(entry)[1] for entry in entries
    }
    policies = read_policy(value["policy"]), read_policy(policy) if policy else None
    debtors = [read_debtor(debtor, scid, keys, *policies) for debtor in value["debtors"]]
    _, ledgers, cosigned, counted, _ = zip(*debtors, strict=True)
    need(value["policy"] == exact_policy(ledgers, cosigned, counted), "policy_not_exact")
    owed = [{"origin": origin, "witnessed": bool(witnesses), "accounts": said} for origin, _, _, witnesses, said in debtors]
    head = {"scid": scid, "custody": custody(entries[-1]), "version": entries[-1]["versionId"]}
    return {"verdict": head | {"policy": "reader" if policy else "file", "debtors": owed}}


# The two documents of a move: HostGrant and Receipt, by host-grant.md


def small_form(value, names, kind, reason):
    """The seconds of its proof's `created`."""
    texts_of = [f"{name}:text" for name in names.split()]
    need(isinstance(value, dict) and set(value) == {"v", "type", "proof", *names.split()}, reason)
    form(value, " ".join([*texts_of, "v:one", "type:text", "proof"]), reason)
    need(value["type"] == kind and is_proof(value["proof"]) and is_kind(value["proof"]["created"], "time"), reason)
    return seconds(value["proof"]["created"])


def read_grant(log, audience, nonce, fresh, now, act, grant):
    created = small_form(grant, "scid versionId audience homeKey actor nonce expires", "HostGrant", "BadGrantForm")
    need(22 <= len(grant["nonce"]) <= 128 and is_kind(grant["expires"], "time"), "BadGrantForm")
    entries = {entry["versionId"]: entry for entry in read_key_log(log["log"], seconds(log["now"]))}
    head = list(entries.values())[-1]
    need(grant["scid"] == head["force"]["scid"], "WrongIdentity")
    need(grant["versionId"] in entries, "WrongVersion")
    user, key, *home = speakers(entries[grant["versionId"]])
    need(grant["audience"] == audience, "WrongAudience")
    need([grant["homeKey"], grant["actor"]] == home, "WrongHome")
    need(grant["proof"]["verificationMethod"] == entries[grant["versionId"]]["state"]["id"] + "#" + user, "WrongKey")
    need(proof_holds(without(grant, "proof"), grant["proof"], multikey(key)), "WrongKey")
    need(created < seconds(grant["expires"]) <= created + 900, "LivesTooLong")
    need(act == "check" or grant["versionId"] == head["versionId"], "WrongVersion")
    need(act == "check" or created - 300 <= seconds(now) < seconds(grant["expires"]), "Expired")
    need(act == "check" or (fresh and grant["nonce"] == nonce), "WrongNonce")
    return {"bytes": canon(grant)}


def read_receipt(replica, method, key, now, receipt):
    created = small_form(receipt, "scid versionId replica", "Receipt", "BadReceiptForm")
    need(is_kind(receipt["scid"], "scid") and re.fullmatch(f"[1-9][0-9]*-{SCID}", receipt["versionId"]), "BadReceiptForm")
    need(receipt["replica"] == replica and receipt["proof"]["verificationMethod"] == method, "WrongReplica")
    need(proof_holds(without(receipt, "proof"), receipt["proof"], multikey(key)), "WrongReplica")
    need(created <= seconds(now) + 300, "FromTheFuture")
    return {"bytes": canon(receipt)}


# Every vector: what each reader is given, and the facts it gives back


def entry_facts(text=None, packed=None):
    raw = unbase64(packed) if packed else text.encode(errors="surrogatepass")
    read_entry(raw)
    return {"leaf": sha(b"\0" + raw).hex()}


def chain_facts(origin, scid, entries):
    chains = {}
    for raw in map(str.encode, entries):
        follow(chains, scid, raw, *read_entry(raw, origin))
    names = ("seq", "leaf", "balance", "held", "unclaimed")
    said = {currency: dict(zip(names, [chain[0], *map(str, chain[1:])], strict=True)) for currency, chain in chains.items()}
    return {"heads": said}


def accounts_facts(root, count, scid, run, accounts=()):
    form(run, "index:int leaves:list proof:list")
    run_holds(bytes.fromhex(root), count, scid, run["index"], leaves_of(run["leaves"]), hashes(run["proof"]))
    leaves = [canon(leaf) for leaf in leaves_of(accounts)]
    if accounts:
        range_root(0, leaves, count, [], bytes.fromhex(root))
    return {"blob": sha(b"".join(leaf + b"\n" for leaf in leaves)).hex()}


def checkpoint_facts(note, origin, log_keys, cosigners):
    size, root, found = open_checkpoint(note, origin, log_keys, cosigners)
    signatures = [{"name": vkey.split("+")[0], "timestamp": at} for vkey, at in found.items()]
    return {"size": size, "root": root.hex(), "signatures": signatures}


def agreement_facts(text, keys):
    value, unchecked = read_agreement(text.encode(), keys)
    return {"id": value["id"], "unchecked": unchecked}


def log_facts(log, now, judge="policy", *options):
    entries = read_key_log(log, seconds(now), judge, *options)
    said = {"scid": entries[0]["force"]["scid"], "versionId": entries[-1]["versionId"], "did": entries[-1]["state"]["id"]}
    return {"expected": said | {"custody": custody(entries[-1]), "keyIndexes": [entry["place"] for entry in entries]}}


def did_facts(did, loopback):
    _, host, port, segments = read_did(did, loopback)
    need(loopback or not port, "V9")
    scheme, path = "http" if host.endswith("localhost") else "https", "/".join(segments or [".well-known"])
    return {"url": f"{scheme}://{host}{':' + port if port else ''}/{path}/did.jsonl"}


READERS = {
    "entry": (entry_facts, ["text", "base64"]),
    "account_chain": (chain_facts, ["origin", "scid", "entries"]),
    "accounts_root": (accounts_facts, ["root", "count", "scid", "run", "accounts"]),
    "checkpoint": (checkpoint_facts, ["note", "origin", "log_keys", "cosigners"]),
    "agreement": (agreement_facts, ["text", "keys"]),
    "statement": (read_statement, ["base64", "policy"]),
    "logs": (log_facts, ["log", "now", "judge", "requested", "witness", "loopback", "pinned"]),
    "dids": (did_facts, ["did", "loopback"]),
    "host-grants": (read_grant, ["log", "audience", "nonce", "nonceIsFresh", "now", "act", "grant"]),
    "receipts": (read_receipt, ["replica", "verificationMethod", "publicKey", "now", "receipt"]),
}
ABSENT = {"witness": (), "pinned": (), "accounts": (), "loopback": False}


def judge(kind, vector):
    """(facts, None) or (None, reason), from the inputs of a vector alone."""
    reader, names = READERS[kind]
    try:
        return reader(*(vector.get(name, ABSENT.get(name)) for name in names)), None
    except Refused as refused:
        return None, str(refused)
