"""What to tell ffmpeg and how to read its answers. Pure: text and numbers in, argv and values out."""

import re
from dataclasses import dataclass
from fractions import Fraction

from server.core import limits
from server.core.errors import TributaryError


class Unusable(TributaryError):
    """This file cannot become a video here; the message tells its owner why."""

    code, status, permanent = "unusable", 422, True


ENDS_EARLY = "The file ends early: a part of it is missing. Perhaps it was copied or uploaded before it was complete."

# Decoders that run on what people upload. Everything else stays shut (CVE-2026-8461 was a decoder nobody needed).
VIDEO_DECODERS = ("h264", "hevc", "mpeg4", "mjpeg", "vp8", "vp9", "libdav1d", "av1", "prores")
AUDIO_DECODERS = (
    "aac", "mp3", "mp3float", "opus", "libopus", "vorbis", "libvorbis", "flac", "alac", "ac3", "eac3",
    "pcm_s16le", "pcm_s16be", "pcm_s24le", "pcm_s24be", "pcm_s32le", "pcm_s32be", "pcm_f32le", "pcm_f32be", "pcm_u8",
)  # fmt: skip
# What ``ffmpeg -i`` calls the codecs of these decoders.
CODECS = frozenset({*VIDEO_DECODERS, *AUDIO_DECODERS})
FORMATS = "mov,mp4,m4a,3gp,3g2,mj2,matroska,webm"

SEGMENT_SECONDS = 2
FRAMES_PER_SECOND_OUT_MAX = 60
FRAMES_PER_SECOND_DEFAULT = Fraction(30)
# Per decoder and encoder; fixed, so that a machine with many cores does not need much memory.
THREADS = 4


def container(head: bytes) -> str:
    """The name by which ffmpeg knows the container whose first bytes are ``head``: ``mov`` (MP4, MOV) or ``matroska`` (WebM).

    Raises Unusable for everything else, whatever its name ends in.
    """
    if head[4:8] in {b"ftyp", b"moov", b"mdat", b"wide", b"free", b"skip", b"pnot"}:
        return "mov"
    if head[:4] == b"\x1a\x45\xdf\xa3":
        return "matroska"
    raise Unusable("This is not an MP4, MOV or WebM file, whatever its name says.")


@dataclass(frozen=True, kw_only=True)
class Probe:
    """What ``ffmpeg -i`` says. ``width`` and ``height`` are as shown: turned, and with square pixels."""

    duration_ms: int | None
    width: int
    height: int
    coded_pixels: int
    frames_per_second: Fraction | None
    is_hdr: bool
    video_codec: str
    audio_codec: str | None
    streams: int


def input_options(container_name: str) -> list[str]:
    """Everything that stands before ``-i`` for a file we did not make."""
    options = [
        "-protocol_whitelist", "file,pipe",
        "-format_whitelist", FORMATS,
        "-codec_whitelist", ",".join((*VIDEO_DECODERS, *AUDIO_DECODERS)),
        "-max_pixels", str(limits.VIDEO_PIXELS_MAX),
        "-f", container_name,
    ]  # fmt: skip
    # A MOV file may name other files to read from; off by default, and said here once more.
    return [*options, "-enable_drefs", "0", "-use_absolute_path", "0"] if container_name == "mov" else options


def probe_argv(binary: str, source: str, container_name: str) -> list[str]:
    """The command whose stderr ``parse_probe`` reads. It ends with status 1, because it names no output."""
    return [binary, "-hide_banner", "-nostdin", *input_options(container_name), "-i", f"file:{source}"]


# ffmpeg indents streams by two spaces and metadata by more, so a title cannot pretend to be a stream.
_DURATION = re.compile(r"^  Duration: (?:(\d+):(\d\d):(\d\d)\.(\d\d)|N/A)", re.MULTILINE)
_STREAM = re.compile(r"^  Stream #0:\d+.*?: (Video|Audio|Subtitle|Data|Attachment)(?:: (\w+))?(.*)$", re.MULTILINE)
_SIZE = re.compile(r", (\d+)x(\d+)\b")
_PIXEL_SHAPE = re.compile(r"\bSAR (\d+):(\d+) DAR ")
_HDR = re.compile(r"\b(smpte2084|arib-std-b67)\b")
_RATE = re.compile(r", ([\d.]+)(k?) fps\b")
_RATE_GUESSED = re.compile(r", ([\d.]+)(k?) tbr\b")
_TURNED = re.compile(r"display ?matrix: rotation of (-?[\d.]+) degrees", re.IGNORECASE)
# Rates that cameras really use, which ffmpeg prints rounded.
_NTSC = {Fraction(n * 1000, 1001) for n in (24, 30, 60, 120)}


