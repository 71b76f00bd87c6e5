"""Policies, following, witnessing, convicting: who has seen which history, and what happens to a log that shows two."""

import json
import re
from base64 import b64decode
from pathlib import Path

import pytest

from payouts.ledger import canonical
from payouts.ledger.checkpoint import Checkpoint, SignedCheckpoint, cosign, open_checkpoint, sign_checkpoint
from payouts.ledger.errors import (
    BadHash,
    BadMember,
    BadSignature,
    BadTile,
    Inconsistent,
    LedgerError,
    MalformedCheckpoint,
    MalformedNote,
    MalformedPolicy,
    MissingMember,
    NoKnownSignature,
    NotAFork,
    QuorumNotMet,
    WentBackwards,
    WrongOrigin,
)
from payouts.ledger.follower import Pin, advance, check_tiles, first_pin, proof_between, quorum
from payouts.ledger.fork import check_fork, prove_fork
from payouts.ledger.growth import EMPTY, grow
from payouts.ledger.merkle import EMPTY_ROOT
from payouts.ledger.note import COSIGNATURE, ED25519, Signer, VerifierKey, add_signatures, parse_vkey
from payouts.ledger.policy import counted_cosignatures, exact_policy, parse_policy
from payouts.ledger.tiles import TreeReader
from payouts.ledger.witness import Answer, judge, parse_request
from tests.payouts.ledger_world import MemoryTiles

VECTORS = Path(__file__).parents[1] / "vectors" / "ledger"
LOG = Signer("log.example/ledger/1", ED25519, b"\1" * 32)
WITNESS = Signer("witness.example/witness/1", COSIGNATURE, b"\2" * 32)
OTHERS = [Signer(f"w{number}.example/witness/1", COSIGNATURE, bytes([number + 10]) * 32) for number in range(3)]
ENTRIES = [f"entry {number}".encode() for number in range(400)]


def tiles(size: int, twist: str = "") -> MemoryTiles:
    return MemoryTiles(grow(EMPTY, [*ENTRIES[: size - 1], ENTRIES[size - 1] + twist.encode()]).files)


def head(size: int, twist: str = "", *signers: Signer) -> SignedCheckpoint:
    """A checkpoint of the log; ``twist`` makes its last entry another one."""
    entries = [*ENTRIES[: size - 1], ENTRIES[size - 1] + twist.encode()]
    checkpoint = Checkpoint(LOG.name, size, grow(EMPTY, entries).edge.root())
    data = add_signatures(sign_checkpoint(checkpoint, LOG), [cosign(checkpoint, signer, 1_000) for signer in signers])
    return open_checkpoint(data, origin=LOG.name, log_keys=[LOG.verifier], cosigners=[signer.verifier for signer in signers])


# Policies.


def policy_text(*lines: str) -> bytes:
    keys = [f"log {LOG.verifier}", *(f"witness W{number} {one.verifier}" for number, one in enumerate(OTHERS))]
    return "\n".join([*keys, *lines, ""]).encode()


@pytest.mark.parametrize(
    ("lines", "enough", "too_few"),
    [
        (["quorum none"], [], None),
        (["quorum W1"], [1], [0, 2]),
        (["group g any W0 W1 W2", "quorum g"], [2], []),
        (["group g 2 W0 W1 W2", "quorum g"], [0, 2], [1]),
        (["group g all W0 W1 W2", "quorum g"], [0, 1, 2], [0, 1]),
        (["# comment", "", "  group a 1 W0\tW1 ", "group b all a W2", "quorum b"], [1, 2], [0, 1]),
    ],
)
def test_a_quorum_is_asked_for(lines: list[str], enough: list[int], too_few: list[int] | None) -> None:
    policy = parse_policy(policy_text(*lines))
    assert {one.key.name for one in policy.check(head(5, "", *(OTHERS[number] for number in enough)))} == {
        OTHERS[number].name for number in enough
    }
    if too_few is not None:
        with pytest.raises(QuorumNotMet):
            policy.check(head(5, "", *(OTHERS[number] for number in too_few)))


def test_own_hosts_mirrors_and_auditors_do_not_count() -> None:
    own = Signer("log.example/witness/1", COSIGNATURE, b"\5" * 32)
    mirror = Signer("w0.example/mirror/1", COSIGNATURE, b"\6" * 32)
    auditor = Signer("w9.example/auditor/1", COSIGNATURE, b"\7" * 32)
    twin = Signer("w0.example/witness/2", COSIGNATURE, b"\x08" * 32)
    signed = head(5, "", own, mirror, auditor, OTHERS[0], twin)
    assert [one.key.name for one in counted_cosignatures(signed)] == [OTHERS[0].name]
    text = (
        "".join(f"witness {one.name} {one.verifier}\n" for one in (own, mirror, auditor))
        + f"group g any {own.name} {mirror.name} {auditor.name}\nquorum g\n"
    )
    with pytest.raises(QuorumNotMet):
        parse_policy(text.encode()).check(signed)


