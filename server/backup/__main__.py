"""Command line of ``deploy/backup`` and ``deploy/restore``: ``python -m server.backup make|check|restore``."""

import argparse
import os
import sys
from pathlib import Path

from server.backup.errors import BackupError


def main() -> None:
    """Command line: ``make --to DIR [--keep N]``, ``check BACKUP``, ``restore BACKUP``."""
    parser = argparse.ArgumentParser(prog="server.backup", description=__doc__)
    verbs = parser.add_subparsers(dest="verb", required=True)
    making = verbs.add_parser("make", help="write a new backup")
    making.add_argument("--to", type=Path, required=True, help="directory of all backups, best on another disk")
    making.add_argument("--keep", type=int, default=0, help="afterwards remove all but so many (default: remove none)")
    for verb, text in (("check", "read a backup again and compare"), ("restore", "put a backup in place")):
        verbs.add_parser(verb, help=text).add_argument("backup", type=Path)
    options = parser.parse_args()
    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "server.settings")
    # On a fresh machine the key is still in the backup; nothing is signed here.
    os.environ.setdefault("TRIBUTARY_SECRET_KEY", "not used by a backup")
    try:
        sys.exit(_run_verb(options))
    except BackupError as error:
        sys.exit(f"backup: {error}")


def _run_verb(options: argparse.Namespace) -> int:
    from server.backup import archive

    if options.verb == "restore":
        archive.restore(options.backup)
        sys.stdout.write("restored; now bring the tables up to date: manage.py migrate\n")
        return 0
    if options.verb == "check":
        wrong = archive.check(options.backup)
        sys.stdout.write("\n".join(wrong or ["every file is as it was written"]) + "\n")
        return 1 if wrong else 0
    made, damaged = archive.make(options.to)
    sys.stdout.write(f"{made}\n")
    if options.keep:
        archive.forget_old(options.to, options.keep)
    for name in damaged:
        sys.stderr.write(f"backup: {name} is damaged in the media directory: its bytes are not what its name says\n")
    return 1 if damaged else 0


if __name__ == "__main__":
    main()
