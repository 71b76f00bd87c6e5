"""The inbox door, through HTTP, with the state read back: who gets in, who does not, and that a refusal leaves nothing."""

import base64
import hmac
import json
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from django.test import Client
from hypothesis import HealthCheck, given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st

from federation.models import Actor, InboxItem, Peer, SeenSignature
from server.accounts import actions as accounts
from server.accounts.models import Account, Follow, User
from server.core import clock, limits
from server.core.models import Task
from server.moderation import actions as moderation
from tests.federation.stranger import OUR_HOST, Person, Request, Server, dora, old
from tests.world import World, rsa_pair


def follow(world: World, person: Person | None = None) -> dict[str, Any]:
    return (person or dora()).activity("Follow", world.alice.uri)


def staff() -> User:
    return User.objects.create_user("staff@example.org", "a long password", is_staff=True)


@pytest.fixture
def refused(client: Client) -> Callable[..., Any]:
    """Send a request that must be refused, and see that nothing of it stays."""

    def send(request: Request, status: int, reason: str) -> Any:
        before = (InboxItem.objects.count(), SeenSignature.objects.count(), Task.objects.count(), Follow.objects.count())
        response = request.send(client)
        assert response.status_code == status, response.content
        assert response.headers["Content-Type"] == "application/problem+json"
        body = response.json()
        assert (body["status"], body["reason"]) == (status, reason)
        assert before == (InboxItem.objects.count(), SeenSignature.objects.count(), Task.objects.count(), Follow.objects.count())
        return response

    return send


# --- who gets in ---


@pytest.mark.parametrize("path", ["/inbox", "/users/alice/inbox", "/users/ALICE/inbox"])
def test_a_signed_follow_is_stored_and_handled(world: World, client: Client, work: Callable[[], int], path: str) -> None:
    activity = follow(world)
    response = dora().request(activity, path=path).send(client)
    assert (response.status_code, response.content) == (202, b"")
    item = InboxItem.objects.get()
    assert (item.uri, item.kind, item.state, item.actor.uri) == (activity["id"], "Follow", "received", dora().uri)
    assert json.loads(bytes(item.body)) == activity
    assert item.key_id == dora().key_id
    assert item.signing_string.startswith(f"(request-target): post {path}\nhost: {OUR_HOST}\ndate: ")
    assert not Follow.objects.exists()
    work()
    item.refresh_from_db()
    assert (item.state, item.error) == ("handled", "")
    assert Follow.objects.get().follower == world.dora


def test_somebody_new_is_looked_up_once(world: World, client: Client, server: Server) -> None:
    erin = server.person("erin")
    for _ in range(2):
        assert erin.request(follow(world, erin)).send(client).status_code == 202
    assert [request.path for request in server.gets()] == [
        "/users/erin",
        f"/.well-known/webfinger?resource=acct:erin@{server.host()}",
    ]
    fetch = server.gets("/users/erin")[0]
    assert fetch.headers["signature"].startswith('keyId="http://localhost:8000/actor#main-key",algorithm="rsa-sha256",')
    assert 'headers="(request-target) host date"' in fetch.headers["signature"]
    assert fetch.headers["user-agent"].startswith("Tributary/")
    actor = Actor.objects.get(uri=erin.uri)
    assert actor.account is not None
    assert (actor.account.acct, actor.account.display_name, actor.peer.host) == (f"erin@{server.host()}", "Erin", server.host())
    assert "script" not in actor.account.bio
    assert actor.shared_inbox == server.url("/inbox")


def test_the_sender_is_alive(world: World, client: Client) -> None:
    Peer.objects.filter(host="peer.example").update(failures=9, open_until=clock.now() + timedelta(hours=5), last_error="down")
    dora().request(follow(world)).send(client)
    peer = Peer.objects.get(host="peer.example")
    assert (peer.failures, peer.open_until, peer.last_error) == (0, None, "")
    assert peer.last_received_at is not None


def test_an_unknown_kind_is_kept_and_ignored(world: World, client: Client) -> None:
    assert dora().request(dora().activity("Bite", world.alice.uri)).send(client).status_code == 202
    item = InboxItem.objects.get()
    assert (item.state, item.error) == ("ignored", "Bite is not a kind that we handle")
    assert not Task.objects.filter(fact="ActivityReceived").exists()


