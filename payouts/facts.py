"""What happens to money and to the log."""

from dataclasses import dataclass

from server.core.facts import Fact


@dataclass(frozen=True, kw_only=True)
class CheckpointSigned(Fact):
    """Our log grew and its new head was signed."""

    size: int


@dataclass(frozen=True, kw_only=True)
class PeriodClosed(Fact):
    """The money of a period was shared."""

    period_id: int


@dataclass(frozen=True, kw_only=True)
class NoteHeard(Fact):
    """Somebody showed a checkpoint of a log that we follow, and it is not plain that it goes together with what we know."""

    heard_id: int
