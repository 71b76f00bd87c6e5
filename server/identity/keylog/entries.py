"""The lines of a key log: strict reading (rules V1, V3, V11 as far as one line shows them), canonical bytes and hashes."""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from server.core import canonical
from server.identity.keylog import limits
from server.identity.keylog.did import SCID_PLACEHOLDER
from server.identity.keylog.errors import V1Form, V3VersionId, V11Time
from server.identity.keylog.limits import Caps

MEMBERS = {"versionId", "versionTime", "parameters", "state", "proof"}
_VERSION_ID = re.compile(rf"([1-9][0-9]{{0,8}})-({canonical.MULTIHASH.pattern})", re.ASCII)


@dataclass(frozen=True)
class Entry:
    """One line, read but not verified.

    ``parameters_bytes`` and ``state_bytes`` are their canonical bytes, from which hashes and proofs are computed;
    ``line`` is the text as it came, without its line end.
    """

    line: bytes
    version_id: str
    number: int
    time: datetime
    time_text: str
    parameters: Mapping[str, Any]
    state: Mapping[str, Any]
    proofs: tuple[Mapping[str, Any], ...]
    parameters_bytes: bytes
    state_bytes: bytes

    def unsigned_bytes(self, version_id: str) -> bytes:
        """The canonical bytes of the entry without its proof, with ``version_id`` in its place."""
        return unsigned_bytes(version_id, self.time_text, self.parameters_bytes, self.state_bytes)

    def scid_bytes(self, scid: str) -> bytes:
        """The canonical bytes that the SCID is the hash of: the placeholder wherever the SCID stands, also in names."""
        text = self.unsigned_bytes(SCID_PLACEHOLDER).decode().replace(scid, SCID_PLACEHOLDER)
        return canonical.jcs_whole(canonical.parse(text.encode(), depth_max=limits.ENTRY_DEPTH_MAX, fractions=False))


def unsigned_bytes(version_id: str, time_text: str, parameters_bytes: bytes, state_bytes: bytes) -> bytes:
    """The canonical bytes of an entry without its proof. Both texts consist of characters that JSON never escapes."""
    return b'{"parameters":%b,"state":%b,"versionId":"%b","versionTime":"%b"}' % (
        parameters_bytes,
        state_bytes,
        version_id.encode(),
        time_text.encode(),
    )


def split_lines(data: bytes, *, caps: Caps) -> list[bytes]:
    """The lines of a log file, each ended by one line feed; the last line feed may be missing. Raises V1Form."""
    if len(data) > caps.bytes_max:
        raise V1Form(f"the log is larger than {caps.bytes_max} bytes")
    lines = data.removesuffix(b"\n").split(b"\n", caps.entries_max)
    if len(lines) > caps.entries_max:
        raise V1Form(f"the log has more than {caps.entries_max} entries")
    return lines


def parse_entry(line: bytes) -> Entry:
    """Read one line. Raises V1Form, V3VersionId, V11Time."""
    # No white space around the object: a log has one spelling of where an entry begins and ends.
    if not line.startswith(b"{") or not line.endswith(b"}"):
        raise V1Form("a line must be one JSON object and nothing else")
    try:
        value = canonical.parse(line, depth_max=limits.ENTRY_DEPTH_MAX, fractions=False)
    except ValueError as error:
        raise V1Form(f"a line is not strict JSON: {error}") from error
    if value.keys() != MEMBERS:
        raise V1Form("an entry has exactly versionId, versionTime, parameters, state and proof")
    if not isinstance(value["parameters"], dict) or not isinstance(value["state"], dict):
        raise V1Form("parameters and state must be objects")
    version_id, number = _version_id(value["versionId"])
    time_text = value["versionTime"]
    return Entry(
        line=line,
        version_id=version_id,
        number=number,
        time=_time(time_text),
        time_text=time_text,
        parameters=value["parameters"],
        state=value["state"],
        proofs=_proofs(value["proof"]),
        parameters_bytes=canonical.jcs_whole(value["parameters"]),
        state_bytes=canonical.jcs_whole(value["state"]),
    )


def _version_id(value: Any) -> tuple[str, int]:
    match = _VERSION_ID.fullmatch(value) if isinstance(value, str) else None
    if match is None:
        raise V3VersionId("a versionId must be written n-hash")
    return match[0], int(match[1])


def version_number(version_id: str) -> int:
    """The n of a versionId ``n-hash``. Raises V3VersionId."""
    return _version_id(version_id)[1]


def _time(value: Any) -> datetime:
    try:
        return canonical.parse_time(value)
    except (ValueError, TypeError) as error:
        raise V11Time(f"versionTime: {error}") from error


def _proofs(value: Any) -> tuple[Mapping[str, Any], ...]:
    proofs = value if isinstance(value, list) else [value]
    if len(proofs) > limits.PROOFS_MAX or not all(isinstance(proof, dict) for proof in proofs):
        raise V1Form(f"proof must be one object or a list of at most {limits.PROOFS_MAX}")
    return tuple(proofs)
