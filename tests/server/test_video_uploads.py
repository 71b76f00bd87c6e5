"""A file comes in: whole, in pieces, broken off, too large, by the wrong person, onto a full disk."""

import fcntl
import io
import resource
from pathlib import Path
from typing import Any

import pytest

from server.core import limits, storage
from server.core.errors import Conflict, Invalid, NotAllowed, NotFound, StorageFull, TooLarge, WrongState
from server.core.models import Task
from server.videos import actions, uploads
from server.videos.drafts import VideoDraft
from server.videos.models import Upload, Video
from tests.video_facts import recorded
from tests.world import World

BYTES = bytes(range(256)) * 16


@pytest.fixture(autouse=True)
def upload_dir(settings: Any, tmp_path: Path) -> Path:
    settings.UPLOAD_DIR = tmp_path / "uploads"
    settings.UPLOAD_DIR.mkdir()
    return settings.UPLOAD_DIR


def start(world: World, size: int = len(BYTES), filename: str = "clip.mp4") -> Upload:
    return actions.start_upload(account=world.alice, filename=filename, bytes_expected=size)


def append(upload: Upload, by: Any, offset: int, data: bytes) -> Upload:
    return actions.append_upload(upload=upload, by=by, offset=offset, stream=io.BytesIO(data))


def received(upload: Upload) -> tuple[int, bytes]:
    upload.refresh_from_db()
    path = uploads.path_of(upload)
    return upload.bytes_received, path.read_bytes() if path.exists() else b""


def test_in_two_pieces(world: World) -> None:
    upload = start(world)
    append(upload, world.alice, 0, BYTES[:1000])
    assert received(upload) == (1000, BYTES[:1000])
    append(upload, world.alice, 1000, BYTES[1000:])
    video = actions.finish_upload(
        upload=upload, by=world.alice, draft=VideoDraft(caption=" A #Rabbit\r\nhops\0 ", language="pt-BR", visibility="unlisted")
    )
    assert received(upload) == (len(BYTES), BYTES)
    assert (video.state, video.is_local, video.caption, video.language) == ("processing", True, "A #Rabbit\nhops", "pt-BR")
    assert (video.visibility, video.published_at) == ("unlisted", None)
    assert [tag.name for tag in video.hashtags.all()] == ["rabbit"]
    assert video.uri == f"http://localhost:8000/users/alice/posts/{video.id}"
    assert Task.objects.filter(fact="UploadFinished", payload={"video_id": video.id}).count() == 1


def test_finishing_twice_is_once(world: World) -> None:
    upload = append(start(world), world.alice, 0, BYTES)
    first = actions.finish_upload(upload=upload, by=world.alice, draft=VideoDraft())
    again = actions.finish_upload(upload=Upload.objects.get(), by=world.alice, draft=VideoDraft(caption="other"))
    assert again == first
    assert Video.objects.count() == 1
    assert Task.objects.filter(fact="UploadFinished").count() == 1


@pytest.mark.parametrize("offset", [0, 999, 1001, 5000])
def test_another_offset_is_refused_and_changes_nothing(world: World, offset: int) -> None:
    upload = append(start(world), world.alice, 0, BYTES[:1000])
    with pytest.raises(Conflict, match="goes on at byte 1000"):
        append(upload, world.alice, offset, b"x")
    assert received(upload) == (1000, BYTES[:1000])


def test_more_bytes_than_announced_take_the_append_back(world: World) -> None:
    upload = append(start(world), world.alice, 0, BYTES[:1000])
    with pytest.raises(TooLarge):
        append(upload, world.alice, 1000, BYTES[1000:] + b"!")
    assert received(upload) == (1000, BYTES[:1000])
    append(upload, world.alice, 1000, BYTES[1000:])
    assert received(upload) == (len(BYTES), BYTES)


class Broken(io.BytesIO):
    """A connection that breaks after its bytes."""

    def read(self, size: int | None = -1) -> bytes:
        data = super().read(min(size or 0, 1500))
        if not data:
            raise ConnectionResetError
        return data


def test_a_broken_connection_keeps_what_came(world: World) -> None:
    upload = start(world)
    with pytest.raises(ConnectionResetError):
        actions.append_upload(upload=upload, by=world.alice, offset=0, stream=Broken(BYTES[:2000]))
    assert received(upload) == (2000, BYTES[:2000])
    append(upload, world.alice, 2000, BYTES[2000:])
    assert received(upload) == (len(BYTES), BYTES)


def test_bytes_a_killed_process_left_behind_the_row_are_written_over(world: World) -> None:
    upload = append(start(world), world.alice, 0, BYTES[:1000])
    with uploads.path_of(upload).open("ab") as file:
        file.write(b"never told")
    append(upload, world.alice, 1000, BYTES[1000:])
    assert received(upload) == (len(BYTES), BYTES)


def test_two_requests_at_once(world: World) -> None:
    upload = append(start(world), world.alice, 0, BYTES[:1000])
    with uploads.path_of(upload).open("rb") as other:
        fcntl.flock(other, fcntl.LOCK_EX)
        with pytest.raises(Conflict, match="Another request"):
            append(upload, world.alice, 1000, b"x")
    append(upload, world.alice, 1000, BYTES[1000:])
    assert received(upload) == (len(BYTES), BYTES)


def test_nobody_else_sees_the_upload(world: World) -> None:
    upload = start(world)
    for by in (world.charlie, world.bob):
        with pytest.raises(NotFound):
            append(upload, by, 0, BYTES)
        with pytest.raises(NotFound):
            actions.finish_upload(upload=upload, by=by, draft=VideoDraft())
    assert received(upload) == (0, b"")


