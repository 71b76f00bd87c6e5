"""What happens to identities."""

from dataclasses import dataclass

from server.core.facts import Fact


@dataclass(frozen=True, kw_only=True)
class IdentityChanged(Fact):
    """A key log grew by one or more verified entries (or was first seen)."""

    scid: str
    version_id: str


@dataclass(frozen=True, kw_only=True)
class HomeMoved(Fact):
    """An identity whose home was this instance lives elsewhere now, by its own log."""

    scid: str
    old_actor_uri: str
    new_actor_uri: str


@dataclass(frozen=True, kw_only=True)
class LogAnnounced(Fact):
    """Somebody says that the log of a DID grew; it is fetched, for an identity that is kept here or wanted."""

    did: str


@dataclass(frozen=True, kw_only=True)
class CopyDue(Fact):
    """A replica lacks the newest version of the log of an identity that lives here."""

    copy_id: int


@dataclass(frozen=True, kw_only=True)
class HeadsDue(Fact):
    """A replica lacks outbox heads of an identity that lives here."""

    copy_id: int


@dataclass(frozen=True, kw_only=True)
class ForkFound(Fact):
    """The keys of an identity signed two histories; the evidence is new here."""

    fork_id: int


@dataclass(frozen=True, kw_only=True)
class ForkDue(Fact):
    """An instance is to be shown the evidence of a fork."""

    fork_id: int
    origin: str
