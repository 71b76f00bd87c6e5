"""How long the world waits after a log entry: for payouts, and for what cannot be taken back."""

from collections.abc import Mapping
from datetime import datetime, timedelta

from server.identity.keylog.replay import PolicyLog, custody_of
from server.identity.keylog.rules import Version

UNDER_OWNER = timedelta(hours=72)
UNDER_SERVER = timedelta(days=7)


def payout_freeze(log: PolicyLog, number: int) -> timedelta:
    """How long payouts stay frozen after entry ``number``.

    An entry by a key of index above 0, or one that changes the person's key, freezes them for 72 hours; a change of the
    home key alone never does. Where a server holds the keys, before or after the entry, 7 days take the place of 72 hours.
    """
    before, version = _pair(log, number)
    if before is None:
        return timedelta(0)
    return _wait(before, version) if version.key_index or _user_keys(before) != _user_keys(version) else timedelta(0)


def effect_wait(log: PolicyLog, number: int) -> timedelta:
    """How long an effect outside that cannot be taken back (a Move to plain servers) waits after entry ``number``.

    Nothing for the key of highest priority, 72 hours (7 days under server custody) for every lower one.
    """
    before, version = _pair(log, number)
    return _wait(before, version) if before is not None and version.key_index else timedelta(0)


def payouts_frozen_until(log: PolicyLog, *, seen: Mapping[int, datetime]) -> datetime | None:
    """Until when payouts are frozen: at this very second they flow again. None when no entry ever froze them.

    ``seen`` gives for every entry from the second on when it was first seen *here*. A versionTime would not do: its
    signer chooses it, and a thief would date the entry back until the wait is over.
    A later entry never shortens an earlier one's freeze.
    """
    waits = {number: payout_freeze(log, number) for number in range(2, len(log.versions) + 1)}
    return max((seen[number] + wait for number, wait in waits.items() if wait), default=None)


def effects_held_until(log: PolicyLog, *, seen: Mapping[int, datetime]) -> datetime | None:
    """Until when effects outside that cannot be taken back wait; ``seen`` as in ``payouts_frozen_until``.

    What the key of highest priority has signed frees what lower keys did before it: the owner then knows and has spoken.
    """
    waits = {number: effect_wait(log, number) for number in range(2, len(log.versions) + 1)}
    spoken = max((number for number, wait in waits.items() if not wait), default=1)
    return max((seen[number] + wait for number, wait in waits.items() if number > spoken), default=None)


def _pair(log: PolicyLog, number: int) -> tuple[Version | None, Version]:
    return (log.versions[number - 2] if number > 1 else None), log.versions[number - 1]


def _wait(before: Version, version: Version) -> timedelta:
    held_by_owner = all(custody_of(one.entry.state) == "owner" for one in (before, version))
    return UNDER_OWNER if held_by_owner else UNDER_SERVER


def _user_keys(version: Version) -> frozenset[str]:
    """The keys that may authenticate: ``#user``, by whatever number. Compared by value, for ids change with a move."""
    state = version.entry.state
    methods, relation = state.get("verificationMethod"), state.get("authentication")
    if not isinstance(methods, list) or not isinstance(relation, list):
        return frozenset()
    return frozenset(str(one.get("publicKeyMultibase")) for one in methods if isinstance(one, dict) and one.get("id") in relation)
