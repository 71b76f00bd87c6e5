"""How fast an archive is made and imported, beside a plain copy of the same files on the same disk in the same run.

Made: every file is read and held against its name, the list is signed, and the tar is written and synced. Imported: the tar
lies there as after an upload; it is verified, taken apart, synced and judged. Transcoding is measured elsewhere.
"""

import json
import os
import shutil
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

from bench import Measurement, at_least

BYTES = int(os.environ.get("TRIBUTARY_BENCH_ARCHIVE_BYTES", "1000000000"))
FILES = 40
TIMES = 3
# The step of an import at which everything is taken apart and judged.
AFTER_JUDGEMENT = 2


def measure() -> list[Measurement]:
    """Both rows, in a process of their own with a database of its own."""
    from server.secrets import ensure

    folder = Path(tempfile.mkdtemp(prefix="tributary-bench-archive-"))
    try:
        ensure(folder)
        environment = {
            **os.environ,
            "TRIBUTARY_DATA_DIR": str(folder),
            "TRIBUTARY_ORIGIN": "http://localhost:8000",
            "TRIBUTARY_ALLOW_LOOPBACK": "true",
            "TRIBUTARY_LOG_LEVEL": "ERROR",
            "DJANGO_SETTINGS_MODULE": "tests.federation.one_process_settings",
        }
        said = subprocess.run(
            [sys.executable, "-m", "bench.archive"], env=environment, capture_output=True, text=True, check=True
        )
        found = json.loads(said.stdout.splitlines()[-1])
    finally:
        shutil.rmtree(folder, ignore_errors=True)
    sizes = f"{BYTES / 1e6:.0f} MB in {FILES} files"
    speeds = f"a copy with fsync: {found['copy'] / 1e6:.0f} MB/s; SHA-256 alone: {found['hash'] / 1e6:.0f} MB/s"
    reference = f"{sizes}; {speeds}"
    return [
        at_least("archive_make_ratio", found["make"] / found["copy"], "", 0.6, reference),
        at_least("archive_import_ratio", found["import"] / found["copy"], "", 0.6, reference),
    ]


def run() -> dict[str, float]:
    """Bytes a second of each: the best of a few, taken in turn, since other work on the disk only ever slows one down."""
    import django

    django.setup()
    from django.conf import settings
    from django.core.management import call_command

    call_command("migrate", run_syncdb=True, verbosity=0)
    account, sources = _account()
    best = dict.fromkeys(("copy", "hash", "make", "import"), 0.0)
    for _ in range(TIMES):
        for name, seconds in _once(account, sources, settings.DATA_DIR).items():
            best[name] = max(best[name], BYTES / seconds)
    return best


def _account() -> tuple[Any, list[Path]]:
    from django.conf import settings

    from server.core import storage
    from tests import world

    account = world.local("alice")
    block = os.urandom(1024 * 1024)
    sources = []
    for number in range(FILES):
        data = number.to_bytes(8, "big") + block * (BYTES // FILES // len(block) + 1)
        name = storage.put_bytes(data[: BYTES // FILES], "mp4")
        world.published(account, mp4_file=name, poster_file="")
        sources.append(settings.MEDIA_ROOT / name)
    return account, sources


def _once(account: Any, sources: list[Path], folder: Path) -> dict[str, float]:
    import hashlib

    from server.portability.models import Archive, ArchiveFile, Import

    took = {"copy": _timed(lambda: _copy(sources, folder / "copies"))}
    took["hash"] = _timed(lambda: [hashlib.sha256(path.read_bytes()) for path in sources])
    target = folder / "alice.tar"
    took["make"] = _timed(lambda: _make(account, target))
    took["import"] = _timed(lambda: _import(account, target))
    # The next round reads and writes everything again.
    ArchiveFile.objects.update(checked=False)
    Archive.objects.all().delete()
    Import.objects.all().delete()
    for each in (folder / "copies", folder / "archives"):
        shutil.rmtree(each, ignore_errors=True)
    target.unlink()
    return took


def _timed(work: Any) -> float:
    began = time.perf_counter()
    work()
    return time.perf_counter() - began


def _copy(sources: list[Path], folder: Path) -> None:
    folder.mkdir()
    for source in sources:
        with source.open("rb") as reading, (folder / source.name).open("wb") as writing:
            shutil.copyfileobj(reading, writing, 1024 * 1024)
            os.fsync(writing.fileno())


def _make(account: Any, target: Path) -> None:
    from server.portability import actions, download, making
    from server.portability.facts import ArchiveTurn

    archive = actions.ask_archive(account=account, by=account)
    while archive.state == "making":
        making.make(ArchiveTurn(archive_id=archive.pk, turn=archive.turn))
        archive.refresh_from_db()
    assert archive.state == "ready"
    assert not archive.absent
    with target.open("wb") as file:
        for piece in download.layout(archive).stream():
            file.write(piece)
        os.fsync(file.fileno())


def _import(account: Any, source: Path) -> None:
    from server.portability import imports, incoming
    from server.portability.facts import ImportTurn

    size = source.stat().st_size
    one = incoming.announce(account=account, by=account, filename="alice.tar", bytes_expected=size)
    incoming.path_of(one).parent.mkdir(parents=True, exist_ok=True)
    os.link(source, incoming.path_of(one))
    type(one).objects.filter(pk=one.pk).update(bytes_received=size)
    incoming.begin(one=one, by=account)
    while one.step < AFTER_JUDGEMENT:
        imports.run(ImportTurn(import_id=one.pk, turn=one.turn))
        one.refresh_from_db()
        assert one.state == "running", one.reason
    assert one.files.count() > FILES
    incoming.cancel(one=one, by=account)


if __name__ == "__main__":
    print(json.dumps(run()))
