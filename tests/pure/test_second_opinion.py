"""What others say of our notes and proofs: proofbundle, an independent verifier from PyPI, accepts and refuses as we do."""

from collections.abc import Callable

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.asymmetric.mldsa import MLDSA44PrivateKey
from proofbundle import checkpoint as theirs
from proofbundle import merkle as their_merkle
from proofbundle import tlogproof as their_proofs
from proofbundle.errors import ProofBundleError

from payouts.ledger.checkpoint import Checkpoint, open_checkpoint
from payouts.ledger.errors import LedgerError
from payouts.ledger.merkle import check_consistency, hashes, leaf_hash, nodes_of, prove_consistency, prove_inclusion, tree_root
from payouts.ledger.mldsa import cosigned_message
from payouts.ledger.note import ML_DSA_44, VerifierKey, add_signatures, signature_line
from payouts.ledger.policy import parse_policy
from payouts.ledger.tlogproof import TlogProof, check_tlog_proof, format_tlog_proof, parse_tlog_proof
from tests import openssl_mldsa as openssl
from tests.payouts.ledger_world import WITNESSED_AT, alpha, alpha_log, beta, outside

LOG = alpha_log()
SIGNED = LOG.checkpoint([(beta.witness, WITNESSED_AT), (outside, WITNESSED_AT + 1)])
KEY, WITNESSES = str(alpha.ledger.verifier), [str(beta.witness.verifier), str(outside.verifier)]
SIZE, ROOT = LOG.edge.size, LOG.edge.root()


def proof_of(index: int) -> bytes:
    return format_tlog_proof(TlogProof(index, prove_inclusion(LOG.nodes(), index, SIZE), SIGNED.data))


def accepts(call: Callable[[], bool]) -> bool:
    try:
        return call()
    except (ProofBundleError, LedgerError, UnicodeDecodeError):
        return False


def theirs_accepts(data: bytes, leaf: bytes) -> bool:
    text = data.decode()
    return bool(their_proofs.verify_tlog_proof(text, leaf, KEY, WITNESSES, threshold=2, expected_origin=alpha.origin)["ok"])


def ours_accepts(data: bytes, leaf: bytes) -> bool:
    lines = [f"witness w{number} {key}\n" for number, key in enumerate(WITNESSES)]
    policy = parse_policy("".join([*lines, "group all all w0 w1\nquorum all\n"]).encode())
    check_tlog_proof(
        parse_tlog_proof(data), leaf_hash(leaf), origin=alpha.origin, log_keys=[alpha.ledger.verifier], policy=policy
    )
    return True


def test_it_accepts_our_cosigned_checkpoint() -> None:
    said = theirs.verify_witnessed_checkpoint(SIGNED.data.decode(), KEY, WITNESSES, threshold=2, expected_origin=alpha.origin)
    assert (said["ok"], said["tree_size"], said["root"]) == (True, SIZE, ROOT)
    for witness, at in zip(WITNESSES, (WITNESSED_AT, WITNESSED_AT + 1), strict=True):
        assert theirs.verify_cosignature(SIGNED.data.decode(), witness)["timestamp"] == at
    stranger = theirs.verify_witnessed_checkpoint(SIGNED.data.decode(), str(beta.ledger.verifier), WITNESSES, threshold=2)
    assert stranger["ok"] is False


def test_it_accepts_our_proof_of_every_entry() -> None:
    for entry in LOG.entries:
        assert theirs_accepts(proof_of(entry.index), entry.data)
        assert not theirs_accepts(proof_of(entry.index), entry.data + b" ")


def test_it_refuses_what_we_refuse() -> None:
    data, leaf = proof_of(6), LOG.entries[6].data
    assert theirs_accepts(data, leaf)
    assert ours_accepts(data, leaf)
    for byte in range(len(data)):
        flipped = bytearray(data)
        flipped[byte] ^= 1 << byte % 7
        other = bytes(flipped)
        assert not accepts(lambda other=other: ours_accepts(other, leaf))  # type: ignore[misc]
        assert not accepts(lambda other=other: theirs_accepts(other, leaf))  # type: ignore[misc]


def test_it_makes_what_we_accept() -> None:
    key = Ed25519PrivateKey.from_private_bytes(alpha.ledger.seed)
    note = theirs.sign_checkpoint(alpha.origin, SIZE, ROOT, key, alpha.origin)
    note = theirs.cosign_checkpoint(note, Ed25519PrivateKey.from_private_bytes(outside.seed), outside.name, WITNESSED_AT + 1)
    opened = open_checkpoint(
        note.encode(), origin=alpha.origin, log_keys=[alpha.ledger.verifier], cosigners=[outside.verifier], only_known=True
    )
    assert opened.checkpoint == SIGNED.checkpoint
    assert [one.timestamp for one in opened.note.signatures] == [0, WITNESSED_AT + 1]


@pytest.mark.parametrize("size", [1, 2, 3, 7, 8, 23, 64, 100])
def test_trees_and_proofs_are_alike(size: int) -> None:
    records = [f"record {number}".encode() for number in range(size)]
    nodes = nodes_of(hashes(records))
    assert their_merkle.merkle_tree_hash(records) == tree_root(nodes, size)
    for index in range(size):
        assert their_merkle.inclusion_proof(records, index) == list(prove_inclusion(nodes, index, size))
    for old in range(1, size):
        proof = prove_consistency(nodes, old, size)
        assert their_merkle.consistency_proof(records, old) == list(proof)
        check_consistency(old, tree_root(nodes, old), size, tree_root(nodes, size), proof)
        assert their_merkle.verify_consistency(old, size, list(proof), tree_root(nodes, old), tree_root(nodes, size))


def test_ml_dsa_44_is_read_alike_both_ways() -> None:
    private = MLDSA44PrivateKey.from_seed_bytes(b"\4" * 32)
    key = VerifierKey("pq.example/w1", ML_DSA_44, private.public_key().public_bytes_raw())
    assert theirs.cosign_vkey_mldsa(key.name, key.public) == str(key)
    message = cosigned_message(key.name, Checkpoint(alpha.origin, SIZE, ROOT), WITNESSED_AT)
    ours = add_signatures(SIGNED.data, [signature_line(key, WITNESSED_AT.to_bytes(8) + private.sign(message))])
    assert theirs.verify_cosignature(ours.decode(), str(key))["ok"] is True
    note = theirs.cosign_checkpoint_mldsa(SIGNED.data.decode(), private, key.name, WITNESSED_AT).encode()
    signed = open_checkpoint(
        note, origin=alpha.origin, log_keys=[alpha.ledger.verifier], cosigners=[key], more=openssl.VERIFIERS
    )  # fmt: skip
    assert signed.note.signed_by(key) is not None
