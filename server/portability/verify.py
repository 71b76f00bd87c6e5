"""The offline verifier of archives: ``python -m server.portability.verify FILE [--json]``. No network, no database.

Exit status 0: verified and whole. 1: refused, with the reason's name. 2: the file cannot be read. 3: what is there is
right, and something is missing, which is listed.
"""

import argparse
import json
import sys
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, BinaryIO

from payouts.ledger.__main__ import check_agreement, verify_identity_log
from payouts.ledger.errors import LedgerError
from payouts.ledger.verdict import verify as verify_statement
from server.core.errors import TributaryError
from server.identity import keylog
from server.portability import manifest, paths, posts, reading, witnessed
from server.portability.errors import BadPart, ForeignIdentity, Unvouched

VERIFIED, REFUSED, UNREADABLE, INCOMPLETE = 0, 1, 2, 3
STATEMENT = "ledger/statement.json.gz"
LOG = "identity/did.jsonl"
# Beside a log that names witnesses; it stands before the log, by its name.
WITNESSES = "identity/did-witness.json"
RECEIPTS = "identity/receipts.jsonl"
ACTOR = "actor/actor.json"
HEADS = "objects/heads.jsonl"
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
    heads: int = 0
    receipts: int = 0
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
            "heads": self.heads,
            "receipts": self.receipts,
            "missing": self.missing,
            "sealed": self.sealed,
            "statement": self.statement,
            "unvouched": self.unvouched,
        }


def log_files(archive: reading.Archive) -> tuple[bytes, bytes | None]:
    """The key log in an archive, and the witness file beside it, both whole. Raises WrongHash, BadPart when there is no log."""
    witnesses = None
    for found in archive.files():
        if found.member.path in {WITNESSES, LOG}:
            reading.check_hash(archive.file, found)
            data = reading.read_whole(archive.file, found.member)
            if found.member.path == LOG:
                return data, witnesses
            witnesses = data
    raise BadPart("The archive has no key log, so nobody can say whose it is.")


def read_log(archive: reading.Archive, *, now: datetime) -> keylog.PolicyLog:
    """The key log, verified by the policy rules. Raises as ``log_files``, KeyLogError, ForeignIdentity."""
    data, witnesses = log_files(archive)
    log = keylog.verify_policy(data, now=now, caps=keylog.HARD, witness_file=witnesses, loopback=True)
    if log.scid != archive.manifest.scid:
        raise ForeignIdentity("The key log in the archive is another identity's than the manifest says.")
    return log


class _Judge:
    """Looks at the parts of an archive that mean something, in the order in which they lie there, and notes what they prove."""

    def __init__(self, file: BinaryIO, log: keylog.PolicyLog, now: datetime, verdict: Verdict) -> None:
        self._file, self._log, self._now, self._verdict = file, log, now, verdict
        self.parts: dict[str, Callable[[reading.Found], None]] = {
            ACTOR: self._check_actor,
            RECEIPTS: self._count_receipts,
            HEADS: self._count_heads,
            OUTBOX: self._count_posts,
            VIDEOS: self._count_videos,
            STATEMENT: self._check_statement,
        }

    def _lines(self, found: reading.Found) -> Iterator[bytes]:
        return reading.lines(reading.pieces(self._file, found.member))

    def _check_actor(self, found: reading.Found) -> None:
        posts.parse(reading.read_whole(self._file, found.member))

    def _count_receipts(self, found: reading.Found) -> None:
        self._verdict.receipts = witnessed.check_receipts(self._lines(found), scid=self._log.scid)

    def _count_heads(self, found: reading.Found) -> None:
        self._verdict.heads = witnessed.check_heads(self._lines(found), log=self._log, now=self._now)

    def _count_posts(self, found: reading.Found) -> None:
        by = posts.owner(self._log, covered_at=self._verdict.created)
        for line in self._lines(found):
            posts.read(line, by=by, now=self._now)
            self._verdict.posts += 1

    def _count_videos(self, found: reading.Found) -> None:
        self._verdict.videos = sum(1 for _ in self._lines(found))

    def _check_statement(self, found: reading.Found) -> None:
        self._verdict.statement = _statement(reading.read_whole(self._file, found.member), scid=self._log.scid)


def verify(file: BinaryIO, *, now: datetime, bytes_max: int, log: keylog.PolicyLog | None = None) -> Verdict:
    """The verdict on a whole archive. ``log``: the reader's own copy of the identity's log, where she has one.

    Raises ArchiveRefused, KeyLogError and LedgerError by name.
    """
    archive = reading.begin(file, bytes_max=bytes_max)
    about = archive.manifest
    known = log if log is not None else read_log(archive, now=now)
    verdict = Verdict(about.scid, about.version_id, about.seq, about.authority, about.created, about.digest)
    try:
        manifest.verify(about, log=known, now=now)
    except Unvouched:
        # Offline nobody can say who saw it: the reader is told, and a server asks for more.
        manifest.verify(about, log=known, now=now, seen_at=about.created)
        verdict.unvouched = True
    judge = _Judge(file, known, now, verdict)
    here = set()
    for found in archive.files():
        reading.check_hash(file, found)
        here.add(found.member.path)
        verdict.files += 1
        verdict.bytes_total += found.member.size
        if found.member.path in judge.parts:
            judge.parts[found.member.path](found)
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
        f"  {verdict.heads} outbox heads; {verdict.receipts} receipts of replicas, whose signatures are not checked here",
        f"  statement of what is owed: {verdict.statement}",
    ]
    if verdict.unvouched:
        lines.append("  UNVOUCHED: the key was removed since; a new home asks who saw this archive before that")
    lines += [f"  sealed: {path}" for path in verdict.sealed] + [f"  MISSING: {path}" for path in verdict.missing]
    return "".join(f"{line}\n" for line in lines)


if __name__ == "__main__":
    sys.exit(main())
