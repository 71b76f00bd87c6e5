"""Which ledger key signs at which size: by position in the log, never by a claimed time."""

import pytest

from payouts.ledger.entries import Draft, Entry
from payouts.ledger.errors import BadRotation
from payouts.ledger.keyhistory import history_of
from payouts.ledger.note import ED25519, Signer
from payouts.ledger.rotation import keys_of_genesis, rotation_body
from tests.payouts.ledger_world import Log, alpha, digest, draft_id, seed

SECOND, THIRD = (Signer(alpha.origin, ED25519, seed(f"alpha ledger {number}")) for number in (2, 3))


def rotated(log: Log, old: Signer, new: Signer) -> Entry:
    body = rotation_body(alpha.origin, root_seed=alpha.root_seed, old=old, new=new)
    return log.append("2026-11-02T09:00:00Z", Draft("key.rotate", draft_id(new.verifier), body, {}))[0]


def test_a_new_key_signs_from_the_head_that_contains_its_rotation() -> None:
    log = Log(alpha)
    keys = keys_of_genesis(log.entries[0])
    assert history_of(keys, []).newest == history_of(keys, []).at(10**6) == alpha.ledger.verifier
    first = rotated(log, alpha.ledger, SECOND)
    log.append("2026-11-02T09:00:00Z", Draft("will", draft_id("will"), {"document": digest("will")}, {}))
    second = rotated(log, SECOND, THIRD)
    assert (first.index, second.index) == (1, 3)
    history = history_of(keys, [first, second])
    expected = [alpha.ledger, alpha.ledger, SECOND, SECOND, THIRD, THIRD]
    assert [history.at(size) for size in range(6)] == [one.verifier for one in expected]
    assert history.newest == THIRD.verifier


def test_a_rotation_that_does_not_follow_is_no_history() -> None:
    log = Log(alpha)
    keys = keys_of_genesis(log.entries[0])
    first, second = rotated(log, alpha.ledger, SECOND), rotated(log, SECOND, THIRD)
    for rotations in ([second], [second, first], [first, first]):
        with pytest.raises(BadRotation):
            history_of(keys, rotations)
