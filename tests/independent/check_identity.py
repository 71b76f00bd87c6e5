"""A second implementation of docs/reference/key-log.md, host-grant.md and outbox-head.md: standard library, PyNaCl and base58, no product code.

python tests/independent/check_identity.py DIRECTORY    judges every vector there, prints each disagreement, exits 1 if any
"""

import hashlib
import json
import re
import sys
from datetime import UTC, datetime, timedelta
from pathlib import Path
from urllib.parse import quote, unquote_to_bytes

import base58
from nacl.exceptions import BadSignatureError
from nacl.signing import VerifyKey

P, L = 2**255 - 19, 2**252 + 27742317777372353535851937790883648493
SMALL = {0, 1, P - 1} | {
    int.from_bytes(bytes.fromhex(h), "little")
    for h in (
        "26e8958fc2b227b045c3f489f2ef98f0d5dfac05d3c63339b13802886d53fc05",
        "c7176a703d4dd84fba3c0b760d10670f2a2053fa2c39ccc64ec7fd7792ac037a",
    )
}
SIX = {"type", "cryptosuite", "verificationMethod", "proofPurpose", "proofValue", "created"}
HASH, VERSION, TIME = r"Qm[1-9A-HJ-NP-Za-km-z]{44}", r"[1-9]\d*-Qm[1-9A-HJ-NP-Za-km-z]{44}", r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ"
SKEW = timedelta(seconds=300)


class Refused(Exception):
    pass


def need(rule, *conditions):
    for condition in conditions:
        try:
            good = condition() if callable(condition) else condition
        except (ValueError, TypeError, KeyError, IndexError, AttributeError, RecursionError, OverflowError, BadSignatureError):
            good = False
        if not good:
            raise Refused(rule)


def matches(pattern, text):
    return isinstance(text, str) and re.fullmatch(pattern, text, re.ASCII)


def when(text):
    return datetime.strptime(text, "%Y-%m-%dT%H:%M:%SZ").replace(tzinfo=UTC)


def jcs(value):  # without fractions, json.dumps writes RFC 8785 but for the order of names, which goes by UTF-16
    def ordered(v):
        if isinstance(v, dict):
            return {k: ordered(v[k]) for k in sorted(v, key=lambda name: name.encode("utf-16-be"))}
        return [ordered(one) for one in v] if isinstance(v, list) else v

    return json.dumps(ordered(value), ensure_ascii=False, separators=(",", ":")).encode()


def multihash(data):
    return base58.b58encode(b"\x12\x20" + hashlib.sha256(data).digest()).decode()


def is_hash(text):
    return matches(HASH, text) and base58.b58decode(text)[:2] == b"\x12\x20"


def unbase(text):
    if not matches("z[1-9A-HJ-NP-Za-km-z]+", text):
        raise ValueError
    return base58.b58decode(text[1:])


def ed25519_key(text):
    data = unbase(text)
    if len(data) != 34 or data[:2] != b"\xed\x01":
        raise ValueError
    return data[2:]


def signed(document, proof, public):  # sections 2.5 and 2.6
    config = {k: v for k, v in proof.items() if k != "proofValue"}
    body = {k: v for k, v in document.items() if k != "proof"}
    message, signature = hashlib.sha256(jcs(config)).digest() + hashlib.sha256(jcs(body)).digest(), unbase(proof["proofValue"])
    for point in (public, signature[:32]):
        y = int.from_bytes(point, "little") & (2**255 - 1)
        if y >= P or y in SMALL:
            return False
    return (
        len(signature) == 64
        and int.from_bytes(signature[32:], "little") < L
        and VerifyKey(public).verify(message, signature) == message
    )


def is_proof(proof, extra=()):
    return (
        SIX - {"created"} <= proof.keys() <= SIX | {"id", *extra}
        and all(isinstance(v, str) for v in proof.values())
        and proof["type"] == "DataIntegrityProof"
        and proof["cryptosuite"] == "eddsa-jcs-2022"
        and proof["proofPurpose"] == "assertionMethod"
        and ("created" not in proof or datetime.fromisoformat(proof["created"]))
    )


