"""Outbox heads and fork evidence: the published vectors, every changed bit, and a stolen home key that dates its forgeries back."""

import hashlib
from collections.abc import Callable
from datetime import timedelta

import pytest

from server.core import canonical, proofs
from server.identity import keylog
from server.identity.keylog import KeyLogError, SeenHead, heads
from server.identity.keylog.errors import V16Fork, V17Object
from tests.pure.identities import LATER, NOW, commit, home, key, moved, owned, public, under_server
from tests.pure.test_keylog_golden import GOLDEN, cases, log_named

HOURS, MINUTES = (lambda n: timedelta(hours=n)), (lambda n: timedelta(minutes=n))
FROZEN = {
    "fork-evidence.json": "229b30f42547953e80e12e58f6654dfafce72d604a4d55a0d9a3c2b05234a20e",
    "outbox-head.json": "616e26dc35c1946a3544b5b8c3a3d7ccbd74412eba3c568fd755ea334fa1a1e9",
}


def judged(verdict: str, act: Callable[[], object]) -> None:
    """Accepted, or refused by exactly the name that is published."""
    if verdict == "accepted":
        act()
        return
    with pytest.raises((KeyLogError, heads.HeadRefused)) as caught:
        act()
    assert verdict == (caught.value.rule if isinstance(caught.value, KeyLogError) else type(caught.value).__name__)


def test_the_golden_bytes_are_frozen() -> None:
    for name, digest in FROZEN.items():
        assert hashlib.sha256((GOLDEN / name).read_bytes()).hexdigest() == digest


# -- fork evidence -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("case", cases("evidence.json"), ids=lambda case: case["name"])
def test_evidence(case: dict) -> None:
    log, now = log_named(case["log"]), canonical.parse_time(case["now"])

    def act() -> None:
        document = keylog.parse_fork(canonical.jcs(case["evidence"]))
        found = keylog.check_fork(document, log=log, now=now)
        assert (found.scid, found.number) == (log.scid, 5)
        assert canonical.jcs(keylog.prove_fork(found)) == canonical.jcs(case["evidence"])

    judged(case["verdict"], act)


def split() -> tuple[keylog.PolicyLog, keylog.PolicyLog]:
    """A thief and the owner both write entry 5 with the device key."""
    log = owned()
    ours = keylog.rotate_home(log, home_key=public("home-4"), key=key("device-1"), next_keys=commit("device-2"), now=LATER)
    theirs = keylog.move(log, home=home("evil.example", "thief"), key=key("device-1"), next_keys=commit("thief-1"), now=LATER)
    return ours, theirs


def test_two_replicas_that_were_told_different_stories_find_out_in_one_exchange() -> None:
    """A split view: each holds one branch, and what one proves, the other and a stranger with neither branch can check."""
    ours, theirs = split()
    evidence = keylog.find_fork(ours, theirs)
    assert evidence is not None
    sent = canonical.jcs(keylog.prove_fork(evidence))
    other = keylog.find_fork(theirs, ours)
    assert other is not None
    assert canonical.jcs(keylog.prove_fork(other)) == sent
    for replica in (ours, theirs, owned()):
        found = keylog.check_fork(keylog.parse_fork(sent), log=replica, now=LATER)
        assert {found.left, found.right} == {ours.head.entry.line, theirs.head.entry.line}
    # Neither branch counts for those who have pinned nothing, until the paper key speaks; then both replicas agree.
    assert keylog.settle_fork(ours, theirs, first_seen={"https://a.example": ours.version_ids[4]}) is not None
    assert keylog.settle_fork(ours, theirs, first_seen={}) is None
    sealed = keylog.rotate_home(ours, home_key=public("home-5"), key=key("paper-1"), next_keys=commit("paper-2"), now=LATER)
    for one, two in ((sealed, theirs), (theirs, sealed)):
        branch = keylog.settle_fork(one, two, first_seen={f"https://r{n}.example": theirs.version_ids[4] for n in range(9)})
        assert branch is not None
        assert (branch.log, branch.reason) == (sealed, "key")


