"""``manage.py ledger_keys show|rotate``: the keys of the ledger."""

import argparse
import json
from pathlib import Path
from typing import Any

from django.core.management.base import BaseCommand, CommandError

from payouts import instance_keys, key_rotation
from payouts.ledger.errors import LedgerError
from server.core.errors import TributaryError

ROOT_BYTES_MAX = 1024


class Command(BaseCommand):
    """Show which key signs the ledger, and change it with the offline root."""

    help = "The ledger's keys: ledger_keys show|rotate --root FILE [--json]"

    def add_arguments(self, parser: argparse.ArgumentParser) -> None:
        verbs = parser.add_subparsers(dest="verb", required=True)
        verbs.add_parser("show", help="the ledger keys, from which size on each signs")
        rotate = verbs.add_parser("rotate", help="sign with a new key from now on")
        rotate.add_argument("--root", type=Path, required=True, help="the file instance_root, from offline")
        for one in verbs.choices.values():
            one.add_argument("--json", action="store_true", help="the answer as JSON")

    def handle(self, *_args: Any, **options: Any) -> None:
        try:
            answer = self._rotate(options["root"]) if options["verb"] == "rotate" else self._show()
        except (TributaryError, LedgerError) as error:
            raise CommandError(f"{error.code}: {error}") from error
        if options["json"]:
            self.stdout.write(json.dumps(answer, indent=1, sort_keys=True))
        else:
            self.stdout.writelines(f"{name}: {value}\n" for name, value in answer.items())

    def _show(self) -> dict[str, Any]:
        history = instance_keys.ledger_keys()
        later = {f"from size {index + 1}": str(key) for index, key in history.later}
        return {"origin": instance_keys.origin(), "from size 1": str(history.first), **later}

    def _rotate(self, path: Path) -> dict[str, Any]:
        try:
            seed = bytes.fromhex(path.read_text()[:ROOT_BYTES_MAX].strip())
        except (OSError, ValueError) as error:
            raise CommandError(f"{path} is no key file: {error}") from error
        rotated = key_rotation.rotate_ledger_key(root_seed=seed)
        return {
            "entry": rotated.index,
            "old": str(rotated.old),
            "new": str(rotated.new),
            "next": "back up the secrets directory now, and tell witnesses that do not follow your ledger the new key",
        }
