"""Write the golden bytes and refusal vectors of the key log, HostGrant, Receipt, fork evidence and outbox heads beside this file.

Run in the project's root: python -m tests.vectors.golden.identity.generate
Every key is SHA-256("tributary golden NAME"), every time is fixed: the same bytes come out every time (tests/pure/test_keylog_golden.py).
"""

import hashlib
import json
from copy import deepcopy
from datetime import UTC, datetime, timedelta
from pathlib import Path

from nacl.public import PrivateKey
from nacl.signing import SigningKey

from server.core import canonical, proofs
from server.identity import hostgrant, receipts
from server.identity.keylog import (
    HARD,
    Home,
    deactivate,
    first_document,
    genesis,
    give_to_owner,
    key_hash,
    move,
    multikey_of,
    rotate_home,
    verify_policy,
)
from server.identity.keylog.entries import unsigned_bytes

HERE = Path(__file__).parent
START = datetime(2026, 11, 22, 12, 0, 0, tzinfo=UTC)
NOW = START + timedelta(days=30)
L = 2**252 + 27742317777372353535851937790883648493


def secret(name):
    return hashlib.sha256(f"tributary golden {name}".encode()).digest()


def key(name):
    return SigningKey(secret(name))


def public(name):
    return multikey_of(key(name))


def commit(*names):
    return [key_hash(public(name)) for name in names]


def box(name):
    return canonical.multikey_x25519(bytes(PrivateKey(secret(name)).public_key))


def home(name, key_name):
    host = f"{name}.example"
    return Home(
        host=host, path=("u", "alice"), actor=f"https://{host}/users/alice", acct=f"acct:alice@{host}", key=public(key_name)
    )


def text(moment):
    return canonical.time_text(moment)


# -- crafting entries the product would not write --------------------------------------------------------------------


class Craft:
    """Entries with right hashes and signatures around whatever parameters and state a case asks for."""

    def __init__(self):
        self.lines = []
        self.entries = []
        self.scid = None
        self.time = START

    def first(
        self, *, signer="k-1", parameters=None, state=None, time=None, did="did:webvh:{SCID}:alpha.example:u:alice", **proof
    ):
        given = {
            "method": "did:webvh:1.0",
            "scid": "{SCID}",
            "updateKeys": [public("k-1")],
            "nextKeyHashes": commit("paper-1", "device-1"),
            "portable": True,
        }
        given = edit(given, parameters)
        document = edit({"@context": ["https://www.w3.org/ns/did/v1"], "id": did}, state)
        template = unsigned_bytes("{SCID}", time or text(START), canonical.jcs(given), canonical.jcs(document))
        self.scid = canonical.multihash_sha256(template)
        entry = json.loads(template.decode().replace("{SCID}", self.scid))
        return self._add(entry, self.scid, signer, proof)

    def next(self, *, signer, parameters=None, state=None, time=None, previous=None, number=None, **proof):
        self.time += timedelta(days=1)
        entry = {
            "versionId": "",
            "versionTime": time or text(self.time),
            "parameters": {"updateKeys": [public(signer)], "nextKeyHashes": [], **(parameters or {})},
            "state": edit(self.entries[-1]["state"], state),
        }
        entry["parameters"] = {name: value for name, value in entry["parameters"].items() if value is not ...}
        return self._add(entry, previous or self.entries[-1]["versionId"], signer, proof, number)

    def _add(self, entry, previous, signer, proof, number=None):
        entry["versionId"] = previous
        digest = canonical.multihash_sha256(canonical.jcs(entry))
        entry["versionId"] = f"{number or len(self.entries) + 1}-{digest}"
        entry["proof"] = [signature(entry, signer, **proof)]
        self.entries.append(entry)
        self.lines.append(canonical.jcs(entry).decode())
        return self

    def change(self, function, at=-1):
        """Alter an entry after it was signed."""
        entry = deepcopy(self.entries[at])
        function(entry)
        self.lines[at] = json.dumps(entry, ensure_ascii=False, separators=(",", ":"))
        return self

    def line(self, function, at=-1):
        self.lines[at] = function(self.lines[at])
        return self

    @property
    def log(self):
        return "".join(line + "\n" for line in self.lines)


def edit(value, changes):
    merged = {**value, **(changes or {})}
    return {name: one for name, one in merged.items() if one is not ...}


def signature(entry, signer, method=None, **changes):
    multikey = public(signer)
    made = proofs.create_proof(
        entry, key=key(signer), verification_method=method or f"did:key:{multikey}#{multikey}", created=START
    )
    return edit(made, changes)


def resigned(entry, signer, config):
    """A proof over another proof configuration than our own code would make."""
    unsecured = {name: value for name, value in entry.items() if name != "proof"}
    hashed = hashlib.sha256(canonical.jcs(config)).digest() + hashlib.sha256(canonical.jcs(unsecured)).digest()
    return {**config, "proofValue": canonical.multibase(key(signer).sign(hashed).signature)}


def approval(version_id, *signers, tamper=False):
    items = [signature({"versionId": version_id}, one) for one in signers]
    if tamper:
        items = [
            {**one, "proofValue": items[0]["proofValue"][:-1] + ("2" if items[0]["proofValue"][-1] != "2" else "3")}
            for one in items
        ]
    return {"versionId": version_id, "proof": items}


def witnesses(threshold, *names):
    return {"threshold": threshold, "witnesses": [{"id": f"did:key:{public(name)}"} for name in names]}


# -- the example: one identity's life ----------------------------------------------------------------------------------


