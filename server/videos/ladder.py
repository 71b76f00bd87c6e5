"""Which sizes a video is made in, and the one ffmpeg command that makes them all. Pure."""

from dataclasses import dataclass
from fractions import Fraction

from server.videos import ffmpeg
from server.videos.ffmpeg import FRAMES_PER_SECOND_DEFAULT, FRAMES_PER_SECOND_OUT_MAX, SEGMENT_SECONDS, Probe


@dataclass(frozen=True, kw_only=True)
class Quality:
    """One class of sizes: the longest short and long side, and how many bits it may use."""

    short_side_max: int
    long_side_max: int
    crf: int
    video_kilobits_max: int
    audio_kilobits: int


# The larger one is also the progressive MP4: video and sound stay under 1300 kbit/s, so that Mastodon takes it as it is.
QUALITIES = (
    Quality(short_side_max=720, long_side_max=1920, crf=23, video_kilobits_max=1100, audio_kilobits=128),
    Quality(short_side_max=360, long_side_max=960, crf=26, video_kilobits_max=450, audio_kilobits=64),
)


@dataclass(frozen=True, kw_only=True)
class Plan:
    """One rung to make; ``name`` is its short side, as in ``720p``."""

    name: str
    width: int
    height: int
    quality: Quality


def ladder(width: int, height: int) -> tuple[Plan, ...]:
    """The rungs for a picture of this size, largest first: never larger than the source, and no two with the same short side."""
    plans: list[Plan] = []
    for quality in QUALITIES:
        short, long = sorted((width, height))
        scale = min(Fraction(1), Fraction(quality.short_side_max, short), Fraction(quality.long_side_max, long))
        out_width, out_height = _even(width * scale), _even(height * scale)
        name = f"{min(out_width, out_height)}p"
        if not plans or name != plans[-1].name:
            plans.append(Plan(name=name, width=out_width, height=out_height, quality=quality))
    return tuple(plans)


def _even(length: Fraction) -> int:
    """The nearest even number, at least 2: H.264 with 4:2:0 colour has no odd sizes."""
    return max(2, 2 * round(length / 2))


# Names inside the working directory.
MP4, POSTER = "full.mp4", "poster.jpg"


def playlist_of(plan: Plan) -> str:
    """The media playlist that ffmpeg writes for a rung."""
    return f"{plan.name}.m3u8"


def media_of(plan: Plan) -> str:
    """The one fragmented MP4 of a rung, which its playlist cuts into byte ranges."""
    return f"{plan.name}.m4s"


def transcode_argv(
    binary: str, source: str, container_name: str, probe: Probe, plans: tuple[Plan, ...], seconds_max: int
) -> list[str]:
    """One command, one decode: every rung as HLS, the largest also as progressive MP4, and the poster.

    Progress goes to stdout. At most one second more than ``seconds_max`` is read, enough to see that it is too long.
    """
    rate = min(probe.frames_per_second or FRAMES_PER_SECOND_DEFAULT, Fraction(FRAMES_PER_SECOND_OUT_MAX))
    argv = [
        binary, "-hide_banner", "-nostdin", "-y", "-loglevel", "error", "-nostats", "-stats_period", "1", "-progress", "pipe:1",
        # More than a tenth of broken frames is a broken file, not a scratch.
        "-max_error_rate", "0.1",
        *ffmpeg.input_options(container_name), "-threads", str(ffmpeg.THREADS),
        "-t", str(seconds_max + 1), "-i", f"file:{source}",
        "-filter_complex", _graph(probe, plans, rate), "-filter_complex_threads", "2",
    ]  # fmt: skip
    for number, plan in enumerate(plans):
        argv += _encode(number, plan, silent=probe.audio_codec is None)
        hls = f"hls_time={SEGMENT_SECONDS}:hls_playlist_type=vod:hls_segment_type=fmp4:hls_flags=single_file+independent_segments"
        out = f"[f=hls:{hls}:hls_segment_filename={media_of(plan)}]{playlist_of(plan)}"
        # The largest is encoded once and written twice.
        argv += ["-f", "tee", f"{out}|[f=mp4:movflags=+faststart:fflags=+bitexact]{MP4}" if plan is plans[0] else out]
    poster = ["-map", "[poster]", "-frames:v", "1", *_CLEAN, "-c:v", "mjpeg", "-q:v", "4", "-f", "image2", "-update", "1"]
    return [*argv, *poster, POSTER]


# No title, no place, no camera, no chapters, no subtitles, no data tracks, and no name of the program that wrote it.
_CLEAN = ["-map_metadata", "-1", "-map_chapters", "-1", "-sn", "-dn", "-fflags", "+bitexact", "-flags", "+global_header+bitexact"]


# From the wide range of a phone's HDR to the range every screen shows; without this such videos look grey.
_TO_SDR = (
    "zscale=transfer=linear:npl=100,format=gbrpf32le,zscale=primaries=bt709,tonemap=hable:desat=0,"
    "zscale=transfer=bt709:matrix=bt709:range=tv,"
)


def _graph(probe: Probe, plans: tuple[Plan, ...], rate: Fraction) -> str:
    """Scale the picture to the largest rung, make the others and the poster from that.

    The poster is the most typical of the pictures at the first six half seconds (``thumbnail``); progress is told only
    after it is made, so there are not more.
    """
    largest, *others = plans
    hdr = _TO_SDR if probe.is_hdr else ""
    shared = f"fps={rate.numerator}/{rate.denominator}:start_time=0,scale={_size(largest)},setsar=1,{hdr}format=yuv420p"
    ends = ["[v0]", *(f"[i{number}]" for number, _ in enumerate(others, 1)), "[ip]"]
    parts = [f"[0:V:0]{shared},split={len(ends)}{''.join(ends)}"]
    parts += [f"[i{number}]scale={_size(plan)},setsar=1[v{number}]" for number, plan in enumerate(others, 1)]
    twice_a_second = "select='isnan(prev_selected_t)+gte(t-prev_selected_t,0.5)'"
    parts.append(f"[ip]{twice_a_second},thumbnail=6,format=yuvj420p[poster]")
    if probe.audio_codec is not None:
        # In this graph, not in one of its own per output: with damaged sound several graphs can wait for each other for ever.
        sounds = "".join(f"[a{number}]" for number, _ in enumerate(plans))
        parts.append(f"[0:a:0]aresample=48000:async=1:first_pts=0,asplit={len(plans)}{sounds}")
    return ";".join(parts)


def _size(plan: Plan) -> str:
    return f"{plan.width}:{plan.height}:flags=bicubic"


def _encode(number: int, plan: Plan, *, silent: bool) -> list[str]:
    quality = plan.quality
    video = [
        "-map", f"[v{number}]", "-c:v", "libx264", "-preset", "veryfast", "-profile:v", "high",
        "-threads", str(ffmpeg.THREADS),
        "-crf", str(quality.crf), "-maxrate", f"{quality.video_kilobits_max}k", "-bufsize", f"{quality.video_kilobits_max}k",
        # Key frames at the same moments in every rung, and nowhere else, so that players may change rungs at each segment.
        "-force_key_frames", f"expr:gte(t,n_forced*{SEGMENT_SECONDS})", "-g", "600", "-sc_threshold", "0",
    ]  # fmt: skip
    audio = [
        "-map", f"[a{number}]", "-c:a", "aac", "-b:a", f"{quality.audio_kilobits}k", "-ac", "2",
    ]  # fmt: skip
    return [*video, *([] if silent else audio), *_CLEAN]
