"""Replay a key log: from bytes to verified versions, or to the error of the first rule that is broken.

``verify_spec`` judges by did:webvh v1.0 alone. ``verify_policy`` adds what we ask of the identities of our peers
(V7, V8 with exactly one key, V8b). The rules stand in docs/reference/key-log.md; for each line they are applied in the
order of ``_step``, then V13 and V14 to the whole log.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, Self

from server.core import canonical
from server.core.proofs import BadProof, BadSignature, did_key_of_method, verify_canonical
from server.identity.keylog import limits, parameters
from server.identity.keylog.did import Did, parse_did
from server.identity.keylog.entries import Entry, parse_entry, split_lines, version_number
from server.identity.keylog.errors import (
    V1Form,
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
    V14Requested,
)
from server.identity.keylog.limits import Caps
from server.identity.keylog.parameters import Parameters, Witness
from server.identity.keylog.witness import check_witnesses, parse_witness_file


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


@dataclass(frozen=True)
class SpecLog:
    """A log that ``verify_spec`` accepted: the history of one identity, oldest version first."""

    versions: tuple[Version, ...]

    @property
    def scid(self) -> str:
        """The key under which everything is stored."""
        return self.head.parameters.scid

    @property
    def head(self) -> Version:
        """The newest version."""
        return self.versions[-1]

    @property
    def did(self) -> Did:
        """The DID as the newest version writes it."""
        return self.head.did

    @property
    def version_ids(self) -> tuple[str, ...]:
        """The versionId of every version, oldest first."""
        return tuple(version.entry.version_id for version in self.versions)

    @property
    def custody(self) -> str:
        """Who holds the keys, as the newest version says: ``owner``, ``server`` or ``unstated``."""
        return custody_of(self.head.entry.state)

    @property
    def data(self) -> bytes:
        """The log file."""
        return b"".join(version.entry.line + b"\n" for version in self.versions)

    def version(self, version_id: str) -> Version:
        """The version with this versionId. Raises V14Requested when there is none, V3VersionId when it is malformed."""
        number = version_number(version_id)
        if number > len(self.versions) or self.versions[number - 1].entry.version_id != version_id:
            raise V14Requested("there is no such version in this log")
        return self.versions[number - 1]

    def first(self, number: int) -> Self:
        """The log as it was when it had ``number`` entries."""
        return type(self)(self.versions[:number])


class PolicyLog(SpecLog):
    """A log that ``verify_policy`` accepted. Money, follows and moves take nothing less."""


def custody_of(state: Any) -> str:
    """``owner`` or ``server`` as ``state.tributary.custody`` says; ``unstated`` when it says neither."""
    stated = state.get("tributary")
    custody = stated.get("custody") if isinstance(stated, dict) else None
    return custody if custody in ("owner", "server") else "unstated"


def verify_spec(
    data: bytes,
    *,
    now: datetime,
    caps: Caps,
    requested: str | None = None,
    witness_file: bytes | None = None,
    loopback: bool = False,
) -> SpecLog:
    """The log in ``data`` if it is valid by did:webvh v1.0. Raises the KeyLogError of the first broken rule.

    ``requested``: the DID or SCID somebody asked for (V14). ``witness_file``: the did-witness.json, if there is one.
    ``loopback``: the development setting.
    """
    return SpecLog(_replay(data, now, caps, requested, witness_file, loopback=loopback, policy=False))


def verify_policy(
    data: bytes,
    *,
    now: datetime,
    caps: Caps,
    requested: str | None = None,
    witness_file: bytes | None = None,
    loopback: bool = False,
) -> PolicyLog:
    """As ``verify_spec``, with what we ask of the identities of our peers: V7, V8 with one key, V8b, no ports."""
    return PolicyLog(_replay(data, now, caps, requested, witness_file, loopback=loopback, policy=True))


def extend(log: PolicyLog, line: bytes, *, now: datetime, witness_file: bytes | None = None, loopback: bool = False) -> PolicyLog:
    """``log`` with one more entry, judged as ``verify_policy`` would judge the whole. Raises KeyLogError; nothing changes."""
    line = line.removesuffix(b"\n")
    if len(log.versions) >= limits.HARD.entries_max or len(log.data) + len(line) >= limits.HARD.bytes_max:
        raise V1Form("the log is full")
    version = _step(log.head, parse_entry(line), now=now, loopback=loopback, policy=True)
    versions = (*log.versions, version)
    _check_witnesses(versions, witness_file, now)
    return PolicyLog(versions)


def required_witnesses(versions: Sequence[Version]) -> list[Witness]:
    """Who must have approved each version: those in force before it, or its own when there were none (V13)."""
    required = []
    before = Witness()
    for version in versions:
        required.append(before if before.keys else version.parameters.witness)
        before = version.parameters.witness
    return required


def _replay(
    data: bytes,
    now: datetime,
    caps: Caps,
    requested: str | None,
    witness_file: bytes | None,
    *,
    loopback: bool,
    policy: bool,
) -> tuple[Version, ...]:
    versions: list[Version] = []
    for line in split_lines(data, caps=caps):
        before = versions[-1] if versions else None
        versions.append(_step(before, parse_entry(line), now=now, loopback=loopback, policy=policy))
    _check_witnesses(versions, witness_file, now)
    if requested is not None and requested not in {versions[0].parameters.scid, *(one.did.text for one in versions)}:
        raise V14Requested
    return tuple(versions)


def _check_witnesses(versions: Sequence[Version], witness_file: bytes | None, now: datetime) -> None:
    approvals = parse_witness_file(witness_file) if witness_file is not None else []
    check_witnesses([one.entry.version_id for one in versions], required_witnesses(versions), approvals, now=now)


def _step(before: Version | None, entry: Entry, *, now: datetime, loopback: bool, policy: bool) -> Version:
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
    if canonical.multihash_sha256(entry.scid_bytes(scid)) != scid:
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
        if "@context" in proof:
            raise V6Proof("a proof must not name an @context, for an entry has none")
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
