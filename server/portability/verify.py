"""The offline verifier of archives: ``python -m server.portability.verify FILE [--json]``. No network, no database.

Exit status 0: verified and whole. 1: refused, with the reason's name. 2: the file cannot be read. 3: what is there is
right, and something is missing, which is listed.
"""

import argparse
import json
import sys
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, BinaryIO

from payouts.ledger.__main__ import check_agreement, verify_identity_log
from payouts.ledger.errors import LedgerError
from payouts.ledger.verdict import verify as verify_statement
from server.core.errors import TributaryError
from server.identity import keylog
from server.portability import manifest, paths, posts, reading
from server.portability.errors import BadPart, ForeignIdentity, Unvouched

VERIFIED, REFUSED, UNREADABLE, INCOMPLETE = 0, 1, 2, 3
STATEMENT = "ledger/statement.json.gz"
LOG = "identity/did.jsonl"
ACTOR = "actor/actor.json"
OUTBOX = "objects/outbox.jsonl"
VIDEOS = "objects/videos.jsonl"


@dataclass
class Verdict:
    """What an archive proves."""

    scid: str
    version_id: str
    seq: int
    authority: str
    created: datetime
    digest: str
    files: int = 0
    bytes_total: int = 0
    posts: int = 0
    videos: int = 0
    missing: list[str] = field(default_factory=list)
    sealed: list[str] = field(default_factory=list)
    statement: str = "none"
    # The key was removed since; only an outbox head could say that the archive is older than that.
    unvouched: bool = False

    def as_json(self) -> dict[str, Any]:
        """For machines."""
        return {
            "verified": True,
            "scid": self.scid,
            "version": self.version_id,
            "seq": self.seq,
            "authority": self.authority,
            "created": self.created.strftime("%Y-%m-%dT%H:%M:%SZ"),
            "manifest": self.digest,
            "files": self.files,
            "bytes": self.bytes_total,
            "posts": self.posts,
            "videos": self.videos,
            "missing": self.missing,
            "sealed": self.sealed,
            "statement": self.statement,
            "unvouched": self.unvouched,
        }


def read_log(archive: reading.Archive, found: reading.Found, *, now: datetime, loopback: bool = True) -> keylog.PolicyLog:
    """The key log in an archive, verified by the policy rules. Raises KeyLogError, ForeignIdentity, WrongHash."""
    reading.check_hash(archive.file, found)
    data = reading.read_whole(archive.file, found.member)
    log = keylog.verify_policy(data, now=now, caps=keylog.HARD, loopback=loopback)
    if log.scid != archive.manifest.scid:
        raise ForeignIdentity("The key log in the archive is another identity's than the manifest says.")
    return log


def find_log(archive: reading.Archive, *, now: datetime) -> keylog.PolicyLog:
    """The key log, wherever it lies in the archive. Raises as ``read_log``, BadPart when there is none."""
    for found in archive.files():
        if found.member.path == LOG and found.listed is not None:
            return read_log(archive, found, now=now)
    raise BadPart("The archive has no key log, so nobody can say whose it is.")


def verify(file: BinaryIO, *, now: datetime, bytes_max: int, log: keylog.PolicyLog | None = None) -> Verdict:
    """The verdict on a whole archive. ``log``: the reader's own copy of the identity's log, where she has one.

    Raises ArchiveRefused, KeyLogError and LedgerError by name.
    """
    archive = reading.begin(file, bytes_max=bytes_max)
    about = archive.manifest
    known = log if log is not None else find_log(archive, now=now)
    verdict = Verdict(about.scid, about.version_id, about.seq, about.authority, about.created, about.digest)
    try:
        manifest.verify(about, log=known, now=now)
    except Unvouched:
        # Offline nobody can say who saw it: the reader is told, and a server asks for more.
        manifest.verify(about, log=known, now=now, seen_at=about.created)
        verdict.unvouched = True
    actor = None
    here = set()
    for found in archive.files():
        reading.check_hash(file, found)
        here.add(found.member.path)
        verdict.files += 1
        verdict.bytes_total += found.member.size
        if found.member.path == ACTOR:
            actor = posts.parse(reading.read_whole(file, found.member))
        elif found.member.path == OUTBOX:
            by = posts.owner(known, actor=actor, covered_at=about.created)
            for line in reading.lines(reading.pieces(file, found.member)):
                posts.read(line, by=by, now=now)
                verdict.posts += 1
        elif found.member.path == VIDEOS:
            verdict.videos = sum(1 for _ in reading.lines(reading.pieces(file, found.member)))
        elif found.member.path == STATEMENT:
            verdict.statement = _statement(reading.read_whole(file, found.member), scid=about.scid)
        if found.member.path in paths.SEALED_NAMES:
            verdict.sealed.append(found.member.path)
    verdict.missing = [listed.path for listed in about.files if listed.path not in here]
    return verdict


def _statement(data: bytes, *, scid: str) -> str:
    checked = verify_statement(data, verify_log=verify_identity_log, check_agreement=check_agreement)
    if checked.scid != scid:
        raise ForeignIdentity("The statement in the archive is about somebody else.")
    return "verified"


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command; the exit status."""
    parser = argparse.ArgumentParser(prog="python -m server.portability.verify", description=__doc__)
    parser.add_argument("file", type=Path, metavar="FILE")
    parser.add_argument("--json", action="store_true", help="the verdict as JSON")
    options = parser.parse_args(arguments)
    try:
        with options.file.open("rb") as file:
            size = options.file.stat().st_size
            verdict = verify(file, now=datetime.now(UTC), bytes_max=size)
    except OSError as error:
        sys.stderr.write(f"cannot read: {error}\n")
        return UNREADABLE
    except (TributaryError, LedgerError) as error:
        refused = {"verified": False, "reason": error.code, "detail": str(error)}
        sys.stdout.write(json.dumps(refused, indent=1) + "\n" if options.json else f"REFUSED: {error.code}: {error}\n")
        return REFUSED
    sys.stdout.write(json.dumps(verdict.as_json(), indent=1) + "\n" if options.json else as_text(verdict))
    return INCOMPLETE if verdict.missing else VERIFIED


def as_text(verdict: Verdict) -> str:
    """The verdict for people."""
    signer = {"user": "the owner's own key", "home": "the home server's key for her"}[verdict.authority]
    lines = [
        f"VERIFIED: archive {verdict.seq} of {verdict.scid}",
        f"  made at {verdict.created:%Y-%m-%d %H:%M:%S} UTC, signed by {signer}",
        f"  {verdict.files} files, {verdict.bytes_total} bytes; {verdict.posts} posts, {verdict.videos} videos",
        f"  statement of what is owed: {verdict.statement}",
    ]
    if verdict.unvouched:
        lines.append("  UNVOUCHED: the key was removed since; a new home asks who saw this archive before that")
    lines += [f"  sealed: {path}" for path in verdict.sealed] + [f"  MISSING: {path}" for path in verdict.missing]
    return "".join(f"{line}\n" for line in lines)


if __name__ == "__main__":
    sys.exit(main())