@pytest.mark.parametrize(
    "data",
    [
        b"", b"quorum none\nquorum none\n", b"quorum W1\n", b"quorum\n", b"quorum a b\n", b"hello\n", b"log x\nquorum none\n", b"quorum none\r\n", b"\x00",
        b"#" * 70_000, policy_text("group g 4 W0 W1 W2", "quorum g"), policy_text("group g 0 W0", "quorum g"), policy_text("group g x W0", "quorum g"),
        policy_text("group g 01 W0", "quorum g"), policy_text("group g any W0 W0", "quorum g"), policy_text("group g any W9", "quorum g"),
        policy_text("group g any W0", "group h any W0 W1", "quorum h"), policy_text("group W0 any W1", "quorum W0"), policy_text("group none any W1", "quorum none"),
        policy_text("group g any", "quorum g"), policy_text(f"log {LOG.verifier}", "quorum none"), policy_text(f"log {WITNESS.verifier} a b", "quorum none"),
        policy_text(f"witness V {OTHERS[0].verifier}", "quorum none"), policy_text(f"witness W0 {WITNESS.verifier}", "quorum none"),
        policy_text(f"witness V {LOG.verifier}", "quorum none"), policy_text("witness V", "quorum none"),
        b"".join(b"log %s\n" % str(Signer(f"l{number}", ED25519, bytes([number]) * 32).verifier).encode() for number in range(65)) + b"quorum none\n",
        policy_text(*(f"group g{number} any {'W0' if number == 0 else f'g{number - 1}'}" for number in range(65)), "quorum g64"),
    ],
)  # fmt: skip
def test_malformed_policies_are_refused(data: bytes) -> None:
    with pytest.raises(MalformedPolicy):
        parse_policy(data)


def test_names_in_a_policy_are_opaque() -> None:
    policy = parse_policy(f"witness ünïcode {WITNESS.verifier} https://w.example\nquorum ünïcode\n".encode())
    assert policy.check(head(5, "", WITNESS))


def test_names_that_are_not_utf_8_are_opaque_as_well() -> None:
    policy = parse_policy(b"witness \xff\xfe %b\nquorum \xff\xfe\n" % str(WITNESS.verifier).encode())
    assert policy.check(head(5, "", WITNESS))
    with pytest.raises(MalformedPolicy):
        parse_policy(b"log \xff%b\nquorum none\n" % str(LOG.verifier).encode())


def test_the_exact_policy_of_a_statement_says_who_signed() -> None:
    alone, seen = head(5), head(6, "", *OTHERS)
    assert exact_policy([LOG.verifier], [alone]) == f"log {LOG.verifier}\nquorum none\n"
    text = exact_policy([LOG.verifier], [seen])
    policy = parse_policy(text.encode())
    assert policy.groups["witnesses"].threshold == 3
    assert len(policy.check(seen)) == 3
    assert exact_policy([LOG.verifier], [alone, seen]).endswith("quorum none\n")


def test_two_quorums_share_an_honest_witness() -> None:
    assert [quorum(3), quorum(4, 1), quorum(7, 2)] == [2, 3, 5]


# Following.


def test_a_pin_is_only_extended() -> None:
    pin = first_pin(LOG.name)
    assert pin.root == EMPTY_ROOT
    for size in (1, 1, 2, 7, 256, 257, 400):
        newer = head(size).checkpoint
        pin = advance(pin, newer, proof_between(tiles(size), pin.size, size))
        assert pin == Pin(LOG.name, size, newer.root)
        check_tiles(tiles(size), newer)
    with pytest.raises(WentBackwards):
        advance(pin, head(399).checkpoint, ())


def test_what_does_not_extend_the_pin_is_refused() -> None:
    pin = advance(first_pin(LOG.name), head(7).checkpoint, ())
    newer, proof = head(20).checkpoint, proof_between(tiles(20), 7, 20)
    assert advance(pin, newer, proof).size == 20
    with pytest.raises(WrongOrigin):
        advance(Pin("other", 7, pin.root), newer, proof)
    for wrong in ((), proof[:-1], (*proof, proof[0]), tuple(reversed(proof))):
        with pytest.raises(Inconsistent):
            advance(pin, newer, wrong)
    with pytest.raises(Inconsistent):
        advance(pin, head(7, "x").checkpoint, ())
    with pytest.raises(Inconsistent):
        advance(pin, head(7).checkpoint, proof)
    with pytest.raises(Inconsistent):
        advance(first_pin(LOG.name), newer, proof)
    twisted = advance(first_pin(LOG.name), head(7, "x").checkpoint, ())
    with pytest.raises(Inconsistent):
        advance(twisted, newer, proof)
    with pytest.raises(BadTile):
        check_tiles(tiles(20, "x"), newer)


