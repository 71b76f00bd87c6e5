"""The two implementations of did:webvh that others use, installed once into var/peers and asked for their verdicts.

They judge our logs in tests and in the bench and are part of neither the server nor its environment.
"""

import fcntl
import hashlib
import json
import os
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import Any

HERE = Path(__file__).resolve().parent
CACHE = Path(os.environ.get("TRIBUTARY_PEERS_DIR", HERE.parent.parent / "var" / "peers"))
NPM, PYPI = "didwebvh-ts", "did-webvh"
JUDGE_SECONDS_MAX = 300


class PeerMissing(Exception):
    """The other implementation cannot be installed here; the message says what to do."""


def judge(name: str, cases: Iterable[Mapping[str, Any]]) -> list[dict[str, Any]]:
    """The verdicts of ``NPM`` or ``PYPI`` about ``cases`` (``log``, ``requested``, perhaps ``witness``), in their order."""
    lines = [json.dumps(case) for case in cases]
    done = subprocess.run(
        argv(name), input="\n".join(lines) + "\n", capture_output=True, text=True, timeout=JUDGE_SECONDS_MAX, check=False
    )
    verdicts = [json.loads(line) for line in done.stdout.splitlines()]
    if done.returncode != 0 or len(verdicts) != len(lines):
        raise RuntimeError(f"{name} gave {len(verdicts)} verdicts for {len(lines)} logs: {done.stderr[-2_000:]}")
    return verdicts


def argv(name: str) -> list[str]:
    """The command that judges; installs the package first where it is not here yet. Raises PeerMissing."""
    if name == NPM:
        folder = _cached(name, [HERE / "package.json", HERE / "package-lock.json", HERE / "judge.mjs"], _npm)
        return [_program("node", "nodejs"), str(folder / "judge.mjs")]
    folder = _cached(name, [HERE / "requirements.lock"], _pypi)
    return [str(folder / "bin" / "python"), str(HERE / "judge_python.py")]


def _cached(name: str, sources: list[Path], install: Callable[[Path], None]) -> Path:
    """A folder for exactly these versions; several test processes may ask at once."""
    digest = hashlib.sha256(b"".join(path.read_bytes() for path in sources)).hexdigest()[:16]
    folder = CACHE / f"{name}-{digest}"
    CACHE.mkdir(parents=True, exist_ok=True)
    with (CACHE / f"{name}.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not (folder / ".installed").exists():
            shutil.rmtree(folder, ignore_errors=True)
            print(f"Installing {name} into {folder} (once)...", file=sys.stderr)
            install(folder)
            (folder / ".installed").touch()
    return folder


def _npm(folder: Path) -> None:
    folder.mkdir()
    for name in ("package.json", "package-lock.json", "judge.mjs"):
        shutil.copy(HERE / name, folder / name)
    # Nothing a package brings along is run while it is installed.
    _run([_program("npm", "npm"), "ci", "--ignore-scripts", "--no-audit", "--no-fund"], folder)


def _pypi(folder: Path) -> None:
    _run([sys.executable, "-m", "venv", str(folder)], CACHE)
    lock = HERE / "requirements.lock"
    _run(
        [str(folder / "bin" / "pip"), "install", "--quiet", "--disable-pip-version-check", "--require-hashes", "-r", str(lock)],
        CACHE,
    )


def _program(name: str, package: str) -> str:
    found = shutil.which(name)
    if found is None:
        raise PeerMissing(f"{name} is not here. Install it: script/test-services, or your system's package {package}.")
    return found


def _run(command: list[str], folder: Path) -> None:
    done = subprocess.run(command, cwd=folder, capture_output=True, text=True, timeout=600, check=False)
    if done.returncode != 0:
        raise PeerMissing(f"{' '.join(command[:3])} failed: {done.stdout[-1_000:]}{done.stderr[-1_000:]}")
