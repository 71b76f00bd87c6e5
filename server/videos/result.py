"""What a transcode made: values only, every file already stored under its content-addressed name."""

from dataclasses import dataclass


@dataclass(frozen=True, kw_only=True)
class Rung:
    """One HLS rung."""

    name: str
    width: int
    height: int
    bits_per_second: int
    codecs: str
    playlist_file: str
    media_file: str
    media_bytes: int


@dataclass(frozen=True, kw_only=True)
class TranscodeResult:
    """Everything that is played or shown of a video."""

    duration_ms: int
    width: int
    height: int
    blurhash: str
    poster_file: str
    mp4_file: str
    mp4_bytes: int
    rungs: tuple[Rung, ...]

    @property
    def files(self) -> frozenset[str]:
        """The names of all stored files."""
        return frozenset(
            {self.poster_file, self.mp4_file, *(name for rung in self.rungs for name in (rung.playlist_file, rung.media_file))}
        )
