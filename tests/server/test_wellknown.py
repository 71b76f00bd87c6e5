"""WebFinger, NodeInfo and host-meta as other servers ask for them."""

from typing import Any

import pytest
from django.test import Client

from server.accounts import actions as accounts
from server.accounts.models import User
from server.videos import actions as videos
from tests.world import World, published

HOST = "localhost:8000"


def finger(client: Client, resource: str) -> Any:
    return client.get("/.well-known/webfinger", {"resource": resource})


@pytest.mark.parametrize(
    "resource",
    [
        f"acct:alice@{HOST}",
        f"acct:ALICE@{HOST}",
        f"alice@{HOST}",
        f"@alice@{HOST}",
        "acct:alice@LOCALHOST:8000",
        f"http://{HOST}/users/alice",
        f"http://{HOST}/@alice",
    ],
)
def test_webfinger(world: World, client: Client, resource: str) -> None:
    response = finger(client, resource)
    assert (response.status_code, response.headers["Content-Type"], response.headers["Access-Control-Allow-Origin"]) == (
        200,
        "application/jrd+json",
        "*",
    )
    document = response.json()
    assert document["subject"] == f"acct:alice@{HOST}"
    links = {link["rel"]: link for link in document["links"]}
    assert links["self"] == {"rel": "self", "type": "application/activity+json", "href": world.alice.uri}
    assert links["http://webfinger.net/rel/profile-page"]["href"] == world.alice.url
    assert "{uri}" in links["http://ostatus.org/schema/1.0/subscribe"]["template"]


@pytest.mark.parametrize(
    "resource",
    ["", "alice", "acct:alice", "acct:@localhost:8000", "acct:a b@localhost:8000", "acct:alice@", "mailto:x", "x" * 5000],
)
def test_webfinger_of_what_is_no_address(world: World, client: Client, resource: str) -> None:
    assert finger(client, resource).status_code == 400
    assert client.get("/.well-known/webfinger").status_code == 400


@pytest.mark.parametrize(
    "resource",
    [
        f"acct:nobody@{HOST}",
        "acct:alice@other.example",
        "acct:dora@peer.example",
        "https://peer.example/users/dora",
        f"http://{HOST}/users/nobody",
    ],
)
def test_webfinger_of_nobody(world: World, client: Client, resource: str) -> None:
    response = finger(client, resource)
    assert response.status_code == 404
    assert response.headers["Access-Control-Allow-Origin"] == "*"


def test_webfinger_of_the_suspended_and_the_gone(world: World, client: Client) -> None:
    accounts.suspend_account(
        account=world.bob, by_staff=User.objects.create_user("s@example.org", "a long password", is_staff=True)
    )
    accounts.close_account(account=world.charlie, by=world.charlie)
    for who in ("bob", "charlie"):
        assert finger(client, f"acct:{who}@{HOST}").status_code == 404
        assert finger(client, f"http://{HOST}/users/{who}").status_code == 404


def test_webfinger_of_the_instance(world: World, client: Client) -> None:
    actor = client.get("/actor", headers={"accept": "application/activity+json"}).json()
    for resource in (f"acct:{actor['preferredUsername']}@{HOST}", actor["id"]):
        document = finger(client, resource).json()
        assert document["links"][0]["href"] == actor["id"]
        assert document["subject"] == f"acct:{actor['preferredUsername']}@{HOST}"


@pytest.mark.parametrize("version", ["2.0", "2.1"])
def test_nodeinfo(world: World, client: Client, version: str) -> None:
    videos.comment(video=published(world.alice), by=world.bob, text="x")
    published(world.dora)
    links = {link["rel"]: link["href"] for link in client.get("/.well-known/nodeinfo").json()["links"]}
    url = links[f"http://nodeinfo.diaspora.software/ns/schema/{version}"]
    response = client.get(url.removeprefix(f"http://{HOST}"))
    assert response.headers["Content-Type"].startswith("application/json")
    body = response.json()
    # The schema allows nothing else, and wants all of these.
    assert set(body) == {"version", "software", "protocols", "services", "openRegistrations", "usage", "metadata"}
    assert set(body["software"]) <= {"name", "version", *({"repository", "homepage"} if version == "2.1" else set())}
    assert (body["version"], body["software"]["name"], body["protocols"], body["services"]) == (
        version,
        "tributary",
        ["activitypub"],
        {"inbound": [], "outbound": []},
    )
    assert body["usage"] == {"users": {"total": 3}, "localPosts": 1, "localComments": 1}
    assert links["https://www.w3.org/ns/activitystreams#Application"] == f"http://{HOST}/actor"
    assert client.get("/nodeinfo/3.0").status_code == 404


def test_host_meta(client: Client) -> None:
    response = client.get("/.well-known/host-meta")
    assert response.headers["Content-Type"] == "application/xrd+xml; charset=utf-8"
    assert f'template="http://{HOST}/.well-known/webfinger?resource={{uri}}"' in response.content.decode()


def test_only_reading(client: Client) -> None:
    for path in ("/.well-known/webfinger", "/.well-known/nodeinfo", "/.well-known/host-meta", "/nodeinfo/2.0"):
        assert client.post(path).status_code == 405
