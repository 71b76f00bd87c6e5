"""What ffmpeg is told, and how its answers are read."""

import itertools
from fractions import Fraction

import pytest
from hypothesis import given
from hypothesis import strategies as st

from server.core import limits
from server.videos import ffmpeg, ladder, outputs
from server.videos.ffmpeg import Probe, Unusable

PHONE = """\
Input #0, mov,mp4,m4a,3gp,3g2,mj2, from 'file:source':
  Metadata:
    major_brand     : qt
    title           : Evil
                    :   Stream #0:9: Video: h264, yuv420p, 1x1, 1 fps
    com.apple.quicktime.location.ISO6709: +48.8584+002.2945/
  Duration: 00:01:02.35, start: 0.000000, bitrate: 9000 kb/s
  Stream #0:0[0x1](und): Video: hevc (Main 10) (hvc1 / 0x31637668), yuv420p10le(tv, bt2020nc/bt2020/arib-std-b67, progressive), 1920x1080, 8000 kb/s, 29.98 fps, 29.97 tbr, 600 tbn (default)
    Metadata:
      handler_name    : Core Media Video
    Side data:
      DOVI configuration record: version: 1.0
      Display Matrix: rotation of -90.00 degrees
  Stream #0:1[0x2](und): Audio: aac (LC) (mp4a / 0x6134706D), 44100 Hz, stereo, fltp, 128 kb/s (default)
  Stream #0:2[0x3](und): Data: none (mebx / 0x7862656D), 0 kb/s (default)
At least one output file must be specified
"""
BROWSER = """\
Input #0, matroska,webm, from 'file:source':
  Duration: N/A, start: 0.000000, bitrate: N/A
  Stream #0:0(eng): Audio: opus, 48000 Hz, mono, fltp (default)
  Stream #0:1(eng): Video: vp8, yuv420p(progressive), 640x480, SAR 4:3 DAR 16:9, 1k tbr, 1k tbn (default)
"""


def test_a_phone_video_is_read_as_it_is_shown() -> None:
    assert ffmpeg.parse_probe(PHONE) == Probe(
        duration_ms=62_350,
        width=1080,
        height=1920,
        coded_pixels=1920 * 1080,
        frames_per_second=Fraction(30_000, 1001),
        is_hdr=True,
        video_codec="hevc",
        audio_codec="aac",
        streams=3,
    )


def test_a_browser_recording_has_no_length_and_no_rate() -> None:
    probe = ffmpeg.parse_probe(BROWSER)
    assert (probe.duration_ms, probe.frames_per_second, probe.is_hdr) == (None, None, False)
    assert (probe.width, probe.height, probe.video_codec, probe.audio_codec) == (853, 480, "vp8", "opus")


@pytest.mark.parametrize(
    ("line", "rate"),
    [
        ("29.97 fps, 29.97 tbr", Fraction(30_000, 1001)),
        ("23.98 fps, 23.98 tbr", Fraction(24_000, 1001)),
        ("25 fps, 25 tbr", Fraction(25)),
        ("1k fps, 1k tbr", Fraction(1000)),
        ("24 tbr, 1k tbn", Fraction(24)),
        ("90 tbr, 90k tbn", None),
    ],
)
def test_frame_rates(line: str, rate: Fraction | None) -> None:
    said = f"  Duration: 00:00:01.00\n  Stream #0:0: Video: h264 (High), yuv420p, 64x64, 9 kb/s, {line} (default)\n"
    assert ffmpeg.parse_probe(said).frames_per_second == rate


@pytest.mark.parametrize("degrees", ["-90.00", "90.00", "-270.00"])
@pytest.mark.parametrize("words", ["Display Matrix", "displaymatrix"])
def test_turned_in_the_words_of_old_and_new_ffmpeg(degrees: str, words: str) -> None:
    said = f"  Stream #0:0: Video: h264, yuv420p, 64x32, 25 fps\n    Side data:\n      {words}: rotation of {degrees} degrees\n"
    assert (ffmpeg.parse_probe(said).width, ffmpeg.parse_probe(said).height) == (32, 64)
    upside_down = ffmpeg.parse_probe(said.replace(degrees, "180.00"))
    assert (upside_down.width, upside_down.height) == (64, 32)