def parse_probe(said: str) -> Probe:
    """Read the stderr of ``probe_argv``. Raises Unusable when there is no picture in the file."""
    streams = list(_STREAM.finditer(said))
    pictures = [(at, each) for at, each in enumerate(streams) if each[1] == "Video" and "(attached pic)" not in each[3]]
    if "moov atom not found" in said:
        raise Unusable(ENDS_EARLY)
    if not streams:
        raise Unusable("This file is damaged: no video could be found in it.")
    if not pictures:
        raise Unusable("There is no video in this file.")
    at, video = pictures[0]
    size = _SIZE.search(video[3])
    if size is None or int(size[1]) == 0 or int(size[2]) == 0:
        raise Unusable("This file is damaged: the video has no size.")
    width, height = int(size[1]), int(size[2])
    pixels = width * height
    # The container may say another shape than the codec; it is printed last and wins.
    shapes = [(int(each[1]), int(each[2])) for each in _PIXEL_SHAPE.finditer(video[3])]
    if shapes and all(shapes[-1]):
        width = max(1, round(Fraction(width) * Fraction(*shapes[-1])))
    end = streams[at + 1].start() if at + 1 < len(streams) else len(said)
    turned = _TURNED.search(said, video.end(), end)
    if turned and round(abs(float(turned[1])) / 90) % 2 == 1:
        width, height = height, width
    sounds = [each for each in streams if each[1] == "Audio"]
    return Probe(
        duration_ms=_duration_ms(said),
        width=width,
        height=height,
        coded_pixels=pixels,
        frames_per_second=_rate(video[3]),
        is_hdr=_HDR.search(video[3]) is not None,
        video_codec=video[2] or "none",
        audio_codec=(sounds[0][2] or "none") if sounds else None,
        streams=len(streams),
    )


def _duration_ms(said: str) -> int | None:
    found = _DURATION.search(said)
    if found is None or found[1] is None:
        return None
    hours, minutes, seconds, hundredths = (int(each) for each in found.groups())
    return ((hours * 60 + minutes) * 60 + seconds) * 1000 + hundredths * 10


def _rate(line: str) -> Fraction | None:
    found = _RATE.search(line)
    if found is None:
        # The guess from time stamps is a tick of the clock, not a rate, when it is high (1k tbr in browser recordings).
        found = _RATE_GUESSED.search(line)
        if found is None or found[2] or float(found[1]) > FRAMES_PER_SECOND_OUT_MAX:
            return None
    rate = Fraction(found[1]) * (1000 if found[2] else 1)
    return next((each for each in _NTSC if abs(each - rate) < Fraction(1, 100)), rate) or None


def check(probe: Probe, *, seconds_max: int) -> None:
    """Raise Unusable for what we do not take, each rule with its own sentence."""
    if probe.streams > limits.VIDEO_STREAMS_MAX:
        msg = f"This file has {probe.streams} streams; at most {limits.VIDEO_STREAMS_MAX} are possible."
        raise Unusable(msg)
    if probe.video_codec not in CODECS:
        msg = f"The video is encoded as {probe.video_codec}, which this server does not read. Save it as H.264."
        raise Unusable(msg)
    if probe.audio_codec is not None and probe.audio_codec not in CODECS:
        msg = f"The sound is encoded as {probe.audio_codec}, which this server does not read. Save it as AAC."
        raise Unusable(msg)
    if probe.coded_pixels > limits.VIDEO_PIXELS_MAX:
        msg = f"The picture is too large: at most {limits.VIDEO_PIXELS_MAX // 1_000_000} megapixels are possible."
        raise Unusable(msg)
    if probe.frames_per_second is not None and probe.frames_per_second > limits.VIDEO_FRAMES_PER_SECOND_MAX:
        msg = f"The video has {round(probe.frames_per_second)} frames a second; at most 120 are possible."
        raise Unusable(msg)
    if probe.duration_ms is not None and probe.duration_ms > seconds_max * 1000:
        raise too_long(seconds_max)


def too_long(seconds_max: int) -> Unusable:
    """The refusal of a video longer than ``seconds_max``."""
    return Unusable(f"The video is longer than {seconds_max} seconds, the most this server takes.")
