"""Back up and restore an instance: database, secrets, ledger, media, vault of the archives, uploads in progress.

A backup is a directory ``tributary-TIME`` with a manifest of every file's SHA-256. It appears under its name when it is
whole, so a backup that was cut off is never taken for one. The database is copied first: what the copy names was stored
before it and is copied after it. That holds for the ledger too: its files may know more than the database, which then
catches up, and never less.
"""

import hashlib
import json
import os
import shutil
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from django.conf import settings

from server.backup import databases
from server.backup.errors import BackupError

MANIFEST = "manifest.json"
# Parts whose files are named by their SHA-256.
BY_CONTENT = ("media/", "vault/")
PREFIX = "tributary-"
PIECE_BYTES = 1024 * 1024
# What says how far the ledger is, the one shown to others first: it is written last.
LEDGER_HEADS = ("1/checkpoint", "head")


def make(to: Path) -> tuple[Path, list[str]]:
    """Write a new backup under ``to``.

    Returns its directory, and the names of media and vault files whose bytes are not what their name says (the disk is failing).
    """
    to.mkdir(mode=0o700, parents=True, exist_ok=True)
    previous = _backups(to)[-1:]
    name = f"{PREFIX}{datetime.now(UTC):%Y%m%dT%H%M%SZ}"
    folder = to / f".{name}.partial"
    folder.mkdir(mode=0o700)
    database = databases.dump(folder)
    files = {database: digest_of(folder / database)}
    known = _manifest(previous[0])["files"] if previous else {}
    damaged = []
    for inside, source in _sources():
        target = folder / inside
        if inside.startswith(BY_CONTENT) and inside in known:
            # Named by their content: the same name is the same file, so it is stored once.
            target.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
            os.link(previous[0] / inside, target)
            files[inside] = known[inside]
        elif (digest := _copy(source, target)) is not None:
            files[inside] = digest
            if inside.startswith(BY_CONTENT) and source.stem != digest:
                damaged.append(inside)
    manifest = {"v": 1, "made_at": name.removeprefix(PREFIX), "origin": settings.ORIGIN, "database": database, "files": files}
    (folder / MANIFEST).write_text(json.dumps(manifest, indent=1, sort_keys=True) + "\n")
    os.sync()
    return folder.rename(to / name), damaged


def check(backup: Path) -> list[str]:
    """What is wrong with a backup; an empty list when every file is there with the bytes it had."""
    files: dict[str, str] = _manifest(backup)["files"]
    wrong = []
    for name, digest in files.items():
        path = backup / name
        if not path.is_file():
            wrong.append(f"{name} is missing")
        elif digest_of(path) != digest:
            wrong.append(f"{name} is not as it was written")
    return wrong


def restore(backup: Path) -> None:
    """Put a backup in place of nothing: the data directory and the database must be empty. Raises BackupError.

    Only a ledger that outlived the rest stays, if it is as long as the one in the backup: what it signed is promised.
    """
    manifest = _manifest(backup)
    if wrong := check(backup):
        raise BackupError("this backup is damaged: " + "; ".join(wrong[:10]))
    if manifest["origin"] != settings.ORIGIN:
        msg = f"this backup is of {manifest['origin']}, not of {settings.ORIGIN}: an instance cannot change its address"
        raise BackupError(msg)
    targets = {**_folders(), "media": settings.MEDIA_ROOT}
    if (has_ledger := _ledger_size(settings.LEDGER_DIR)) is None:
        targets["ledger"] = settings.LEDGER_DIR
    elif has_ledger < (_ledger_size(backup / "ledger") or 0):
        msg = f"{settings.LEDGER_DIR} is older than the backup: move it away first"
        raise BackupError(msg)
    for target in targets.values():
        if any(path.is_file() for path in target.rglob("*")):
            msg = f"{target} is not empty: move it away first"
            raise BackupError(msg)
    databases.require_empty(backup / manifest["database"])
    settings.DATA_DIR.mkdir(mode=0o700, parents=True, exist_ok=True)
    # Secrets before the database: a database whose keys cannot be opened must not look finished.
    for name in manifest["files"]:
        part, _, inside = name.partition("/")
        if inside and part in targets:
            _copy(backup / name, targets[part] / inside, private=not _is_public(name))
    databases.load(backup / manifest["database"])


