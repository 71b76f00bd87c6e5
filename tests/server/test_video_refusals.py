"""Files that cannot become videos: each fails with a sentence for its owner, and nothing of it is shown."""

import dataclasses
import subprocess
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from server.core import clock, limits, worker
from server.core.models import Task
from server.videos import actions, ffmpeg, jobs, ladder, transcoding
from server.videos.drafts import VideoDraft
from server.videos.facts import UploadFinished
from server.videos.models import Upload, Video
from tests import clips
from tests.video_facts import recorded
from tests.world import World


@pytest.fixture(autouse=True)
def _own_folders(settings: Any, tmp_path: Path) -> None:
    settings.UPLOAD_DIR, settings.MEDIA_ROOT = tmp_path / "uploads", tmp_path / "media"
    settings.UPLOAD_DIR.mkdir()
    settings.MEDIA_ROOT.mkdir()


def uploaded(world: World, path: Path) -> Video:
    with path.open("rb") as stream:
        return actions.upload_file(
            account=world.alice,
            filename=f"clip{path.suffix}",
            stream=stream,
            size=path.stat().st_size,
            draft=VideoDraft(),
        )


def assert_failed(video: Video, sentence: str, settings: Any) -> None:
    video.refresh_from_db()
    assert video.state == "failed"
    assert sentence in video.failure
    assert [path for path in settings.MEDIA_ROOT.rglob("*") if path.is_file()] == []
    assert not video.renditions.exists()
    # Never tried again by itself, but kept for the owner's own try.
    assert recorded() == []
    assert Upload.objects.filter(video=video).exists()
    assert [path for path in (settings.UPLOAD_DIR / "work").rglob("*") if path.is_file()] == []


def _secret() -> Path:
    return clips.pattern("secret.mp4", seconds=1)


FILES = {
    "text": (lambda: clips.written("text.mp4", b"hello, this is not a video\n" * 100), "not an MP4, MOV or WebM"),
    "playlist": (
        lambda: clips.written("hls.mp4", f"#EXTM3U\n#EXT-X-TARGETDURATION:2\n#EXTINF:1,\nfile:{_secret()}\n#EXT-X-ENDLIST\n".encode()),
        "not an MP4, MOV or WebM",
    ),
    "concat script": (lambda: clips.written("concat.mp4", f"ffconcat version 1.0\nfile '{_secret()}'\n".encode()), "not an MP4, MOV or WebM"),
    "picture": (lambda: clips.written("svg.mp4", b"<svg xmlns='http://www.w3.org/2000/svg'/>"), "not an MP4, MOV or WebM"),
    "avi": (lambda: clips.written("avi.mp4", clips.pattern("x.avi", seconds=1, sound=False).read_bytes()), "not an MP4, MOV or WebM"),
    "only magic": (lambda: clips.written("magic.mp4", b"\0\0\0\x20ftypisom" + bytes(100)), "ends early"),
    "noise": (lambda: clips.written("noise.webm", b"\x1a\x45\xdf\xa3" + bytes(range(256)) * 100), "damaged"),
    "index missing": (lambda: clips.cut(clips.REAL, "no_index.mp4", 0.6), "ends early"),
    "data missing": (lambda: clips.cut(clips.faststart(), "no_data.mp4", 0.4), "ends early"),
    "last bytes missing": (lambda: clips.cut(clips.faststart(), "no_end.mp4", 0.98), "ends early"),
    "webm cut off": (lambda: clips.cut(clips.pattern("whole.webm", seconds=3, video="libvpx"), "cut.webm", 0.5), "ends early"),
    "sound only": (lambda: clips.made("sound.mp4", "-f", "lavfi", "-i", "sine=d=1", "-c:a", "aac"), "no video"),
    "too long": (lambda: clips.pattern("long.mp4", size="64x64", rate="1", seconds=182, sound=False), "longer than 180 seconds"),
    "too many pixels": (
        lambda: clips.made("large.mp4", "-f", "lavfi", "-i", "color=red:s=8192x4096:r=1:d=1", "-c:v", "libx264", "-preset", "ultrafast"),
        "too large",
    ),
    "too fast": (lambda: clips.pattern("fast240.mp4", rate="240", seconds=1, sound=False), "240 frames"),
    "another codec": (lambda: clips.pattern("magicyuv.mov", seconds=1, video="magicyuv", sound=False), "magicyuv"),
}  # fmt: skip


@pytest.mark.parametrize("kind", FILES)
def test_refused_with_a_sentence(world: World, settings: Any, kind: str) -> None:
    make, sentence = FILES[kind]
    video = uploaded(world, make())
    assert worker.work("transcode") == 1
    assert_failed(video, sentence, settings)