def test_the_same_activity_signed_again_is_known(world: World, client: Client, work: Callable[[], int]) -> None:
    activity = follow(world)
    assert dora().request(activity, at=old(0.1)).send(client).status_code == 202
    work()
    assert dora().request(activity).send(client).status_code == 202
    assert InboxItem.objects.count() == 1
    assert not Task.objects.filter(fact="ActivityReceived").exists()


def test_ld_json_with_the_profile(world: World, client: Client) -> None:
    kind = 'application/ld+json; profile="https://www.w3.org/ns/activitystreams"'
    assert dora().request(follow(world), values={"Content-Type": kind}).send(client).status_code == 202


# --- signatures ---


def test_unsigned(world: World, refused: Callable[..., Any]) -> None:
    request = dora().request(follow(world))
    del request.headers["Signature"]
    refused(request, 401, "no_signature")


def test_a_signature_in_another_header(world: World, refused: Callable[..., Any]) -> None:
    request = dora().request(follow(world))
    request.headers["Authorization"] = "Signature " + request.headers.pop("Signature")
    refused(request, 401, "no_signature")


def test_wrong_key(world: World, refused: Callable[..., Any], server: Server) -> None:
    """Eve signs in the name of erin, whose key is known: it is fetched once more, is the same, and eve stays outside."""
    erin = server.person("erin")
    assert erin.request(follow(world, erin)).send(Client()).status_code == 202
    eve = Person(erin.uri, "eve")
    for _ in range(3):
        refused(eve.request(follow(world, erin)), 401, "wrong_signature")
    assert len(server.gets("/users/erin")) == 2
    refused(
        Person(erin.uri, "eve").request(follow(world, erin), key_id=f"{server.url('/users/eve')}#main-key"),
        401,
        "wrong_signature",
    )


def test_a_new_key_is_fetched_when_the_old_one_fails(world: World, client: Client, server: Server) -> None:
    erin = server.person("erin")
    assert erin.request(follow(world, erin)).send(client).status_code == 202
    renewed = Person(erin.uri, "eve", key_id=f"{erin.uri}#second-key")
    server.serve(erin.uri, renewed.document(preferredUsername="erin"))
    assert renewed.request(follow(world, erin)).send(client).status_code == 202
    assert Actor.objects.get(uri=erin.uri).key_id == f"{erin.uri}#second-key"
    assert erin.request(follow(world, erin)).send(client).status_code == 401


def test_the_refetch_is_rare(world: World, client: Client, server: Server) -> None:
    erin = server.person("erin")
    erin.request(follow(world, erin)).send(client)
    before = len(server.gets())
    for _ in range(20):
        assert Person(erin.uri, "eve").request(follow(world, erin)).send(client).status_code == 401
    assert len(server.gets()) - before == 2


def test_an_old_key_is_fetched_again(world: World, client: Client, server: Server) -> None:
    erin = server.person("erin")
    erin.request(follow(world, erin)).send(client)
    Actor.objects.filter(uri=erin.uri).update(fetched_at=clock.now() - timedelta(days=2))
    assert erin.request(follow(world, erin)).send(client).status_code == 202
    assert len(server.gets("/users/erin")) == 2
    # Her server is away: what we have must do, and is not asked for at every request.
    Actor.objects.filter(uri=erin.uri).update(fetched_at=clock.now() - timedelta(days=2))
    server.answers.clear()
    for _ in range(3):
        assert erin.request(follow(world, erin)).send(client).status_code == 202
    assert len(server.gets("/users/erin")) <= 3


@pytest.mark.parametrize(
    "spoil", [lambda body: body + b" ", lambda body: body.replace(b"alice", b"bobby"), lambda body: b"{}", lambda body: b""]
)
def test_swapped_body(world: World, refused: Callable[..., Any], spoil: Callable[[bytes], bytes]) -> None:
    request = dora().request(follow(world))
    request.body = spoil(request.body)
    refused(request, 401 if request.body else 400, "wrong_digest" if request.body else "bad_json")


def test_swapped_body_and_digest(world: World, refused: Callable[..., Any]) -> None:
    request, other = dora().request(follow(world)), dora().request(dora().activity("Follow", world.bob.uri))
    request.body, request.headers["Digest"] = other.body, other.headers["Digest"]
    refused(request, 401, "wrong_signature")


