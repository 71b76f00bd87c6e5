"""The verbs of sponsoring: take on an advertiser and her money, run and stop campaigns, offer a slot, bill it once."""

import uuid
from datetime import date, timedelta
from urllib.parse import urlsplit

from django.core.exceptions import ValidationError
from django.db import IntegrityError, transaction

from payouts import metering, revenue
from payouts.ledger.entries import Entry
from server.accounts.models import Account, User
from server.core import clock
from server.core.errors import Conflict, Invalid, NotAllowed, NotFound, WrongState
from server.moderation.actions import audit
from server.sponsors import queries, visitors
from server.sponsors.models import NAME, Advertiser, Campaign, Offer
from server.videos.models import Video

# Half of the slot's pixels for two seconds (FORMATS: billable impression).
VISIBLE_MS_MIN = 2_000
OFFER_SECONDS_MAX = 3600
STEPS = {("draft", "run"): "running", ("stopped", "run"): "running", ("running", "stop"): "stopped"}


@transaction.atomic
def create_advertiser(*, name: str, display_name: str, contact_email: str = "", by_staff: User) -> Advertiser:
    """Take on an advertiser. ``name`` stands in the ledger for ever. Raises Invalid, Conflict, NotAllowed."""
    _staff(by_staff)
    _check_name(name)
    try:
        with transaction.atomic():
            made = Advertiser.objects.create(name=name, display_name=display_name.strip() or name, contact_email=contact_email)
    except IntegrityError as error:
        raise Conflict("There is an advertiser of this name.", field="name") from error
    audit(by_staff=by_staff, action="create_advertiser", target=name, detail={})
    return made


@transaction.atomic
def fund(  # noqa: PLR0913 (a booking has this many parts)
    *,
    advertiser: Advertiser,
    currency: str,
    gross: int,
    fee: int,
    source: str,
    reference: str,
    evidence: bytes,
    id: str,  # noqa: A002 (the word of the format)
    by_staff: User,
) -> Entry:
    """Book what an advertiser paid in, with its evidence, in the ledger. Amounts in millionths.

    ``id`` (32 hex digits) is made by the form, so that sending it twice books once. Raises Invalid, Conflict, NotAllowed.
    """
    _staff(by_staff)
    if not evidence:
        raise Invalid("Money needs evidence: the bank's statement or the invoice.", field="evidence")
    entry = revenue.fund_advertiser(
        advertiser=advertiser.name,
        currency=currency,
        gross=gross,
        fee=fee,
        source=source,
        reference=reference,
        evidence=evidence,
        by=by_staff.email,
        id=id,
    )
    audit(by_staff=by_staff, action="fund_advertiser", target=advertiser.name, detail={"entry": entry.index, "gross": gross})
    return entry


@transaction.atomic
def create_campaign(  # noqa: PLR0913 (a campaign has this many parts)
    *,
    advertiser: Advertiser,
    name: str,
    headline: str,
    text: str,
    link: str,
    price_per_thousand: int,
    first_day: date,
    last_day: date,
    by_staff: User,
    video: Video | None = None,
    image_file: str = "",
    currency: str = "EUR",
) -> Campaign:
    """Write a campaign down as a draft. It has a clip or a picture. Raises Invalid with the field, Conflict, NotAllowed."""
    _staff(by_staff)
    _check_name(name)
    if not headline.strip():
        raise Invalid("A slot needs a headline.", field="headline")
    _check_link(link)
    if price_per_thousand <= 0:
        raise Invalid("The price must be more than nothing.", field="price_per_thousand")
    if last_day < first_day:
        raise Invalid("The campaign ends before it begins.", field="last_day")
    if (video is None) == (not image_file):
        raise Invalid("Choose either a clip or a picture.", field="video")
    try:
        with transaction.atomic():
            made = Campaign.objects.create(
                advertiser=advertiser,
                name=name,
                headline=headline.strip(),
                text=text.strip(),
                link=link,
                video=video,
                image_file=image_file,
                currency=currency,
                price_per_thousand=price_per_thousand,
                first_day=first_day,
                last_day=last_day,
            )
    except IntegrityError as error:
        raise Conflict("There is a campaign of this name.", field="name") from error
    audit(by_staff=by_staff, action="create_campaign", target=name, detail={"advertiser": advertiser.name})
    return made


@transaction.atomic
def run_campaign(*, campaign: Campaign, by_staff: User) -> None:
    """Let it be shown. Raises WrongState also when its advertiser has no money left: funded or not served."""
    if not queries.is_funded(campaign):
        raise WrongState("The advertiser's balance does not pay for one impression. Book what was paid in first.")
    _step(campaign, "run", by_staff)


