"""Staff pages: who sees them, what they do, and that nothing is done without an entry in the audit trail."""

import re
from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest
from django.contrib import admin
from django.contrib.auth.models import Permission
from django.db.models import Model
from django.test import Client
from django.urls import reverse

from federation.models import Actor, Delivery, InboxItem, Peer, SeenSignature, Tombstone
from server.accounts.models import Account, User
from server.core import clock
from server.core.models import Task
from server.moderation import actions as moderation
from server.moderation.audited_admin import StaffAdmin
from server.moderation.models import AuditEntry, DomainBlock, Report
from server.moderation.staff_display import raw, when
from server.portability.models import Archive, Held, Import, Replica
from server.videos import actions as videos
from server.videos.models import Comment, Upload, Video
from tests.world import PASSWORD, World, published


def _staff(email: str, *permissions: str, superuser: bool = False) -> User:
    user = User.objects.create_user(email, None, is_staff=True, is_superuser=superuser)
    for name in permissions:
        app, _, codename = name.partition(".")
        user.user_permissions.add(Permission.objects.get(content_type__app_label=app, codename=codename))
    return user


def _signed_in(user: User | None) -> Client:
    client = Client()
    if user is not None:
        client.force_login(user)
    return client


@pytest.fixture
def boss(world: World) -> Client:
    """A superuser's browser."""
    return _signed_in(_staff("boss@example.org", superuser=True))


def _pages() -> dict[type[Model], StaffAdmin]:
    """The pages this file is about; money has tests of its own."""
    return {model: page for model, page in admin.site._registry.items() if model._meta.app_label not in ("payouts", "sponsors")}


def _list_url(model: type[Model]) -> str:
    return reverse(f"admin:{model._meta.app_label}_{model._meta.model_name}_changelist")


def _act(client: Client, row: Model, label: str, reason: str | None = "because") -> Any:
    """Choose ``row``, run the action called ``label``, and confirm it with ``reason``."""
    data = {"action": label, "_selected_action": str(row.pk), "index": "0"}
    if reason is not None:
        data |= {"confirmed": "yes", "reason": reason}
    return client.post(_list_url(type(row)), data, follow=True)


# --- rows to look at ---


def _task(*, dead: bool = True) -> Task:
    moment = clock.now()
    return Task.objects.create(
        fact_id="00000000-0000-4000-8000-000000000001",
        fact="VideoPublished",
        subscriber="federation.outbox.announce_video",
        payload={"video_id": 1},
        queue="federation",
        created_at=moment,
        next_try_at=moment,
        attempts=12,
        dead_at=moment if dead else None,
        last_error="Traceback (most recent call last):\nValueError: <b>no such thing</b>",
    )


def _delivery(world: World, state: str = "dead", number: int = 1) -> Delivery:
    return Delivery.objects.create(
        activity_uri=f"http://localhost:8000/users/alice/posts/{number}/activity",
        kind="Create",
        body='{"type": "Create", "object": {"content": "<script>alert(1)</script>"}}',
        sender=world.alice,
        inbox="https://peer.example/inbox",
        host="peer.example",
        state=state,
        attempts=9,
        expires_at=clock.now() - timedelta(days=1),
        answered_status=503,
        last_error="503 Service Unavailable",
    )


def _item(world: World, state: str = "failed") -> InboxItem:
    return InboxItem.objects.create(
        uri="https://peer.example/activities/1",
        actor=Actor.objects.get(account=world.dora),
        kind="Create",
        body=b'{"type": "Create", "id": "https://peer.example/activities/1"}',
        signing_string="(request-target): post /inbox",
        state=state,
        error="invalid: no such video",
    )