def test_incomplete_is_not_finished(world: World) -> None:
    upload = append(start(world), world.alice, 0, BYTES[:1000])
    with pytest.raises(Conflict, match="1000 of 4096"):
        actions.finish_upload(upload=upload, by=world.alice, draft=VideoDraft())
    append(upload, world.alice, 1000, BYTES[1000:])
    uploads.path_of(upload).write_bytes(b"short")
    with pytest.raises(Conflict):
        actions.finish_upload(upload=upload, by=world.alice, draft=VideoDraft())
    assert not Video.objects.exists()


def test_finished_is_finished(world: World) -> None:
    upload = append(start(world), world.alice, 0, BYTES)
    actions.finish_upload(upload=upload, by=world.alice, draft=VideoDraft())
    with pytest.raises(WrongState):
        append(upload, world.alice, len(BYTES), b"")
    assert received(upload) == (len(BYTES), BYTES)


@pytest.mark.parametrize("filename", ["clip.avi", "clip", "clip.mp4.exe", ".mp4/..", "mp4", "clip.svg", ""])
def test_other_extensions_are_refused(world: World, filename: str) -> None:
    with pytest.raises(Invalid) as refused:
        start(world, filename=filename)
    assert refused.value.field == "file"


@pytest.mark.parametrize(
    ("filename", "kept"),
    [
        ("CLIP.MP4", "CLIP.MP4"),
        ("a/b\\c.mov", "c.mov"),
        ("x\n\x1b[2J.webm", "x[2J.webm"),
        ("é" * 300 + ".mp4", "é" * 251 + ".mp4"),
    ],
)
def test_filenames_are_cleaned(world: World, filename: str, kept: str) -> None:
    assert start(world, filename=filename).filename == kept


@pytest.mark.parametrize("size", [0, -1])
def test_an_empty_file_is_refused(world: World, size: int) -> None:
    with pytest.raises(Invalid, match="empty"):
        start(world, size=size)


def test_the_size_limit_to_the_byte(world: World, settings: Any) -> None:
    start(world, size=settings.UPLOAD_BYTES_MAX)
    with pytest.raises(TooLarge, match="500 MiB"):
        start(world, size=settings.UPLOAD_BYTES_MAX + 1)


def test_a_suspended_account_does_not_upload(world: World) -> None:
    world.alice.suspended_at = world.alice.created_at
    with pytest.raises(NotAllowed):
        start(world)


def test_not_too_many_at_once(world: World) -> None:
    for _ in range(limits.UPLOADS_UNFINISHED_MAX):
        start(world)
    with pytest.raises(Conflict, match="unfinished"):
        start(world)
    actions.start_upload(account=world.bob, filename="clip.mp4", bytes_expected=1)


def test_a_full_disk_refuses_at_the_start(world: World, settings: Any) -> None:
    settings.FREE_DISK_BYTES_MIN = storage.free_bytes() * 2
    with pytest.raises(StorageFull):
        start(world)
    assert not Upload.objects.exists()


def test_a_disk_that_fills_up_on_the_way(world: World, settings: Any) -> None:
    upload = append(start(world), world.alice, 0, BYTES[:1000])
    floor, settings.FREE_DISK_BYTES_MIN = settings.FREE_DISK_BYTES_MIN, storage.free_bytes() * 2
    with pytest.raises(StorageFull):
        append(upload, world.alice, 1000, BYTES[1000:])
    # The bytes are given back to the disk, and the row says so: the client begins again.
    assert received(upload) == (0, b"")
    assert list(settings.UPLOAD_DIR.iterdir()) == []
    settings.FREE_DISK_BYTES_MIN = floor
    append(upload, world.alice, 0, BYTES)
    assert received(upload) == (len(BYTES), BYTES)


def test_a_write_the_kernel_refuses(world: World, upload_dir: Path) -> None:
    upload = append(start(world), world.alice, 0, BYTES[:1000])
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (2000, before[1]))
    try:
        with pytest.raises(StorageFull):
            append(upload, world.alice, 1000, BYTES[1000:])
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)
    assert received(upload) == (0, b"")
    assert list(upload_dir.iterdir()) == []


def form(world: World, data: bytes, size: int, draft: VideoDraft) -> Video:
    return actions.upload_file(account=world.alice, filename="clip.mp4", stream=io.BytesIO(data), size=size, draft=draft)


def test_a_form_in_one_go(world: World) -> None:
    assert form(world, BYTES, len(BYTES), VideoDraft()).state == "processing"


@pytest.mark.parametrize(
    ("size", "draft"),
    [
        (len(BYTES) + 1, VideoDraft()),
        (len(BYTES) - 1, VideoDraft()),
        (len(BYTES), VideoDraft(caption="x" * (limits.CAPTION_CHARACTERS_MAX + 1))),
        (len(BYTES), VideoDraft(alt_text="x" * (limits.ALT_TEXT_CHARACTERS_MAX + 1))),
        (len(BYTES), VideoDraft(language="english, please")),
        (len(BYTES), VideoDraft(visibility="secret")),
    ],
)
def test_a_form_that_fails_leaves_nothing(world: World, upload_dir: Path, size: int, draft: VideoDraft) -> None:
    with pytest.raises((Invalid, Conflict, TooLarge)):
        form(world, BYTES, size, draft)
    assert not Upload.objects.exists()
    assert not Video.objects.exists()
    assert recorded() == []
    assert list(upload_dir.iterdir()) == []