def life(start=START):
    """Server custody, a new home key, a move, then the owner takes her keys; afterwards every kind of key acts once."""
    at = [start + timedelta(days=n) for n in range(10)]
    logs = {}
    log = genesis(
        document=first_document(home("alpha", "home-1"), user_key=public("user-1"), custody="server"),
        key=key("alpha-root-1"),
        next_keys=commit("alpha-root-2"),
        now=at[0],
    )
    logs["genesis"] = log
    logs["new-home-key"] = log = rotate_home(
        log, home_key=public("home-2"), key=key("alpha-root-2"), next_keys=commit("alpha-root-3"), now=at[1]
    )
    logs["moved"] = log = move(
        log, home=home("beta", "home-3"), key=key("alpha-root-3"), next_keys=commit("beta-root-1"), now=at[2]
    )
    logs["owner"] = log = give_to_owner(
        log,
        user_key=public("user-2"),
        box_key=box("box-1"),
        key=key("beta-root-1"),
        next_keys=commit("paper-1", "device-1", "custodian-1"),
        now=at[3],
    )
    logs["device-rotates"] = rotate_home(
        log, home_key=public("home-4"), key=key("device-1"), next_keys=commit("device-2"), now=at[4]
    )
    logs["custodian-moves"] = move(
        log, home=home("gamma", "home-4"), key=key("custodian-1"), next_keys=commit("custodian-2"), now=at[4]
    )
    stolen = move(
        log,
        home=home("evil", "thief-home"),
        key=key("device-1"),
        next_keys=commit("thief-2"),
        now=at[4],
        user_key=public("thief-user"),
    )
    logs["device-thief-moves"] = stolen
    logs["paper-takes-back"] = move(
        stolen,
        home=home("gamma", "home-4"),
        key=key("paper-1"),
        next_keys=commit("paper-2", "device-2"),
        now=at[5],
        user_key=public("user-3"),
    )
    logs["deactivated"] = deactivate(log, key=key("paper-1"), now=at[4])
    return logs


def accepted(log_text, *, judge="policy", **case):
    return {"judge": judge, "verdict": "accepted", "log": log_text, **case}


def refused(rule, log_text, *, judge="policy", **case):
    return {"judge": judge, "verdict": rule, "log": log_text, **case}


def good_logs(logs):
    yield from ((name, accepted(log.data.decode())) for name, log in logs.items())
    moved = logs["moved"]
    yield "asked-for-by-its-first-did", accepted(moved.data.decode(), requested=moved.versions[0].did.text)
    yield "asked-for-by-its-scid", accepted(moved.data.decode(), requested=moved.scid)
    yield "extends-its-pin", accepted(moved.data.decode(), pinned=list(moved.version_ids[:2]))
    yield "no-line-feed-at-the-end", accepted(moved.data.decode().removesuffix("\n"))
    yield (
        "not-canonical-but-strict-json",
        accepted("".join(json.dumps(json.loads(line)) + "\n" for line in moved.data.decode().splitlines())),
    )
    yield "300-seconds-ahead", accepted(Craft().first().log, now=text(START - timedelta(seconds=300)))
    yield "localhost-in-development", accepted(Craft().first(did="did:webvh:{SCID}:localhost%3A8001:u:alice").log, loopback=True)
    yield (
        "text-of-every-kind",
        accepted(
            Craft()
            .first(state={"note": 'é "quoted" \\ \u2028 \u0007 \U0001f39e', "é": 1, "z": -1, "\U0001f39e": True, "ﬁ": None})
            .log
        ),
    )
    yield "scid-inside-a-name", accepted(Craft().first(state={"x{SCID}": 1, "xR": 2}).log)
    plain = {"nextKeyHashes": ...}
    yield (
        "plain-webvh",
        accepted(
            Craft()
            .first(parameters={**plain, "portable": False})
            .next(signer="k-1", parameters={"updateKeys": [public("k-2")], **plain})
            .next(signer="k-2", parameters={"updateKeys": ..., **plain})
            .log,
            judge="spec",
        ),
    )
    yield (
        "pre-rotation-ends",
        accepted(
            Craft().first().next(signer="device-1").next(signer="device-1", parameters={"updateKeys": ..., **plain}).log,
            judge="spec",
        ),
    )
    yield (
        "two-update-keys",
        accepted(Craft().first(parameters={"updateKeys": [public("k-1"), public("k-2")]}, signer="k-2").log, judge="spec"),
    )
    yield "two-proofs", accepted(two_proofs("k-2").log, judge="spec")
    yield "port", accepted(Craft().first(did="did:webvh:{SCID}:alpha.example%3A8443").log, judge="spec")
    yield from witnessed()


def two_proofs(second):
    craft = Craft().first(parameters={"updateKeys": [public("k-1"), public("k-2")]})
    other = signature(craft.entries[0], second)
    return craft.change(lambda entry: entry["proof"].append(other))


