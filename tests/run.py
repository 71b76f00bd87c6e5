"""Run all tests, part by part, each with the real services it needs: ``script/test [--quick] [--long] [pytest arguments]``.

A part that cannot run fails with what is missing; nothing is skipped in silence.
"""

import argparse
import contextlib
import os
import random
import subprocess
import sys
import time
from pathlib import Path

from tests import services

ROOT = Path(__file__).resolve().parent.parent
DATABASE_TESTS = ["tests/server", "tests/federation", "tests/payouts"]
# name -> (folders, needs, workers)
PARTS: dict[str, tuple[list[str], list[str], int]] = {
    "pure": (["tests/pure", "tests/independent"], [], 2),
    "sqlite": ([*DATABASE_TESTS, "tests/sim"], [], 2),
    "postgresql": ([*DATABASE_TESTS, "tests/postgres"], ["postgres"], 2),
    "differential": (["tests/differential"], [], 0),
    "two_servers": (["tests/two_servers"], ["postgres", "redis"], 0),
    "browser": (["tests/browser"], [], 0),
    "tidy": (["tests/tidy"], [], 0),
}


def run_part(name: str, options: argparse.Namespace, seed: int) -> bool:
    """One pytest run. Returns whether it passed."""
    folders, needs, workers = PARTS[name]
    present = [folder for folder in folders if any((ROOT / folder).rglob("test_*.py"))]
    environment = {**os.environ, "PYTHONHASHSEED": "random"}
    argv = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", f"--randomly-seed={seed}"]
    if workers and not options.serial:
        argv += ["-n", str(workers), "--dist", "loadfile"]
    marks = [mark for mark, off in (("not slow", options.quick), ("not long", not options.long)) if off]
    argv += ["-m", " and ".join(marks)] if marks else []
    with contextlib.ExitStack() as stack:
        if "postgres" in needs:
            environment["TRIBUTARY_TEST_POSTGRES_URL"] = stack.enter_context(services.postgres())
        if "redis" in needs:
            environment["TRIBUTARY_TEST_REDIS_URL"] = stack.enter_context(services.redis())
        if name == "postgresql":
            environment["TRIBUTARY_DATABASE_URL"] = environment["TRIBUTARY_TEST_POSTGRES_URL"]
        started = time.monotonic()
        code = subprocess.run([*argv, *present, *options.rest], cwd=ROOT, env=environment, check=False).returncode
    print(f"== {name}: {'passed' if code == 0 else 'FAILED'} in {time.monotonic() - started:.0f} s (seed {seed})", flush=True)
    return code == 0


def main() -> None:
    """Run the parts named on the command line, or all of them."""
    parser = argparse.ArgumentParser(prog="script/test", description=__doc__)
    parser.add_argument("--quick", action="store_true", help="leave out tests that take more than five seconds")
    parser.add_argument("--long", action="store_true", help="also the full sizes")
    parser.add_argument("--serial", action="store_true", help="one process only")
    parser.add_argument("--part", choices=PARTS, action="append", help="only this part (may be repeated)")
    parser.add_argument("--seed", type=int, default=random.SystemRandom().randrange(2**31))
    options, options.rest = parser.parse_known_args()
    results = {name: run_part(name, options, options.seed) for name in options.part or PARTS}
    failed = [name for name, passed in results.items() if not passed]
    print("parts: " + ", ".join(f"{name} {'passed' if passed else 'FAILED'}" for name, passed in results.items()))
    sys.exit(1 if failed else 0)


if __name__ == "__main__":
    main()