def _everything(world: World) -> list[Model]:
    """At least one row of every model that has a staff page of ours."""
    video = published(world.alice)
    comment = videos.comment(video=video, by=world.bob, text="Nice")
    videos.like(video=video, by=world.bob)
    videos.share(video=video, by=world.bob)
    report = moderation.report(reporter=world.bob, target=world.alice, video=video, reason="spam", text="Look")
    Upload.objects.create(id="00000000-0000-4000-8000-00000000000a", account=world.alice, filename="a.mp4", bytes_expected=10)
    SeenSignature.objects.create(digest="a" * 64, expires_at=clock.now())
    Tombstone.objects.create(uri="https://peer.example/gone")
    DomainBlock.objects.create(domain="bad.example")
    Archive.objects.create(account=world.alice, kind="daily")
    Import.objects.create(account=world.alice, filename="a.tar")
    Replica.objects.create(account=world.alice, origin="https://friends.example")
    Held.objects.create(scid="Qm", manifest_sha256="a" * 64, seq=1, bytes_total=1)
    entry = AuditEntry.objects.create(action="test", target="nothing", detail={"a": 1})
    return [video, comment, report, entry, _task(), _delivery(world), _item(world), world.alice, world.dora]


# --- who may come in ---


def test_a_visitor_is_sent_to_the_sign_in_with_its_limits(db: None) -> None:
    response = Client().get("/admin/")
    assert response.status_code == 302
    assert response["Location"].startswith("/admin/login/")
    assert Client().get(response["Location"])["Location"].startswith("/account/login/?next=")
    # Django's own password form would have no rate limit: it is not there.
    assert Client().post("/admin/login/", {"username": "boss@example.org", "password": PASSWORD}).status_code == 302


def test_alice_gets_nothing(world: World) -> None:
    client = _signed_in(world.alice.user)
    assert client.get("/admin/", follow=True).status_code == 403
    for model, page in admin.site._registry.items():
        response = client.get(_list_url(model), follow=True)
        assert response.status_code == 403, page
    assert _act(client, world.bob, "suspend").status_code == 403
    assert Account.objects.get(pk=world.bob.pk).suspended_at is None
    assert not AuditEntry.objects.exists()


def test_staff_without_permissions_see_the_door_and_no_more(world: World) -> None:
    client = _signed_in(_staff("new@example.org"))
    assert client.get("/admin/").status_code == 200
    for model in admin.site._registry:
        assert client.get(_list_url(model)).status_code == 403, model
    assert _act(client, world.bob, "suspend").status_code == 403
    assert Account.objects.get(pk=world.bob.pk).suspended_at is None


def test_who_may_only_look_cannot_act(world: World) -> None:
    client = _signed_in(_staff("looker@example.org", "accounts.view_account"))
    page = client.get(_list_url(Account))
    assert page.status_code == 200
    assert b'name="action"' not in page.content
    _act(client, world.bob, "suspend")
    assert Account.objects.get(pk=world.bob.pk).suspended_at is None
    assert not AuditEntry.objects.exists()


def test_who_may_change_accounts_can_act_on_them_and_on_nothing_else(world: World) -> None:
    client = _signed_in(_staff("mod@example.org", "accounts.view_account", "accounts.change_account"))
    _act(client, world.charlie, "suspend")
    assert Account.objects.get(pk=world.charlie.pk).suspended_at is not None
    video = published(world.alice)
    assert _act(client, video, "delete_for_good").status_code == 403
    assert Video.objects.get(pk=video.pk).state == "published"


def test_suspended_staff_are_out(world: World) -> None:
    user = _staff("gone@example.org", superuser=True)
    client = _signed_in(user)
    User.objects.filter(pk=user.pk).update(is_active=False)
    assert client.get("/admin/").status_code == 302


# --- every page works ---


def test_every_staff_page_writes_the_audit_trail() -> None:
    """Also the pages that other packages register: ours replace them."""
    strange = [page for page in admin.site._registry.values() if not isinstance(page, StaffAdmin)]
    assert not strange


