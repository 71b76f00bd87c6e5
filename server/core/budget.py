"""How often strangers may make us do something: counters in the cache, which may be lost without harm.

When the cache cannot be reached, everything is allowed: the limits protect others from us, they are not a lock.
"""

import logging
from collections.abc import Callable

from django.conf import settings
from django.core.cache import cache

log = logging.getLogger(__name__)


def once(name: str, seconds: int) -> bool:
    """True for the first who asks under ``name`` within ``seconds``."""
    return _ask(lambda: bool(cache.add(f"once:{name}", 1, seconds)), otherwise=True)


def spend(name: str, *, per_minute_max: int) -> bool:
    """True while ``name`` was asked for at most ``per_minute_max`` times in this minute."""

    def count() -> bool:
        cache.add(f"spent:{name}", 0, 60)
        try:
            return cache.incr(f"spent:{name}") <= per_minute_max
        except ValueError:  # it expired between the two calls
            return True

    return _ask(count, otherwise=True)


def remember(name: str, seconds: int) -> None:
    """``is_remembered(name)`` is True for ``seconds``."""
    _ask(lambda: bool(cache.add(f"remembered:{name}", 1, seconds)), otherwise=True)


def is_remembered(name: str) -> bool:
    """Was ``name`` remembered lately?"""
    return _ask(lambda: cache.get(f"remembered:{name}") is not None, otherwise=False)


def _ask(question: Callable[[], bool], *, otherwise: bool) -> bool:
    try:
        return question()
    except _cannot_be_reached():
        log.warning("cache not reached", exc_info=True)
        return otherwise


def _cannot_be_reached() -> tuple[type[Exception], ...]:
    """What a lost cache raises. The client of Redis is only loaded where it is in use."""
    if not settings.REDIS_URL:
        return (OSError,)
    from redis.exceptions import RedisError

    return (RedisError, OSError)