def test_charlie_cannot_make_evidence() -> None:
    """Who holds none of the keys can neither invent a fork nor pass off one identity's as another's."""
    ours, theirs = split()
    evidence = keylog.find_fork(ours, theirs)
    assert evidence is not None
    with pytest.raises(V16Fork):
        keylog.check_fork(keylog.prove_fork(evidence), log=under_server("charlie"), now=LATER)
    data = canonical.jcs(keylog.prove_fork(evidence))
    refused = 0
    for place in range(0, len(data), 3):
        changed = data[:place] + bytes([data[place] ^ 1 << place % 8]) + data[place + 1 :]
        with pytest.raises(KeyLogError):
            keylog.check_fork(keylog.parse_fork(changed), log=ours, now=LATER)
        refused += 1
    assert refused > 1_000


@pytest.mark.parametrize(
    "data", [b"", b"[]", b"1", b'{"v":1,"v":1}', b'{"v":1.0}', b"\xff", b"{" + b" " * 300_000 + b"}", b"[" * 99]
)
def test_evidence_is_parsed_strictly(data: bytes) -> None:
    with pytest.raises(V16Fork):
        keylog.parse_fork(data)


def test_evidence_without_canonical_form_is_refused() -> None:
    ours, theirs = split()
    evidence = keylog.find_fork(ours, theirs)
    assert evidence is not None
    good = keylog.prove_fork(evidence)
    for odd in (float("nan"), 2**60, "\ud800"):
        with pytest.raises(V16Fork):
            keylog.check_fork({**good, "left": {**good["left"], "versionTime": odd}}, log=ours, now=LATER)


# -- outbox heads ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("case", cases("heads.json"), ids=lambda case: case["name"])
def test_head(case: dict) -> None:
    log, now = log_named(case["log"]), canonical.parse_time(case["now"])
    seen_at = canonical.parse_time(case["seenAt"]) if "seenAt" in case else None

    def act() -> None:
        head = keylog.verify_head(case["head"], log=log, now=now, seen_at=seen_at)
        assert (head.seq, head.object) == (case["head"]["seq"], case["head"]["object"])
        assert head.digest == keylog.digest_of(case["head"])

    judged(case["verdict"], act)


@pytest.mark.parametrize("case", cases("head-chains.json"), ids=lambda case: case["name"])
def test_chain_of_heads(case: dict) -> None:
    log = log_named(case["log"])
    chain: tuple[SeenHead, ...] = ()
    for arrived in case["heads"][:-1]:
        chain = arrive(log, chain, arrived)
    before = chain
    judged(case["verdict"], lambda: arrive(log, chain, case["heads"][-1]))
    assert chain == before


def arrive(log: keylog.PolicyLog, chain: tuple[SeenHead, ...], arrived: dict) -> tuple[SeenHead, ...]:
    seen_at = canonical.parse_time(arrived["seenAt"])
    return keylog.extend_heads(chain, keylog.verify_head(arrived["head"], log=log, now=LATER, seen_at=seen_at), seen_at=seen_at)


@pytest.mark.parametrize("case", cases("covers.json"), ids=lambda case: case["name"])
def test_cover(case: dict) -> None:
    log = log_named(case["log"])
    known = []
    for one in case["heads"]:
        created = canonical.parse_time(one["head"]["created"])
        head = keylog.verify_head(one["head"], log=log, now=LATER, seen_at=created)
        known.append(SeenHead(head, canonical.parse_time(one["seenAt"]) if one["seenAt"] else None))
    judged(
        case["verdict"],
        lambda: keylog.check_covered(
            log,
            scid=case["scid"],
            key=case["key"],
            created=canonical.parse_time(case["created"]),
            digest=case["object"],
            heads=known,
        ),
    )


def test_a_stolen_home_key_cannot_date_a_forgery_back() -> None:
    """Honest and forged object differ in one thing only: whether a head covered it while the key was good."""
    log, honest, forged = under_server(), {"type": "Note", "content": "mine"}, {"type": "Note", "content": "not mine"}
    first = keylog.make_head(log, previous=None, document=honest, key=key("home-1"), now=NOW + HOURS(1))
    seen = keylog.extend_heads((), keylog.verify_head(first, log=log, now=NOW + HOURS(1)), seen_at=NOW + HOURS(1))
    before = log
    log = keylog.rotate_home(log, home_key=public("home-2"), key=key("root-2"), next_keys=commit("root-3"), now=NOW + HOURS(5))

    def judge(document: dict, known: tuple[SeenHead, ...]) -> keylog.Version:
        digest = keylog.digest_of(document)
        return keylog.check_covered(log, scid=log.scid, key=public("home-1"), created=NOW + HOURS(1), digest=digest, heads=known)

    assert judge(honest, seen).entry.number == 1
    with pytest.raises(V17Object, match="removed"):
        judge(forged, seen)
    # The thief still has the key, and makes a head dated back too. It comes too late to be taken at all ...
    late = keylog.make_head(before, previous=first, document=forged, key=key("home-1"), now=NOW + HOURS(2))
    with pytest.raises(heads.WrongHeadKey):
        keylog.verify_head(late, log=log, now=NOW + HOURS(6))
    # ... and even a replica that had not heard of the rotation yet only says when it saw it.
    fooled = keylog.extend_heads(seen, keylog.verify_head(late, log=before, now=NOW + HOURS(6)), seen_at=NOW + HOURS(6))
    with pytest.raises(V17Object, match="removed"):
        judge(forged, fooled)
    assert judge(honest, fooled).entry.number == 1


