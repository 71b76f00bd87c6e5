"""``script/bench NAME [--json]``: measure, print, and exit with 1 where a target is missed."""

import argparse
import importlib
import json
import sys

NAMES = {
    "identity": (
        "key logs verified, beside PyPI did-webvh; a hostile log refused; an archive made and imported, beside a copy; "
        "back from a dead home"
    ),
    "ledger": "append, proofs, witness, statements, a mirror of a million entries",
    "start": "a second start of the embedded server until /readyz answers",
    "work": "background tasks a second on one worker, beside the bare rows",
}


def main() -> None:
    """Run one bench."""
    parser = argparse.ArgumentParser(
        prog="script/bench", description="; ".join(f"{name}: {what}" for name, what in NAMES.items())
    )
    parser.add_argument("name", choices=NAMES)
    parser.add_argument("--json", action="store_true")
    options = parser.parse_args()
    measurements = importlib.import_module(f"bench.{options.name}").measure()
    if options.json:
        print(json.dumps([each.as_json() for each in measurements], indent=2))
    else:
        for each in measurements:
            verdict = "ok  " if each.ok else "MISS"
            print(f"{verdict} {each.metric:24} {each.value:>12,.2f} {each.unit:8} target {each.target:10} {each.reference}")
    sys.exit(0 if all(each.ok for each in measurements) else 1)


if __name__ == "__main__":
    main()
