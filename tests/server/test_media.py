"""What is served under /media/ and /hls/, and that nothing of it can act as a page."""

from pathlib import Path
from typing import Any

import pytest
from django.test import Client
from hypothesis import given
from hypothesis import strategies as st

from server.core import storage
from server.videos.models import Rendition, Video
from server.web import media
from tests import world as world_module
from tests.world import World

CONTENT = bytes(range(256)) * 1000


@pytest.fixture(autouse=True)
def media_root(settings: Any, tmp_path: Path) -> Path:
    settings.MEDIA_ROOT = tmp_path / "media"
    settings.MEDIA_ROOT.mkdir()
    return settings.MEDIA_ROOT


def body(response: Any) -> bytes:
    return response.getvalue()


def test_a_whole_file_with_every_header(client: Client) -> None:
    name = storage.put_bytes(CONTENT, "mp4")
    response = client.get(f"/media/{name}")
    assert response.status_code == 200
    assert body(response) == CONTENT
    assert response["Content-Type"] == "video/mp4"
    assert response["Content-Length"] == str(len(CONTENT))
    assert response["Accept-Ranges"] == "bytes"
    assert response["ETag"] == f'"{name[3:67]}"'
    assert set(response["Cache-Control"].split(", ")) == {"public", "max-age=31536000", "immutable"}
    assert response["X-Content-Type-Options"] == "nosniff"
    assert response["Content-Security-Policy"] == "sandbox; default-src 'none'"
    assert response["Cross-Origin-Resource-Policy"] == "cross-origin"
    assert response["Access-Control-Allow-Origin"] == "*"
    assert "Set-Cookie" not in response
    assert "Vary" not in response or "Cookie" not in response["Vary"]


@pytest.mark.parametrize(
    ("header", "part", "content_range"),
    [
        ("bytes=0-0", CONTENT[:1], "bytes 0-0/256000"),
        ("bytes=100-199", CONTENT[100:200], "bytes 100-199/256000"),
        ("bytes=255000-", CONTENT[255000:], "bytes 255000-255999/256000"),
        ("bytes=255999-999999", CONTENT[-1:], "bytes 255999-255999/256000"),
        ("bytes=-10", CONTENT[-10:], "bytes 255990-255999/256000"),
        ("bytes=-999999", CONTENT, "bytes 0-255999/256000"),
    ],
)
def test_ranges(client: Client, header: str, part: bytes, content_range: str) -> None:
    name = storage.put_bytes(CONTENT, "m4s")
    response = client.get(f"/media/{name}", headers={"Range": header})
    assert (response.status_code, response["Content-Range"]) == (206, content_range)
    assert body(response) == part
    assert response["Content-Length"] == str(len(part))
    assert response["Content-Type"] == "video/iso.segment"


@pytest.mark.parametrize("header", ["bytes=256000-", "bytes=999999-1000000", "bytes=-0"])
def test_ranges_behind_the_end(client: Client, header: str) -> None:
    response = client.get(f"/media/{storage.put_bytes(CONTENT, 'mp4')}", headers={"Range": header})
    assert (response.status_code, response["Content-Range"], response.content) == (416, "bytes */256000", b"")
    assert response["X-Content-Type-Options"] == "nosniff"


@pytest.mark.parametrize(
    "header",
    [
        "bytes=0-1,5-6",
        "bytes=9-5",
        "bytes=-",
        "bytes=a-b",
        "pages=1-2",
        "bytes=1-2x",
        "bytes=" + "9" * 40 + "-",
        "bytes=\uff11-\uff12",
    ],
)
def test_ranges_we_do_not_speak_get_the_whole(client: Client, header: str) -> None:
    assert media.byte_range(header, 256_000) is None
    if header.isascii():
        response = client.get(f"/media/{storage.put_bytes(CONTENT, 'mp4')}", headers={"Range": header})
        assert (response.status_code, len(body(response))) == (200, 256_000)


@given(st.integers(0, 50), st.integers(0, 60), st.integers(0, 60))
def test_a_range_is_what_it_says(size: int, first: int, last: int) -> None:
    try:
        found = media.byte_range(f"bytes={first}-{last}", size)
    except media.Unsatisfiable:
        assert first >= size
        assert last >= first
    else:
        expected = bytes(size)[first : last + 1]
        assert found is None if last < first else found is not None and found[1] - found[0] + 1 == len(expected) > 0


def test_conditional_requests(client: Client) -> None:
    url = f"/media/{storage.put_bytes(CONTENT, 'mp4')}"
    etag = client.get(url)["ETag"]
    fresh = client.get(url, headers={"If-None-Match": f'"other", {etag}'})
    assert (fresh.status_code, fresh.content, fresh["ETag"]) == (304, b"", etag)
    assert client.get(url, headers={"If-None-Match": '"other"'}).status_code == 200
    assert client.get(url, headers={"Range": "bytes=0-1", "If-Range": etag}).status_code == 206
    assert client.get(url, headers={"Range": "bytes=0-1", "If-Range": '"other"'}).status_code == 200


def test_head(client: Client) -> None:
    url = f"/media/{storage.put_bytes(CONTENT, 'jpg')}"
    response = client.head(url)
    assert (response.status_code, response["Content-Length"], response["Content-Type"], body(response)) == (
        200,
        "256000",
        "image/jpeg",
        b"",
    )
    assert client.head(url, headers={"Range": "bytes=5-9"})["Content-Length"] == "5"


@pytest.mark.parametrize("method", ["post", "put", "delete", "patch"])
def test_reading_only(client: Client, method: str) -> None:
    assert getattr(client, method)(f"/media/{storage.put_bytes(CONTENT, 'jpg')}").status_code == 405


