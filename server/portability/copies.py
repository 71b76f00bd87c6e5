"""Copies of the daily archive on servers that the owner picked. Only what is missing there is sent, piece by piece."""

import json
import time

from django.conf import settings
from django.db import transaction

from server.accounts.following import check_may_act
from server.accounts.models import Account
from server.core import clock, facts, hosts, http, limits, worker
from server.core.errors import Conflict, Invalid, NotFound, TributaryError, Unavailable
from server.portability import making, vault
from server.portability.facts import ArchiveMade, CopyTurn
from server.portability.models import Archive, ArchiveFile, Replica

REPLICAS_MAX = 8
SLICE_SECONDS = 15
PIECE_BYTES = 4 * limits.MIB
ANSWER_BYTES_MAX = 32 * limits.MIB
WAIT_SECONDS_MAX = 60
PATH = "/api/tributary/v1/copies"


class Refused(Conflict):
    """The other server does not keep this copy."""

    code = "copy_refused"


@transaction.atomic
def pick(*, account: Account, by: Account, origin: str) -> Replica:
    """Have the daily archives of ``account`` copied to the server at ``origin``. Twice is once.

    Raises NotFound (not yours), Invalid (no address, or this server), Conflict (too many).
    """
    _require_owner(account, by)
    try:
        url = hosts.parse_url(origin.strip() if "://" in origin else f"https://{origin.strip()}")
    except hosts.BadAddress as error:
        raise Invalid("This is not the address of a server.", field="origin") from error
    if url.origin == settings.ORIGIN:
        raise Invalid("A copy on this server would die with it. Pick another one.", field="origin")
    if Replica.objects.filter(account=account).exclude(origin=url.origin).count() >= REPLICAS_MAX:
        raise Conflict(f"At most {REPLICAS_MAX} servers.", field="origin")
    replica, _ = Replica.objects.get_or_create(account=account, origin=url.origin)
    _start(replica)
    return replica


@transaction.atomic
def drop(*, account: Account, by: Account, origin: str) -> None:
    """Send no more copies to ``origin``; what lies there stays until that server forgets it. None there is no error."""
    _require_owner(account, by)
    Replica.objects.filter(account=account, origin=origin).delete()


def _require_owner(account: Account, by: Account) -> None:
    if account.pk != by.pk:
        raise NotFound("There is no such account.")
    check_may_act(by)


def spread(fact: ArchiveMade) -> None:
    """A daily archive was made: bring the copies up to date. What was made on demand may have private parts open: it stays."""
    archive = Archive.objects.filter(pk=fact.archive_id, kind="daily", state="ready").first()
    if archive is not None:
        for replica in Replica.objects.filter(account=archive.account_id):
            _start(replica)


def _start(replica: Replica) -> None:
    Replica.objects.filter(pk=replica.pk).update(turn=replica.turn + 1, permille=0)
    facts.record(CopyTurn(replica_id=replica.pk, turn=replica.turn + 1))


def push(fact: CopyTurn) -> None:
    """One slice of a copy. An old turn does nothing; what the other server refuses is written down for the owner."""
    replica = Replica.objects.select_related("account").filter(pk=fact.replica_id, turn=fact.turn).first()
    if replica is None:
        return
    archive = Archive.objects.filter(account=replica.account, kind="daily", state="ready").order_by("-seq").first()
    if archive is None:
        return
    try:
        whole, permille = _send(replica, archive)
    except TributaryError as error:
        Replica.objects.filter(pk=replica.pk, turn=replica.turn).update(error=str(error)[:300])
        if not error.permanent:
            raise
        return
    with transaction.atomic():
        mine = Replica.objects.filter(pk=replica.pk, turn=replica.turn)
        if whole:
            mine.update(
                seq=archive.seq,
                manifest_sha256=archive.manifest_sha256,
                permille=1000,
                copied_at=clock.now(),
                error="",
            )
        elif mine.update(turn=replica.turn + 1, permille=permille, error=""):
            facts.record(CopyTurn(replica_id=replica.pk, turn=replica.turn + 1))


def _send(replica: Replica, archive: Archive) -> tuple[bool, int]:
    until = time.monotonic() + SLICE_SECONDS
    data = vault.path_of(archive.manifest_sha256).read_bytes()
    wanted = _wanted(_post(f"{replica.origin}{PATH}", data, offset=None))
    files = {file.sha256: file for file in archive.files.all()}
    if not wanted.keys() <= files.keys():
        raise Refused("The other server wants a file that is not in the archive.")
    left = sum(files[sha256].size - at for sha256, at in wanted.items())
    for sha256, begin in wanted.items():
        file, at = files[sha256], begin
        while at < file.size:
            piece = _piece(file, at)
            url = f"{replica.origin}{PATH}/{archive.manifest_sha256}/files/{sha256}"
            at += len(piece)
            if _post(url, piece, offset=at - len(piece)).get("received") != at:
                raise Refused("The other server did not take what was sent.")
            left -= len(piece)
            worker.renew()
            if time.monotonic() > until and left > 0:
                return False, 999 - min(999, left * 1000 // max(1, archive.bytes_total))
    return True, 1000


def _wanted(said: dict[str, object]) -> dict[str, int]:
    """Hash to the number of bytes that have come, of every file that the other server still wants."""
    listed = said.get("missing")
    wanted = {}
    for each in listed if isinstance(listed, list) else [None]:
        sha256, received = (each.get("sha256"), each.get("received")) if isinstance(each, dict) else (None, None)
        if not isinstance(sha256, str) or type(received) is not int or received < 0:
            raise Refused("The other server does not say what it wants.")
        wanted[sha256] = received
    return wanted


def _piece(file: ArchiveFile, at: int) -> bytes:
    try:
        with making.open_file(file) as source:
            source.seek(at)
            piece: bytes = source.read(PIECE_BYTES)
    except FileNotFoundError as error:
        raise Refused("A file of the archive is gone here; the next archive will be copied instead.") from error
    if not piece:
        raise Refused("A file of the archive is cut off here; the next archive will be copied instead.")
    return piece


def _post(url: str, body: bytes, *, offset: int | None) -> dict[str, object]:
    headers = {"Content-Type": "application/octet-stream", "Accept": "application/json"}
    if offset is not None:
        headers["Upload-Offset"] = str(offset)
    answer = http.post(url, headers=headers, body=body, size_bytes_max=ANSWER_BYTES_MAX, wait_seconds_max=WAIT_SECONDS_MAX)
    try:
        said = json.loads(answer.body)
    except ValueError as error:
        raise Unavailable(f"{url} answers {answer.status} and no JSON.") from error
    if answer.status not in {200, 201} or not isinstance(said, dict):
        detail = said.get("detail") if isinstance(said, dict) else ""
        if answer.status >= 500 and answer.status != 507:  # noqa: PLR2004 (507: it has no room, and says so)
            raise Unavailable(f"{url} answers {answer.status}.")
        raise Refused(f"The other server says: {detail or answer.status}")
    return said
