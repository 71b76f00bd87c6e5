"""Identity proofs of FEP-c390: its own vectors, and whatever proves nothing."""

import json
import re
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from server.core import canonical, proofs
from server.identity import statements
from tests.pure.identities import NOW, key

FEATURE = (Path(__file__).parent.parent / "vectors/identity/fep/fep-c390.feature").read_text()
ACTOR = "https://server.example/users/alice"


def documents() -> list[dict[str, Any]]:
    blocks = re.findall(r'"""\n(.*?)"""', FEATURE, re.DOTALL)
    return [json.loads(block) for block in blocks]


def test_the_vectors_of_the_proposal() -> None:
    claim, proof, actor = documents()[:3]
    now = datetime(2026, 1, 1, tzinfo=UTC)
    assert statements.check_statement(proof, actor=ACTOR, now=now) == claim["subject"]
    (attached,) = statements.valid(actor["attachment"], actor=ACTOR, now=now)
    assert attached["subject"] == claim["subject"]


def test_what_is_made_is_valid_for_one_actor_and_in_one_wording() -> None:
    made = statements.make_statement(key=key("user-1"), actor=ACTOR, now=NOW)
    subject = statements.check_statement(made, actor=ACTOR, now=NOW)
    assert subject == canonical.did_key(bytes(key("user-1").verify_key))
    other = canonical.did_key(bytes(key("user-2").verify_key))
    for spoil in (
        {"type": "PropertyValue"}, {"alsoKnownAs": ACTOR + "x"}, {"subject": other}, {"proof": {}}, {"subject": 5},
        {"proof": {**made["proof"], "verificationMethod": other}}, {"subject": "did:web:server.example"}, {"more": 1},
        {"proof": {**made["proof"], "proofPurpose": "authentication"}},
    ):  # fmt: skip
        with pytest.raises((proofs.BadProof, proofs.BadSignature)):
            statements.check_statement({**made, **spoil}, actor=ACTOR, now=NOW)
    assert statements.valid([made, {**made, "alsoKnownAs": "x"}, 5, {}], actor=ACTOR, now=NOW) == [made]
