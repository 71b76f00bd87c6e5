"""Which slot may be shown, what a campaign has cost so far, and what is left of an advertiser's money."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import timedelta

from django.db.models import Count, QuerySet

from payouts import metering, periods, revenue
from payouts.periods import CampaignCharge
from server.accounts.models import Account
from server.core import clock
from server.sponsors import visitors
from server.sponsors.models import Advertiser, Campaign, Offer

PER_THOUSAND = 1000
# A household, a café: as many people may be behind one address.
VISITORS_PER_NETWORK = 4
# Two a minute: after every fourth video, that is eight videos a minute.
OFFERS_PER_HOUR_MAX = 120


@dataclass(frozen=True)
class Funds:
    """An advertiser's money in one currency, in millionths: paid in and not charged, of which shown but not yet charged."""

    balance: int
    pending: int

    @property
    def free(self) -> int:
        """What may still be spent."""
        return self.balance - self.pending


def funds(advertiser: Advertiser, currency: str) -> Funds:
    """What an advertiser has left."""
    pending = 0
    for campaign in advertiser.campaigns.filter(currency=currency):
        count = sum(metering.open_impressions(campaign=campaign.name).values())
        # Rounded up: what is promised to others must not be spent twice.
        pending += -(-campaign.price_per_thousand * count // PER_THOUSAND)
    return Funds(revenue.balance(advertiser=advertiser.name, currency=currency), pending)


def is_funded(campaign: Campaign) -> bool:
    """Is there money for one more impression? A view never creates money, so nothing is shown on credit."""
    return funds(campaign.advertiser, campaign.currency).free >= -(-campaign.price_per_thousand // PER_THOUSAND)


def has_seen_enough(campaign: Campaign, viewer: Account | None, address: str) -> bool:
    """Was this campaign billed for her so often in the last day that it is shown to her no more?

    Whoever is not signed in is known by the network of ``address``, which may be more people: a higher number.
    """
    most = campaign.per_viewer_day_max * (1 if viewer is not None else VISITORS_PER_NETWORK)
    since = clock.now() - timedelta(days=1)
    return _offers_of(viewer, address).filter(campaign=campaign, billed_at__gt=since).count() >= most


def is_asking_too_much(viewer: Account | None, address: str) -> bool:
    """More slots were offered to her in the last hour than anybody can look at."""
    since = clock.now() - timedelta(hours=1)
    return _offers_of(viewer, address).filter(offered_at__gt=since).count() >= OFFERS_PER_HOUR_MAX


def _offers_of(viewer: Account | None, address: str) -> QuerySet[Offer]:
    if viewer is not None:
        return Offer.objects.filter(viewer=viewer)
    return Offer.objects.filter(viewer=None, visitor__in=visitors.lately(address, clock.now()))


def choose(viewer: Account | None, address: str) -> Campaign | None:
    """The running, funded campaign that was offered least lately, unless this viewer has seen enough of it today."""
    today = clock.now().date()
    running = Campaign.objects.filter(state="running", first_day__lte=today, last_day__gte=today).select_related(
        "advertiser", "video", "video__account"
    )
    since = clock.now() - timedelta(days=1)
    lately = dict(Offer.objects.filter(offered_at__gt=since).values_list("campaign_id").annotate(Count("id")))
    for campaign in sorted(running, key=lambda one: (lately.get(one.pk, 0), one.pk)):
        if campaign.video is not None and campaign.video.state != "published":
            continue
        if has_seen_enough(campaign, viewer, address):
            continue
        if is_funded(campaign):
            return campaign
    return None


def charges(name: str, currency: str) -> Sequence[CampaignCharge]:
    """What the campaigns owe for the period ``name``: its impressions that no close has counted. Raises Invalid."""
    first, last = periods.days_of(name)
    found = []
    for campaign in Campaign.objects.filter(currency=currency).select_related("advertiser").order_by("name"):
        impressions = metering.open_impressions(campaign=campaign.name, first=first, last=last)
        if any(impressions.values()):
            found.append(
                CampaignCharge(
                    campaign=campaign.name,
                    advertiser=campaign.advertiser.name,
                    price_per_thousand=campaign.price_per_thousand,
                    impressions={work: count for work, count in impressions.items() if count},
                )
            )
    return found
