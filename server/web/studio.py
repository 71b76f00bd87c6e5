"""A maker's pages: upload, see how it goes, publish, edit, delete."""

from django.db.models import Sum
from django.http import HttpRequest, HttpResponse, HttpResponseBase, JsonResponse
from django.shortcuts import get_object_or_404, render
from django.urls import reverse
from django.views.decorators.csrf import csrf_exempt, csrf_protect
from django.views.decorators.http import require_http_methods, require_POST, require_safe

from server.accounts.models import Account
from server.core.errors import NotFound, TributaryError
from server.videos import actions, states
from server.videos.models import Video
from server.web import incoming
from server.web.answers import done, door, page_or_fragment, wants_json
from server.web.forms import UploadForm, WordsForm, put_error, upload_limits
from server.web.viewers import needs_account

WORKS_COUNT = 30
VERBS = {
    "retry": (actions.retry_transcode, "Trying again."),
    "publish": (actions.publish, "Published."),
    "unpublish": (actions.unpublish, "Taken back. Only you see it now."),
}


@csrf_exempt
@require_http_methods(["GET", "HEAD", "POST"])
@door
def upload(request: HttpRequest) -> HttpResponseBase:
    """Choose a file and say what it is. Works as a plain form; our script sends the same form and shows the progress.

    The token is checked by the inner view: reading it means reading the form, and the doorkeeper must stand there first.
    """
    keeper = incoming.stand_at(request) if request.method == "POST" else None
    return _upload(request, keeper)


@csrf_protect
@needs_account
def _upload(request: HttpRequest, viewer: Account, keeper: incoming.Doorkeeper | None) -> HttpResponse:
    if keeper is None:
        return render(request, "studio/upload.html", {"form": UploadForm(), **upload_limits()})
    form = UploadForm(request.POST, request.FILES)
    if request.POST and keeper.refusal is not None:
        form.errors.pop("file", None)
        put_error(form, keeper.refusal)
        return _upload_refused(request, form, keeper.refusal.status)
    if not form.is_valid():
        return _upload_refused(request, form, 422)
    file = form.cleaned_data["file"]
    try:
        actions.upload_file(account=viewer, filename=file.name, stream=file, size=file.size, draft=form.draft())
    except TributaryError as error:
        put_error(form, error)
        return _upload_refused(request, form, error.status)
    return done(request, to=reverse("studio"), say="Your video is here. It is being prepared.", moves_on=True)


def _upload_refused(request: HttpRequest, form: UploadForm, status: int) -> HttpResponse:
    if wants_json(request):
        return JsonResponse({"errors": form.errors.get_json_data()}, status=status)
    return render(request, "studio/upload.html", {"form": form, **upload_limits()}, status=status)


@require_safe
@door
@needs_account
def studio(request: HttpRequest, viewer: Account) -> HttpResponse:
    """My videos and how they are doing; our script asks for the list again while one is being prepared."""
    every = Video.objects.filter(account=viewer, is_local=True).exclude(state=states.DELETED)
    before = request.GET.get("before", "")
    older = every.filter(id__lt=int(before)) if before.isascii() and before.isdigit() else every
    found = list(older.order_by("-id")[: WORKS_COUNT + 1])
    more = len(found) > WORKS_COUNT
    found = found[:WORKS_COUNT]
    context = {
        "videos": found,
        "is_working": any(video.state in {states.UPLOADING, states.PROCESSING} for video in found),
        "before": found[-1].pk if more else None,
        "totals": every.aggregate(views=Sum("view_count"), likes=Sum("like_count"), comments=Sum("comment_count")),
    }
    return page_or_fragment(request, "studio/studio.html", "studio/list.html", context)


@require_POST
@door
@needs_account
def act(request: HttpRequest, viewer: Account, video_id: int, verb: str) -> HttpResponse:
    """Retry, publish or unpublish an own video."""
    if verb not in VERBS:
        raise NotFound("There is no such action.")
    action, say = VERBS[verb]
    action(video=_own(viewer, video_id), by=viewer)
    return done(request, to=reverse("studio"), say=say)


@require_http_methods(["GET", "HEAD", "POST"])
@door
@needs_account
def edit(request: HttpRequest, viewer: Account, video_id: int) -> HttpResponse:
    """Change what is said about an own video."""
    video = _own(viewer, video_id)
    names = ("caption", "alt_text", "sensitive", "comments_open")
    form = WordsForm(request.POST or None, initial={name: getattr(video, name) for name in names})
    if request.method == "POST" and form.is_valid():
        try:
            actions.edit(video=video, by=viewer, **{name: form.cleaned_data[name] for name in names})
        except TributaryError as error:
            put_error(form, error)
        else:
            return done(request, to=reverse("studio"), say="Saved.")
    status = 422 if form.is_bound else 200
    return render(request, "studio/edit.html", {"form": form, "video": video}, status=status)


@require_http_methods(["GET", "HEAD", "POST"])
@door
@needs_account
def delete(request: HttpRequest, viewer: Account, video_id: int) -> HttpResponse:
    """Ask whether it is meant, then delete an own video."""
    video = _own(viewer, video_id)
    if request.method == "POST":
        actions.delete(video=video, by=viewer)
        return done(request, to=reverse("studio"), say="Deleted.")
    return render(request, "studio/delete.html", {"video": video})


def _own(viewer: Account, video_id: int) -> Video:
    """An own video; a stranger does not even learn that another's exists."""
    every = Video.objects.filter(account=viewer, is_local=True).exclude(state=states.DELETED).select_related("account")
    return get_object_or_404(every, pk=video_id)
