"""May this log be continued here? The read-only state, and the mark that this is still the machine and the run that wrote it.

Both are files, for both must outlive what they are about: a transaction that is rolled back, a database that was set back.

    ledger/suspended   the log is read-only: since when, why, and the note that shows it. Only recovery or a person removes it.
    ledger.here        beside the folder, in no backup: the boot of this machine and the size when it last signed
"""

from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from payouts import durable
from payouts.ledger import canonical
from payouts.store import HeadCell, folder
from server.core import clock
from server.core.errors import TributaryError

STATE_BYTES_MAX = 65_536
BOOT_ID = Path("/proc/sys/kernel/random/boot_id")


class LogReadOnly(TributaryError):
    """This ledger signed more than is here, so nothing is written. Recover it: ``manage.py ledger-recover``."""

    code, status = "ledger_read_only", 503


class LogUnconfirmed(TributaryError):
    """No witness answers, and this machine was started or restored since it last signed: it may have forgotten something."""

    code, status = "ledger_unconfirmed", 503


@dataclass(frozen=True)
class Suspension:
    """Why the log is read-only. ``note``: the signed head that shows it, empty where a local mark does."""

    since: str
    reason: str
    here: int
    seen: int
    by: str
    note: str = ""

    def __str__(self) -> str:
        return f"since {self.since} ({self.reason}): {self.seen} entries according to {self.by}, {self.here} here"


def suspend(*, reason: str, here: int, seen: int, by: str, note: bytes = b"") -> LogReadOnly:
    """Make the log read-only, durably, and give the error to raise. The first reason stays: it is the evidence."""
    stands = suspension()
    if stands is None:
        stands = Suspension(clock.iso(clock.now()), reason, here, seen, by, note.decode())
        durable.write_whole(_suspended(), canonical.encode(asdict(stands)))
    return LogReadOnly(f"The ledger is read-only {stands}.")


def suspension() -> Suspension | None:
    """Why the log is read-only, if it is."""
    path = _suspended()
    return Suspension(**canonical.decode(path.read_bytes(), bytes_max=STATE_BYTES_MAX)) if path.exists() else None


def lift() -> None:
    """End the read-only state. Called when the missing entries are back, or by a person who takes it upon herself."""
    _suspended().unlink(missing_ok=True)


def require_writable() -> None:
    """Raise LogReadOnly while the log is suspended."""
    stands = suspension()
    if stands is not None:
        raise LogReadOnly(f"The ledger is read-only {stands}.")


def signed_here() -> int:
    """The size that this machine last signed, as far as it remembers: a smaller head was put back from somewhere."""
    return int(_mark().get("size", 0))


def is_same_run() -> bool:
    """Has this machine signed before and run ever since? False after a reboot, on another machine, or where nobody signed."""
    mark = _mark()
    return bool(mark) and mark["boot"] == _boot()


def remember(head: HeadCell) -> None:
    """Leave the mark. A power cut may lose it: then a reboot was near anyway, and a witness is asked."""
    mark = canonical.encode({"boot": _boot(), "size": head.size})
    durable.write_whole(_here(), mark, survives_power_cut=False)


def _mark() -> dict[str, Any]:
    path = _here()
    return canonical.decode(path.read_bytes(), bytes_max=STATE_BYTES_MAX) if path.exists() else {}


def _boot() -> str:
    return BOOT_ID.read_text().strip() if BOOT_ID.exists() else ""


def _suspended() -> Path:
    return folder() / "suspended"


def _here() -> Path:
    return folder().with_name(f"{folder().name}.here")
