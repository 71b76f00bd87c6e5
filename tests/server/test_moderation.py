"""Reports, domain blocks and the audit trail; who is not staff decides nothing."""

import pytest

from server.accounts.models import User
from server.core.errors import Invalid, NotAllowed, WrongState
from server.moderation import actions, queries
from server.moderation.models import AuditEntry, DomainBlock, Report
from server.videos.models import Comment
from tests import world as people
from tests.world import World


@pytest.fixture
def staff(db: None) -> User:
    return User.objects.create_user("staff@example.org", people.PASSWORD, is_staff=True)


def trail() -> list[str]:
    return list(AuditEntry.objects.order_by("id").values_list("action", flat=True))


def test_the_same_open_report_twice_is_once(world: World, staff: User) -> None:
    video = people.published(world.alice)
    first = actions.report(reporter=world.bob, target=world.alice, video=video, reason="spam", text=" buy! ")
    assert actions.report(reporter=world.bob, target=world.alice, video=video, reason="spam").pk == first.pk
    assert first.text == "buy!"
    others = [
        actions.report(reporter=world.charlie, target=world.alice, video=video, reason="spam"),
        actions.report(reporter=world.bob, target=world.alice, reason="spam"),
        actions.report(reporter=None, target=world.alice, video=video, reason="intimate"),
        actions.report(reporter=None, target=world.alice, video=video, reason="intimate"),
    ]
    assert len({first.pk, *(each.pk for each in others)}) == 5
    actions.resolve_report(report=first, by_staff=staff, resolution="warned")
    assert actions.report(reporter=world.bob, target=world.alice, video=video, reason="spam").pk != first.pk


def test_reports_that_make_no_sense_are_refused(world: World) -> None:
    video = people.published(world.alice)
    comment = Comment.objects.create(video=video, account=world.bob, uri="http://localhost:8000/c/1", is_local=True, text="hi")
    for fields, field in (
        ({"target": world.alice, "reason": "boring"}, "reason"),
        ({"target": world.alice, "reason": "spam", "text": "x" * 2001}, "text"),
        ({"target": world.charlie, "reason": "spam"}, "target"),
        ({"target": world.bob, "reason": "spam", "video": video}, "video"),
        ({"target": world.alice, "reason": "spam", "comment": comment}, "comment"),
    ):
        with pytest.raises(Invalid) as refusal:
            actions.report(reporter=world.charlie, **fields)  # type: ignore[arg-type]
        assert refusal.value.field == field
    assert not Report.objects.exists()


def test_only_staff_resolves_and_only_once(world: World, staff: User) -> None:
    report = actions.report(reporter=world.bob, target=world.alice, reason="spam")
    with pytest.raises(NotAllowed):
        actions.resolve_report(report=report, by_staff=world.charlie.user, resolution="fine")  # type: ignore[arg-type]
    actions.resolve_report(report=report, by_staff=staff, resolution="warned")
    with pytest.raises(WrongState):
        actions.resolve_report(report=report, by_staff=staff, resolution="again")
    report.refresh_from_db()
    assert (report.resolution, report.resolved_by) == ("warned", staff)
    assert trail() == ["resolve_report"]


def test_a_blocked_domain_covers_subdomains_ports_and_hides_its_people(world: World, staff: User) -> None:
    with pytest.raises(NotAllowed):
        actions.block_domain(domain="peer.example", by_staff=world.charlie.user)  # type: ignore[arg-type]
    assert not queries.is_domain_blocked("peer.example")
    sub, other = people.remote("sub", "video.peer.example"), people.remote("other", "notpeer.example")
    first = actions.block_domain(domain=" *.Peer.Example. ", by_staff=staff, reason="spam")
    assert actions.block_domain(domain="peer.example", by_staff=staff).pk == first.pk
    for host in ("peer.example", "PEER.example.", "video.peer.example", "peer.example:8443", "a.b.peer.example:1"):
        assert queries.is_domain_blocked(host)
    for host in ("notpeer.example", "example", "peer.example.org"):
        assert not queries.is_domain_blocked(host)
    assert queries.is_domain_blocked("not a host")
    for account, hidden in ((world.dora, True), (sub, True), (other, False), (world.alice, False)):
        account.refresh_from_db()
        assert (account.suspended_at is not None) == hidden
    assert trail() == ["block_domain"]


def test_unblocking_shows_exactly_those_the_block_had_hidden(world: World, staff: User) -> None:
    sub, bad = people.remote("sub", "video.peer.example"), people.remote("bad")
    actions.suspend(account=bad, by_staff=staff, reason="spam")
    actions.block_domain(domain="peer.example", by_staff=staff)
    actions.block_domain(domain="video.peer.example", by_staff=staff)
    with pytest.raises(NotAllowed):
        actions.unblock_domain(domain="peer.example", by_staff=world.charlie.user)  # type: ignore[arg-type]
    actions.unblock_domain(domain="peer.example", by_staff=staff)
    actions.unblock_domain(domain="peer.example", by_staff=staff)
    shown = {}
    for account in (world.dora, sub, bad):
        account.refresh_from_db()
        shown[account.handle] = account.suspended_at is None
    assert shown == {"dora": True, "sub": False, "bad": False}
    actions.unblock_domain(domain="video.peer.example", by_staff=staff)
    sub.refresh_from_db()
    assert sub.suspended_at is None
    assert trail() == ["suspend_account", "block_domain", "block_domain", "unblock_domain", "unblock_domain"]


@pytest.mark.parametrize("domain", ["", "a b", "localhost:8000", "LOCALHOST", "http://peer.example"])
def test_we_do_not_block_ourselves_nor_nonsense(staff: User, domain: str) -> None:
    with pytest.raises(Invalid) as refusal:
        actions.block_domain(domain=domain, by_staff=staff)
    assert refusal.value.field == "domain"
    assert not DomainBlock.objects.exists()
    assert trail() == []


def test_a_port_alone_can_be_blocked(staff: User) -> None:
    actions.block_domain(domain="localhost:8002", by_staff=staff)
    assert queries.is_domain_blocked("localhost:8002")
    assert not queries.is_domain_blocked("localhost:8001")


def test_suspending_is_written_down_or_does_not_happen(world: World, staff: User) -> None:
    with pytest.raises(NotAllowed):
        actions.suspend(account=world.alice, by_staff=world.charlie.user)  # type: ignore[arg-type]
    world.alice.refresh_from_db()
    assert world.alice.suspended_at is None
    actions.suspend(account=world.alice, by_staff=staff, reason="spam")
    actions.unsuspend(account=world.alice, by_staff=staff)
    entry = AuditEntry.objects.order_by("id")[0]
    assert (entry.actor, entry.target, entry.detail) == (staff, world.alice.uri, {"reason": "spam"})
    assert trail() == ["suspend_account", "unsuspend_account"]
    staff.is_active = False
    with pytest.raises(NotAllowed):
        actions.audit(by_staff=staff, action="x", target="y", detail={})
