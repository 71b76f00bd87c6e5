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
