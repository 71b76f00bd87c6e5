"""What happens between servers."""

from dataclasses import dataclass

from server.core.facts import Fact


@dataclass(frozen=True, kw_only=True)
class ActivityReceived(Fact):
    """A verified activity was stored and waits to be handled."""

    inbox_item_id: int