def witnessed():
    three = witnesses(2, "witness-1", "witness-2", "witness-3")
    one = Craft().first(parameters={"witness": three})
    first_id = one.entries[0]["versionId"]
    yield "witnessed", accepted(one.log, witness=[approval(first_id, "witness-1", "witness-3")])
    yield (
        "witnessed-with-noise",
        accepted(
            one.log,
            witness=[
                approval(first_id, "k-2"),
                approval(first_id, "witness-2", tamper=True),
                approval(first_id, "witness-1", "witness-3"),
            ],
        ),
    )
    yield "too-few-approvals", refused("V13", one.log, witness=[approval(first_id, "witness-1")])
    yield (
        "one-witness-twice",
        refused("V13", one.log, witness=[approval(first_id, "witness-1", "witness-1"), approval(first_id, "witness-1")]),
    )
    yield "no-witness-file", refused("V13", one.log)
    yield "approval-altered", refused("V13", one.log, witness=[approval(first_id, "witness-1", "witness-2", tamper=True)])
    yield (
        "approval-of-another-log",
        refused("V13", one.log, witness=[approval(first_id, "witness-1"), approval("1-" + commit("x")[0], "witness-2")]),
    )
    two = (
        Craft()
        .first(parameters={"witness": three})
        .next(signer="paper-1", parameters={"nextKeyHashes": commit("paper-2"), "witness": witnesses(1, "witness-4")})
    )
    ids = [entry["versionId"] for entry in two.entries]
    yield "old-witnesses-approve-the-new", accepted(two.log, witness=[approval(ids[1], "witness-1", "witness-2")])
    yield (
        "only-the-new-witness-approves",
        refused("V13", two.log, witness=[approval(ids[0], "witness-1", "witness-2"), approval(ids[1], "witness-4")]),
    )
    yield (
        "approval-of-the-first-entry-only",
        refused("V13", two.log, witness=[approval(ids[0], "witness-1", "witness-2", "witness-3")]),
    )
    later = (
        Craft()
        .first()
        .next(signer="paper-1", parameters={"nextKeyHashes": commit("paper-2"), "witness": witnesses(1, "witness-4")})
    )
    yield (
        "first-witnesses-approve-themselves",
        accepted(later.log, witness=[approval(later.entries[1]["versionId"], "witness-4")]),
    )
    yield "first-witnesses-missing", refused("V13", later.log, witness=[])
    yield "threshold-zero", refused("V13", Craft().first(parameters={"witness": witnesses(0, "witness-1")}).log)
    yield (
        "threshold-above-count",
        refused("V13", Craft().first(parameters={"witness": witnesses(3, "witness-1", "witness-2")}).log),
    )
    yield (
        "witness-listed-twice",
        refused("V13", Craft().first(parameters={"witness": witnesses(2, "witness-1", "witness-1")}).log),
    )
    for name, value in {
        "witness-as-list": [],
        "witness-without-threshold": {"witnesses": [{"id": f"did:key:{public('witness-1')}"}]},
        "witness-list-empty": {"threshold": 0, "witnesses": []},
        "witness-with-weight": {"threshold": 1, "witnesses": [{"id": f"did:key:{public('witness-1')}", "weight": 1}]},
    }.items():
        yield name, refused("V13", Craft().first(parameters={"witness": value}).log)
    yield (
        "witness-not-a-did-key",
        refused("V13", Craft().first(parameters={"witness": {"threshold": 1, "witnesses": [{"id": public("witness-1")}]}}).log),
    )


def bad_forms(logs):
    good = logs["moved"].data.decode()
    yield "empty-file", refused("V1", "")
    yield "empty-line", refused("V1", good + "\n")
    yield "carriage-return", refused("V1", good.replace("\n", "\r\n"))
    yield "space-at-the-end", refused("V1", good.removesuffix("\n") + " ")
    yield "byte-order-mark", refused("V1", "\ufeff" + good)
    yield "201-entries", refused("V1", "{}\n" * 201)
    yield "name-twice", refused("V1", Craft().first().line(lambda line: line.replace('"state":{', '"state":{"id":"x",')).log)
    yield "sixth-member", refused("V1", Craft().first().change(lambda entry: entry.update(extra=1)).log)
    yield "member-missing", refused("V1", Craft().first().change(lambda entry: entry.pop("proof")).log)
    yield "a-list", refused("V1", "[]\n")
    yield "a-fraction", refused("V1", Craft().first().line(lambda line: line.replace('"state":{', '"state":{"n":1.0,')).log)
    yield "an-exponent", refused("V1", Craft().first().line(lambda line: line.replace('"state":{', '"state":{"n":1e3,')).log)
    yield "not-a-number", refused("V1", Craft().first().line(lambda line: line.replace('"state":{', '"state":{"n":NaN,')).log)
    yield (
        "integer-beyond-2-53",
        refused("V1", Craft().first().line(lambda line: line.replace('"state":{', '"state":{"n":9007199254740992,')).log),
    )
    yield (
        "lone-surrogate",
        refused("V1", Craft().first().line(lambda line: line.replace('"state":{', '"state":{"n":"\\ud800",')).log),
    )
    yield (
        "too-deep",
        refused(
            "V1", Craft().first().line(lambda line: line.replace('"state":{', '"state":{"n":' + "[" * 15 + "]" * 15 + ",")).log
        ),
    )
    yield "parameters-not-an-object", refused("V1", Craft().first().change(lambda entry: entry.update(parameters=[])).log)
    yield "proof-not-an-object", refused("V1", Craft().first().change(lambda entry: entry.update(proof=["x"])).log)
    yield "five-proofs", refused("V1", Craft().first().change(lambda entry: entry.update(proof=entry["proof"] * 5)).log)
    for name, value in {
        "unknown-parameter": {"colour": "red"},
        "null-parameter": {"watchers": None},
        "portable-as-text": {"portable": "true"},
        "ttl-negative": {"ttl": -1},
        "ttl-true": {"ttl": True},
        "update-key-not-a-key": {"updateKeys": ["z6Mk"]},
        "update-key-twice": {"updateKeys": [public("k-1")] * 2},
        "hashes-not-texts": {"nextKeyHashes": [1]},
        "no-update-keys": {"updateKeys": ...},
    }.items():
        yield name, refused("V1", Craft().first(parameters=value).log)
    yield (
        "portable-later",
        refused(
            "V1",
            Craft().first(parameters={"portable": False}).next(signer="device-1", parameters={"portable": True}).log,
            judge="spec",
        ),
    )


