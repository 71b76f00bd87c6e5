"""Who cosigns our heads, how many are enough, and what they last saw of our log.

A witness is asked in two ways: where it says what it has seen (a monitoring address), the head is read there; else our present
head is shown to it again, and its answer says the same. Nothing but a note that we signed ourselves is believed.
"""

import logging
import time
from collections.abc import Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from hashlib import sha256

from django.conf import settings
from django.db import transaction

from payouts import instance_keys, standing
from payouts.ledger.checkpoint import SignedCheckpoint, open_checkpoint, parse_checkpoint
from payouts.ledger.errors import LedgerError
from payouts.ledger.keyhistory import KeyHistory
from payouts.ledger.note import COSIGNATURE, NOTE_BYTES_MAX, VerifierKey, parse_vkey, split_note
from payouts.ledger.policy import host_of
from payouts.ledger.witness import CONFLICT, NOT_FOUND, OK
from payouts.models import PeerLog, Witness, WitnessPolicy
from payouts.store import HeadCell
from server.core import http, limits
from server.core.errors import Conflict, Invalid, TributaryError
from server.core.reach import TooSlow, Unreachable

logger = logging.getLogger(__name__)

# Two are asked before each signature, or as many as there are.
ASKED = 2
ROUNDS_MAX = 2
# The pen waits, with the database's lock in hand: no longer than this for each round.
ASK_SECONDS_MAX = 2.0
# Who did not answer is left in peace by the pen for so long; the chore that shows our heads goes on trying.
SILENT_SECONDS = 60.0
# Who did not even answer the chore: nobody waits for it with a lock in hand until it does.
UNHEARD = (Unreachable.code, TooSlow.code)
# An answer is good for a burst of appends of one process: it stays true unless another machine signs meanwhile.
ANSWER_SECONDS = 10.0
ANSWER_BYTES_MAX = 16 * limits.KIB
WITNESSES_MAX = 32
# What a ``policy.witness`` entry has room for.
POLICY_CHARACTERS_MAX = 3000


class WitnessUnclear(TributaryError):
    """The witness did not answer as a witness does."""

    code, status = "witness_unclear", 502


@dataclass(frozen=True)
class Door:
    """Where a witness is asked, as a value: threads that wait for the network touch no database."""

    name: str
    url: str
    monitoring_url: str


@dataclass(frozen=True)
class Seen:
    """What a witness last saw of our log. ``signed`` is our own note; None where it has seen nothing, or only says a size."""

    door: Door
    size: int
    signed: SignedCheckpoint | None = None
    # It says that it has seen another root at the size of our present head.
    contradicts: bool = False


def active() -> list[Witness]:
    """The witnesses that the administrator picked; an instance whose log forked is none."""
    rows = Witness.objects.filter(is_active=True).select_related("peer").order_by("name")
    return [row for row in rows if row.peer is None or row.peer.forked_at is None]


def keys() -> list[VerifierKey]:
    """The keys of all witnesses, also of those that are not asked any more: old cosignatures stay good."""
    return [parse_vkey(vkey) for vkey in Witness.objects.order_by("name").values_list("vkey", flat=True)]


def quorum() -> int:
    """How many cosignatures make one of our heads witnessed, by the administrator's choice; one if there is no choice."""
    newest = WitnessPolicy.objects.order_by("-pk").first()
    return newest.quorum if newest is not None else min(1, len(active()))


def policy() -> str:
    """Our policy as C2SP tlog-policy: what a reader who trusts our choice of witnesses asks of a head."""
    rows = active()
    lines = [f"log {instance_keys.ledger_keys().newest}", *(f"witness {row.name} {row.vkey}" for row in rows)]
    least = quorum()
    if 0 < least <= len(rows):
        lines += [f"group witnesses {least} {' '.join(row.name for row in rows)}", "quorum witnesses"]
    else:
        lines.append("quorum none")
    return "".join(f"{line}\n" for line in lines)


