"""Requests of running servers, as they came over the wire (``tests/federation/captures``)."""

import json
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from federation.wire.signatures import Message

FOLDER = Path(__file__).parent.parent / "federation" / "captures"


def load(name: str) -> dict[str, Any]:
    return json.loads((FOLDER / f"{name}.json").read_text())


def message(name: str) -> Message:
    """A captured delivery."""
    capture = load(name)
    headers = capture.get("headers_after_nginx") or capture["headers"]
    return Message(
        method="POST",
        target=urlsplit(capture["to_url"]).path,
        headers={key.lower(): value for key, value in headers},
        body=capture["raw_body"].encode(),
    )


def moment(name: str) -> datetime:
    return datetime.fromtimestamp(load(name)["received_unix"], UTC)