def test_every_list_and_every_row_can_be_opened_and_searched(world: World, boss: Client) -> None:
    _everything(world)
    for model, page in admin.site._registry.items():
        for address in (_list_url(model), f"{_list_url(model)}?q=%40alice%40peer.example", f"{_list_url(model)}?q=alice"):
            assert boss.get(address).status_code == 200, address
        for row in model._default_manager.all()[:3]:
            address = reverse(f"admin:{model._meta.app_label}_{model._meta.model_name}_change", args=[row.pk])
            response = boss.get(address)
            assert response.status_code == 200, address
            assert b"private_sealed" not in response.content
            assert b"&lt;script&gt;alert(1)" in response.content or b"<script>alert(1)" not in response.content
        if model not in _pages():
            continue
        assert page.list_display != ("__str__",), f"{model} shows no useful columns"
        assert page.search_fields or model.__name__ == "InstanceKey", f"{model} cannot be searched"


def test_pages_hold_no_inline_script_or_style(world: World, boss: Client) -> None:
    _everything(world)
    for address in ("/admin/", _list_url(Video), reverse("admin:federation_delivery_change", args=[Delivery.objects.get().pk])):
        page = boss.get(address)
        text = page.content.decode()
        assert "<style" not in text
        assert ' style="' not in text
        assert "onclick=" not in text
        assert "<script>" not in text
        assert "script-src 'self'" in page["Content-Security-Policy"]


def test_addresses_are_found(world: World, boss: Client) -> None:
    page = boss.get(_list_url(Account), {"q": "@dora@peer.example"})
    assert b"@dora@peer.example" in page.content
    assert b"@alice" not in page.content


def test_filters_and_errors(world: World, boss: Client) -> None:
    _everything(world)
    assert b"503 Service Unavailable" in boss.get(_list_url(Delivery), {"state__exact": "dead"}).content
    assert b"invalid: no such video" in boss.get(_list_url(InboxItem), {"state__exact": "failed"}).content
    dead = boss.get(_list_url(Task), {"state": "dead"}).content
    assert b"ValueError: &lt;b&gt;no such thing" in dead
    for model, name, values in (
        (Task, "state", ("waiting", "running", "failing")),
        (Account, "standing", ("good", "suspended", "moved", "deleted")),
        (Report, "state", ("resolved", "all")),
        (Peer, "sending", ("paused", "failing", "fine")),
    ):
        for value in values:
            assert boss.get(_list_url(model), {name: value}).status_code == 200


def test_history_cannot_be_changed_even_by_a_superuser(world: World, boss: Client) -> None:
    _everything(world)
    for model in (AuditEntry, InboxItem, SeenSignature, Delivery, Task, Video, Comment, Account, Report):
        row = model._default_manager.all()[0]
        base = f"admin:{model._meta.app_label}_{model._meta.model_name}"
        assert boss.get(reverse(f"{base}_add")).status_code == 403
        assert boss.post(reverse(f"{base}_delete", args=[row.pk]), {"post": "yes"}).status_code == 403
        assert boss.post(reverse(f"{base}_change", args=[row.pk]), {"action": "changed"}).status_code == 403
        _act(boss, row, "delete_selected")
        assert model._default_manager.filter(pk=row.pk).exists()
    assert AuditEntry.objects.get(action="test").target == "nothing"


def test_raw_shows_json_and_what_is_none() -> None:
    assert raw(b'{"a":{"b":1}}') == '<pre class="raw">{\n  &quot;a&quot;: {\n    &quot;b&quot;: 1\n  }\n}</pre>'
    assert raw("<b>") == '<pre class="raw">&lt;b&gt;</pre>'
    assert raw(memoryview(b"\xff")) == '<pre class="raw">�</pre>'


# --- each action leaves its entry, and asks before it destroys ---

