"""Facts read from files that our own ffmpeg wrote. Pure; not for files of strangers."""

import re
from fractions import Fraction

# All that is read here stands before the first media data, within this many bytes.
HEAD_BYTES = 64 * 1024


def duration_ms(head: bytes) -> int:
    """How long an MP4 plays, from the ``mvhd`` box (ISO/IEC 14496-12, 8.2.2) in its first bytes; its longest track counts."""
    at = head.index(b"mvhd") + 4
    wide = head[at] == 1
    at += 4 + (16 if wide else 8)
    timescale = int.from_bytes(head[at : at + 4])
    return 1000 * int.from_bytes(head[at + 4 : at + (12 if wide else 8)]) // timescale


def codecs(head: bytes) -> str:
    """The CODECS value (RFC 6381) of a fragmented MP4, from its first bytes: H.264, and AAC if there is sound."""
    at = head.index(b"avcC") + 4
    # ISO/IEC 14496-15, 5.3.3.1: version, profile, compatibility, level.
    video = f"avc1.{head[at + 1 : at + 4].hex()}"
    return f"{video},mp4a.40.2" if b"mp4a" in head[: head.index(b"moof")] else video


def peak_bits_per_second(playlist: str) -> int:
    """The bit rate of the heaviest segment (BANDWIDTH of RFC 8216, 4.3.4.2). A shorter last segment counts as one second."""
    segments = re.findall(r"#EXTINF:([\d.]+),\s*#EXT-X-BYTERANGE:(\d+)", playlist)
    return max(round(int(size) * 8 / max(Fraction(seconds), Fraction(1))) for seconds, size in segments)
