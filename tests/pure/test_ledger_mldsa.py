"""The slot for ML-DSA-44: keys and lines are read, ignored without a verifier, and judged with one."""

import json

import pytest
from cryptography.hazmat.primitives.asymmetric.mldsa import MLDSA44PrivateKey

from payouts.ledger import canonical, container
from payouts.ledger.__main__ import check_agreement, verify_identity_log
from payouts.ledger.checkpoint import Checkpoint, cosign, open_checkpoint, parse_checkpoint, sign_checkpoint
from payouts.ledger.errors import (
    BadKey,
    BadSignature,
    MalformedCheckpoint,
    NoKnownSignature,
    PolicyNotExact,
    QuorumNotMet,
    UnknownSignature,
)
from payouts.ledger.fields import to_base64
from payouts.ledger.merkle import leaf_hash
from payouts.ledger.mldsa import SIGNATURE_BYTES, cosigned_message
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
    signature_line,
)
from payouts.ledger.policy import exact_policy, parse_policy
from payouts.ledger.tlogproof import TlogProof, check_tlog_proof
from payouts.ledger.verdict import verify
from tests import openssl_mldsa as openssl
from tests.payouts.ledger_world import alices_statement

LOG = Signer("log.example/ledger/1", ED25519, b"\1" * 32)
KEY = MLDSA44PrivateKey.from_seed_bytes(b"\2" * 32)
QUANTUM = VerifierKey("pq.example/w1", ML_DSA_44, KEY.public_key().public_bytes_raw())
CLASSIC = Signer("witness.example/w1", COSIGNATURE, b"\3" * 32)
WITNESS = (CLASSIC.verifier, QUANTUM)
CHECKPOINT = Checkpoint(LOG.name, 1, leaf_hash(b"only"))
MORE = openssl.VERIFIERS


def cosigned(checkpoint: Checkpoint, timestamp: int, key: VerifierKey = QUANTUM) -> str:
    message = cosigned_message(key.name, checkpoint, timestamp)
    return signature_line(key, timestamp.to_bytes(8) + KEY.sign(message))


COSIGNED = add_signatures(
    sign_checkpoint(CHECKPOINT, LOG), [cosign(CHECKPOINT, CLASSIC, 1_800_000_000), cosigned(CHECKPOINT, 1_800_000_001)]
)


def test_the_message_is_the_structure_of_the_specification() -> None:
    message = cosigned_message("w", Checkpoint("log", 258, b"\5" * 32), 7)
    assert message.hex() == (
        "737562747265652f76310a00"  # "subtree/v1\n\0"
        "0177" "0000000000000007" "036c6f67" "0000000000000000" "0000000000000102" + "05" * 32
    )  # fmt: skip
    # Extension lines are no part of it.
    assert cosigned_message("w", Checkpoint("log", 258, b"\5" * 32, ("more",)), 7) == message
    for name, origin in (("", "log"), ("w" * 256, "log"), ("w", "l" * 256)):
        with pytest.raises(BadSignature):
            cosigned_message(name, Checkpoint(origin, 1, bytes(32)), 7)


def test_keys_go_both_ways_and_are_judged_by_length() -> None:
    assert parse_vkey(str(QUANTUM)) == QUANTUM
    for wrong in (QUANTUM.public[:-1], QUANTUM.public + b"\0"):
        with pytest.raises(BadKey):
            parse_vkey(f"a+{key_id('a', ML_DSA_44, wrong).hex()}+{to_base64(bytes([ML_DSA_44]) + wrong)}")


def test_without_a_verifier_its_signatures_are_as_unknown() -> None:
    signed = open_checkpoint(COSIGNED, origin=LOG.name, log_keys=[LOG.verifier], cosigners=WITNESS)
    assert [one.key for one in signed.note.signatures] == [LOG.verifier, CLASSIC.verifier]
    with pytest.raises(UnknownSignature):
        open_checkpoint(COSIGNED, origin=LOG.name, log_keys=[LOG.verifier], cosigners=WITNESS, only_known=True)
    with pytest.raises(NoKnownSignature):
        open_note(add_signatures(CHECKPOINT.text().encode() + b"\n", [cosigned(CHECKPOINT, 0)]), [QUANTUM])


