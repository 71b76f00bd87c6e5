"""What happens to archives and imports. A turn is one slice of long work: each leads to the next, and an old one does nothing."""

from dataclasses import dataclass

from server.core.facts import Fact


@dataclass(frozen=True, kw_only=True)
class ArchiveTurn(Fact):
    """An archive is to be made a little further."""

    archive_id: int
    turn: int


@dataclass(frozen=True, kw_only=True)
class ArchiveMade(Fact):
    """An archive is whole and signed."""

    archive_id: int


@dataclass(frozen=True, kw_only=True)
class ImportTurn(Fact):
    """An import is to be taken a little further."""

    import_id: int
    turn: int


@dataclass(frozen=True, kw_only=True)
class CopyTurn(Fact):
    """A copy on a replica is to be brought up to date."""

    replica_id: int
    turn: int
