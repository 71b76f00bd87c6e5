"""The staff's pages for money: sponsors and their campaigns, periods and their close, the ledgers of others."""

import secrets
from collections.abc import Callable
from decimal import Decimal
from functools import wraps

from django import forms
from django.db.models import Prefetch
from django.http import HttpRequest, HttpResponse, HttpResponseBase
from django.shortcuts import get_object_or_404, render
from django.urls import reverse
from django.views.decorators.http import require_http_methods, require_POST, require_safe

from payouts import peers, periods, settlement, standing, witnesses
from payouts.ledger.errors import LedgerError
from payouts.models import Dispute, LogEntry, PeerLog, PeerMirror, Period, Witness
from payouts.store import read_head
from server.accounts import queries as accounts
from server.accounts.models import User
from server.core import clock, storage
from server.core.errors import Invalid, NotAllowed, NotFound, TributaryError
from server.sponsors import actions, closing, queries
from server.sponsors.models import Advertiser, Campaign
from server.videos.models import Video
from server.web.answers import done, door
from server.web.forms import put_error
from server.web.viewers import ask_to_log_in

MILLIONTHS = 1_000_000
ENTRIES_SHOWN = 50
EVIDENCE_BYTES_MAX = 5 * 1024 * 1024


def needs_staff(view: Callable[..., HttpResponseBase]) -> Callable[..., HttpResponseBase]:
    """Call the view for members of staff only."""

    @wraps(view)
    def guarded(request: HttpRequest, *args: object, **kwargs: object) -> HttpResponseBase:
        if not request.user.is_authenticated:
            return ask_to_log_in(request)
        if not request.user.is_staff:
            raise NotAllowed("This page is for the staff of this instance.")
        return view(request, *args, **kwargs)

    return guarded


def staff_of(request: HttpRequest) -> User:
    """Who of the staff is signed in; the views here have asked ``needs_staff``."""
    assert isinstance(request.user, User)
    return request.user


def millionths(units: Decimal) -> int:
    """An amount typed in currency units, exactly, in millionths."""
    return int(units * MILLIONTHS)


class AmountField(forms.DecimalField):
    """A positive amount with at most two decimals."""

    def __init__(self, **options: object) -> None:
        super().__init__(min_value=Decimal("0.00"), max_digits=12, decimal_places=2, **options)  # type: ignore[arg-type]


class AdvertiserForm(forms.Form):
    """A new advertiser."""

    name = forms.CharField(max_length=40, help_text="Small letters, digits, hyphens. It stands in the ledger and never changes.")
    display_name = forms.CharField(max_length=100, label="Shown as")
    contact_email = forms.EmailField(required=False, label="E-mail")


class FundForm(forms.Form):
    """Money that was paid in."""

    advertiser = forms.ModelChoiceField(Advertiser.objects.order_by("name"), to_field_name="name")
    gross = AmountField(label="Paid in, EUR")
    fee = AmountField(label="Kept by the rail, EUR", initial=Decimal("0.00"))
    source = forms.ChoiceField(choices=[("bank", "Bank transfer"), ("manual", "Other")], label="How")
    reference = forms.CharField(max_length=140, help_text="The line on the bank statement")
    evidence = forms.FileField(
        help_text="The bank's statement or the invoice. It stays with the staff; its hash stands in the ledger."
    )
    id = forms.CharField(widget=forms.HiddenInput, max_length=32)


class CampaignForm(forms.Form):
    """A new campaign."""

    advertiser = forms.ModelChoiceField(Advertiser.objects.order_by("name"), to_field_name="name")
    name = forms.CharField(max_length=40, help_text="Small letters, digits, hyphens")
    headline = forms.CharField(max_length=80)
    text = forms.CharField(max_length=200, required=False)
    link = forms.URLField(max_length=2_000, assume_scheme="https")
    video_id = forms.IntegerField(
        required=False,
        min_value=1,
        max_value=2**63 - 1,
        label="Clip",
        help_text="The number of a published video of this instance",
    )
    image = forms.ImageField(required=False, help_text="Or a picture: JPEG, PNG or WebP")
    price = AmountField(label="Price for a thousand billable impressions, EUR")
    first_day = forms.DateField(widget=forms.DateInput(attrs={"type": "date"}))
    last_day = forms.DateField(widget=forms.DateInput(attrs={"type": "date"}))


