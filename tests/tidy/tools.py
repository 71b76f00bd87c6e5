"""Find and run the validators of the deployment files. One that is missing fails the test and says what to install."""

import shutil
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent.parent
DEPLOY = ROOT / "deploy"


def find(name: str, package: str) -> str:
    """The path of a program: of the virtual environment first, then of the system."""
    places = [str(Path(sys.executable).parent), "/usr/local/sbin", "/usr/local/bin", "/usr/sbin", "/usr/bin", "/sbin", "/bin"]
    found = shutil.which(name, path=":".join(places))
    if found is None:
        pytest.fail(f"{name} not found: {package}")
    return found


def run(name: str, *arguments: str | Path, package: str, **options: object) -> subprocess.CompletedProcess[str]:
    """Run a program to its end, whatever it says."""
    argv = [find(name, package), *map(str, arguments)]
    return subprocess.run(argv, capture_output=True, text=True, timeout=120, check=False, **options)  # type: ignore[call-overload, no-any-return]


def broken(source: Path, target: Path, old: str, new: str) -> Path:
    """A copy of ``source`` in which ``old`` (which must be there) is ``new``: what a validator must refuse."""
    text = source.read_text()
    assert old in text, f"{source.name} no longer holds {old!r}"
    target.write_text(text.replace(old, new))
    return target