def test_heads_are_made_with_the_home_key_alone() -> None:
    for name in ("user-1", "root-1", "home-2", "charlie"):
        with pytest.raises(heads.WrongHeadKey):
            keylog.make_head(under_server(), previous=None, document={}, key=key(name), now=NOW)
    with pytest.raises(heads.WrongHeadKey):
        keylog.make_head(moved(), previous=None, document={}, key=key("home-1"), now=NOW)


def test_every_changed_bit_of_a_head_is_refused() -> None:
    log = moved()
    first = keylog.make_head(log, previous=None, document={}, key=key("home-3"), now=LATER)
    data = canonical.jcs(keylog.make_head(log, previous=first, document={"a": 1}, key=key("home-3"), now=LATER))
    assert keylog.verify_head(canonical.parse(data, depth_max=4), log=log, now=LATER).seq == 2
    refused = 0
    for place in range(len(data)):
        for bit in range(8):
            try:
                value = canonical.parse(data[:place] + bytes([data[place] ^ 1 << bit]) + data[place + 1 :], depth_max=4)
            except ValueError:
                continue
            with pytest.raises(heads.HeadRefused):
                keylog.verify_head(value, log=log, now=LATER)
            refused += 1
    assert refused > 2_000


def test_a_document_that_changes_what_a_method_means() -> None:
    """A stranger's document may give an old name to a new key: the name must have meant the key when the head was made."""
    log = moved()
    state = log.head.entry.state
    renamed = [
        {**one, "publicKeyMultibase": public("home-9")} if "#home-" in one["id"] else one for one in state["verificationMethod"]
    ]
    longer = keylog.append(
        log, state={**state, "verificationMethod": renamed}, key=key("root-4"), next_keys=commit("root-5"), now=LATER
    )
    head = keylog.make_head(log, previous=None, document={}, key=key("home-3"), now=NOW + timedelta(days=3))
    keylog.verify_head(head, log=log, now=LATER)
    with pytest.raises(heads.WrongHeadKey):
        keylog.verify_head(head, log=longer, now=LATER, seen_at=NOW + timedelta(days=3))


def test_a_method_that_meant_another_key_then() -> None:
    """The newest meaning of a name is tried; it must hold at the time of the head as well."""
    log = under_server()
    state = log.head.entry.state
    method = f"{log.did.text}#home-9"
    extra = {"id": method, "type": "Multikey", "controller": log.did.text, "publicKeyMultibase": public("home-1")}
    longer = keylog.append(
        log,
        state={
            **state,
            "verificationMethod": [*state["verificationMethod"], extra],
            "assertionMethod": [*state["assertionMethod"], method],
        },
        key=key("root-2"),
        next_keys=commit("root-3"),
        now=NOW + HOURS(2),
    )
    head = keylog.make_head(log, previous=None, document={}, key=key("home-1"), now=NOW + HOURS(1))
    unsigned = {name: value for name, value in head.items() if name != "proof"}
    head["proof"] = proofs.create_proof(unsigned, key=key("home-1"), verification_method=method, created=NOW + HOURS(1))
    with pytest.raises(heads.WrongHeadKey, match="another name"):
        keylog.verify_head(head, log=longer, now=LATER, seen_at=NOW + HOURS(1))


def test_covering_a_long_chain_takes_no_time() -> None:
    digests = [hashlib.sha256(str(n).encode()).hexdigest() for n in range(20_001)]
    chain = [
        SeenHead(heads.Head("s", n, digests[n - 1], digests[n], NOW, digests[n], 1), NOW + MINUTES(n) if n == 20_000 else None)
        for n in range(1, 20_001)
    ]
    assert keylog.covered_at(chain, digests[1]) == NOW + MINUTES(20_000)
    assert keylog.covered_at(chain[:-1], digests[1]) is None