class PeriodForm(forms.Form):
    """A period to plan."""

    name = forms.CharField(max_length=20, label="Period", help_text="A month such as 2026-11, or a day such as 2026-11-22")
    operating_cost = AmountField(label="Operating cost to cover, EUR", initial=Decimal("0.00"))


class PeerForm(forms.Form):
    """An instance whose ledger is to be followed."""

    origin = forms.CharField(max_length=300, label="Address of the instance", help_text="For example https://peer.example")


@require_http_methods(["GET", "HEAD", "POST"])
@door
@needs_staff
def sponsors(request: HttpRequest) -> HttpResponse:
    """Advertisers with what they have left, their campaigns, and the three forms."""
    kinds: dict[str, tuple[type[forms.Form], Callable[[HttpRequest, forms.Form], str]]] = {
        "advertiser": (AdvertiserForm, _add_advertiser),
        "fund": (FundForm, _fund),
        "campaign": (CampaignForm, _add_campaign),
    }
    wanted = request.POST.get("form", "")
    bound: dict[str, forms.Form] = {}
    if wanted in kinds:
        form_class, act = kinds[wanted]
        form = bound[wanted] = form_class(request.POST, request.FILES, auto_id=f"id_{wanted}_%s")
        if form.is_valid():
            try:
                say = act(request, form)
            except TributaryError as error:
                put_error(form, error)
            else:
                return done(request, to=reverse("staff_sponsors"), say=say)
    today = clock.now().date()
    context = {
        "advertisers": [
            {"row": row, "funds": queries.funds(row, "EUR"), "campaigns": row.campaigns.order_by("-pk")}
            for row in Advertiser.objects.order_by("name")
        ],
        "forms": [
            ("advertiser", "New advertiser", bound.get("advertiser") or AdvertiserForm(auto_id="id_advertiser_%s")),
            (
                "fund",
                "Book a payment",
                bound.get("fund") or FundForm(auto_id="id_fund_%s", initial={"id": secrets.token_hex(16)}),
            ),
            (
                "campaign",
                "New campaign",
                bound.get("campaign") or CampaignForm(auto_id="id_campaign_%s", initial={"first_day": today, "last_day": today}),
            ),
        ],
        "open_form": wanted,
    }
    return render(request, "staff/sponsors.html", context, status=422 if bound else 200)


def _add_advertiser(request: HttpRequest, form: forms.Form) -> str:
    made = actions.create_advertiser(**form.cleaned_data, by_staff=staff_of(request))
    return f"{made} can book slots now."


def _fund(request: HttpRequest, form: forms.Form) -> str:
    values = form.cleaned_data
    entry = actions.fund(
        advertiser=values["advertiser"],
        currency="EUR",
        gross=millionths(values["gross"]),
        fee=millionths(values["fee"]),
        source=values["source"],
        reference=values["reference"],
        evidence=values["evidence"].read(EVIDENCE_BYTES_MAX + 1),
        id=values["id"],
        by_staff=staff_of(request),
    )
    return f"Booked as entry {entry.index} of the ledger."


def _add_campaign(request: HttpRequest, form: forms.Form) -> str:
    values = form.cleaned_data
    picture = values.pop("image")
    video_id, price = values.pop("video_id"), values.pop("price")
    video = Video.objects.filter(pk=video_id, state="published", is_local=True).first() if video_id else None
    if video_id and video is None:
        form.add_error("video_id", "There is no published video of this instance with this number.")
        raise Invalid("Nothing was written.")
    image_file = storage.put_bytes(picture.read(), _picture_kind(picture)) if picture and video is None else ""
    campaign = actions.create_campaign(
        **values, video=video, image_file=image_file, price_per_thousand=millionths(price), by_staff=staff_of(request)
    )
    return f"{campaign.headline} is a draft. Run it when it is right."


def _picture_kind(picture: object) -> str:
    kind = getattr(getattr(picture, "image", None), "format", "")
    known = {"JPEG": "jpg", "PNG": "png", "WEBP": "webp"}
    if kind not in known:
        raise Invalid("The picture must be JPEG, PNG or WebP.", field="image")
    return known[kind]


