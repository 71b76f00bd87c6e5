"""Strangers' activities and objects as typed values, or a refusal that names the field."""

import contextlib
import dataclasses
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from federation.wire import activities, objects
from federation.wire.activities import Accept, Announce, Create, Delete, Follow, Like, Move, Other, Reject, Undo, Update
from federation.wire.fields import Malformed
from federation.wire.objects import PUBLIC
from server.core import limits
from tests.federation.stranger import Person, dora
from tests.pure import captures

ALICE = "https://we.example/users/alice"
ERIN = Person("https://peer.example/users/erin", "erin")


def changed(document: dict[str, Any], **changes: Any) -> dict[str, Any]:
    """``document`` with some members replaced; ``...`` takes one away."""
    return {name: value for name, value in {**document, **changes}.items() if value is not ...}


# --- activities ---


@pytest.mark.parametrize(
    ("kind", "type_", "object_", "extra"),
    [
        ("Follow", Follow, ALICE, {}),
        ("Follow", Follow, {"id": ALICE, "type": "Person"}, {}),
        ("Follow", Follow, [ALICE], {}),
        ("Accept", Accept, f"{ALICE}/follows/1", {}),
        ("Accept", Accept, {"id": f"{ALICE}/follows/1", "type": "Follow", "actor": ALICE, "object": ERIN.uri}, {}),
        ("Reject", Reject, {"type": "Follow", "actor": ALICE, "object": ERIN.uri}, {}),
        ("Undo", Undo, {"id": f"{ERIN.uri}/likes/1", "type": "Like", "object": f"{ALICE}/posts/1"}, {}),
        ("Create", Create, ERIN.note("1"), {}),
        ("Create", Create, f"{ERIN.uri}/posts/1", {}),
        ("Update", Update, ERIN.note("1"), {}),
        ("Delete", Delete, {"id": f"{ERIN.uri}/posts/1", "type": "Tombstone"}, {}),
        ("Like", Like, f"{ALICE}/posts/1", {}),
        ("Announce", Announce, f"{ALICE}/posts/1", {}),
        ("Move", Move, ERIN.uri, {"target": "https://new.example/users/erin"}),
        ("Bite", Other, ALICE, {}),
        ("View", Other, None, {}),
    ],
)
def test_kinds(kind: str, type_: type, object_: Any, extra: dict[str, Any]) -> None:
    document = ERIN.activity(kind, object_, **extra)
    read = activities.read(document)
    assert type(read) is type_
    assert (read.uri, read.actor, read.kind) == (document["id"], ERIN.uri, kind)
    assert dataclasses.is_dataclass(read)


@pytest.mark.parametrize(
    ("changes", "field"),
    [
        ({"id": ...}, "id"), ({"id": None}, "id"), ({"id": 5}, "id"), ({"id": ""}, "id"), ({"id": "x"}, "id"), ({"id": "acct:a@b"}, "id"),
        ({"id": "https://peer.example/" + "x" * 3000}, "id"), ({"id": ["https://a.example/", "https://b.example/"]}, "id"),
        ({"actor": ...}, "actor"), ({"actor": []}, "actor"), ({"actor": {"type": "Person"}}, "actor"), ({"actor": "javascript:alert(1)"}, "actor"),
        ({"actor": ["https://peer.example/a", "https://peer.example/b"]}, "actor"), ({"actor": "https://user@peer.example/"}, "actor"),
        ({"type": ...}, "type"), ({"type": ["Follow", "Create"]}, "type"), ({"type": {}}, "type"), ({"type": ""}, "type"), ({"type": "x" * 41}, "type"),
        ({"object": ...}, "object"), ({"object": None}, "object"), ({"object": 5}, "object"), ({"object": {}}, "object"),
        ({"object": [ALICE, ERIN.uri]}, "object"), ({"object": {"id": {"id": ALICE}}}, "object"),
    ],
)  # fmt: skip
def test_malformed_activities(changes: dict[str, Any], field: str) -> None:
    with pytest.raises(Malformed) as caught:
        activities.read(changed(ERIN.activity("Follow", ALICE), **changes))
    assert (caught.value.field, caught.value.status) == (field, 400)