# -- what waits, to the second ---------------------------------------------------------------------------------------------


def thief_moves(seen: dict) -> keylog.PolicyLog:
    log = keylog.move(
        owned(), home=home("evil.example", "thief"), key=key("device-1"), next_keys=commit("thief-1"), now=NOW + timedelta(days=4)
    )
    return log if seen else owned()


SEEN = {2: NOW, 3: NOW, 4: NOW, 5: LATER}


@pytest.mark.parametrize(("after", "waits"), [(timedelta(hours=71, minutes=59, seconds=59), True), (HOURS(72), False)])
def test_a_lower_key_waits_72_hours_to_the_second(after: timedelta, waits: bool) -> None:
    log = thief_moves(SEEN)
    for until in (keylog.payouts_frozen_until(log, seen=SEEN), keylog.effects_held_until(log, seen=SEEN)):
        assert until is not None
        assert (LATER + after < until) is waits


def test_the_paper_key_waits_for_nothing_and_frees_what_waited() -> None:
    log = keylog.rotate_home(
        owned(), home_key=public("home-4"), key=key("paper-1"), next_keys=commit("paper-2", "device-2"), now=LATER
    )
    assert keylog.effects_held_until(log, seen=SEEN) is None
    assert keylog.payouts_frozen_until(log, seen=SEEN) == NOW + timedelta(days=7)
    back = keylog.rotate_home(
        thief_moves(SEEN), home_key=public("home-4"), key=key("paper-1"), next_keys=commit("paper-2", "device-2"), now=LATER
    )
    seen = {**SEEN, 6: LATER + HOURS(1)}
    assert keylog.effects_held_until(back, seen=seen) is None
    # Money stays frozen as long as the thief's entry froze it.
    assert keylog.payouts_frozen_until(back, seen=seen) == LATER + HOURS(72)
    again = keylog.rotate_home(back, home_key=public("home-5"), key=key("device-2"), next_keys=commit("device-3"), now=LATER)
    assert keylog.effects_held_until(again, seen={**seen, 7: LATER + HOURS(2)}) == LATER + HOURS(74)


def test_a_thief_cannot_shorten_the_wait_by_the_date_of_the_entry() -> None:
    """The entry is dated 26 days before it is shown: the wait begins when it is seen."""
    log = thief_moves(SEEN)
    assert LATER - log.head.entry.time > timedelta(days=25)
    assert keylog.payouts_frozen_until(log, seen=SEEN) == LATER + HOURS(72)


def test_a_later_entry_never_shortens_a_freeze() -> None:
    """Keys passed to the owner: 7 days. An hour later her device key acts: 72 hours, which end sooner and change nothing."""
    log = keylog.rotate_home(owned(), home_key=public("home-4"), key=key("device-1"), next_keys=commit("device-2"), now=LATER)
    seen = {2: NOW, 3: NOW, 4: LATER, 5: LATER + HOURS(1)}
    assert keylog.payouts_frozen_until(log, seen=seen) == LATER + timedelta(days=7)


def test_nothing_waits_for_a_new_identity() -> None:
    assert keylog.payouts_frozen_until(under_server(), seen={}) is None
    assert keylog.effects_held_until(under_server(), seen={}) is None
    with pytest.raises(KeyError):
        keylog.payouts_frozen_until(owned(), seen={})


def test_a_custodian_recovers_and_cannot_evict_the_owner() -> None:
    """Recovery by e-mail: the home server's key moves the identity, waits 72 hours, and carries both of the owner's hashes."""
    log = keylog.move(
        owned(), home=home("gamma.example", "home-4"), key=key("custodian-1"), next_keys=commit("custodian-2"), now=LATER
    )
    assert log.head.parameters.next_key_hashes == tuple(commit("paper-1", "device-1", "custodian-2"))
    assert keylog.effects_held_until(log, seen=SEEN) == LATER + HOURS(72)
    for name in ("device-1", "paper-1"):
        back = keylog.rotate_user(
            log, user_key=public("user-3"), key=key(name), next_keys=commit("new-1"), now=LATER + timedelta(days=400)
        )
        assert back.head.parameters.next_key_hashes[-1] == commit("new-1")[0]
        assert commit("custodian-2")[0] not in back.head.parameters.next_key_hashes
