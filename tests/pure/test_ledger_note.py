"""Notes, checkpoints, cosignatures and tlog-proofs: all public vectors, and what must be refused."""

import json
from hashlib import sha256
from pathlib import Path

import pytest

from payouts.ledger.checkpoint import Checkpoint, cosign, open_checkpoint, parse_checkpoint, sign_checkpoint
from payouts.ledger.errors import (
    BadKey,
    BadSignature,
    DuplicateSignature,
    LedgerError,
    MalformedCheckpoint,
    MalformedNote,
    MalformedTlogProof,
    NoKnownSignature,
    QuorumNotMet,
    RootMismatch,
    UnknownSignature,
    UnsupportedAlgorithm,
    WrongOrigin,
)
from payouts.ledger.fields import to_base64
from payouts.ledger.merkle import leaf_hash
from payouts.ledger.note import (
    COSIGNATURE,
    ED25519,
    ML_DSA_44,
    Signer,
    VerifierKey,
    add_signatures,
    key_id,
    open_note,
    parse_vkey,
    sign_note,
    split_note,
)
from payouts.ledger.policy import parse_policy
from payouts.ledger.tlogproof import TlogProof, check_tlog_proof, format_tlog_proof, parse_tlog_proof

VECTORS = Path(__file__).parents[1] / "vectors" / "ledger"
NOTES = json.loads((VECTORS / "signed-note.json").read_text())
GO = json.loads((VECTORS / "go-sumdb-generated.json").read_text())
PROOFS = json.loads((VECTORS / "tlog-proof.json").read_text())
OURS = json.loads((VECTORS / "generated-cosign-proof-fork.json").read_text())

LOG = Signer("log.example/ledger/1", ED25519, b"\1" * 32)
WITNESS = Signer("witness.example/w1", COSIGNATURE, b"\2" * 32)


def test_public_notes_that_must_open() -> None:
    for case in NOTES["valid"]:
        note = open_note(case["note"].encode(), [parse_vkey(text) for text in case["vkeys"]])
        assert [signature.key.name for signature in note.signatures] == case["verified"]
        assert case["note"].startswith(note.text + "\n")


def test_public_notes_that_must_not_open() -> None:
    for case in NOTES["no_known_key"]:
        with pytest.raises(NoKnownSignature):
            open_note(case["note"].encode(), [])
    for case in NOTES["invalid_signature"]:
        with pytest.raises(BadSignature):
            open_note(case["note"].encode(), [parse_vkey(text) for text in case["vkeys"]])
    for text in NOTES["malformed"]:
        with pytest.raises(MalformedNote):
            open_note(text.encode(), [parse_vkey(NOTES["valid"][0]["vkeys"][0])])


def test_public_verifier_keys_that_must_be_refused() -> None:
    assert NOTES["bad_vkeys"]
    for text in NOTES["bad_vkeys"]:
        with pytest.raises((BadKey, UnsupportedAlgorithm)):
            parse_vkey(text)


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("", BadKey),
        ("a b+00000000+AQ==", BadKey),
        ("a+00000000+!!!!", BadKey),
        ("a+00000000+AR==", BadKey),
        (f"a+00000000+{to_base64(bytes([7]) + bytes(32))}", UnsupportedAlgorithm),
        (f"a+{key_id('a', 1, bytes(31)).hex()}+{to_base64(bytes([1]) + bytes(31))}", BadKey),
        (f"a+{key_id('a', 1, bytes(32)).hex()}+{to_base64(bytes([1]) + bytes(32))}", BadKey),
        (f"a+00000000+{to_base64(bytes([1]) + LOG.verifier.public)}", BadKey),
        (f"a+{key_id('a', ML_DSA_44, bytes(32)).hex()}+{to_base64(bytes([ML_DSA_44]) + bytes(32))}", BadKey),
        (f"a+00000000+{to_base64(bytes([ML_DSA_44]) + bytes(1312))}", BadKey),
        (f"a+{key_id('a', 5, bytes(32)).hex()}+{to_base64(bytes([5]) + bytes(32))}", UnsupportedAlgorithm),
    ],
)
def test_verifier_keys_are_judged_at_registration(text: str, reason: type[LedgerError]) -> None:
    with pytest.raises(reason):
        parse_vkey(text)


def test_keys_go_both_ways() -> None:
    for signer in (LOG, WITNESS):
        assert parse_vkey(str(signer.verifier)) == signer.verifier