@require_POST
@door
@needs_staff
def campaign_step(request: HttpRequest, name: str, step: str) -> HttpResponse:
    """Run or stop a campaign."""
    campaign = get_object_or_404(Campaign, name=name)
    steps = {"run": actions.run_campaign, "stop": actions.stop_campaign}
    if step not in steps:
        raise NotFound("There is no such step.")
    steps[step](campaign=campaign, by_staff=staff_of(request))
    return done(request, to=reverse("staff_sponsors"), say=f"{campaign.headline} is {campaign.state} now.")


@require_http_methods(["GET", "HEAD", "POST"])
@door
@needs_staff
def all_periods(request: HttpRequest) -> HttpResponse:
    """Periods and the form that plans one."""
    form = PeriodForm(request.POST or None, initial={"name": clock.now().strftime("%Y-%m")})
    if form.is_bound and form.is_valid():
        name = form.cleaned_data["name"]
        try:
            period = closing.plan(
                name=name,
                currency="EUR",
                operating_cost=millionths(form.cleaned_data["operating_cost"]),
                by_staff=staff_of(request),
            )
        except TributaryError as error:
            put_error(form, error)
        else:
            return done(
                request, to=reverse("staff_period", args=[period.pk]), say="Planned. Nothing is written yet: look at it first."
            )
    found = Period.objects.order_by("-planned_at")
    return render(request, "staff/periods.html", {"form": form, "periods": found}, status=422 if form.is_bound else 200)


@require_safe
@door
@needs_staff
def one_period(request: HttpRequest, pk: int) -> HttpResponse:
    """The dry run of a period: every figure before it is written, and after."""
    period = get_object_or_404(Period, pk=pk)
    plan = periods.read_plan(period)
    shares = settlement.preview(period)
    named = accounts.by_scids([one.scid for one in shares.accruals])
    payees = [(one, named.get(one.scid)) for one in shares.accruals]
    return render(request, "staff/period.html", {"period": period, "plan": plan, "shares": shares, "payees": payees})


@require_POST
@door
@needs_staff
def period_step(request: HttpRequest, pk: int, step: str) -> HttpResponse:
    """Approve, close or discard a planned period."""
    period, by = get_object_or_404(Period, pk=pk), staff_of(request)
    if step == "discard":
        closing.discard(period=period, by_staff=by)
        return done(request, to=reverse("staff_periods"), say="Discarded. What it had claimed is open again.")
    steps = {"approve": closing.approve, "close": closing.close}
    if step not in steps:
        raise NotFound("There is no such step.")
    steps[step](period=period, by_staff=by)
    say = {"approve": "Approved. It can be closed now.", "close": "Closed. Every share stands in the ledger."}[step]
    return done(request, to=reverse("staff_period", args=[pk]), say=say)


@require_http_methods(["GET", "HEAD", "POST"])
@door
@needs_staff
def ledgers(request: HttpRequest) -> HttpResponse:
    """Our ledger and those we follow."""
    form = PeerForm(request.POST or None)
    if form.is_bound and form.is_valid():
        try:
            peer = peers.follow_log(instance_origin=form.cleaned_data["origin"])
        except LedgerError as error:
            form.add_error(None, f"This ledger was refused. {error.code}: {error}")
        except TributaryError as error:
            put_error(form, error)
        else:
            return done(request, to=reverse("staff_ledgers"), say=f"{peer.origin} is followed: {peer.size} entries verified.")
    context = {
        "form": form,
        "head": read_head(),
        "entries": LogEntry.objects.order_by("-index")[:ENTRIES_SHOWN],
        "peers": PeerLog.objects.order_by("origin").prefetch_related(
            Prefetch("mirrors", queryset=PeerMirror.objects.filter(branch=""), to_attr="copies")
        ),
        "disputes": Dispute.objects.order_by("-raised_at")[:ENTRIES_SHOWN],
        "suspension": standing.suspension(),
        "witnesses": Witness.objects.filter(is_active=True).order_by("name"),
        "quorum": witnesses.quorum(),
        "problems": witnesses.find_problems(),
    }
    return render(request, "staff/ledgers.html", context, status=422 if form.is_bound else 200)