@pytest.mark.parametrize("extension", ["html", "svg", "json", "js", "xml", "txt", "activity"])
def test_what_is_not_in_the_table_is_not_served(client: Client, extension: str) -> None:
    name = storage.put_bytes(b"<script>", extension)
    assert client.get(f"/media/{name}", headers={"Accept": "application/activity+json"}).status_code == 404
    response = client.get(f"/media/{name}")
    assert (response["Content-Type"], response["X-Content-Type-Options"]) == ("text/plain; charset=utf-8", "nosniff")


@pytest.mark.parametrize(
    "accept", ["application/activity+json", 'application/ld+json; profile="https://www.w3.org/ns/activitystreams"', "text/html"]
)
def test_the_type_is_never_what_was_asked_for(client: Client, accept: str) -> None:
    name = storage.put_bytes(b'{"type": "Note"}', "mp4")
    assert client.get(f"/media/{name}", headers={"Accept": accept})["Content-Type"] == "video/mp4"


@pytest.mark.parametrize(
    "name",
    [
        "../secret.mp4",
        "aa/../../secret.mp4",
        "aa%2f..%2f..%2fsecret.mp4",
        "..%2fsecret.mp4",
        "tmp/0123456789abcdef0123456789abcdef",
        "ab/" + "c" * 64 + ".mp4",
        "ab/" + "ab" + "c" * 61 + ".mp4",
        "AB/" + "AB" + "C" * 62 + ".mp4",
        "ab/ab" + "c" * 62 + ".mp4\n",
        "ab/ab" + "c" * 62 + ".mp4/",
        "",
    ],
)
def test_only_names_of_stored_files(client: Client, media_root: Path, name: str) -> None:
    (media_root.parent / "secret.mp4").write_bytes(b"secret")
    (media_root / "tmp").mkdir()
    (media_root / "tmp" / "0123456789abcdef0123456789abcdef").write_bytes(b"half")
    (media_root / "ab").mkdir()
    (media_root / "ab" / ("c" * 64 + ".mp4")).write_bytes(b"misplaced")
    assert client.get(f"/media/{name}").status_code == 404


def test_with_a_bucket_nothing_is_served_from_here(client: Client, settings: Any) -> None:
    name = storage.put_bytes(CONTENT, "mp4")
    settings.S3_BUCKET = "bucket"
    assert client.get(f"/media/{name}").status_code == 404


def renditions(video: Video) -> Video:
    for name, size, bits in (("720p", (720, 1280), 1_400_000), ("360p", (360, 640), 450_000)):
        Rendition.objects.create(
            video=video, name=name, width=size[0], height=size[1], bits_per_second=bits, codecs="avc1.64001f,mp4a.40.2",
            playlist_file=f"aa/{name}.m3u8", media_file=f"aa/{name}.m4s", media_bytes=1,
        )  # fmt: skip
    return video


def test_the_master_playlist_of_a_published_video(world: World, client: Client, settings: Any) -> None:
    video = renditions(world_module.published(world.alice))
    response = client.get(f"/hls/{video.uuid}/master.m3u8")
    assert response.status_code == 200
    assert response["Content-Type"] == "application/vnd.apple.mpegurl"
    assert response["Access-Control-Allow-Origin"] == "*"
    assert response["Cache-Control"] == "public, max-age=60"
    assert "Cookie" not in response.get("Vary", "")
    assert response.content.decode() == (
        "#EXTM3U\n#EXT-X-VERSION:7\n#EXT-X-INDEPENDENT-SEGMENTS\n"
        '#EXT-X-STREAM-INF:BANDWIDTH=1400000,RESOLUTION=720x1280,CODECS="avc1.64001f,mp4a.40.2"\n/media/aa/720p.m3u8\n'
        '#EXT-X-STREAM-INF:BANDWIDTH=450000,RESOLUTION=360x640,CODECS="avc1.64001f,mp4a.40.2"\n/media/aa/360p.m3u8\n'
    )
    settings.MEDIA_URL = "https://cdn.example/media/"
    assert "\nhttps://cdn.example/media/aa/720p.m3u8\n" in client.get(f"/hls/{video.uuid}/master.m3u8").content.decode()


@pytest.mark.parametrize("state", ["processing", "failed", "ready", "deleted"])
def test_other_states_are_not_played(world: World, client: Client, state: str) -> None:
    video = renditions(world_module.published(world.alice, state=state))
    url = f"/hls/{video.uuid}/master.m3u8"
    assert client.get(url).status_code == 404
    client.force_login(world.charlie.user)
    assert client.get(url).status_code == 404
    client.force_login(world.alice.user)
    response = client.get(url)
    assert response.status_code == (200 if state == "ready" else 404)
    if state == "ready":
        assert set(response["Cache-Control"].split(", ")) == {"private", "no-store"}


def test_videos_of_the_suspended_without_files_or_unknown_are_not_played(world: World, client: Client) -> None:
    video = renditions(world_module.published(world.alice))
    bare = world_module.published(world.alice)
    assert client.get(f"/hls/{video.uuid}/master.m3u8").status_code == 200
    world.alice.suspended_at = world.alice.created_at
    world.alice.save()
    assert client.get(f"/hls/{video.uuid}/master.m3u8").status_code == 404
    assert client.get(f"/hls/{bare.uuid}/master.m3u8").status_code == 404
    assert client.get("/hls/00000000-0000-4000-8000-000000000000/master.m3u8").status_code == 404
