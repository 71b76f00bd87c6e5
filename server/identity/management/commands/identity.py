"""``manage.py identity resolve|log|receipts|watch SCID [--json]``: find a key log, show it, keep a copy of it."""

import argparse
import json
from dataclasses import asdict
from typing import Any

from django.core.management.base import BaseCommand, CommandError

from server.core import canonical
from server.core.errors import TributaryError
from server.identity import keylog, queries, resolving

NOT_FOUND, CONTESTED = 1, 2


class Command(BaseCommand):
    """Exit status 0: a valid log. 1: nobody has one, or it is not kept here. 2: valid, and contested."""

    help = (
        "Ask everyone for the key log of an identity (resolve), print it (log), print who has seen it (receipts), "
        "or keep a copy of it from now on (watch)"
    )

    def add_arguments(self, parser: argparse.ArgumentParser) -> None:
        verbs = parser.add_subparsers(dest="verb", required=True)
        for name in ("resolve", "log", "receipts", "watch"):
            verb = verbs.add_parser(name)
            verb.add_argument("scid")
            verb.add_argument("--json", action="store_true", help="as JSON")
            if name in ("resolve", "watch"):
                verb.add_argument("--did", help="where the identity is said to live, did:webvh:...")
                verb.add_argument("--from", dest="also", action="append", default=[], help="ask this instance too, https://HOST")

    def handle(self, *_args: Any, **options: Any) -> None:
        if not canonical.MULTIHASH.fullmatch(options["scid"]):
            raise CommandError("This is no SCID.", returncode=NOT_FOUND)
        try:
            getattr(self, f"_{options['verb']}")(options)
        except TributaryError as error:
            raise CommandError(f"{error.code}: {error}", returncode=NOT_FOUND) from error

    def _resolve(self, options: dict[str, Any], *, keep: bool = False) -> None:
        try:
            found = resolving.resolve(options["scid"], keep=keep, also=options["also"], did=options["did"])
        except resolving.NotResolved as error:
            self._asked(error.asked, options)
            raise
        document = keylog.read(found.log.head.entry.state)
        told = {
            "scid": found.scid,
            "did": found.log.did.text,
            "actor": document.actor,
            "custody": document.custody,
            "version_id": found.log.head.entry.version_id,
            "replicas": list(document.replicas),
            "kept": found.is_kept,
            "contested": found.is_contested,
            "asked": [asdict(one) for one in found.asked],
        }
        if options["json"]:
            self._write(told)
        else:
            for name in ("did", "actor", "custody", "version_id", "kept", "contested"):
                self.stdout.write(f"{name}: {told[name]}")
            self._asked(found.asked, options)
        if found.is_contested:
            raise CommandError("This identity is contested: its keys signed two histories.", returncode=CONTESTED)

    def _watch(self, options: dict[str, Any]) -> None:
        self._resolve(options, keep=True)

    def _log(self, options: dict[str, Any]) -> None:
        data = queries.log_of(queries.by_scid(options["scid"])).data.decode()
        if options["json"]:
            self._write([json.loads(line) for line in data.splitlines()])
        else:
            self.stdout.write(data, ending="")

    def _receipts(self, options: dict[str, Any]) -> None:
        documents = [json.loads(one) for one in queries.receipt_bytes(queries.by_scid(options["scid"]))]
        if options["json"]:
            self._write(documents)
            return
        for one in documents:
            self.stdout.write(f"{one['versionId']} seen by {one['replica']} at {one['proof']['created']}")

    def _asked(self, asked: Any, options: dict[str, Any]) -> None:
        if not options["json"]:
            for one in asked:
                self.stdout.write(f"{one.url}: {one.outcome}" + (f", {one.versions} entries" if one.versions else ""))

    def _write(self, value: Any) -> None:
        self.stdout.write(json.dumps(value, indent=1))