def method_key(proof):
    body, _, fragment = proof["verificationMethod"].removeprefix("did:key:").partition("#")
    return body if proof["verificationMethod"] == f"did:key:{body}#{body}" and fragment and ed25519_key(body) else None


def load(line):
    def no(_):
        raise ValueError

    def names(pairs):
        return dict(pairs) if len(dict(pairs)) == len(pairs) else no(0)

    def integer(text):
        return int(text) if len(text) < 18 and abs(int(text)) < 2**53 else no(0)

    def depth(v):
        return (
            1 + max([depth(x) for x in (v.values() if isinstance(v, dict) else v)], default=0)
            if isinstance(v, dict | list)
            else 0
        )

    value = json.loads(line, object_pairs_hook=names, parse_float=no, parse_constant=no, parse_int=integer)
    jcs(value)  # a lone surrogate cannot be encoded
    return value if depth(value) <= 16 else no(0)


def place(did, ports, loopback):  # section 6: the address, or V9
    need("V9", isinstance(did, str) and len(did) <= 1024 and did.startswith("did:webvh:"))
    scid, *rest = did[10:].split(":")
    need("V9", is_hash(scid), bool(rest))
    host = matches(r"([^%]+?)(?:%3A([1-9]\d{0,4}))?", rest[0])
    need("V9", host, lambda: int(host[2] or 1) < 65536, len(host[1]) < 254 if host else False)
    labels = host[1].split(".")
    need(
        "V9",
        all(matches(r"[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?", one) for one in labels),
        not matches(r"\d+|0x[0-9a-f]*", labels[-1]),
    )
    local = labels[-1] == "localhost" and loopback
    need(
        "V9",
        local or (len(labels) > 1 and labels[-1] not in {"localhost", "local", "internal", "onion"}),
        local or ports or not host[2],
    )
    path = []
    for segment in rest[1:]:
        need("V9", not re.search("%(?![0-9A-F]{2})", segment), lambda s=segment: unquote_to_bytes(s).decode())
        path.append(unquote_to_bytes(segment).decode())
        need("V9", path[-1] not in ("", ".", ".."), not re.search(r'[\x00-\x20\x7f/\\?#:%"<>^`{|}\[\]]', path[-1]))
    where = "/".join(quote(one, safe="-._~!$&'()*+,;=@") for one in path) or ".well-known"
    return f"http{'' if local else 's'}://{host[1]}{':' + host[2] if host[2] else ''}/{where}/did.jsonl"


def texts(value, count, characters):
    return (
        isinstance(value, list) and len(value) <= count and all(isinstance(one, str) and len(one) <= characters for one in value)
    )


def check_parameter(name, value, before):
    whole = isinstance(value, int) and not isinstance(value, bool)
    if name == "method":
        need("V2", value == "did:webvh:1.0")
    elif name == "witness":
        listed = value.get("witnesses") if isinstance(value, dict) else None
        need(
            "V13",
            lambda: (
                value == {}
                or (
                    value.keys() == {"threshold", "witnesses"}
                    and 1 <= len(listed) <= 32
                    and all(
                        one.keys() == {"id"} and one["id"].startswith("did:key:") and ed25519_key(one["id"][8:]) for one in listed
                    )
                    and len({one["id"] for one in listed}) == len(listed)
                    and type(value["threshold"]) is int
                    and 1 <= value["threshold"] <= len(listed)
                )
            ),
        )
    else:
        kinds = {
            "updateKeys": lambda: texts(value, 32, 64) and all(map(ed25519_key, value)) and len(set(value)) == len(value),
            "nextKeyHashes": lambda: texts(value, 32, 128),
            "watchers": lambda: texts(value, 32, 2048),
            "portable": lambda: isinstance(value, bool) and (before is None or before["portable"] or not value),
            "deactivated": lambda: isinstance(value, bool),
            "ttl": lambda: whole and 0 <= value <= 2**31,
        }
        need("V1", kinds.get(name, False))


