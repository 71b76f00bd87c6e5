"""The pages of coming back with one's own keys: bring the identity, sign, arrive; then tell servers that know no key logs."""

import json
from typing import Any

from django import forms
from django.core.files.uploadedfile import UploadedFile
from django.http import HttpRequest, HttpResponse, JsonResponse
from django.shortcuts import render
from django.templatetags.static import static
from django.urls import reverse
from django.views.decorators.http import require_http_methods, require_safe

from server.accounts import bringing, moving, telling
from server.accounts.models import Account
from server.core.errors import Invalid, NotFound, TributaryError
from server.identity import actions, mnemonic, moverequests
from server.identity import queries as identities
from server.identity.keylog import SOFT
from server.identity.models import Identity
from server.identity.offer import Offer, offer_document
from server.web.answers import done, door
from server.web.forms import put_error
from server.web.viewers import needs_account

FOLLOWERS_BYTES_MAX = 32 * 1024 * 1024


class KeysForm(forms.Form):
    """Whose keys she holds."""

    named = forms.CharField(
        label="Your old address or your identity", max_length=512, required=False,
        help_text="For example alice@old.example. The identity begins with Qm; it stands in your recovery kit.",
    )  # fmt: skip
    log = forms.FileField(
        label="Your copy of the log",
        required=False,
        help_text="Only needed when no server we know has one. The file is called did.jsonl.",
    )


class SignedForm(forms.Form):
    """What the offline tool gave back."""

    signed = forms.FileField(label="The signed file")


class FollowersForm(forms.Form):
    """Who followed her."""

    followers = forms.FileField(
        label="The list of your followers", help_text="followers.jsonl, which the tool takes out of your archive."
    )


@require_http_methods(["GET", "HEAD", "POST"])
@door
@needs_account
def with_keys(request: HttpRequest, viewer: Account) -> HttpResponse:
    """The first step: which identity. Nothing has moved after it."""
    form = KeysForm(request.POST, request.FILES) if request.method == "POST" else KeysForm()
    if form.is_bound and form.is_valid():
        try:
            log = _content(form.cleaned_data["log"], bytes_max=SOFT.bytes_max) if form.cleaned_data["log"] else None
            bringing.bring(account=viewer, by=viewer, named=form.cleaned_data["named"], log=log)
        except TributaryError as error:
            put_error(form, error)
        else:
            return done(request, to=reverse("sign_arrival"))
    return render(request, "me/bring_keys.html", {"form": form}, status=422 if form.is_bound else 200)


@require_http_methods(["GET", "HEAD", "POST"])
@door
@needs_account
def sign_arrival(request: HttpRequest, viewer: Account) -> HttpResponse:
    """The second step: the offer is signed, here or with the offline tool, and the identity arrives."""
    form = SignedForm(request.POST, request.FILES) if request.method == "POST" else SignedForm()
    if form.is_bound and form.is_valid():
        try:
            body = _content(form.cleaned_data["signed"], bytes_max=moving.MOVE_BYTES_MAX)
            moving.receive_move(handle=viewer.handle, body=body)
        except TributaryError as error:
            put_error(form, error)
        else:
            return done(request, to=reverse("tell_followers"), say="Welcome home. Your identity lives here now.")
    offer = actions.open_offer(actor_uri=viewer.uri)
    context = {"form": form, "offer": offer, "signing": _signing(offer, viewer)}
    return render(request, "me/sign_arrival.html", context, status=422 if form.is_bound else 200)


@require_safe
@door
@needs_account
def signing_file(_request: HttpRequest, viewer: Account, name: str) -> HttpResponse:
    """``offer.json`` or ``did.jsonl``, for the offline tool."""
    offer = actions.open_offer(actor_uri=viewer.uri)
    if name == "did.jsonl":
        return _file(bringing.log_for(offer), name, "text/jsonl")
    return _file(json.dumps(offer_document(offer), indent=2).encode(), "offer.json", "application/json")


@require_http_methods(["GET", "HEAD", "POST"])
@door
@needs_account
def tell_followers(request: HttpRequest, viewer: Account) -> HttpResponse:
    """After the arrival: who followed her, the Move to be signed, and how far it got."""
    step = request.POST.get("step", "")
    followers = FollowersForm(request.POST, request.FILES) if step == "followers" else FollowersForm()
    signed = SignedForm(request.POST, request.FILES) if step == "signed" else SignedForm()
    bound: forms.Form | None = {"followers": followers, "signed": signed}.get(step)
    if bound is not None and bound.is_valid():
        try:
            say = _take_followers(viewer, bound) if step == "followers" else _take_signed(viewer, bound)
        except TributaryError as error:
            put_error(bound, error)
        else:
            return done(request, to=reverse("tell_followers"), say=say)
    context = {"followers_form": followers, "signed_form": signed, **_standing(viewer)}
    return render(request, "me/tell.html", context, status=422 if bound is not None else 200)


@require_safe
@door
@needs_account
def move_requests(_request: HttpRequest, viewer: Account) -> HttpResponse:
    """What the owner's tool is to sign."""
    document = moverequests.requests_document(telling.ask_signatures(account=viewer, by=viewer))
    return _file(json.dumps(document, indent=2).encode(), "move-requests.json", "application/json")


@require_safe
@door
@needs_account
def progress(_request: HttpRequest, viewer: Account) -> JsonResponse:
    """How far the Move got, for the page to ask again."""
    move = telling.last_signed(viewer)
    if move is None:
        raise NotFound("No Move was signed.")
    return JsonResponse({"waiting": move.waiting, "delivered": move.delivered, "dead": move.dead})


def _take_followers(viewer: Account, form: forms.Form) -> str:
    lines = _content(form.cleaned_data["followers"], bytes_max=FOLLOWERS_BYTES_MAX).splitlines()
    try:
        rows = [json.loads(line) for line in lines if line.strip()]
    except (ValueError, RecursionError) as error:
        raise Invalid("This is not the list of followers out of an archive.", field="followers") from error
    added = bringing.keep_followers(account=viewer, rows=rows)
    return f"{added} followers were added. Their servers are being told."


def _take_signed(viewer: Account, form: forms.Form) -> str:
    data = _content(form.cleaned_data["signed"], bytes_max=moverequests.DOCUMENT_BYTES_MAX)
    move = telling.take_signed(account=viewer, by=viewer, data=data)
    return f"{move.waiting} servers are being told."


def _standing(viewer: Account) -> dict[str, Any]:
    identity = Identity.objects.filter(scid=viewer.scid, is_home=True).first()
    why_not = ""
    try:
        telling.ask_signatures(account=viewer, by=viewer)
    except TributaryError as error:
        why_not = str(error)
    return {
        "former": identities.former_actor(identity) if identity is not None else "",
        "known": viewer.former_followers.count(),
        "move": telling.last_signed(viewer),
        "why_not": why_not,
    }


def _signing(offer: Offer, viewer: Account) -> dict[str, Any]:
    """What the page's script needs to sign right here."""
    return {
        "offer": offer_document(offer),
        "log": bringing.log_for(offer).decode(),
        "post": f"/users/{viewer.handle}/move",
        "next": reverse("tell_followers"),
        "lists": {language: static(f"identity/words/{language}.txt") for language in mnemonic.LANGUAGES},
    }


def _content(file: UploadedFile, *, bytes_max: int) -> bytes:
    if file.size is None or file.size > bytes_max:
        raise Invalid("This file is too large.")
    return bytes(file.read())


def _file(data: bytes, name: str, content_type: str) -> HttpResponse:
    return HttpResponse(data, content_type=content_type, headers={"Content-Disposition": f'attachment; filename="{name}"'})
