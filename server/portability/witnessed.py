"""What others saw of an identity, as it lies in an archive: receipts of its replicas, and the chain of its outbox heads. Pure.

Neither says when this archive was first seen: that only somebody can say who saw it (``unpacking.first_seen``).
"""

from collections.abc import Iterable
from datetime import datetime

from server.core import canonical
from server.identity import keylog
from server.identity.keylog import PolicyLog
from server.identity.keylog.heads import HeadRefused
from server.identity.receipts import ReceiptRefused, read_unproven
from server.portability.errors import BadPart, ForeignIdentity
from server.portability.posts import parse


def check_receipts(lines: Iterable[bytes], *, scid: str) -> int:
    """How many receipts about ``scid`` there are. Their signatures are the replicas' to show. Raises BadPart, ForeignIdentity."""
    count = 0
    for line in lines:
        try:
            receipt = read_unproven(parse(line))
        except ReceiptRefused as error:
            raise BadPart(f"A receipt is none: {error}") from error
        if receipt.scid != scid:
            raise ForeignIdentity("A receipt in the archive is about somebody else.")
        count += 1
    return count


def check_heads(lines: Iterable[bytes], *, log: PolicyLog, now: datetime) -> int:
    """How many heads there are, each signed by a home key of ``log`` and chained to one before. Raises BadPart."""
    known: dict[str, int] = {}
    for line in lines:
        document = parse(line)
        try:
            # What it says of its time is believed here, for nothing follows from it.
            head = keylog.verify_head(document, log=log, now=now, seen_at=canonical.parse_time(document["created"]))
        except (HeadRefused, KeyError, TypeError, ValueError) as error:
            raise BadPart(f"An outbox head is none: {error}") from error
        if known and head.seq > 1 and known.get(head.prev) != head.seq - 1:
            raise BadPart(f"Outbox head {head.seq} follows none that is in the archive.")
        known[head.digest] = head.seq
    return len(known)
