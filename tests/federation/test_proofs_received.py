"""What proves itself, through both inboxes, with the state read back: who may carry it, and what refuses it (FEP-8b32, FEP-fe34)."""

import json
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from django.test import Client

from federation.models import Actor, Delivery, InboxItem, ProvenDocument
from server.accounts.models import Account, Follow
from server.core import clock
from server.moderation import actions as moderation
from server.videos.models import Share, Video
from tests.federation.proving import key, method, prove
from tests.federation.stranger import PUBLIC, Answer, Person, Request, Server
from tests.federation.test_inbox_door import staff
from tests.world import World

pytestmark = pytest.mark.django_db
DOORS = ["/inbox", "/users/alice/inbox"]


@pytest.fixture
def grace(server: Server) -> Person:
    """Grace of ``peer``, who signs what she says by her key ``home-1``."""
    person = Person(server.url("/users/grace"), "grace")
    return server.person("grace", assertionMethod=[method(person, "home-1", key("grace"))])


@pytest.fixture
def frank(server: Server) -> Person:
    """Frank of another server, who passes things on."""
    return server.person("frank", on="other")


@pytest.fixture
def door(client: Client, work: Callable[[], int], world: World) -> Callable[[Request], tuple[int, str]]:
    """Send, let it be handled, and say what the door answered and why."""

    def send(request: Request) -> tuple[int, str]:
        response = request.send(client)
        work()
        return response.status_code, "" if response.status_code == 202 else response.json()["reason"]

    return send


Door = Callable[[Request], tuple[int, str]]


def signed(
    person: Person, document: dict[str, Any], *, name: str = "home-1", by: str = "grace", **changes: Any
) -> dict[str, Any]:
    return prove(document, key(by), f"{person.uri}#{name}", **changes)


def create(person: Person, slug: str = "1", **fields: Any) -> dict[str, Any]:
    """A Create with both proofs, as we send it."""
    return signed(person, person.activity("Create", signed(person, person.note(slug, **fields))))


def videos() -> list[str]:
    return sorted(Video.objects.filter(state="published").values_list("uri", flat=True))


# --- who may carry it ---


@pytest.mark.parametrize("path", DOORS)
def test_it_may_come_from_its_author_and_from_anybody(door: Door, grace: Person, frank: Person, path: str) -> None:
    assert door(grace.request(create(grace, "1"), path=path)) == (202, "")
    assert door(frank.request(create(grace, "2"), path=path)) == (202, "")
    assert videos() == [f"{grace.uri}/posts/1", f"{grace.uri}/posts/2"]
    assert {video.account.uri for video in Video.objects.select_related("account")} == {grace.uri}
    own, carried = InboxItem.objects.order_by("pk")
    assert (own.key_id, carried.key_id) == (f"{grace.uri}#main-key", f"{grace.uri}#home-1")
    # Who carried it is nobody that we know by that.
    assert not Actor.objects.filter(uri=frank.uri).exists()


@pytest.mark.parametrize("path", DOORS)
def test_without_a_proof_nobody_else_carries_it(door: Door, grace: Person, frank: Person, path: str) -> None:
    assert door(frank.request(grace.activity("Create", grace.note("1")), path=path)) == (403, "foreign_actor")
    assert door(frank.request(grace.activity("Create", signed(grace, grace.note("1"))), path=path)) == (403, "foreign_actor")
    assert (videos(), InboxItem.objects.count()) == ([], 0)


def test_twice_is_once_whoever_carries_it(door: Door, grace: Person, frank: Person, world: World) -> None:
    activity = signed(grace, grace.activity("Follow", world.alice.uri))
    for person in (frank, grace, frank):
        assert door(person.request(activity)) == (202, "")
    assert (InboxItem.objects.count(), Follow.objects.count()) == (1, 1)


