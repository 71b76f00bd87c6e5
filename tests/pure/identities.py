"""Identities for the tests of the key log: fixed keys, a log that moves and changes hands, and entries written by hand."""

import hashlib
import json
from datetime import UTC, datetime, timedelta

from nacl.public import PrivateKey
from nacl.signing import SigningKey

from server.core import canonical, proofs
from server.identity import keylog
from server.identity.keylog import PolicyLog

NOW = datetime(2026, 11, 22, 12, tzinfo=UTC)
LATER = NOW + timedelta(days=30)


def key(name: str) -> SigningKey:
    return SigningKey(hashlib.sha256(name.encode()).digest())


def public(name: str) -> str:
    return keylog.multikey_of(key(name))


def commit(*names: str) -> list[str]:
    return [keylog.key_hash(public(name)) for name in names]


def box(name: str) -> str:
    return canonical.multikey_x25519(bytes(PrivateKey(hashlib.sha256(name.encode()).digest()).public_key))


def home(host: str, key_name: str, handle: str = "alice") -> keylog.Home:
    return keylog.Home(
        host=host, path=("u", handle), actor=f"https://{host}/users/{handle}", acct=f"acct:{handle}@{host}", key=public(key_name)
    )


def under_server(handle: str = "alice") -> PolicyLog:
    document = keylog.first_document(home("alpha.example", "home-1", handle), user_key=public("user-1"), custody="server")
    return keylog.genesis(document=document, key=key("root-1"), next_keys=commit("root-2"), now=NOW)


def moved() -> PolicyLog:
    log = keylog.rotate_home(
        under_server(), home_key=public("home-2"), key=key("root-2"), next_keys=commit("root-3"), now=NOW + timedelta(days=1)
    )
    return keylog.move(
        log, home=home("beta.example", "home-3"), key=key("root-3"), next_keys=commit("root-4"), now=NOW + timedelta(days=2)
    )


def owned() -> PolicyLog:
    return keylog.give_to_owner(
        moved(),
        user_key=public("user-2"),
        box_key=box("box-1"),
        key=key("root-4"),
        next_keys=commit("paper-1", "device-1", "custodian-1"),
        now=NOW + timedelta(days=3),
    )


def judge(data: bytes, **more: object) -> PolicyLog:
    return keylog.verify_policy(data, **{"now": LATER, "caps": keylog.SOFT, **more})  # type: ignore[arg-type]


def judge_by_spec(data: bytes, **more: object) -> keylog.SpecLog:
    return keylog.verify_spec(data, **{"now": LATER, "caps": keylog.SOFT, **more})  # type: ignore[arg-type]


def by_hand(log: PolicyLog, *, signer: str, state: object = None, time: str | None = None, **parameters: object) -> bytes:
    """The next line as somebody would write it who does not ask our rules: right hash, right signature."""
    head = log.head.entry
    entry = {
        "versionId": head.version_id,
        "versionTime": time or canonical.time_text(head.time + timedelta(days=1)),
        "parameters": parameters,
        "state": head.state if state is None else state,
    }
    entry["versionId"] = f"{head.number + 1}-{canonical.multihash_sha256(canonical.jcs(entry))}"
    return keylog.sign_entry(entry, key=key(signer), created=NOW)


def approvals(version_id: str, *signers: str) -> bytes:
    """A did-witness.json with one approval by each signer."""
    made = [
        proofs.create_proof(
            {"versionId": version_id}, key=key(one), verification_method=f"did:key:{public(one)}#{public(one)}", created=NOW
        )
        for one in signers
    ]
    return json.dumps([{"versionId": version_id, "proof": made}]).encode()
