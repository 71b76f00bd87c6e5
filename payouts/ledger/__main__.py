"""The offline verifier: ``python -m payouts.ledger verify FILE``, ``verify-fork FILE --key VKEY``, ``verify-dispute FILE``.

No network. Exit status 0: verified. 1: refused, with the reason's name. 2: the file or the call cannot be read. 3: a dispute is
signed and its entry stands in the log; whether the rule was broken takes more than was given.
"""

import argparse
import gc
import json
import sys
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path

from payouts.agreement import check_signed, parse_agreement
from payouts.ledger.container import FILE_BYTES_MAX
from payouts.ledger.debtor import Agreement, Identity, KeyOf
from payouts.ledger.errors import BadIdentityLog, LedgerError
from payouts.ledger.fork import check_fork
from payouts.ledger.multikey import multikey_bytes
from payouts.ledger.note import parse_vkey
from payouts.ledger.policy import parse_policy
from payouts.ledger.report import as_json, as_text
from payouts.ledger.verdict import verify
from server.identity import keylog

VERIFIED, REFUSED, UNREADABLE, UNDECIDED = 0, 1, 2, 3


def verify_identity_log(lines: Sequence[bytes]) -> Identity:
    """The identity in a key log's lines, by the rules of our peers. Raises BadIdentityLog.

    Nothing is fetched from where the log says it lives, so the rules about reachable hosts do not apply (``loopback``).
    """
    try:
        log = keylog.verify_policy(
            b"".join(line + b"\n" for line in lines), now=datetime.now(UTC), caps=keylog.HARD, loopback=True
        )
        keys = {}
        for version in log.versions:
            document = keylog.read(version.entry.state)
            method = f"{document.did}?versionId={version.entry.version_id}#user-{document.user.number}"
            keys[method] = multikey_bytes(document.user.multikey, "ed25519")
    except (keylog.KeyLogError, LedgerError) as error:
        raise BadIdentityLog(str(error)) from error
    return Identity(log.scid, log.custody, log.version_ids[-1], keys)


def check_agreement(data: bytes, key_of: KeyOf) -> tuple[Agreement, tuple[str, ...]]:
    """The agreement in canonical bytes, and the parties whose proofs could not be checked. Raises LedgerError."""
    agreement = parse_agreement(data)
    return agreement, check_signed(agreement, key_of)


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command; the exit status."""
    options = _parser().parse_args(arguments)
    try:
        report, text = options.run(options)
    except OSError as error:
        sys.stderr.write(f"cannot read: {error}\n")
        return UNREADABLE
    except LedgerError as error:
        report, text = {"verified": False, "reason": error.code, "detail": str(error)}, f"REFUSED: {error.code}: {error}\n"
    sys.stdout.write(json.dumps(report, indent=1, sort_keys=True) + "\n" if options.json else text)
    if report["verified"] is None:
        return UNDECIDED
    return VERIFIED if report["verified"] else REFUSED


def _verify(options: argparse.Namespace) -> tuple[dict[str, object], str]:
    policy = parse_policy(_read(options.policy)) if options.policy else None
    verdict = verify(_read(options.file), verify_log=verify_identity_log, check_agreement=check_agreement, policy=policy)
    own = policy is not None
    return as_json(verdict, own_policy=own), as_text(verdict, own_policy=own)


def _verify_fork(options: argparse.Namespace) -> tuple[dict[str, object], str]:
    fork = check_fork(_read(options.file), [parse_vkey(key) for key in options.key])
    sizes = fork.older.size, fork.newer.size
    text = f"CONVICTED: {fork.older.origin} signed two histories, at sizes {sizes[0]} and {sizes[1]}\n"
    return {"verified": True, "origin": fork.older.origin, "sizes": list(sizes)}, text


def _verify_dispute(options: argparse.Namespace) -> tuple[dict[str, object], str]:
    # Running closes again takes the settlement functions, which the other commands do without.
    from payouts import dispute_check
    from payouts.log_folder import LogFolder

    found = dispute_check.recheck(
        _read(options.file),
        log_keys=[parse_vkey(key) for key in options.key],
        instance=multikey_bytes(options.by, "ed25519"),
        folder=LogFolder(options.log) if options.log else None,
    )
    claim, holds = found.finding, found.verdict == dispute_check.HOLDS
    report: dict[str, object] = {
        "verified": True if holds else None, "verdict": found.verdict, "needs": found.needs, "by": claim.by,
        "origin": claim.origin, "size": claim.size, "index": claim.index, "rule": claim.rule, "finding": dict(claim.finding),
    }  # fmt: skip
    text = f"{claim.by} says that entry {claim.index} of {claim.origin}, signed at size {claim.size}, breaks {claim.rule}\n"
    text += "DISPUTE HOLDS: the rule was run again and is broken\n" if holds else (
        f"UNDECIDED: signed, and the entry stands in that log; to run the rule again takes {found.needs}\n"
    )  # fmt: skip
    return report, text


def _read(path: Path) -> bytes:
    with path.open("rb") as file:
        return file.read(FILE_BYTES_MAX + 1)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m payouts.ledger", description=__doc__)
    commands = parser.add_subparsers(required=True)
    statement = commands.add_parser("verify", help="say what a statement proves: who owes what, as of when")
    statement.add_argument("--policy", type=Path, metavar="FILE", help="a tlog-policy with the logs and witnesses you trust")
    statement.set_defaults(run=_verify)
    fork = commands.add_parser("verify-fork", help="say whether a fork proof convicts a log")
    fork.add_argument("--key", action="append", required=True, metavar="VKEY", help="the verifier key of the log")
    fork.set_defaults(run=_verify_fork)
    dispute = commands.add_parser("verify-dispute", help="say whether what one ledger says another did wrong is so")
    dispute.add_argument("--key", action="append", required=True, metavar="VKEY", help="the verifier key of the accused log")
    dispute.add_argument("--by", required=True, metavar="MULTIKEY", help="the #instance-1 key of the accuser (z6Mk...)")
    dispute.add_argument("--log", type=Path, metavar="FOLDER", help="a copy of the accused log: tile/... and blob/...")
    dispute.set_defaults(run=_verify_dispute)
    for command in (statement, fork, dispute):
        command.add_argument("file", type=Path, metavar="FILE")
        command.add_argument("--json", action="store_true", help="the verdict as JSON")
    return parser


if __name__ == "__main__":
    # One file of bounded size is read and the process ends: looking for garbage would only take time.
    gc.disable()
    sys.exit(main())