def test_go_checkpoints_are_byte_for_byte_ours() -> None:
    key = parse_vkey(GO["vkey"])
    signer = Signer(key.name, ED25519, sha256(b"test-vector-seed: not a secret").digest())
    assert str(signer.verifier) == GO["vkey"]
    for text in GO["checkpoints"]:
        signed = open_checkpoint(text.encode(), origin=GO["origin"], log_keys=[key], only_known=True)
        assert signed.checkpoint.root.hex() == GO["roots_hex_by_size_1_to_n"][signed.checkpoint.size - 1]
        assert sign_checkpoint(signed.checkpoint, signer) == text.encode()


def note(*lines: str) -> bytes:
    return add_signatures(sign_note("text\n", LOG), lines)


def test_signatures_of_others_are_ignored_or_refused() -> None:
    stranger = sign_note("text\n", Signer("stranger.example", ED25519, b"\3" * 32)).split(b"\n")[2].decode()
    assert [one.key for one in open_note(note(stranger), [LOG.verifier]).signatures] == [LOG.verifier]
    with pytest.raises(UnknownSignature):
        open_note(note(stranger), [LOG.verifier], only_known=True)
    # The name alone, or the id alone, is not the key.
    same_name = VerifierKey(LOG.name, ED25519, WITNESS.verifier.public)
    with pytest.raises(NoKnownSignature):
        open_note(note(), [same_name])
    # The last letter before the padding has bits that nobody reads: a known key's signature has one spelling.
    sloppy = note()[:-3] + bytes([note()[-3] + 1]) + b"=\n"
    with pytest.raises(BadSignature):
        open_note(sloppy, [LOG.verifier])
    with pytest.raises(DuplicateSignature):
        open_note(note(note().split(b"\n")[2].decode()), [LOG.verifier])


@pytest.mark.parametrize(
    "data",
    [
        b"\xff\n\n\xe2\x80\x94 a AAAAAAA=\n",
        b"text\r\n\n\xe2\x80\x94 a AAAAAAA=\n",
        b"text\n\n\xe2\x80\x94 a AAAAAAA=\n\n",
        b"text\n\n\xe2\x80\x94  AAAAAAA=\n",
        "text\n\n\u2014 a\u00a0b AAAAAAA=\n".encode(),
        "text\n\n\u2014 a+b AAAAAAA=\n".encode(),
        "text\n\n\u2014 a AAAA\n".encode(),
        "text\n\n\u2014 a AAAAAA==\n".encode(),
        "text\n\n\u2014 a !\n".encode(),
        # Padding that nothing asks for.
        "text\n\n\u2014 a AAAAAAAA=\n".encode(),
        "text\n\n\u2014 a AAAAAAAA==\n".encode(),
        b"x" * 65_537,
    ],
)
def test_malformed_notes_are_refused(data: bytes) -> None:
    with pytest.raises(MalformedNote):
        split_note(data)


def test_a_note_may_have_blank_lines_in_its_text() -> None:
    opened = open_note(sign_note("a\n\nb\n", LOG), [LOG.verifier])
    assert opened.text == "a\n\nb\n"
    assert opened.signed_by(WITNESS.verifier) is None


CHECKPOINT = Checkpoint("log.example/ledger/1", 5, b"\5" * 32)


@pytest.mark.parametrize(
    "text",
    [
        "", "a\n5\n", f"a\n5\n{to_base64(bytes(32))}", f"a\n05\n{to_base64(bytes(32))}\n", f"a\n-5\n{to_base64(bytes(32))}\n",
        f"a\n5\n{to_base64(bytes(31))}\n", "a\n5\n!\n", f"a\n{2**63}\n{to_base64(bytes(32))}\n", f"\n5\n{to_base64(bytes(32))}\n",
        f"a\n5\n{to_base64(bytes(32))}\n\nx\n", f"a\n\u0665\n{to_base64(bytes(32))}\n",
    ],
)  # fmt: skip
def test_malformed_checkpoints_are_refused(text: str) -> None:
    with pytest.raises(MalformedCheckpoint):
        parse_checkpoint(text)


def test_checkpoints_of_others_may_have_extensions() -> None:
    extended = Checkpoint("a", 0, bytes(32), ("one", "two"))
    assert parse_checkpoint(extended.text()) == extended


