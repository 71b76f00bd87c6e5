"""Tell the staff that something is wrong. Open to visitors too."""

from dataclasses import dataclass

from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from django.urls import reverse
from django.views.decorators.http import require_http_methods

from server.accounts import queries as accounts
from server.accounts.models import Account
from server.core.errors import NotFound, TributaryError
from server.moderation import actions
from server.videos import queries as videos
from server.videos.models import Comment, Video
from server.web.answers import done, door
from server.web.forms import ReportForm, put_error
from server.web.viewers import viewer_of


@dataclass(frozen=True, kw_only=True)
class Subject:
    """What a report is about, and the page to go back to."""

    target: Account
    back: str
    video: Video | None = None
    comment: Comment | None = None


@require_http_methods(["GET", "HEAD", "POST"])
@door
def video(request: HttpRequest, video_id: int) -> HttpResponse:
    """Report a video."""
    found = videos.public_video(video_id, viewer_of(request))
    return _report(request, Subject(target=found.account, video=found, back=reverse("watch", args=[found.pk])))


@require_http_methods(["GET", "HEAD", "POST"])
@door
def comment(request: HttpRequest, comment_id: int) -> HttpResponse:
    """Report a comment."""
    found = Comment.objects.filter(pk=comment_id, deleted_at=None).select_related("account", "video").first()
    if found is None:
        raise NotFound("There is no such comment.")
    videos.public_video(found.video_id, viewer_of(request))
    back = f"{reverse('watch', args=[found.video_id])}#comments"
    return _report(request, Subject(target=found.account, video=None, comment=found, back=back))


@require_http_methods(["GET", "HEAD", "POST"])
@door
def account(request: HttpRequest, acct: str) -> HttpResponse:
    """Report a person."""
    found = accounts.by_acct(acct)
    return _report(request, Subject(target=found, back=reverse("profile", args=[found.acct])))


def _report(request: HttpRequest, subject: Subject) -> HttpResponse:
    form = ReportForm(request.POST or None)
    if request.method == "POST" and form.is_valid():
        try:
            actions.report(
                reporter=viewer_of(request),
                target=subject.target,
                video=subject.video,
                comment=subject.comment,
                reason=form.cleaned_data["reason"],
                text=form.cleaned_data["text"],
            )
        except TributaryError as error:
            put_error(form, error)
        else:
            return done(request, to=subject.back, say="Thank you. The staff of this instance will look at it.")
    return render(request, "pages/report.html", {"form": form, "subject": subject}, status=422 if form.is_bound else 200)
