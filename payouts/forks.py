"""Conviction: a log that signed two histories, the proof that anyone checks, and what we do about it.

What is done by itself is small and safe: nothing of the log is cosigned or believed any more, money is not counted on, both
histories are kept. Everything further is for people (docs/howto/when-a-fork-is-found.md).
"""

import logging
from collections.abc import Sequence

from payouts import pins
from payouts.ledger.checkpoint import SignedCheckpoint
from payouts.ledger.tiles import TileReader
from payouts.mirror_files import name_of
from payouts.models import PeerLog
from payouts.refusals import LogForked
from server.core import clock
from server.core.errors import NotFound, WrongState

logger = logging.getLogger(__name__)


def convict(peer: PeerLog, signed: SignedCheckpoint, reader: TileReader) -> bool:
    """Keep a note that contradicts the pin, with the proof. Whether the log is convicted; else the tiles do not show it."""
    pins.keep_both(peer, signed, reader)
    peer.refresh_from_db()
    if peer.forked_at is not None:
        logger.error("a ledger has forked", extra={"peer": peer.origin, "proof": f"/ledger/forks/{name_of(peer.origin)}"})
    return peer.forked_at is not None


def proof(digest: str) -> bytes:
    """The fork proof of the log whose origin has this SHA-256. Raises NotFound."""
    for peer in PeerLog.objects.exclude(forked_at=None):
        if name_of(peer.origin) == digest and peer.fork_proof:
            return bytes(peer.fork_proof)
    raise NotFound("No fork of this log is known here.")


def convicted() -> list[PeerLog]:
    """The logs that forked, newest first."""
    return list(PeerLog.objects.exclude(forked_at=None).order_by("-forked_at"))


def unread() -> Sequence[PeerLog]:
    """The convictions that nobody has acknowledged yet: the staff pages warn of them."""
    return [peer for peer in convicted() if peer.fork_acknowledged_at is None]


def check_not_frozen(origin: str) -> None:
    """Refuse to rest money on a log that forked: no credit, no agreement, no claim. Raises LogForked."""
    if PeerLog.objects.filter(origin=origin).exclude(forked_at=None).exists():
        raise LogForked(origin)


def acknowledge(peer: PeerLog, *, by: str) -> PeerLog:
    """A person has read the conviction. The log stays frozen: a key that signed two histories is never trusted again.

    Raises WrongState for a log that did not fork.
    """
    changed = PeerLog.objects.filter(pk=peer.pk, fork_acknowledged_at=None).exclude(forked_at=None)
    if not changed.update(fork_acknowledged_by=by, fork_acknowledged_at=clock.now()):
        raise WrongState("There is no conviction that waits to be read.")
    peer.refresh_from_db()
    return peer