@transaction.atomic
def stop_campaign(*, campaign: Campaign, by_staff: User) -> None:
    """Show it no more. What was shown is still billed. Raises WrongState."""
    _step(campaign, "stop", by_staff)


@transaction.atomic
def offer_slot(*, viewer: Account | None, after: Video | None, address: str = "") -> Offer | None:
    """The slot that follows ``after`` in this viewer's feed, or none when nobody pays for one.

    ``address``: where she comes from, for whoever is not signed in. A creator gets no slot after her own video: she would earn
    by looking. Nobody gets more slots than can be looked at.
    """
    if after is not None and _is_own(viewer, after.account):
        return None
    if queries.is_asking_too_much(viewer, address):
        return None
    campaign = queries.choose(viewer, address)
    if campaign is None:
        return None
    now = clock.now()
    visitor = visitors.pseudonym(address, now) if viewer is None else ""
    return Offer.objects.create(campaign=campaign, after=after, viewer=viewer, visitor=visitor, offered_at=now)


@transaction.atomic
def record_impression(*, offer_id: uuid.UUID, viewer: Account | None, visible_ms: int, address: str = "") -> bool:
    """The player says that the slot was half visible for ``visible_ms``. Returns whether that is billed (once, when funded).

    Raises NotFound for an offer that was never made or is for another viewer, Invalid for one too old, seen too short, or seen
    for longer than it has been there.
    """
    offer = (
        Offer.objects.select_for_update(of=("self",))
        .select_related("campaign__advertiser", "after__account")
        .filter(pk=offer_id)
        .first()
    )
    if offer is None or offer.viewer_id != (viewer.pk if viewer is not None else None):
        raise NotFound("There is no such slot in your feed.")
    if viewer is None and offer.visitor != visitors.pseudonym(address, offer.offered_at):
        raise NotFound("There is no such slot in your feed.")
    if visible_ms < VISIBLE_MS_MIN:
        raise Invalid("Too short to count.", field="visible_ms")
    age = clock.now() - offer.offered_at
    if age > timedelta(seconds=OFFER_SECONDS_MAX):
        raise Invalid("This slot was offered too long ago.")
    # The player's word is only good for time that has passed here.
    if age < timedelta(milliseconds=visible_ms):
        raise Invalid("This slot has not been there for so long.", field="visible_ms")
    if offer.billed_at is not None:
        return False
    campaign = offer.campaign
    # One impression of an advertiser after the other: two at once must not spend the same money, nor pass the cap.
    Advertiser.objects.select_for_update().get(pk=campaign.advertiser_id)
    if campaign.state != "running" or queries.has_seen_enough(campaign, viewer, address) or not queries.is_funded(campaign):
        return False
    work = offer.after
    metering.count_impression(
        day=clock.now().date(),
        campaign=campaign.name,
        work=work.uri if work is not None else "",
        creator_scid=(work.account.scid or "") if work is not None else "",
    )
    offer.billed_at = clock.now()
    offer.save(update_fields=["billed_at"])
    return True


def forget_old_offers() -> int:
    """Forget which slot was offered to whom, once it can no longer be billed or count against a daily cap."""
    return Offer.objects.filter(offered_at__lt=clock.now() - timedelta(days=2)).delete()[0]


def _is_own(viewer: Account | None, creator: Account) -> bool:
    """Is it her own, also under another account of the same identity?"""
    return viewer is not None and (viewer.pk == creator.pk or bool(viewer.scid and viewer.scid == creator.scid))


def _step(campaign: Campaign, step: str, by_staff: User) -> None:
    _staff(by_staff)
    after = STEPS.get((campaign.state, step))
    if after is None:
        raise WrongState(f"A campaign that is {campaign.state} cannot {step}.")
    campaign.state = after
    campaign.save(update_fields=["state"])
    audit(by_staff=by_staff, action=f"{step}_campaign", target=campaign.name, detail={})


def _staff(user: User) -> None:
    if not (user.is_active and user.is_staff):
        raise NotAllowed("Only staff sells slots.")


def _check_link(link: str) -> None:
    try:
        parts = urlsplit(link)
        is_address = parts.scheme in {"https", "http"} and bool(parts.hostname)
    except ValueError:
        is_address = False
    if not is_address:
        raise Invalid("The link must be a web address.", field="link")


def _check_name(name: str) -> None:
    try:
        NAME(name)
    except ValidationError as error:
        raise Invalid(" ".join(error.messages), field="name") from error
