"""The part of generate.py that makes fork evidence, outbox heads, and what they cover."""

from copy import deepcopy
from datetime import timedelta

from server.core import canonical
from server.identity import keylog
from tests.vectors.golden.identity.generate import NOW, START, commit, edit, key, public, resigned, text

VIDEO = {"type": "Video", "id": "https://beta.example/videos/1", "name": "First"}


def at(days):
    return START + timedelta(days=days)


def by(signer, document):
    """``document`` signed anew, its proof otherwise as it was."""
    unsigned = {name: value for name, value in document.items() if name != "proof"}
    config = {name: value for name, value in document["proof"].items() if name != "proofValue"}
    return {**unsigned, "proof": resigned(unsigned, signer, config)}


# -- fork evidence -----------------------------------------------------------------------------------------------------


def evidence(logs):
    owner, ours = logs["owner"], logs["device-rotates"]
    theirs = keylog.rotate_home(owner, home_key=public("home-5"), key=key("device-1"), next_keys=commit("device-3"), now=at(4))
    longer = keylog.rotate_home(theirs, home_key=public("home-6"), key=key("paper-1"), next_keys=commit("paper-2"), now=at(5))
    good = keylog.prove_fork(keylog.find_fork(ours, theirs))

    def case(name, verdict, document=good, *, log="owner", now=NOW):
        return {"name": name, "verdict": verdict, "log": log, "now": text(now), "evidence": document}

    def with_(**members):
        return edit(good, members)

    def entry(side, signer=None, **members):
        changed = edit(good[side], members)
        if signer:
            changed["versionId"] = owner.version_ids[-1]
            digest = canonical.multihash_sha256(canonical.jcs({k: v for k, v in changed.items() if k != "proof"}))
            changed["versionId"] = f"5-{digest}"
            changed = by(signer, {**changed, "proof": changed["proof"][0]})
            changed["proof"] = [changed["proof"]]
        other = good["right" if side == "left" else "left"]
        left, right = sorted([changed, other], key=lambda one: str(one.get("versionId")))
        return with_(left=left, right=right)

    yield case("good", "accepted")
    yield case("good-on-one-branch", "accepted", log="device-rotates")
    yield case("good-on-a-third-branch", "accepted", log="paper-takes-back")
    sealed = keylog.prove_fork(keylog.find_fork(logs["device-thief-moves"], theirs))
    yield case("move-against-rotation", "accepted", sealed)
    paper = keylog.rotate_home(owner, home_key=public("home-7"), key=key("paper-1"), next_keys=commit("paper-2"), now=at(4))
    yield case("paper-key-against-device-key", "accepted", keylog.prove_fork(keylog.find_fork(paper, theirs)))
    yield case("member-unknown", "V16", with_(note="x"))
    yield case("member-missing", "V16", with_(v=...))
    yield case("version-2-of-the-format", "V16", with_(v=2))
    yield case("version-as-true", "V16", with_(v=True))
    yield case("another-type", "V16", with_(type="Fork"))
    yield case("number-for-a-text", "V16", with_(scid=1))
    yield case("entry-as-a-text", "V16", with_(left="x"))
    yield case("another-identity", "V16", with_(scid=commit("x")[0]))
    yield case("the-same-entry-twice", "V16", with_(right=good["left"]))
    yield case("sides-exchanged", "V16", with_(left=good["right"], right=good["left"]))
    yield case("two-numbers", "V16", with_(right=canonical.parse(longer.head.entry.line, depth_max=16)))
    yield case("the-log-ends-before", "V16", log="moved")
    yield case("another-parent", "V4", entry("left", versionId=f"5-{commit('x')[0]}"))
    yield case("altered-after-signing", "V4", entry("left", state={**good["left"]["state"], "note": "x"}))
    yield case("unsigned", "V6", entry("right", proof=[]))
    yield case("signed-by-another-key", "V6", entry("right", signer="thief"))
    yield case("entry-with-a-member-more", "V1", entry("left", note="x"))
    yield case(
        "a-key-nobody-committed-to",
        "V8",
        entry("left", signer="thief", parameters={**good["left"]["parameters"], "updateKeys": [public("thief")]}),
    )
    yield case(
        "paper-key-dropped",
        "V8b",
        entry("left", signer="device-1", parameters={**good["left"]["parameters"], "nextKeyHashes": commit("thief-2")}),
    )
    yield case("from-the-future", "V11", now=at(3))


