"""Following the key of another's log: every new entry is looked at, for only a ``key.rotate`` makes another key right.

What is pinned is the root in the genesis. A rotation that it did not sign is refused with the head that contains it; a head that
the old key signed beyond a rotation is refused too, whoever shows it and whatever time it claims.
"""

from payouts import pins
from payouts.ledger.checkpoint import SignedCheckpoint, parse_checkpoint
from payouts.ledger.entries import Entry, parse_entry
from payouts.ledger.errors import LedgerError, NoKnownSignature
from payouts.ledger.merkle import check_inclusion, prove_inclusion
from payouts.ledger.note import split_note
from payouts.ledger.rotation import ROTATE
from payouts.ledger.tiles import TileReader, TreeReader, read_entries
from payouts.models import PeerLog
from server.core.errors import TributaryError

# The size of a large instance's log; bundle by bundle, so memory stays small.
ENTRIES_READ_MAX = 2_000_000
_MARK = f'"type":"{ROTATE}"'.encode()


class TooFarBehind(TributaryError):
    """This log has grown by more than can be looked at for changes of its key."""

    code, status = "peer_too_far", 502


def open_newest(peer: PeerLog, note: bytes, reader: TileReader) -> SignedCheckpoint:
    """The newest head of a log, signed by the key that is right at its size.

    ``peer`` (the object, not yet its row) then knows the rotations up to it: they are stored with the pin. Raises LedgerError:
    BadRotation for one that the pinned root did not sign, NoKnownSignature for a head of another key.
    """
    try:
        size = pins.open_note(peer, note).checkpoint.size
    except NoKnownSignature:
        # Nobody's, or of a key that the entries make right: they are read to find out.
        size = parse_checkpoint(split_note(note)[0]).size
    fresh = _rotations_between(peer, size, reader)
    known = peer.rotations
    peer.rotations = known + "".join(f"{entry.data.decode()}\n" for entry in fresh)
    try:
        signed = pins.open_note(peer, note)
        nodes = TreeReader(reader, size)
        for entry in fresh:
            # The bundle that was read need not be the one that was signed.
            check_inclusion(entry.leaf, entry.index, size, prove_inclusion(nodes, entry.index, size), signed.checkpoint.root)
    except (LedgerError, TributaryError):
        peer.rotations = known
        raise
    peer.read_size = max(peer.read_size, size)
    return signed


def _rotations_between(peer: PeerLog, size: int, reader: TileReader) -> list[Entry]:
    if size <= peer.read_size:
        return []
    if size - peer.read_size > ENTRIES_READ_MAX:
        raise TooFarBehind(f"{size - peer.read_size} entries")
    found = []
    for index, data in enumerate(read_entries(reader, peer.read_size, size, size), start=peer.read_size):
        if _MARK in data:
            try:
                entry = parse_entry(data, origin=peer.origin, index=index)
            except LedgerError:
                # No entry at all: whoever replays the log says so. It changes no key.
                continue
            if entry.type == ROTATE:
                found.append(entry)
    return found
