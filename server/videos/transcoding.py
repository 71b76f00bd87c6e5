"""From an uploaded file to stored renditions. Touches no row: values and files in, a ``TranscodeResult`` out."""

import errno
import os
import re
import signal
from collections.abc import Callable
from fractions import Fraction
from pathlib import Path

import blurhash
from django.conf import settings
from PIL import Image

from server.core import limits, storage
from server.core.errors import StorageFull, Unavailable
from server.videos import ffmpeg, ladder, runner
from server.videos.ffmpeg import Probe, Unusable
from server.videos.result import Rung, TranscodeResult

_HEAD_BYTES = 64
_PROBE_MEMORY_BYTES_MAX = 1 * limits.GIB
_BLURHASH_PIXELS = 32
# How much shorter than announced a whole file may turn out: rounding, and tracks that end a little apart.
_SHORT_MS_MAX = 1_000
_SHORT_SHARE_MAX = 0.05

DAMAGED = "This file is damaged: it cannot be decoded."
ENDS_EARLY = "The file ends early: a part of it is missing. Perhaps it was copied or uploaded before it was complete."
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
    with source.open("rb") as file:
        kind = ffmpeg.container(file.read(_HEAD_BYTES))
    probe = _probe(source, kind)
    ffmpeg.check(probe, seconds_max=settings.VIDEO_SECONDS_MAX)
    plans = ladder.ladder(probe.width, probe.height)
    storage.require_room(source.stat().st_size, settings.UPLOAD_DIR)
    clock = _Progress(probe.duration_ms, on_progress)
    argv = ladder.transcode_argv(binary(), source.name, kind, probe, plans, settings.VIDEO_SECONDS_MAX)
    finished = runner.run(argv, folder=folder, at_most=transcode_limits(), on_tick=clock.tick)
    _require_whole(finished, probe, clock.made_ms)
    on_progress(99)
    return _store(folder, plans, clock.made_ms)


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


class _Progress:
    """How much of the video is made, read from what ``ffmpeg -progress`` says."""

    def __init__(self, duration_ms: int | None, on_progress: Callable[[int], None]) -> None:
        self.made_ms = 0
        self._duration_ms = duration_ms
        self._on_progress = on_progress

    def tick(self, said: str) -> None:
        times = re.findall(r"^out_time_us=(\d+)$", said, re.MULTILINE)
        if times:
            self.made_ms = int(times[-1]) // 1000
        percent = 100 * self.made_ms // self._duration_ms if self._duration_ms else 0
        self._on_progress(min(99, percent))


# What ffmpeg says, in the order in which we ask, and what it means for the owner.
_COMPLAINTS = {
    "partial file": ENDS_EARLY,
    "File ended prematurely": ENDS_EARLY,
    "File too large": TOO_LARGE_RESULT,
    "Cannot allocate memory": TOO_MUCH_MEMORY,
}


def _require_whole(finished: runner.Finished, probe: Probe, made_ms: int) -> None:
    """Raise unless ffmpeg made the whole video."""
    if finished.timed_out or finished.status == -signal.SIGXCPU:
        raise Unusable(TOO_LONG_TO_MAKE)
    if any(os.strerror(number) in finished.said for number in (errno.ENOSPC, errno.EDQUOT)):
        raise StorageFull
    for complaint, meaning in _COMPLAINTS.items():
        if complaint in finished.said:
            raise Unusable(meaning)
    if finished.status < 0:
        # Killed from outside, perhaps for memory: another try may go well.
        msg = f"ffmpeg was ended by signal {-finished.status}."
        raise Unavailable(msg)
    if finished.status != 0 or made_ms == 0:
        raise Unusable(DAMAGED)
    _require_length(probe.duration_ms, made_ms)


def _require_length(announced_ms: int | None, made_ms: int) -> None:
    if made_ms > settings.VIDEO_SECONDS_MAX * 1000 + _SHORT_MS_MAX // 2:
        raise ffmpeg.too_long(settings.VIDEO_SECONDS_MAX)
    if announced_ms is not None and announced_ms - made_ms > max(_SHORT_MS_MAX, announced_ms * _SHORT_SHARE_MAX):
        raise Unusable(ENDS_EARLY)


def _store(folder: Path, plans: tuple[ladder.Plan, ...], made_ms: int) -> TranscodeResult:
    """Put every file under its content-addressed name, playlists after what they name."""
    mp4, poster = folder / ladder.MP4, folder / ladder.POSTER
    if not mp4.exists() or not poster.exists():
        raise Unusable(DAMAGED)
    return TranscodeResult(
        duration_ms=made_ms,
        width=plans[0].width,
        height=plans[0].height,
        blurhash=blurhash_of(poster),
        poster_file=storage.put_file(poster, "jpg"),
        mp4_file=storage.put_file(mp4, "mp4"),
        mp4_bytes=mp4.stat().st_size,
        rungs=tuple(_store_rung(folder, plan) for plan in plans),
    )


def _store_rung(folder: Path, plan: ladder.Plan) -> Rung:
    media = folder / ladder.media_of(plan)
    playlist = (folder / ladder.playlist_of(plan)).read_text("ascii")
    with media.open("rb") as file:
        codecs = codecs_of(file.read(_READ_BYTES))
    media_file = storage.put_file(media, "m4s")
    return Rung(
        name=plan.name,
        width=plan.width,
        height=plan.height,
        bits_per_second=peak_bits_per_second(playlist),
        codecs=codecs,
        # Playlist and media lie in neighbouring folders, on whatever host they are served from.
        playlist_file=storage.put_bytes(playlist.replace(media.name, f"../{media_file}").encode(), "m3u8"),
        media_file=media_file,
        media_bytes=media.stat().st_size,
    )


_READ_BYTES = 64 * 1024


def codecs_of(head: bytes) -> str:
    """The CODECS value (RFC 6381) of a fragmented MP4 of ours, from its first bytes: H.264, and AAC if there is sound."""
    at = head.index(b"avcC") + 4
    # ISO/IEC 14496-15, 5.3.3.1: version, profile, compatibility, level.
    video = f"avc1.{head[at + 1 : at + 4].hex()}"
    return f"{video},mp4a.40.2" if b"mp4a" in head[: head.index(b"moof")] else video


def peak_bits_per_second(playlist: str) -> int:
    """The bit rate of the heaviest segment (BANDWIDTH of RFC 8216, 4.3.4.2). Very short last segments count as one second."""
    segments = re.findall(r"#EXTINF:([\d.]+),\s*#EXT-X-BYTERANGE:(\d+)", playlist)
    return max(round(int(size) * 8 / max(Fraction(seconds), Fraction(1))) for seconds, size in segments)


def blurhash_of(picture: Path) -> str:
    """The BlurHash of a picture we made: four by three components, or three by four for a portrait."""
    with Image.open(picture) as image:
        image.thumbnail((_BLURHASH_PIXELS, _BLURHASH_PIXELS))
        small = image.convert("RGB")
    wide = small.width >= small.height
    rows = [[small.getpixel((x, y)) for x in range(small.width)] for y in range(small.height)]
    return blurhash.encode(rows, components_x=4 if wide else 3, components_y=3 if wide else 4)