def forget_old(to: Path, keep: int) -> list[Path]:
    """Remove all but the ``keep`` newest backups under ``to``, and what is left of cut-off ones; return the removed ones."""
    backups = _backups(to)
    cut_off = [path for path in to.glob(f".{PREFIX}*.partial") if path.name.removeprefix(".") < backups[-1].name]
    old = [*cut_off, *backups[:-keep]]
    for path in old:
        shutil.rmtree(path)
    return old


def _backups(to: Path) -> list[Path]:
    return sorted(path for path in to.glob(f"{PREFIX}*") if (path / MANIFEST).is_file())


def _manifest(backup: Path) -> dict[str, Any]:
    try:
        manifest: dict[str, Any] = json.loads((backup / MANIFEST).read_text())
    except (OSError, ValueError) as error:
        msg = f"{backup} is not a backup: {error}"
        raise BackupError(msg) from error
    parts = {*_folders(), "ledger", "media"}
    paths = [Path(name) for name in manifest["files"] if name != manifest["database"]]
    unsafe = [path for path in paths if ".." in path.parts or path.parts[0] not in parts]
    if manifest.get("v") != 1 or unsafe:
        msg = f"{backup} is not a backup this version understands"
        raise BackupError(msg)
    return manifest


def _sources() -> Iterator[tuple[str, Path]]:
    """(name in the backup, file) of everything but the database."""
    # The head of the ledger is copied before the files are even listed: all that it promises stood before it.
    heads = [settings.LEDGER_DIR / name for name in LEDGER_HEADS]
    yield from ((f"ledger/{path.relative_to(settings.LEDGER_DIR)}", path) for path in heads if path.exists())
    folders = {**_folders(), "ledger": settings.LEDGER_DIR}
    if not settings.S3_BUCKET:
        folders["media"] = settings.MEDIA_ROOT
    for part, folder in folders.items():
        for path in sorted(folder.rglob("*")):
            inside = path.relative_to(folder)
            passing = inside.parts[0] == "tmp" or inside.name.startswith(".")
            if path.is_file() and not passing and not (part == "ledger" and str(inside) in {"lock", *LEDGER_HEADS}):
                yield f"{part}/{inside.as_posix()}", path


def _folders() -> dict[str, Path]:
    return {"secrets": settings.SECRETS_DIR, "uploads": settings.UPLOAD_DIR, "vault": settings.ARCHIVE_DIR / "vault"}


def _ledger_size(ledger: Path) -> int | None:
    """How many entries the head of these files promises; None when there is no ledger."""
    head = ledger / "head"
    return int(json.loads(head.read_text())["size"]) if head.exists() else None


def digest_of(path: Path) -> str:
    """SHA-256 of a file as 64 hex digits."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _is_public(name: str) -> bool:
    """Does the web server in front read this file? Videos, and what the ledger published."""
    return name.startswith(("media/", "ledger/1/"))


def _copy(source: Path, target: Path, *, private: bool = True) -> str | None:
    """Copy and return the SHA-256; None when the file was deleted meanwhile. ``private``: for us alone (0600)."""
    digest = hashlib.sha256()
    try:
        reader = source.open("rb")
    except FileNotFoundError:
        return None
    target.parent.mkdir(mode=0o700 if private else 0o755, parents=True, exist_ok=True)
    handle = os.open(target, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600 if private else 0o644)
    with reader, os.fdopen(handle, "wb") as writer:
        while piece := reader.read(PIECE_BYTES):
            digest.update(piece)
            writer.write(piece)
        writer.flush()
        os.fsync(writer.fileno())
    return digest.hexdigest()
