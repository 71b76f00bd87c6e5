"""Files are whole or not there, named by their content."""

import hashlib
import resource
import subprocess
import sys
import threading
from pathlib import Path
from typing import Any

import pytest
from django.db import connection, transaction

from server.core import clock, storage
from server.core.errors import StorageFull

CONTENT = b"a picture" * 1000
DIGEST = hashlib.sha256(CONTENT).hexdigest()
NAME = f"{DIGEST[:2]}/{DIGEST}.jpg"


@pytest.fixture(autouse=True)
def media(settings: Any, tmp_path: Path) -> Path:
    settings.MEDIA_ROOT = tmp_path / "media"
    settings.MEDIA_ROOT.mkdir()
    return settings.MEDIA_ROOT


def files(media: Path) -> list[str]:
    return sorted(str(path.relative_to(media)) for path in media.rglob("*") if path.is_file())


def test_a_file_gets_the_name_of_its_content(media: Path, tmp_path: Path) -> None:
    source = tmp_path / "x.bin"
    source.write_bytes(CONTENT)
    assert storage.name_of(source, "jpg") == NAME
    assert storage.put_file(source, "jpg") == NAME
    assert storage.put_bytes(CONTENT, "jpg") == NAME
    assert (media / NAME).read_bytes() == CONTENT
    assert source.exists()
    assert files(media) == [NAME]
    assert storage.exists(NAME)
    assert not storage.exists(NAME.replace("jpg", "png"))
    storage.delete(NAME)
    storage.delete(NAME)
    assert not storage.exists(NAME)


@pytest.mark.parametrize("extension", ["", "JPG", "../x", "a" * 9, "j pg"])
def test_an_odd_extension_is_a_mistake_of_ours(extension: str, media: Path) -> None:
    with pytest.raises(ValueError, match="not a name"):
        storage.put_bytes(CONTENT, extension)
    assert files(media) == []


def test_addresses(settings: Any) -> None:
    assert storage.url(NAME) == f"/media/{NAME}"
    settings.MEDIA_URL = "https://cdn.example/media/"
    assert storage.url(NAME) == f"https://cdn.example/media/{NAME}"


def test_below_the_floor_of_free_space_nothing_is_stored(media: Path, settings: Any) -> None:
    assert storage.free_bytes() > 0
    settings.FREE_DISK_BYTES_MIN = storage.free_bytes() * 2
    with pytest.raises(StorageFull):
        storage.put_bytes(CONTENT, "jpg")
    assert files(media) == []
    settings.FREE_DISK_BYTES_MIN = 0
    assert storage.put_bytes(CONTENT, "jpg") == NAME


def test_a_write_that_fails_half_way_leaves_nothing(media: Path) -> None:
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    # Python ignores SIGXFSZ, so the kernel answers EFBIG after the first 4000 bytes.
    resource.setrlimit(resource.RLIMIT_FSIZE, (4000, before[1]))
    try:
        with pytest.raises(StorageFull):
            storage.put_bytes(CONTENT, "jpg")
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)
    assert files(media) == []
    assert storage.put_bytes(CONTENT, "jpg") == NAME


def test_every_other_error_of_the_disk_is_told_as_it_is(media: Path) -> None:
    (media / "tmp").write_bytes(b"in the way")
    with pytest.raises(FileExistsError):
        storage.put_bytes(CONTENT, "jpg")


KILLED_WHILE_WRITING = """
import os, shutil, signal, sys
sys.path.insert(0, {root!r})
import tests.environment
os.environ["TRIBUTARY_MEDIA_DIR"] = {media!r}
os.environ["DJANGO_SETTINGS_MODULE"] = "server.settings"
from server.core import storage
copy = shutil.copyfileobj
def half(source, target, length):
    target.write(source.read(4000))
    target.flush()
    os.kill(os.getpid(), signal.SIGKILL)
storage.shutil.copyfileobj = half
storage.put_bytes(b"a picture" * 1000, "jpg")
"""


def test_a_killed_writer_leaves_only_a_passing_file_that_the_chore_removes(media: Path) -> None:
    root = str(Path(__file__).parents[2])
    done = subprocess.run([sys.executable, "-c", KILLED_WHILE_WRITING.format(root=root, media=str(media))], check=False)
    assert done.returncode == -9
    assert len(files(media)) == 1
    assert not storage.exists(NAME)
    storage.forget_passing(clock.now().timestamp() - 3600)
    assert len(files(media)) == 1
    storage.forget_passing(clock.now().timestamp() + 3600)
    assert files(media) == []


@pytest.mark.django_db(transaction=True)
def test_holders_of_one_name_wait_for_each_other(django_assert_num_queries: Any) -> None:
    if connection.vendor == "sqlite":
        # Transactions that write wait for each other as a whole (``transaction_mode: IMMEDIATE``): nothing to ask.
        with django_assert_num_queries(0):
            storage.hold([NAME])
        return
    held, order = threading.Event(), []

    def other() -> None:
        held.wait(5)
        with transaction.atomic():
            storage.hold([NAME])
            order.append("second")
        connection.close()

    thread = threading.Thread(target=other)
    thread.start()
    with transaction.atomic():
        storage.hold([NAME, "x"])
        held.set()
        thread.join(0.3)
        order.append("first")
    thread.join(5)
    assert order == ["first", "second"]


def test_passing_files_are_on_the_disk_of_the_media(media: Path) -> None:
    # Else the rename would be a copy, and a crash could leave half a file under a final name.
    storage.put_bytes(CONTENT, "jpg")
    assert (media / "tmp").stat().st_dev == (media / NAME).stat().st_dev