@pytest.mark.parametrize("kind", ["Create", "Update"])
def test_a_created_object_needs_an_id(kind: str) -> None:
    with pytest.raises(Malformed):
        activities.read(ERIN.activity(kind, changed(ERIN.note("1"), id=...)))


def test_ids_are_kept_in_canonical_form() -> None:
    read = activities.read(
        changed(ERIN.activity("Follow", "HTTPS://We.Example:443/users/Alice"), actor="https://PEER.example/users/erin")
    )
    assert isinstance(read, Follow)
    assert (read.actor, read.target) == (ERIN.uri, "https://we.example/users/Alice")


def test_what_is_embedded_stays_raw_until_it_is_trusted() -> None:
    read = activities.read(ERIN.activity("Create", ERIN.note("1")))
    assert isinstance(read, Create)
    assert read.object.document == ERIN.note("1")
    by_id = activities.read(ERIN.activity("Create", f"{ERIN.uri}/posts/1"))
    assert isinstance(by_id, Create)
    assert by_id.object.document is None


# --- notes ---


def test_a_video() -> None:
    note = objects.read_note(ERIN.note("1", sensitive=True, contentMap={"de": ERIN.note("1")["content"]}))
    assert (note.attributed_to, note.visibility, note.sensitive, note.language) == (ERIN.uri, "public", True, "de")
    assert note.hashtags == ("sea",)
    video = note.video
    assert video is not None
    assert (video.url, video.name, video.width, video.height, video.duration_ms) == (
        "https://peer.example/media/1.mp4",
        "Waves",
        1080,
        1920,
        12_000,
    )
    assert video.poster_url == "https://peer.example/media/1.jpg"


@pytest.mark.parametrize(
    ("to", "cc", "visibility"),
    [
        ([PUBLIC], [], "public"),
        (PUBLIC, None, "public"),
        ("as:Public", ..., "public"),
        (["Public"], [f"{ERIN.uri}/followers"], "public"),
        ([f"{ERIN.uri}/followers"], [PUBLIC], "unlisted"),
        (f"{ERIN.uri}/followers", PUBLIC, "unlisted"),
        ([f"{ERIN.uri}/followers"], [], "private"),
        ([ALICE], ..., "private"),
        (..., ..., "private"),
        ([{"id": PUBLIC}], [], "public"),
        ([5, None, [PUBLIC]], [], "private"),
    ],
)
def test_who_may_see_it(to: Any, cc: Any, visibility: str) -> None:
    assert objects.read_note(changed(ERIN.note("1"), to=to, cc=cc)).visibility == visibility


@pytest.mark.parametrize(
    "attachment",
    [
        {
            "type": "Video",
            "mediaType": "video/mp4",
            "url": [
                {"type": "Link", "mediaType": "text/html", "href": "https://peer.example/p"},
                {"type": "Link", "mediaType": "video/mp4", "href": "https://peer.example/media/1.mp4"},
            ],
        },
        {"type": "Document", "mediaType": "VIDEO/MP4", "url": {"type": "Link", "href": "https://peer.example/media/1.mp4"}},
        [
            {"type": "Document", "mediaType": "image/png", "url": "https://peer.example/1.png"},
            {"type": "Document", "mediaType": "video/mp4", "url": "https://peer.example/media/1.mp4"},
        ],
    ],
)
def test_shapes_of_a_video_file(attachment: Any) -> None:
    video = objects.read_note(ERIN.note("1", attachment=attachment)).video
    assert video is not None
    assert video.url == "https://peer.example/media/1.mp4"


@pytest.mark.parametrize(
    "attachment",
    [
        ..., [], None, "https://peer.example/1.mp4", [{}], [{"mediaType": "video/mp4"}], [{"mediaType": "video/mp4", "url": "javascript:alert(1)"}],
        [{"mediaType": "video/mp4", "url": "http://10.0.0.1/x.mp4"}], [{"mediaType": "image/png", "url": "https://peer.example/1.png"}],
        [{"mediaType": "video/mp4", "url": 5}], [{"mediaType": "video/mp4", "url": {"href": {"href": "https://peer.example/1.mp4"}}}],
        [{"mediaType": "text/html", "url": "https://peer.example/1.mp4"}], [{"mediaType": "video/mp4", "url": "file:///etc/passwd"}],
    ],
)  # fmt: skip
def test_no_video_file(attachment: Any) -> None:
    assert objects.read_note(changed(ERIN.note("1"), attachment=attachment)).video is None


