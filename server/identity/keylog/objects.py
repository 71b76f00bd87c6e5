"""Rule V17: whether a key could speak for an identity when it signed an object."""

from collections.abc import Mapping
from datetime import datetime, timedelta
from typing import Any

from server.identity.keylog import limits
from server.identity.keylog.errors import V17Object
from server.identity.keylog.replay import PolicyLog
from server.identity.keylog.rules import Version


def check_object(log: PolicyLog, *, scid: str, key: str, created: datetime, covered_at: datetime | None = None) -> Version:
    """The version under which ``key`` (a Multikey) signed an object of ``scid`` at ``created``. Raises V17Object.

    ``covered_at``: when an outbox head that covers the object was first seen. It is needed once the key has been
    removed, and must lie before the removal: else a stolen old key could date its forgeries back.
    """
    if scid != log.scid:
        raise V17Object("the object belongs to another identity")
    starts = [version.entry.time for version in log.versions]
    ends: list[datetime | None] = [*starts[1:], None]
    skew = timedelta(seconds=limits.CLOCK_SKEW_SECONDS)
    for version, start, end in reversed(list(zip(log.versions, starts, ends, strict=True))):
        if not may_assert(version.entry.state, key) or created < start - skew or (end is not None and created >= end):
            continue
        _check_cover(log, version, key, covered_at)
        return version
    raise V17Object


def _check_cover(log: PolicyLog, version: Version, key: str, covered_at: datetime | None) -> None:
    later = log.versions[version.entry.number :]
    removal = next((one for one in later if not may_assert(one.entry.state, key)), None)
    if removal is not None and (covered_at is None or covered_at >= removal.entry.time):
        raise V17Object("the key has been removed since, and no outbox head from before covers the object")


def may_assert(state: Mapping[str, Any], key: str) -> bool:
    """Whether the document lists ``key`` and lets it assert."""
    return any(one.get("publicKeyMultibase") == key for one in _asserting(state))


def asserting_key(state: Mapping[str, Any], method: str) -> str | None:
    """The Multikey that the document lists as ``method`` and lets assert; None where there is none."""
    keys = (one.get("publicKeyMultibase") for one in _asserting(state) if one.get("id") == method)
    return next((key for key in keys if isinstance(key, str)), None)


def _asserting(state: Mapping[str, Any]) -> list[Mapping[str, Any]]:
    methods, relation = state.get("verificationMethod"), state.get("assertionMethod")
    if not isinstance(methods, list) or not isinstance(relation, list):
        return []
    return [one for one in methods if isinstance(one, dict) and one.get("id") in relation]