def test_with_a_verifier_they_are_judged() -> None:
    signed = open_checkpoint(COSIGNED, origin=LOG.name, log_keys=[LOG.verifier], cosigners=WITNESS, only_known=True, more=MORE)
    assert [one.timestamp for one in signed.note.signatures] == [0, 1_800_000_000, 1_800_000_001]
    twin = VerifierKey("pq.example/w2", ML_DSA_44, QUANTUM.public)
    others = [
        cosigned(Checkpoint(LOG.name, 2, CHECKPOINT.root), 5),
        cosigned(Checkpoint("other", 1, CHECKPOINT.root), 5),
        signature_line(QUANTUM, (6).to_bytes(8) + KEY.sign(cosigned_message(QUANTUM.name, CHECKPOINT, 5))),
        signature_line(QUANTUM, (5).to_bytes(8) + KEY.sign(cosigned_message(twin.name, CHECKPOINT, 5))),
        signature_line(QUANTUM, (1 << 63).to_bytes(8) + KEY.sign(cosigned_message(QUANTUM.name, CHECKPOINT, 1 << 63))),
        signature_line(QUANTUM, bytes(8 + SIGNATURE_BYTES)),
        signature_line(QUANTUM, bytes(8 + SIGNATURE_BYTES - 1)),
        signature_line(QUANTUM, b"\0"),
    ]
    for line in others:
        note = add_signatures(sign_checkpoint(CHECKPOINT, LOG), [line])
        with pytest.raises(BadSignature):
            open_checkpoint(note, origin=LOG.name, log_keys=[LOG.verifier], cosigners=[QUANTUM], more=MORE)
    with pytest.raises(MalformedCheckpoint):
        open_note(add_signatures(sign_note("no checkpoint\n", LOG), [cosigned(CHECKPOINT, 5)]), [QUANTUM], more=MORE)
    with pytest.raises(BadSignature):
        openssl.verify(b"short", b"message", bytes(SIGNATURE_BYTES))


def test_a_log_may_sign_with_it() -> None:
    key = VerifierKey(LOG.name, ML_DSA_44, QUANTUM.public)
    note = add_signatures(CHECKPOINT.text().encode() + b"\n", [cosigned(CHECKPOINT, 0, key)])
    assert open_checkpoint(note, origin=LOG.name, log_keys=[key], more=MORE).checkpoint == CHECKPOINT
    with pytest.raises(NoKnownSignature):
        open_checkpoint(note, origin=LOG.name, log_keys=[key])


def test_a_policy_may_ask_for_it_and_it_counts_only_when_it_is_judged() -> None:
    policy = parse_policy(f"log {LOG.verifier}\nwitness q {QUANTUM}\nquorum q\n".encode())
    proof = TlogProof(0, (), COSIGNED)

    def check(**more: object) -> int:
        leaf = leaf_hash(b"only")
        return check_tlog_proof(proof, leaf, origin=LOG.name, log_keys=[LOG.verifier], policy=policy, **more).checkpoint.size  # type: ignore[arg-type]

    assert check(more=MORE) == 1
    with pytest.raises(QuorumNotMet):
        check()


def test_statements_of_version_1_do_not_know_it() -> None:
    """Their policy names Ed25519 cosigners alone, so every verifier of version 1 gives the same verdict."""
    signed = open_checkpoint(COSIGNED, origin=LOG.name, log_keys=[LOG.verifier], cosigners=WITNESS, more=MORE)
    assert str(QUANTUM) not in exact_policy([LOG.verifier], [signed])
    document = json.loads(container.unpack(alices_statement()))

    def judged(**changes: str) -> None:
        data = container.pack(canonical.encode({**document, **changes}))
        verify(data, verify_log=verify_identity_log, check_agreement=check_agreement)

    judged()
    with pytest.raises(PolicyNotExact):
        judged(policy=document["policy"] + f"witness q {QUANTUM}\n")
    debtor = document["debtors"][0]
    debtor["checkpoint"] += cosigned(parse_checkpoint(debtor["checkpoint"].partition("\n\n")[0] + "\n"), 5) + "\n"
    with pytest.raises(UnknownSignature):
        judged(policy=document["policy"] + f"witness q {QUANTUM}\n")
