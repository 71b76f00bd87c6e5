"""Rule V15: what we have seen of an identity is only ever extended."""

from collections.abc import Iterable

from server.identity.keylog.entries import version_number
from server.identity.keylog.errors import V15Fork, V15Stale
from server.identity.keylog.replay import PolicyLog


def check_pin(log: PolicyLog, *, pinned: Iterable[str]) -> None:
    """Raises V15Fork or V15Stale unless ``log`` contains every pinned versionId at its place.

    ``pinned``: the versionIds seen before, all of them or the newest alone. A fork is named at its lowest pinned place
    that differs; a log that is merely too short is stale.
    """
    version_ids = log.version_ids
    known = {version_number(version_id): version_id for version_id in pinned}
    for number in sorted(known):
        if number <= len(version_ids) and version_ids[number - 1] != known[number]:
            raise V15Fork(number=number)
    if known and max(known) > len(version_ids):
        raise V15Stale