def fits_an_entry(text: str) -> bool:
    """Can this policy be written into the log?"""
    return len(text) <= POLICY_CHARACTERS_MAX and text.isascii()


def find_problems() -> list[str]:
    """What is wrong with the choice of witnesses, in words for the administrator."""
    rows, least = active(), quorum()
    hosts = {host_of(row.name) for row in rows}
    problems = []
    if not rows:
        problems.append("unwitnessed: nobody else vouches for this ledger. Follow the ledger of another instance.")
    if least > len(hosts):
        problems.append(
            f"{least} cosignatures are asked for, and there are {len(hosts)} witnesses: no head will ever be witnessed"
        )
    if rows and not least:
        problems.append("there are witnesses, and the policy asks for none")
    if not fits_an_entry(policy()):
        problems.append("the policy is too long for an entry, or names a witness in other letters than ASCII: it is not logged")
    return problems


def add(*, vkey: str, url: str, monitoring_url: str = "", peer: PeerLog | None = None) -> Witness:
    """Pick a witness. Idempotent for the same key. Raises Invalid, Conflict for a name that has another key."""
    try:
        key = parse_vkey(vkey.strip())
    except LedgerError as error:
        raise Invalid(f"This is no verifier key: {error.code}.", field="vkey") from error
    if key.algorithm != COSIGNATURE:
        raise Invalid("This key signs logs; a witness has a cosignature key (type 04).", field="vkey")
    if host_of(key.name) == settings.HOST:
        raise Invalid("Nobody is her own witness.", field="vkey")
    for field, address in (("url", url), ("monitoring_url", monitoring_url)):
        if address or field == "url":
            try:
                http.check(address)
            except TributaryError as error:
                raise Invalid(str(error), field=field) from error
    known = Witness.objects.filter(name=key.name).first()
    if known is not None and known.vkey != str(key):
        raise Conflict(f"{key.name} is known with another key.")
    is_room = Witness.objects.filter(is_active=True).count() < WITNESSES_MAX
    if known is None and peer is None and not is_room:
        raise Invalid(f"At most {WITNESSES_MAX} witnesses.")
    made, _ = Witness.objects.get_or_create(
        name=key.name,
        defaults={
            "vkey": str(key), "url": url.rstrip("/"), "monitoring_url": monitoring_url.rstrip("/"), "peer": peer,
            # A followed instance beyond the limit is listed; staff may take it in place of another.
            "is_active": is_room,
        },
    )  # fmt: skip
    return made


@transaction.atomic
def set_active(*, witness: Witness, is_active: bool) -> None:
    """Ask this witness, or ask it no more."""
    Witness.objects.filter(pk=witness.pk).update(is_active=is_active)
    forget_answers()


def set_quorum(*, quorum: int, by: str) -> WitnessPolicy:
    """Say how many cosignatures make a head witnessed. Raises Invalid for more than there are witnesses."""
    if not 0 <= quorum <= len(active()):
        raise Invalid(f"There are {len(active())} witnesses.", field="quorum")
    return WitnessPolicy.objects.create(quorum=quorum, set_by=by)


# --- what they saw ---

# (log, witness) -> when this process heard from it, or did not.
_answers: dict[tuple[str, str], tuple[float, Seen]] = {}
_silent: dict[tuple[str, str], float] = {}


def forget_answers() -> None:
    """Ask everybody again next time."""
    _answers.clear()
    _silent.clear()


