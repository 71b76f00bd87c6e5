"""Sponsor slots: funded or not shown, billed once, only by the viewer who was offered it."""

import uuid
from datetime import timedelta
from typing import Any

import pytest
from django.test import Client

from payouts import metering
from payouts.models import MeteredImpression
from server.accounts.models import Account, User
from server.core import clock
from server.core.errors import Conflict, Invalid, NotAllowed, NotFound, WrongState
from server.moderation.models import AuditEntry
from server.sponsors import actions, queries
from server.sponsors.models import Advertiser, Campaign, Offer
from server.videos.models import Video
from tests.server.test_pages_watch import signed_in, text
from tests.world import World, published

pytestmark = pytest.mark.django_db
UNIT = 1_000_000
PRICE = 20 * UNIT
ONE = PRICE // 1000


@pytest.fixture
def root(world: World) -> User:
    """Somebody of the staff."""
    return User.objects.create_user("root@example.org", "a long password", is_staff=True)


def fund(advertiser: Advertiser, root: User, gross: int = 50 * UNIT, name: str = "1", **changed: Any) -> Any:
    values = {
        "currency": "EUR", "gross": gross, "fee": 0, "source": "bank", "reference": "invoice 7",
        "evidence": b"bank statement", "id": name * 32,
    }  # fmt: skip
    return actions.fund(advertiser=advertiser, by_staff=root, **{**values, **changed})


@pytest.fixture
def acme(root: User) -> Advertiser:
    return actions.create_advertiser(name="acme", display_name="Acme Tea", by_staff=root)


def draft(advertiser: Advertiser, root: User, **changed: Any) -> Campaign:
    today = clock.now().date()
    values: dict[str, Any] = {
        "name": "spring", "headline": "Tea", "text": "", "link": "https://tea.example/", "price_per_thousand": PRICE,
        "first_day": today, "last_day": today + timedelta(days=30), "image_file": "aa/" + "a" * 64 + ".png",
    }  # fmt: skip
    return actions.create_campaign(advertiser=advertiser, by_staff=root, **{**values, **changed})


@pytest.fixture
def spring(acme: Advertiser, root: User) -> Campaign:
    """A funded campaign that runs."""
    fund(acme, root)
    made = draft(acme, root)
    actions.run_campaign(campaign=made, by_staff=root)
    return made


@pytest.fixture
def clip(world: World) -> Video:
    return published(world.alice)


def see(offer: Offer, viewer: Account | None, visible_ms: int = 2_000) -> bool:
    with clock.moved(timedelta(milliseconds=visible_ms)):
        return actions.record_impression(offer_id=offer.pk, viewer=viewer, visible_ms=visible_ms)


def offered(viewer: Account | None, clip: Video) -> Offer:
    found = actions.offer_slot(viewer=viewer, after=clip)
    assert found is not None
    return found


# --- the verbs of staff ---


def test_only_staff_sells(world: World, acme: Advertiser, root: User) -> None:
    charlie = world.charlie.user
    made = draft(acme, root)
    audited = AuditEntry.objects.count()
    for forbidden in (
        lambda: actions.create_advertiser(name="mine", display_name="", by_staff=charlie),
        lambda: fund(acme, charlie),
        lambda: draft(acme, charlie, name="mine"),
        lambda: actions.stop_campaign(campaign=made, by_staff=charlie),
    ):
        with pytest.raises(NotAllowed):
            forbidden()
    fund(acme, root)
    with pytest.raises(NotAllowed):
        actions.run_campaign(campaign=made, by_staff=charlie)
    made.refresh_from_db()
    assert (Advertiser.objects.count(), made.state) == (1, "draft")
    assert AuditEntry.objects.count() == audited + 1, "only the payment of root"


@pytest.mark.parametrize("name", ["", "Acme", "acme tea", "-acme", "a" * 41, "acme\n", "äcme"])
def test_a_name_has_the_form_of_the_ledger(root: User, name: str) -> None:
    with pytest.raises(Invalid) as refused:
        actions.create_advertiser(name=name, display_name="Acme", by_staff=root)
    assert refused.value.field == "name"


def test_names_are_taken_once(acme: Advertiser, root: User) -> None:
    draft(acme, root)
    with pytest.raises(Conflict):
        actions.create_advertiser(name="acme", display_name="Other", by_staff=root)
    with pytest.raises(Conflict):
        draft(acme, root)