def test_a_checkpoint_needs_its_own_log_and_origin() -> None:
    cosigned = add_signatures(CHECKPOINT.text().encode() + b"\n", [cosign(CHECKPOINT, WITNESS, 7)])
    with pytest.raises(NoKnownSignature):
        open_checkpoint(cosigned, origin=LOG.name, log_keys=[LOG.verifier], cosigners=[WITNESS.verifier])
    with pytest.raises(WrongOrigin):
        open_checkpoint(sign_checkpoint(CHECKPOINT, LOG), origin="other.example/ledger/1", log_keys=[LOG.verifier])
    with pytest.raises(BadKey):
        cosign(CHECKPOINT, LOG, 7)


def test_every_flipped_bit_of_a_cosigned_checkpoint_is_refused() -> None:
    data = add_signatures(sign_checkpoint(CHECKPOINT, LOG), [cosign(CHECKPOINT, WITNESS, 1_800_000_000)])

    def opened(note: bytes) -> None:
        signed = open_checkpoint(note, origin=LOG.name, log_keys=[LOG.verifier], cosigners=[WITNESS.verifier], only_known=True)
        assert [one.timestamp for one in signed.note.signatures] == [0, 1_800_000_000]

    opened(data)
    for bit in range(len(data) * 8):
        flipped = bytearray(data)
        flipped[bit // 8] ^= 1 << bit % 8
        with pytest.raises(LedgerError):
            opened(bytes(flipped))


def test_a_cosignature_from_beyond_time_is_refused() -> None:
    line = cosign(CHECKPOINT, WITNESS, 2**63)
    with pytest.raises(BadSignature):
        open_note(add_signatures(sign_checkpoint(CHECKPOINT, LOG), [line]), [LOG.verifier, WITNESS.verifier])


def test_public_tlog_proofs() -> None:
    for case in PROOFS["marshal"]:
        extra = case["extra_utf8"].encode() if "extra_utf8" in case else None
        hashes = tuple(parse_checkpoint(f"a\n0\n{text}\n").root for text in case["hashes"])
        proof = TlogProof(case["index"], hashes, case["checkpoint"].encode(), extra)
        assert format_tlog_proof(proof) == case["want"].encode()
        assert parse_tlog_proof(case["want"].encode()) == proof
    for _, text in PROOFS["unmarshal_errors"]:
        with pytest.raises(MalformedTlogProof):
            parse_tlog_proof(text.encode())


@pytest.mark.parametrize(
    "data",
    [
        b"", b"c2sp.org/tlog-proof@v1\n\n", b"c2sp.org/tlog-proof@v1\nindex 01\n\nx\n", b"c2sp.org/tlog-proof@v1\nindex 0\nx\n",
        "c2sp.org/tlog-proof@v1\nindex \u0661\n\nx\n".encode(), b"x" * 200_000,
        b"c2sp.org/tlog-proof@v1\nindex 9999999999999999999\n\nx\n",
        b"c2sp.org/tlog-proof@v1\nindex 1\n" + b"AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=\n" * 64 + b"\nx\n",
    ],
)  # fmt: skip
def test_malformed_tlog_proofs_are_refused(data: bytes) -> None:
    with pytest.raises(MalformedTlogProof):
        parse_tlog_proof(data)


def test_a_cosigned_tlog_proof_verifies_and_every_flipped_bit_is_refused() -> None:
    log, *witnesses = map(parse_vkey, OURS["vkeys"])
    policy = parse_policy(
        "".join(f"witness w{number} {key}\n" for number, key in enumerate(witnesses)).encode()
        + b"group all all w0 w1\nquorum all\n"
    )
    data = OURS["tlog_proof"].encode()

    def check(proof: bytes) -> int:
        leaf = leaf_hash(OURS["entry_11"].encode())
        return check_tlog_proof(parse_tlog_proof(proof), leaf, origin=log.name, log_keys=[log], policy=policy).checkpoint.size

    assert check(data) == 37
    for bit in range(len(data) * 8):
        flipped = bytearray(data)
        flipped[bit // 8] ^= 1 << bit % 8
        with pytest.raises(LedgerError):
            check(bytes(flipped))
    with pytest.raises(RootMismatch):
        check_tlog_proof(parse_tlog_proof(data), leaf_hash(b"other"), origin=log.name, log_keys=[log], policy=policy)
    without = data[: data.index(f"\u2014 {witnesses[1].name}".encode())]
    with pytest.raises(QuorumNotMet):
        check(without)
