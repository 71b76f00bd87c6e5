"""Every line and every branch of the pure core of the ledger is run by its own tests."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.tidy.docs import ROOT

# They flip bits by the ten thousand and reach no line that the others do not reach.
LEFT_OUT = "not (flipped and not signature) and not random_agreements and not 100_leaves and not odd_documents and not zip"


@pytest.mark.slow
def test_the_ledgers_pure_core_is_covered_whole(tmp_path: Path) -> None:
    files = sorted(str(path) for folder in ("pure", "payouts") for path in (ROOT / "tests" / folder).glob("test_ledger_*.py"))
    environment = {**os.environ, "COVERAGE_FILE": str(tmp_path / "coverage")}
    tests = ["-m", "pytest", "-q", "-p", "no:cacheprovider", "-m", "not slow and not long", "-k", LEFT_OUT, *files]
    for argv in (
        ["run", "--branch", "--source=payouts/ledger", *tests],
        ["report", "--show-missing", "--skip-covered", "--fail-under=100"],
    ):
        done = subprocess.run(
            [sys.executable, "-m", "coverage", *argv], cwd=ROOT, env=environment, capture_output=True, text=True, check=False
        )
        assert done.returncode == 0, done.stdout[-4000:]
