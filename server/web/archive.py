"""The page "Your archive": make one, download it, bring one here, and have copies kept elsewhere."""

from django import forms
from django.conf import settings
from django.http import HttpRequest, HttpResponse, HttpResponseBase, StreamingHttpResponse
from django.urls import reverse
from django.views.decorators.csrf import csrf_exempt, csrf_protect
from django.views.decorators.http import require_POST, require_safe

from server.accounts.models import Account
from server.core import limits
from server.core.errors import NotFound, TributaryError
from server.portability import actions, copies, csvs, queries
from server.portability import download as downloads
from server.portability import incoming as imports
from server.portability.parts import table
from server.web import incoming
from server.web.answers import done, door, page_or_fragment
from server.web.forms import put_error
from server.web.viewers import needs_account

SHORTFALLS_SHOWN = 200


class TakeForm(forms.Form):
    """An archive or a list to bring here."""

    file = forms.FileField(
        label="Archive or list",
        widget=forms.ClearableFileInput(attrs={"accept": ".tar,.zip,.gz,.tgz,.csv"}),
        help_text="An archive of this network (.tar), of Mastodon (.zip, .tar.gz) or PeerTube (.zip), or a Mastodon list (.csv).",
        error_messages={"required": "Choose a file.", "empty": "The file is empty. Choose another one."},
    )


class FetchForm(forms.Form):
    """A copy on another server."""

    source = forms.CharField(label="Server that keeps the copy", max_length=300, help_text="For example https://friends.example")
    manifest = forms.CharField(
        label="Number of the archive", max_length=64, help_text="64 letters and digits; your recovery kit has it"
    )


class ReplicaForm(forms.Form):
    """A server that is to keep copies."""

    origin = forms.CharField(label="Server", max_length=300, help_text="For example friends.example")


@require_safe
@door
@needs_account
def archive(request: HttpRequest, viewer: Account) -> HttpResponse:
    """Everything about the viewer's archives; our script asks for the changing part again while something is under way."""
    return _show(request, viewer)


def _show(request: HttpRequest, viewer: Account, *, status: int = 200, **bound: forms.Form) -> HttpResponse:
    made = list(queries.archives(viewer)[: queries.SHOWN_COUNT])
    brought = list(queries.imports(viewer)[: queries.SHOWN_COUNT])
    replicas = list(queries.replicas(viewer))
    context = {
        "archives": made,
        "newest": next((one for one in made if one.state == "ready"), None),
        "imports": brought,
        "replicas": replicas,
        "is_working": any(one.state == "making" for one in made) or any(one.state == "running" for one in brought),
        "tables": csvs.TABLES,
        "take": TakeForm(),
        "fetch": FetchForm(),
        "pick": ReplicaForm(),
        **bound,
    }
    response = page_or_fragment(request, "me/archive.html", "me/archive_state.html", context)
    response.status_code = status
    return response


@require_POST
@door
@needs_account
def make(request: HttpRequest, viewer: Account) -> HttpResponse:
    """Make one now."""
    actions.ask_archive(account=viewer, by=viewer)
    return done(request, to=reverse("archive"), say="Your archive is being made. You may leave this page.")


@require_safe
@door
@needs_account
def download(request: HttpRequest, viewer: Account, archive_id: int) -> HttpResponseBase:
    """The tar, from any byte on: a broken download goes on where it broke."""
    return stream(request, downloads.layout(downloads.archive_of(viewer, archive_id)))


def stream(request: HttpRequest, laid: downloads.Layout) -> HttpResponseBase:
    """``laid`` as an answer; ``Range: bytes=N-`` is understood, every other range is answered with the whole."""
    wanted = request.headers.get("Range", "").removeprefix("bytes=")
    first = wanted.removesuffix("-")
    start = int(first) if wanted.endswith("-") and first.isascii() and first.isdigit() and len(first) < 16 else 0  # noqa: PLR2004
    headers = {
        "Content-Disposition": f'attachment; filename="{laid.name}"',
        "Accept-Ranges": "bytes",
        "ETag": f'"{laid.digest}"',
        "Cache-Control": "private, no-store",
        "Content-Length": str(max(0, laid.size - start)),
    }
    if start >= laid.size and start:
        return HttpResponse(status=416, headers={"Content-Range": f"bytes */{laid.size}"})
    if start:
        headers["Content-Range"] = f"bytes {start}-{laid.size - 1}/{laid.size}"
    status = 206 if start else 200
    return StreamingHttpResponse(laid.stream(start), status=status, headers=headers, content_type="application/x-tar")


