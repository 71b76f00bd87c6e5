"""Showing our heads to the witnesses, and collecting their cosignatures (C2SP tlog-witness, the log's side).

What the auditors of those who mirror us say of our settlements is collected too. All are asked at once, so that a dead one costs
nobody time; what they answer is written down afterwards, by one thread.
"""

import logging
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

from django.db import transaction

from payouts import instance_keys, may_sign, standing, witnesses
from payouts.facts import CheckpointSigned
from payouts.ledger.checkpoint import CHECKPOINT_BYTES_MAX, open_checkpoint
from payouts.ledger.entries import parse_entry
from payouts.ledger.errors import LedgerError
from payouts.ledger.fields import to_base64
from payouts.ledger.follower import proof_between
from payouts.ledger.keyhistory import KeyHistory
from payouts.ledger.note import NOTE_BYTES_MAX, VerifierKey, parse_vkey
from payouts.ledger.rotation import keys_of_genesis
from payouts.ledger.statement import keep_signatures
from payouts.ledger.witness import CONFLICT, OK
from payouts.mirror_files import name_of
from payouts.models import PeerLog, SignedHead, Witness
from payouts.store import DiskTiles, publish_checkpoint
from payouts.witnesses import ANSWER_BYTES_MAX, Door, Seen, WitnessUnclear
from server.core import clock, http, limits
from server.core.errors import TributaryError

logger = logging.getLogger(__name__)

ASKED_AT_ONCE_MAX = 8
SIZE_DIGITS_MAX = 19


@dataclass(frozen=True)
class Cosigned:
    """The line of a witness, not verified."""

    line: bytes


def push(fact: CheckpointSigned) -> None:
    """Show our newest head to the witnesses, at once. Idempotent; whoever does not answer is asked again by the chore."""
    push_head()


def push_head() -> None:
    """Ask every witness that has not cosigned our newest head to do so."""
    head = SignedHead.objects.order_by("-size").first()
    if head is None:
        return
    waiting = [row for row in witnesses.active() if f" {row.name} " not in head.cosignatures]
    for row, answer in zip(waiting, _ask_all(waiting, head), strict=True):
        try:
            _take(row, head, answer)
        except (LedgerError, TributaryError) as error:
            logger.warning("head not cosigned", extra={"witness": row.name, "error": f"{error.code}: {error}"})
            Witness.objects.filter(pk=row.pk).update(error=error.code)


def _ask_all(rows: Sequence[Witness], head: SignedHead) -> list[Cosigned | Seen | Exception]:
    origin, ours, note = instance_keys.origin(), instance_keys.ledger_keys(), bytes(head.note)

    def ask(door: Door, saw_size: int) -> Cosigned | Seen | Exception:
        try:
            return _show(door, head.size, note, min(saw_size, head.size), origin, ours)
        except (LedgerError, TributaryError) as error:
            return error

    with ThreadPoolExecutor(ASKED_AT_ONCE_MAX) as pool:
        return list(pool.map(ask, map(witnesses.door_of, rows), [row.saw_size for row in rows]))


def _show(door: Door, size: int, note: bytes, old: int, origin: str, ours: KeyHistory) -> Cosigned | Seen:
    answer = _post(door, size, note, old)
    known = _size_of(answer)
    if known is not None and known <= size and known != old:
        answer = _post(door, size, note, known)
    if (known := _size_of(answer)) is not None:
        # It knows more, or another root: what it shows must be our own note, or it is not believed.
        return _what_it_saw(door, known, origin, ours)
    if answer.status != OK:
        raise WitnessUnclear(f"status {answer.status} for our checkpoint: {answer.body[:100].decode('utf-8', 'replace')}")
    return Cosigned(answer.body)


def _size_of(answer: http.Answer) -> int | None:
    """The size that a witness says it has seen, if that is its answer."""
    said = answer.body.strip()
    return int(said) if answer.status == CONFLICT and said.isdigit() and len(said) <= SIZE_DIGITS_MAX else None


def _what_it_saw(door: Door, known: int, origin: str, ours: KeyHistory) -> Seen:
    if not door.monitoring_url:
        raise WitnessUnclear(f"{door.name} says that it has seen {known} entries, and does not show them")
    return witnesses.read_seen(door, origin, ours, wait_seconds_max=limits.FETCH_SECONDS_MAX)


def _post(door: Door, size: int, note: bytes, old: int) -> http.Answer:
    lines = [f"old {old}", *map(to_base64, proof_between(DiskTiles(), old, size)), "", ""]
    return http.post(
        f"{door.url}/add-checkpoint",
        headers={"Content-Type": "text/plain"},
        body="\n".join(lines).encode() + note,
        size_bytes_max=ANSWER_BYTES_MAX,
        wait_seconds_max=limits.DELIVERY_SECONDS_MAX,
    )


