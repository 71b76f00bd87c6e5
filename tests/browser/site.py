"""A real site for a real browser: our WSGI application behind a threaded server, on a database and static files of its own."""

import copy
import shutil
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from django.core.management import call_command
from django.core.servers.basehttp import ThreadedWSGIServer, WSGIRequestHandler
from django.core.wsgi import get_wsgi_application
from django.db import connections
from django.test import Client

from server.accounts.models import Account
from server.core import storage, worker
from server.videos import actions
from server.videos.drafts import VideoDraft
from server.videos.models import Rendition, Video
from tests.browser.showcase import Clip, cut
from tests.world import published

CLIP = Clip("meadow", "", "crop=405:720:190:0", "", "", size="360:640", seconds=3)
COPIED = ("duration_ms", "width", "height", "blurhash", "poster_file", "mp4_file", "mp4_bytes")
RUNG = ("name", "width", "height", "bits_per_second", "codecs", "playlist_file", "media_file", "media_bytes")


class QuietHandler(WSGIRequestHandler):
    """Says nothing about each request."""

    def log_message(self, format: str, *args: Any) -> None:  # noqa: A002
        pass


@contextmanager
def own_database(folder: Path) -> Iterator[None]:
    """An SQLite file instead of memory, because the threads of one server cannot share a connection.

    The tables are made once in a run; every test gets a copy of the empty file.
    """
    outer = connections["default"]
    # Without this the tests would write into the database of that address.
    assert outer.vendor == "sqlite", "the browser tests bring their own SQLite file: unset TRIBUTARY_DATABASE_URL"
    outer_settings = connections.settings["default"]
    own = copy.deepcopy(outer_settings)
    own["NAME"] = str(folder / "site.sqlite3")
    own["OPTIONS"] = {
        "transaction_mode": "IMMEDIATE",
        "timeout": 20,
        "init_command": "PRAGMA journal_mode=WAL; PRAGMA synchronous=OFF;",
    }
    template = folder.parent / "empty.sqlite3"
    if template.exists():
        shutil.copyfile(template, own["NAME"])
    connections.settings["default"] = own
    del connections["default"]
    try:
        if not template.exists():
            call_command("migrate", run_syncdb=True, verbosity=0)
            connections["default"].close()
            shutil.copyfile(own["NAME"], template)
        yield
    finally:
        connections["default"].close()
        connections["default"] = outer
        connections.settings["default"] = outer_settings


@dataclass
class Site:
    """A running site. ``origin`` is what stands before every path."""

    origin: str

    def session_of(self, account: Account) -> dict[str, Any]:
        """The cookie of somebody who has logged in."""
        client = Client()
        client.force_login(account.user)
        name, morsel = next((name, morsel) for name, morsel in client.cookies.items() if name.startswith("session"))
        return {"name": name, "value": morsel.value, "url": self.origin}

    def video(self, account: Account, folder: Path, **fields: Any) -> Video:
        """A published video that really plays. The first one goes through the transcoder, later ones share its files."""
        if not PREPARED:
            path = cut(CLIP, folder)
            with path.open("rb") as stream:
                made = actions.upload_file(
                    account=account, filename="clip.mp4", stream=stream, size=path.stat().st_size, draft=VideoDraft()
                )
            worker.work("transcode", seconds_max=120)
            made.refresh_from_db()
            assert made.state == "published", made.failure
            PREPARED["fields"] = {name: getattr(made, name) for name in COPIED}
            PREPARED["rungs"] = [{name: getattr(rung, name) for name in RUNG} for rung in made.renditions.all()]
            Video.objects.filter(pk=made.pk).delete()
        video = published(account, **{**PREPARED["fields"], **fields})
        Rendition.objects.bulk_create(Rendition(video=video, **rung) for rung in PREPARED["rungs"])
        return video

    def remote_video(self, account: Account, folder: Path, **fields: Any) -> Video:
        """A video of another server that plays from its MP4 (which lies here, because there is no other server)."""
        if not PREPARED:
            Video.objects.filter(pk=self.video(account, folder).pk).delete()
        kept = PREPARED["fields"]
        address = f"{self.origin}{storage.url(kept['mp4_file'])}"
        sizes = {name: kept[name] for name in ("duration_ms", "width", "height", "blurhash")}
        files = {"remote_mp4_url": address, "poster_file": "", "mp4_file": "", "mp4_bytes": None}
        return published(account, **{**files, **sizes, **fields})


# Content-addressed files outlive the rows of a test, so they are made once in a run.
PREPARED: dict[str, Any] = {}


@contextmanager
def served() -> Iterator[int]:
    """Serve the application on a free port of localhost, which is yielded."""
    server = ThreadedWSGIServer(("127.0.0.1", 0), QuietHandler)
    server.daemon_threads = True
    server.set_app(get_wsgi_application())
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True)
    thread.start()
    try:
        yield server.server_address[1]
    finally:
        server.shutdown()
        server.server_close()
        thread.join()
