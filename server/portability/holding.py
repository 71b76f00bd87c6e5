"""Keeping copies of archives for people of other servers: their signed manifest is the only credential.

What is taken is content: a file is taken when a manifest that was taken names its hash. Whoever holds the number of a manifest
may read what it names; everything private in it is sealed to its owner.
"""

import fcntl
import os
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any, BinaryIO

from django.conf import settings
from django.db import transaction
from django.db.models import Sum

from server.core import clock, limits, storage
from server.core.errors import Conflict, Invalid, NotAllowed, NotFound, TooLarge, TributaryError
from server.identity import queries as identities
from server.identity import resolver
from server.identity.models import Identity
from server.portability import manifest, paths, requests, vault
from server.portability.errors import BadManifest, WrongHash
from server.portability.models import Held, HeldFile

PIECE_BYTES_MAX = 4 * limits.MIB
UNFINISHED_DAYS_MAX = 7
WHOLE_COUNT_KEPT = 2
REFRESH_SECONDS = 60


class NoCopies(NotAllowed):
    """This server keeps no copies for others."""

    code = "no_copies"


class UnknownIdentity(NotFound):
    """Nobody here follows this identity, so this server does not know its key log."""

    code = "unknown_identity"


class QuotaExceeded(TooLarge):
    """This archive is larger than what this server keeps for one person."""

    code = "quota_exceeded"


class QuotaFull(TributaryError):
    """This server has no more room for copies."""

    code, status, permanent = "quota_full", 507, True


class Unsealed(BadManifest):
    """A private part of this archive is not sealed; such a copy is not taken."""

    code = "unsealed"


class Superseded(Conflict):
    """A newer archive of this identity is kept here."""

    code = "superseded"


def take_manifest(data: bytes) -> Held:
    """Agree to keep the archive of this manifest; the same one again is no error.

    Raises NoCopies, UnknownIdentity, QuotaExceeded, QuotaFull, Unsealed, Superseded, and what judging a manifest raises.
    """
    if not settings.COPY_BYTES_MAX:
        raise NoCopies
    about = manifest.parse(data)
    known = Held.objects.filter(manifest_sha256=about.digest).first()
    if known is not None:
        return known
    _judge(about)
    vault.put([data])
    return _agree(about)


def _judge(about: manifest.Manifest) -> None:
    identity = Identity.objects.filter(scid=about.scid).first()
    if identity is None:
        raise UnknownIdentity
    if identity.is_home:
        raise Conflict("This is the home of the identity; a copy belongs elsewhere.")
    log = identities.log_of(identity)
    if about.version_id not in log.version_ids:
        resolver.refresh_when_older(identity, seconds=REFRESH_SECONDS)
        log = identities.log_of(identity)
    # A key that was removed signs nothing new.
    manifest.verify(about, log=log, now=clock.now())
    if any(paths.is_private(file.path) for file in about.files):
        raise Unsealed
    if about.bytes_total > settings.COPY_BYTES_MAX:
        raise QuotaExceeded(f"This server keeps at most {settings.COPY_BYTES_MAX // limits.MIB} MiB for one person.")


@transaction.atomic
def _agree(about: manifest.Manifest) -> Held:
    # One at a time for one identity, so that its row tells how much there is.
    Identity.objects.select_for_update().get(scid=about.scid)
    newest = Held.objects.filter(scid=about.scid).order_by("-seq").first()
    if newest is not None and newest.manifest_sha256 == about.digest:
        return newest
    if newest is not None and newest.seq >= about.seq:
        raise Superseded
    others = Held.objects.exclude(scid=about.scid).aggregate(total=Sum("bytes_total"))["total"] or 0
    if others + about.bytes_total > settings.COPIES_BYTES_MAX:
        raise QuotaFull
    storage.require_room(about.bytes_total, settings.DATA_DIR)
    # What did not become whole is overtaken; what did stays until this one is.
    Held.objects.filter(scid=about.scid, whole_at=None).delete()
    held = Held.objects.create(
        scid=about.scid, manifest_sha256=about.digest, seq=about.seq, bytes_total=about.bytes_total, received_at=clock.now()
    )
    sizes = {file.sha256: file.size for file in about.files}
    HeldFile.objects.bulk_create(
        (HeldFile(held=held, sha256=sha256, size=size, here=vault.keep(sha256)) for sha256, size in sizes.items()), batch_size=500
    )
    _look_if_whole(held)
    return held


def missing(held: Held) -> list[dict[str, Any]]:
    """The files that are still wanted, and how much of each has come."""
    rows = held.files.filter(here=False).order_by("sha256").values_list("sha256", "size")
    return [{"sha256": sha256, "bytes": size, "received": _received(held, sha256)} for sha256, size in rows]


def _partial(held: Held, sha256: str) -> Path:
    return settings.ARCHIVE_DIR / "holding" / f"{held.pk}-{sha256}"