def bad_logs(logs):
    yield from bad_forms(logs)
    three = (
        Craft()
        .first()
        .next(signer="paper-1", parameters={"nextKeyHashes": commit("paper-2", "device-2")})
        .next(signer="paper-2", parameters={"nextKeyHashes": commit("paper-3")})
    )
    yield "method-unknown", refused("V2", Craft().first(parameters={"method": "did:webvh:99.0"}).log)
    yield "method-missing", refused("V2", Craft().first(parameters={"method": ...}).log)
    yield "method-changes", refused("V2", Craft().first().next(signer="paper-1", parameters={"method": "did:webvh:0.5"}).log)
    yield "number-skipped", refused("V3", Craft().first().next(signer="paper-1", number=3).log)
    yield (
        "number-with-a-zero",
        refused("V3", Craft().first().change(lambda entry: entry.update(versionId="0" + entry["versionId"])).log),
    )
    yield (
        "hash-shortened",
        refused("V3", Craft().first().change(lambda entry: entry.update(versionId=entry["versionId"][:-1])).log),
    )
    yield "lines-swapped", refused("V3", "".join(three.lines[n] + "\n" for n in (0, 2, 1)))
    yield "line-dropped", refused("V3", "".join(three.lines[n] + "\n" for n in (0, 2)))
    yield "first-line-dropped", refused("V3", "".join(line + "\n" for line in three.lines[1:]))
    yield (
        "state-changed",
        refused("V4", Craft().first().next(signer="paper-1").change(lambda entry: entry["state"].update(note="x")).log),
    )
    yield (
        "parameter-changed",
        refused("V4", Craft().first().next(signer="paper-1").change(lambda entry: entry["parameters"].update(ttl=1)).log),
    )
    yield (
        "time-changed",
        refused(
            "V4",
            Craft().first().next(signer="paper-1").change(lambda entry: entry.update(versionTime="2026-11-25T12:00:00Z")).log,
        ),
    )
    yield "follows-another-entry", refused("V4", Craft().first().next(signer="paper-1", previous="1-" + commit("x")[0]).log)
    yield "genesis-changed", refused("V5", Craft().first().change(lambda entry: entry["state"].update(note="x")).log)
    yield (
        "scid-chosen",
        refused(
            "V5", Craft().first().line(lambda line: line.replace(json.loads(line)["parameters"]["scid"], commit("x")[0])).log
        ),
    )
    yield "scid-malformed", refused("V5", Craft().first(parameters={"scid": "Qm"}).log)
    yield "scid-named-again", refused("V5", three_with_scid().log)
    yield from bad_proofs()
    yield "not-portable", refused("V7", Craft().first(parameters={"portable": False}).log)
    yield "no-next-key", refused("V7", Craft().first(parameters={"nextKeyHashes": []}).log)
    yield (
        "next-keys-omitted",
        refused("V8", Craft().first().next(signer="paper-1", parameters={"nextKeyHashes": ...}).log, judge="spec"),
    )
    yield (
        "update-keys-omitted",
        refused(
            "V8",
            Craft().first().next(signer="k-1", parameters={"updateKeys": ..., "nextKeyHashes": commit("x")}).log,
            judge="spec",
        ),
    )
    yield (
        "key-not-committed",
        refused("V8", Craft().first().next(signer="thief", parameters={"nextKeyHashes": commit("thief-2")}).log),
    )
    yield (
        "second-key-not-committed",
        refused(
            "V8",
            Craft().first().next(signer="paper-1", parameters={"updateKeys": [public("paper-1"), public("thief")]}).log,
            judge="spec",
        ),
    )
    yield (
        "two-keys",
        refused(
            "V8", Craft().first().next(signer="paper-1", parameters={"updateKeys": [public("paper-1"), public("device-1")]}).log
        ),
    )
    yield "after-pre-rotation-ended", refused("V8", Craft().first().next(signer="paper-1").next(signer="paper-1").log)
    yield from bad_carry_over()
    yield from bad_places(logs)
    yield "same-time", refused("V11", Craft().first().next(signer="paper-1", time=text(START)).log)
    yield "earlier-time", refused("V11", Craft().first().next(signer="paper-1", time=text(START - timedelta(days=1))).log)
    yield "301-seconds-ahead", refused("V11", Craft().first().log, now=text(START - timedelta(seconds=301)))
    yield "middle-entry-ahead", refused("V11", three.log, now=text(START))
    for name, time in {
        "time-with-fraction": "2026-11-22T12:00:00.5Z",
        "time-with-offset": "2026-11-22T12:00:00+00:00",
        "day-that-does-not-exist": "2026-02-30T12:00:00Z",
    }.items():
        yield name, refused("V11", Craft().first(time=time).log)
    yield (
        "after-the-end",
        refused(
            "V12",
            Craft()
            .first()
            .next(signer="paper-1", parameters={"deactivated": True, "nextKeyHashes": commit("paper-2")})
            .next(signer="paper-2")
            .log,
        ),
    )
    yield "another-identity", refused("V14", three.log, requested=logs["moved"].scid)
    yield (
        "a-did-it-never-had",
        refused("V14", logs["moved"].data.decode(), requested=logs["moved"].did.text.replace("beta", "gamma")),
    )
    moved = logs["moved"]
    yield "shorter-than-its-pin", refused("V15", logs["genesis"].data.decode(), pinned=list(moved.version_ids))
    yield (
        "not-what-was-pinned",
        refused("V15", logs["paper-takes-back"].data.decode(), pinned=[logs["device-rotates"].version_ids[4]]),
    )


