"""A file comes in through the API: in pieces, over broken connections, under limits, and never for a stranger."""

import socket
import time
from pathlib import Path

import pytest
from django.test import override_settings
from pytest_django.live_server_helper import LiveServer

from server.core.models import Task
from server.videos import uploads
from server.videos.models import Upload, Video
from tests import world as people
from tests.server.calls import Api
from tests.world import World

CLIP = (Path(__file__).parents[1] / "media" / "bigbuckbunny.mp4").read_bytes()


def start(api: Api, size: int = len(CLIP), filename: str = "clip.mp4") -> str:
    made = api.post("uploads", {"filename": filename, "bytes": size})
    assert made.status == 201, made.body
    return str(made.body["id"])


def test_a_clip_goes_up_in_pieces_and_becomes_a_video(world: World) -> None:
    alice = Api(world.alice)
    upload = start(alice)
    half = len(CLIP) // 2
    sent = alice.put(f"uploads/{upload}/content", CLIP[:half], Upload_Offset="0")
    assert (sent.status, sent.body["bytes_received"]) == (200, half)
    # The connection broke: ask how far it came, go on there.
    assert alice.post(f"uploads/{upload}/finish", {}).status == 409
    offset = alice.get(f"uploads/{upload}").body["bytes_received"]
    sent = alice.put(f"uploads/{upload}/content", CLIP[offset:], Upload_Offset=str(offset))
    assert (sent.body["bytes_received"], sent.body["finished_at"]) == (len(CLIP), None)
    assert uploads.path_of(Upload.objects.get()).read_bytes() == CLIP

    made = alice.post(f"uploads/{upload}/finish", {"caption": "Big #bunny", "sensitive": True, "visibility": "unlisted"})
    assert (made.status, made.body["state"], made.body["hashtags"]) == (202, "processing", ["bunny"])
    assert (made.body["sensitive"], made.body["visibility"], made.body["processing"]["progress_percent"]) == (True, "unlisted", 0)
    assert Task.objects.get(fact="UploadFinished").payload == {"video_id": int(made.body["id"])}
    assert alice.post(f"uploads/{upload}/finish", {"caption": "other"}).body["id"] == made.body["id"]
    assert Video.objects.count() == 1
    assert alice.get(f"uploads/{upload}").body["video_id"] == made.body["id"]
    assert alice.put(f"uploads/{upload}/content", b"x", Upload_Offset="0").status == 409


def test_a_draft_is_optional_and_checked(world: World) -> None:
    alice = Api(world.alice)
    upload = start(alice, 3)
    alice.put(f"uploads/{upload}/content", b"abc", Upload_Offset="0")
    for draft, field in (
        ({"caption": "x" * 2201}, "caption"),
        ({"language": "english!"}, "language"),
        ({"visibility": "private"}, "visibility"),
        ({"comments_open": "no"}, "comments_open"),
    ):
        refused = alice.post(f"uploads/{upload}/finish", draft)
        assert (refused.status, refused.fields) == (422, [field])
    assert alice.post(f"uploads/{upload}/finish").status == 202


def test_strangers_do_not_even_find_an_upload(world: World) -> None:
    upload = start(Api(world.alice))
    for stranger, status in ((Api(world.charlie), 404), (Api(None), 401)):
        assert stranger.get(f"uploads/{upload}").status == status
        assert stranger.put(f"uploads/{upload}/content", CLIP, Upload_Offset="0").status == status
        assert stranger.post(f"uploads/{upload}/finish", {}).status == status
    assert Api(world.alice).get(f"uploads/{upload}").body["bytes_received"] == 0
    assert Api(world.alice).get("uploads/00000000-0000-0000-0000-000000000000").status == 404
    assert Api(world.alice).get("uploads/1").status == 404