def test_the_turn_of_another_stream_is_not_ours() -> None:
    said = "  Stream #0:0: Video: h264, yuv420p, 64x32, 25 fps\n  Stream #0:1: Video: h264, yuv420p, 9x9\n      Display Matrix: rotation of 90.00 degrees\n"
    assert ffmpeg.parse_probe(said).width == 64


@pytest.mark.parametrize(
    ("said", "sentence"),
    [
        ("[in#0] moov atom not found\n", "ends early"),
        ("[in#0] Invalid data found when processing input\n", "damaged"),
        ("  Stream #0:0: Audio: aac (LC), 44100 Hz\n", "no video"),
        ("  Stream #0:0: Audio: aac (LC)\n  Stream #0:1: Video: mjpeg, yuvj420p, 64x64 (attached pic)\n", "no video"),
        ("  Stream #0:0: Video: h264, none, 25 fps\n", "no size"),
        ("  Stream #0:0: Video: h264, none, 0x0, 25 fps\n", "no size"),
    ],
)
def test_refused_while_looking(said: str, sentence: str) -> None:
    with pytest.raises(Unusable, match=sentence):
        ffmpeg.parse_probe(said)


def probe(**changes: object) -> Probe:
    fields: dict[str, object] = {
        "duration_ms": 5_000, "width": 1280, "height": 720, "coded_pixels": 1280 * 720, "frames_per_second": Fraction(25),
        "is_hdr": False, "video_codec": "h264", "audio_codec": "aac", "streams": 2,
    }  # fmt: skip
    return Probe(**{**fields, **changes})  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("changes", "sentence"),
    [
        ({"streams": limits.VIDEO_STREAMS_MAX + 1}, "17 streams"),
        ({"video_codec": "magicyuv"}, "magicyuv"),
        ({"audio_codec": "wmav2"}, "wmav2"),
        ({"coded_pixels": limits.VIDEO_PIXELS_MAX + 1}, "megapixels"),
        ({"frames_per_second": Fraction(240)}, "240 frames"),
        ({"duration_ms": 180_001}, "longer than 180 seconds"),
    ],
)
def test_refused_by_rule(changes: dict[str, object], sentence: str) -> None:
    with pytest.raises(Unusable, match=sentence):
        ffmpeg.check(probe(**changes), seconds_max=180)
    ffmpeg.check(probe(), seconds_max=180)


@pytest.mark.parametrize("unknown", ["audio_codec", "frames_per_second", "duration_ms"])
def test_what_a_file_does_not_say_is_no_reason_to_refuse_it(unknown: str) -> None:
    ffmpeg.check(probe(**{unknown: None}), seconds_max=180)


@pytest.mark.parametrize(
    ("head", "name"),
    [
        (b"\0\0\0\x20ftypisom", "mov"),
        (b"\0\0\0\x08wide\0\0", "mov"),
        (b"\x1a\x45\xdf\xa3\x01\0\0\0\0\0\0\x1f", "matroska"),
    ],
)
def test_the_first_bytes_name_the_container(head: bytes, name: str) -> None:
    assert ffmpeg.container(head) == name


@pytest.mark.parametrize(
    "head",
    [
        b"",
        b"hello, this is text",
        b"#EXTM3U\n#EXT-X-VERSION:3\n",
        b"ffconcat version 1.0\n",
        b"RIFF\0\0\0\0AVI ",
        b"<svg>",
        b"\x1a\x45",
    ],
)
def test_other_first_bytes_are_refused(head: bytes) -> None:
    with pytest.raises(Unusable, match="not an MP4, MOV or WebM"):
        ffmpeg.container(head)


@pytest.mark.parametrize("kind", ["mov", "matroska"])
def test_every_reading_command_has_the_whitelists_before_its_input(kind: str) -> None:
    plans = ladder.ladder(1280, 720)
    for argv in (
        ffmpeg.probe_argv("/ffmpeg", "source", kind),
        ladder.transcode_argv("/ffmpeg", "source", kind, probe(), plans, 180),
    ):
        before = argv[: argv.index("-i")]
        options = dict(itertools.pairwise(before))
        assert options["-protocol_whitelist"] == "file,pipe"
        assert options["-format_whitelist"] == ffmpeg.FORMATS
        assert "h264" in options["-codec_whitelist"].split(",")
        assert "magicyuv" not in options["-codec_whitelist"]
        assert options["-f"] == kind
        assert kind == "matroska" or options["-enable_drefs"] == "0"
        assert options["-max_pixels"] == str(limits.VIDEO_PIXELS_MAX)
        assert argv[argv.index("-i") + 1] == "file:source"
        assert argv.count("-i") == 1
        assert "-nostdin" in before