# Witnessing.


def requests() -> list[tuple[bytes, int, str]]:
    """The nine requests of litewitness: (body, status, text that the answer contains or is)."""
    text = (VECTORS / "litewitness-add-checkpoint.hurl").read_text()
    found = re.findall(r"```\n(.*?)```\nHTTP (\d+)\n\[Asserts\]\nbody (?:contains|==) \"(.*?)\"", text, re.DOTALL)
    return [(body.encode(), int(status), answer) for body, status, answer in found]


def test_litewitness_flow() -> None:
    origin = "sigsum.org/v1/tree/4d6d8825a6bb689d459628312889dfbb0bcd41b5211d9e1ce768b0ff0309e562"
    key = VerifierKey(origin, ED25519, bytes.fromhex("ffdc2d4d98e4124d3feaf788c0c2f9abfd796083d1f0495437f302ec79cf100f"))
    assert parse_vkey(str(key)) == key
    pin = first_pin(origin)
    signer = Signer("example.com/witness", COSIGNATURE, b"\4" * 32)
    flow = requests()
    assert len(flow) == 9
    for body, status, text in flow:
        request = parse_request(body)
        answer = judge(request, pin=pin, log_keys=[key] if request.origin == origin else [], signer=signer, timestamp=1_000)
        # litewitness answered an unknown log with 403; the specification now says 404.
        assert answer.status == (404 if text == "unknown log" else status)
        if status == 200:
            assert text in answer.body
            assert answer.pin is not None
            pin = answer.pin
        if status == 409:
            assert answer.body == text.replace("\\n", "\n")
            assert answer.content_type == "text/x.tlog.size"
        else:
            assert answer.content_type.startswith("text/plain")
    assert pin.size == 5


def body_of(old: int, note: bytes, proof: tuple[bytes, ...] = ()) -> bytes:
    from payouts.ledger.fields import to_base64

    return "".join(f"{line}\n" for line in (f"old {old}", *map(to_base64, proof), "")).encode() + note


def ask(pin: Pin, old: int, signed: SignedCheckpoint, proof: tuple[bytes, ...] = ()) -> Answer:
    return judge(parse_request(body_of(old, signed.data, proof)), pin=pin, log_keys=[LOG.verifier], signer=WITNESS, timestamp=9)


def test_a_witness_signs_what_extends_its_pin_and_nothing_else() -> None:
    pin = first_pin(LOG.name)
    first = ask(pin, 0, head(7))
    assert (first.status, first.pin) == (200, Pin(LOG.name, 7, head(7).checkpoint.root))
    assert first.pin is not None
    signed = add_signatures(head(7).data, [first.body.strip()])
    opened = open_checkpoint(signed, origin=LOG.name, log_keys=[LOG.verifier], cosigners=[WITNESS.verifier], only_known=True)
    assert [one.timestamp for one in opened.note.signatures] == [0, 9]
    again = ask(first.pin, 7, head(7))
    assert (again.status, again.pin) == (200, first.pin)
    assert ask(first.pin, 8, head(7)).status == 400
    assert ask(first.pin, 0, head(9)).body == "7\n"
    other = ask(first.pin, 7, head(7, "x"))
    assert (other.status, other.body) == (409, "7\n")
    assert other.signed is not None
    refused = ask(first.pin, 7, head(20, "x"), proof_between(tiles(20), 7, 20))
    assert (refused.status, refused.pin) == (422, None)
    assert isinstance(refused.error, Inconsistent)


def test_a_witness_refuses_what_is_not_signed_or_not_well_formed() -> None:
    stranger = Signer(LOG.name, ED25519, b"\x09" * 32)
    checkpoint = head(7).checkpoint
    answer = judge(
        parse_request(body_of(0, sign_checkpoint(checkpoint, stranger))),
        pin=first_pin(LOG.name),
        log_keys=[LOG.verifier],
        signer=WITNESS,
        timestamp=9,
    )
    assert (answer.status, type(answer.error)) == (403, NoKnownSignature)
    forged = sign_checkpoint(checkpoint, LOG).replace(b"\n7\n", b"\n8\n")
    answer = judge(
        parse_request(body_of(0, forged)), pin=first_pin(LOG.name), log_keys=[LOG.verifier], signer=WITNESS, timestamp=9
    )
    assert (answer.status, type(answer.error)) == (403, BadSignature)
    twice = add_signatures(head(7).data, [head(7).data.decode().splitlines()[-1]])
    assert (
        judge(
            parse_request(body_of(0, twice)), pin=first_pin(LOG.name), log_keys=[LOG.verifier], signer=WITNESS, timestamp=9
        ).status
        == 400
    )