# -- outbox heads --------------------------------------------------------------------------------------------------------


def chain(logs):
    """Five heads: two by the first home key, one by its successor, two by the next home."""
    steps = [("genesis", "home-1", 0.2), ("genesis", "home-1", 0.4), ("new-home-key", "home-2", 1.5), ("moved", "home-3", 2.2)]
    made = []
    for number, (log, signer, days) in enumerate([*steps, ("owner", "home-3", 3.5)], start=1):
        made.append(
            keylog.make_head(
                logs[log],
                previous=made[-1] if made else None,
                document={**VIDEO, "number": number},
                key=key(signer),
                now=at(days),
            )
        )
    return made


def heads(logs):
    made = chain(logs)
    good = made[3]

    def case(name, verdict, head=good, *, log="owner", now=None, signer=None, **more):
        return {
            "name": name,
            "verdict": verdict,
            "log": log,
            "now": text(now or at(3)),
            "head": by(signer, head) if signer else head,
            **more,
        }

    def with_(**members):
        return edit(good, members)

    yield case("good", "accepted")
    yield case("the-first", "accepted", made[0], log="genesis", now=at(0.3))
    yield case("removed-key-seen-before-the-removal", "accepted", made[0], seenAt=text(at(0.9)))
    yield case("the-same-key-in-a-later-entry", "accepted", made[4], now=at(4))
    yield case("member-unknown", "BadHeadForm", with_(type="Head"), signer="home-3")
    yield case("member-missing", "BadHeadForm", with_(prev=...), signer="home-3")
    yield case("version-2-of-the-format", "BadHeadForm", with_(v=2), signer="home-3")
    yield case("version-as-true", "BadHeadForm", with_(v=True), signer="home-3")
    yield case("seq-0", "BadHeadForm", with_(seq=0), signer="home-3")
    yield case("seq-as-text", "BadHeadForm", with_(seq="4"), signer="home-3")
    yield case("seq-too-large", "BadHeadForm", with_(seq=2**53))
    yield case("first-with-a-predecessor", "BadHeadForm", with_(seq=1), signer="home-3")
    yield case("later-without-a-predecessor", "BadHeadForm", with_(prev="0" * 64), signer="home-3")
    yield case("hash-in-upper-case", "BadHeadForm", with_(object=good["object"].upper()), signer="home-3")
    yield case("hash-too-short", "BadHeadForm", with_(object=good["object"][:-2]), signer="home-3")
    yield case("scid-malformed", "BadHeadForm", with_(scid="Qm"), signer="home-3")
    yield case("time-with-fraction", "BadHeadForm", with_(created="2026-11-24T16:48:00.5Z"), signer="home-3")
    yield case("two-times", "BadHeadForm", with_(created=text(at(2.3))), signer="home-3")
    yield case("undated-proof", "BadHeadForm", with_(proof=edit(good["proof"], {"created": ...})), signer="home-3")
    yield case("another-identity", "WrongHeadKey", with_(scid=commit("x")[0]), signer="home-3")
    yield case("altered-after-signing", "WrongHeadKey", with_(seq=5))
    yield case("signed-by-another-key", "WrongHeadKey", signer="thief-home")
    user = good["proof"]["verificationMethod"].replace("#home-3", "#user-1")
    yield case(
        "signed-by-the-person", "WrongHeadKey", with_(proof={**good["proof"], "verificationMethod": user}), signer="user-1"
    )
    unknown = good["proof"]["verificationMethod"].replace("#home-3", "#home-9")
    yield case(
        "key-not-in-the-log", "WrongHeadKey", with_(proof={**good["proof"], "verificationMethod": unknown}), signer="home-3"
    )
    dated_back = {"created": text(at(1.5)), "proof": {**good["proof"], "created": text(at(1.5))}}
    yield case("before-the-key", "WrongHeadKey", with_(**dated_back), signer="home-3")
    yield case("removed-key-never-seen", "WrongHeadKey", made[0])
    yield case("removed-key-seen-at-the-removal", "WrongHeadKey", made[0], seenAt=text(at(1)))
    yield case("from-the-future", "HeadFromTheFuture", now=at(2.1))


