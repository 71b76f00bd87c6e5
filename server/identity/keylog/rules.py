"""What each rule of docs/reference/key-log.md asks of one entry after another."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from server.core import canonical
from server.core.proofs import BadProof, BadSignature, did_key_of_method, verify_canonical
from server.identity.keylog import limits, parameters
from server.identity.keylog.did import Did, parse_did
from server.identity.keylog.entries import Entry
from server.identity.keylog.errors import (
    V3VersionId,
    V4EntryHash,
    V5Scid,
    V6Proof,
    V7Genesis,
    V8bCarryOver,
    V8PreRotation,
    V9Did,
    V10Move,
    V11Time,
    V12Deactivated,
)
from server.identity.keylog.parameters import Parameters


@dataclass(frozen=True)
class Version:
    """One verified entry.

    ``parameters`` are those in force after it. ``key`` is the Multikey that signed it, ``key_index`` the place of that
    key among the hashes the entry before committed to: 0 is the highest priority; None where nothing was committed.
    """

    entry: Entry
    parameters: Parameters
    did: Did
    key: str
    key_index: int | None


def step(before: Version | None, entry: Entry, *, now: datetime, loopback: bool, policy: bool) -> Version:
    """The next version, or the error of the first broken rule; the dear signature comes after all that is cheap."""
    if before is not None and before.parameters.deactivated:
        raise V12Deactivated
    _check_number(before, entry)
    if before is None:
        after = parameters.first(entry.parameters)
        _check_scid(entry, after.scid)
    else:
        after = parameters.following(before.parameters, entry.parameters)
    _check_hash(before, entry, after.scid)
    did = _check_did(entry, after.scid, loopback=loopback, ports=loopback or not policy)
    if before is not None:
        _check_move(before, entry, did, after)
    _check_time(before, entry, now)
    _check_pre_rotation(before, entry, after)
    key = _check_proofs(entry, _active_keys(before, after), now)
    version = Version(entry, after, did, key, _key_index(before, key))
    if policy:
        _check_policy(before, version)
    return version


def _check_number(before: Version | None, entry: Entry) -> None:
    expected = 1 if before is None else before.entry.number + 1
    if entry.number != expected:
        raise V3VersionId(f"entry {expected} calls itself {entry.number}")


def _check_scid(entry: Entry, scid: str) -> None:
    try:
        hashed = entry.scid_bytes(scid)
    except ValueError as error:  # two names that the placeholder makes one
        raise V5Scid(f"with the placeholder in its place the entry is no JSON: {error}") from error
    if canonical.multihash_sha256(hashed) != scid:
        raise V5Scid


def _check_hash(before: Version | None, entry: Entry, scid: str) -> None:
    previous = scid if before is None else before.entry.version_id
    if entry.version_id != f"{entry.number}-{canonical.multihash_sha256(entry.unsigned_bytes(previous))}":
        raise V4EntryHash(f"entry {entry.number} was changed, or does not follow the one before")


def _check_did(entry: Entry, scid: str, *, loopback: bool, ports: bool) -> Did:
    text = entry.state.get("id")
    if not isinstance(text, str):
        raise V9Did("the document has no id")
    did = parse_did(text, loopback=loopback, ports=ports)
    if did.scid != scid:
        raise V9Did("the id names another SCID")
    return did


def _check_move(before: Version, entry: Entry, did: Did, after: Parameters) -> None:
    if did.text == before.did.text:
        return
    if not after.portable:
        raise V10Move("the id changed, but the identity is not portable")
    aliases = entry.state.get("alsoKnownAs")
    if not isinstance(aliases, list) or before.did.text not in aliases:
        raise V10Move("the id changed, but alsoKnownAs does not list the id before")


def _check_time(before: Version | None, entry: Entry, now: datetime) -> None:
    if before is not None and entry.time <= before.entry.time:
        raise V11Time(f"entry {entry.number} is not later than the one before")
    if entry.time > now + timedelta(seconds=limits.CLOCK_SKEW_SECONDS):
        raise V11Time(f"entry {entry.number} lies in the future")


def _check_pre_rotation(before: Version | None, entry: Entry, after: Parameters) -> None:
    if before is None or not before.parameters.next_key_hashes:
        return
    if not {"updateKeys", "nextKeyHashes"} <= entry.parameters.keys():
        raise V8PreRotation("while pre-rotation is active an entry must name updateKeys and nextKeyHashes")
    if any(canonical.multihash_sha256(key.encode()) not in before.parameters.next_key_hashes for key in after.update_keys):
        raise V8PreRotation("an update key is not among those the entry before committed to")


def _active_keys(before: Version | None, after: Parameters) -> tuple[str, ...]:
    """Whose signature counts: with pre-rotation the keys the entry reveals, else those in force before it."""
    if before is None or before.parameters.next_key_hashes:
        return after.update_keys
    return before.parameters.update_keys


def _check_proofs(entry: Entry, active: Sequence[str], now: datetime) -> str:
    """The key that signed (of several, the first proof's). All proofs must hold."""
    if not entry.proofs:
        raise V6Proof("an entry has no proof")
    data = entry.unsigned_bytes(entry.version_id)
    keys = []
    for proof in entry.proofs:
        # An entry has no @context; and a history that expires would take the identity with it.
        if "@context" in proof or "expires" in proof:
            raise V6Proof("a proof in a log names neither @context nor expires")
        try:
            key = did_key_of_method(proof.get("verificationMethod"))
            if key not in active:
                raise V6Proof(f"entry {entry.number} is signed by a key that is not an active update key")
            public = canonical.multikey_ed25519_decode(key)
            verify_canonical(data, proof, public=public, now=now, purpose="assertionMethod")
        except (BadProof, BadSignature) as error:
            raise V6Proof(f"entry {entry.number}: {error}") from error
        keys.append(key)
    return keys[0]


def _key_index(before: Version | None, key: str) -> int | None:
    if before is None or not before.parameters.next_key_hashes:
        return None
    return before.parameters.next_key_hashes.index(canonical.multihash_sha256(key.encode()))


def _check_policy(before: Version | None, version: Version) -> None:
    after = version.parameters
    if before is None and not (after.portable and after.next_key_hashes):
        raise V7Genesis
    if len(after.update_keys) != 1:
        raise V8PreRotation("an entry must name exactly one update key")
    if before is not None and version.key_index is None:
        raise V8PreRotation("the entry before committed to no key, so nobody may write another")
    if len(after.next_key_hashes) > limits.NEXT_KEYS_MAX or len(set(after.next_key_hashes)) != len(after.next_key_hashes):
        raise V8bCarryOver(f"nextKeyHashes must hold at most {limits.NEXT_KEYS_MAX} hashes, none of them twice")
    if before is not None and version.key_index:
        _check_carry_over(before.parameters, after, version.key_index)


def _check_carry_over(before: Parameters, after: Parameters, index: int) -> None:
    """What would evict or bind the keys of higher priority, a key of lower priority must not do."""
    if after.next_key_hashes[:index] != before.next_key_hashes[:index]:
        raise V8bCarryOver("a key may not drop or reorder the hashes of higher priority")
    if after.deactivated or not after.portable or after.witness != before.witness:
        raise V8bCarryOver("only the key of highest priority may deactivate, end portability or change witnesses")