@pytest.mark.parametrize(
    ("changed", "field"),
    [
        ({"headline": "  "}, "headline"),
        ({"link": "javascript:alert(1)"}, "link"),
        ({"link": "https://"}, "link"),
        ({"link": "https://[x"}, "link"),
        ({"price_per_thousand": 0}, "price_per_thousand"),
        ({"last_day": clock.now().date() - timedelta(days=1)}, "last_day"),
        ({"image_file": ""}, "video"),
    ],
)
def test_a_campaign_that_makes_no_sense(acme: Advertiser, root: User, changed: dict[str, Any], field: str) -> None:
    with pytest.raises(Invalid) as refused:
        draft(acme, root, **changed)
    assert refused.value.field == field
    assert not Campaign.objects.exists()


def test_a_campaign_has_a_clip_or_a_picture_not_both(acme: Advertiser, root: User, clip: Video) -> None:
    with pytest.raises(Invalid):
        draft(acme, root, video=clip)
    assert draft(acme, root, video=clip, image_file="").video == clip


def test_money_needs_evidence_and_is_booked_once(acme: Advertiser, root: User) -> None:
    with pytest.raises(Invalid):
        fund(acme, root, evidence=b"")
    with pytest.raises(Invalid):
        fund(acme, root, gross=0)
    with pytest.raises(Invalid):
        fund(acme, root, fee=50 * UNIT)
    with pytest.raises(Invalid):
        fund(acme, root, id="short")
    assert queries.funds(acme, "EUR").balance == 0
    assert fund(acme, root, fee=UNIT).index == fund(acme, root, fee=UNIT).index
    assert queries.funds(acme, "EUR") == queries.Funds(balance=49 * UNIT, pending=0)


def test_unfunded_is_not_run_and_not_served(acme: Advertiser, root: User, world: World, clip: Video) -> None:
    made = draft(acme, root)
    with pytest.raises(WrongState):
        actions.run_campaign(campaign=made, by_staff=root)
    Campaign.objects.update(state="running")
    assert actions.offer_slot(viewer=world.bob, after=clip) is None
    assert not Offer.objects.exists()


def test_the_steps_of_a_campaign(spring: Campaign, root: User, world: World, clip: Video) -> None:
    with pytest.raises(WrongState):
        actions.run_campaign(campaign=spring, by_staff=root)
    actions.stop_campaign(campaign=spring, by_staff=root)
    with pytest.raises(WrongState):
        actions.stop_campaign(campaign=spring, by_staff=root)
    assert actions.offer_slot(viewer=world.bob, after=clip) is None
    actions.run_campaign(campaign=spring, by_staff=root)
    assert offered(world.bob, clip).campaign == spring


# --- the slot ---


def test_a_slot_is_billed_once_for_the_creator_before_it(spring: Campaign, world: World, clip: Video) -> None:
    offer = offered(world.bob, clip)
    assert see(offer, world.bob) is True
    assert see(offer, world.bob) is False
    row = MeteredImpression.objects.get()
    assert (row.campaign, row.work, row.creator_scid, row.count) == ("spring", clip.uri, world.alice.scid, 1)
    assert queries.funds(spring.advertiser, "EUR") == queries.Funds(balance=50 * UNIT, pending=ONE)
    (charge,) = queries.charges(f"{clock.now():%Y-%m}", "EUR")
    assert (charge.count, charge.amount, dict(charge.impressions)) == (1, ONE, {clip.uri: 1})
    assert queries.charges("2020-01", "EUR") == []


def test_a_slot_is_only_for_who_was_offered_it(spring: Campaign, world: World, clip: Video) -> None:
    offer = offered(world.bob, clip)
    for other in (world.charlie, None):
        with pytest.raises(NotFound):
            see(offer, other)
    with pytest.raises(NotFound):
        see(offered(None, clip), world.charlie)
    with pytest.raises(NotFound):
        actions.record_impression(offer_id=uuid.uuid4(), viewer=world.bob, visible_ms=9_000)
    assert not MeteredImpression.objects.exists()
    assert see(offered(None, clip), None) is True


