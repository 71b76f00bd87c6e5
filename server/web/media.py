"""Stored files and HLS master playlists. User-made bytes: always our own Content-Type, never anything a browser would run."""

import re
from collections.abc import Iterator
from pathlib import Path
from uuid import UUID

from django.conf import settings
from django.http import HttpRequest, HttpResponse, HttpResponseBase, HttpResponseNotModified, StreamingHttpResponse
from django.urls import path
from django.utils.cache import patch_cache_control
from django.views.decorators.http import require_safe

from server.core import storage
from server.videos import states
from server.videos.models import Video

# A closed table: what is not here is not served.
CONTENT_TYPES = {
    "mp4": "video/mp4",
    "m4s": "video/iso.segment",
    "m3u8": "application/vnd.apple.mpegurl",
    "jpg": "image/jpeg",
    "webp": "image/webp",
    "png": "image/png",
}
_CHUNK_BYTES = 64 * 1024
_FOREVER_SECONDS = 365 * 24 * 3600
_MASTER_SECONDS = 60
# One range; several at once are answered with the whole file, as RFC 9110, 14.2 allows.
_RANGE = re.compile(r"bytes=([0-9]{0,18})-([0-9]{0,18})")


class Unsatisfiable(Exception):
    """The range begins behind the end of the file."""


def byte_range(header: str, size: int) -> tuple[int, int] | None:
    """First and last byte that ``header`` (``Range``) asks for of ``size`` bytes; None for all of them.

    Raises Unsatisfiable. A header we do not understand asks for everything (RFC 9110, 14.2).
    """
    found = _RANGE.fullmatch(header.strip())
    if found is None or (not found[1] and not found[2]):
        return None
    if not found[1]:
        length = min(int(found[2]), size)
        if not length:
            raise Unsatisfiable
        return size - length, size - 1
    first = int(found[1])
    last = min(int(found[2]), size - 1) if found[2] else size - 1
    if found[2] and int(found[2]) < first:
        return None
    if first >= size:
        raise Unsatisfiable
    return first, last


def _guard(response: HttpResponseBase) -> HttpResponseBase:
    """The headers that keep user-made bytes from acting as a page of ours, and let players of other sites read them."""
    response["X-Content-Type-Options"] = "nosniff"
    response["Content-Security-Policy"] = "sandbox; default-src 'none'"
    response["Cross-Origin-Resource-Policy"] = "cross-origin"
    response["Access-Control-Allow-Origin"] = "*"
    response["Access-Control-Expose-Headers"] = "Accept-Ranges, Content-Length, Content-Range, ETag"
    return response


def _missing() -> HttpResponseBase:
    """A plain 404: players do not read pages, and nothing below these addresses is one."""
    return _guard(HttpResponse("There is no such file.\n", status=404, content_type="text/plain; charset=utf-8"))


@require_safe
def stored_file(request: HttpRequest, name: str) -> HttpResponseBase:
    """One file of the media folder. Its name is the hash of its content, so it may be kept for ever."""
    extension = name.rpartition(".")[2]
    file = settings.MEDIA_ROOT / name
    if settings.S3_BUCKET or extension not in CONTENT_TYPES or not storage.NAME.fullmatch(name) or not file.is_file():
        return _missing()
    etag = f'"{file.stem}"'
    if etag in [each.strip() for each in request.headers.get("If-None-Match", "").split(",")]:
        response: HttpResponseBase = HttpResponseNotModified()
    else:
        response = _file_response(request, file, etag, CONTENT_TYPES[extension])
    response["ETag"] = etag
    patch_cache_control(response, public=True, max_age=_FOREVER_SECONDS, immutable=True)
    return _guard(response)


def _file_response(request: HttpRequest, file: Path, etag: str, content_type: str) -> HttpResponseBase:
    size = file.stat().st_size
    wanted = request.headers.get("Range", "") if request.headers.get("If-Range", etag) == etag else ""
    try:
        part = byte_range(wanted, size)
    except Unsatisfiable:
        return HttpResponse(status=416, content_type=content_type, headers={"Content-Range": f"bytes */{size}"})
    first, last = part or (0, size - 1)
    body = iter(()) if request.method == "HEAD" else _read(file, first, last + 1 - first)
    response = StreamingHttpResponse(body, status=206 if part else 200, content_type=content_type)
    response["Accept-Ranges"] = "bytes"
    response["Content-Length"] = str(last + 1 - first)
    if part:
        response["Content-Range"] = f"bytes {first}-{last}/{size}"
    return response


def _read(file: Path, first: int, length: int) -> Iterator[bytes]:
    with file.open("rb") as stream:
        stream.seek(first)
        while length and (chunk := stream.read(min(_CHUNK_BYTES, length))):
            length -= len(chunk)
            yield chunk


@require_safe
def master_playlist(request: HttpRequest, uuid: UUID) -> HttpResponseBase:
    """The HLS master playlist (RFC 8216, 4.3.4) of a published video, or of a ready one for its owner."""
    video = Video.objects.select_related("account").filter(uuid=uuid, is_local=True).first()
    if video is None or not (renditions := list(video.renditions.order_by("-bits_per_second"))):
        return _missing()
    in_sight = video.account.suspended_at is None and video.account.deleted_at is None
    is_public = video.state == states.PUBLISHED and in_sight
    # The session is asked only where it matters, so that the public answer depends on nobody.
    if not is_public and (video.state != states.READY or video.account.user != request.user):
        return _missing()
    lines = ["#EXTM3U", "#EXT-X-VERSION:7", "#EXT-X-INDEPENDENT-SEGMENTS"]
    for each in renditions:
        size = f"RESOLUTION={each.width}x{each.height}"
        lines.append(f'#EXT-X-STREAM-INF:BANDWIDTH={each.bits_per_second},{size},CODECS="{each.codecs}"')
        lines.append(storage.url(each.playlist_file))
    response = HttpResponse("\n".join([*lines, ""]), content_type=CONTENT_TYPES["m3u8"])
    if is_public:
        patch_cache_control(response, public=True, max_age=_MASTER_SECONDS)
    else:
        patch_cache_control(response, private=True, no_store=True)
    return _guard(response)


urlpatterns = [
    path("media/<path:name>", stored_file, name="media"),
    path("hls/<uuid:uuid>/master.m3u8", master_playlist, name="hls"),
]
