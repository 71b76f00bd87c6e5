"""Upload and studio: what comes in, what is refused beside which field, and that a stranger learns nothing."""

import re
import shutil
from pathlib import Path
from types import SimpleNamespace

import pytest
from django.conf import settings as django_settings
from django.core.files.uploadedfile import SimpleUploadedFile
from django.test import Client

from server.core import worker
from server.videos.models import Upload, Video
from tests.server.calls import Api
from tests.server.test_pages_watch import JSON, signed_in, text
from tests.world import World, published

pytestmark = pytest.mark.django_db
CLIP = Path(__file__).parent.parent / "media" / "bigbuckbunny.mp4"


def form(**fields: object) -> dict[str, object]:
    return {"caption": "Hop #bunny", "alt_text": "A rabbit", "comments_open": "on", "publish_when_ready": "on", **fields}


def clip(data: bytes | None = None, name: str = "hop.mp4") -> SimpleUploadedFile:
    return SimpleUploadedFile(name, CLIP.read_bytes() if data is None else data, "video/mp4")


def left_behind() -> list[Path]:
    return [path for path in django_settings.UPLOAD_DIR.iterdir() if path.is_file()]


def empty_uploads() -> None:
    for path in django_settings.UPLOAD_DIR.iterdir():
        shutil.rmtree(path) if path.is_dir() else path.unlink()


@pytest.fixture(autouse=True)
def _empty_uploads():
    # Other tests in this process may have left theirs.
    empty_uploads()
    yield
    empty_uploads()


def test_a_plain_form_brings_a_video_in_and_the_worker_publishes_it(world: World):
    alice = signed_in(world.alice)
    answer = alice.post("/upload", form(file=clip()), follow=True)
    assert answer.redirect_chain == [("/studio", 302)]
    assert "Your video is here." in text(answer)
    assert "Being prepared" in text(answer)
    assert "data-working" in text(answer)
    worker.work("transcode", seconds_max=120)
    video = Video.objects.get()
    assert (video.state, video.caption, video.alt_text) == ("published", "Hop #bunny", "A rabbit")
    list_again = text(alice.get("/studio", headers={"X-Fragment": "works"}))
    assert "Published" in list_again
    assert "data-working" not in list_again
    assert "<html" not in list_again
    page = text(Client().get(f"/w/{video.pk}"))
    assert f'data-hls="/hls/{video.uuid}/master.m3u8"' in page
    assert "/media/" in page


def test_our_script_gets_the_address_to_go_to(world: World):
    answer = signed_in(world.alice).post("/upload", form(file=clip(), visibility="unlisted", sensitive="on"), headers=JSON)
    assert answer.json()["location"] == "/studio"
    video = Video.objects.get()
    assert (video.visibility, video.sensitive, video.comments_open, video.state) == ("unlisted", True, True, "processing")


@pytest.mark.parametrize(
    ("file", "words"),
    [
        (lambda: clip(b"hello", "notes.txt"), "Only .mp4, .mov and .webm"),
        (lambda: clip(b""), "The file is empty."),
        (lambda: "", "Choose a video file."),
    ],
    ids=["text file", "no bytes", "no file"],
)
def test_a_wrong_file_is_refused_beside_its_field_and_the_words_stay(world: World, file, words: str):
    alice = signed_in(world.alice)
    answer = alice.post("/upload", form(file=file()))
    assert answer.status_code == 422
    page = text(answer)
    assert words in page.split('data-errors-for="file"')[1].split("Caption")[0]
    assert "Hop #bunny" in page
    by_script = alice.post("/upload", form(file=file()), headers=JSON)
    assert by_script.status_code == 422
    assert words in by_script.json()["errors"]["file"][0]["message"]
    assert not Video.objects.exists()
    assert not Upload.objects.exists()
    assert not left_behind()


def test_words_that_are_too_long_are_refused_beside_their_field(world: World):
    answer = signed_in(world.alice).post("/upload", form(file=clip(), caption="x" * 2_201), headers=JSON)
    assert list(answer.json()["errors"]) == ["caption"]


def test_a_file_over_the_limit_is_refused_and_nothing_stays(world: World, settings):
    settings.UPLOAD_BYTES_MAX = 100_000
    alice = signed_in(world.alice)
    answer = alice.post("/upload", form(file=clip(b"\x00" * 150_000)))
    assert answer.status_code == 413
    assert "The file is larger than" in text(answer)
    assert "Hop #bunny" in text(answer)
    by_script = alice.post("/upload", form(file=clip(b"\x00" * 150_000)), headers=JSON)
    assert "larger" in by_script.json()["errors"]["file"][0]["message"]
    assert not Upload.objects.exists()
    assert not left_behind()


def test_a_form_that_announces_a_huge_file_is_not_even_read(world: World, settings):
    settings.UPLOAD_BYTES_MAX = 100_000
    answer = signed_in(world.alice).post("/upload", form(file=clip()), headers=JSON, CONTENT_LENGTH=str(10**10))
    assert (answer.status_code, answer.json()["field"]) == (413, "file")