ACTIONS: list[tuple[str, str, Callable[[World], Model], Callable[[Any], bool]]] = [
    ("suspend", "suspend_account", lambda w: w.charlie, lambda a: a.suspended_at is not None),
    ("delete_for_good", "delete_video", lambda w: published(w.alice), lambda v: v.state == "deleted"),
    (
        "delete_for_good",
        "delete_comment",
        lambda w: videos.comment(video=published(w.alice), by=w.bob, text="Rude"),
        lambda c: c.text == "" and c.deleted_at is not None,
    ),
    (
        "resolve",
        "resolve_report",
        lambda w: moderation.report(reporter=w.bob, target=w.alice, reason="spam"),
        lambda r: r.resolved_at is not None and r.resolution == "because",
    ),
    ("try_again", "retry_task", lambda w: _task(), lambda t: t.dead_at is None and t.attempts == 0),
    ("forget", "forget_task", lambda w: _task(), lambda t: t is None),
    (
        "forget_copy",
        "forget_copy",
        lambda w: Held.objects.create(scid="Qm", manifest_sha256="a" * 64, seq=1, bytes_total=1),
        lambda h: h is None,
    ),
    ("try_again_now", "retry_delivery", _delivery, lambda d: d.state == "waiting" and d.expires_at > clock.now()),
    ("give_up", "abandon_delivery", lambda w: _delivery(w, "waiting"), lambda d: d.state == "dead"),
    ("handle_again", "rerun_inbox_item", _item, lambda i: i.state == "received" and i.error == ""),
    ("send_again_now", "revive_peer", lambda w: Peer.objects.get(), lambda p: p.open_until is None),
    ("block_domain", "block_domain", lambda w: Peer.objects.get(), lambda p: DomainBlock.objects.filter(domain=p.host).exists()),
]


@pytest.mark.parametrize(("label", "entry", "make", "done"), ACTIONS)
def test_action(
    label: str, entry: str, make: Callable[[World], Model], done: Callable[[Any], bool], world: World, boss: Client
) -> None:
    row = make(world)
    name = str(row)
    model = type(row)
    asked = _act(boss, row, label, reason=None)
    if b'name="confirmed"' in asked.content:
        # The first click changes nothing and names the row.
        assert not AuditEntry.objects.exists()
        assert not done(model._default_manager.get(pk=row.pk))
        assert name.split(maxsplit=1)[0].encode() in asked.content.replace(b"&#x27;", b"'")
    else:
        assert label in {"try_again", "try_again_now", "handle_again", "send_again_now"}
    _act(boss, row, label)
    assert done(model._default_manager.filter(pk=row.pk).first())
    written = AuditEntry.objects.filter(action=entry)
    assert written.exists()
    assert {each.actor.email for each in written} == {"boss@example.org"}


def test_every_action_has_its_test() -> None:
    from django.test import RequestFactory

    request = RequestFactory().get("/")
    request.user = User(is_active=True, is_staff=True, is_superuser=True)
    offered = {name for page in _pages().values() for name in page.get_actions(request)}
    tested = {label for label, *_ in ACTIONS} | {"take_suspension_back", "confirm_e-mail_address", "remove", "delete_selected"}
    assert offered - tested == set()


def test_suspension_can_be_taken_back(world: World, boss: Client) -> None:
    _act(boss, world.charlie, "suspend")
    _act(boss, world.charlie, "take_suspension_back")
    assert Account.objects.get(pk=world.charlie.pk).suspended_at is None
    assert set(AuditEntry.objects.values_list("action", flat=True)) == {"suspend_account", "unsuspend_account"}


def test_a_reason_is_required_where_people_are_concerned(world: World, boss: Client) -> None:
    page = _act(boss, world.charlie, "suspend", reason="   ")
    assert b"Say why" in page.content
    assert Account.objects.get(pk=world.charlie.pk).suspended_at is None


