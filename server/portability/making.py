"""Making an archive, in slices that may be killed at any point and be run twice.

0. ``write``: the parts are written into the vault and rows name them, with the media, in one transaction. A crash before
   it leaves files in the vault that no row names, which are swept.
1. ``check``: each media file is read once and held against its name. A crash repeats at most one file.
2. ``sign``: the manifest is written into the vault, and one transaction gives the archive its number and says that it is made.

Every slice ends with a compare-and-set on ``turn`` that also records the next: of two workers with the same slice one wins.
"""

import hashlib
import time
from collections.abc import Callable, Iterable, Iterator

from django.core.files.storage import default_storage
from django.db import transaction
from nacl.signing import SigningKey

from server.accounts.models import Account
from server.core import clock, facts, keys, storage, worker
from server.core.errors import WrongState
from server.identity import keylog, outbox_heads
from server.identity import queries as identities
from server.portability import manifest, parts, paths, sealing, vault
from server.portability.facts import ArchiveMade, ArchiveTurn
from server.portability.models import Archive, ArchiveFile, ArchiveHead

SLICE_SECONDS = 15
PIECE_BYTES = 1024 * 1024
WRITTEN, CHECKED, WHOLE = 100, 980, 1000


def make(fact: ArchiveTurn) -> None:
    """One slice of an archive. An old turn does nothing."""
    archive = Archive.objects.select_related("account").filter(pk=fact.archive_id, turn=fact.turn, state="making").first()
    if archive is not None:
        STEPS[archive.step](archive)


def _next(archive: Archive, *, step: int, permille: int) -> None:
    """Go on with ``step``, unless another worker has already."""
    with transaction.atomic():
        mine = Archive.objects.filter(pk=archive.pk, turn=archive.turn, state="making")
        if mine.update(turn=archive.turn + 1, step=step, permille=permille):
            facts.record(ArchiveTurn(archive_id=archive.pk, turn=archive.turn + 1))


def _write(archive: Archive) -> None:
    files: dict[str, ArchiveFile] = {}
    box = _box(archive.account)
    for name, sha256, size in _parts(archive, box):
        files[name] = ArchiveFile(archive=archive, path=name, sha256=sha256, size=size, checked=True)
        worker.renew()
    absent: list[str] = []
    for medium in parts.media(archive.account):
        path = paths.media(medium.sha256)
        if path in files or medium.sha256 in absent:
            continue
        stored = _size(medium)
        if stored is None:
            absent.append(medium.sha256)
        else:
            files[path] = ArchiveFile(
                archive=archive,
                path=path,
                sha256=medium.sha256,
                size=stored,
                media_name=medium.media_name,
                checked=_is_known(medium),
            )
    with transaction.atomic():
        if not Archive.objects.select_for_update().filter(pk=archive.pk, turn=archive.turn, state="making").exists():
            return
        archive.files.all().delete()
        ArchiveFile.objects.bulk_create(files.values(), batch_size=500)
        Archive.objects.filter(pk=archive.pk).update(absent=absent)
        _next(archive, step=1, permille=WRITTEN)


def _parts(archive: Archive, box: str | None) -> Iterator[tuple[str, str, int]]:
    for part, write in parts.PARTS.items():
        if part in paths.PRIVATE and box is None and (archive.kind == "daily" or part in parts.NEVER_OPEN):
            continue  # never outside the server without a seal, unless the owner herself asks for it
        if part in paths.PRIVATE and box is not None:
            data = b"".join(write(archive.account))
            pieces: Iterable[bytes] = [sealing.seal(data, box=box)] if data else []
        else:
            pieces = write(archive.account)
        sha256, size = vault.put(_alive(pieces))
        if size:
            yield parts.name_in_archive(part, box=box), sha256, size


def _alive(pieces: Iterable[bytes]) -> Iterator[bytes]:
    """``pieces``, the lease kept while they come."""
    last = time.monotonic()
    for piece in pieces:
        if time.monotonic() - last > SLICE_SECONDS:
            worker.renew()
            last = time.monotonic()
        yield piece


def _box(account: Account) -> str | None:
    box = identities.document_of(identities.by_scid(account.scid or "")).box
    return box.multikey if box is not None else None


def _size(medium: parts.Medium) -> int | None:
    if not medium.media_name:
        path = vault.path_of(medium.sha256)
        return path.stat().st_size if path.exists() else None
    return parts.stored_size(medium)