def _take(row: Witness, head: SignedHead, answer: Cosigned | Seen | Exception) -> None:
    if isinstance(answer, Exception):
        raise answer
    if isinstance(answer, Cosigned):
        _keep(row, head, answer.line)
    elif answer.signed is not None and answer.size > head.size:
        Witness.objects.filter(pk=row.pk, saw_size__lt=answer.size).update(saw_size=answer.size)
        newest = SignedHead.objects.order_by("-size").first()
        # Meanwhile we may have signed more ourselves, and somebody else showed it.
        if newest is not None and answer.size > newest.size:
            note = keep_signatures(answer.signed)
            standing.suspend(reason="set_back", here=newest.size, seen=answer.size, by=row.name, note=note)
        logger.error("the ledger was set back", extra={"here": head.size, "seen": answer.size, "by": row.name})
    elif answer.signed is not None and may_sign.root_at(answer.size) != answer.signed.checkpoint.root:
        note = keep_signatures(answer.signed)
        standing.suspend(reason="forked", here=head.size, seen=answer.size, by=row.name, note=note)
    else:
        raise WitnessUnclear(f"{row.name} refuses our head and shows no reason")


def _keep(row: Witness, head: SignedHead, line: bytes) -> None:
    """Add a witness's line to the note, if it verifies."""
    with transaction.atomic():
        _add(head, parse_vkey(row.vkey), line)
        Witness.objects.filter(pk=row.pk, saw_size__lt=head.size).update(saw_size=head.size)
        Witness.objects.filter(pk=row.pk).update(answered_at=clock.now(), error="")


@transaction.atomic
def _add(head: SignedHead, key: VerifierKey, line: bytes) -> None:
    """Add the line of a key to a head of ours. Raises WitnessUnclear, LedgerError for one that does not verify."""
    signed = open_checkpoint(
        bytes(head.note) + line, origin=instance_keys.origin(), log_keys=[instance_keys.ledger_keys().at(head.size)],
        cosigners=[key],
    )  # fmt: skip
    if not signed.note.signed_by(key):
        raise WitnessUnclear(f"The answer is not the cosignature of {key.name}.")
    stored = SignedHead.objects.select_for_update().get(size=head.size)
    if f" {key.name} " not in stored.cosignatures:
        stored.cosignatures += _only(line, key.name)
        stored.save(update_fields=["cosignatures"])
    if not SignedHead.objects.filter(size__gt=head.size).exists():
        publish_checkpoint(stored.full_note)


# --- auditors ---


def collect_audits() -> int:
    """Ask the instances that we follow what their auditors say of our log; how many words are new.

    An auditor's cosignature says that every close below the size came out equal. Who does not mirror us has nothing to say.
    """
    newest = SignedHead.objects.order_by("-size").first()
    if newest is None:
        return 0
    waiting, ours = [], name_of(instance_keys.origin())
    for peer in PeerLog.objects.filter(forked_at=None).order_by("pk"):
        key = keys_of_genesis(parse_entry(bytes(peer.genesis))).auditor
        if f" {key.name} " not in newest.cosignatures:
            waiting.append((peer, key))
    addresses = [f"{peer.url.rpartition('/ledger/')[0]}/ledger/peers/{ours}/mirrored" for peer, _ in waiting]
    with ThreadPoolExecutor(ASKED_AT_ONCE_MAX) as pool:
        answers = list(pool.map(_ask_mirror, addresses))
    found = 0
    for (peer, key), answer in zip(waiting, answers, strict=True):
        try:
            found += _take_audit(key, answer)
        except (LedgerError, TributaryError) as error:
            logger.warning("audit not taken", extra={"peer": peer.origin, "error": f"{error.code}: {error}"})
    return found


def _ask_mirror(address: str) -> bytes | TributaryError:
    try:
        answer = http.get(address, headers={}, size_bytes_max=NOTE_BYTES_MAX, wait_seconds_max=limits.CONNECT_SECONDS_MAX)
    except TributaryError as error:
        return error
    return answer.body if answer.status == OK else b""


def _take_audit(key: VerifierKey, answer: bytes | TributaryError) -> bool:
    """Keep the auditor's line on the head of ours that it is about. Whether there is one that was not known."""
    if isinstance(answer, TributaryError):
        raise answer
    line = _only(answer, key.name).encode()
    if not line:
        return False
    head = SignedHead.objects.filter(size=witnesses.size_of(answer)).first()
    # A head never grows beyond what a delivery can carry.
    if head is None or f" {key.name} " in head.cosignatures or len(head.full_note) + len(line) > CHECKPOINT_BYTES_MAX:
        return False
    _add(head, key, line)
    return True


def _only(answer: bytes, name: str) -> str:
    """The lines of this witness: whatever else it sent does not stand under our head."""
    return "".join(f"{line}\n" for line in answer.decode("utf-8", "replace").splitlines() if line.startswith(f"\u2014 {name} "))