def test_a_blocked_server_carries_nothing(door: Door, grace: Person, frank: Person, server: Server) -> None:
    moderation.block_domain(domain="other.localhost", by_staff=staff(), reason="spam")
    assert door(frank.request(create(grace))) == (403, "domain_blocked")
    assert videos() == []


def test_the_proof_goes_before_the_signature_of_the_request(door: Door, grace: Person) -> None:
    """Her server changed its RSA key and we still have the old one: her proof is enough. Without one it is not."""
    assert door(grace.request(create(grace, "1"))) == (202, "")
    spoilt = grace.request(create(grace, "2"))
    spoilt.headers["Signature"] = spoilt.headers["Signature"].replace('signature="', 'signature="AAAA')
    assert door(spoilt) == (202, "")
    spoilt = grace.request(grace.activity("Create", grace.note("3")))
    spoilt.headers["Signature"] = spoilt.headers["Signature"].replace('signature="', 'signature="AAAA')
    assert door(spoilt) == (401, "wrong_signature")
    assert videos() == [f"{grace.uri}/posts/1", f"{grace.uri}/posts/2"]


def test_a_signature_of_linked_data_is_no_part_of_what_is_proven(door: Door, grace: Person, frank: Person) -> None:
    """FEP-8b32: it is added after the proof, and left out before the proof is judged."""
    activity = {**create(grace), "signature": {"type": "RsaSignature2017", "signatureValue": "AAAA"}}
    assert door(frank.request(activity)) == (202, "")
    assert len(videos()) == 1


def test_a_post_whose_home_is_dead(door: Door, grace: Person, frank: Person, server: Server) -> None:
    """We have met her; then her server answers nothing any more. What she signed still arrives."""
    assert door(grace.request(create(grace, "1"))) == (202, "")
    for address in list(server.answers):
        if address[0] == server.host("peer"):
            server.answers[address] = Answer(b"", 503)
    assert door(frank.request(create(grace, "2"))) == (202, "")
    assert len(videos()) == 2


# --- a proof that does not hold refuses, whoever sends it ---


SPOILT: list[tuple[str, Callable[[Person], dict[str, Any]], str]] = [
    ("a word", lambda grace: {**create(grace), "published": "2020-01-01T00:00:00Z"}, "wrong_proof"),
    ("the post inside", lambda grace: _inside(create(grace), content="<p>Forged</p>"), "wrong_proof"),
    ("a member more", lambda grace: {**create(grace), "extra": 1}, "wrong_proof"),
    ("another signer", lambda grace: signed(grace, grace.activity("Create", grace.note("1")), by="thief"), "wrong_proof"),
    ("a key not listed", lambda grace: signed(grace, grace.activity("Create", grace.note("1")), name="home-2"), "unknown_proof_key"),
    ("another purpose", lambda grace: signed(grace, grace.activity("Create", grace.note("1")), proofPurpose="authentication"), "malformed_proof"),
    ("another context", lambda grace: {**create(grace), "@context": ["https://www.w3.org/ns/activitystreams"]}, "malformed_proof"),
    ("bound to a challenge", lambda grace: signed(grace, grace.activity("Create", grace.note("1")), challenge="x"), "malformed_proof"),
    ("of tomorrow", lambda grace: signed(grace, grace.activity("Create", grace.note("1")), at=datetime.now(UTC) + timedelta(days=1)), "proof_in_the_future"),
]  # fmt: skip


def _inside(activity: dict[str, Any], **changes: Any) -> dict[str, Any]:
    return {**activity, "object": {**activity["object"], **changes}}


@pytest.mark.parametrize("path", DOORS)
@pytest.mark.parametrize("carried", [False, True])
@pytest.mark.parametrize(("make", "reason"), [case[1:] for case in SPOILT], ids=[case[0] for case in SPOILT])
def test_a_wrong_proof(
    door: Door, grace: Person, frank: Person, carried: bool, path: str, make: Callable[[Person], dict[str, Any]], reason: str
) -> None:
    sender = frank if carried else grace
    assert door(sender.request(make(grace), path=path)) == (401, reason)
    assert (videos(), InboxItem.objects.count(), Delivery.objects.count()) == ([], 0, 0)
    assert door(sender.request(create(grace), path=path)) == (202, "")
    assert len(videos()) == 1