def test_too_short_and_too_late(spring: Campaign, world: World, clip: Video) -> None:
    offer = offered(world.bob, clip)
    with pytest.raises(Invalid):
        see(offer, world.bob, visible_ms=1_999)
    with clock.moved(timedelta(seconds=actions.OFFER_SECONDS_MAX + 1)), pytest.raises(Invalid):
        see(offer, world.bob)
    assert not MeteredImpression.objects.exists()
    assert see(offer, world.bob) is True


def test_one_viewer_sees_it_only_so_often_a_day(spring: Campaign, world: World, clip: Video) -> None:
    for _ in range(spring.per_viewer_day_max):
        assert see(offered(world.bob, clip), world.bob)
    assert actions.offer_slot(viewer=world.bob, after=clip) is None
    assert offered(world.charlie, clip)
    with clock.moved(timedelta(days=1, seconds=5)):
        assert offered(world.bob, clip)


def test_slots_held_back_do_not_get_around_the_cap(spring: Campaign, world: World, clip: Video) -> None:
    held = [offered(world.bob, clip) for _ in range(spring.per_viewer_day_max + 2)]
    assert [see(offer, world.bob) for offer in held].count(True) == spring.per_viewer_day_max


def test_nobody_earns_by_looking_at_her_own(spring: Campaign, world: World, clip: Video) -> None:
    assert actions.offer_slot(viewer=world.alice, after=clip) is None
    Account.objects.filter(pk=world.charlie.pk).update(scid=None)
    Account.objects.filter(pk=world.alice.pk).update(scid=None)
    world.charlie.refresh_from_db()
    assert offered(world.charlie, clip), "two without an identity are not one"
    assert offered(world.bob, clip)


def test_one_machine_is_no_crowd(spring: Campaign, world: World, clip: Video) -> None:
    """Signed out, the cap is by network: another address of the same one changes nothing, another network does."""

    def look(address: str) -> bool:
        offer = actions.offer_slot(viewer=None, after=clip, address=address)
        if offer is None:
            return False
        with clock.moved(timedelta(seconds=2)):
            return actions.record_impression(offer_id=offer.pk, viewer=None, visible_ms=2_000, address=address)

    most = spring.per_viewer_day_max * queries.VISITORS_PER_NETWORK
    assert [look(f"2001:db8::{number:x}") for number in range(1, most + 3)].count(True) == most
    assert look("2001:db8:0:1::1")
    assert [look("192.0.2.7") for _ in range(most + 1)].count(True) == most
    assert look("192.0.2.8")
    assert not Offer.objects.filter(visitor__contains="192.0.2").exists()
    with clock.moved(timedelta(days=1, seconds=5)):
        assert look("192.0.2.7")


def test_a_slot_of_one_visitor_is_not_seen_by_another(spring: Campaign, world: World, clip: Video) -> None:
    offer = actions.offer_slot(viewer=None, after=clip, address="192.0.2.7")
    assert offer
    with clock.moved(timedelta(seconds=2)):
        for address in ("192.0.2.8", "", "nonsense"):
            with pytest.raises(NotFound):
                actions.record_impression(offer_id=offer.pk, viewer=None, visible_ms=2_000, address=address)
        assert actions.record_impression(offer_id=offer.pk, viewer=None, visible_ms=2_000, address="192.0.2.7")


def test_a_slot_is_not_seen_for_longer_than_it_was_there(spring: Campaign, world: World, clip: Video) -> None:
    offer = offered(world.bob, clip)
    with clock.moved(timedelta(milliseconds=1_000)), pytest.raises(Invalid, match="not been there"):
        actions.record_impression(offer_id=offer.pk, viewer=world.bob, visible_ms=2_000)
    assert not MeteredImpression.objects.exists()
    assert see(offer, world.bob) is True


def test_nobody_gets_more_slots_than_can_be_looked_at(spring: Campaign, world: World, clip: Video) -> None:
    now = clock.now()
    Offer.objects.bulk_create(
        Offer(campaign=spring, after=clip, viewer=world.bob, offered_at=now) for _ in range(queries.OFFERS_PER_HOUR_MAX)
    )
    assert actions.offer_slot(viewer=world.bob, after=clip) is None
    assert offered(world.charlie, clip)
    with clock.moved(timedelta(hours=1, seconds=1)):
        assert offered(world.bob, clip)


