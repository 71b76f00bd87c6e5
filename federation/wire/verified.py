"""The type of what was checked. Pure.

A function that needs a checked value takes ``Verified[T]``; handing it an unchecked one does not type-check. Only
``signatures.verify`` and ``proving.verify`` make one, and ``inbox.restore`` for a row that ``inbox.accept`` let in (a test
looks for others).
"""

from collections.abc import Callable
from typing import Final, Generic, TypeVar

T_co = TypeVar("T_co", covariant=True)
U = TypeVar("U")


class Seal:
    """The right to call something verified."""


SEAL: Final = Seal()


class Verified(Generic[T_co]):
    """A value whose sender was authenticated."""

    __slots__ = ("_value",)

    def __init__(self, value: T_co, *, seal: Seal) -> None:
        if seal is not SEAL:
            raise TypeError("only a verifier makes a Verified value")
        self._value = value

    @property
    def value(self) -> T_co:
        """What was checked."""
        return self._value

    def narrow(self, change: Callable[[T_co], U]) -> "Verified[U]":
        """The part or the reading of the value that ``change`` makes; what is read out of checked bytes is checked."""
        return Verified(change(self._value), seal=SEAL)
