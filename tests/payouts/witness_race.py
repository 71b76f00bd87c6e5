"""One of two that ask the witness at the same moment: a process of its own, with its own connection to the database.

python -m tests.payouts.witness_race REQUEST-FILE START-FILE READY-FILE
"""

import sys
import time
from pathlib import Path

import django


def main(request: Path, start: Path, ready: Path) -> None:
    """Wait for the start, ask once, print the status and the body."""
    django.setup()
    from django.test import Client

    client = Client(HTTP_HOST="localhost:8000")
    # Everything is loaded and the connection is open before the race.
    client.get("/ledger/peers/none/checkpoint")
    body = request.read_bytes()
    ready.touch()
    while not start.exists():
        time.sleep(0.001)
    answer = client.post("/ledger/witness/add-checkpoint", body, content_type="text/plain")
    print(answer.status_code, answer["content-type"].partition(";")[0], answer.content.decode().strip(), sep="\t")


if __name__ == "__main__":
    main(*map(Path, sys.argv[1:]))