def test_fields_are_bounded() -> None:
    note = objects.read_note(
        ERIN.note(
            "1",
            content="x" * 1_000_000,
            attachment=[
                {
                    "mediaType": "video/mp4",
                    "url": "https://peer.example/1.mp4",
                    "name": "x" * 100_000,
                    "width": 10**12,
                    "height": -1,
                    "duration": "PT999999999S",
                    "blurhash": "x" * 1000,
                }
            ]
            * 100,
            tag=[{"type": "Hashtag", "name": "#" + "x" * 1000}] * 1000,
            contentMap={"x" * 1000: "x" * limits.REMOTE_TEXT_CHARACTERS_MAX},
        )
    )
    assert len(note.content) == limits.REMOTE_TEXT_CHARACTERS_MAX
    assert len(note.hashtags) == limits.TAGS_PER_POST_MAX
    assert len(note.attachments) == objects.ATTACHMENTS_MAX
    assert len(note.language) == objects.LANGUAGE_CHARACTERS_MAX
    video = note.video
    assert video is not None
    assert (video.width, video.height, video.duration_ms) == (None, None, None)
    assert len(video.name) == limits.ALT_TEXT_CHARACTERS_MAX
    assert len(video.blurhash) <= 100
    with pytest.raises(Malformed):
        objects.read_note(ERIN.note("1", to=[PUBLIC] * 2000))


@pytest.mark.parametrize(
    ("text", "milliseconds"),
    [
        ("PT34S", 34_000),
        ("PT1M3.5S", 63_500),
        ("PT1H", 3_600_000),
        ("P1DT1S", 86_401_000),
        ("PT0.0005S", 0),
        ("P", None),
        ("PT", None),
        ("34", None),
        ("PT-3S", None),
        ("PT99999999999S", None),
    ],
)
def test_durations(text: str, milliseconds: int | None) -> None:
    note = objects.read_note(
        ERIN.note("1", attachment=[{"mediaType": "video/mp4", "url": "https://peer.example/1.mp4", "duration": text}])
    )
    assert note.video is not None
    assert note.video.duration_ms == milliseconds


@pytest.mark.parametrize(
    "author",
    [
        ERIN.uri,
        [ERIN.uri],
        [ERIN.uri, "https://peer.example/channels/c"],
        [{"type": "Person", "id": ERIN.uri}, {"type": "Group", "id": "https://peer.example/c"}],
        {"id": ERIN.uri},
    ],
)
def test_authors(author: Any) -> None:
    assert objects.read_note(ERIN.note("1", attributedTo=author)).attributed_to == ERIN.uri


@pytest.mark.parametrize("author", [..., None, [], {}, 5, "erin", [5, ERIN.uri]])
def test_no_author(author: Any) -> None:
    with pytest.raises(Malformed):
        objects.read_note(changed(ERIN.note("1"), attributedTo=author))


# --- actors ---


def test_an_actor() -> None:
    actor = objects.read_actor(
        ERIN.document(
            alsoKnownAs=["https://old.example/users/erin", "did:key:z6Mk", 5],
            movedTo="https://new.example/users/erin",
            icon={"type": "Image", "url": "https://peer.example/e.png"},
        )
    )
    assert (actor.uri, actor.handle, actor.inbox, actor.shared_inbox) == (
        ERIN.uri,
        "erin",
        f"{ERIN.uri}/inbox",
        "https://peer.example/inbox",
    )
    assert [key.id for key in actor.keys] == [ERIN.key_id]
    assert actor.also_known_as == ("https://old.example/users/erin",)
    assert actor.moved_to == "https://new.example/users/erin"
    assert actor.icon_url == "https://peer.example/e.png"


