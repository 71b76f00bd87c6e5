"""What people and staff see of copies and forks."""

import pytest
from django.test import Client
from django.urls import reverse

from server.accounts.models import User
from server.core import canonical, clock
from server.identity import contests, keylog, queries
from server.identity.actions import _committed_root, open_key
from server.identity.models import Copy, Fork, Identity, Watcher
from server.moderation.models import AuditEntry
from tests.pure.identities import commit
from tests.world import World

pytestmark = pytest.mark.django_db


def own_page(world: World) -> str:
    client = Client()
    client.force_login(User.objects.get(account=world.alice))
    return client.get("/settings/identity").content.decode()


def fork(identity: Identity) -> Fork:
    """Two entries by the key that is held here."""
    log = queries.log_of(identity)
    root = open_key(_committed_root(identity, log))
    branches = [
        keylog.name_replicas(log, replicas=[url], key=root, next_keys=commit("next"), now=clock.now(), loopback=True)
        for url in ("https://left.example", "https://right.example")
    ]
    found = keylog.find_fork(*branches)
    assert found is not None
    return contests.take_evidence(data=canonical.jcs(keylog.prove_fork(found)))


def test_the_page_says_who_keeps_copies_and_what_went_wrong(world: World) -> None:
    assert "Nobody keeps one yet" in own_page(world)
    identity = queries.by_scid(world.alice.scid or "")
    for name, version_id, error in [
        ("good", identity.head_version_id, ""), ("refused", "", "replica_refused: 403"), ("away", identity.head_version_id, "too_slow"),
        ("asked", "", ""),
    ]:  # fmt: skip
        watcher = Watcher.objects.create(origin=f"https://{name}.example")
        at = clock.now() if version_id else None
        Copy.objects.create(identity=identity, watcher=watcher, version_id=version_id, error=error, receipt_at=at)
    page = own_page(world)
    assert page.count("has 1 of 1 entry") == 2
    assert "has no copy: it did not take it" in page
    assert "did not answer last time" in page
    assert "is being asked" in page
    assert "two different histories" not in page


def test_the_page_of_a_contested_identity_says_so(world: World) -> None:
    made = fork(queries.by_scid(world.alice.scid or ""))
    assert "two different histories" in own_page(world)
    staff = Client()
    staff.force_login(User.objects.create_superuser("root@example.org", None))
    shown = staff.get(reverse("admin:identity_fork_change", args=[made.pk])).content.decode()
    assert "ForkEvidence" in shown
    assert made.identity_id in staff.get(reverse("admin:identity_identity_changelist")).content.decode()


def test_staff_choose_who_keeps_copies(world: World) -> None:
    staff = Client()
    staff.force_login(User.objects.create_superuser("root@example.org", None))
    address = reverse("admin:identity_watcher_add")
    assert staff.post(address, {"origin": "https://Beta.Example/", "is_chosen": "on"}).status_code == 302
    watcher = Watcher.objects.get()
    assert (watcher.origin, watcher.is_chosen) == ("https://beta.example", True)
    for wrong in ("beta.example", "https://beta.example/path", "ftp://beta.example"):
        staff.post(address, {"origin": wrong, "is_chosen": "on"})
    assert Watcher.objects.count() == 1
    change = reverse("admin:identity_watcher_change", args=[watcher.pk])
    staff.post(change, {"origin": "https://other.example"})
    watcher.refresh_from_db()
    assert (watcher.origin, watcher.is_chosen) == ("https://beta.example", False)
    assert set(AuditEntry.objects.values_list("action", flat=True)) == {"add_watcher", "change_watcher"}
    assert staff.get(reverse("admin:identity_copy_changelist")).status_code == 200
