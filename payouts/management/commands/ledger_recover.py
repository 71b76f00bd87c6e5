"""``manage.py ledger_recover``: put back the entries that this ledger signed and this machine lost."""

import argparse
import json
from typing import Any

from django.core.management.base import BaseCommand, CommandError

from payouts import recovery, standing, store


class Command(BaseCommand):
    """Ask the database and every witness for what is missing; exit 1 while the ledger stays read-only."""

    help = "Put back entries that this ledger signed and this machine lost, from the database or from a witness that mirrors it"

    def add_arguments(self, parser: argparse.ArgumentParser) -> None:
        parser.add_argument("--json", action="store_true", help="the answer as JSON")

    def handle(self, *_args: Any, **options: Any) -> None:
        done = recovery.recover()
        stands = standing.suspension()
        answer = {
            "size": store.read_head().size,
            "put back": done.entries if done else 0,
            "source": done.source if done else "nobody had more than is here",
            "published blobs that nobody had": list(done.blobs_missing) if done else [],
            "read-only": str(stands) if stands else "no",
        }
        if options["json"]:
            self.stdout.write(json.dumps(answer, indent=1, sort_keys=True))
        else:
            self.stdout.writelines(f"{name}: {value}\n" for name, value in answer.items())
        if stands is not None:
            raise CommandError("The ledger is still read-only: docs/howto/restore-from-backup.md says what to do.")