@pytest.mark.parametrize(
    "changes",
    [
        {"id": ...}, {"type": "Note"}, {"type": ...}, {"preferredUsername": ...}, {"preferredUsername": 5}, {"inbox": ...}, {"inbox": "https://evil.example/inbox"},
        {"inbox": "http://peer.example/inbox"}, {"inbox": "https://peer.example:8443/inbox"},
    ],
)  # fmt: skip
def test_malformed_actors(changes: dict[str, Any]) -> None:
    with pytest.raises(Malformed):
        objects.read_actor(changed(ERIN.document(), **changes))


@pytest.mark.parametrize(
    "key",
    [
        ..., None, [], {}, {"id": ERIN.key_id, "owner": "https://peer.example/users/other", "publicKeyPem": "x"},
        {"id": "https://evil.example/key", "owner": ERIN.uri, "publicKeyPem": "x"}, {"id": ERIN.key_id, "owner": ERIN.uri, "publicKeyPem": ""},
        {"id": ERIN.key_id, "publicKeyPem": "x"}, "https://peer.example/key",
    ],
)  # fmt: skip
def test_keys_that_are_not_hers(key: Any) -> None:
    assert objects.read_actor(changed(ERIN.document(), publicKey=key)).keys == ()


def test_places_on_other_servers_do_not_count() -> None:
    actor = objects.read_actor(
        ERIN.document(
            followers="https://evil.example/f",
            outbox="https://evil.example/o",
            endpoints={"sharedInbox": "https://evil.example/inbox"},
        )
    )
    assert (actor.followers, actor.outbox, actor.shared_inbox) == ("", "", "")
    for endpoints in (None, [], "x", {"sharedInbox": {"id": []}}):
        assert objects.read_actor(ERIN.document(endpoints=endpoints)).shared_inbox == ""


# --- documents of running servers ---

NAMES = sorted(f"{path.parent.name}/{path.stem}" for path in Path(captures.FOLDER).glob("*/*.json"))


@pytest.mark.parametrize("name", [name for name in NAMES if "/actor" in name])
def test_captured_actors(name: str) -> None:
    actor = objects.read_actor(captures.load(name)["document"])
    assert actor.kind in {"Person", "Group", "Application"}
    assert len(actor.keys) == 1
    assert actor.inbox


@pytest.mark.parametrize("name", [name for name in NAMES if "/delivered" in name])
def test_captured_activities(name: str) -> None:
    activity = activities.read(captures.load(name)["activity"])
    assert activity.kind == name.split("delivered_")[1].split("_", maxsplit=1)[0]


def test_captured_posts() -> None:
    created = captures.load("gotosocial/delivered_Create_1")["activity"]["object"]
    note = objects.read_note(created)
    assert (note.kind, note.visibility, note.content, note.language, note.video) == (
        "Note",
        "public",
        "<p>captured</p>",
        "en",
        None,
    )
    comment = objects.read_note(captures.load("peertube/comment_note")["document"])
    assert comment.is_plain_text
    assert comment.in_reply_to.startswith("http://127.0.0.1:9001/videos/watch/")
    video = objects.read_note(captures.load("peertube/video_object")["document"])
    assert (video.kind, video.visibility) == ("Video", "public")
    assert video.attributed_to == "http://127.0.0.1:9001/accounts/root"


# --- anything at all ---

JSON = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats()
    | st.text(max_size=20)
    | st.sampled_from([PUBLIC, ALICE, ERIN.uri, "Note", "Person"]),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(
            st.sampled_from(["id", "type", "object", "actor", "url", "href", "name", "mediaType"]), inner, max_size=4
        )
    ),
    max_leaves=12,
)


@given(st.data())
def test_one_spoiled_member_is_read_or_malformed(data: st.DataObject) -> None:
    for document, read in [
        (ERIN.activity("Create", ERIN.note("1")), activities.read),
        (ERIN.activity("Undo", {"id": ERIN.uri, "type": "Like", "object": ALICE}), activities.read),
        (ERIN.note("1"), objects.read_note),
        (ERIN.document(), objects.read_actor),
    ]:
        name = data.draw(st.sampled_from([*document, "icon", "preview", "contentMap", "endpoints", "mediaType", "alsoKnownAs"]))
        with contextlib.suppress(Malformed):
            read({**document, name: data.draw(JSON)})


def test_dora_is_as_the_world_knows_her() -> None:
    assert dora().key_id == "https://peer.example/users/dora#main-key"