def three_with_scid():
    craft = Craft().first()
    return craft.next(signer="paper-1", parameters={"scid": craft.scid})


def bad_proofs():
    thief = public("thief")
    yield "no-proof", refused("V6", Craft().first().change(lambda entry: entry.update(proof=[])).log)
    yield "did-key-fragment-differs", refused("V6", Craft().first(signer="thief", method=f"did:key:{thief}#{public('k-1')}").log)
    yield "did-key-without-fragment", refused("V6", Craft().first(method=f"did:key:{public('k-1')}").log)
    yield "not-a-did-key", refused("V6", Craft().first(method="did:web:alpha.example#key").log)
    yield "key-not-active", refused("V6", Craft().first(signer="thief").log)
    yield (
        "signed-by-the-key-before",
        refused("V6", Craft().first().next(signer="k-1", parameters={"updateKeys": [public("paper-1")]}).log),
    )
    yield "another-cryptosuite", refused("V6", Craft().first(cryptosuite="eddsa-rdfc-2022").log)
    yield "another-purpose", refused("V6", Craft().first(proofPurpose="authentication").log)
    yield "another-type", refused("V6", Craft().first(type="Ed25519Signature2020").log)
    yield "proof-dated-anew", refused("V6", Craft().first(created="2026-11-22T12:00:01Z").log)
    yield "proof-date-malformed", refused("V6", Craft().first(created="yesterday").log)
    yield "proof-with-unknown-member", refused("V6", odd_proof(domain="alpha.example").log)
    yield "proof-with-context", refused("V6", odd_proof(**{"@context": []}).log)
    yield "proof-that-expires", refused("V6", odd_proof(expires="2036-11-22T12:00:00Z").log)
    yield "second-proof-by-a-stranger", refused("V6", two_proofs("thief").log, judge="spec")
    yield "signature-bit-flipped", refused("V6", Craft().first().change(flip_signature).log)
    yield (
        "signature-s-not-reduced",
        refused(
            "V6",
            Craft()
            .first()
            .change(
                lambda entry: rewrite(
                    entry, lambda sig: sig[:32] + (int.from_bytes(sig[32:], "little") + L).to_bytes(32, "little")
                )
            )
            .log,
        ),
    )
    yield (
        "signature-r-of-small-order",
        refused("V6", Craft().first().change(lambda entry: rewrite(entry, lambda sig: bytes(32) + sig[32:])).log),
    )
    yield (
        "signature-base64",
        refused(
            "V6",
            Craft()
            .first()
            .change(lambda entry: entry["proof"][0].update(proofValue="u" + entry["proof"][0]["proofValue"][1:]))
            .log,
        ),
    )


def odd_proof(**extra):
    craft = Craft().first()
    entry = craft.entries[0]
    config = {name: value for name, value in entry["proof"][0].items() if name != "proofValue"}
    return craft.change(lambda one: one.update(proof=[resigned(entry, "k-1", {**config, **extra})]))


def flip_signature(entry):
    rewrite(entry, lambda sig: bytes([sig[0] ^ 1]) + sig[1:])


def rewrite(entry, function):
    proof = entry["proof"][0]
    proof["proofValue"] = canonical.multibase(function(canonical.multibase_decode(proof["proofValue"])))


def bad_carry_over():
    start = ("paper-1", "device-1", "custodian-1")
    base = {"nextKeyHashes": commit(*start)}

    def then(signer, **parameters):
        return Craft().first(parameters=base).next(signer=signer, parameters=parameters).log

    yield "device-drops-paper", refused("V8b", then("device-1", nextKeyHashes=commit("thief-2")))
    yield "device-takes-first-place", refused("V8b", then("device-1", nextKeyHashes=commit("thief-2", "paper-1")))
    yield "custodian-drops-device", refused("V8b", then("custodian-1", nextKeyHashes=commit("paper-1", "custodian-2")))
    yield "custodian-reorders", refused("V8b", then("custodian-1", nextKeyHashes=commit("device-1", "paper-1", "custodian-2")))
    yield "device-drops-paper-by-spec-alone", accepted(then("device-1", nextKeyHashes=commit("thief-2")), judge="spec")
    yield "device-deactivates", refused("V8b", then("device-1", nextKeyHashes=commit("paper-1"), deactivated=True))
    yield "device-ends-portability", refused("V8b", then("device-1", nextKeyHashes=commit("paper-1"), portable=False))
    yield (
        "device-appoints-witnesses",
        refused("V8b", then("device-1", nextKeyHashes=commit("paper-1"), witness=witnesses(1, "thief"))),
    )
    yield "six-hashes", refused("V8b", Craft().first(parameters={"nextKeyHashes": commit("a", "b", "c", "d", "e", "f")}).log)
    yield "hash-twice", refused("V8b", Craft().first(parameters={"nextKeyHashes": commit("a", "a")}).log)