def test_the_post_inside_must_hold_too(door: Door, grace: Person) -> None:
    note = signed(grace, grace.note("1"))
    forged = {**note, "content": "<p>Forged</p>"}
    assert door(grace.request(grace.activity("Create", forged))) == (202, "")
    item = InboxItem.objects.get()
    assert (item.state, item.error) == ("failed", "wrong_proof: wrong proof")
    assert videos() == []


@pytest.mark.parametrize("changes", [
    {"controller": "https://other.example/users/grace"},
    {"id": "https://other.example/users/grace#home-1"},
    {"type": "JsonWebKey"},
    {"publicKeyMultibase": "z6LSbysY2xFMRpGMhb7tFTLMpeuPRaqaWM1yECx2AtzE3KCc"},
])  # fmt: skip
def test_keys_that_are_not_hers_are_none(door: Door, server: Server, frank: Person, changes: dict[str, Any]) -> None:
    """FEP-521a: id and controller are the actor's own, and the key is one for signing."""
    person = Person(server.url("/users/grace"), "grace")
    server.person("grace", assertionMethod=[method(person, "home-1", key("grace"), **changes)])
    assert door(frank.request(create(person))) == (401, "unknown_proof_key")
    assert videos() == []


def test_at_most_ten_keys_are_read(door: Door, server: Server, frank: Person) -> None:
    person = Person(server.url("/users/grace"), "grace")
    listed = [method(person, f"home-{n}", key("grace")) for n in range(1, 12)]
    server.person("grace", assertionMethod=listed)
    assert door(frank.request(signed(person, person.activity("Create", person.note("1")), name="home-10"))) == (202, "")
    assert door(frank.request(signed(person, person.activity("Create", person.note("2")), name="home-11"))) == (
        401,
        "unknown_proof_key",
    )


def test_a_new_key_is_learnt_from_her_document_and_bad_proofs_do_not_make_us_ask_again(
    door: Door, grace: Person, frank: Person, server: Server
) -> None:
    assert door(grace.request(create(grace, "1"))) == (202, "")
    server.serve(grace.uri, grace.document(assertionMethod=[method(grace, "home-2", key("new"))]))
    assert door(frank.request(signed(grace, grace.activity("Create", grace.note("2")), name="home-2", by="new"))) == (202, "")
    asked = len(server.gets(grace.uri.partition(server.host())[2]))
    for _ in range(3):
        assert door(frank.request(signed(grace, grace.activity("Create", grace.note("3")), name="home-9"))) == (
            401,
            "unknown_proof_key",
        )
    assert len(server.gets(grace.uri.partition(server.host())[2])) == asked


@pytest.mark.parametrize("proof", [
    {"cryptosuite": "mldsa44-jcs-2024"},
    {"verificationMethod": "did:key:z6MkrJVnaZkeFzdQyMZu1cgjg7k1pZZ6pvBQ7XJPt4swbTQ2"},
    {"expires": "2036-01-01T00:00:00Z"},
])  # fmt: skip
def test_proofs_that_we_do_not_judge_are_passed_over(door: Door, grace: Person, frank: Person, proof: dict[str, Any]) -> None:
    """FEP-8b32: other ways to know the sender are tried; from somebody else there is none."""
    activity = signed(grace, grace.activity("Create", grace.note("1")), **proof)
    assert door(frank.request(activity)) == (403, "foreign_actor")
    assert door(grace.request(activity)) == (202, "")
    assert videos() == [f"{grace.uri}/posts/1"]


# --- FEP-fe34: origins and owners ---


def _elsewhere(person: Person, server: Server, **changes: Any) -> dict[str, Any]:
    """Her post, but under an id of another server."""
    return {**person.note("1"), "id": server.url("/users/frank/posts/1", "other"), **changes}