def check_entry(line, before, case):
    need("V1", line[:1] == "{" and line[-1:] == "}", lambda: load(line) is not None)
    entry, policy, loopback = load(line), case["judge"] == "policy", case.get("loopback", False)
    need(
        "V1",
        entry.keys() == {"versionId", "versionTime", "parameters", "state", "proof"},
        lambda: isinstance(entry["parameters"], dict) and isinstance(entry["state"], dict),
    )
    proofs = entry["proof"] if isinstance(entry["proof"], list) else [entry["proof"]]
    need("V1", len(proofs) <= 4 and all(isinstance(one, dict) for one in proofs))
    need("V3", matches(VERSION, entry["versionId"]))
    need("V11", matches(TIME, entry["versionTime"]), lambda: when(entry["versionTime"]))
    given, state, number = entry["parameters"], entry["state"], int(entry["versionId"].partition("-")[0])
    need("V12", not (before and before["deactivated"]))
    need("V3", number == (before["number"] + 1 if before else 1))
    if before is None:
        need("V2", "method" in given)
        need("V1", "updateKeys" in given)
        need("V5", lambda: is_hash(given["scid"]))
    else:
        need("V5", "scid" not in given)
    for name, value in given.items():
        if name != "scid":
            check_parameter(name, value, before)
    after = {
        **(before or {"nextKeyHashes": [], "witness": {}, "portable": False, "deactivated": False}),
        **given,
        "number": number,
        "id": state.get("id"),
        "time": when(entry["versionTime"]),
        "entry": entry,
    }
    unsigned = {name: value for name, value in entry.items() if name != "proof"}
    if before is None:
        replaced = jcs({**unsigned, "versionId": "{SCID}"}).decode().replace(given["scid"], "{SCID}")
        need("V5", multihash(jcs(json.loads(replaced))) == given["scid"])
    need(
        "V4",
        entry["versionId"]
        == f"{number}-{multihash(jcs({**unsigned, 'versionId': before['entry']['versionId'] if before else given['scid']}))}",
    )
    place(state.get("id"), ports=loopback or not policy, loopback=loopback)
    need("V9", state["id"].split(":")[2] == after["scid"])
    if before and state["id"] != before["id"]:
        need("V10", after["portable"], isinstance(state.get("alsoKnownAs"), list) and before["id"] in state["alsoKnownAs"])
    need("V11", not before or after["time"] > before["time"], after["time"] <= when(case["now"]) + SKEW)
    rotating = bool(before and before["nextKeyHashes"])
    if rotating:
        need(
            "V8",
            {"updateKeys", "nextKeyHashes"} <= given.keys(),
            all(multihash(key.encode()) in before["nextKeyHashes"] for key in after["updateKeys"]),
        )
    active = after["updateKeys"] if rotating or before is None else before["updateKeys"]
    need(
        "V6",
        bool(proofs),
        *(
            lambda one=one: is_proof(one) and method_key(one) in active and signed(entry, one, ed25519_key(method_key(one)))
            for one in proofs
        ),
    )
    after["j"] = before["nextKeyHashes"].index(multihash(method_key(proofs[0]).encode())) if rotating else None
    if policy:
        need("V7", before or (after["portable"] and after["nextKeyHashes"]))
        need("V8", len(after["updateKeys"]) == 1, not before or rotating)
        need("V8b", len(after["nextKeyHashes"]) <= 5 and len(set(after["nextKeyHashes"])) == len(after["nextKeyHashes"]))
        if after["j"]:
            need(
                "V8b",
                after["nextKeyHashes"][: after["j"]] == before["nextKeyHashes"][: after["j"]],
                not after["deactivated"] and after["portable"] and after["witness"] == before["witness"],
            )
    return after


