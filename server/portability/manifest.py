"""The manifest: the signed list of what is in an archive (docs/reference/archive-format.md). Pure.

The root over the list is what is signed; a single file can be checked against it, and a part of an archive is worth as much
as the whole, as long as what is missing is said.
"""

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from nacl.signing import SigningKey

from payouts.ledger import merkle
from server.core import canonical, proofs
from server.identity import keylog
from server.identity.keylog.errors import V17Object
from server.identity.keylog.limits import CLOCK_SKEW_SECONDS
from server.identity.keylog.objects import asserting_key
from server.portability import paths
from server.portability.errors import (
    ArchiveTooLarge,
    BadManifest,
    ForeignIdentity,
    TooManyFiles,
    Unvouched,
    WrongRoot,
    WrongSigner,
)

FILES_MAX = 100_000
MANIFEST_BYTES_MAX = 32 * 1024 * 1024
NOTHING_BEFORE = "0" * 64
AUTHORITIES = ("user", "home")
_MEMBERS = {"type", "v", "scid", "versionId", "seq", "prev", "authority", "created", "files", "root", "proof"}
_HEX = frozenset("0123456789abcdef")


@dataclass(frozen=True, order=True)
class File:
    """A file of an archive."""

    path: str
    size: int
    sha256: str

    @property
    def leaf(self) -> bytes:
        """What is hashed into the tree."""
        return canonical.jcs_whole({"path": self.path, "bytes": self.size, "sha256": self.sha256})


@dataclass(frozen=True)
class Manifest:
    """A manifest whose form and root were checked; whose it is says ``verify``."""

    scid: str
    version_id: str
    seq: int
    prev: str
    authority: str
    created: datetime
    files: tuple[File, ...]
    root: str
    proof: Mapping[str, Any]
    data: bytes

    @property
    def digest(self) -> str:
        """By which it is named: the SHA-256 of its bytes."""
        return hashlib.sha256(self.data).hexdigest()

    @property
    def document(self) -> dict[str, Any]:
        """The manifest as it was signed, with its proof."""
        value: dict[str, Any] = canonical.parse(self.data, depth_max=4, fractions=False)
        return value

    @property
    def bytes_total(self) -> int:
        """The bytes of all files together."""
        return sum(file.size for file in self.files)


def root_of(files: Sequence[File]) -> str:
    """The RFC 6962 root over the leaves, in hex."""
    return merkle.root_of([merkle.leaf_hash(file.leaf) for file in files]).hex()


def make(
    *,
    log: keylog.PolicyLog,
    files: Sequence[File],
    seq: int,
    prev: str,
    authority: str,
    key: SigningKey,
    now: datetime,
) -> Manifest:
    """A signed manifest of ``files``; ``key`` is the ``#user`` or ``#home`` key that the log's newest entry names.

    Raises BadManifest for a list that could not be read again.
    """
    document = keylog.read(log.head.entry.state)
    method = document.user_method if authority == "user" else document.home_method
    body = {
        "type": "ArchiveManifest",
        "v": 1,
        "scid": log.scid,
        "versionId": log.head.entry.version_id,
        "seq": seq,
        "prev": prev,
        "authority": authority,
        "created": canonical.time_text(now),
        "files": [{"path": file.path, "bytes": file.size, "sha256": file.sha256} for file in files],
        "root": root_of(files),
    }
    proof = proofs.create_proof(body, key=key, verification_method=method, created=now)
    return parse(canonical.jcs_whole({**body, "proof": proof}))


def parse(data: bytes) -> Manifest:
    """The manifest in ``data``, its root recomputed. Raises BadManifest, TooManyFiles, BadPath, WrongRoot."""
    if len(data) > MANIFEST_BYTES_MAX:
        raise ArchiveTooLarge("The manifest is larger than 32 MiB.")
    try:
        document = canonical.parse(data, depth_max=4, fractions=False)
        if canonical.jcs_whole(document) != data:
            raise BadManifest("The manifest is not in canonical form.")
        manifest = _read(document, data)
    except (ValueError, KeyError, TypeError, proofs.BadProof) as error:
        raise BadManifest(f"The manifest cannot be read: {error}") from error
    if root_of(manifest.files) != manifest.root:
        raise WrongRoot
    return manifest


def _read(document: Any, data: bytes) -> Manifest:
    if not isinstance(document, dict) or document.keys() != _MEMBERS:
        raise BadManifest("A manifest has exactly the members of version 1.")
    if document["type"] != "ArchiveManifest" or type(document["v"]) is not int or document["v"] != 1:
        raise BadManifest("This is not a manifest of version 1.")
    canonical.multihash_sha256_decode(document["scid"])
    if not isinstance(document["versionId"], str) or document["authority"] not in AUTHORITIES:
        raise BadManifest("versionId or authority is of the wrong kind.")
    if (
        type(document["seq"]) is not int
        or document["seq"] < 1
        or not _is_hash(document["prev"])
        or not _is_hash(document["root"])
    ):
        raise BadManifest("seq, prev or root is of the wrong kind.")
    if (document["seq"] == 1) != (document["prev"] == NOTHING_BEFORE):
        raise BadManifest("The first archive, and no other, has nothing before it.")
    created = canonical.parse_time(document["created"])
    if proofs.plain_created(document["proof"]) != created:
        raise BadManifest("The manifest and its proof name two times.")
    return Manifest(
        scid=document["scid"],
        version_id=document["versionId"],
        seq=document["seq"],
        prev=document["prev"],
        authority=document["authority"],
        created=created,
        files=_files(document["files"]),
        root=document["root"],
        proof=document["proof"],
        data=data,
    )