def test_noise_in_the_middle_is_not_published(world: World, settings: Any) -> None:
    whole = bytearray(clips.faststart().read_bytes())
    whole[len(whole) // 3 : len(whole) * 2 // 3] = bytes(len(whole) * 2 // 3 - len(whole) // 3)
    video = uploaded(world, clips.written("hole.mp4", bytes(whole)))
    jobs.transcode(UploadFinished(video_id=video.id))
    Task.objects.all().delete()
    assert_failed(video, "damaged", settings)


@pytest.mark.slow
def test_a_recording_that_hides_its_length_is_cut_off_and_refused(world: World, settings: Any) -> None:
    settings.VIDEO_SECONDS_MAX = 3
    source = clips.pattern("hidden_source.webm", size="64x64", rate="5", seconds=8, video="libvpx", sound=False)
    video = uploaded(world, clips.made("hidden.webm", "-i", str(source), "-c", "copy", "-live", "1"))
    jobs.transcode(UploadFinished(video_id=video.id))
    Task.objects.all().delete()
    assert_failed(video, "longer than 3 seconds", settings)


def test_a_playlist_does_not_read_another_file_even_if_we_took_it_for_a_video(tmp_path: Path) -> None:
    """The first bytes already refuse it; this shows that ffmpeg's own options would, too."""
    secret = _secret()
    (tmp_path / "source").write_text(f"#EXTM3U\n#EXT-X-TARGETDURATION:2\n#EXTINF:1,\nfile:{secret}\n#EXT-X-ENDLIST\n")
    (tmp_path / "source.m3u8").write_bytes((tmp_path / "source").read_bytes())
    # Plain ffmpeg follows it: this is the leak.
    assert "320x180" in clips.describe(tmp_path / "source.m3u8")
    argv = ffmpeg.probe_argv(transcoding.binary(), "source", "mov")
    for kind in ("mov", "matroska", "hls", "concat"):
        argv[argv.index("-f") + 1] = kind
        said = subprocess.run(argv, cwd=tmp_path, capture_output=True, text=True, check=False).stderr
        assert "320x180" not in said
        assert "Error opening input" in said
    del argv[argv.index("-f") : argv.index("-f") + 2]
    said = subprocess.run([*argv[:-1], "file:source.m3u8"], cwd=tmp_path, capture_output=True, text=True, check=False).stderr
    assert "320x180" not in said
    assert "not in allowed list" in said or "not on whitelist" in said.lower() or "Format not on whitelist" in said


LIMITS = [
    ({"file_bytes_max": 20_000}, transcoding.TOO_LARGE_RESULT),
    ({"cpu_seconds_max": 1}, transcoding.TOO_LONG_TO_MAKE),
    ({"wait_seconds_max": 0.5}, transcoding.TOO_LONG_TO_MAKE),
    ({"memory_bytes_max": 200 * 2**20}, transcoding.TOO_MUCH_MEMORY),
]


@pytest.mark.parametrize(("change", "sentence"), LIMITS, ids=[next(iter(change)) for change, _ in LIMITS])
def test_limits_hold_and_say_so(
    world: World, settings: Any, monkeypatch: pytest.MonkeyPatch, change: dict[str, Any], sentence: str
) -> None:
    tight = dataclasses.replace(transcoding.transcode_limits(), **change)
    monkeypatch.setattr(transcoding, "transcode_limits", lambda: tight)
    video = uploaded(world, clips.pattern("limited.mp4", size="1920x1080", seconds=4))
    assert worker.work("transcode") == 1
    assert_failed(video, sentence, settings)
    monkeypatch.undo()
    actions.retry_transcode(video=video, by=world.alice)
    worker.work("transcode")
    video.refresh_from_db()
    assert video.state == "published"


def test_a_standstill_is_noticed(world: World, settings: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    # An ffmpeg that looks at files as always, and then makes nothing.
    stuck = tmp_path / "ffmpeg"
    stuck.write_text(f'#!/bin/sh\ncase "$*" in *filter_complex*) sleep 60;; esac\nexec {transcoding.binary()} "$@"\n')
    stuck.chmod(0o755)
    settings.FFMPEG_BINARY = str(stuck)
    monkeypatch.setattr(limits, "TRANSCODE_STALL_SECONDS_MAX", 1)
    video = uploaded(world, clips.pattern("stuck.mp4", seconds=1))
    assert worker.work("transcode") == 1
    assert_failed(video, transcoding.STANDSTILL, settings)


@pytest.mark.parametrize("signal", ["TERM", "KILL"])
def test_ended_from_outside_is_tried_again(world: World, settings: Any, tmp_path: Path, signal: str) -> None:
    binary, ended = transcoding.binary(), tmp_path / "ffmpeg"
    ended.write_text(f'#!/bin/sh\ncase "$*" in *filter_complex*) kill -{signal} $$;; esac\nexec {binary} "$@"\n')
    ended.chmod(0o755)
    settings.FFMPEG_BINARY = str(ended)
    video = uploaded(world, clips.pattern("ended.mp4", seconds=1))
    worker.work("transcode")
    video.refresh_from_db()
    assert video.state == "processing"
    assert "ended from outside" in Task.objects.get(fact="UploadFinished").last_error
    settings.FFMPEG_BINARY = binary
    with clock.moved(timedelta(hours=1)):
        worker.work("transcode")
    video.refresh_from_db()
    assert video.state == "published"


def test_the_command_of_the_docs_is_the_command_that_runs() -> None:
    # One decode, whatever the number of outputs.
    probe = ffmpeg.parse_probe(clips.describe(clips.REAL))
    argv = ladder.transcode_argv("ffmpeg", "source", "mov", probe, ladder.ladder(1280, 720), 180)
    assert argv.count("-i") == 1
    assert argv.count("libx264") == 2