def bad_places(logs):
    def at(did):
        return Craft().first(did=did).log

    yield "id-missing", refused("V9", Craft().first(state={"id": ...}).log)
    yield "id-with-another-scid", refused("V9", at(f"did:webvh:{commit('x')[0]}:alpha.example"))
    yield "id-of-another-method", refused("V9", at("did:web:alpha.example"))
    yield "port-by-policy", refused("V9", at("did:webvh:{SCID}:alpha.example%3A8443"))
    yield "localhost-in-production", refused("V9", at("did:webvh:{SCID}:localhost%3A8001:u:alice"))
    there = {"id": "did:webvh:SCID:beta.example:u:alice"}

    def moved(state, **case):
        craft = Craft().first(**case)
        state = json.loads(json.dumps(state).replace("SCID", craft.scid))
        return craft.next(signer="paper-1", parameters={"nextKeyHashes": commit("paper-2")}, state=state).log

    yield "moved-without-old-name", refused("V10", moved(there))
    yield "moved-with-a-wrong-old-name", refused("V10", moved({**there, "alsoKnownAs": ["https://alpha.example/users/alice"]}))
    yield "moved-with-names-as-text", refused("V10", moved({**there, "alsoKnownAs": "did:webvh"}))
    yield (
        "moved-but-not-portable",
        refused(
            "V10",
            moved({**there, "alsoKnownAs": ["did:webvh:SCID:alpha.example:u:alice"]}, parameters={"portable": False}),
            judge="spec",
        ),
    )
    yield "moved-to-another-scid", refused("V9", moved({"id": f"did:webvh:{commit('x')[0]}:beta.example:u:alice"}))


def dids():
    """Host and path rules: where a DID leads, or V9."""
    scid = "QmdmPkUdYzbr9txmx8gM2rsHPgr5L6m3gHjJGAf4vUFoGE"
    good = {
        "example.com": "https://example.com/.well-known/did.jsonl",
        "issuer.example.com": "https://issuer.example.com/.well-known/did.jsonl",
        "example.com:dids:issuer": "https://example.com/dids/issuer/did.jsonl",
        "example.com%3A3000:dids:issuer": "https://example.com:3000/dids/issuer/did.jsonl",
        "xn--jp-cd2fp15c.xn--fsq.jp": "https://xn--jp-cd2fp15c.xn--fsq.jp/.well-known/did.jsonl",
        "example.com:%C3%A9": "https://example.com/%C3%A9/did.jsonl",
        "localhost%3A8001:u:alice": "http://localhost:8001/u/alice/did.jsonl",
    }
    for place, url in good.items():
        yield {"did": f"did:webvh:{scid}:{place}", "loopback": "localhost" in place or "3000" in place, "url": url}
    bad = [
        "127.0.0.1",
        "127%2E0%2E0%2E1",
        "127%2e0%2e0%2e1",
        "169%2E254%2E169%2E254",
        "127.0.0.1%3a8080",
        "127.0.0.1%3A8080",
        "127.0.0.1#x",
        "0x7f.0.0.1",
        "127.1",
        "2130706433",
        "0x7f000001",
        "example.0x7f",
        "%5B%3A%3A1%5D",
        "[::1]",
        "example.com%3a3000",
        "example.com%3A0",
        "example.com%3A65536",
        "example.com%3A",
        "Example.com",
        "example.com.",
        ".example.com",
        "example..com",
        "-a.example",
        "a-.example",
        "a_b.example",
        "a" * 64 + ".example",
        "example",
        "localhost",
        "printer.local",
        "metadata.internal",
        "x.onion",
        "user@example.com",
        "example.com/x",
        "example.com?x",
        "example.com#x",
        "",
        "example.com:..:..:admin",
        "example.com:%2E%2E:admin",
        "example.com:%2e%2e:admin",
        "example.com:a%2Fb",
        "example.com:a%5Cb",
        "example.com:",
        "example.com::a",
        "example.com:.",
        "example.com:a%00b",
        "example.com:a%3Ab",
        "example.com:%FF",
        "example.com:%zz",
        "example.com:a b",
        "example.com:a%252Fb",
    ]
    for place in bad:
        yield {"did": f"did:webvh:{scid}:{place}", "loopback": False, "url": None}
    for did in (
        f"did:webvh:{scid}",
        "did:web:example.com",
        f"did:webvh:{scid[:-1]}:example.com",
        f"did:webvh:{scid[:-1]}0:example.com",
        f"DID:webvh:{scid}:example.com",
        "did:webvh:" + "z6Mk" + scid[4:] + ":example.com",
    ):
        yield {"did": did, "loopback": False, "url": None}


# -- grants, receipts, forks, objects ----------------------------------------------------------------------------------


