"""Asking other servers (rule R1): whose document is this, and for what is it evidence?"""

import time
from collections.abc import Callable
from typing import Any

import pytest
from django.test import Client

from federation import fetch
from federation.fetch import Busy, Gone, Missing, Refused, WrongDocument
from federation.fetch.documents import is_activity
from federation.models import Actor, Peer
from federation.peers import DomainBlocked
from server.accounts import actions as accounts
from server.accounts.models import Account, User
from server.core import clock, limits
from server.core.errors import Invalid, NotAllowed, NotFound
from server.core.http import AnswerTooLarge, Blocked, TooSlow, Unreachable
from server.moderation import actions as moderation
from tests.federation.stranger import ACTIVITY, Answer, Person, Received, Server
from tests.world import World


@pytest.fixture(autouse=True)
def _database(db: None) -> None:
    """Everything here signs with the instance's key, which is a row."""


def redirect(server: Server, path: str, location: str, *, status: int = 302, on: str = "peer") -> str:
    server.answers[server.host(on), path] = Answer(b"", status, "text/html", {"Location": location})
    return server.url(path, on)


# --- fetch_ap ---


def test_a_document_at_its_own_id(server: Server) -> None:
    url = server.url("/x")
    server.serve(url, {"id": url, "type": "Note"})
    assert fetch.fetch_ap(url) == (url, {"id": url, "type": "Note"})
    assert fetch.fetch_ap(url + "#part")[0] == url
    (first, _) = server.gets()
    assert (
        first.headers["accept"]
        == 'application/activity+json, application/ld+json; profile="https://www.w3.org/ns/activitystreams"'
    )
    assert 'keyId="http://localhost:8000/actor#main-key"' in first.headers["signature"]


def test_an_id_with_a_fragment(server: Server) -> None:
    url = server.url("/x")
    server.serve(url, {"id": f"{url}#me"})
    assert fetch.fetch_ap(url)[0] == url


def test_another_address_of_the_document(server: Server) -> None:
    """A page's address redirects to the id, or shows the document with its id: either way the id is asked itself."""
    url = server.url("/users/erin/posts/1")
    server.serve(url, {"id": url, "said": "at its id"})
    server.serve(server.url("/@erin/1"), {"id": url, "said": "elsewhere"})
    assert fetch.fetch_ap(server.url("/@erin/1")) == (url, {"id": url, "said": "at its id"})
    assert fetch.fetch_ap(redirect(server, "/short", "/users/erin/posts/1"))[0] == url
    assert fetch.fetch_ap(redirect(server, "/far", url, on="other"))[0] == url


def test_a_document_about_somebody_else(server: Server) -> None:
    """What A serves about B is not believed: B is asked, once, and only what B says at that id counts."""
    evil, victim = server.url("/x", "evil"), server.url("/x", "victim")
    server.serve(evil, {"id": victim, "said": "by evil"})
    with pytest.raises(Missing):
        fetch.fetch_ap(evil)
    server.serve(victim, {"id": victim, "said": "by victim"})
    assert fetch.fetch_ap(evil) == (victim, {"id": victim, "said": "by victim"})
    server.serve(victim, {"id": server.url("/y", "victim")})
    with pytest.raises(WrongDocument):
        fetch.fetch_ap(evil)


def test_a_redirect_proves_nothing_about_where_it_began(server: Server) -> None:
    """Victim redirects to evil, which serves a document with victim's id: victim itself is asked again, and sends us away again."""
    evil = server.url("/x", "evil")
    victim = redirect(server, "/x", evil, on="victim")
    server.serve(evil, {"id": victim, "said": "by evil"})
    with pytest.raises(WrongDocument):
        fetch.fetch_ap(victim)


@pytest.mark.parametrize("identifier", [None, "", 5, [], {}, "x", "javascript:alert(1)", "acct:a@b"])
def test_a_document_without_an_id(server: Server, identifier: Any) -> None:
    server.serve(server.url("/x"), {"id": identifier})
    with pytest.raises(WrongDocument):
        fetch.fetch_ap(server.url("/x"))


