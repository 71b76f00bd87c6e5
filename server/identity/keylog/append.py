"""Write log entries: the first one, and the next one for a key the last one committed to.

What is written is replayed by the same function that judges a stranger's log, so an entry that a peer would refuse is
never handed out.
"""

from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from typing import Any

from nacl.signing import SigningKey

from server.core import canonical, proofs
from server.identity.keylog import limits
from server.identity.keylog.did import SCID_PLACEHOLDER
from server.identity.keylog.document import Document, build
from server.identity.keylog.entries import unsigned_bytes
from server.identity.keylog.errors import NotCommitted
from server.identity.keylog.parameters import METHOD
from server.identity.keylog.replay import PolicyLog, extend, verify_policy


def key_hash(multikey: str) -> str:
    """What ``nextKeyHashes`` lists for an update key that is still secret."""
    return canonical.multihash_sha256(multikey.encode())


def multikey_of(key: SigningKey) -> str:
    """The Multikey of a private key's public half."""
    return canonical.multikey_ed25519(bytes(key.verify_key))


def genesis(
    *,
    document: Document,
    key: SigningKey,
    next_keys: Sequence[str],
    now: datetime,
    watchers: Sequence[str] = (),
    loopback: bool = False,
) -> PolicyLog:
    """A new identity. ``document.did`` carries the placeholder (``make_did("{SCID}", ...)``); ``key`` signs entry 1.

    ``next_keys`` are the ``key_hash`` texts of the keys that may write entry 2, highest priority first: the paper key,
    then a device key, then a custodian's. Under server custody it is the server's next root key alone.
    """
    parameters = {
        "method": METHOD,
        "scid": SCID_PLACEHOLDER,
        "updateKeys": [multikey_of(key)],
        "nextKeyHashes": list(next_keys),
        "portable": True,
        **({"watchers": list(watchers)} if watchers else {}),
    }
    time_text = canonical.time_text(now)
    template = unsigned_bytes(SCID_PLACEHOLDER, time_text, canonical.jcs(parameters), canonical.jcs(build(document)))
    scid = canonical.multihash_sha256(template)
    filled = template.decode().replace(SCID_PLACEHOLDER, scid).encode()
    entry = canonical.parse(filled, depth_max=limits.ENTRY_DEPTH_MAX, fractions=False)
    # The versionId now holds the SCID, which is the predecessor of entry 1.
    entry["versionId"] = f"1-{canonical.multihash_sha256(filled)}"
    line = sign_entry(entry, key=key, created=now)
    return verify_policy(line, now=now, caps=limits.HARD, requested=scid, loopback=loopback)


def draft_entry(
    log: PolicyLog,
    *,
    state: Mapping[str, Any],
    update_key: str,
    next_keys: Sequence[str],
    now: datetime,
    changes: Mapping[str, Any] | None = None,
) -> dict[str, Any]:
    """The next entry of ``log`` without its proof, for the key ``update_key`` (a Multikey) to sign.

    ``next_keys`` take the place of the hashes from the signing key's own place on; those of higher priority are carried
    over (V8b). ``changes`` are further parameters. Raises NotCommitted when the last entry does not know the key.
    """
    head = log.head
    committed = head.parameters.next_key_hashes
    if key_hash(update_key) not in committed:
        raise NotCommitted
    carried = committed[: committed.index(key_hash(update_key))]
    parameters = {"updateKeys": [update_key], "nextKeyHashes": [*carried, *next_keys], **(changes or {})}
    # Two entries within one second: versionTime must grow, and may run ahead of the clock a little.
    time_text = canonical.time_text(max(now, head.entry.time + timedelta(seconds=1)))
    hashed = unsigned_bytes(head.entry.version_id, time_text, canonical.jcs(parameters), canonical.jcs(state))
    return {
        "versionId": f"{head.entry.number + 1}-{canonical.multihash_sha256(hashed)}",
        "versionTime": time_text,
        "parameters": parameters,
        "state": dict(state),
    }


def sign_entry(entry: Mapping[str, Any], *, key: SigningKey, created: datetime) -> bytes:
    """The line of a log file for a drafted entry, signed; without its line feed."""
    multikey = multikey_of(key)
    proof = proofs.create_proof(entry, key=key, verification_method=f"did:key:{multikey}#{multikey}", created=created)
    return canonical.jcs({**entry, "proof": [proof]})


def append(
    log: PolicyLog,
    *,
    state: Mapping[str, Any],
    key: SigningKey,
    next_keys: Sequence[str],
    now: datetime,
    changes: Mapping[str, Any] | None = None,
    loopback: bool = False,
) -> PolicyLog:
    """``log`` with one more entry, signed by ``key``; see ``draft_entry``. Raises NotCommitted, KeyLogError."""
    entry = draft_entry(log, state=state, update_key=multikey_of(key), next_keys=next_keys, now=now, changes=changes)
    return extend(log, sign_entry(entry, key=key, created=now), now=now, loopback=loopback)