def check_log(case):
    lines = case["log"].removesuffix("\n").split("\n")
    need("V1", len(lines) <= 200, len(case["log"].encode()) <= 256 * 1024)
    log, ids = [], []
    for line in lines:
        log.append(check_entry(line, log[-1] if log else None, case))
        ids.append(log[-1]["entry"]["versionId"])

    def approves(item, proof, wanted):
        try:
            return (
                is_proof(proof, {"expires"})
                and ("expires" not in proof or datetime.fromisoformat(proof["expires"]) > when(case["now"]))
                and method_key(proof) in wanted
                and signed({"versionId": item["versionId"]}, proof, ed25519_key(method_key(proof)))
            )
        except (ValueError, BadSignatureError):
            return False

    for n, after in enumerate(log):
        witness = (log[n - 1]["witness"] if n else {}) or after["witness"]
        if witness:
            wanted = {one["id"][8:] for one in witness["witnesses"]}
            approved = {
                method_key(proof)
                for item in case.get("witness", [])
                if item["versionId"] in ids[n:]
                for proof in item["proof"]
                if approves(item, proof, wanted)
            }
            need("V13", len(approved) >= witness["threshold"])
    need("V14", case.get("requested") in (None, log[0]["scid"], *(one["id"] for one in log)))
    need("V15", all(one in ids[int(one.partition("-")[0]) - 1 :][:1] for one in case.get("pinned", [])))
    return log


def meaning(log):
    custody = log[-1]["entry"]["state"].get("tributary", {}).get("custody", "unstated")
    return {
        "scid": log[0]["scid"],
        "versionId": log[-1]["entry"]["versionId"],
        "did": log[-1]["id"],
        "custody": custody,
        "keyIndexes": [one["j"] for one in log],
    }


def check_fork(case):
    left, right = (check_log({"judge": "policy", "now": "2030-01-01T00:00:00Z", "log": case[side]}) for side in ("left", "right"))
    ids = [[one["entry"]["versionId"] for one in log] for log in (left, right)]
    parts = [n for n, (a, b) in enumerate(zip(*ids, strict=False)) if a != b]
    need("V16", left[0]["scid"] == right[0]["scid"], bool(parts))
    ranks = [min(one["j"] for one in log[parts[0] :]) for log in (right, left)]
    votes = [list(case["firstSeen"].values()).count(one[parts[0]]) for one in ids]
    weight = [x for x in (ranks, votes) if x[0] != x[1]]
    return "contested" if not weight else "left" if weight[0][0] > weight[0][1] else "right"


def check_evidence(case, log):
    document = case["evidence"]
    need(
        "V16",
        document.keys() == {"type", "v", "scid", "left", "right"},
        lambda: document["type"] == "ForkEvidence" and type(document["v"]) is int and document["v"] == 1,
        isinstance(document["left"], dict) and isinstance(document["right"], dict),
        document["scid"] == log[0]["scid"],
    )
    ids = [one.get("versionId") for one in (document["left"], document["right"])]
    if all(matches(VERSION, one) for one in ids):
        number = {int(one.partition("-")[0]) for one in ids}
        need("V16", len(number) == 1, ids[0] < ids[1], 1 < min(number) <= len(log) + 1)
    for entry in (document["left"], document["right"]):
        before = log[int(ids[0].partition("-")[0]) - 2]
        check_entry(jcs(entry).decode(), before, {"judge": "policy", "now": case["now"]})


def listing(log, key):  # the entries, from 0, that let the key assert, each with the ids it has there
    for n, one in enumerate(log):
        state = one["entry"]["state"]
        ids = [
            m["id"]
            for m in state.get("verificationMethod", [])
            if m.get("publicKeyMultibase") == key and m["id"] in state.get("assertionMethod", [])
        ]
        if ids:
            yield n, ids