@pytest.mark.parametrize("hops", [3, 4])
def test_redirects_are_counted(server: Server, hops: int) -> None:
    end = server.url(f"/{hops}")
    server.serve(end, {"id": end})
    for number in range(hops):
        redirect(server, f"/{number}", f"/{number + 1}", status=[301, 302, 307, 308][number])
    if hops == limits.REDIRECTS_MAX:
        assert fetch.fetch_ap(server.url("/0"))[0] == end
    else:
        with pytest.raises(WrongDocument, match="redirects"):
            fetch.fetch_ap(server.url("/0"))
    # Each hop is signed for itself.
    hosts = {request.headers["host"] for request in server.gets()}
    assert hosts == {server.host()}
    assert len({request.headers["signature"] for request in server.gets()}) == len(server.gets())


@pytest.mark.parametrize(
    "location",
    [
        "https://10.0.0.1/",
        "https://169.254.169.254/latest",
        "http://peer.example/",
        "https://[::1%25lo]/",
        "file:///etc/passwd",
        "//user@x/",
        "https://peer.example:22/",
        "http://127.0.0.2/",
        "http://\t/",
    ],
)
def test_redirects_to_where_nobody_may_go(server: Server, location: str) -> None:
    with pytest.raises((Blocked, Invalid)):
        fetch.fetch_ap(redirect(server, "/x", location))
    assert len(server.received) == 1