@pytest.mark.parametrize("path", DOORS)
@pytest.mark.parametrize("carried", [False, True])
def test_the_id_of_an_activity_has_the_origin_of_its_actor(
    door: Door, grace: Person, frank: Person, server: Server, path: str, carried: bool
) -> None:
    activity = signed(grace, {**grace.activity("Create", grace.note("1")), "id": server.url("/activities/1", "other")})
    assert door((frank if carried else grace).request(activity, path=path)) == (403, "foreign_id")
    assert (videos(), InboxItem.objects.count()) == ([], 0)


@pytest.mark.parametrize("path", DOORS)
@pytest.mark.parametrize("kind", ["Create", "Update"])
@pytest.mark.parametrize("case", ["foreign id", "foreign author", "both foreign", "of a neighbour"])
def test_a_proof_does_not_make_anothers_post_hers(
    door: Door, grace: Person, frank: Person, server: Server, path: str, kind: str, case: str
) -> None:
    """id, author and actor must be of one origin, and author and actor the same, however well it is signed by herself."""
    theirs = {
        "foreign id": _elsewhere(grace, server),
        "foreign author": {**grace.note("1"), "attributedTo": frank.uri},
        "both foreign": frank.note("1"),
        "of a neighbour": {**grace.note("1"), "attributedTo": grace.uri.replace("grace", "erin")},
    }[case]
    activity = signed(grace, grace.activity(kind, signed(grace, theirs)))
    assert door(grace.request(activity, path=path)) == (202, "")
    assert InboxItem.objects.get().state in {"failed", "ignored"}
    assert (videos(), ProvenDocument.objects.count()) == ([], 0)


@pytest.mark.parametrize("path", DOORS)
def test_what_she_names_by_id_is_fetched_and_its_own_author_counts(
    door: Door, grace: Person, frank: Person, server: Server, path: str
) -> None:
    server.serve(grace.note("1")["id"], grace.note("1"))
    server.serve(frank.note("1")["id"], frank.note("1"))
    for uri in (grace.note("1")["id"], frank.note("1")["id"]):
        assert door(grace.request(signed(grace, grace.activity("Create", uri)), path=path)) == (202, "")
    assert videos() == [grace.note("1")["id"]]


@pytest.mark.parametrize("path", DOORS)
@pytest.mark.parametrize("carried", [False, True])
def test_nobody_deletes_what_is_anothers(
    door: Door, grace: Person, frank: Person, server: Server, path: str, carried: bool
) -> None:
    """A Delete of erin, who is of the same origin, and one of frank, who is not: both well signed."""
    assert door(grace.request(create(grace))) == (202, "")
    uri = f"{grace.uri}/posts/1"
    erin = Person(server.url("/users/erin"), "erin")
    server.person("erin", assertionMethod=[method(erin, "home-1", key("erin"))])
    server.person("frank", on="other", assertionMethod=[method(frank, "home-1", key("frank"))])
    for person, by in ((erin, "erin"), (frank, "frank")):
        activity = signed(person, person.activity("Delete", {"id": uri, "type": "Tombstone"}), by=by)
        assert door((grace if carried else person).request(activity, path=path)) == (202, "")
        assert InboxItem.objects.get(uri=activity["id"]).state == "failed"
    assert videos() == [uri]
    assert door(frank.request(signed(grace, grace.activity("Delete", uri)), path=path)) == (202, "")
    assert videos() == []
    assert not ProvenDocument.objects.exists()


# --- what others pass on ---


def announce(person: Person, object_: Any) -> dict[str, Any]:
    return person.activity("Announce", object_, to=[PUBLIC])


