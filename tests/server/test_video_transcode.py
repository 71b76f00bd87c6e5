"""From an upload to a published video, with the real ffmpeg and real files."""

import re
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from PIL import Image

from server.accounts import actions as accounts
from server.accounts.facts import AccountDeleted
from server.accounts.models import Account
from server.core import clock, storage, worker
from server.core.errors import NotFound, StorageFull, Unavailable, WrongState
from server.core.models import Task
from server.videos import actions, jobs, queries, transcoding, uploads, workfolders
from server.videos.drafts import VideoDraft
from server.videos.facts import UploadFinished, VideoDeleted
from server.videos.models import Rendition, Upload, Video
from tests import clips
from tests.world import World


@pytest.fixture(autouse=True)
def _own_folders(settings: Any, tmp_path: Path) -> None:
    settings.UPLOAD_DIR, settings.MEDIA_ROOT = tmp_path / "uploads", tmp_path / "media"
    settings.UPLOAD_DIR.mkdir()
    settings.MEDIA_ROOT.mkdir()


def uploaded(world: World, path: Path, *, by: Account | None = None, filename: str = "clip.mp4", **draft: Any) -> Video:
    with path.open("rb") as stream:
        return actions.upload_file(
            account=by or world.alice, filename=filename, stream=stream, size=path.stat().st_size, draft=VideoDraft(**draft)
        )


def transcoded(world: World, path: Path, **draft: Any) -> Video:
    video = uploaded(world, path, **draft)
    jobs.transcode(UploadFinished(video_id=video.id))
    video.refresh_from_db()
    return video


def stored(settings: Any) -> set[str]:
    return {str(path.relative_to(settings.MEDIA_ROOT)) for path in settings.MEDIA_ROOT.rglob("*") if path.is_file()}


def named(video: Video) -> set[str]:
    pairs = video.renditions.values_list("playlist_file", "media_file")
    return {video.poster_file, video.mp4_file, *(name for pair in pairs for name in pair)} - {""}


def test_a_real_clip_is_published_and_plays(world: World, settings: Any) -> None:
    video = transcoded(world, clips.REAL)
    assert (video.state, video.failure, video.progress_percent) == ("published", "", 100)
    assert (video.width, video.height) == (1280, 720)
    assert abs((video.duration_ms or 0) - 5312) < 50
    assert Task.objects.filter(fact="VideoPublished", payload={"video_id": video.id}).exists()
    # Nothing is left but what the rows name: no upload, no working folder, no passing file.
    assert not Upload.objects.exists()
    assert [path for path in settings.UPLOAD_DIR.rglob("*") if path.is_file()] == []
    assert stored(settings) == named(video)
    assert len(named(video)) == 6

    playback = queries.playback(video)
    assert playback.hls_url == f"/hls/{video.uuid}/master.m3u8"
    assert playback.mp4_url == f"/media/{video.mp4_file}"
    rungs = {each.name: each for each in video.renditions.all()}
    assert {name: (each.width, each.height) for name, each in rungs.items()} == {"720p": (1280, 720), "360p": (640, 360)}
    assert all(re.fullmatch(r"avc1\.6400[0-9a-f]{2},mp4a\.40\.2", each.codecs) for each in rungs.values())

    # What Mastodon takes without encoding it again.
    said = clips.describe(settings.MEDIA_ROOT / video.mp4_file)
    assert "Video: h264 (High)" in said
    assert "yuv420p(" in said
    assert "Audio: aac (LC)" in said
    assert int(re.findall(r"bitrate: (\d+) kb/s", said)[0]) < 1300
    head = (settings.MEDIA_ROOT / video.mp4_file).read_bytes()[:4096]
    assert head.index(b"moov") < 64
    assert video.mp4_bytes == (settings.MEDIA_ROOT / video.mp4_file).stat().st_size

    with Image.open(settings.MEDIA_ROOT / video.poster_file) as poster:
        assert (poster.format, poster.size) == ("JPEG", (1280, 720))
        # A real picture, not the black of a first frame.
        assert len(set(poster.convert("L").resize((16, 9)).tobytes())) > 30
    assert len(video.blurhash) == 28