def test_a_clip_that_was_unpublished_is_not_shown(acme: Advertiser, root: User, world: World, clip: Video) -> None:
    fund(acme, root)
    shown = published(world.charlie)
    actions.run_campaign(campaign=draft(acme, root, video=shown, image_file=""), by_staff=root)
    assert offered(world.bob, clip)
    Video.objects.filter(pk=shown.pk).update(state="ready")
    assert actions.offer_slot(viewer=world.bob, after=clip) is None


def test_a_campaign_has_days(acme: Advertiser, root: User, world: World, clip: Video) -> None:
    fund(acme, root)
    tomorrow = clock.now().date() + timedelta(days=1)
    actions.run_campaign(campaign=draft(acme, root, first_day=tomorrow, last_day=tomorrow), by_staff=root)
    assert actions.offer_slot(viewer=world.bob, after=clip) is None
    with clock.moved(timedelta(days=1)):
        assert offered(world.bob, clip)
    with clock.moved(timedelta(days=2)):
        assert actions.offer_slot(viewer=world.bob, after=clip) is None


def test_the_money_runs_out_midway(acme: Advertiser, root: User, world: World, clip: Video) -> None:
    fund(acme, root, gross=2 * ONE)
    made = draft(acme, root)
    actions.run_campaign(campaign=made, by_staff=root)
    offers = [offered(viewer, clip) for viewer in (world.bob, world.charlie, None)]
    assert [see(offer, offer.viewer) for offer in offers] == [True, True, False]
    assert queries.funds(acme, "EUR").free == 0
    assert actions.offer_slot(viewer=world.bob, after=clip) is None
    fund(acme, root, gross=ONE, name="2")
    assert see(offers[2], None) is True


def test_stopped_is_not_billed(spring: Campaign, root: User, world: World, clip: Video) -> None:
    offer = offered(world.bob, clip)
    actions.stop_campaign(campaign=spring, by_staff=root)
    assert see(offer, world.bob) is False
    assert metering.open_impressions(campaign="spring") == {}


def test_campaigns_take_turns(spring: Campaign, acme: Advertiser, root: User, world: World, clip: Video) -> None:
    actions.run_campaign(campaign=draft(acme, root, name="summer"), by_staff=root)
    assert {offered(world.bob, clip).campaign.name for _ in range(2)} == {"spring", "summer"}


def test_offers_are_forgotten(spring: Campaign, world: World, clip: Video) -> None:
    offered(world.bob, clip)
    assert actions.forget_old_offers() == 0
    with clock.moved(timedelta(days=2, seconds=1)):
        assert actions.forget_old_offers() == 1


# --- the pages the player asks ---


def test_the_player_gets_a_labelled_slot_and_says_it_was_seen(spring: Campaign, world: World, clip: Video) -> None:
    bob = signed_in(world.bob)
    page = bob.post("/sponsor/slot", {"after": clip.pk})
    assert page.status_code == 200
    assert "Sponsored by Acme Tea" in text(page)
    assert 'rel="sponsored nofollow noopener noreferrer"' in text(page)
    offer = Offer.objects.get()
    assert f"/sponsor/{offer.pk}/seen" in text(page)
    assert signed_in(world.charlie).post(f"/sponsor/{offer.pk}/seen", {"visible_ms": 2000}).status_code == 404
    assert bob.post(f"/sponsor/{offer.pk}/seen", {"visible_ms": 10}).status_code == 422
    assert bob.post(f"/sponsor/{offer.pk}/seen", {"visible_ms": "2000 or 1=1"}).status_code == 422
    with clock.moved(timedelta(seconds=2)):
        assert bob.post(f"/sponsor/{offer.pk}/seen", {"visible_ms": 2000}).status_code == 204
        assert bob.post(f"/sponsor/{offer.pk}/seen", {"visible_ms": 2000}).status_code == 204
    assert MeteredImpression.objects.get().count == 1


@pytest.mark.parametrize("after", ["", "x", "0", "9" * 30, "-1", "²"])
def test_no_slot_without_a_video_before_it(client: Client, spring: Campaign, after: str) -> None:
    assert client.post("/sponsor/slot", {"after": after}).status_code == 204
    assert client.get("/sponsor/slot").status_code == 405
    assert not Offer.objects.exists()