@pytest.mark.parametrize("host", ["other.example", "localhost:9999", "evil.localhost:8000"])
def test_signed_for_another_host(world: World, refused: Callable[..., Any], host: str, settings: Any) -> None:
    settings.ALLOWED_HOSTS = ["*"]
    refused(dora().request(follow(world), host=host), 401, "wrong_host")


def test_the_host_is_changed_under_way(world: World, refused: Callable[..., Any], settings: Any) -> None:
    request = dora().request(follow(world), host="other.example")
    request.headers["Host"] = OUR_HOST
    refused(request, 401, "wrong_signature")


def test_another_inbox_than_the_signed_one(world: World, refused: Callable[..., Any]) -> None:
    request = dora().request(follow(world), path="/inbox")
    request.path = "/users/alice/inbox"
    refused(request, 401, "wrong_signature")
    request.path = "/inbox?x=1"
    refused(request, 401, "wrong_signature")


def test_stale_and_future_dates(world: World, refused: Callable[..., Any], client: Client) -> None:
    refused(dora().request(follow(world), at=old(13)), 401, "too_old")
    refused(dora().request(follow(world), at=old(24 * 365 * 25)), 401, "too_old")
    refused(dora().request(follow(world), at=old(-1.1)), 401, "in_the_future")
    for hours in (11.9, 0, -0.9):
        assert dora().request(follow(world), at=old(hours)).send(client).status_code == 202


def test_replay(world: World, refused: Callable[..., Any], client: Client, work: Callable[[], int]) -> None:
    request = dora().request(follow(world))
    assert request.send(client).status_code == 202
    refused(request, 401, "replay")
    work()
    refused(request, 401, "replay")
    # The key id is not signed: another spelling is still the same request.
    request.headers["Signature"] = request.headers["Signature"].replace(dora().key_id, dora().uri)
    refused(request, 401, "replay")


def test_a_replay_is_remembered_as_long_as_the_date_is_good(world: World, refused: Callable[..., Any], client: Client) -> None:
    from federation import inbox

    request = dora().request(follow(world), at=old(-0.9))
    assert request.send(client).status_code == 202
    with clock.moved(timedelta(hours=12.8)):
        inbox.forget_old_signatures()
        refused(request, 401, "replay")
    with clock.moved(timedelta(hours=13.1)):
        inbox.forget_old_signatures()
        assert not SeenSignature.objects.exists()
        assert request.send(client).status_code == 401


def test_hmac_keyed_with_the_public_key(world: World, refused: Callable[..., Any]) -> None:
    request = dora().request(follow(world), algorithm="hmac-sha256")
    text = "\n".join(
        [
            "(request-target): post /inbox",
            f"host: {OUR_HOST}",
            f"date: {request.headers['Date']}",
            f"digest: {request.headers['Digest']}",
            "content-type: application/activity+json",
        ]
    )
    forged = base64.b64encode(hmac.new(rsa_pair("dora")[1].encode(), text.encode(), "sha256").digest()).decode()
    request.headers["Signature"] = request.headers["Signature"].rpartition("signature=")[0] + f'signature="{forged}"'
    refused(request, 401, "wrong_algorithm")


@pytest.mark.parametrize("algorithm", ["rsa-sha1", "rsa-sha512", "hmac-sha512", "ed25519", "none"])
def test_other_algorithms(world: World, refused: Callable[..., Any], algorithm: str) -> None:
    refused(dora().request(follow(world), algorithm=algorithm), 401, "wrong_algorithm")