def head_chains(logs):
    """Heads in the order in which they arrive; the verdict is about the last."""
    made = chain(logs)
    yes = {**VIDEO, "number": 99}

    def head(log, signer, days, previous):
        return keylog.make_head(logs[log], previous=previous, document=yes, key=key(signer), now=at(days))

    def case(name, verdict, *arrived):
        return {
            "name": name,
            "verdict": verdict,
            "log": "owner",
            "heads": [{"head": one, "seenAt": one["created"]} for one in arrived],
        }

    yield case("one-after-the-other", "accepted", *made)
    yield case("beginning-in-the-middle", "accepted", made[2], made[3])
    yield case("the-same-again", "accepted", made[0], made[1], made[0])
    yield case("one-is-missing", "HeadGap", made[0], made[2])
    yield case("another-in-its-place", "HeadFork", made[0], made[1], head("genesis", "home-1", 0.5, made[0]))
    yield case("another-first", "HeadFork", made[0], head("genesis", "home-1", 0.5, None))
    yield case("before-the-beginning", "HeadFork", made[1], made[0])
    skipped = deepcopy(made[1]) | {"seq": 3}
    yield case("a-number-left-out", "BadHeadForm", made[0], by("home-1", skipped))
    # The old home died with more heads out than the new one could find; it goes on from the last it has.
    yield case("a-new-home-goes-on-from-less", "accepted", made[0], made[1], made[2], head("moved", "home-3", 2.5, made[1]))
    yield case("a-new-home-begins-anew", "accepted", made[0], made[1], head("moved", "home-3", 2.5, None))
    restarted = head("moved", "home-3", 2.5, made[0])
    yield case("and-contradicts-itself", "HeadFork", made[0], made[1], restarted, head("moved", "home-3", 2.6, made[0]))


def covers(logs):
    """Objects by keys that have been removed since: what a replica knows decides (V17)."""
    made = chain(logs)
    objects = [one["object"] for one in made]

    def case(name, verdict, seen, digest, *, key_name="home-1", days=0.3, log="moved"):
        known = [
            {"head": one, "seenAt": text(at(moment)) if moment is not None else None}
            for one, moment in zip(made, seen, strict=False)
        ]
        return {
            "name": name,
            "verdict": verdict,
            "log": log,
            "scid": logs[log].scid,
            "key": public(key_name),
            "created": text(at(days)),
            "object": digest,
            "heads": known,
        }

    yield case("seen-before-the-removal", "accepted", [0.5, 0.6], objects[0])
    yield case("chained-to-by-one-seen-before", "accepted", [None, 0.9], objects[0])
    yield case("seen-at-the-removal", "V17", [1, 1], objects[0])
    yield case("a-second-before", "accepted", [1 - 1 / 86400], objects[0])
    yield case("chained-to-by-one-seen-after", "V17", [None, None, 1.5], objects[0])
    yield case("not-the-object-of-a-head", "V17", [0.5, 0.6], "00" * 32)
    yield case("no-heads-known", "V17", [], objects[0])
    yield case("key-in-force-needs-no-head", "accepted", [], "00" * 32, key_name="home-3", days=2.5)


def files(logs):
    made = {
        "evidence.json": list(evidence(logs)),
        "heads.json": list(heads(logs)),
        "head-chains.json": list(head_chains(logs)),
        "covers.json": list(covers(logs)),
    }
    golden = {
        "fork-evidence.json": canonical.jcs(made["evidence.json"][0]["evidence"]),
        "outbox-head.json": canonical.jcs(made["heads.json"][0]["head"]),
    }
    return made, golden
