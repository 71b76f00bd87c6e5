"""From an uploaded file to stored renditions. Touches no row: values and files in, a ``TranscodeResult`` out."""

import errno
import os
import re
import signal
import time
from collections.abc import Callable
from pathlib import Path

import blurhash
from django.conf import settings
from PIL import Image

from server.core import limits, storage
from server.core.errors import StorageFull, Unavailable
from server.videos import ffmpeg, ladder, outputs, runner
from server.videos.ffmpeg import ENDS_EARLY, Probe, Unusable
from server.videos.result import Rung, TranscodeResult

_PROBE_MEMORY_BYTES_MAX = 1 * limits.GIB
_BLURHASH_PIXELS = 32
# How much shorter than announced a whole file may turn out: rounding, and tracks that end a little apart.
_SHORT_MS_MAX = 1_000
_SHORT_SHARE_MAX = 0.05

DAMAGED = "This file is damaged: it cannot be decoded."
STANDSTILL = "Preparing this video came to a standstill. Perhaps the file is damaged."
TOO_LONG_TO_MAKE = "Preparing this video took longer than this server allows."
TOO_MUCH_MEMORY = "Preparing this video needs more memory than this server allows."
TOO_LARGE_RESULT = "Preparing this video made a file larger than this server allows."


def binary() -> str:
    """The ffmpeg that ``settings.FFMPEG_BINARY`` names, else the one in the imageio-ffmpeg wheel."""
    if settings.FFMPEG_BINARY:
        return settings.FFMPEG_BINARY
    from imageio_ffmpeg import get_ffmpeg_exe

    return get_ffmpeg_exe()


def transcode(source: Path, *, on_progress: Callable[[int], None]) -> TranscodeResult:
    """Probe, transcode and store ``source``, working in its folder, which holds nothing else.

    ``on_progress`` gets a percentage about once a second; what it raises stops ffmpeg and goes on. Raises Unusable
    (with a sentence for the owner), StorageFull, Unavailable.
    """
    folder = source.parent
    kind = ffmpeg.container(_head(source))
    probe = _probe(source, kind)
    ffmpeg.check(probe, seconds_max=settings.VIDEO_SECONDS_MAX)
    plans = ladder.ladder(probe.width, probe.height)
    storage.require_room(source.stat().st_size, settings.UPLOAD_DIR)
    argv = ladder.transcode_argv(binary(), source.name, kind, probe, plans, settings.VIDEO_SECONDS_MAX)
    finished = runner.run(argv, folder=folder, at_most=transcode_limits(), on_tick=_teller(probe.duration_ms, on_progress))
    _require_success(finished)
    made_ms = outputs.duration_ms(_head(folder / ladder.MP4))
    _require_length(probe.duration_ms, made_ms)
    on_progress(99)
    return _store(folder, plans, made_ms)


def transcode_limits() -> runner.Limits:
    """What one transcode may use."""
    return runner.Limits(
        wait_seconds_max=limits.TRANSCODE_SECONDS_MAX,
        cpu_seconds_max=4 * limits.TRANSCODE_SECONDS_MAX,
        memory_bytes_max=limits.TRANSCODE_MEMORY_BYTES_MAX,
        file_bytes_max=limits.TRANSCODE_FILE_BYTES_MAX,
    )


def _probe(source: Path, kind: str) -> Probe:
    at_most = runner.Limits(
        wait_seconds_max=limits.PROBE_SECONDS_MAX,
        cpu_seconds_max=limits.PROBE_SECONDS_MAX,
        memory_bytes_max=_PROBE_MEMORY_BYTES_MAX,
        file_bytes_max=limits.MIB,
    )
    finished = runner.run(ffmpeg.probe_argv(binary(), source.name, kind), folder=source.parent, at_most=at_most)
    if finished.timed_out:
        raise Unusable("Looking at this file took too long.")
    return ffmpeg.parse_probe(finished.said)


