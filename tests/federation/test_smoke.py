import json, pytest
from federation import delivery
from federation.models import InboxItem, Delivery, Actor
from server.accounts import actions
from server.accounts.models import Account, Follow
from tests.federation.stranger import dora
from tests.world import published
from server.videos import actions as videos
from server.videos.models import Video

def test_follow(world, client, work, server):
    erin = server.person("erin")
    a = erin.activity("Follow", world.alice.uri)
    r = erin.request(a).send(client)
    assert r.status_code == 202, r.content
    work()
    it = InboxItem.objects.get()
    assert it.state == "handled", it.error
    assert Follow.objects.get().follower.acct == f"erin@{server.host()}"
    print(it.signing_string)
    d = Delivery.objects.get()
    assert d.kind == "Accept"
    server.serve("/users/erin/inbox", {}, status=202)
    server.serve("/inbox", {}, status=202)
    assert delivery.send_due() == 1
    d.refresh_from_db(); assert d.state == "delivered", d.last_error
    post = server.posts()[0]
    print(post.headers, post.body.decode())
    v = published(world.alice)
    from server.core import facts
    from server.videos.facts import VideoPublished
    facts.record(VideoPublished(video_id=v.pk))
    work(); delivery.send_due()
    print(json.dumps(json.loads(server.posts()[-1].body), indent=1))
    r = erin.request(erin.activity("Create", erin.note("1"))).send(client); assert r.status_code==202, r.content
    work(); print(InboxItem.objects.last().error); assert Video.objects.filter(is_local=False).count()==1
    for path in ["/actor", "/users/alice", f"/users/alice/posts/{v.pk}", f"/w/{v.pk}", "/users/alice/outbox", "/users/alice/outbox?page=true", "/users/alice/followers", "/users/alice/followers?page=true", "/.well-known/webfinger?resource=acct:alice@localhost:8000", "/nodeinfo/2.1", "/.well-known/nodeinfo", "/.well-known/host-meta"]:
        r = client.get(path, headers={"accept": "application/activity+json"}); print(path, r.status_code, r.headers["content-type"]); assert r.status_code==200