def grants(logs):
    moved, audience, nonce = logs["moved"], "https://beta.example", "n-0123456789abcdefghij"
    at = START + timedelta(days=2, minutes=1)
    good = hostgrant.make_host_grant(moved, audience=audience, nonce=nonce, key=key("user-1"), now=at)

    def case(name, verdict, grant=good, *, signer=None, log="moved", **changes):
        base = {
            "log": log,
            "audience": audience,
            "nonce": nonce,
            "nonceIsFresh": True,
            "now": text(at + timedelta(minutes=5)),
            "act": "accept",
        }
        if signer:
            unsigned = {member: value for member, value in grant.items() if member != "proof"}
            config = {**grant["proof"]}
            config.pop("proofValue")
            grant = {**unsigned, "proof": resigned(unsigned, signer, config)}
        return {"name": name, "verdict": verdict, **base, **changes, "grant": grant}

    def with_(**members):
        return edit(good, members)

    yield case("good", "accepted")
    yield case("shown-a-year-later", "accepted", act="check", now=text(at + timedelta(days=365)))
    yield case("shown-after-another-entry", "accepted", log="owner", act="check", now=text(NOW))
    yield case("last-second", "accepted", now=text(at + timedelta(seconds=899)))
    yield case("member-unknown", "BadGrantForm", with_(note="x"), signer="user-1")
    yield case("member-missing", "BadGrantForm", with_(nonce=...))
    yield case("version-2-of-the-format", "BadGrantForm", with_(v=2), signer="user-1")
    yield case("version-as-true", "BadGrantForm", with_(v=True), signer="user-1")
    yield case("another-type", "BadGrantForm", with_(type="Receipt"), signer="user-1")
    yield case("number-for-a-text", "BadGrantForm", with_(actor=1), signer="user-1")
    yield case("nonce-too-short", "BadGrantForm", with_(nonce="short"), signer="user-1", nonce="short")
    yield case("time-with-fraction", "BadGrantForm", with_(expires="2026-11-24T12:16:00.5Z"), signer="user-1")
    yield case("undated", "BadGrantForm", with_(proof=edit(good["proof"], {"created": ...})), signer="user-1")
    yield case(
        "proof-with-expires",
        "BadGrantForm",
        with_(proof={**good["proof"], "expires": text(at + timedelta(days=1))}),
        signer="user-1",
    )
    yield case("another-identity", "WrongIdentity", with_(scid=commit("x")[0]), signer="user-1")
    yield case("entry-not-in-the-log", "WrongVersion", with_(versionId="3-" + commit("x")[0]), signer="user-1")
    yield case("entry-not-yet-in-the-log", "WrongVersion", log="new-home-key")
    yield case("entry-malformed", "WrongVersion", with_(versionId="3"), signer="user-1")
    yield case("entry-no-longer-the-newest", "WrongVersion", log="owner")
    yield case("another-server", "WrongAudience", audience="https://evil.example")
    yield case("audience-with-a-slash", "WrongAudience", with_(audience=audience + "/"), signer="user-1")
    yield case("another-home-key", "WrongHome", with_(homeKey=public("thief-home")), signer="user-1")
    yield case("another-actor", "WrongHome", with_(actor="https://beta.example/users/mallory"), signer="user-1")
    yield case("signed-by-the-home-key", "WrongKey", signer="home-3")
    yield case("signed-by-a-later-user-key", "WrongKey", signer="user-2", log="owner", act="check")
    yield case(
        "method-of-another-key",
        "WrongKey",
        with_(
            proof=edit(good["proof"], {"verificationMethod": good["proof"]["verificationMethod"].replace("#user-1", "#home-3")})
        ),
        signer="home-3",
    )
    yield case(
        "altered-after-signing", "WrongKey", with_(nonce="another-nonce-of-some-length"), nonce="another-nonce-of-some-length"
    )
    yield case(
        "another-purpose", "WrongKey", with_(proof=edit(good["proof"], {"proofPurpose": "authentication"})), signer="user-1"
    )
    yield case("lives-901-seconds", "LivesTooLong", with_(expires=text(at + timedelta(seconds=901))), signer="user-1")
    yield case("expires-before-it-begins", "LivesTooLong", with_(expires=text(at)), signer="user-1", act="check")
    yield case("expired", "Expired", now=text(at + timedelta(seconds=900)))
    yield case("from-the-future", "Expired", now=text(at - timedelta(seconds=301)))
    yield case("another-nonce", "WrongNonce", nonce="n-another-0123456789ab")
    yield case("nonce-used-before", "WrongNonce", nonceIsFresh=False)


def receipt_cases(logs):
    log, replica, at = logs["moved"], "https://gamma.example", START + timedelta(days=2, minutes=2)
    method = "https://gamma.example/actor#instance-1"
    good = receipts.make_receipt(
        scid=log.scid, version_id=log.version_ids[2], replica=replica, verification_method=method, key=key("instance-1"), now=at
    )

    def case(name, verdict, receipt=good, *, signer=None, **changes):
        if signer:
            unsigned = {member: value for member, value in receipt.items() if member != "proof"}
            config = {member: value for member, value in receipt["proof"].items() if member != "proofValue"}
            receipt = {**unsigned, "proof": resigned(unsigned, signer, config)}
        base = {
            "replica": replica,
            "verificationMethod": method,
            "publicKey": public("instance-1"),
            "now": text(at + timedelta(days=1)),
        }
        return {"name": name, "verdict": verdict, **base, **changes, "receipt": receipt}

    def with_(**members):
        return edit(good, members)

    yield case("good", "accepted")
    yield case("member-unknown", "BadReceiptForm", with_(note="x"), signer="instance-1")
    yield case("member-missing", "BadReceiptForm", with_(scid=...), signer="instance-1")
    yield case("version-2-of-the-format", "BadReceiptForm", with_(v=2), signer="instance-1")
    yield case("number-for-a-text", "BadReceiptForm", with_(replica=1), signer="instance-1")
    yield case("scid-malformed", "BadReceiptForm", with_(scid="Qm"), signer="instance-1")
    yield case("version-id-malformed", "BadReceiptForm", with_(versionId="3"), signer="instance-1")
    yield case("undated", "BadReceiptForm", with_(proof=edit(good["proof"], {"created": ...})), signer="instance-1")
    yield case("another-replica", "WrongReplica", replica="https://delta.example")
    yield case("another-method", "WrongReplica", verificationMethod="https://gamma.example/actor#witness-1")
    yield case("another-key", "WrongReplica", signer="witness-1")
    yield case("altered-after-signing", "WrongReplica", with_(versionId=log.version_ids[1]))
    yield case("from-the-future", "FromTheFuture", now=text(at - timedelta(seconds=301)))