@pytest.mark.parametrize("missing", ["(request-target)", "host", "date", "digest"])
def test_what_must_be_signed(world: World, refused: Callable[..., Any], missing: str) -> None:
    covered = " ".join(name for name in ["(request-target)", "host", "date", "digest"] if name != missing)
    refused(dora().request(follow(world), covered=covered), 401, "not_covered")


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        (lambda s: s + f',keyId="{dora().key_id}"', "repeated_parameter"),
        (lambda s: s + ',headers="date"', "repeated_parameter"),
        (lambda s: f"{s},{s}", "repeated_parameter"),
        (lambda s: s.replace('headers="', 'headers="host '), "malformed_header"),
        (lambda s: s.replace("date", "Date"), "malformed_header"),
        (lambda s: s.replace('"', "'"), "malformed_header"),
        (lambda s: s.replace('"', ""), "malformed_header"),
        (lambda s: s[:-5], "malformed_header"),
        (lambda s: s.replace('signature="', 'signature="!'), "malformed_signature"),
        (lambda s: s.rpartition(",")[0], "malformed_signature"),
        (lambda s: s.replace("keyId", "key"), "no_key_id"),
        (lambda s: s.replace("digest", "digest x-missing"), "missing_header"),
        (lambda s: "x" * 10_000, "malformed_header"),
        (lambda s: "keyId", "malformed_header"),
        (lambda s: s + ',expires="never"', "malformed_header"),
        (lambda s: s + ",expires=1", "expired"),
        (lambda s: s.replace(dora().key_id, "x"), "malformed_key_id"),
        (lambda s: s.replace(dora().key_id, "ftp://peer.example/x"), "malformed_key_id"),
        (lambda s: s.replace("https://peer.example", "https://peer.example%00"), "malformed_key_id"),
    ],
)
def test_malformed_headers_are_401(world: World, refused: Callable[..., Any], change: Callable[[str], str], reason: str) -> None:
    request = dora().request(follow(world))
    request.headers["Signature"] = change(request.headers["Signature"])
    refused(request, 401, reason)


@pytest.mark.parametrize("header", ["Date", "Digest"])
@pytest.mark.parametrize("value", ["", "x", "\u00e4", "a,b", "x" * 100_000])
def test_malformed_other_headers_are_401(world: World, client: Client, header: str, value: str) -> None:
    request = dora().request(follow(world))
    request.headers[header] = value
    response = request.send(client)
    assert response.status_code == 401, response.content
    del request.headers[header]
    assert request.send(client).status_code == 401


def test_weak_keys(world: World, refused: Callable[..., Any], server: Server) -> None:
    from tests.pure import captures

    weak = captures.load("peertube/actor_account_person")["document"]["publicKey"]["publicKeyPem"]
    erin = Person(server.url("/users/erin"), "erin")
    server.person("erin", publicKey={"id": erin.key_id, "owner": erin.uri, "publicKeyPem": weak})
    refused(erin.request(follow(world, erin)), 401, "bad_key")
    assert not Actor.objects.filter(uri=erin.uri).exists()


# --- whose activity ---


def test_an_actor_on_another_server(world: World, refused: Callable[..., Any]) -> None:
    activity = {**follow(world), "actor": "https://other.example/users/erin"}
    refused(dora().request(activity), 403, "foreign_id")
    refused(dora().request({**activity, "id": "https://other.example/1"}), 403, "foreign_actor")


def test_another_actor_on_the_same_server(world: World, refused: Callable[..., Any], server: Server) -> None:
    erin, frank = server.person("erin"), server.person("frank")
    refused(erin.request({**follow(world, erin), "actor": frank.uri}), 401, "wrong_signature")


def test_the_key_of_a_document_that_is_not_the_actors(world: World, refused: Callable[..., Any], server: Server) -> None:
    """Her document lists a key that says it belongs to somebody else, and one that lies on another server."""
    for key in [
        {"id": server.url("/users/erin#main-key"), "owner": server.url("/users/frank"), "publicKeyPem": rsa_pair("erin")[1]},
        {
            "id": server.url("/users/erin#main-key", "other"),
            "owner": server.url("/users/erin"),
            "publicKeyPem": rsa_pair("erin")[1],
        },
    ]:
        erin = server.person("erin", publicKey=key)
        refused(erin.request(follow(world, erin)), 401, "bad_key")


def test_an_id_of_another_server(world: World, refused: Callable[..., Any]) -> None:
    for uri in [
        "https://other.example/1",
        "http://peer.example/1",
        "https://peer.example:8443/1",
        "https://sub.peer.example/1",
        "http://localhost:8000/1",
    ]:
        refused(dora().request({**follow(world), "id": uri}), 403, "foreign_id")


def test_somebody_of_ours(world: World, refused: Callable[..., Any]) -> None:
    activity = {**follow(world), "actor": world.bob.uri, "id": f"{world.bob.uri}#x"}
    refused(dora().request(activity, key_id=f"{world.bob.uri}#main-key"), 403, "foreign_actor")


