"""May the pen sign a head that extends the present one? Only if nobody was shown more than is here, or something else.

Asked in this order, the cheap before the dear:

    1. not suspended          a doubt that was found before is still there
    2. this machine           it never signed more than the head says: else an older folder was put back
    3. the witnesses' rows    they never cosigned more than the head says: else folder and mark were put back
    4. the witnesses          two of them are asked for the newest head they saw of us
    5. the silent case        nobody answered: only where this machine signed the head itself, and ran ever since

A witness that is dead is shown and stops nothing. Witnesses that are *all* silent stop the pen only where something may have been
forgotten (docs/adr/0016). Without any witness the first two questions are all there is, and statements say "unwitnessed".
"""

from payouts import standing, witnesses
from payouts.ledger.merkle import tree_root
from payouts.ledger.statement import keep_signatures
from payouts.ledger.tiles import TreeReader
from payouts.models import Witness
from payouts.standing import LogReadOnly, LogUnconfirmed
from payouts.store import DiskTiles, HeadCell
from payouts.witnesses import Seen


def check(head: HeadCell) -> None:
    """Return when the head may be extended. Raises LogReadOnly, LogUnconfirmed."""
    standing.require_writable()
    here = standing.signed_here()
    if here > head.size:
        raise standing.suspend(reason="set_back", here=head.size, seen=here, by="this machine")
    if head.size == 0:
        return
    _check_rows(head)
    heard = [seen for seen in witnesses.ask(head) if _is_heard(seen, head)]
    if not heard and not standing.is_same_run() and witnesses.active():
        raise LogUnconfirmed


def _check_rows(head: HeadCell) -> None:
    ahead = Witness.objects.filter(saw_size__gt=head.size).order_by("-saw_size").first()
    if ahead is not None:
        raise standing.suspend(reason="set_back", here=head.size, seen=ahead.saw_size, by=ahead.name)


def _is_heard(seen: Seen, head: HeadCell) -> bool:
    """Does this answer vouch for the head? Raises LogReadOnly when it shows more than is here, or something else."""
    if seen.signed is None:
        if seen.size > head.size or seen.contradicts:
            # It shows no note. To sign now could be a fork, to stop for good would give it power: so only this time.
            raise LogReadOnly(
                f"{seen.door.name} says, without proof, that it saw {seen.size} entries of this ledger or another root, "
                f"and here are {head.size}. If it is wrong, stop asking it."
            )
        return not Witness.objects.filter(name=seen.door.name, saw_size__gt=seen.size).exists()
    note, size = keep_signatures(seen.signed), seen.size
    if size > head.size:
        raise standing.suspend(reason="set_back", here=head.size, seen=size, by=seen.door.name, note=note)
    if root_at(size) != seen.signed.checkpoint.root:
        raise standing.suspend(reason="forked", here=head.size, seen=size, by=seen.door.name, note=note)
    # A witness that forgot what it saw vouches for nothing.
    return not Witness.objects.filter(name=seen.door.name, saw_size__gt=size).exists()


def root_at(size: int) -> bytes:
    """The root of our log when it had ``size`` entries, from its tiles. Raises BadTile."""
    return tree_root(TreeReader(DiskTiles(), size), size)
