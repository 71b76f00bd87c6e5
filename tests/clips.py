"""Files to upload: the real clip, and small ones made by ffmpeg, each once per run."""

import atexit
import functools
import shutil
import subprocess
import tempfile
from pathlib import Path

from imageio_ffmpeg import get_ffmpeg_exe

REAL = Path(__file__).parent / "media" / "bigbuckbunny.mp4"


@functools.cache
def folder() -> Path:
    """Where this process's clips lie."""
    made = Path(tempfile.mkdtemp(prefix="tributary-clips-"))
    atexit.register(shutil.rmtree, made, ignore_errors=True)
    return made


def ffmpeg(*arguments: str) -> str:
    """Run the plain ffmpeg with our own arguments; its stderr."""
    done = subprocess.run(
        [get_ffmpeg_exe(), "-hide_banner", "-nostdin", "-y", *arguments], capture_output=True, text=True, check=True
    )
    return done.stderr


def describe(path: Path) -> str:
    """What ``ffmpeg -i`` says about a file."""
    return subprocess.run([get_ffmpeg_exe(), "-hide_banner", "-i", str(path)], capture_output=True, text=True, check=False).stderr


@functools.cache
def made(name: str, *arguments: str) -> Path:
    """The file that ``ffmpeg ARGUMENTS name`` makes."""
    path = folder() / name
    ffmpeg("-loglevel", "error", *arguments, str(path))
    return path


def pattern(
    name: str, *, size: str = "320x180", rate: str = "30", seconds: float = 2, sound: bool = True, video: str = "libx264"
) -> Path:
    """A moving test picture, with a tone unless ``sound`` is False."""
    tone = ["-f", "lavfi", "-i", f"sine=d={seconds}"] if sound else []
    audio = "libopus" if name.endswith(".webm") else "aac"
    fast = {"libx264": ["-preset", "ultrafast"], "libvpx": ["-deadline", "realtime"], "libvpx-vp9": ["-deadline", "realtime"]}
    codec = ["-c:v", video, *fast.get(video, []), *(["-c:a", audio] if sound else [])]
    return made(name, "-f", "lavfi", "-i", f"testsrc2=s={size}:r={rate}:d={seconds}", *tone, *codec)


def cut(path: Path, name: str, share: float) -> Path:
    """The first ``share`` of a file's bytes."""
    target = folder() / name
    target.write_bytes(path.read_bytes()[: int(path.stat().st_size * share)])
    return target


def faststart() -> Path:
    """The real clip with its index first, as a cut-off download of it would begin."""
    return made("faststart.mp4", "-i", str(REAL), "-c", "copy", "-movflags", "+faststart")


def written(name: str, content: bytes) -> Path:
    """A file of exactly this content."""
    path = folder() / name
    path.write_bytes(content)
    return path