def test_all_or_none(world: World, boss: Client) -> None:
    """One report is resolved already: then the other is not touched either, and no entry stays."""
    boss_user = User.objects.get(email="boss@example.org")
    one = moderation.report(reporter=world.bob, target=world.alice, reason="spam")
    two = moderation.report(reporter=world.charlie, target=world.alice, reason="spam")
    moderation.resolve_report(report=two, by_staff=boss_user, resolution="done")
    entries = AuditEntry.objects.count()
    data = {"action": "resolve", "_selected_action": [one.pk, two.pk], "index": "0", "confirmed": "yes", "reason": "x"}
    page = boss.post(_list_url(Report) + "?state=all", data, follow=True)
    assert b"Nothing was changed: This report is resolved already." in page.content
    assert Report.objects.get(pk=one.pk).resolved_at is None
    assert AuditEntry.objects.count() == entries


def test_what_is_delivered_or_handled_stays_so(world: World, boss: Client) -> None:
    delivery, item = _delivery(world, "delivered"), _item(world, "handled")
    assert b"is delivered already" in _act(boss, delivery, "try_again_now").content
    assert b"is delivered already" in _act(boss, delivery, "give_up").content
    assert b"did not fail" in _act(boss, item, "handle_again").content
    task = _task(dead=False)
    assert b"was not given up" in _act(boss, task, "try_again").content
    assert b"was not given up" in _act(boss, task, "forget").content
    assert not AuditEntry.objects.exists()


def test_handled_again_means_a_task(world: World, boss: Client) -> None:
    item = _item(world)
    _act(boss, item, "handle_again")
    task = Task.objects.get(fact="ActivityReceived")
    assert (task.fact, task.payload) == ("ActivityReceived", {"inbox_item_id": item.pk})


def test_domains_are_blocked_and_unblocked_by_their_verbs(world: World, boss: Client) -> None:
    add = reverse("admin:moderation_domainblock_add")
    boss.post(add, {"domain": "Peer.Example.", "reason": "spam"})
    block = DomainBlock.objects.get()
    assert block.domain == "peer.example"
    assert Account.objects.get(pk=world.dora.pk).suspended_at is not None
    refused = boss.post(add, {"domain": "localhost:8000", "reason": "oops"}, follow=True)
    assert b"Nothing was changed" in refused.content
    boss.post(reverse("admin:moderation_domainblock_delete", args=[block.pk]), {"post": "yes"})
    assert not DomainBlock.objects.exists()
    assert Account.objects.get(pk=world.dora.pk).suspended_at is None
    assert list(AuditEntry.objects.order_by("id").values_list("action", flat=True)) == ["block_domain", "unblock_domain"]


def test_selected_blocks_can_be_deleted_after_a_question(world: World, boss: Client) -> None:
    boss.post(reverse("admin:moderation_domainblock_add"), {"domain": "peer.example", "reason": ""})
    block = DomainBlock.objects.get()
    asked = _act(boss, block, "delete_selected", reason=None)
    assert DomainBlock.objects.exists()
    assert b"Are you sure" in asked.content
    boss.post(_list_url(DomainBlock), {"action": "delete_selected", "_selected_action": block.pk, "index": "0", "post": "yes"})
    assert not DomainBlock.objects.exists()
    assert AuditEntry.objects.filter(action="unblock_domain").exists()


# --- power ---


def test_changes_of_power_are_written_down_without_values(world: World, boss: Client) -> None:
    bob = world.bob.user
    assert bob is not None
    address = reverse("admin:accounts_user_change", args=[bob.pk])
    boss.post(address, {"is_active": "on", "is_staff": "on", "groups": [], "user_permissions": []})
    bob.refresh_from_db()
    assert bob.is_staff
    entry = AuditEntry.objects.get()
    assert entry.action == "change_user"
    assert "Is staff" in str(entry.detail)