def test_in_production_a_redirect_to_loopback_is_not_followed(
    server: Server, settings: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    settings.ALLOW_LOOPBACK = False
    with pytest.raises(Blocked):
        fetch.fetch_ap(server.url("/x"))
    assert server.received == []


def test_redirects_to_ourselves_and_to_the_blocked(server: Server) -> None:
    with pytest.raises(NotAllowed, match="our own"):
        fetch.fetch_ap(redirect(server, "/x", "http://localhost:8000/users/alice"))
    staff = User.objects.create_user("staff@example.org", "a long password", is_staff=True)
    moderation.block_domain(domain=server.host("blocked"), by_staff=staff, reason="")
    with pytest.raises(DomainBlocked):
        fetch.fetch_ap(redirect(server, "/x", server.url("/y", "blocked")))
    assert {request.headers["host"] for request in server.received} == {server.host()}


def test_a_redirect_without_a_goal(server: Server) -> None:
    server.answers["", "/x"] = Answer(b"", 302)
    with pytest.raises(WrongDocument):
        fetch.fetch_ap(server.url("/x"))


@pytest.mark.parametrize(
    ("content_type", "good"),
    [
        ("application/activity+json", True),
        ("application/activity+json; charset=utf-8", True),
        ("Application/Activity+JSON", True),
        ('application/ld+json; profile="https://www.w3.org/ns/activitystreams"', True),
        ("application/ld+json; profile=https://www.w3.org/ns/activitystreams", True),
        ('application/ld+json; profile="https://www.w3.org/ns/activitystreams https://example.com/"', True),
        ("application/ld+json", False),
        ('application/ld+json; profile="https://www.w3.org/ns/activitystreams-evil"', False),
        ("application/json", False),
        ("text/html", False),
        ("image/png; x=application/activity+json", False),
        ("application/activity+jsonx", False),
        ("application/activity+json, text/html", False),
        ("", False),
    ],
)
def test_media_types(server: Server, content_type: str, good: bool) -> None:
    url = server.url("/x")
    server.serve(url, {"id": url}, content_type=content_type)
    assert is_activity(content_type) is good
    if good:
        assert fetch.fetch_ap(url)[0] == url
    else:
        with pytest.raises(WrongDocument):
            fetch.fetch_ap(url)


@pytest.mark.parametrize(
    ("status", "error", "permanent"),
    [
        (404, Missing, True),
        (410, Gone, True),
        (401, Refused, True),
        (403, Refused, True),
        (406, Refused, True),
        (429, Busy, False),
        (500, Busy, False),
        (503, Busy, False),
        (206, Refused, True),
    ],
)
def test_statuses(server: Server, status: int, error: type[Exception], permanent: bool) -> None:
    server.serve(server.url("/x"), {}, status=status)
    with pytest.raises(error) as caught:
        fetch.fetch_ap(server.url("/x"))
    assert caught.value.permanent is permanent  # type: ignore[attr-defined]


@pytest.mark.parametrize("body", [b"", b"<html>", b"[]", b'{"id":1,"id":2}', b'{"id":' + b"[" * 500 + b"]" * 500 + b"}", b"\xff"])
def test_bodies_that_are_none(server: Server, body: bytes) -> None:
    server.answers["", "/x"] = Answer(body)
    with pytest.raises(Invalid):
        fetch.fetch_ap(server.url("/x"))


def test_sizes(server: Server) -> None:
    url = server.url("/x")
    server.serve(url, {"id": url, "x": "x" * limits.OBJECT_BYTES_MAX})
    with pytest.raises(AnswerTooLarge):
        fetch.fetch_ap(url)


def test_one_deadline_for_all_hops(server: Server, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(limits, "FETCH_SECONDS_MAX", 1)

    def slowly(request: Received) -> Answer:
        time.sleep(0.6)
        return Answer(b"", 302, headers={"Location": f"{request.path}x"})

    for path in ["/x", "/xx", "/xxx"]:
        server.answers["", path] = slowly
    began = time.monotonic()
    with pytest.raises(TooSlow):
        fetch.fetch_ap(server.url("/x"))
    assert time.monotonic() - began < 2.5


# --- actors and addresses ---


def test_an_actor_is_kept(server: Server) -> None:
    erin = server.person("erin", alsoKnownAs=["https://old.example/users/erin"], manuallyApprovesFollowers=True)
    actor = fetch.fetch_actor(f"{erin.uri}#main-key")
    assert (actor.uri, actor.kind, actor.key_id, actor.peer.host) == (erin.uri, "Person", erin.key_id, server.host())
    account = actor.account
    assert account is not None
    assert (account.handle, account.domain, account.also_known_as, account.manually_approves_followers) == (
        "erin",
        server.host(),
        ["https://old.example/users/erin"],
        True,
    )
    asked = len(server.received)
    assert fetch.fetch_actor(erin.uri).pk == actor.pk
    assert len(server.received) == asked
    server.person("erin", name="Erin again")
    assert fetch.fetch_actor(erin.uri, seconds_old_max=0).account.display_name == "Erin again"  # type: ignore[union-attr]
    assert (Actor.objects.count(), Account.objects.count(), Peer.objects.count()) == (1, 1, 1)


def test_an_actor_that_is_gone_and_comes_back(server: Server) -> None:
    erin = server.person("erin")
    fetch.fetch_actor(erin.uri)
    server.serve(erin.uri, {}, status=410)
    with pytest.raises(Gone):
        fetch.fetch_actor(erin.uri, seconds_old_max=0)
    assert Actor.objects.get().gone_at is not None
    # What is marked gone is not served from the row.
    with pytest.raises(Gone):
        fetch.fetch_actor(erin.uri)
    server.person("erin")
    assert fetch.fetch_actor(erin.uri).gone_at is None
    server.serve(erin.uri, {}, status=404)
    with pytest.raises(Missing):
        fetch.fetch_actor(erin.uri, seconds_old_max=0)
    assert Actor.objects.get().gone_at is None


def test_a_deleted_account_does_not_come_back(server: Server) -> None:
    erin = server.person("erin")
    accounts.receive_account_deleted(account=fetch.fetch_actor(erin.uri).account)  # type: ignore[arg-type]
    with pytest.raises(NotAllowed, match="deleted"):
        fetch.fetch_actor(erin.uri, seconds_old_max=0)
    assert Account.objects.get().deleted_at is not None


def test_we_never_ask_ourselves(world: World) -> None:
    for uri in [world.alice.uri, "http://localhost:8000/actor", "http://LOCALHOST:8000/x"]:
        with pytest.raises(NotAllowed):
            fetch.fetch_actor(uri)


def test_an_address_needs_both_sides(server: Server) -> None:
    erin = server.person("erin")
    cases: list[tuple[str, str]] = [
        (server.url("/users/frank"), f"acct:erin@{server.host()}"),
        (server.url("/users/erin", "other"), f"acct:erin@{server.host()}"),
        (erin.uri, "acct:erin@nobody.example"),
        (erin.uri, "acct:erin@localhost:8000"),
        (erin.uri, f"acct:frank@{server.host()}"),
        (erin.uri, "erin"),
        (erin.uri, "mailto:erin@x"),
    ]
    for uri, subject in cases:
        server.webfinger("erin", uri, subject=subject)
        with pytest.raises((WrongDocument, NotAllowed, NotFound, Unreachable)):
            fetch.fetch_actor(erin.uri)
    assert not Account.objects.exists()
    assert not Actor.objects.exists()


@pytest.mark.parametrize(
    "document",
    [
        {},
        {"subject": 5, "links": []},
        {"subject": "acct:erin@x"},
        {"links": []},
        {"subject": "S", "links": "x"},
        {"subject": "S", "links": [5, None, {}]},
        {"subject": "S", "links": [{"rel": "self", "type": "text/html", "href": "x"}]},
        {"subject": "S", "links": [{"rel": "self", "type": ACTIVITY, "href": 5}]},
        {"subject": "S", "links": [{"rel": "self", "type": ACTIVITY, "href": "javascript:x"}]},
    ],
)
def test_webfinger_that_is_none(server: Server, document: dict[str, Any]) -> None:
    erin = server.person("erin")
    subject = {"subject": f"acct:erin@{server.host()}"} if document.get("subject") == "S" else {}
    server.serve(
        server.url(f"/.well-known/webfinger?resource=acct:erin@{server.host()}"),
        {**document, **subject},
        content_type="application/jrd+json",
    )
    with pytest.raises(WrongDocument):
        fetch.fetch_actor(erin.uri)


def test_an_address_on_another_domain_than_the_server(server: Server) -> None:
    """People of ``social`` have addresses at ``main``, and both say so."""
    erin = Person(server.url("/users/erin", "social"), "erin")
    server.serve(erin.uri, erin.document())
    subject = f"acct:erin@{server.host('main')}"
    server.webfinger("erin", erin.uri, on="social", subject=subject)
    with pytest.raises(Missing):
        fetch.fetch_actor(erin.uri)
    server.webfinger("erin", erin.uri, on="main", subject=subject)
    actor = fetch.fetch_actor(erin.uri)
    assert actor.account is not None
    assert actor.account.acct == f"erin@{server.host('main')}"
    assert fetch.lookup_acct(f"erin@{server.host('main')}") == actor.account
    assert fetch.lookup_acct(f"@erin@{server.host('social')}") == actor.account


def test_two_actors_do_not_share_an_address(server: Server) -> None:
    erin = server.person("erin")
    fetch.fetch_actor(erin.uri)
    twin = Person(server.url("/users/twin"), "erin")
    server.serve(twin.uri, twin.document())
    with pytest.raises(WrongDocument):
        fetch.fetch_actor(twin.uri)
    # Now WebFinger agrees with the twin: the row of the first one keeps the address until somebody decides.
    server.webfinger("erin", twin.uri)
    with pytest.raises(WrongDocument, match="another actor"):
        fetch.fetch_actor(twin.uri)
    assert Account.objects.get().uri == erin.uri


def test_lookup(server: Server, world: World) -> None:
    erin = server.person("erin")
    assert fetch.lookup_acct(f"@erin@{server.host()}").uri == erin.uri
    assert fetch.lookup_acct("alice@localhost:8000") == world.alice
    with pytest.raises(NotFound):
        fetch.lookup_acct("nobody@localhost:8000")
    with pytest.raises(Missing):
        fetch.lookup_acct(f"nobody@{server.host()}")
    for address in ["", "erin", "@", "erin@", "@peer.example", "a b@peer.example", "erin@peer.example/x", "erin@10.0.0.1:22@x"]:
        with pytest.raises(Invalid):
            fetch.lookup_acct(address)
    for address in ["erin@10.0.0.1", "erin@169.254.169.254", "erin@peer.example:22", "erin@0.0.0.0"]:
        with pytest.raises(Blocked):
            fetch.lookup_acct(address)
    staff = User.objects.create_user("staff@example.org", "a long password", is_staff=True)
    moderation.block_domain(domain=server.host(), by_staff=staff, reason="")
    with pytest.raises(DomainBlocked):
        fetch.lookup_acct(f"erin@{server.host()}")


def html(_: Received) -> Answer:
    return Answer(b"<!doctype html><html><body>Welcome to nginx!</body></html>", 200, "text/html")


def silence(_: Received) -> Answer:
    time.sleep(3)
    return Answer()


def nothing(_: Received) -> Answer:
    return Answer(b"", 404, "text/plain")


@pytest.mark.parametrize(
    ("answer", "words"),
    [(html, "its answer is not JSON"), (silence, "did not answer within"), (nothing, "knows nobody called erin")],
)
def test_a_person_who_looks_for_somebody_is_told_what_her_server_did(
    server: Server, world: World, monkeypatch: pytest.MonkeyPatch, answer: Callable[[Received], Answer], words: str
) -> None:
    monkeypatch.setattr(limits, "FETCH_SECONDS_MAX", 1)
    address = f"erin@{server.host()}"
    browser = Client()
    browser.force_login(world.alice.user)
    where = ("", f"/.well-known/webfinger?resource=acct:{address}")
    server.answers[where] = answer
    page = browser.get("/search", {"q": address})
    assert page.status_code == 200
    assert words in page.content.decode().partition('class="form-errors"')[2].partition("</div>")[0]
    assert not Account.objects.filter(domain=server.host()).exists()
    # The same search finds her once her server is well again.
    del server.answers[where]
    server.person("erin")
    assert "erin" in browser.get("/search", {"q": address}).content.decode()
    assert Account.objects.filter(domain=server.host()).exists()


def test_discovering_is_wired_to_looking_up(server: Server, world: World) -> None:
    server.person("erin")
    account = accounts.discover_account(address=f"erin@{server.host()}")
    assert account.acct == f"erin@{server.host()}"


def test_a_server_has_no_address(server: Server) -> None:
    robot = Person(server.url("/actor"), "robot")
    server.serve(robot.uri, robot.document(type="Application"))
    assert fetch.fetch_actor(robot.uri).account is None
    server.webfinger("robot", robot.uri)
    with pytest.raises(NotFound):
        fetch.lookup_acct(f"robot@{server.host()}")


@pytest.mark.parametrize("kind", ["Group", "Service", "Organization"])
def test_other_kinds_have_accounts(server: Server, kind: str) -> None:
    channel = server.person("channel", type=kind, attributedTo=[{"type": "Person", "id": server.url("/users/erin")}])
    actor = fetch.fetch_actor(channel.uri)
    assert (actor.kind, actor.account is not None) == (kind, True)


def test_a_post_with_an_author_elsewhere(server: Server) -> None:
    frank = server.person("frank")
    note = frank.note("1", attributedTo=server.url("/users/frank", "other"))
    server.serve(note["id"], note)
    with pytest.raises(WrongDocument, match="another server"):
        fetch.fetch_object(note["id"])


def test_the_clock_is_not_the_peers(server: Server) -> None:
    fetch.fetch_actor(server.person("erin").uri)
    assert abs((Actor.objects.get().fetched_at - clock.now()).total_seconds()) < 10


# --- what runs there ---


def nodeinfo(server: Server, document: Any, *, links: Any = None, path: str = "/nodeinfo/2.1") -> None:
    rel = f"http://nodeinfo.diaspora.software/ns/schema/{path[-3:]}"
    server.serve(
        server.url("/.well-known/nodeinfo"),
        {"links": [{"rel": rel, "href": server.url(path)}] if links is None else links},
        content_type="application/json",
    )
    server.serve(server.url(path), document, content_type="application/json")


def test_software_is_learnt_once(server: Server) -> None:
    peer = Peer.objects.create(host=server.host())
    nodeinfo(server, {"version": "2.1", "software": {"name": "tributary", "version": "1.0.0"}})
    fetch.learn_software(peer, server.url(""))
    peer.refresh_from_db()
    assert (peer.software, peer.version) == ("tributary", "1.0.0")
    asked = len(server.received)
    fetch.learn_software(peer, server.url(""))
    assert len(server.received) == asked


@pytest.mark.parametrize(
    ("document", "links"),
    [
        ({}, None), ({"software": "x"}, None), ({"software": []}, None), ({}, []), ({}, "x"), ({}, [5]), ({}, [{"rel": []}]),
        ({}, [{"rel": "http://nodeinfo.diaspora.software/ns/schema/2.0", "href": "https://10.0.0.1/"}]),
        ({}, [{"rel": "http://nodeinfo.diaspora.software/ns/schema/2.0", "href": "http://other.localhost/"}]),
        ({}, [{"rel": "http://nodeinfo.diaspora.software/ns/schema/2.0", "href": 5}]),
    ],
)  # fmt: skip
def test_software_that_is_not_said(server: Server, document: Any, links: Any) -> None:
    peer = Peer.objects.create(host=server.host())
    nodeinfo(server, document, links=links)
    fetch.learn_software(peer, server.url(""))
    peer.refresh_from_db()
    assert peer.software == ""
    asked = len(server.received)
    fetch.learn_software(peer, server.url(""))
    assert len(server.received) == asked
