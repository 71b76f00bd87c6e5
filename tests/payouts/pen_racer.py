"""One process with the pen in hand: ``python -m tests.payouts.pen_racer NAME COUNT`` appends so many entries, one by one."""

import os
import sys

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "server.settings")

import django

django.setup()
from hashlib import sha256

from payouts import log
from payouts.ledger.entries import Draft


def main() -> None:
    name, count = sys.argv[1], int(sys.argv[2])
    for number in range(count):
        entry_id = sha256(f"{name} {number}".encode()).hexdigest()[:32]
        (entry,) = log.append([Draft("shutdown", entry_id, {"reason": f"{name} {number}", "until": "2027-01-01T00:00:00Z"}, {})])
        sys.stdout.write(f"entry {entry.index}\n")
        sys.stdout.flush()


main()
