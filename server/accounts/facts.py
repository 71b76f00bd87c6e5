"""What happens to accounts and between them."""

from dataclasses import dataclass

from server.core.facts import Fact


@dataclass(frozen=True, kw_only=True)
class FollowRequested(Fact):
    """A local account asked to follow a remote one."""

    follow_id: int


@dataclass(frozen=True, kw_only=True)
class FollowAnswered(Fact):
    """A local account accepted or rejected the follow of a remote one. The row may be gone after a rejection."""

    target_id: int
    follower_id: int
    follow_uri: str
    accepted: bool


@dataclass(frozen=True, kw_only=True)
class FollowWithdrawn(Fact):
    """A local account no longer follows a remote one; the row is gone."""

    follower_id: int
    target_id: int
    follow_uri: str


@dataclass(frozen=True, kw_only=True)
class AccountUpdated(Fact):
    """A local profile changed."""

    account_id: int


@dataclass(frozen=True, kw_only=True)
class AccountDeleted(Fact):
    """A local account was closed."""

    account_id: int


@dataclass(frozen=True, kw_only=True)
class AccountArrived(Fact):
    """An identity that lived at ``old_uri`` lives in this local account now."""

    account_id: int
    old_uri: str


@dataclass(frozen=True, kw_only=True)
class AccountMoved(Fact):
    """A local account is a signpost to ``new_uri`` now: its followers may be told."""

    old_uri: str
    new_uri: str


@dataclass(frozen=True, kw_only=True)
class MoveSigned(Fact):
    """The owner of a local account signed the Move of her former one, to be sent to servers without key logs."""

    signed_move_id: int


@dataclass(frozen=True, kw_only=True)
class FollowersKnown(Fact):
    """Those who followed a local account at its former home are to be told where it is."""

    account_id: int


@dataclass(frozen=True, kw_only=True)
class PostsMoved(Fact):
    """Posts of earlier homes of a local account stand here now, under new ids."""

    account_id: int
    old_actor_uri: str
    # (old id, new id) of each.
    moved: list[list[str]]
    # Nothing will follow.
    is_complete: bool
