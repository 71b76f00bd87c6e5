"""Verifying another instance's whole log over HTTP, without following it: every file, every entry, every rule."""

from dataclasses import dataclass, field
from urllib.parse import urlsplit

from payouts import pins
from payouts.ledger.checkpoint import open_checkpoint, parse_checkpoint
from payouts.ledger.errors import LedgerError, NoKnownSignature
from payouts.ledger.follower import advance, proof_between
from payouts.ledger.note import NOTE_BYTES_MAX, split_note
from payouts.ledger.replay import Replay
from payouts.ledger.whole import read_whole
from payouts.models import PeerLog
from payouts.peers import HttpTiles, PeerUnclear
from server.core import http, limits
from server.core.errors import Invalid

OK = 200


@dataclass(frozen=True)
class RemoteLog:
    """What a whole log shows: ``root`` (hex) signed by ``key``. ``pinned``: it was held against what we accepted of it before."""

    origin: str
    size: int
    root: str
    key: str
    pinned: bool
    accounts: int
    problems: list[str] = field(default_factory=list)


def verify_log(address: str) -> RemoteLog:
    """Verify the log of the instance at ``https://host`` (or named by its origin) from the first byte to the last.

    What breaks a rule stands in ``problems``. Raises Invalid, PeerUnclear, HttpError, or LedgerError when there is no checkpoint
    to hold anything against: then nothing was verified.
    """
    origin, url = _place(address)
    note = _get_note(f"{url}/checkpoint")
    claimed = parse_checkpoint(split_note(note)[0])
    if claimed.origin != origin:
        raise PeerUnclear(f"This is the log {claimed.origin[:200]}, not {origin}.")
    replay, reader = Replay(origin), HttpTiles(url)
    peer = PeerLog.objects.filter(origin=origin).first()
    problems: list[str] = []
    try:
        for data in read_whole(reader, claimed):
            entry = replay.add(data)
            if entry.index == 0 and peer is not None and data != bytes(peer.genesis):
                problems.append("the genesis is not the one that we pinned")
        if not replay.at_rest:
            problems.append("the checkpoint ends inside of a close")
        # The key that signs is known only now: every rotation was read.
        if replay.ledger_key is None:
            raise NoKnownSignature("an empty log has no key")
        open_checkpoint(note, origin=origin, log_keys=[replay.ledger_key])
        if peer is not None:
            pin = pins.pin_of(peer)
            advance(pin, claimed, proof_between(reader, pin.size, max(pin.size, claimed.size)))
    except LedgerError as error:
        problems.append(f"entry {replay.size}: {error.code}: {error}")
    return RemoteLog(
        origin, claimed.size, claimed.root.hex(), str(replay.ledger_key or ""), peer is not None, len(replay.heads), problems
    )  # fmt: skip


def _place(address: str) -> tuple[str, str]:
    parts = urlsplit(address if "://" in address else f"https://{address}")
    if parts.scheme not in ("http", "https") or not parts.netloc or parts.path.rstrip("/") not in ("", "/ledger/1"):
        raise Invalid("Name an instance as https://HOST, or a log as HOST/ledger/1.", field="origin")
    host = parts.netloc.lower()
    return f"{host}/ledger/1", f"{parts.scheme}://{host}/ledger/1"


def _get_note(url: str) -> bytes:
    answer = http.get(url, headers={}, size_bytes_max=NOTE_BYTES_MAX, wait_seconds_max=limits.FETCH_SECONDS_MAX)
    if answer.status != OK:
        raise PeerUnclear(f"{url}: status {answer.status}")
    return answer.body
