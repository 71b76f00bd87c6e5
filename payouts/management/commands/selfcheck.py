"""``manage.py selfcheck``: hold the books and the log against every rule they must keep. The same runs every hour by itself."""

import argparse
import json
from typing import Any

from django.core.management.base import BaseCommand, CommandError

from payouts import selfcheck


class Command(BaseCommand):
    """Exit status 0: everything holds. 1: something does not; each problem is a line."""

    help = "Check every invariant of the books and of the log; exit 1 when one is broken"

    def add_arguments(self, parser: argparse.ArgumentParser) -> None:
        parser.add_argument("--full", action="store_true", help="look at everything, also at all that is old")
        parser.add_argument("--json", action="store_true", help="the report as JSON")

    def handle(self, *_args: Any, **options: Any) -> None:
        report = selfcheck.run(full=options["full"])
        if options["json"]:
            self.stdout.write(json.dumps(report.as_json(), indent=1, sort_keys=True))
        else:
            self.stdout.writelines(f"{problem}\n" for problem in report.problems)
            part = f"new from {report.since}, of the older {report.part[0]} to {report.part[1]}"
            looked_at = "all of it" if report.full else part
            self.stdout.write(f"{report.size} entries ({looked_at}), {len(report.problems)} problems, {report.seconds} s")
        if report.problems:
            raise CommandError("the ledger is not whole")