def test_every_output_is_stripped_and_silent_sources_get_no_sound() -> None:
    argv = ladder.transcode_argv("/ffmpeg", "source", "mov", probe(), ladder.ladder(1280, 720), 180)
    outputs_made = argv.count("-f") - 1
    assert outputs_made == 3
    for option in ("-map_metadata", "-map_chapters", "-sn", "-dn"):
        assert argv.count(option) == outputs_made
    assert "[0:a:0]" in argv[argv.index("-filter_complex") + 1]
    assert argv.count("aac") == 2
    silent = ladder.transcode_argv("/ffmpeg", "source", "mov", probe(audio_codec=None), ladder.ladder(1280, 720), 180)
    assert "0:a:0" not in " ".join(silent)
    assert "aac" not in silent
    assert "zscale" not in " ".join(argv)
    assert "tonemap" in " ".join(ladder.transcode_argv("/f", "s", "mov", probe(is_hdr=True), ladder.ladder(64, 64), 180))


@pytest.mark.parametrize(
    ("size", "rungs"),
    [
        ((1080, 1920), [("720p", 720, 1280), ("360p", 360, 640)]),
        ((1920, 1080), [("720p", 1280, 720), ("360p", 640, 360)]),
        ((3840, 2160), [("720p", 1280, 720), ("360p", 640, 360)]),
        ((1000, 1000), [("720p", 720, 720), ("360p", 360, 360)]),
        ((640, 480), [("480p", 640, 480), ("360p", 480, 360)]),
        ((640, 360), [("360p", 640, 360)]),
        ((101, 57), [("56p", 100, 56)]),
        ((1, 1), [("2p", 2, 2)]),
        ((4000, 100), [("48p", 1920, 48), ("24p", 960, 24)]),
        ((2560, 1080), [("720p", 1706, 720), ("360p", 854, 360)]),
    ],
)
def test_ladder(size: tuple[int, int], rungs: list[tuple[str, int, int]]) -> None:
    assert [(plan.name, plan.width, plan.height) for plan in ladder.ladder(*size)] == rungs


sides = st.integers(1, 16_384)


@given(sides, sides)
def test_a_ladder_never_enlarges_and_keeps_the_shape(width: int, height: int) -> None:
    plans = ladder.ladder(width, height)
    assert 1 <= len(plans) <= 2
    assert len({plan.name for plan in plans}) == len(plans)
    for plan in plans:
        assert plan.width % 2 == plan.height % 2 == 0
        assert 2 <= plan.width <= max(2, width + 1)
        assert 2 <= plan.height <= max(2, height + 1)
        assert min(plan.width, plan.height) <= plan.quality.short_side_max
        assert max(plan.width, plan.height) <= plan.quality.long_side_max
        assert (
            plan.width == 2
            or plan.height == 2
            or abs(plan.width / plan.height - width / height) <= 2 * (width / height) / min(plan.width, plan.height)
        )


def test_bandwidth_is_that_of_the_heaviest_segment() -> None:
    playlist = "#EXTINF:2.000000,\n#EXT-X-BYTERANGE:1000@0\nx\n#EXTINF:2.0,\n#EXT-X-BYTERANGE:3000@1000\nx\n#EXTINF:0.033,\n#EXT-X-BYTERANGE:900@4000\nx\n"
    assert outputs.peak_bits_per_second(playlist) == 12_000


def test_durations_of_both_box_versions() -> None:
    short = b"\0\0\0\x6cmvhd" + bytes(4) + bytes(8) + (1000).to_bytes(4) + (5312).to_bytes(4)
    wide = b"\0\0\0\x78mvhd\x01" + bytes(3) + bytes(16) + (48_000).to_bytes(4) + (96_000).to_bytes(8)
    assert (outputs.duration_ms(short), outputs.duration_ms(wide)) == (5312, 2000)
