"""Numeric ids sortable by time, as Mastodon's clients expect: 48 bits of milliseconds, 16 bits that tell neighbours apart."""

import secrets

from server.core import clock

RANDOM_BITS = 16


def make_id() -> int:
    """A new positive 63-bit id; later ids are larger to the millisecond. Collisions are refused by the primary key."""
    milliseconds = int(clock.now().timestamp() * 1000)
    return (milliseconds << RANDOM_BITS) | secrets.randbits(RANDOM_BITS)