def check_head(case, log):
    head, now = case["head"], when(case["now"])
    need(
        "BadHeadForm",
        lambda: (
            head.keys() == {"v", "scid", "seq", "prev", "object", "created", "proof"}
            and all(isinstance(head[name], str) for name in ("scid", "prev", "object", "created"))
            and type(head["v"]) is int
            and type(head["seq"]) is int
            and head["v"] == 1
            and 1 <= head["seq"] < 2**53
            and matches("[0-9a-f]{64}", head["prev"])
            and matches("[0-9a-f]{64}", head["object"])
            and (head["seq"] == 1) == (head["prev"] == "0" * 64)
            and is_hash(head["scid"])
            and head["proof"].keys() == SIX
            and when(head["created"])
            and head["created"] == head["proof"]["created"]
        ),
    )
    need("HeadFromTheFuture", when(head["created"]) <= now + SKEW)
    method = head["proof"]["verificationMethod"]
    keys = [
        m["publicKeyMultibase"]
        for one in log
        for m in one["entry"]["state"].get("verificationMethod", [])
        if m["id"] == method and method in one["entry"]["state"].get("assertionMethod", [])
    ]
    need("WrongHeadKey", "#home-" in method, bool(keys))
    covered = {"scid": head["scid"], "key": keys[-1], "created": head["created"], "coveredAt": case.get("seenAt", case["now"])}
    try:
        version = check_object(covered, log)
    except Refused:
        raise Refused("WrongHeadKey") from None
    need(
        "WrongHeadKey",
        method in dict(listing(log, keys[-1]))[version],
        lambda: is_proof(head["proof"]) and signed(head, head["proof"], ed25519_key(keys[-1])),
    )
    return min(dict(listing(log, keys[-1])))


def digest(document):
    return hashlib.sha256(jcs(document)).hexdigest()


def check_chain(case, log):
    chain = {}
    for arrived in case["heads"]:
        head = arrived["head"]
        brought = check_head({"head": head, "now": "2030-01-01T00:00:00Z", "seenAt": arrived["seenAt"]}, log)
        if chain and digest(head) not in chain:
            need("HeadFork", all(one["seq"] < head["seq"] or n < brought for one, n in chain.values()))
            need("HeadGap", head["seq"] == 1 or head["prev"] in chain)
            need("BadHeadForm", head["seq"] == 1 or chain[head["prev"]][0]["seq"] == head["seq"] - 1)
        chain[digest(head)] = (head, brought)


def check_cover(case, log):
    known = {digest(one["head"]): one for one in case["heads"]}
    moments = []
    for one in case["heads"]:
        at = one
        while at and one["seenAt"]:
            if at["head"]["object"] == case["object"]:
                moments.append(one["seenAt"])
            at = known.get(at["head"]["prev"])
    check_object(case | ({"coveredAt": min(moments)} if moments else {}), log)


def check_object(case, log):
    def lists(one):
        return any(log[n] is one for n, _ in listing(log, case["key"]))

    need("V17", case["scid"] == log[0]["scid"])
    created, ends = when(case["created"]), [one["time"] for one in log[1:]] + [None]
    fits = [
        n for n, one in enumerate(log) if lists(one) and created >= one["time"] - SKEW and (ends[n] is None or created < ends[n])
    ]
    need("V17", bool(fits))
    removed = [one["time"] for one in log[fits[-1] + 1 :] if not lists(one)]
    need("V17", not removed or ("coveredAt" in case and when(case["coveredAt"]) < removed[0]))
    return fits[-1]


def plain(value, names, kind):
    proof = value.get("proof")
    return (
        value.keys() == names
        and all(isinstance(v, str) for k, v in value.items() if k not in ("v", "proof"))
        and value["type"] == kind
        and type(value["v"]) is int
        and value["v"] == 1
        and proof.keys() == SIX
        and matches(TIME, proof["created"])
        and when(proof["created"])
    )


