"""An archive on its way in: announce it, send its bytes (again and again, also after a broken connection), begin the import."""

import fcntl
import os
import re
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, BinaryIO

from django.conf import settings
from django.db import transaction

from server.accounts.following import check_may_act
from server.accounts.models import Account
from server.core import clock, facts, hosts, limits, storage
from server.core.errors import Conflict, Invalid, NotFound, TooLarge, WrongState
from server.identity import keylog
from server.identity import queries as identities
from server.portability import requests, vault
from server.portability.facts import ImportTurn
from server.portability.models import Import

UNFINISHED_MAX = 4
FILENAME_CHARACTERS_MAX = 255
AGE_SECONDS_MAX = 7 * 24 * 3600


def path_of(one: Import) -> Path:
    """Where the bytes of the archive lie until they are unpacked."""
    return settings.ARCHIVE_DIR / "incoming" / str(one.pk)


@transaction.atomic
def announce(*, account: Account, by: Account, filename: str, bytes_expected: int, approval: Any = None) -> Import:
    """An archive, or a CSV file, of ``bytes_expected`` bytes will come. ``approval``: an ArchiveApproval by its owner.

    Raises NotAllowed, Invalid, TooLarge, Conflict, StorageFull.
    """
    _require_owner(account, by)
    name = "".join(each for each in re.split(r"[/\\]", filename)[-1] if each.isprintable()).strip()
    if bytes_expected <= 0 or not name:
        raise Invalid("The file is empty.", field="file")
    if bytes_expected > settings.ARCHIVE_BYTES_MAX:
        raise TooLarge(f"An archive may have at most {settings.ARCHIVE_BYTES_MAX // limits.MIB} MiB here.", field="file")
    _require_few(account)
    # Once as it is, once unpacked.
    storage.require_room(2 * bytes_expected, settings.DATA_DIR)
    return Import.objects.create(
        account=account, filename=name[-FILENAME_CHARACTERS_MAX:], bytes_expected=bytes_expected, approval=approval
    )


@transaction.atomic
def fetch_from(*, account: Account, by: Account, origin: str, manifest_sha256: str, approval: Any = None) -> Import:
    """Bring the archive with this manifest from a server that keeps a copy.

    Whoever names an archive by its number means this one: where this server holds her key, it says so for her.
    Raises NotAllowed, Invalid, Conflict.
    """
    _require_owner(account, by)
    try:
        url = hosts.parse_url(origin.strip())
    except hosts.BadAddress as error:
        raise Invalid("This is not the address of a server.", field="source") from error
    if not vault.NAME.fullmatch(manifest_sha256.strip().lower()):
        raise Invalid("This is not the number of an archive: it has 64 digits and letters a to f.", field="manifest")
    _require_few(account)
    digest = manifest_sha256.strip().lower()
    made = Import.objects.create(
        account=account,
        approval=approval,
        filename=f"{digest[:12]}.tar",
        source=url.origin,
        manifest_sha256=digest,
        kind="tributary",
        state="running",
    )
    facts.record(ImportTurn(import_id=made.pk, turn=0))
    return made


def _approve(account: Account, digest: str) -> Any:
    """The owner's word for an archive, under server custody; None when she holds her key herself."""
    identity = identities.by_scid(account.scid or "")
    log = identities.log_of(identity)
    try:
        user = identities.custody_key(identity, "user", public=keylog.read(log.head.entry.state).user.multikey)
    except WrongState:
        return None
    return requests.make("ArchiveApproval", log=log, about=digest, key=user, now=clock.now())