@require_safe
@door
@needs_account
def export(request: HttpRequest, viewer: Account, kind: str) -> HttpResponse:
    """One of Mastodon's lists by itself."""
    if kind not in csvs.TABLES:
        raise NotFound("There is no such list.")
    name = csvs.TABLES[kind].filename
    headers = {"Content-Disposition": f'attachment; filename="{name}"', "Cache-Control": "private, no-store"}
    return HttpResponse(table(viewer, kind), content_type="text/csv; charset=utf-8", headers=headers)


@csrf_exempt
@require_POST
@door
def take(request: HttpRequest) -> HttpResponseBase:
    """Bring an archive. The token is checked by the inner view, as for uploads: the doorkeeper must stand there first."""
    return _take(request, incoming.stand_at(request, bytes_max=settings.ARCHIVE_BYTES_MAX))


@csrf_protect
@needs_account
def _take(request: HttpRequest, viewer: Account, keeper: incoming.Doorkeeper) -> HttpResponse:
    form = TakeForm(request.POST, request.FILES)
    if keeper.refusal is not None:
        form.errors.pop("file", None)
        put_error(form, keeper.refusal)
    elif form.is_valid():
        file = form.cleaned_data["file"]
        try:
            made = imports.take_file(account=viewer, by=viewer, filename=file.name, stream=file, size=file.size)
        except TributaryError as error:
            put_error(form, error)
        else:
            return done(request, to=reverse("one_import", args=[made.pk]), say="Your file is here. It is being checked.")
    return _show(request, viewer, status=422, take=form)


@require_POST
@door
@needs_account
def fetch(request: HttpRequest, viewer: Account) -> HttpResponse:
    """Bring an archive from a server that keeps a copy."""
    form = FetchForm(request.POST)
    if form.is_valid():
        source, number = form.cleaned_data["source"].strip(), form.cleaned_data["manifest"]
        try:
            made = imports.fetch_from(
                account=viewer, by=viewer, origin=source if "://" in source else f"https://{source}", manifest_sha256=number
            )
        except TributaryError as error:
            put_error(form, error)
        else:
            return done(request, to=reverse("one_import", args=[made.pk]), say="The copy is being fetched.")
    return _show(request, viewer, status=422, fetch=form)


@require_safe
@door
@needs_account
def one_import(request: HttpRequest, viewer: Account, import_id: int) -> HttpResponse:
    """How an import goes, and what did not come."""
    one = imports.import_of(viewer, import_id)
    context = {
        "one": one,
        "tallies": queries.tallies(one),
        "shortfalls": queries.shortfalls(one)[:SHORTFALLS_SHOWN],
        "is_working": one.state in {"arriving", "running"},
    }
    return page_or_fragment(request, "me/import.html", "me/import_state.html", context)


@require_POST
@door
@needs_account
def stop(request: HttpRequest, viewer: Account, import_id: int) -> HttpResponse:
    """Stop an import."""
    imports.cancel(one=imports.import_of(viewer, import_id), by=viewer)
    return done(request, to=reverse("archive"), say="Stopped. What was imported so far stays.")


@require_POST
@door
@needs_account
def pick(request: HttpRequest, viewer: Account) -> HttpResponse:
    """Have copies kept elsewhere."""
    form = ReplicaForm(request.POST)
    if form.is_valid():
        try:
            replica = copies.pick(account=viewer, by=viewer, origin=form.cleaned_data["origin"])
        except TributaryError as error:
            put_error(form, error)
        else:
            return done(request, to=reverse("archive"), say=f"Your daily archive will be copied to {replica.origin}.")
    return _show(request, viewer, status=422, pick=form)


@require_POST
@door
@needs_account
def drop(request: HttpRequest, viewer: Account) -> HttpResponse:
    """No more copies there."""
    origin = request.POST.get("origin", "")[: limits.URL_CHARACTERS_MAX]
    copies.drop(account=viewer, by=viewer, origin=origin)
    return done(request, to=reverse("archive"), say="No more copies are sent there.")