@pytest.mark.parametrize(
    "data",
    [
        b"", b"old 1\n", b"old 01\n\nx\n", b"old -1\n\nx\n", b"old 1 \n\nx\n", b"new 1\n\nx\n", b"old 9999999999999999999\n\nx\n", b"old 1\nshort\n\nx\n",
        b"old 1\n\xff\n\nx\n", b"old 1\n" + b"AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=\n" * 64 + b"\nx\n", b"old 1\n\n" + b"x" * 80_000,
    ],
)  # fmt: skip
def test_malformed_requests_are_refused(data: bytes) -> None:
    with pytest.raises(MalformedNote):
        parse_request(data)
    with pytest.raises(MalformedCheckpoint):
        parse_request("old 0\n\nno checkpoint\n\n\u2014 a AAAAAAA=\n".encode())


# Convicting.


def test_a_fork_of_two_sizes_is_proven_in_a_kilobyte() -> None:
    for small, large in ((1, 2), (7, 20), (8, 20), (64, 256), (256, 257), (37, 400)):
        older, newer = head(small, "x"), head(large)
        proof = prove_fork(newer, older, TreeReader(tiles(large), large))
        fork = check_fork(proof, [LOG.verifier])
        assert (fork.older, fork.newer) == (older.checkpoint, newer.checkpoint)
        assert len(proof) < 1_600
        with pytest.raises(NotAFork):
            prove_fork(head(small), newer, TreeReader(tiles(large), large))


def test_a_fork_at_one_size_needs_no_path() -> None:
    proof = prove_fork(head(7), head(7, "x"), None)
    assert check_fork(proof, [LOG.verifier]).older.size == 7
    with pytest.raises(NotAFork):
        prove_fork(head(7), head(7), None)
    with pytest.raises(NotAFork):
        prove_fork(head(7), head(9, "x"), None)


def test_every_flipped_bit_of_a_fork_proof_is_refused() -> None:
    proof = prove_fork(head(3, "x"), head(5), TreeReader(tiles(5), 5))
    for bit in range(len(proof) * 8):
        flipped = bytearray(proof)
        flipped[bit // 8] ^= 1 << bit % 8
        with pytest.raises(LedgerError):
            check_fork(bytes(flipped), [LOG.verifier])


def test_an_honest_log_is_not_convicted() -> None:
    document = canonical.decode(prove_fork(head(7, "x"), head(20), TreeReader(tiles(20), 20)), bytes_max=10_000)

    def judged(**changes: object) -> None:
        check_fork(canonical.encode({**document, **changes}), [LOG.verifier])

    judged()
    with pytest.raises(NotAFork):
        judged(older=head(7).data.decode())
    with pytest.raises(NotAFork):
        judged(older=document["newer"])
    with pytest.raises(NotAFork):
        judged(path=document["path"][:-1])
    with pytest.raises(NotAFork):
        judged(path=list(reversed(document["path"])))
    with pytest.raises(BadHash):
        judged(path=["AAAA"])
    with pytest.raises(BadMember):
        judged(path="")
    with pytest.raises(BadMember):
        judged(type="spoon")
    with pytest.raises(BadMember):
        judged(older=7)
    with pytest.raises(WrongOrigin):
        judged(origin="other.example/ledger/1")
    with pytest.raises(MissingMember):
        check_fork(b"{}", [LOG.verifier])
    with pytest.raises(NoKnownSignature):
        check_fork(canonical.encode(document), [])


def test_the_prototypes_fork_proof_convicts() -> None:
    ours = json.loads((VECTORS / "generated-cosign-proof-fork.json").read_text())
    key = parse_vkey(ours["vkeys"][0])
    fork = ours["fork"]
    document = {
        "v": 1, "type": "fork", "origin": key.name, "older": fork["older"], "newer": fork["newer"],
        "path": fork["explicit_consistency_path_from_newer_tree"],
    }  # fmt: skip
    assert all(len(b64decode(text)) == 32 for text in document["path"])
    found = check_fork(canonical.encode(document), [key])
    assert (found.older.size, found.newer.size) == (37, 50)
