"""A transcode worker that can be killed: ``python -m tests.server.video_process COMMAND ...`` with a data directory of its own.

Commands: ``upload FILE`` (by alice; prints the id of the video), ``work [POINT]`` (the due tasks of the queue; dies by
SIGKILL when it comes to POINT), ``show`` (what is in the rows and on the disk, as JSON).
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
    {"upload": _upload, "work": _work, "show": _show}[command](*arguments)


def _upload(file: str) -> None:
    from django.core.management import call_command

    from server.accounts import actions as accounts
    from server.accounts.models import User
    from server.videos import actions
    from server.videos.drafts import VideoDraft

    call_command("migrate", run_syncdb=True, verbosity=0)
    alice = accounts.open_account(user=User.objects.create(email="alice@example.org"), handle="alice")
    with Path(file).open("rb") as stream:
        size = Path(file).stat().st_size
        video = actions.upload_file(account=alice, filename="clip.mp4", stream=stream, size=size, draft=VideoDraft())
    print(video.id)


def _die(*_: Any, **__: Any) -> None:
    os.kill(os.getpid(), signal.SIGKILL)


def _work(point: str = "") -> None:
    from server.core import storage, worker
    from server.videos import actions, jobs

    if point == "between two files":
        put, count = storage.put_file, iter(range(9))
        storage.put_file = lambda path, extension: _die() if next(count) == 3 else put(path, extension)
    elif point == "before the rows":
        actions.mark_transcoded = _die
    elif point == "after the rows":
        jobs.actions.forget_upload = _die
    print(worker.work("transcode"))


def _show() -> None:
    from django.conf import settings

    from server.core import clock
    from server.core.models import Task
    from server.videos.models import Rendition, Upload, Video

    def files(folder: Path) -> list[str]:
        return sorted(str(path.relative_to(folder)) for path in folder.rglob("*") if path.is_file())

    video = Video.objects.get()
    named = {video.poster_file, video.mp4_file} - {""}
    for pair in Rendition.objects.values_list("playlist_file", "media_file"):
        named.update(pair)
    task = Task.objects.filter(fact="UploadFinished").first()
    print(
        json.dumps(
            {
                "state": video.state,
                "failure": video.failure,
                "progress": video.progress_percent,
                "renditions": Rendition.objects.count(),
                "published": Task.objects.filter(fact="VideoPublished").values("fact_id").distinct().count(),
                "uploads": Upload.objects.count(),
                "lease_seconds": (task.lease_until - clock.now()).total_seconds() if task and task.lease_until else None,
                "named": sorted(named),
                "stored": files(settings.MEDIA_ROOT),
                "left": files(settings.UPLOAD_DIR),
            }
        )
    )


if __name__ == "__main__":
    main(*sys.argv[1:])