def test_a_full_disk_says_so_and_nothing_stays(world: World, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(shutil, "disk_usage", lambda path: SimpleNamespace(total=10**12, used=10**12, free=1_000))
    answer = signed_in(world.alice).post("/upload", form(file=clip()))
    assert answer.status_code == 507
    assert "disk is full" in text(answer)
    assert not Upload.objects.exists()
    assert not left_behind()


def test_the_file_goes_through_the_disk_and_not_through_memory(world: World, monkeypatch: pytest.MonkeyPatch):
    seen = []
    from server.videos import actions

    def look(*, account, filename, stream, size, draft):
        seen.append((hasattr(stream, "temporary_file_path"), size))
        return original(account=account, filename=filename, stream=stream, size=size, draft=draft)

    original = actions.upload_file
    monkeypatch.setattr(actions, "upload_file", look)
    signed_in(world.alice).post("/upload", form(file=clip()))
    assert seen == [(True, CLIP.stat().st_size)]


def test_visitors_log_in_first(client: Client, world: World):
    assert client.get("/upload")["Location"] == "/account/login/?next=%2Fupload"
    assert client.post("/upload", form(file=clip()), headers=JSON).status_code == 401
    assert client.get("/studio")["Location"] == "/account/login/?next=%2Fstudio"
    assert not Video.objects.exists()


def test_the_life_of_a_video_by_buttons(world: World):
    video = published(world.alice)
    alice = signed_in(world.alice)
    for verb, state in (("unpublish", "ready"), ("publish", "published")):
        assert alice.post(f"/videos/{video.pk}/{verb}").status_code == 302
        video.refresh_from_db()
        assert video.state == state
    refused = alice.post(f"/videos/{video.pk}/publish", headers=JSON)
    assert (refused.status_code, refused.json()["code"]) == (409, "wrong_state")
    assert alice.post(f"/videos/{video.pk}/explode").status_code == 404
    assert "This cannot be undone." in text(alice.get(f"/videos/{video.pk}/delete"))
    alice.post(f"/videos/{video.pk}/delete")
    video.refresh_from_db()
    assert video.state == "deleted"
    assert "Nothing here yet" in text(alice.get("/studio"))
    assert alice.get(f"/videos/{video.pk}/edit").status_code == 404


@pytest.mark.parametrize(
    ("data", "words"),
    [
        (b"hello, this is not a video\n" * 100, "not an MP4, MOV or WebM"),
        (b"#EXTM3U\nfile:///etc/passwd\n" * 10, "not an MP4, MOV or WebM"),
        (CLIP.read_bytes()[: CLIP.stat().st_size // 2], "ends early"),
        (CLIP.read_bytes(), "disk was full"),
    ],
    ids=["text", "playlist", "truncated", "disk full"],
)
def test_a_failed_video_says_why_at_both_doors_and_can_be_tried_again(world: World, settings, data: bytes, words: str):
    """What is wrong only shows when ffmpeg looks at it; a disk may fill up after the upload."""
    alice = signed_in(world.alice)
    assert "Your video is here." in text(alice.post("/upload", form(file=clip(data)), follow=True))
    if words == "disk was full":
        settings.FREE_DISK_BYTES_MIN = 2**60
    worker.work("transcode", seconds_max=60)
    page = text(alice.get("/studio"))
    assert "Failed" in page
    assert words in page.split('class="work-failure"')[1].split("</p>")[0]
    assert "Try again" in page
    video = Video.objects.get()
    by_program = Api(world.alice).get(f"videos/{video.pk}")
    assert (by_program.body["state"], by_program.body["processing"]["failure"]) == ("failed", video.failure)
    assert Client().get(f"/w/{video.pk}").status_code == 404
    # Nothing is lost: the upload is there, and may be tried again.
    assert [path.stat().st_size for path in left_behind()] == [len(data)]
    assert alice.post(f"/videos/{video.pk}/retry").status_code == 302
    video.refresh_from_db()
    assert video.state == "processing"


def test_words_can_be_changed(world: World):
    video = published(world.alice, sensitive=True)
    alice = signed_in(world.alice)
    assert "A rabbit in a meadow" in text(alice.get(f"/videos/{video.pk}/edit"))
    alice.post(f"/videos/{video.pk}/edit", {"caption": "New #words", "alt_text": "", "comments_open": ""})
    video.refresh_from_db()
    assert (video.caption, video.alt_text, video.sensitive, video.comments_open) == ("New #words", "", False, False)
    assert alice.post(f"/videos/{video.pk}/edit", {"caption": "x" * 2_201}).status_code == 422


def test_the_studio_has_pages_and_its_totals_count_all_of_them(world: World):
    for number in range(32):
        published(world.alice, caption=f"Number {number}.", like_count=1)
    alice = signed_in(world.alice)
    first = text(alice.get("/studio"))
    assert first.count('<li class="work"') == 30
    assert "<dt>Likes</dt><dd>32</dd>" in first
    address = re.search(r'href="(/studio\?before=\d+)"', first)
    assert address
    second = text(alice.get(address[1]))
    assert second.count('<li class="work"') == 2
    assert "Older videos" not in second


def test_strangers_cannot_touch_it(world: World):
    video = published(world.alice)
    for who in (world.bob, world.charlie):
        client = signed_in(who)
        assert client.get(f"/videos/{video.pk}/edit").status_code == 404
        for verb in ("edit", "delete", "publish", "unpublish", "retry"):
            assert client.post(f"/videos/{video.pk}/{verb}", {"caption": "Mine now"}).status_code == 404
        assert str(video.pk) not in text(client.get("/studio"))
    video.refresh_from_db()
    assert (video.state, video.caption) == ("published", "A clip #test")