def segments(playlist: str) -> list[float]:
    return [float(each) for each in re.findall(r"#EXTINF:([\d.]+)", playlist)]


def test_the_playlists_name_stored_files_and_cut_at_the_same_moments(world: World, settings: Any) -> None:
    video = transcoded(world, clips.REAL)
    texts = {each.name: (settings.MEDIA_ROOT / each.playlist_file).read_text() for each in video.renditions.all()}
    for each in video.renditions.all():
        text = texts[each.name]
        assert set(re.findall(r"[^\s\"]+\.m4s", text)) == {f"../{each.media_file}"}
        size = (settings.MEDIA_ROOT / each.media_file).stat().st_size
        spans = [(int(length), int(start)) for length, start in re.findall(r"BYTERANGE[:=]\"?(\d+)@(\d+)", text)]
        # Every byte belongs to the header or to one segment, in order.
        at = 0
        for length, start in spans:
            assert start == at
            at += length
        assert at == size == each.media_bytes
        for length, start in spans[1:]:
            part = (settings.MEDIA_ROOT / each.media_file).read_bytes()[start : start + length]
            assert part[4:8] in {b"moof", b"styp", b"sidx"}
    assert segments(texts["720p"]) == segments(texts["360p"])
    assert segments(texts["720p"])[:2] == [2.0, 2.0]
    assert all("#EXT-X-INDEPENDENT-SEGMENTS" in text and text.endswith("#EXT-X-ENDLIST\n") for text in texts.values())


def test_each_rung_decodes_to_the_whole_length(world: World, settings: Any) -> None:
    video = transcoded(world, clips.REAL)
    for each in video.renditions.all():
        said = clips.ffmpeg("-i", str(settings.MEDIA_ROOT / each.playlist_file), "-f", "null", "-")
        assert "rror" not in said
        assert re.findall(r"time=00:00:05\.\d\d", said)


def test_place_title_and_camera_are_gone(world: World, settings: Any) -> None:
    words = ["SECRET-TITLE", "+48.8584+002.2945/", "SECRET-CAMERA", "SECRET-CHAPTER"]
    chapters = clips.written(
        "chapters.txt", b";FFMETADATA1\n[CHAPTER]\nTIMEBASE=1/1000\nSTART=0\nEND=2000\ntitle=SECRET-CHAPTER\n"
    )
    path = clips.made(
        "meta.mp4", "-i", str(clips.REAL), "-i", str(chapters), "-map_metadata", "1", "-map_chapters", "1", "-c", "copy",
        "-metadata", f"title={words[0]}", "-metadata", f"location={words[1]}", "-metadata", f"com.apple.quicktime.model={words[2]}",
        "-metadata:s:v", "handler_name=SECRET-CAMERA", "-movflags", "use_metadata_tags",
    )  # fmt: skip
    assert all(word in clips.describe(path) for word in words)
    video = transcoded(world, path)
    assert video.state == "published"
    for name in named(video):
        content = (settings.MEDIA_ROOT / name).read_bytes()
        assert not any(word.encode() in content for word in [*words, "48.8584", "Lavf"]), name
        if not name.endswith("m3u8"):
            said = clips.describe(settings.MEDIA_ROOT / name)
            assert "creation_time" not in said
            assert "Chapter" not in said


SHAPES = [
    # name, made with, what comes out: size, names of the rungs, has sound
    ("portrait.mp4", {"size": "1080x1920", "seconds": 1}, (720, 1280), ["720p", "360p"], True),
    ("square.mov", {"size": "500x500", "seconds": 1, "sound": False}, (500, 500), ["500p", "360p"], False),
    ("tiny.webm", {"size": "100x76", "seconds": 1, "video": "libvpx"}, (100, 76), ["76p"], True),
    ("two.mp4", {"size": "2x2", "seconds": 1, "sound": False, "video": "mpeg4"}, (2, 2), ["2p"], False),
    ("vp9.webm", {"size": "640x480", "seconds": 1, "video": "libvpx-vp9"}, (640, 480), ["480p", "360p"], True),
    ("fast.mp4", {"size": "320x180", "seconds": 1, "rate": "120"}, (320, 180), ["180p"], True),
    ("slow.mp4", {"size": "320x180", "seconds": 9, "rate": "1/3", "sound": False}, (320, 180), ["180p"], False),
    ("prores.mov", {"size": "320x180", "seconds": 1, "video": "prores_ks"}, (320, 180), ["180p"], True),
]