@pytest.mark.parametrize(
    ("body", "status", "field"),
    [
        ({"filename": "clip.txt", "bytes": 10}, 422, "file"),
        ({"filename": "clip.mp4", "bytes": 0}, 422, "file"),
        ({"filename": "clip.mp4", "bytes": -1}, 422, "bytes"),
        ({"filename": "clip.mp4", "bytes": 2**60}, 422, "bytes"),
        ({"filename": "clip.mp4", "bytes": 2**40}, 413, "file"),
        ({"filename": "clip.mp4"}, 422, "bytes"),
        ({"filename": "", "bytes": 10}, 422, "filename"),
    ],
)
def test_files_that_cannot_be_are_refused_before_they_are_sent(world: World, body: object, status: int, field: str) -> None:
    refused = Api(world.alice).post("uploads", body)
    assert (refused.status, refused.fields) == (status, [field])
    assert not Upload.objects.exists()


def test_wrong_offsets_and_too_many_bytes_change_nothing(world: World) -> None:
    alice = Api(world.alice)
    upload = start(alice, 10)
    for offset in ("1", "999"):
        refused = alice.put(f"uploads/{upload}/content", b"abc", Upload_Offset=offset)
        assert (refused.status, refused.fields) == (409, ["offset"])
    for offset in ("", "-1", "x", "1e3", "٣", "9" * 30):
        refused = alice.put(f"uploads/{upload}/content", b"abc", Upload_Offset=offset)
        assert (refused.status, refused.fields) == (422, ["Upload-Offset"]), offset
    assert alice.put(f"uploads/{upload}/content", b"abc").fields == ["Upload-Offset"]
    refused = alice.put(f"uploads/{upload}/content", b"x" * 11, Upload_Offset="0")
    assert (refused.status, refused.body["code"]) == (413, "too_large")
    assert alice.get(f"uploads/{upload}").body["bytes_received"] == 0
    refused = alice.put(f"uploads/{upload}/content", b"x", Upload_Offset="0", Transfer_Encoding="chunked")
    assert (refused.status, refused.body["code"]) == (411, "length_required")


def test_a_full_disk_is_said_and_nothing_is_lost(world: World) -> None:
    alice = Api(world.alice)
    upload = start(alice, 10)
    with override_settings(FREE_DISK_BYTES_MIN=2**60):
        refused = alice.post("uploads", {"filename": "clip.mp4", "bytes": 10})
        assert (refused.status, refused.body["code"]) == (507, "storage_full")
        assert alice.put(f"uploads/{upload}/content", b"0123456789", Upload_Offset="0").status == 507
    assert alice.put(f"uploads/{upload}/content", b"0123456789", Upload_Offset="0").status == 200


def test_the_body_is_never_parsed_whatever_it_says_it_is(world: World) -> None:
    alice = Api(world.alice)
    for kind in ("application/json", "application/x-www-form-urlencoded", "multipart/form-data; boundary=x", ""):
        upload = start(alice, 3_000_000)
        sent = alice.put(f"uploads/{upload}/content", b"{" * 3_000_000, Upload_Offset="0", Content_Type=kind)
        assert (sent.status, sent.body["bytes_received"]) == (200, 3_000_000), kind
        alice.post(f"uploads/{upload}/finish", {})


@pytest.mark.django_db(transaction=True)
def test_what_came_before_a_broken_connection_is_kept(live_server: LiveServer) -> None:
    alice = Api(people.local("alice"))
    upload = start(alice, 5_000_000)
    head = f"PUT /api/tributary/v1/uploads/{upload}/content HTTP/1.1\r\nHost: localhost\r\nUpload-Offset: 0\r\n"
    head += f"Content-Length: 5000000\r\nAuthorization: {alice.headers['Authorization']}\r\n\r\n"
    with socket.create_connection((live_server.thread.host, live_server.thread.port)) as connection:
        connection.sendall(head.encode() + b"x" * 3_000_000)
    for _ in range(100):
        received = alice.get(f"uploads/{upload}").body["bytes_received"]
        if received:
            break
        time.sleep(0.1)
    assert received == 3_000_000
    sent = alice.put(f"uploads/{upload}/content", b"y" * 2_000_000, Upload_Offset="3000000")
    assert sent.body["bytes_received"] == 5_000_000
