"""Replay a key log: from bytes to verified versions, or to the error of the first rule that is broken.

``verify_spec`` judges by did:webvh v1.0 alone. ``verify_policy`` adds what we ask of the identities of our peers
(V7, V8 with exactly one key, V8b). The rules stand in docs/reference/key-log.md; for each line they are applied in the
order of ``rules.step``, then V13 and V14 to the whole log.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Self

from server.core import canonical
from server.identity.keylog import limits
from server.identity.keylog.did import Did
from server.identity.keylog.entries import parse_entry, split_lines, version_number
from server.identity.keylog.errors import V1Form, V14Requested
from server.identity.keylog.limits import Caps
from server.identity.keylog.parameters import Witness
from server.identity.keylog.rules import Version, step
from server.identity.keylog.witness import check_witnesses, parse_witness_file


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


def claimed_scid(data: bytes) -> str:
    """The SCID that the first line of a log names, believed by nobody yet; empty when it names none.

    Raises KeyLogError for a first line that is no entry, as whoever verifies the log would.
    """
    scid = parse_entry(split_lines(data, caps=limits.HARD)[0]).parameters.get("scid")
    return scid if isinstance(scid, str) and canonical.MULTIHASH.fullmatch(scid) else ""


def extend(log: PolicyLog, line: bytes, *, now: datetime, witness_file: bytes | None = None, loopback: bool = False) -> PolicyLog:
    """``log`` with one more entry, judged as ``verify_policy`` would judge the whole. Raises KeyLogError; nothing changes."""
    line = line.removesuffix(b"\n")
    size_bytes = sum(len(version.entry.line) + 1 for version in log.versions) + len(line) + 1
    if len(log.versions) >= limits.HARD.entries_max or size_bytes > limits.HARD.bytes_max:
        raise V1Form("the log is full")
    version = step(log.head, parse_entry(line), now=now, loopback=loopback, policy=True)
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
        versions.append(step(before, parse_entry(line), now=now, loopback=loopback, policy=policy))
    _check_witnesses(versions, witness_file, now)
    if requested is not None and requested not in {versions[0].parameters.scid, *(one.did.text for one in versions)}:
        raise V14Requested
    return tuple(versions)


def _check_witnesses(versions: Sequence[Version], witness_file: bytes | None, now: datetime) -> None:
    approvals = parse_witness_file(witness_file) if witness_file is not None else []
    check_witnesses([one.entry.version_id for one in versions], required_witnesses(versions), approvals, now=now)
