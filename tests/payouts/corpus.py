"""Run ``tests/vectors/golden/verifier.json`` through the verifier that is first on the path, and print what it said of each case.

python corpus.py FOLDER    one JSON line per case: [name, exit status, report]
"""

import contextlib
import io
import json
import sys
import tempfile
from base64 import b64decode
from pathlib import Path
from typing import Any


def data_of(case: dict[str, Any], folder: Path) -> bytes:
    """The bytes of the file that a case is about."""
    if "base64" in case:
        return b64decode(case["base64"])
    path, kind, place = case["from"]
    vector = json.loads((folder / path).read_text())[kind][place]
    data = bytearray(b64decode(vector["base64"]) if "base64" in vector else vector["text"].encode())
    if "flip" in case:
        data[case["flip"] // 8] ^= 1 << case["flip"] % 8
    return bytes(data)


def arguments_of(case: dict[str, Any], folder: Path, passing: Path) -> list[str]:
    """The command line of a case, its files written into ``passing``."""
    file, policy = passing / "file", passing / "policy"
    file.write_bytes(data_of(case, folder))
    more = [word for key in case.get("keys", []) for word in ("--key", key)]
    if "policy" in case:
        policy.write_bytes(case["policy"].encode())
        more += ["--policy", str(policy)]
    return [case["run"], str(file), "--json", *more]


def main() -> None:
    """Judge every case."""
    from payouts.ledger.__main__ import main as judge

    folder = Path(sys.argv[1])
    with tempfile.TemporaryDirectory() as name:
        for case in json.loads((folder / "verifier.json").read_text())["cases"]:
            said = io.StringIO()
            with contextlib.redirect_stdout(said):
                status = judge(arguments_of(case, folder, Path(name)))
            print(json.dumps([case["name"], status, json.loads(said.getvalue())]))


if __name__ == "__main__":
    main()
