"""Staff pages for sponsors: who pays, what is shown. Payments and new campaigns are entered under Money, where files can be sent.

Offers (which slot was put before whom) are not shown: they are about viewers.
"""

from django.contrib import admin
from django.utils.safestring import SafeString

from payouts.ledger.money import in_units
from server.accounts.models import User
from server.moderation.audited_admin import ReadOnlyAdmin, staff_action
from server.moderation.staff_display import list_of, mark, page_of
from server.sponsors import actions, queries
from server.sponsors.models import Advertiser, Campaign


def _run(*, row: Campaign, by_staff: User, reason: str) -> None:
    actions.run_campaign(campaign=row, by_staff=by_staff)


def _stop(*, row: Campaign, by_staff: User, reason: str) -> None:
    actions.stop_campaign(campaign=row, by_staff=by_staff)


@admin.register(Advertiser)
class AdvertiserAdmin(ReadOnlyAdmin):
    list_display = ["name", "display_name", "free", "created_at"]
    search_fields = ["name", "display_name", "contact_email"]
    ordering = ["name"]
    fields = ["name", "display_name", "contact_email", "balance", "pending", "free", "campaigns", "created_at"]
    readonly_fields = ["balance", "pending", "free", "campaigns"]

    @admin.display(description="paid in, not charged (EUR)")
    def balance(self, advertiser: Advertiser) -> str:
        return in_units(queries.funds(advertiser, "EUR").balance)

    @admin.display(description="shown, not yet charged (EUR)")
    def pending(self, advertiser: Advertiser) -> str:
        return in_units(queries.funds(advertiser, "EUR").pending)

    @admin.display(description="free (EUR)")
    def free(self, advertiser: Advertiser) -> str:
        return in_units(queries.funds(advertiser, "EUR").free)

    @admin.display(description="campaigns")
    def campaigns(self, advertiser: Advertiser) -> SafeString:
        return list_of(Campaign, f"{advertiser.campaigns.count()} campaigns", advertiser__id__exact=advertiser.pk)


@admin.register(Campaign)
class CampaignAdmin(ReadOnlyAdmin):
    list_display = ["name", "headline", "advertiser", "state_mark", "price", "first_day", "last_day"]
    list_filter = ["state", "currency", "advertiser"]
    search_fields = ["name", "headline", "advertiser__name"]
    list_select_related = ["advertiser"]
    ordering = ["-created_at"]
    fields = [
        "name", "advertiser", "state_mark", "headline", "text", "link", "clip", "image_file", "currency", "price",
        "first_day", "last_day", "per_viewer_day_max", "created_at",
    ]  # fmt: skip
    readonly_fields = ["state_mark", "price", "clip"]
    actions = [
        staff_action("Run", verb=_run),
        staff_action("Stop", verb=_stop, warning="It is shown no more. What was shown stays billed."),
    ]

    @admin.display(description="state", ordering="state")
    def state_mark(self, campaign: Campaign) -> SafeString:
        return mark(campaign.state)

    @admin.display(description="per thousand", ordering="price_per_thousand")
    def price(self, campaign: Campaign) -> str:
        return f"{in_units(campaign.price_per_thousand)} {campaign.currency}"

    @admin.display(description="clip")
    def clip(self, campaign: Campaign) -> SafeString | str:
        return page_of(campaign.video)