def forks(logs):
    owner = logs["owner"]
    other = rotate_home(
        owner, home_key=public("home-5"), key=key("device-1"), next_keys=commit("device-3"), now=START + timedelta(days=4)
    )
    spent = rotate_home(
        owner.first(3),
        home_key=public("thief-home"),
        key=key("beta-root-1"),
        next_keys=commit("thief-2"),
        now=START + timedelta(days=9),
    )
    sealed = logs["paper-takes-back"]
    left, right = logs["device-rotates"], other
    ids = [log.version_ids[4] for log in (left, right)]

    def case(name, verdict, one, two, seen):
        return {"name": name, "verdict": verdict, "left": one.data.decode(), "right": two.data.decode(), "firstSeen": seen}

    yield case("paper-key-beats-device-key", "right", left, sealed, {"https://r1.example": ids[0]})
    yield case(
        "more-replicas-saw-it-first",
        "right",
        left,
        right,
        {"https://r1.example": ids[0], "https://r2.example": ids[1], "https://r3.example": ids[1]},
    )
    yield case("contested", "contested", left, right, {"https://r1.example": ids[0], "https://r2.example": ids[1]})
    yield case("contested-without-receipts", "contested", left, right, {})
    yield case("spent-key-late", "left", owner, spent, {"https://r1.example": owner.version_ids[3]})
    yield case("one-extends-the-other", "V16", owner, left, {})
    yield case(
        "two-identities",
        "V16",
        owner,
        genesis(
            document=first_document(home("beta", "home-9"), user_key=public("user-9"), custody="server"),
            key=key("beta-root-9"),
            next_keys=commit("beta-root-10"),
            now=START,
        ),
        {},
    )


def objects(logs):
    def case(name, verdict, log, key_name, days, **more):
        return {
            "name": name,
            "verdict": verdict,
            "log": log,
            "scid": logs[log].scid,
            "key": public(key_name),
            "created": text(START + timedelta(days=days)),
            **more,
        }

    yield case("home-key-in-its-time", "accepted", "genesis", "home-1", 0.5)
    yield case("user-key", "accepted", "owner", "user-2", 3.5)
    yield case("clock-a-little-behind", "accepted", "genesis", "home-1", -0.003)
    yield case("before-the-key", "V17", "owner", "home-3", 1.5)
    yield case("after-the-key", "V17", "moved", "home-1", 1.5)
    yield case("stranger", "V17", "moved", "thief", 2.5)
    yield case("root-key-is-not-for-objects", "V17", "moved", "alpha-root-1", 0.5)
    yield case("box-key-is-not-for-objects", "V17", "owner", "box-1", 3.5) | {"key": box("box-1")}
    yield case("removed-key-uncovered", "V17", "moved", "home-1", 0.5)
    yield case("removed-key-covered-too-late", "V17", "moved", "home-1", 0.5, coveredAt=text(START + timedelta(days=1)))
    yield case("removed-key-covered", "accepted", "moved", "home-1", 0.5, coveredAt=text(START + timedelta(days=0.6)))
    yield case("another-identity", "V17", "genesis", "home-1", 0.5) | {"scid": commit("x")[0]}


# -- writing -----------------------------------------------------------------------------------------------------------


def log_cases(logs):
    for name, case in (*good_logs(logs), *bad_logs(logs)):
        case |= {"name": name, "now": case.get("now", text(NOW))}
        if case["verdict"] == "accepted" and case["judge"] == "policy":
            log = verify_policy(
                case["log"].encode(),
                now=canonical.parse_time(case["now"]),
                caps=HARD,
                loopback=case.get("loopback", False),
                witness_file=json.dumps(case["witness"]).encode() if "witness" in case else None,
            )
            case["expected"] = {
                "scid": log.scid,
                "versionId": log.version_ids[-1],
                "did": log.did.text,
                "custody": log.custody,
                "keyIndexes": [version.key_index for version in log.versions],
            }
        yield case


def files():
    """Every file of this directory with its bytes."""
    logs = life()
    names = [
        "alpha-root-1",
        "alpha-root-2",
        "alpha-root-3",
        "beta-root-1",
        "paper-1",
        "paper-2",
        "device-1",
        "device-2",
        "custodian-1",
        "user-1",
        "user-2",
        "home-1",
        "home-2",
        "home-3",
        "instance-1",
        "witness-1",
    ]
    made = {
        "keys.json": [
            {"name": name, "seed": secret(name).hex(), "multikey": public(name), "hash": commit(name)[0]} for name in names
        ],
        "logs.json": list(log_cases(logs)),
        "dids.json": list(dids()),
        "host-grants.json": list(grants(logs)),
        "receipts.json": list(receipt_cases(logs)),
        "forks.json": list(forks(logs)),
        "objects.json": list(objects(logs)),
    }
    # Its own file, which needs this one.
    from tests.vectors.golden.identity import generate_heads

    more, golden = generate_heads.files(logs)
    made |= more
    out = {name: (json.dumps(value, indent=1, ensure_ascii=False) + "\n").encode() for name, value in made.items()}
    out["did.jsonl"] = logs["owner"].data
    good = made["host-grants.json"][0]["grant"]
    out["host-grant.json"] = canonical.jcs(good)
    out["receipt.json"] = canonical.jcs(made["receipts.json"][0]["receipt"])
    return out | golden


if __name__ == "__main__":
    for name, data in files().items():
        (HERE / name).write_bytes(data)
        print(f"{len(data):8} {name}")