def _is_known(medium: parts.Medium) -> bool:
    """Did we read it for an earlier archive? What is named by its content does not change."""
    return ArchiveFile.objects.filter(sha256=medium.sha256, media_name=medium.media_name, checked=True).exists()


def _check(archive: Archive) -> None:
    stop_at = time.monotonic() + SLICE_SECONDS
    total = sum(archive.files.values_list("size", flat=True)) or 1
    for file in archive.files.filter(checked=False).order_by("path"):
        if _read(file) == (file.sha256, file.size):
            ArchiveFile.objects.filter(pk=file.pk).update(checked=True)
        else:
            with transaction.atomic():
                ArchiveFile.objects.filter(pk=file.pk).delete()
                held = Archive.objects.select_for_update().get(pk=archive.pk)
                held.absent = [*held.absent, file.sha256]
                held.save(update_fields=["absent"])
        if time.monotonic() > stop_at:
            done = sum(archive.files.filter(checked=True).values_list("size", flat=True))
            _next(archive, step=1, permille=WRITTEN + done * (CHECKED - WRITTEN) // total)
            return
    _next(archive, step=2, permille=CHECKED)


def _read(file: ArchiveFile) -> tuple[str, int]:
    """The hash and the size of what is there."""
    digest, size = hashlib.sha256(), 0
    try:
        with open_file(file) as source:
            for piece in _alive(iter(lambda: source.read(PIECE_BYTES), b"")):
                digest.update(piece)
                size += len(piece)
    except FileNotFoundError:
        return "", 0
    return digest.hexdigest(), size


def open_file(file: ArchiveFile):  # type: ignore[no-untyped-def] # a file on the disk or one of the storage's
    """The file's bytes, wherever they lie. Raises FileNotFoundError."""
    if not file.media_name:
        return vault.path_of(file.sha256).open("rb")
    if not storage.exists(file.media_name):
        raise FileNotFoundError(file.media_name)
    return default_storage.open(file.media_name, "rb")


def _sign(archive: Archive) -> None:
    account = archive.account
    identity = identities.by_scid(account.scid or "")
    log = identities.log_of(identity)
    listed = [manifest.File(*row) for row in archive.files.values_list("path", "size", "sha256")]
    listed.sort(key=lambda file: file.path.encode())
    authority, key = _signer(archive, log)
    with transaction.atomic():
        if not Archive.objects.select_for_update().filter(pk=archive.pk, turn=archive.turn, state="making").exists():
            return
        before = ArchiveHead.objects.select_for_update().filter(scid=log.scid).first()
        made = manifest.make(
            log=log,
            files=listed,
            seq=before.seq + 1 if before else 1,
            prev=before.digest if before else manifest.NOTHING_BEFORE,
            authority=authority,
            key=key,
            now=clock.now(),
        )
        vault.put([made.data])
        if authority == "home":
            # It counts for longer than its key only where somebody saw this head in time (docs/reference/archive-format.md).
            outbox_heads.say(identity, document=made.document, key=key)
        ArchiveHead.objects.update_or_create(scid=log.scid, defaults={"seq": made.seq, "digest": made.digest})
        Archive.objects.filter(pk=archive.pk).update(
            state="ready",
            turn=archive.turn + 1,
            permille=WHOLE,
            seq=made.seq,
            manifest_sha256=made.digest,
            bytes_total=made.bytes_total,
            made_at=made.created,
        )
        facts.record(ArchiveMade(archive_id=archive.pk))


def _signer(archive: Archive, log: keylog.PolicyLog) -> tuple[str, SigningKey]:
    """Who vouches: on demand ``#user`` where it is held here, else ``#home``."""
    document = keylog.read(log.head.entry.state)
    if archive.kind == "demand":
        try:
            identity = identities.by_scid(log.scid)
            return "user", identities.custody_key(identity, "user", public=document.user.multikey)
        except WrongState:
            pass  # its owner holds it: she may sign the archive anew with her own tool
    held = archive.account.keys.filter(algorithm="ed25519", public=document.home.multikey).first()
    if held is None:
        raise WrongState("This server is not the home of this identity any more.")
    return "home", SigningKey(keys.unseal(bytes(held.private_sealed)))


STEPS: list[Callable[[Archive], None]] = [_write, _check, _sign]
