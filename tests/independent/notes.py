"""Keys, notes, checkpoints, policies, forks (docs/reference/ledger-format.md, sections 11 and 12): a second implementation from the reference pages, without product code."""

import base64
import re

from nacl.bindings import crypto_core_ed25519_is_valid_point
from nacl.signing import VerifyKey

from tests.independent import check_identity as identity
from tests.independent.basics import decode, encode, hashes, members, need, sha256, text, unbase64
from tests.independent.trees import explicit_roots

P, L, SMALL = identity.P, identity.L, identity.SMALL


def check_signature(public, message, signature):
    points = [int.from_bytes(one, "little") & (2**255 - 1) for one in (public, signature[:32])]
    need(
        "bad_signature",
        len(signature) == 64,
        all(y < P and y not in SMALL for y in points),
        int.from_bytes(signature[32:], "little") < L,
    )
    need("bad_signature", lambda: VerifyKey(public).verify(message, signature) == message)


def vkey(line):
    name, _, rest = line.partition("+")
    need("bad_key", text(r"[^\s+]+\+[0-9a-f]{8}\+[A-Za-z0-9+/]+=*", line), lambda: unbase64(rest[9:]))
    data = unbase64(rest[9:])
    need("unsupported_algorithm", data[0] in (1, 4, 6))
    need(
        "bad_key",
        sha256(name.encode() + b"\n" + data)[:4].hex() == rest[:8],
        len(data) == 1313 if data[0] == 6 else len(data) == 33 and crypto_core_ed25519_is_valid_point(data[1:]),
    )
    return {"name": name, "type": data[0], "public": data[1:], "id": bytes.fromhex(rest[:8]), "vkey": line}


def open_checkpoint(note, origin, log_keys, cosigners, only_known=True):
    need("malformed_note", len(note.encode()) <= 65536, not re.search(r"[\x00-\x09\x0b-\x1f]", note))
    body, blank, tail = note.rpartition("\n\n")
    lines = [re.fullmatch(r"\u2014 ([^\s+]+) ([A-Za-z0-9+/]+=*)", line) for line in tail[:-1].split("\n")]
    need(
        "malformed_note",
        blank and tail.endswith("\n"),
        1 <= len(lines) <= 100,
        all(lines),
        lambda: all(len(base64.b64decode(one[2], validate=True)) > 4 for one in lines),
    )
    known, found = {(key["name"], key["id"]): key for key in [*log_keys, *cosigners] if key["type"] != 6}, {}
    for line in lines:
        raw = base64.b64decode(line[2])
        key = known.get((line[1], raw[:4]))
        need("unknown_signature", key or not only_known)
        if key:
            need("duplicate_signature", key["vkey"] not in found)
            need("bad_signature", base64.b64encode(raw).decode() == line[2])
            stamp = int.from_bytes(raw[4:12], "big") if key["type"] == 4 else 0
            need("bad_signature", stamp < 2**63)
            message = f"cosignature/v1\ntime {stamp}\n{body}\n" if key["type"] == 4 else body + "\n"
            check_signature(key["public"], message.encode(), raw[12 if key["type"] == 4 else 4 :])
            found[key["vkey"]] = {**key, "timestamp": stamp}
    need("no_known_signature", any(key["vkey"] in found for key in log_keys))
    parts = body.split("\n")
    need(
        "malformed_checkpoint",
        len(parts) >= 3 and all(parts),
        text("0|[1-9][0-9]{0,18}", parts[1]) and int(parts[1]) < 2**63,
        lambda: len(unbase64(parts[2])) == 32,
    )
    need("wrong_origin", parts[0] == origin)
    return {
        "origin": parts[0],
        "size": int(parts[1]),
        "root": unbase64(parts[2]),
        "lines": len(parts),
        "signatures": list(found.values()),
    }


def counted(head):
    hosts, found = {head["origin"].partition("/")[0]}, []
    for one in head["signatures"]:
        host = one["name"].partition("/")[0]
        if one["type"] == 4 and host not in hosts and not re.fullmatch(r".*/(auditor|mirror)/[1-9][0-9]*", one["name"]):
            hosts.add(host)
            found.append(one)
    return found


def parse_policy(lines):  # the part of C2SP tlog-policy that statements and the vectors use
    logs, witnesses, groups, quorum = [], {}, {}, None
    for words in (line.split() for line in lines.split("\n") if line and line[0] != "#"):
        if words[0] == "log":
            logs.append(vkey(words[1]))
        elif words[0] == "witness":
            witnesses[words[1]] = vkey(words[2])
        elif words[0] == "group":
            groups[words[1]] = ({"any": 1, "all": len(words) - 3}.get(words[2]) or int(words[2]), words[3:])
        else:
            need("malformed_policy", words[0] == "quorum" and quorum is None)
            quorum = words[1]

    def met(name, present):
        if name in groups:
            return sum(met(one, present) for one in groups[name][1]) >= groups[name][0]
        return name == "none" or witnesses[name]["vkey"] in present

    return {
        "logs": logs,
        "witnesses": list(witnesses.values()),
        "met": lambda head: met(quorum, {one["vkey"] for one in counted(head)}),
    }


def ledger_key(genesis, entries):  # section 11: genesis and rotations
    body, origin = genesis["body"], genesis["origin"]
    need("bad_key", genesis["type"] == "genesis")
    names = {
        "ledger": (origin, 1),
        **{role: (f"{origin.partition('/')[0]}/{role}/1", 4) for role in ("witness", "auditor", "mirror")},
    }
    keys = {role: vkey(body[role]) for role in names}
    need(
        "bad_key",
        all((keys[role]["name"], keys[role]["type"]) == names[role] for role in names),
        len({key["public"] for key in keys.values()}) == 4,
    )
    need(
        "bad_key",
        *(lambda one=one: crypto_core_ed25519_is_valid_point(identity.ed25519_key(body[one])) for one in ("root", "instance")),
        identity.unbase(body["box"])[:2] == b"\xec\x01",
    )
    current = body["ledger"]
    for entry in (one for one in entries if one["type"] == "key.rotate"):
        need(
            "bad_rotation",
            entry["body"]["old"] == current != entry["body"]["new"],
            lambda entry=entry: vkey(entry["body"]["new"])["name"] == origin,
        )
        signed = encode(["key.rotate/1", origin, current, entry["body"]["new"]])
        for public, name in (
            (identity.ed25519_key(body["root"]), "root"),
            (vkey(current)["public"], "old"),
            (vkey(entry["body"]["new"])["public"], "new"),
        ):
            check_signature(public, signed, unbase64(entry["body"][f"{name}_signature"]))
        current = entry["body"]["new"]
    return vkey(current)


def check_fork(case):
    document = decode(case["text"].encode(), 32768)
    members(document, {"v", "type", "origin", "older", "newer", "path"})
    need("unknown_version", type(document["v"]) is int and document["v"] == 1)
    need("bad_member", document["type"] == "fork", all(type(document[one]) is str for one in ("origin", "older", "newer")))
    path, keys = hashes(document["path"], 64), [vkey(one) for one in case["keys"]]
    older, newer = (open_checkpoint(document[one], document["origin"], keys, [], only_known=False) for one in ("older", "newer"))
    if older["size"] == newer["size"]:
        need("not_a_fork", not path and older["root"] != newer["root"])
    else:
        small, large = explicit_roots(older["size"], newer["size"], path)
        need("not_a_fork", large == newer["root"] and small != older["root"])
    return {"sizes": [older["size"], newer["size"]]}
