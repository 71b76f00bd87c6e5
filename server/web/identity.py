"""The pages of a person's portable identity: who holds which key, bring an account here, move away."""

from csp.decorators import csp_update
from django import forms
from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from django.templatetags.static import static
from django.urls import reverse
from django.views.decorators.http import require_http_methods, require_POST, require_safe

from server.accounts import moving
from server.accounts.models import Account
from server.core.errors import Invalid, TributaryError
from server.identity import actions, custody, keylog, queries
from server.web import offline_page, reminders
from server.web.answers import done, door
from server.web.forms import put_error
from server.web.viewers import needs_account

# The languages of recovery words: as mnemonic.LANGUAGES calls them, the tag of the language, and what its speakers call it.
LANGUAGES = {
    "english": ("en", "English"),
    "french": ("fr", "Français"),
    "spanish": ("es", "Español"),
    "portuguese": ("pt", "Português"),
    "italian": ("it", "Italiano"),
    "czech": ("cs", "Čeština"),
    "turkish": ("tr", "Türkçe"),
    "russian": ("ru", "Русский"),
    "japanese": ("ja", "日本語"),
    "korean": ("ko", "한국어"),
    "chinese_simplified": ("zh-Hans", "简体中文"),
    "chinese_traditional": ("zh-Hant", "繁體中文"),
}


class BringForm(forms.Form):
    """Which account is to come here."""

    old_address = forms.CharField(
        label="Your address at the old home",
        max_length=320,
        help_text="For example alice@old.example",
    )


class LeaveForm(forms.Form):
    """Where the account is to go."""

    to_address = forms.CharField(label="Your address at the new home", max_length=320, help_text="For example alice@new.example")
    sure = forms.BooleanField(label="I understand that this account becomes a signpost to the new one")


@require_safe
@door
@needs_account
def identity(request: HttpRequest, viewer: Account) -> HttpResponse:
    """What the key log says of the viewer, checked now, in plain words."""
    return render(request, "me/identity.html", _facts(viewer))


@require_safe
@csp_update({"script-src": ["'wasm-unsafe-eval'"]})
@door
@needs_account
def keys(request: HttpRequest, viewer: Account) -> HttpResponse:
    """The keys pass to their owner. All of it happens in her browser, which speaks to ``server.api.custody``.

    The policy of this page lets WebAssembly run: the password of the kit goes through Argon2id there.
    """
    found = queries.by_scid(viewer.scid) if viewer.scid else None
    context = {
        "identity": found,
        "custody": found.custody if found else "",
        "may_take": found is not None and custody.can_help(found),
        "new": "new" in request.GET,
        "languages": _languages(),
    }
    return render(request, "me/keys.html", context)


@require_POST
@door
@needs_account
def keys_later(request: HttpRequest, viewer: Account) -> HttpResponse:
    """Put it off for a week. The badge stays."""
    reminders.put_off(request)
    return done(request, to=reverse("feed"), say="We will remind you in 7 days. Until then this server keeps your keys.")


@require_safe
@csp_update({"script-src": ["'wasm-unsafe-eval'"]})
def tool(request: HttpRequest) -> HttpResponse:
    """The recovery tool, for everybody. It asks no server for anything."""
    return render(request, "identity/tool.html", {"languages": _languages()})


@require_safe
def offline_tool(request: HttpRequest) -> HttpResponse:
    """The tool as one file. Always a download: its inline script is for the disk, not for this origin."""
    saved = offline_page.TOOL
    headers = {"Content-Disposition": f'attachment; filename="{saved.file_name}"', "Cache-Control": "public, max-age=3600"}
    return HttpResponse(offline_page.build(saved), headers=headers)


@require_http_methods(["GET", "HEAD", "POST"])
@door
@needs_account
def bring(request: HttpRequest, viewer: Account) -> HttpResponse:
    """Begin a move at the new home."""
    form = BringForm(request.POST or None)
    if form.is_bound and form.is_valid():
        try:
            offer = moving.expect_move(account=viewer, by=viewer, old_address=form.cleaned_data["old_address"])
        except TributaryError as error:
            put_error(form, error)
        else:
            return render(
                request,
                "me/bring.html",
                {
                    "expected": offer,
                    "old_address": form.cleaned_data["old_address"],
                    "form": BringForm(),
                },
            )
    return render(request, "me/bring.html", {"form": form}, status=422 if form.is_bound else 200)


@require_POST
@door
@needs_account
def bring_log(request: HttpRequest, viewer: Account) -> HttpResponse:
    """The key log as the owner's recovery tool has continued it. It proves itself; this door only says whose it must be."""
    sent = request.FILES.get("log")
    if sent is None or not viewer.scid:
        raise Invalid("Choose the key log that your recovery tool saved.", field="log")
    before = queries.by_scid(viewer.scid).head_number
    kept = actions.accept_log(data=sent.read(keylog.SOFT.bytes_max + 1), requested=viewer.scid)
    said = "Taken over. Your key log has a new entry." if kept.head_number > before else "This key log is known already."
    return done(request, to=reverse("identity"), say=said)


@require_http_methods(["GET", "HEAD", "POST"])
@door
@needs_account
def leave(request: HttpRequest, viewer: Account) -> HttpResponse:
    """End a move at the old home. It cannot be undone here, so the page asks first."""
    form = LeaveForm(request.POST or None)
    if form.is_bound and form.is_valid():
        try:
            new = moving.move_away(account=viewer, by=viewer, to_address=form.cleaned_data["to_address"])
        except TributaryError as error:
            put_error(form, error)
        else:
            return done(request, to=reverse("identity"), say=f"You live at @{new.acct} now. Your followers are being told.")
    return render(request, "me/leave.html", {"form": form, **_facts(viewer)}, status=422 if form.is_bound else 200)


def _languages() -> list[dict[str, str]]:
    return [
        {"name": name, "label": label, "lang": lang, "list": static(f"identity/words/{name}.txt")}
        for name, (lang, label) in LANGUAGES.items()
    ]


def _facts(viewer: Account) -> dict[str, object]:
    if not viewer.scid:
        return {"identity": None}
    found = queries.by_scid(viewer.scid)
    log = queries.log_of(found)
    document = queries.document_of(found)
    return {
        "identity": found,
        "document": document,
        "can_help": custody.can_help(found),
        "replicas": queries.replicas_of(found),
        "entries": [
            {"number": number, "time": version.entry.time, "home": version.did.host, "version_id": version.entry.version_id}
            for number, version in enumerate(log.versions, start=1)
        ][::-1],
    }
