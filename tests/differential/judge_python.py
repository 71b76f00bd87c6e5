"""Judge logs with PyPI did-webvh: one JSON object a line in (log, requested, witness), one verdict a line out.

Runs in an environment of its own (peers.py): the package needs libraries that we neither need nor want.
"""

import asyncio
import json
import sys
import tempfile
from pathlib import Path

from did_webvh.core.resolver import DidResolver, LocalHistoryResolver
from did_webvh.verify import WebvhVerifier


async def judge(case: dict, directory: Path) -> dict:
    log = directory / "did.jsonl"
    log.write_text(case["log"])
    witness = None
    if case.get("witness") is not None:
        witness = directory / "did-witness.json"
        witness.write_text(json.dumps(case["witness"]))
    try:
        verifier = WebvhVerifier(enforce_future_skew=True)
        found = await DidResolver(verifier).resolve(case["requested"], LocalHistoryResolver(log, witness))
    except Exception as error:  # noqa: BLE001 - a crash is a verdict too: it accepts nothing
        return {"accepted": False, "reason": f"crash: {type(error).__name__}: {error}"}
    if found.document is None:
        return {"accepted": False, "reason": json.dumps(found.resolution_metadata)}
    return {"accepted": True, "versionId": found.document_metadata["versionId"], "id": found.document["id"]}


async def main() -> None:
    with tempfile.TemporaryDirectory() as directory:
        for line in sys.stdin:
            print(json.dumps(await judge(json.loads(line), Path(directory))))


if __name__ == "__main__":
    asyncio.run(main())
