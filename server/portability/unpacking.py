"""Steps 0 and 1 of an import: take a file apart and judge it, before anything of it has an effect.

A file of the archive that is right becomes a file of the vault and a row; after a crash what has a row is skipped.
"""

import time
from collections.abc import Callable, Iterator
from datetime import datetime
from typing import Any

from django.conf import settings

from server.accounts.models import Account
from server.core import clock, worker
from server.core.errors import WrongState
from server.identity import actions as identity_actions
from server.identity import keylog
from server.identity import queries as identities
from server.identity.models import Identity
from server.portability import containers, csvs, foreign, incoming, manifest, paths, posts, reading, requests, vault, verify
from server.portability.errors import BadPart, ForeignIdentity, NotAnArchive, WrongHash
from server.portability.models import ArchiveHead, Held, Import, ImportFile

JSON_BYTES_MAX = 64 * 1024 * 1024
MASTODON, PEERTUBE, CSV, TRIBUTARY = "mastodon", "peertube", "csv", "tributary"
# What is read of a foreign archive; the rest of it is not unpacked.
_MASTODON_NAMES = frozenset({"actor.json", "outbox.json"})
_PEERTUBE_NAMES = frozenset(
    {"peertube/videos.json", "peertube/following.json", "peertube/blocklist.json", "peertube/account.json"}
)


def unpack(one: Import, *, until: float, on_progress: Callable[[int], None]) -> bool:
    """Take the file apart until ``until`` (monotonic seconds); True when it is done. ``on_progress`` gets the bytes so far.

    Raises an ArchiveRefused by name, StorageFull.
    """
    path = incoming.path_of(one)
    if csvs.kind_of(one.filename) is not None:
        kind = CSV
        files: Iterator[tuple[str, int, str | None, Callable[[], Iterator[bytes]]]] = iter(
            [(one.filename, path.stat().st_size, None, lambda: _whole_file(one))]
        )
    else:
        with path.open("rb") as file:
            head = file.read(4)
        if head == containers.ZIP or head[:2] == containers.GZIP:
            kind, files = "", _foreign(one)
        else:
            kind, files = TRIBUTARY, _ours(one)
    done = 0
    known = set(one.files.values_list("path", flat=True))
    for name, size, sha256, pieces in files:
        done += size
        if name in known:
            continue
        _keep(one, name, size, sha256, pieces)
        on_progress(done)
        if time.monotonic() > until:
            return False
    Import.objects.filter(pk=one.pk).update(kind=kind or _foreign_kind(one))
    return True


def _whole_file(one: Import) -> Iterator[bytes]:
    with incoming.path_of(one).open("rb") as file:
        while piece := file.read(reading.PIECE_BYTES):
            yield piece


def _keep(one: Import, name: str, size: int, sha256: str | None, pieces: Callable[[], Iterator[bytes]]) -> None:
    if sha256 is not None and vault.keep(sha256):
        # We have this very content already (another try, another archive): it was checked when it was written.
        ImportFile.objects.get_or_create(of=one, path=name, defaults={"size": size, "sha256": sha256})
        return
    last = time.monotonic()
    with vault.writing(size) as file:
        for piece in pieces():
            file.write(piece)
            if time.monotonic() - last > 10:  # noqa: PLR2004 (half of what a lease may be short of)
                worker.renew()
                last = time.monotonic()
        if sha256 is not None and (file.sha256, file.size) != (sha256, size):
            raise WrongHash(f"{name} is not the file that the manifest lists.")
        found = file.finish()
    ImportFile.objects.get_or_create(of=one, path=name, defaults={"size": file.size, "sha256": found})


# --- our own archives ---


def _ours(one: Import) -> Iterator[tuple[str, int, str | None, Callable[[], Iterator[bytes]]]]:
    with incoming.path_of(one).open("rb") as file:
        archive = reading.begin(file, bytes_max=settings.ARCHIVE_BYTES_MAX)
        about = archive.manifest
        if about.scid != one.account.scid:
            raise ForeignIdentity("This archive belongs to another identity than this account's. Move the identity here first.")
        data, witnesses = verify.log_files(archive)
        judge_manifest(one.account, about, data=data, witnesses=witnesses, approval=one.approval)
        yield paths.MANIFEST, len(about.data), about.digest, lambda: iter([about.data])
        for found in archive.files():
            member = found.member
            if found.listed is None and member.path.removeprefix(paths.OPENED) not in paths.PRIVATE:
                raise BadPart(f"{member.path} is no part that is sealed.")
            sha256 = found.listed.sha256 if found.listed is not None else None
            yield member.path, member.size, sha256, lambda member=member: reading.pieces(file, member)  # type: ignore[misc]


