"""``manage.py archive make|list|import|verify ...``: archives from the command line.

Exit status 0: done. 1: refused or failed, with the reason. 2: wrong call. 3: done, and something is missing, which is listed.
"""

import json
import sys
import time
from pathlib import Path
from typing import Any

from django.core.management.base import BaseCommand, CommandError

from server.accounts import queries as accounts
from server.accounts.models import Account
from server.core import clock
from server.core.errors import TributaryError
from server.portability import actions, download, imports, incoming, making, queries, verify
from server.portability.facts import ArchiveTurn, ImportTurn
from server.portability.models import Archive, Import

OK, REFUSED, INCOMPLETE = 0, 1, 3
WAIT_SECONDS = 1


class Command(BaseCommand):
    """Archives of accounts."""

    help = "Make, list and import archives of an account, or verify an archive file"

    def add_arguments(self, parser: Any) -> None:
        verbs = parser.add_subparsers(dest="verb", required=True)
        make = verbs.add_parser("make", help="make an archive now")
        make.add_argument("handle")
        make.add_argument("--output", type=Path, help="write the tar there")
        listed = verbs.add_parser("list", help="archives, imports and copies of an account")
        listed.add_argument("handle")
        take = verbs.add_parser("import", help="bring an archive, or one of Mastodon's lists")
        take.add_argument("handle")
        take.add_argument("file", type=Path)
        take.add_argument("--no-wait", action="store_true", help="let the workers do it")
        check = verbs.add_parser("verify", help="say what an archive file proves")
        check.add_argument("file", type=Path)
        for each in (make, listed, take, check):
            each.add_argument("--json", action="store_true")

    def handle(self, *_args: Any, **options: Any) -> None:
        if options["verb"] == "verify":
            sys.exit(verify.main([str(options["file"]), *(["--json"] if options["json"] else [])]))
        try:
            account = accounts.local_by_handle(options["handle"])
            status, said = getattr(self, f"_{options['verb']}")(account, options)
        except TributaryError as error:
            status, said = REFUSED, {"ok": False, "reason": error.code, "detail": str(error)}
        except OSError as error:
            raise CommandError(f"cannot read or write: {error}") from error
        self.stdout.write(json.dumps(said, indent=1) if options["json"] else "\n".join(_lines(said)))
        if status:
            sys.exit(status)

    def _make(self, account: Account, options: dict[str, Any]) -> tuple[int, dict[str, Any]]:
        archive = actions.ask_archive(account=account, by=account)
        while archive.state == "making":
            # The same slices as a worker's; its own come to nothing when this one was first.
            making.make(ArchiveTurn(archive_id=archive.pk, turn=archive.turn))
            archive.refresh_from_db()
        if archive.state != "ready":
            return REFUSED, {"ok": False, "reason": "failed", "detail": archive.failure}
        said = _archive(archive)
        if options["output"] is not None:
            laid = download.layout(archive)
            with options["output"].open("wb") as file:
                for piece in laid.stream():
                    file.write(piece)
            said["file"], said["file_bytes"] = str(options["output"]), laid.size
        return (INCOMPLETE if archive.absent else OK), {"ok": True, **said}

    def _list(self, account: Account, _options: dict[str, Any]) -> tuple[int, dict[str, Any]]:
        return OK, {
            "ok": True,
            "archives": [_archive(archive) for archive in queries.archives(account)],
            "imports": [_import(one) for one in queries.imports(account)],
            "copies": [
                {"origin": one.origin, "seq": one.seq, "manifest": one.manifest_sha256, "error": one.error}
                for one in queries.replicas(account)
            ],
        }

    def _import(self, account: Account, options: dict[str, Any]) -> tuple[int, dict[str, Any]]:
        path: Path = options["file"]
        with path.open("rb") as file:
            one = incoming.take_file(account=account, by=account, filename=path.name, stream=file, size=path.stat().st_size)
        while not options["no_wait"] and one.state == "running":
            turn = one.turn
            imports.run(ImportTurn(import_id=one.pk, turn=turn))
            one.refresh_from_db()
            if one.step == len(imports.STEPS) - 2:
                # The videos are the transcoder's: it needs a worker, and time.
                time.sleep(WAIT_SECONDS)
        said = {"ok": one.state in {"done", "running"}, **_import(one)}
        said["shortfalls"] = [
            {"kind": item.kind, "name": item.name, "state": item.state, "why": item.why} for item in queries.shortfalls(one)
        ]
        return (REFUSED if not said["ok"] else INCOMPLETE if said["shortfalls"] else OK), said


def _archive(archive: Archive) -> dict[str, Any]:
    return {
        "id": archive.pk,
        "kind": archive.kind,
        "state": archive.state,
        "permille": archive.permille,
        "seq": archive.seq,
        "manifest": archive.manifest_sha256,
        "bytes": archive.bytes_total,
        "absent": archive.absent,
        "made_at": clock.iso(archive.made_at) if archive.made_at else None,
    }


def _import(one: Import) -> dict[str, Any]:
    return {
        "id": one.pk,
        "filename": one.filename,
        "kind": one.kind,
        "state": one.state,
        "permille": one.permille,
        "reason": one.code,
        "detail": one.reason,
        "notes": one.notes,
        "tallies": [vars(tally) for tally in queries.tallies(one)],
    }


def _lines(said: dict[str, Any]) -> list[str]:
    return [f"{name}: {json.dumps(value) if isinstance(value, list | dict) else value}" for name, value in said.items()]
