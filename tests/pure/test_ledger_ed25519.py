"""Which signatures are accepted is pinned: to libsodium behind our pre-check, over the whole C2SP CCTV set."""

import json
from pathlib import Path

import pytest
from nacl.exceptions import BadSignatureError
from nacl.signing import SigningKey, VerifyKey

from payouts.ledger import ed25519
from payouts.ledger.errors import BadKey, BadSignature
from server.core.proofs import BadSignature as CoreBadSignature
from server.core.proofs import verify_ed25519

VECTORS = json.loads((Path(__file__).parents[1] / "vectors" / "ledger" / "cctv-ed25519.json").read_text())

# The 43 of 914 that this verifier accepts. A change here changes which checkpoints exist: it is a new version of the format.
ACCEPTED = [
    7, 29, 50, 117, 139, 161, 182, 249, 305, 411, 425, 438, 465, 473, 481, 489, 497, 511, 525, 538, 565, 573, 581, 589, 597, 611, 625,
    638, 665, 673, 681, 689, 697, 711, 725, 738, 765, 773, 781, 789, 797, 832, 899,
]  # fmt: skip
# Of those, the ones whose key would have been let in at registration: points of prime order.
REGISTRABLE = [305]


def _accepts(row: dict[str, str]) -> bool:
    try:
        ed25519.verify(bytes.fromhex(row["key"]), row["msg"].encode(), bytes.fromhex(row["sig"]))
    except BadSignature:
        return False
    return True


def test_the_accepted_set_is_pinned() -> None:
    assert len(VECTORS) == 914
    assert [row["number"] for row in VECTORS if _accepts(row)] == ACCEPTED


def test_keys_of_mixed_or_small_order_are_refused_at_registration() -> None:
    registrable = []
    for row in VECTORS:
        try:
            ed25519.check_public_key(bytes.fromhex(row["key"]))
        except BadKey:
            continue
        registrable.append(row["number"])
    assert [number for number in registrable if number in ACCEPTED] == REGISTRABLE
    with pytest.raises(BadKey):
        ed25519.check_public_key(b"\1" * 31)


def test_the_identity_core_judges_alike() -> None:
    for row in VECTORS:
        try:
            verify_ed25519(public=bytes.fromhex(row["key"]), message=row["msg"].encode(), signature=bytes.fromhex(row["sig"]))
            other = True
        except CoreBadSignature:
            other = False
        assert other == _accepts(row)


def test_libsodium_alone_accepts_nothing_that_we_refuse() -> None:
    for row in VECTORS:
        try:
            VerifyKey(bytes.fromhex(row["key"])).verify(row["msg"].encode(), bytes.fromhex(row["sig"]))
            libsodium = True
        except BadSignatureError:
            libsodium = False
        assert libsodium == _accepts(row)


def test_every_flipped_bit_of_a_signature_or_key_is_refused() -> None:
    key = SigningKey(b"\7" * 32)
    public, message = bytes(key.verify_key), b"message"
    signature = ed25519.sign(b"\7" * 32, message)
    assert ed25519.public_of(b"\7" * 32) == public
    ed25519.verify(public, message, signature)
    for bit in range(512):
        flipped = bytearray(signature)
        flipped[bit // 8] ^= 1 << bit % 8
        with pytest.raises(BadSignature):
            ed25519.verify(public, message, bytes(flipped))
    for bit in range(256):
        flipped = bytearray(public)
        flipped[bit // 8] ^= 1 << bit % 8
        with pytest.raises(BadSignature):
            ed25519.verify(bytes(flipped), message, signature)
    for wrong in (signature[:-1], signature + b"\0", b""):
        with pytest.raises(BadSignature):
            ed25519.verify(public, message, wrong)
    with pytest.raises(BadSignature):
        ed25519.verify(public[:-1], message, signature)
    # S plus the order of the group verifies in lenient implementations.
    grown = int.from_bytes(signature[32:], "little") + 2**252 + 27742317777372353535851937790883648493
    with pytest.raises(BadSignature):
        ed25519.verify(public, message, signature[:32] + grown.to_bytes(32, "little"))