def _files(listed: Any) -> tuple[File, ...]:
    if not isinstance(listed, list):
        raise BadManifest("files is a list.")
    if len(listed) > FILES_MAX:
        raise TooManyFiles
    files: list[File] = []
    before = b""
    for each in listed:
        if not isinstance(each, dict) or each.keys() != {"path", "bytes", "sha256"} or not isinstance(each["path"], str):
            raise BadManifest("A file has exactly path, bytes and sha256.")
        if type(each["bytes"]) is not int or not 0 <= each["bytes"] <= canonical.JSON_INTEGER_MAX or not _is_hash(each["sha256"]):
            raise BadManifest("bytes or sha256 is of the wrong kind.")
        path = paths.check(each["path"]).encode()
        if path <= before or each["path"] in {paths.MANIFEST, paths.DESCRIPTION} or each["path"].startswith(paths.OPENED):
            raise BadManifest("The files are not in the order of their names, or one may not be listed.")
        if (named := paths.MEDIA.fullmatch(each["path"])) and named[1] != each["sha256"]:
            raise BadManifest("A media file is named by another hash than its own.")
        files.append(File(each["path"], each["bytes"], each["sha256"]))
        before = path
    return tuple(files)


def _is_hash(value: Any) -> bool:
    return isinstance(value, str) and len(value) == len(NOTHING_BEFORE) and _HEX.issuperset(value)


def verify(manifest: Manifest, *, log: keylog.PolicyLog, now: datetime, seen_at: datetime | None = None) -> None:
    """Raise unless the identity of ``log`` signed the manifest, with a key that it had when it says so.

    ``seen_at``: when this manifest, or an outbox head that covers it, was first seen by somebody who is believed. A home
    key that has been removed since counts only with it (FORMATS 4.4, rule V17): else a thief could date archives back.
    What ``#user`` signed needs no witness. Raises ForeignIdentity, WrongSigner, Unvouched.
    """
    if manifest.scid != log.scid:
        raise ForeignIdentity
    if manifest.created > now + timedelta(seconds=CLOCK_SKEW_SECONDS):
        raise WrongSigner("The manifest says it was made in the future.")
    method = manifest.proof["verificationMethod"]
    versions = [version for version in log.versions if version.entry.version_id == manifest.version_id]
    key = asserting_key(versions[0].entry.state, method) if versions and isinstance(method, str) else None
    if key is None or f"#{manifest.authority}-" not in method:
        raise WrongSigner
    try:
        proofs.verify_proof(manifest.document, manifest.proof, public=canonical.multikey_ed25519_decode(key), now=now)
    except (proofs.BadProof, proofs.BadSignature, ValueError) as error:
        raise WrongSigner(str(error)) from error
    covered_at = manifest.created if manifest.authority == "user" else seen_at
    try:
        keylog.check_object(log, scid=manifest.scid, key=key, created=manifest.created, covered_at=covered_at)
    except V17Object as error:
        raise Unvouched(f"Unvouched: {error}") from error


def describe(files: Sequence[File], *, created: datetime, actor: str) -> bytes:
    """``manifest.yml`` after FEP-6fcd: what the parts are, for people and other software. It carries no authority."""
    lines = [
        "# What is signed stands in manifest.json.",
        "ubc-version: 0.1",
        "meta:",
        f"  created: {canonical.time_text(created)}",
        "  createdBy:",
        f"    controller: {actor}",
        "    client:",
        "      name: Tributary",
        "contents:",
        "  manifest.yml:",
        "    url: https://codeberg.org/fediverse/fep/src/branch/main/fep/6fcd/fep-6fcd.md#manifest-file",
        "  manifest.json: {}",
    ]
    folder = ""
    for file in files:
        top, _, name = file.path.partition("/")
        if name and top != folder:
            lines += [f"  {top}:", "    contents:"]
            folder = top
        if top == "media":
            if lines[-1] != "      sha256: {}":
                lines.append("      sha256: {}")
        elif name:
            lines += _described(name, file.path, "      ")
        else:
            lines += _described(top, file.path, "  ")
    return ("\n".join(lines) + "\n").encode()


def _described(name: str, path: str, indent: str) -> list[str]:
    url = MEANINGS.get(path)
    return [f"{indent}{name}:", f"{indent}  url: {url}"] if url else [f"{indent}{name}: {{}}"]


MEANINGS = {
    "actor/actor.json": "https://www.w3.org/TR/activitypub/#actor-objects",
    "graph/following.csv": "https://docs.joinmastodon.org/user/moving/#export",
    "graph/blocks.csv": "https://docs.joinmastodon.org/user/moving/#export",
    "graph/mutes.csv": "https://docs.joinmastodon.org/user/moving/#export",
    "identity/did.jsonl": "https://identity.foundation/didwebvh/v1.0/",
    "migration/map.jsonl": "https://codeberg.org/fediverse/fep/src/branch/main/fep/1580/fep-1580.md",
    "objects/outbox.jsonl": "https://www.w3.org/TR/activitypub/#outbox",
}
