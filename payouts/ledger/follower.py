"""Following another's log: a checkpoint once accepted is only ever extended."""

from collections.abc import Sequence
from typing import NamedTuple

from payouts.ledger.checkpoint import Checkpoint
from payouts.ledger.errors import BadTile, Inconsistent, LedgerError, WentBackwards, WrongOrigin
from payouts.ledger.merkle import EMPTY_ROOT, Hash, Proof, check_consistency, prove_consistency, tree_root
from payouts.ledger.tiles import TileReader, TreeReader


class Pin(NamedTuple):
    """The newest checkpoint that was accepted of a log."""

    origin: str
    size: int
    root: Hash


def first_pin(origin: str) -> Pin:
    """The pin of a log of which nothing was seen: every log begins empty."""
    return Pin(origin, 0, EMPTY_ROOT)


def advance(pin: Pin, newer: Checkpoint, proof: Sequence[Hash]) -> Pin:
    """The pin after a newer checkpoint, proven to extend it. The caller has verified the signature.

    Raises WrongOrigin; WentBackwards for a smaller size; Inconsistent when the proof fails, when a proof stands where none is
    needed, or when the same size comes with another root. The last is a fork in itself; keep both notes (see fork.py).
    """
    if newer.origin != pin.origin:
        raise WrongOrigin(f"{newer.origin[:200]}, not {pin.origin}")
    if newer.size < pin.size:
        raise WentBackwards(f"{newer.size} after {pin.size}")
    if newer.size == pin.size and newer.root != pin.root:
        raise Inconsistent(f"two roots at size {pin.size}")
    if pin.size in (0, newer.size):
        if proof:
            raise Inconsistent("a proof where none is needed")
    else:
        try:
            check_consistency(pin.size, pin.root, newer.size, newer.root, proof)
        except LedgerError as error:
            raise Inconsistent(f"{pin.size} to {newer.size}: {error.code}") from error
    return Pin(newer.origin, newer.size, newer.root)


def proof_between(reader: TileReader, old_size: int, new_size: int) -> Proof:
    """The proof that ``advance`` needs, made from the log's tiles; empty where none is needed.

    The tiles need not be trusted: a proof from wrong ones fails. Raises BadTile, BadTreeSize.
    """
    if old_size in (0, new_size):
        return ()
    return prove_consistency(TreeReader(reader, new_size), old_size, new_size)


def check_tiles(reader: TileReader, checkpoint: Checkpoint) -> None:
    """Refuse tiles whose right edge does not give the checkpoint's root. Raises BadTile."""
    if tree_root(TreeReader(reader, checkpoint.size), checkpoint.size) != checkpoint.root:
        raise BadTile(f"the tiles of size {checkpoint.size} do not give the checkpoint's root")


def quorum(witnesses: int, bad: int = 0) -> int:
    """How many of ``witnesses``, ``bad`` of which may lie, a reader must ask for: any two such quorums share an honest one."""
    return -(-(witnesses + bad + 1) // 2)