@pytest.mark.parametrize(("name", "arguments", "size", "rungs", "sound"), SHAPES, ids=[shape[0] for shape in SHAPES])
def test_shapes_and_codecs(
    world: World, settings: Any, name: str, arguments: Any, size: tuple[int, int], rungs: list[str], sound: bool
) -> None:
    video = transcoded(world, clips.pattern(name, **arguments))
    assert (video.state, video.failure) == ("published", "")
    assert (video.width, video.height) == size
    assert [each.name for each in video.renditions.order_by("id")] == rungs
    said = clips.describe(settings.MEDIA_ROOT / video.mp4_file)
    assert f", {size[0]}x{size[1]}" in said
    assert ("Audio: aac" in said) == sound
    assert all(("mp4a" in each.codecs) == sound for each in video.renditions.all())
    assert abs((video.duration_ms or 0) - 1000 * arguments["seconds"]) < 150


def test_a_turned_phone_video_stands_upright(world: World, settings: Any) -> None:
    flat = clips.pattern("flat.mp4", size="640x360", seconds=1)
    turned = clips.made("turned.mp4", "-display_rotation", "90", "-i", str(flat), "-c", "copy")
    video = transcoded(world, turned)
    assert (video.width, video.height) == (360, 640)
    assert "rotation" not in clips.describe(settings.MEDIA_ROOT / video.mp4_file)


def test_pixels_that_are_not_square_become_square(world: World) -> None:
    path = clips.made("wide.mp4", "-f", "lavfi", "-i", "testsrc2=s=360x288:r=25:d=1,setsar=64/45", "-c:v", "libx264")
    video = transcoded(world, path)
    assert (video.width, video.height) == (512, 288)


def test_a_browser_recording_without_a_length(world: World) -> None:
    source = clips.pattern("source.webm", size="320x180", seconds=2, video="libvpx")
    path = clips.made("live.webm", "-i", str(source), "-c", "copy", "-live", "1")
    assert "Duration: N/A" in clips.describe(path)
    video = transcoded(world, path, filename="recording.webm")
    assert (video.state, video.failure) == ("published", "")
    assert abs((video.duration_ms or 0) - 2000) < 100


def test_a_cover_picture_is_not_the_video(world: World) -> None:
    cover = clips.made("cover.jpg", "-f", "lavfi", "-i", "color=red:s=64x64", "-frames:v", "1")
    moving = clips.pattern("moving.mp4", seconds=1)
    path = clips.made(
        "covered.mp4",
        "-i",
        str(cover),
        "-i",
        str(moving),
        "-map",
        "0",
        "-map",
        "1",
        "-c",
        "copy",
        "-disposition:v:0",
        "attached_pic",
    )
    video = transcoded(world, path)
    assert (video.width, video.height) == (320, 180)


@pytest.mark.slow
def test_the_wide_range_of_a_phone_becomes_the_range_of_every_screen(world: World, settings: Any) -> None:
    path = clips.made(
        "hdr.mov", "-f", "lavfi", "-i", "testsrc2=s=640x360:r=30:d=1", "-vf", "format=yuv420p10le", "-c:v", "libx265", "-preset",
        "ultrafast", "-x265-params", "log-level=none:colorprim=bt2020:transfer=arib-std-b67:colormatrix=bt2020nc", "-tag:v", "hvc1",
    )  # fmt: skip
    assert "arib-std-b67" in clips.describe(path)
    video = transcoded(world, path)
    assert (video.state, video.failure) == ("published", "")
    said = clips.describe(settings.MEDIA_ROOT / video.mp4_file)
    assert "arib-std-b67" not in said
    assert "bt709" in said


