"""Money for the pictures: a sponsor who paid, a month that was shared, and a neighbour who owes something too."""

from datetime import timedelta
from io import BytesIO
from itertools import count

from PIL import Image

from payouts import agreements, instance_keys, metering
from payouts.models import PeerClaim, PeerLog, Period
from server.accounts.models import Account, User
from server.core import clock, storage
from server.sponsors import actions, closing
from server.sponsors.models import Campaign
from server.videos.models import Video

UNIT = 1_000_000


def picture() -> str:
    """A plain picture for a slot, stored."""
    out = BytesIO()
    Image.new("RGB", (720, 1280), (24, 92, 96)).save(out, "PNG")
    return storage.put_bytes(out.getvalue(), "png")


def sell(root: User) -> Campaign:
    """A sponsor who paid in advance, and her running campaign."""
    today = clock.now().date()
    acme = actions.create_advertiser(name="river-bikes", display_name="River Bikes", by_staff=root)
    actions.fund(
        advertiser=acme, currency="EUR", gross=480 * UNIT, fee=2 * UNIT, source="bank", reference="Invoice 2026-118",
        evidence=b"statement", id="a" * 32, by_staff=root,
    )  # fmt: skip
    made = actions.create_campaign(
        advertiser=acme, name="autumn", headline="Ride along the river", text="Bikes by the day, from the old mill",
        link="https://bikes.example/", price_per_thousand=20 * UNIT, first_day=today, last_day=today + timedelta(days=20),
        image_file=picture(), by_staff=root,
    )  # fmt: skip
    actions.run_campaign(campaign=made, by_staff=root)
    return made


def watch(videos: list[Video]) -> None:
    """What was counted this month, by video."""
    day, seen = clock.now().date(), count(2_400, 430)
    for video, impressions in zip(videos, seen, strict=False):
        scid = video.account.scid or ""
        metering.count_view(day=day, work=video.uri, creator_scid=scid, weight_ms=9_000)
        metering.count_view(day=day, work=video.uri, creator_scid=scid, weight_ms=0, rejected="too-short")
        metering.count_view(day=day, work=video.uri, creator_scid=scid, weight_ms=0, rejected="repeated")
        metering.count_impression(day=day, campaign="autumn", work=video.uri, creator_scid=scid)
        metering.MeteredImpression.objects.filter(work=video.uri, period="").update(count=impressions)


def fill(root: User, second: User, alice: Account) -> Period:
    """Sell, watch, close one month; plan another that waits to be looked at; owe alice something elsewhere."""
    sell(root)
    videos = list(Video.objects.filter(state="published", is_local=True, account__scid__isnull=False).order_by("pk"))
    mine = [video for video in videos if video.account_id == alice.pk]
    watch([*mine[:2], *[video for video in videos if video.account_id != alice.pk][:2]])
    agreements.accept_default(scid=alice.scid or "")
    name = f"{clock.now():%Y-%m}"
    closed = closing.plan(name=name, currency="EUR", operating_cost=12 * UNIT, by_staff=root)
    closing.approve(period=closed, by_staff=second)
    closing.close(period=closed, by_staff=second)
    peer = PeerLog.objects.create(
        origin="lake.example/ledger/1", url="https://lake.example/ledger/1", genesis=b"", size=418, root="0" * 64,
        seen_at=clock.now(),
    )  # fmt: skip
    PeerClaim.objects.create(
        peer=peer, scid=alice.scid or "", currency="EUR", balance=0, held=0, unclaimed=7_350_000, as_of_index=417,
        as_of=clock.now(), witnesses=f"{instance_keys.origin().partition('/')[0]}/witness/1", statement=b"",
    )  # fmt: skip
    watch(videos[:3])
    return closing.plan(name=f"{name}.2", currency="EUR", operating_cost=12 * UNIT, by_staff=root)