def test_a_copy_that_somebody_passes_on_counts_by_its_own_proof(door: Door, grace: Person, frank: Person, server: Server) -> None:
    """Nobody is asked for the post, so it may be gone from where it was."""
    note = signed(grace, grace.note("1"))
    assert door(frank.request(announce(frank, note))) == (202, "")
    assert videos() == [note["id"]]
    assert Video.objects.get().account.uri == grace.uri
    assert Share.objects.get().account.uri == frank.uri
    assert server.gets("/users/grace/posts") == []
    assert json.loads(ProvenDocument.objects.get().text) == note


@pytest.mark.parametrize("spoil", [{"content": "<p>Forged</p>"}, {"proof": None}, {"attributedTo": "FRANK"}])
def test_a_copy_that_proves_nothing_is_asked_of_its_origin(
    door: Door, grace: Person, frank: Person, server: Server, spoil: dict[str, Any]
) -> None:
    if spoil.get("attributedTo"):
        spoil = {"attributedTo": frank.uri}
    real = grace.note("1", content="<p>As it is</p>")
    server.serve(real["id"], real)
    assert door(frank.request(announce(frank, {**signed(grace, grace.note("1")), **spoil}))) == (202, "")
    video = Video.objects.get()
    assert (video.account.uri, video.caption) == (grace.uri, "As it is")


def test_what_its_origin_shows_may_be_signed_by_a_key_of_yesterday(
    door: Door, grace: Person, frank: Person, server: Server
) -> None:
    """Her home changed its key and did not sign everything again. A proof that does not hold is refused there too."""
    old, spoilt = signed(grace, grace.note("1"), name="home-0", by="old"), {**signed(grace, grace.note("2")), "content": "x"}
    for note in (old, spoilt):
        server.serve(note["id"], note)
        assert door(frank.request(announce(frank, note["id"]))) == (202, "")
    assert videos() == [old["id"]]
    assert not ProvenDocument.objects.exists()
    assert InboxItem.objects.order_by("pk").last().error == "wrong_proof: wrong proof"  # type: ignore[union-attr]


# --- older forms ---


def test_an_older_form_does_not_come_back(door: Door, grace: Person, frank: Person) -> None:
    """Frank keeps an edit from us and passes it on when a newer one is here."""
    moment = clock.now() - timedelta(minutes=10)

    def edit(minutes: int, words: str) -> dict[str, Any]:
        note = signed(grace, grace.note("1", content=f"<p>{words}</p>"), at=moment + timedelta(minutes=minutes))
        return signed(grace, grace.activity("Update", note))

    first = signed(grace, grace.note("1"), at=moment)
    assert door(grace.request(signed(grace, grace.activity("Create", first)))) == (202, "")
    kept, newest = edit(1, "Two"), edit(2, "Three")
    for activity in (newest, kept):
        assert door(frank.request(activity)) == (202, "")
    assert InboxItem.objects.get(uri=kept["id"]).error == "wrong_proof: a newer form is known"
    assert Video.objects.get().caption == "Three"
    assert json.loads(ProvenDocument.objects.get().text) == newest["object"]


def test_a_carried_edit_without_a_date_of_its_own_is_asked_of_its_origin(
    door: Door, grace: Person, frank: Person, server: Server
) -> None:
    """Only the activity is signed: it may be as old as it likes, so her server says how the post reads now."""
    assert door(grace.request(grace.activity("Create", grace.note("1")))) == (202, "")
    now = grace.note("1", content="<p>As it is</p>")
    server.serve(now["id"], now)
    activity = signed(grace, grace.activity("Update", grace.note("1", content="<p>Old</p>")))
    assert door(frank.request(activity)) == (202, "")
    assert Video.objects.get().caption == "As it is"


def test_what_is_kept_is_kept_as_it_came(door: Door, grace: Person, world: World) -> None:
    note = signed(grace, grace.note("1", unknownTerm={"b": 1, "a": [None, "é"]}))
    assert door(grace.request(grace.activity("Create", note))) == (202, "")
    row = ProvenDocument.objects.get()
    assert json.loads(row.text) == note
    assert row.account == Account.objects.get(uri=grace.uri)