def _received(held: Held, sha256: str) -> int:
    path = _partial(held, sha256)
    return path.stat().st_size if path.exists() else 0


def take_piece(*, held: Held, sha256: str, offset: int, stream: BinaryIO) -> int:
    """Take bytes of a wanted file at ``offset``; returns how many have come. The last piece makes it a file of the copy.

    Raises NotFound (no manifest names it), Conflict (other offset, another request writes), TooLarge, WrongHash, StorageFull.
    """
    file = held.files.filter(sha256=sha256).first()
    if file is None:
        raise NotFound("No manifest that is kept here names this file.")
    if file.here:
        return file.size
    path = _partial(held, sha256)
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    handle = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    with os.fdopen(handle, "r+b", buffering=0) as target:
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            raise Conflict("Another request is writing this file.", field="offset") from error
        received = os.fstat(handle).st_size
        if offset != received:
            raise Conflict(f"This file goes on at byte {received}.", field="offset")
        target.seek(offset)
        received += _write(stream, target, room=min(PIECE_BYTES_MAX, file.size - offset))
    if received == file.size:
        _complete(held, file, path)
    return received


def _write(stream: BinaryIO, target: BinaryIO, *, room: int) -> int:
    data = stream.read(room + 1)
    if len(data) > room:
        raise TooLarge("More bytes came than fit.")
    storage.require_room(len(data), settings.DATA_DIR)
    try:
        target.write(data)
        storage.sync(target)
    except OSError as error:
        raise storage.full(error) from error
    return len(data)


def _complete(held: Held, file: HeldFile, path: Path) -> None:
    with path.open("rb") as source:
        found, size = vault.put(iter(lambda: source.read(limits.UPLOAD_CHUNK_BYTES), b""))
    path.unlink(missing_ok=True)
    if (found, size) != (file.sha256, file.size):
        raise WrongHash("These are not the bytes that the manifest names.")
    HeldFile.objects.filter(pk=file.pk).update(here=True)
    _look_if_whole(held)


@transaction.atomic
def _look_if_whole(held: Held) -> None:
    if held.files.filter(here=False).exists() or held.whole_at is not None:
        return
    held.whole_at = clock.now()
    held.save(update_fields=["whole_at"])
    for old in Held.objects.filter(scid=held.scid).exclude(whole_at=None).order_by("-seq")[WHOLE_COUNT_KEPT:]:
        old.delete()


def held_as(digest: str) -> Held:
    """The copy with this manifest. Raises NotFound."""
    found = Held.objects.filter(manifest_sha256=digest).first()
    if found is None:
        raise NotFound("No such archive is kept here.")
    return found


def newest_of(document: Any) -> Held:
    """The newest whole copy of the identity whose owner signed ``document``, a CopyRequest. Raises NotFound, NotTheOwner."""
    scid = document.get("scid") if isinstance(document, dict) else None
    if not isinstance(scid, str):
        raise Invalid("A CopyRequest names an identity.", field="scid")
    identity = Identity.objects.filter(scid=scid).first()
    if identity is None:
        raise UnknownIdentity
    log = identities.log_of(identity)
    requests.check(document, kind="CopyRequest", log=log, about=settings.ORIGIN, now=clock.now())
    found = Held.objects.filter(scid=scid).exclude(whole_at=None).order_by("-seq").first()
    if found is None:
        raise NotFound("No archive of this identity is kept here.")
    return found


def read_piece(held: Held, sha256: str, offset: int) -> bytes:
    """Up to 4 MiB of a file of a copy, from ``offset`` on; the manifest itself is one of them. Raises NotFound, Invalid."""
    if sha256 != held.manifest_sha256 and not held.files.filter(sha256=sha256, here=True).exists():
        raise NotFound("This file is not kept here.")
    path = vault.path_of(sha256)
    if not path.exists():
        raise NotFound("This file is not kept here.")
    if not 0 <= offset <= path.stat().st_size:
        raise Invalid("There is no such byte.", field="offset")
    with path.open("rb") as file:
        file.seek(offset)
        return file.read(PIECE_BYTES_MAX)


def forget_unfinished() -> int:
    """Forget copies that did not become whole within a week, and pieces of copies that are gone. Returns how many (chore)."""
    long_ago = clock.now() - timedelta(days=UNFINISHED_DAYS_MAX)
    forgotten, _ = Held.objects.filter(whole_at=None, received_at__lt=long_ago).delete()
    for path in _pieces():
        number = path.name.partition("-")[0]
        if not number.isdigit() or not Held.objects.filter(pk=int(number)).exists():
            path.unlink(missing_ok=True)
    return forgotten


def _pieces() -> Iterator[Path]:
    folder = settings.ARCHIVE_DIR / "holding"
    yield from folder.iterdir() if folder.exists() else []


def forget(*, held: Held) -> None:
    """An administrator wants the room back. The owner is not told; her home sees it at the next copy."""
    held.delete()