def test_a_document_that_is_served_under_another_id(world: World, refused: Callable[..., Any], server: Server) -> None:
    """The document at erin's address is about somebody else, and so is its copy on another server."""
    erin = Person(server.url("/users/erin"), "erin")
    server.serve(erin.uri, {**erin.document(), "id": server.url("/users/frank")})
    refused(erin.request(follow(world, erin)), 401, "key_not_available")
    grace = Person(server.url("/users/grace"), "grace")
    server.serve(grace.uri, {**grace.document(), "id": server.url("/users/grace", "victim")})
    refused(grace.request(follow(world, grace)), 401, "key_not_available")
    assert not Actor.objects.exclude(uri=dora().uri).exists()


def test_a_blocked_domain(world: World, refused: Callable[..., Any], server: Server) -> None:
    moderation.block_domain(domain="peer.example", by_staff=staff(), reason="spam")
    refused(dora().request(follow(world)), 403, "domain_blocked")
    sub = Person("https://deep.peer.example/users/x", "erin")
    refused(sub.request(follow(world, sub)), 403, "domain_blocked")
    upper = Person("https://PEER.example./users/dora", "dora")
    refused(upper.request(follow(world, upper)), 403, "domain_blocked")
    assert server.received == []


def test_a_suspended_account(world: World, refused: Callable[..., Any]) -> None:
    accounts.suspend_account(account=world.dora, by_staff=staff())
    refused(dora().request(follow(world)), 403, "suspended")


def test_a_deleted_account(world: World, refused: Callable[..., Any]) -> None:
    accounts.receive_account_deleted(account=world.dora)
    refused(dora().request(follow(world)), 403, "suspended")


def test_the_inbox_of_somebody_who_is_not_here(world: World, refused: Callable[..., Any]) -> None:
    refused(dora().request(follow(world), path="/users/nobody/inbox"), 404, "not_found")
    accounts.suspend_account(account=world.bob, by_staff=staff())
    refused(dora().request(follow(world), path="/users/bob/inbox"), 404, "not_found")


def test_a_stranger_who_deletes_herself_is_not_looked_up(world: World, client: Client, server: Server) -> None:
    gone = Person(server.url("/users/gone"), "erin")
    assert gone.request(gone.activity("Delete", gone.uri)).send(client).status_code == 202
    assert server.received == []
    assert not InboxItem.objects.exists()


# --- looking senders up is bounded ---


def test_unreachable_senders(world: World, refused: Callable[..., Any], server: Server) -> None:
    nobody = Person(server.url("/users/nobody"), "erin")
    for _ in range(5):
        refused(nobody.request(follow(world, nobody)), 401, "key_not_available")
    assert len(server.gets()) == 1


def test_many_unknown_senders_of_one_server(world: World, client: Client, server: Server) -> None:
    answers = []
    for number in range(70):
        person = Person(server.url(f"/users/n{number}"), "erin")
        answers.append(person.request(follow(world, person)).send(client))
    assert len(server.gets()) == 60
    assert {answer.status_code for answer in answers[:60]} == {401}
    assert {answer.status_code for answer in answers[60:]} == {429}
    assert answers[-1].headers["Retry-After"] == "60"


def test_a_private_address_as_actor(world: World, refused: Callable[..., Any]) -> None:
    for origin in ["https://10.0.0.1", "https://169.254.169.254", "http://peer.example", "https://peer.example:22"]:
        evil = Person(f"{origin}/users/x", "erin")
        refused(evil.request(follow(world, evil)), 401, "key_not_available")


# --- bodies ---


