"""Workers that can be killed while they make or import an archive: ``python -m tests.server.archive_process COMMAND ...``.

Commands: ``open`` (alice, with three videos), ``ask``, ``announce FILE``, ``work [POINT]`` (due tasks; dies by SIGKILL when it
comes to POINT), ``show`` (what is in the rows, as JSON), ``tar FILE`` (writes the newest archive).
"""

import json
import os
import signal
import sys
from pathlib import Path
from typing import Any

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "tests.federation.one_process_settings")


def main(command: str, *arguments: str) -> None:
    import django

    django.setup()
    {"open": _open, "ask": _ask, "announce": _announce, "work": _work, "show": _show, "tar": _tar}[command](*arguments)


def _open() -> None:
    from django.core.management import call_command

    from server.accounts import actions as accounts
    from server.core import storage
    from tests import world

    call_command("migrate", run_syncdb=True, verbosity=0)
    alice = world.local("alice")
    accounts.block(account=alice, target=world.local("bob"))
    for name in "abc":
        world.published(alice, caption=name, mp4_file=storage.put_bytes(name.encode() * 3_000_000, "mp4"), poster_file="")


def _alice() -> Any:
    from server.accounts.models import Account

    return Account.objects.get(handle="alice")


def _ask() -> None:
    from server.portability import actions

    actions.ask_archive(account=_alice(), by=_alice())


def _announce(file: str) -> None:
    from server.portability import incoming
    from server.videos.models import Video

    # As at a new home: her posts are not here.
    Video.objects.all().delete()
    with Path(file).open("rb") as stream:
        size = Path(file).stat().st_size
        incoming.take_file(account=_alice(), by=_alice(), filename="a.tar", stream=stream, size=size)


def _die(*_: Any, **__: Any) -> None:
    os.kill(os.getpid(), signal.SIGKILL)


def _work(point: str = "") -> None:
    from server.core import storage, worker
    from server.portability import imports, making, unpacking, vault

    making.SLICE_SECONDS = imports.SLICE_SECONDS = 0
    if point.startswith("file "):
        finish, count = vault.Writing.finish, iter(range(99))
        number = int(point.removeprefix("file "))
        vault.Writing.finish = lambda self: _die() if next(count) == number else finish(self)
    elif point == "in a file":
        making.hashlib.sha256 = _die
    elif point == "before the signature":
        making.manifest.make = _die
    elif point == "after the signature":
        making.ArchiveHead.objects.update_or_create = _die
    elif point == "synced":
        sync, count = storage.sync_folder, iter(range(99))
        storage.sync_folder = lambda folder: _die() if next(count) == 4 else sync(folder)
    elif point == "judged":
        imports.ImportItem.objects.bulk_create = _die
    elif point == "item":
        imports._set = _die
    elif point == "video":
        imports.Original.objects.create = _die
    elif point == "unpacked":
        unpacking._foreign_kind = _die
        imports._judge = _die
        imports.STEPS[1] = _die
    print(worker.work("default"))


def _show() -> None:
    from server.portability import vault
    from server.portability.models import Archive, Earlier, Import, ImportItem, Original
    from server.videos.models import Upload, Video

    print(
        json.dumps(
            {
                "archives": list(Archive.objects.order_by("pk").values_list("state", "permille", "seq")),
                "files": Archive.objects.filter(state="ready").first().files.count()
                if Archive.objects.filter(state="ready")
                else 0,
                "imports": list(Import.objects.order_by("pk").values_list("state", "step", "code")),
                "items": sorted(ImportItem.objects.values_list("kind", "state")),
                "videos": Video.objects.count(),
                "uploads": Upload.objects.count(),
                "originals": Original.objects.count(),
                "earlier": Earlier.objects.count(),
                "passing": len(list((vault.folder() / "tmp").glob("*"))),
            }
        )
    )


def _tar(file: str) -> None:
    from server.portability import download
    from server.portability.models import Archive

    Path(file).write_bytes(b"".join(download.layout(Archive.objects.filter(state="ready").latest("pk")).stream()))


if __name__ == "__main__":
    main(*sys.argv[1:])