def _teller(duration_ms: int | None, on_progress: Callable[[int], None]) -> Callable[[str], None]:
    """Turn what ``ffmpeg -progress`` says into percents; a file that does not say how long it is stays at 0.

    The function returned raises Unusable when ffmpeg has come to a standstill.
    """
    made_us, moved_at = 0, time.monotonic()

    def tell(said: str) -> None:
        nonlocal made_us, moved_at
        times = re.findall(r"^out_time_us=(\d+)$", said, re.MULTILINE)
        if times and int(times[-1]) > made_us:
            made_us, moved_at = int(times[-1]), time.monotonic()
        if time.monotonic() - moved_at > limits.TRANSCODE_STALL_SECONDS_MAX:
            raise Unusable(STANDSTILL)
        on_progress(min(99, made_us // (10 * duration_ms)) if duration_ms else 0)

    return tell


# What ffmpeg says, in the order in which we ask, and what it means for the owner.
_COMPLAINTS = {
    "partial file": ENDS_EARLY,
    "File ended prematurely": ENDS_EARLY,
    "File too large": TOO_LARGE_RESULT,
    "Cannot allocate memory": TOO_MUCH_MEMORY,
    "Could not allocate memory": TOO_MUCH_MEMORY,
    "malloc of size": TOO_MUCH_MEMORY,
    # A thread could not get its stack.
    "Resource temporarily unavailable": TOO_MUCH_MEMORY,
}
# How ffmpeg ends when somebody ends it: the signals, and its own status after a polite one.
_ENDED_FROM_OUTSIDE = frozenset({-signal.SIGKILL, -signal.SIGTERM, -signal.SIGHUP, -signal.SIGINT, 255})


def _require_success(finished: runner.Finished) -> None:
    """Raise unless ffmpeg is content."""
    if finished.timed_out:
        raise Unusable(TOO_LONG_TO_MAKE)
    if any(os.strerror(number) in finished.said for number in (errno.ENOSPC, errno.EDQUOT)):
        raise StorageFull
    for complaint, meaning in _COMPLAINTS.items():
        if complaint in finished.said:
            raise Unusable(meaning)
    if finished.status in _ENDED_FROM_OUTSIDE:
        # Perhaps the machine stops, or its memory was short: another try may go well.
        msg = f"ffmpeg was ended from outside (status {finished.status})."
        raise Unavailable(msg)
    if finished.status != 0:
        raise Unusable(DAMAGED)


def _require_length(announced_ms: int | None, made_ms: int) -> None:
    """Raise for a video that turned out too long, or shorter than its file announced."""
    if made_ms > settings.VIDEO_SECONDS_MAX * 1000 + _SHORT_MS_MAX // 2:
        raise ffmpeg.too_long(settings.VIDEO_SECONDS_MAX)
    if announced_ms is not None and announced_ms - made_ms > max(_SHORT_MS_MAX, announced_ms * _SHORT_SHARE_MAX):
        raise Unusable(ENDS_EARLY)


# Names of stored files, one a line, written before the first of them is stored. Whoever finds a folder that a killed
# worker left behind reads here which files nobody may ever name (two runs of one upload differ by a few bytes).
JOURNAL = "stored"


def _store(folder: Path, plans: tuple[ladder.Plan, ...], made_ms: int) -> TranscodeResult:
    """Put every file under its content-addressed name."""
    mp4, poster = folder / ladder.MP4, folder / ladder.POSTER
    rungs = tuple(_rung(folder, plan) for plan in plans)
    result = TranscodeResult(
        duration_ms=made_ms,
        width=plans[0].width,
        height=plans[0].height,
        blurhash=blurhash_of(poster),
        poster_file=storage.name_of(poster, "jpg"),
        mp4_file=storage.name_of(mp4, "mp4"),
        mp4_bytes=mp4.stat().st_size,
        rungs=rungs,
    )
    with (folder / JOURNAL).open("wb") as journal:
        journal.write("\n".join(sorted(result.files)).encode())
        storage.sync(journal)
    storage.put_file(poster, "jpg")
    storage.put_file(mp4, "mp4")
    for plan in plans:
        storage.put_file(folder / ladder.media_of(plan), "m4s")
        storage.put_file(folder / ladder.playlist_of(plan), "m3u8")
    return result


def _rung(folder: Path, plan: ladder.Plan) -> Rung:
    """What was made of ``plan``; its playlist is rewritten to the content-addressed name of its media."""
    media, playlist = folder / ladder.media_of(plan), folder / ladder.playlist_of(plan)
    media_file = storage.name_of(media, "m4s")
    # Playlist and media lie in neighbouring folders, on whatever host they are served from.
    text = playlist.read_text("ascii").replace(media.name, f"../{media_file}")
    playlist.write_text(text, "ascii")
    return Rung(
        name=plan.name,
        width=plan.width,
        height=plan.height,
        bits_per_second=outputs.peak_bits_per_second(text),
        codecs=outputs.codecs(_head(media)),
        playlist_file=storage.name_of(playlist, "m3u8"),
        media_file=media_file,
        media_bytes=media.stat().st_size,
    )


def stored_by(folder: Path) -> frozenset[str]:
    """The files that a run in ``folder`` stored or was about to store."""
    journal = folder / JOURNAL
    return frozenset(journal.read_text().split()) if journal.exists() else frozenset()


def _head(path: Path) -> bytes:
    with path.open("rb") as file:
        return file.read(outputs.HEAD_BYTES)


def blurhash_of(picture: Path) -> str:
    """The BlurHash of a picture we made: four by three components, or three by four for a portrait."""
    with Image.open(picture) as image:
        image.thumbnail((_BLURHASH_PIXELS, _BLURHASH_PIXELS))
        small = image.convert("RGB")
    wide = small.width >= small.height
    rows = [[small.getpixel((x, y)) for x in range(small.width)] for y in range(small.height)]
    return blurhash.encode(rows, components_x=4 if wide else 3, components_y=3 if wide else 4)
