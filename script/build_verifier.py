"""Make ``tributary-verify.pyz``: ``python -m payouts.ledger`` as one file, the same bytes wherever it is made with the same zlib.

In it: the pure core of the ledger, the key log package, and the three pure packages they import, with their licences. Not in
it: PyNaCl, whose compiled part no Python loads out of a zip file; the file says so where PyNaCl is missing.
"""

import argparse
import importlib.metadata
import zipfile
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
OURS = [
    "payouts/__init__.py",
    "payouts/agreement.py",
    "server/__init__.py",
    "server/core/__init__.py",
    "server/identity/__init__.py",
]
OURS += [f"server/core/{name}.py" for name in ("canonical", "errors", "proofs")]
OURS += [
    f"payouts/{name}.py"
    for name in (
        "admission",
        "closes_again",
        "dispute_check",
        "dispute_document",
        "log_folder",
        "reexecution",
        "refusals",
        "splits",
    )
]
FOLDERS = ["payouts/algorithms", "payouts/ledger", "server/identity/keylog"]
PACKAGES = ["base58", "idna", "rfc8785"]

# Understood by every Python 3, so that the wrong one gets an answer and no traceback.
MAIN = """\
import sys

if sys.version_info < (3, 11):
    sys.stderr.write("This verifier needs Python 3.11 or newer; this is %d.%d.\\n" % sys.version_info[:2])
    sys.exit(2)
try:
    import nacl.bindings
except ImportError as error:
    sys.stderr.write(
        "This verifier needs PyNaCl, which is not installed here (%s).\\n"
        "It cannot be part of this file: its compiled half, libsodium, is a binary, and Python loads none out of a zip file.\\n"
        "Install it with one of\\n"
        "    %s -m pip install pynacl\\n"
        "    apt install python3-nacl\\n" % (error, sys.executable or "python3")
    )
    sys.exit(2)

from payouts.ledger.__main__ import main

sys.exit(main())
"""


def build(target: Path) -> Path:
    """Write the file; its path."""
    paths = [*OURS, *(str(one.relative_to(ROOT)) for folder in FOLDERS for one in (ROOT / folder).glob("*.py")), "LICENSE"]
    files = {path: (ROOT / path).read_bytes() for path in paths}
    for package in PACKAGES:
        files |= _take(package)
    files["__main__.py"] = MAIN.encode()
    target.parent.mkdir(parents=True, exist_ok=True)
    # What stdlib's zipapp makes, but in a fixed order and with a fixed time.
    with target.open("wb") as file:
        file.write(b"#!/usr/bin/env python3\n")
        with zipfile.ZipFile(file, "w", zipfile.ZIP_DEFLATED, compresslevel=9) as archive:
            for path, data in sorted(files.items()):
                archive.writestr(zipfile.ZipInfo(path), data, zipfile.ZIP_DEFLATED)
    target.chmod(0o755)
    return target


def _take(package: str) -> dict[str, bytes]:
    """A pure package and its licence, as it is installed."""
    found = {}
    for file in importlib.metadata.files(package) or []:
        path = Path(str(file))
        if path.parts[0] == package and path.suffix in (".py", ".typed"):
            found[path.as_posix()] = file.read_binary()
        elif "dist-info" in path.parts[0] and path.name.upper().startswith(("LICENSE", "COPYING")):
            found[f"licences/{package}-{path.name}"] = file.read_binary()
    return found


def main() -> None:
    """Build, and say where."""
    parser = argparse.ArgumentParser(prog="script/build-verifier", description=__doc__)
    parser.add_argument("file", nargs="?", type=Path, default=ROOT / "var" / "tributary-verify.pyz")
    target = build(parser.parse_args().file)
    print(f"{target}: {target.stat().st_size:,} bytes. Run it: python3 {target} verify FILE")


if __name__ == "__main__":
    main()