@pytest.mark.parametrize(
    ("body", "status", "reason"),
    [
        (b"", 400, "bad_json"),
        (b"hello", 400, "bad_json"),
        (b"<html></html>", 400, "bad_json"),
        (b"[]", 400, "bad_json"),
        (b"null", 400, "bad_json"),
        (b"\xff\xfe", 400, "bad_json"),
        (b'{"id":"https://peer.example/1","id":"https://peer.example/2"}', 400, "bad_json"),
        (b'{"id":NaN}', 400, "bad_json"),
        (b'{"id":1e999}', 400, "bad_json"),
        (b'{"id":"\\ud800"}', 400, "bad_json"),
        (b'{"id":"\\u0000"}', 400, "bad_json"),
        (b'{"id":' + b"[" * 1000 + b"]" * 1000 + b"}", 400, "bad_json"),
        (b'{"id":' + b"[" * 200_000 + b"]" * 200_000 + b"}", 400, "bad_json"),
        (b"{}", 400, "malformed"),
        (b'{"id":"https://peer.example/1","type":"Follow"}', 400, "malformed"),
        (b'{"id":"https://peer.example/1","type":"Follow","actor":"https://peer.example/users/dora"}', 400, "malformed"),
        (
            b'{"id":"https://peer.example/1","type":["Follow","Create"],"actor":"https://peer.example/users/dora","object":"https://x.example/"}',
            400,
            "malformed",
        ),
    ],
)
def test_bodies_that_are_no_activity(world: World, refused: Callable[..., Any], body: bytes, status: int, reason: str) -> None:
    refused(dora().request(body), status, reason)


def test_the_size_ends_exactly_at_the_limit(world: World, client: Client, refused: Callable[..., Any]) -> None:
    activity = json.dumps(follow(world)).encode()
    whole = activity[:-1] + b"," + b'"x":"' + b"x" * (limits.INBOX_BYTES_MAX - len(activity) - 7) + b'"}'
    assert len(whole) == limits.INBOX_BYTES_MAX
    assert dora().request(whole).send(client).status_code == 202
    refused(dora().request(whole + b" "), 413, "too_large")


@pytest.mark.parametrize(
    "kind",
    [
        "",
        "application/json",
        "text/html",
        "application/ld+json",
        "application/activity+jsonx",
        'application/ld+json; profile="https://evil.example/"',
        "multipart/form-data; boundary=x",
    ],
)
def test_media_types(world: World, refused: Callable[..., Any], kind: str) -> None:
    refused(dora().request(follow(world), values={"Content-Type": kind}), 400, "bad_json")


def test_only_post(world: World, client: Client) -> None:
    for path in ("/inbox", "/users/alice/inbox"):
        for method in ("get", "put", "delete", "patch"):
            assert getattr(client, method)(path).status_code == 405


# --- anything at all is a 4xx ---

ANY = st.text(st.characters(exclude_characters="\r\n", max_codepoint=0x2FF), max_size=80)
HEADERS = st.dictionaries(
    st.sampled_from(["Signature", "Date", "Digest", "Content-Type", "X-Forwarded-Host", "(created)"]), ANY, max_size=4
)


@hypothesis_settings(max_examples=150, suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
@given(headers=HEADERS, body=st.binary(max_size=200))
def test_any_request_is_refused(world: World, client: Client, headers: dict[str, str], body: bytes) -> None:
    request = dora().request(follow(world))
    request.headers.update(headers)
    spoiled = Request("/inbox", body, request.headers)
    response = spoiled.send(client)
    assert 400 <= response.status_code < 500
    assert not InboxItem.objects.exists()


MEMBERS = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=10) | st.just("https://peer.example/users/dora"),
    lambda inner: st.lists(inner, max_size=2) | st.dictionaries(st.sampled_from(["id", "type", "object"]), inner),
    max_leaves=6,
)


@hypothesis_settings(max_examples=150, suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
@given(
    kind=st.sampled_from(["Follow", "Create", "Undo", "Delete", "Update", "Move", "Announce", "Accept", "x"]),
    name=st.sampled_from(["id", "type", "actor", "object", "target", "to", "@context"]),
    value=MEMBERS,
)
def test_any_signed_activity_is_accepted_or_refused(world: World, client: Client, kind: str, name: str, value: object) -> None:
    try:
        body = json.dumps({**dora().activity(kind, world.alice.uri), name: value}).encode()
    except ValueError:
        return
    response = dora().request(body).send(client)
    assert response.status_code == 202 or 400 <= response.status_code < 500


def test_the_clock_of_the_tests_is_the_real_one() -> None:
    assert abs(clock.now() - datetime.now(UTC)) < timedelta(seconds=5)


def test_nothing_here_made_an_account(world: World) -> None:
    assert Account.objects.count() == 4