def test_a_draft_may_wait_for_its_owner(world: World) -> None:
    video = transcoded(world, clips.pattern("wait.mp4", seconds=1), publish_when_ready=False)
    assert (video.state, video.published_at) == ("ready", None)
    assert not Task.objects.filter(fact="VideoPublished").exists()
    actions.publish(video=video, by=world.alice)
    assert (video.state, video.published_at is not None) == ("published", True)


def test_told_twice_is_done_once(world: World, settings: Any) -> None:
    video = transcoded(world, clips.pattern("once.mp4", seconds=1))
    before = stored(settings)
    jobs.transcode(UploadFinished(video_id=video.id))
    assert stored(settings) == before
    assert Rendition.objects.filter(video=video).count() == 1
    assert Task.objects.filter(fact="VideoPublished").count() == 1
    jobs.transcode(UploadFinished(video_id=12345))


def test_the_worker_runs_it_and_forgets_the_task(world: World) -> None:
    video = uploaded(world, clips.pattern("worked.mp4", seconds=1))
    assert worker.work("transcode") == 1
    video.refresh_from_db()
    assert video.state == "published"
    assert not Task.objects.filter(fact="UploadFinished").exists()


def test_progress_is_shown_and_the_lease_kept(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    video = uploaded(world, clips.pattern("progress.mp4", size="1920x1080", seconds=4))
    seen: list[int] = []
    renewals: list[int] = []
    renew = worker.renew

    def watch() -> None:
        seen.append(Video.objects.get(pk=video.pk).progress_percent)
        renewals.append(1)
        renew()

    monkeypatch.setattr(worker, "renew", watch)
    worker.work("transcode")
    assert seen == sorted(seen)
    assert len(renewals) >= 3
    assert any(0 < percent < 100 for percent in seen)


def test_a_lost_lease_stops_ffmpeg_and_leaves_nothing(world: World, settings: Any) -> None:
    video = uploaded(world, clips.pattern("lost.mp4", size="1920x1080", seconds=4))
    (task,) = worker.claim("transcode", 1)
    Task.objects.filter(pk=task.pk).update(lease_until=clock.now() - timedelta(seconds=1))
    (taken,) = worker.claim("transcode", 1)
    worker.run(task)
    video.refresh_from_db()
    assert (video.state, stored(settings)) == ("processing", set())
    assert list((settings.UPLOAD_DIR / "work").glob("*")) == []
    worker.run(taken)
    video.refresh_from_db()
    assert video.state == "published"


def test_a_video_deleted_meanwhile_stops_ffmpeg_and_leaves_nothing(
    world: World, settings: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    video = uploaded(world, clips.pattern("gone.mp4", size="1920x1080", seconds=4))
    renew = worker.renew

    def withdraw() -> None:
        renew()
        if Video.objects.get(pk=video.pk).state == "processing":
            actions.delete(video=Video.objects.get(pk=video.pk), by=world.alice)

    monkeypatch.setattr(worker, "renew", withdraw)
    jobs.transcode(UploadFinished(video_id=video.id))
    jobs.forget_files(VideoDeleted(video_id=video.id))
    video.refresh_from_db()
    assert (video.state, stored(settings), named(video)) == ("deleted", set(), set())
    assert [path for path in settings.UPLOAD_DIR.rglob("*") if path.is_file()] == []


def test_deleted_between_the_files_and_the_rows(world: World, settings: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    video = uploaded(world, clips.pattern("between.mp4", seconds=1))
    mark = actions.mark_transcoded

    def late(**arguments: Any) -> None:
        actions.delete(video=Video.objects.get(pk=video.pk), by=world.alice)
        assert stored(settings) == arguments["result"].files
        mark(**arguments)

    monkeypatch.setattr(actions, "mark_transcoded", late)
    jobs.transcode(UploadFinished(video_id=video.id))
    assert stored(settings) == set()


def test_deletion_spares_files_that_another_video_shows(world: World, settings: Any) -> None:
    first = transcoded(world, clips.pattern("shared.mp4", seconds=1))
    second = transcoded(world, clips.pattern("shared.mp4", seconds=1))
    assert named(first) == named(second)
    actions.delete(video=first, by=world.alice)
    jobs.forget_files(VideoDeleted(video_id=first.id))
    assert stored(settings) == named(second)
    assert not first.renditions.exists()
    jobs.forget_files(VideoDeleted(video_id=second.id))
    assert stored(settings) == named(second)
    actions.delete(video=second, by=world.alice)
    jobs.forget_files(VideoDeleted(video_id=second.id))
    jobs.forget_files(VideoDeleted(video_id=second.id))
    assert stored(settings) == set()


def test_a_closed_account_leaves_no_file_but_what_others_show(world: World, settings: Any) -> None:
    clip = clips.pattern("shared.mp4", seconds=1)
    shown, kept = transcoded(world, clip), transcoded(world, clip, by=world.bob)
    waiting = uploaded(world, clips.pattern("waiting.mp4", seconds=1))
    actions.start_upload(account=world.alice, filename="half.mp4", bytes_expected=1000)
    others = actions.start_upload(account=world.bob, filename="half.mp4", bytes_expected=1000)
    with pytest.raises(WrongState):
        jobs.forget_closed_account(AccountDeleted(account_id=world.alice.pk))
    assert {each.state for each in Video.objects.filter(account=world.alice)} == {"published", "processing"}
    assert Upload.objects.filter(account=world.alice).count() == 2

    accounts.close_account(account=world.alice, by=world.alice)
    taken = Task.objects.get(subscriber="server.videos.jobs.forget_closed_account")
    for _ in range(2):  # run again, it changes nothing
        jobs.forget_closed_account(AccountDeleted(**taken.payload))
        for video in (shown, waiting):
            video.refresh_from_db()
            assert (video.state, video.caption, named(video)) == ("deleted", "", set())
        kept.refresh_from_db()
        assert kept.state == "published"
        assert stored(settings) == named(kept)
        assert list(Upload.objects.values_list("pk", flat=True)) == [others.pk]
        assert {path.name for path in settings.UPLOAD_DIR.rglob("*") if path.is_file()} <= {others.pk.hex}


def test_a_file_that_vanishes_before_the_rows_is_made_again(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    video = uploaded(world, clips.pattern("vanish.mp4", seconds=1))
    exists = storage.exists
    monkeypatch.setattr(storage, "exists", lambda name: not name.endswith("jpg") and exists(name))
    with pytest.raises(Unavailable):
        jobs.transcode(UploadFinished(video_id=video.id))
    monkeypatch.undo()
    jobs.transcode(UploadFinished(video_id=video.id))
    video.refresh_from_db()
    assert video.state == "published"


def test_a_full_disk_is_told_to_the_owner_who_may_try_again(world: World, settings: Any) -> None:
    video = uploaded(world, clips.pattern("full.mp4", seconds=1))
    floor, settings.FREE_DISK_BYTES_MIN = settings.FREE_DISK_BYTES_MIN, storage.free_bytes() * 2
    jobs.transcode(UploadFinished(video_id=video.id))
    video.refresh_from_db()
    assert (video.state, video.failure) == ("failed", jobs.DISK_FULL)
    assert stored(settings) == set()
    settings.FREE_DISK_BYTES_MIN = floor
    actions.retry_transcode(video=video, by=world.alice)
    assert (video.state, video.failure) == ("processing", "")
    assert worker.work("transcode") == 2
    video.refresh_from_db()
    assert (video.state, video.failure) == ("published", "")


def test_a_disk_that_fills_between_two_files(world: World, settings: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    video = uploaded(world, clips.pattern("filling.mp4", seconds=1))
    put, count = storage.put_file, iter(range(10))

    def third_fails(path: Path, extension: str) -> str:
        if next(count) == 2:
            raise StorageFull
        return put(path, extension)

    monkeypatch.setattr(transcoding.storage, "put_file", third_fails)
    jobs.transcode(UploadFinished(video_id=video.id))
    video.refresh_from_db()
    assert (video.state, stored(settings)) == ("failed", set())


def test_nobody_else_retries_and_not_without_the_file(world: World) -> None:
    video = uploaded(world, clips.pattern("retry.mp4", seconds=1))
    with pytest.raises(WrongState):
        actions.retry_transcode(video=video, by=world.alice)
    actions.mark_failed(video=video, why="x")
    with pytest.raises(NotFound):
        actions.retry_transcode(video=video, by=world.charlie)
    uploads.path_of(Upload.objects.get()).unlink()
    with pytest.raises(WrongState, match="no longer kept"):
        actions.retry_transcode(video=video, by=world.alice)
    video.refresh_from_db()
    assert (video.state, video.failure) == ("failed", "x")


def test_an_upload_whose_file_is_gone(world: World) -> None:
    video = uploaded(world, clips.pattern("nofile.mp4", seconds=1))
    uploads.path_of(Upload.objects.get()).unlink()
    jobs.transcode(UploadFinished(video_id=video.id))
    video.refresh_from_db()
    assert (video.state, video.failure) == ("failed", jobs.FILE_GONE)


def test_a_buried_transcode_does_not_stay_in_processing(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    video, other = (uploaded(world, clips.pattern("buried.mp4", seconds=1)) for _ in range(2))
    Task.objects.filter(payload={"video_id": video.id}).update(attempts=4)
    monkeypatch.setattr(transcoding, "transcode", lambda *_, **__: 1 / 0)
    (task,) = worker.claim("transcode", 1)
    worker.run(task)
    assert Task.objects.exclude(dead_at=None).count() == 1
    jobs.fail_given_up()
    video.refresh_from_db()
    other.refresh_from_db()
    assert (video.state, video.failure) == ("failed", jobs.GIVEN_UP)
    assert other.state == "processing"
    monkeypatch.undo()
    actions.retry_transcode(video=video, by=world.alice)
    worker.work("transcode")
    video.refresh_from_db()
    assert video.state == "published"


def test_a_week_later_abandoned_uploads_are_forgotten(world: World, settings: Any) -> None:
    path = clips.pattern("old.mp4", seconds=1)
    unfinished = actions.start_upload(account=world.alice, filename="clip.mp4", bytes_expected=10)
    failed, waiting = uploaded(world, path), uploaded(world, path)
    actions.mark_failed(video=failed, why="x")
    (settings.UPLOAD_DIR / "stray.upload").write_bytes(b"of a killed web process")
    (settings.UPLOAD_DIR / "work").mkdir()
    (settings.UPLOAD_DIR / "work" / "1-x").mkdir()
    name = storage.put_bytes(b"orphan", "jpg")
    (settings.UPLOAD_DIR / "work" / "1-x" / transcoding.JOURNAL).write_text(name)
    with clock.moved(timedelta(hours=23)):
        jobs.forget_abandoned_uploads()
    assert Upload.objects.count() == 3
    assert (settings.UPLOAD_DIR / "stray.upload").exists()
    assert storage.exists(name)
    with clock.moved(timedelta(days=7, minutes=1)):
        jobs.forget_abandoned_uploads()
    assert [each.video_id for each in Upload.objects.all()] == [waiting.id]
    assert not Upload.objects.filter(pk=unfinished.pk).exists()
    left = {path.name for path in settings.UPLOAD_DIR.rglob("*") if path.is_file()}
    assert left == {uploads.path_of(Upload.objects.get()).name}
    assert not storage.exists(name)
    assert list((settings.UPLOAD_DIR / "work").iterdir()) == []
    jobs.transcode(UploadFinished(video_id=waiting.id))
    waiting.refresh_from_db()
    assert waiting.state == "published"


def test_a_sweep_spares_what_rows_name(world: World, settings: Any) -> None:
    video = transcoded(world, clips.pattern("spared.mp4", seconds=1))
    folder = settings.UPLOAD_DIR / "work" / f"{video.pk}-killed"
    folder.mkdir()
    (folder / transcoding.JOURNAL).write_text("\n".join([*named(video), storage.put_bytes(b"orphan", "jpg")]))
    workfolders.sweep(folder)
    assert stored(settings) == named(video)
    assert not folder.exists()
