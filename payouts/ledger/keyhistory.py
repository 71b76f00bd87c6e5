"""Which ledger key was right at which size. A stolen old key signs nothing new, whatever time it claims: position decides."""

from collections.abc import Iterable
from dataclasses import dataclass

from payouts.ledger.entries import Entry
from payouts.ledger.note import VerifierKey
from payouts.ledger.rotation import InstanceKeys, key_after


@dataclass(frozen=True, slots=True)
class KeyHistory:
    """The ledger keys of one log: the first, and those that came by ``key.rotate`` entries, with the index of the entry."""

    first: VerifierKey
    later: tuple[tuple[int, VerifierKey], ...] = ()

    def at(self, size: int) -> VerifierKey:
        """The only key that may sign a head of ``size`` entries. For sizes beyond what is known: the newest."""
        current = self.first
        for index, key in self.later:
            # The head that contains the entry is the first one of the new key.
            if index < size:
                current = key
        return current

    @property
    def newest(self) -> VerifierKey:
        """The key in use."""
        return self.later[-1][1] if self.later else self.first


def history_of(keys: InstanceKeys, rotations: Iterable[Entry]) -> KeyHistory:
    """The history that a genesis and all ``key.rotate`` entries, in order, tell. Raises BadRotation."""
    current, later = keys.ledger, []
    for entry in rotations:
        current = key_after(keys, current, entry)
        later.append((entry.index, current))
    return KeyHistory(keys.ledger, tuple(later))