def ask(head: HeadCell) -> list[Seen]:
    """What two witnesses last saw of our log, or as many as there are and answer, within a few seconds.

    Whoever does not answer is missing in the list; the others are asked instead. Who did not answer the chore either, which waits
    for it outside of any transaction and goes on trying every minute, is only asked after a restart: then every word counts.
    """
    rows = active()
    is_same_run = standing.is_same_run()
    doors = [door_of(row) for row in rows if not (is_same_run and row.error in UNHEARD)]
    heard: list[Seen] = []
    now = time.monotonic()
    for door in doors:
        kept = _answers.get(_key(door))
        if kept is not None and now - kept[0] < ANSWER_SECONDS:
            heard.append(kept[1])
    waiting = [door for door in doors if now - _silent.get(_key(door), -SILENT_SECONDS) >= SILENT_SECONDS]
    waiting = [door for door in waiting if door.name not in {one.door.name for one in heard}]
    for _ in range(ROUNDS_MAX):
        missing = min(ASKED, len(doors)) - len(heard)
        if missing <= 0 or not waiting:
            break
        now_asked, waiting = waiting[:missing], waiting[missing:]
        heard += _ask_together(now_asked, head)
    return heard


def _ask_together(doors: Sequence[Door], head: HeadCell) -> Iterable[Seen]:
    # The keys are read here: a thread has no part in our transaction.
    origin, keys_of_ours = instance_keys.origin(), instance_keys.ledger_keys()
    with ThreadPoolExecutor(max_workers=len(doors)) as pool:
        answers = pool.map(lambda door: _try(door, head, origin, keys_of_ours), doors)
    for door, seen in zip(doors, answers, strict=True):
        if seen is None:
            _silent[_key(door)] = time.monotonic()
        else:
            _answers[_key(door)] = time.monotonic(), seen
            yield seen


def _try(door: Door, head: HeadCell, origin: str, ours: KeyHistory) -> Seen | None:
    try:
        if door.monitoring_url:
            return read_seen(door, origin, ours, wait_seconds_max=ASK_SECONDS_MAX)
        return _show_again(door, head)
    except (LedgerError, TributaryError) as error:
        logger.warning("witness not heard", extra={"witness": door.name, "error": f"{error.code}: {error}"})
        return None


def read_seen(door: Door, origin: str, ours: KeyHistory, *, wait_seconds_max: float) -> Seen:
    """What a witness says at its monitoring address that it has seen of us. Raises WitnessUnclear, HttpError, LedgerError."""
    address = f"{door.monitoring_url}/{sha256(origin.encode()).hexdigest()}/checkpoint"
    answer = http.get(address, headers={}, size_bytes_max=NOTE_BYTES_MAX, wait_seconds_max=wait_seconds_max)
    if answer.status == NOT_FOUND:
        return Seen(door, 0)
    if answer.status != OK:
        raise WitnessUnclear(f"{door.name}: status {answer.status}")
    signed = open_own(answer.body, origin, ours)
    return Seen(door, signed.checkpoint.size, signed)


def open_own(note: bytes, origin: str, ours: KeyHistory) -> SignedCheckpoint:
    """A head that we signed, by the key that was right at its size. Raises LedgerError."""
    return open_checkpoint(note, origin=origin, log_keys=[ours.at(size_of(note))])


def size_of(note: bytes) -> int:
    """The size that a note says, nothing verified: which key must have signed it. Raises LedgerError."""
    return parse_checkpoint(split_note(note)[0]).size


def _show_again(door: Door, head: HeadCell) -> Seen:
    answer = http.post(
        f"{door.url}/add-checkpoint",
        headers={"Content-Type": "text/plain"},
        body=f"old {head.size}\n\n".encode() + head.note,
        size_bytes_max=ANSWER_BYTES_MAX,
        wait_seconds_max=ASK_SECONDS_MAX,
    )
    if answer.status == OK:
        return Seen(door, head.size)
    if answer.status == CONFLICT and answer.body.strip().isdigit():
        size = int(answer.body[:20])
        return Seen(door, size, contradicts=size == head.size)
    if answer.status == NOT_FOUND:
        return Seen(door, 0)
    raise WitnessUnclear(f"{door.name}: status {answer.status}")


def door_of(row: Witness) -> Door:
    """Where a witness is asked."""
    return Door(row.name, row.url, row.monitoring_url)


def _key(door: Door) -> tuple[str, str]:
    return str(settings.LEDGER_DIR), door.name