def check_grant(case, log):
    grant, now = case["grant"], when(case["now"])
    need(
        "BadGrantForm",
        lambda: plain(
            grant, {"type", "v", "scid", "versionId", "audience", "homeKey", "actor", "nonce", "expires", "proof"}, "HostGrant"
        ),
        lambda: 22 <= len(grant["nonce"]) <= 128 and matches(TIME, grant["expires"]) and when(grant["expires"]),
    )
    need("WrongIdentity", grant["scid"] == log[0]["scid"])
    named = [one for one in log if one["entry"]["versionId"] == grant["versionId"]]
    need("WrongVersion", bool(named))
    state = named[0]["entry"]["state"]
    keys = {m["id"].partition("#")[2].partition("-")[0]: m for m in state["verificationMethod"]}
    need("WrongAudience", grant["audience"] == case["audience"])
    need(
        "WrongHome",
        grant["homeKey"] == keys["home"]["publicKeyMultibase"],
        grant["actor"] == state["service"][0]["serviceEndpoint"],
    )
    need(
        "WrongKey",
        grant["proof"]["verificationMethod"] == keys["user"]["id"],
        lambda: is_proof(grant["proof"]) and signed(grant, grant["proof"], ed25519_key(keys["user"]["publicKeyMultibase"])),
    )
    created, expires = when(grant["proof"]["created"]), when(grant["expires"])
    need("LivesTooLong", created < expires <= created + timedelta(seconds=900))
    if case["act"] == "accept":
        need("WrongVersion", named[0] is log[-1])
        need("Expired", expires > now, created <= now + SKEW)
        need("WrongNonce", grant["nonce"] == case["nonce"], case["nonceIsFresh"])


def check_receipt(case):
    receipt = case["receipt"]
    need(
        "BadReceiptForm",
        lambda: (
            plain(receipt, {"type", "v", "scid", "versionId", "replica", "proof"}, "Receipt")
            and is_hash(receipt["scid"])
            and matches(VERSION, receipt["versionId"])
        ),
    )
    need(
        "WrongReplica",
        (receipt["replica"], receipt["proof"]["verificationMethod"]) == (case["replica"], case["verificationMethod"]),
        lambda: is_proof(receipt["proof"]) and signed(receipt, receipt["proof"], ed25519_key(case["publicKey"])),
    )
    need("FromTheFuture", when(receipt["proof"]["created"]) <= when(case["now"]) + SKEW)


# Judged by a log of logs.json, which they name.
BY_LOG = {
    "objects.json": check_object,
    "host-grants.json": check_grant,
    "evidence.json": check_evidence,
    "heads.json": check_head,
    "head-chains.json": check_chain,
    "covers.json": check_cover,
}


def main(directory):
    def cases(file):
        return json.loads((directory / file).read_text())

    def verdict(function, *arguments):
        try:
            return function(*arguments)
        except Refused as refusal:
            return str(refusal)

    results = []
    logs = {case["name"]: case for case in cases("logs.json")}
    for case in logs.values():
        found = verdict(check_log, case)
        case["judged"] = found
        results.append((case["name"], case["verdict"], found if isinstance(found, str) else "accepted"))
        if "expected" in case and not isinstance(found, str):
            results.append((case["name"], case["expected"], meaning(found)))
    results += [
        (case["did"], case["url"] or "V9", verdict(place, case["did"], case["loopback"], case["loopback"]))
        for case in cases("dids.json")
    ]
    results += [(case["name"], case["verdict"], verdict(check_fork, case)) for case in cases("forks.json")]
    for file, function in BY_LOG.items():
        for case in cases(file):
            found = verdict(function, case, logs[case["log"]]["judged"])
            results.append((case["name"], case["verdict"], found if isinstance(found, str) else "accepted"))
    results += [(case["name"], case["verdict"], verdict(check_receipt, case) or "accepted") for case in cases("receipts.json")]
    wrong = [one for one in results if one[1] != one[2]]
    for name, published, ours in wrong:
        print(f"{name}: published {published}, judged {ours}")
    print(f"{len(results)} verdicts, {len(wrong)} disagreements")
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main(Path(sys.argv[1])))