def append(*, one: Import, by: Account, offset: int, stream: BinaryIO) -> Import:
    """Write the bytes of ``stream`` at ``offset``, which must be ``one.bytes_received``. What came before a break is kept.

    Raises NotFound, Conflict (other offset; another request writes), TooLarge, StorageFull, WrongState.
    """
    _require_owner(one.account, by)
    with _locked(one) as file:
        one.refresh_from_db()
        if one.state != "arriving":
            raise WrongState("This archive has arrived.")
        if offset != one.bytes_received:
            raise Conflict(f"This archive goes on at byte {one.bytes_received}.", field="offset")
        file.truncate(offset)
        file.seek(offset)
        room = one.bytes_expected - offset
        try:
            while chunk := stream.read(min(limits.UPLOAD_CHUNK_BYTES, room + 1)):
                if len(chunk) > room:
                    file.truncate(offset)
                    raise TooLarge("More bytes came than were announced.", field="file")
                file.write(chunk)
                room -= len(chunk)
        except OSError as error:
            raise storage.full(error) from error
        finally:
            storage.sync(file)
            _note(one, os.fstat(file.fileno()).st_size)
    return one


def _note(one: Import, size: int) -> None:
    Import.objects.filter(pk=one.pk, state="arriving").update(bytes_received=size)
    one.bytes_received = size


@transaction.atomic
def begin(*, one: Import, by: Account) -> Import:
    """All bytes are here: let the import run. The second call changes nothing. Raises NotFound, Conflict (bytes are missing)."""
    _require_owner(one.account, by)
    held = Import.objects.select_for_update().get(pk=one.pk)
    if held.state != "arriving":
        return held
    if held.bytes_received != held.bytes_expected:
        raise Conflict(f"Only {held.bytes_received} of {held.bytes_expected} bytes are here.", field="file")
    held.state = "running"
    held.save(update_fields=["state"])
    facts.record(ImportTurn(import_id=held.pk, turn=0))
    return held


def take_file(*, account: Account, by: Account, filename: str, stream: BinaryIO, size: int) -> Import:
    """Announce, append and begin in one, for a form; a failure leaves nothing behind. Raises what the three raise."""
    one = announce(account=account, by=by, filename=filename, bytes_expected=size)
    try:
        append(one=one, by=by, offset=0, stream=stream)
        return begin(one=one, by=by)
    except BaseException:
        path_of(one).unlink(missing_ok=True)
        one.delete()
        raise


def cancel(*, one: Import, by: Account) -> None:
    """Stop an import. What it has done stays; its file goes. Raises NotFound, WrongState (it is over)."""
    _require_owner(one.account, by)
    stopped = Import.objects.filter(pk=one.pk, state__in=["arriving", "running"]).update(
        state="cancelled", finished_at=clock.now()
    )
    if not stopped:
        raise WrongState("This import is over.")
    path_of(one).unlink(missing_ok=True)


def import_of(account: Account, import_id: int) -> Import:
    """An import of this account. Raises NotFound."""
    found = Import.objects.select_related("account").filter(pk=import_id, account=account).first()
    if found is None:
        raise NotFound("There is no such import.")
    return found


def _require_owner(account: Account, by: Account) -> None:
    if account.pk != by.pk:
        raise NotFound("There is no such import.")
    check_may_act(by)


def _require_few(account: Account) -> None:
    if Import.objects.filter(account=account, state__in=["arriving", "running"]).count() >= UNFINISHED_MAX:
        raise Conflict("You have imports that are not finished. Wait for one, or stop it.", field="file")


@contextmanager
def _locked(one: Import) -> Iterator[BinaryIO]:
    path = path_of(one)
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    handle = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    with os.fdopen(handle, "r+b", buffering=0) as file:
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            raise Conflict("Another request is writing this archive.", field="offset") from error
        yield file


def forget_abandoned() -> int:
    """Forget archives that nobody sent whole within a week, and files of imports that are over. Returns how many (chore)."""
    long_ago = clock.now().timestamp() - AGE_SECONDS_MAX
    forgotten = 0
    for one in Import.objects.filter(state="arriving"):
        if one.created_at.timestamp() < long_ago:
            path_of(one).unlink(missing_ok=True)
            one.delete()
            forgotten += 1
    running = {str(pk) for pk in Import.objects.filter(state__in=["arriving", "running"]).values_list("pk", flat=True)}
    folder = settings.ARCHIVE_DIR / "incoming"
    for path in folder.iterdir() if folder.exists() else []:
        if path.name not in running and path.stat().st_mtime < clock.now().timestamp() - 3600:
            path.unlink(missing_ok=True)
            forgotten += 1
    return forgotten