def test_staff_cannot_make_themselves_superusers(world: World) -> None:
    mod = _staff("mod@example.org", "accounts.view_user", "accounts.change_user")
    client = _signed_in(mod)
    address = reverse("admin:accounts_user_change", args=[mod.pk])
    client.post(address, {"is_active": "on", "is_staff": "on", "is_superuser": "on"})
    mod.refresh_from_db()
    assert not mod.is_superuser
    assert client.post(reverse("admin:auth_user_password_change", args=[mod.pk]), {}).status_code == 403
    boss = _staff("boss@example.org", superuser=True)
    client.post(reverse("admin:accounts_user_change", args=[boss.pk]), {"is_staff": ""})
    boss.refresh_from_db()
    assert boss.is_staff


def test_passwords_set_by_superusers_are_written_down(world: World, boss: Client) -> None:
    assert world.bob.user is not None
    address = reverse("admin:auth_user_password_change", args=[world.bob.user.pk])
    new = "a new long password"
    boss.post(address, {"password1": new, "password2": new, "usable_password": "true"})
    world.bob.user.refresh_from_db()
    assert world.bob.user.check_password(new)
    entry = AuditEntry.objects.get()
    assert entry.action == "change_user"
    assert new not in str(entry.detail)


def test_groups_are_for_superusers(world: World, boss: Client) -> None:
    mod = _signed_in(_staff("mod@example.org", "auth.add_group", "auth.change_group", "auth.view_group"))
    add = reverse("admin:auth_group_add")
    assert mod.get(add).status_code == 403
    boss.post(add, {"name": "Moderators", "permissions": []})
    assert AuditEntry.objects.get().action == "add_group"


def test_addresses_of_people_are_confirmed_with_a_reason(world: World, boss: Client) -> None:
    from allauth.account.models import EmailAddress

    assert EmailAddress not in admin.site._registry
    bob = world.bob.user
    assert bob is not None
    _act(boss, bob, "confirm_e-mail_address", reason=None)
    assert not EmailAddress.objects.filter(user=bob, verified=True).exists()
    _act(boss, bob, "confirm_e-mail_address")
    assert EmailAddress.objects.get(user=bob).verified
    assert AuditEntry.objects.get().detail == {"reason": "because"}


def test_the_page_of_a_row_leads_to_what_staff_did_to_it(world: World, boss: Client) -> None:
    """For every kind of row: the link finds the entries of its actions, and not those of others."""
    _act(boss, world.bob, "suspend")
    _act(boss, world.charlie, "suspend")
    page = boss.get(reverse("admin:accounts_account_change", args=[world.bob.pk])).content.decode()
    link = re.search(r'href="([^"]*auditentry[^"]*)">Acts of staff', page)
    assert link is not None
    trail = boss.get(link[1].replace("&amp;", "&")).content.decode()
    assert world.bob.uri in trail
    assert world.charlie.uri not in trail


def test_times_are_said_as_people_do() -> None:
    assert "2\u00a0hours ago" in when(clock.now() - timedelta(hours=2, minutes=5))
    assert "from now" in when(clock.now() + timedelta(hours=2, minutes=5))
    assert when(None) == "\u2014"


def test_programs_are_removed_with_their_tokens_and_tokens_are_never_shown(world: World, boss: Client) -> None:
    from oauth2_provider.models import AccessToken, Application

    program = Application.objects.create(name="Evil app", client_type="public", authorization_grant_type="authorization-code")
    AccessToken.objects.create(user=world.bob.user, application=program, token="s3cr3t-token", expires=clock.now())
    assert AccessToken not in admin.site._registry
    _act(boss, program, "remove")
    assert not AccessToken.objects.exists()
    assert AuditEntry.objects.get().action == "remove_program"


def test_the_overview_shows_what_waits(world: World, boss: Client) -> None:
    _everything(world)
    page = boss.get("/admin/").content.decode()
    for label in ("Open reports", "Tasks waiting", "Deliveries waiting", "Failed activities", "Disk free"):
        assert label in page
    assert "1 given up" in page
    assert "nothing" in page  # the newest act