def judge_manifest(
    account: Account, about: manifest.Manifest, *, data: bytes, witnesses: bytes | None, approval: Any = None
) -> keylog.PolicyLog:
    """The log that counts, if the identity of ``account`` signed the manifest.

    ``data`` is the log in the archive, ``witnesses`` the witness file beside it: the one kept here must be a part of it or the
    other way round; a longer one is taken in like from any other source. ``approval``: the owner's own word for an archive
    whose signing key was removed since.
    Raises KeyLogError, ForeignIdentity, WrongSigner, Unvouched, NotTheOwner.
    """
    identity = identities.by_scid(account.scid or "")
    log = identities.log_of(identity)
    theirs = keylog.verify_policy(
        data,
        now=clock.now(),
        caps=keylog.HARD,
        requested=log.scid,
        witness_file=witnesses,
        loopback=settings.ALLOW_LOOPBACK,
    )
    shared = min(len(log.versions), len(theirs.versions))
    if log.version_ids[:shared] != theirs.version_ids[:shared]:
        raise ForeignIdentity("The key log in the archive is another branch than the one known here.")
    if len(theirs.versions) > len(log.versions):
        identity_actions.accept_log(data=data, requested=log.scid, witness_file=witnesses)
        log = theirs
    seen_at = first_seen(identity, about.digest)
    if approval is not None:
        requests.check(approval, kind="ArchiveApproval", log=log, about=about.digest, now=clock.now())
        seen_at = about.created
    manifest.verify(about, log=log, now=clock.now(), seen_at=seen_at)
    return log


def first_seen(identity: Identity, digest: str) -> datetime | None:
    """When this server first saw the manifest, as the keeper of a copy or in an outbox head that covers it, if it did."""
    held = Held.objects.filter(manifest_sha256=digest).values_list("received_at", flat=True).first()
    return min((at for at in (held, identities.covered_at(identity, digest)) if at is not None), default=None)


def note_head(about: manifest.Manifest) -> None:
    """The next archive of this identity goes on from the newest that is known."""
    head, _ = ArchiveHead.objects.get_or_create(scid=about.scid, defaults={"seq": about.seq, "digest": about.digest})
    if head.seq < about.seq:
        ArchiveHead.objects.filter(scid=about.scid, seq=head.seq).update(seq=about.seq, digest=about.digest)


def manifest_of(one: Import) -> manifest.Manifest:
    """The manifest of an import that is unpacked."""
    return manifest.parse(read(one, paths.MANIFEST))


def judge_unpacked(one: Import, about: manifest.Manifest) -> keylog.PolicyLog:
    """As ``judge_manifest``, with the files of an import that are unpacked already."""
    witnesses = read(one, verify.WITNESSES) if has(one, verify.WITNESSES) else None
    return judge_manifest(one.account, about, data=read(one, verify.LOG), witnesses=witnesses, approval=one.approval)


def owner_of(one: Import) -> posts.Owner:
    """Who may have written the posts in the archive of an import."""
    about = manifest_of(one)
    log = judge_unpacked(one, about)
    return posts.owner(log, covered_at=about.created)


# --- foreign archives ---


def _foreign(one: Import) -> Iterator[tuple[str, int, str | None, Callable[[], Iterator[bytes]]]]:
    for inside in containers.files(incoming.path_of(one), bytes_max=settings.ARCHIVE_BYTES_MAX):
        name = inside.path
        is_json = name in _MASTODON_NAMES or name in _PEERTUBE_NAMES
        if is_json and inside.size > JSON_BYTES_MAX:
            raise BadPart(f"{name} is larger than {JSON_BYTES_MAX // 1024**2} MiB.")
        if is_json or name.lower().endswith(foreign.VIDEO_ENDINGS) or csvs.kind_of(name) is not None:
            yield name, inside.size, None, inside.pieces


def _foreign_kind(one: Import) -> str:
    names = set(one.files.values_list("path", flat=True))
    if "peertube/videos.json" in names:
        return PEERTUBE
    if "outbox.json" in names and "actor.json" in names:
        return MASTODON
    if any(csvs.kind_of(name) for name in names):
        return CSV
    raise NotAnArchive("This is neither an archive of Mastodon nor of PeerTube, and contains no CSV export.")


# --- reading what was unpacked ---


def has(one: Import, path: str) -> bool:
    """Was a file of this name in the archive?"""
    return one.files.filter(path=path).exists()


def read(one: Import, path: str) -> bytes:
    """A small file. Raises BadPart when it is not there, or too large to be read whole."""
    file = one.files.filter(path=path).first()
    if file is None or file.size > JSON_BYTES_MAX:
        raise BadPart(f"{path} is missing or too large.")
    if not vault.keep(file.sha256):
        raise WrongState(f"{path} is no longer in the vault.")
    return vault.path_of(file.sha256).read_bytes()


def read_lines(one: Import, path: str) -> Iterator[bytes]:
    """The lines of a file; none when it is not there. Raises ArchiveTooLarge."""
    file = one.files.filter(path=path).first()
    if file is None:
        return
    with vault.path_of(file.sha256).open("rb") as source:
        yield from reading.lines(iter(lambda: source.read(reading.PIECE_BYTES), b""))


def private(one: Import, name: str) -> bytes | None:
    """A private part: open in the archive, or opened by its owner. None when it is sealed or not there."""
    for path in (paths.OPENED + name, name):
        if has(one, path):
            return read(one, path)
    return None


def sealed(one: Import) -> list[str]:
    """The private parts that are there and that nobody has opened."""
    names = set(one.files.values_list("path", flat=True))
    return sorted(path for path, name in paths.SEALED_NAMES.items() if path in names and paths.OPENED + name not in names)
