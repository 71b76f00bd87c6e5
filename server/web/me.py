"""A viewer's own things: her account, her profile, whom she follows."""

from django.http import HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404, render
from django.urls import reverse
from django.views.decorators.http import require_http_methods, require_POST, require_safe

from server.accounts import actions
from server.accounts import queries as accounts
from server.accounts.models import Account, Block, Follow, Mute
from server.core import limits
from server.core.errors import TooLarge, TributaryError
from server.web.answers import done, door
from server.web.forms import ProfileForm, put_error
from server.web.signup import HandleForm
from server.web.viewers import ask_to_log_in, needs_account, viewer_of

PEOPLE_COUNT_MAX = 500


@require_http_methods(["GET", "HEAD", "POST"])
@door
def open_account(request: HttpRequest) -> HttpResponse:
    """A user without an account (an administrator made by the command line) chooses her handle."""
    if not request.user.is_authenticated:
        return ask_to_log_in(request)
    if viewer_of(request) is not None:
        return done(request, to=reverse("feed"))
    form = HandleForm(request.POST or None)
    if request.method == "POST" and form.is_valid():
        try:
            actions.open_account(user=request.user, handle=form.cleaned_data["handle"])
        except TributaryError as error:
            put_error(form, error)
        else:
            return done(request, to=reverse("feed"), say="Welcome.")
    return render(request, "me/open_account.html", {"form": form}, status=422 if form.is_bound else 200)


@require_http_methods(["GET", "HEAD", "POST"])
@door
@needs_account
def profile_settings(request: HttpRequest, viewer: Account) -> HttpResponse:
    """Change name, bio and picture."""
    initial = {name: getattr(viewer, name) for name in ("display_name", "bio", "manually_approves_followers")}
    if request.method != "POST":
        return render(request, "me/profile.html", {"form": ProfileForm(initial=initial)})
    form = ProfileForm(request.POST, request.FILES, initial=initial)
    if form.is_valid():
        try:
            _save_profile(viewer, form)
        except TributaryError as error:
            put_error(form, error)
        else:
            return done(request, to=reverse("profile", args=[viewer.acct]), say="Profile saved.")
    viewer.refresh_from_db()
    return render(request, "me/profile.html", {"form": form}, status=422)


def _save_profile(viewer: Account, form: ProfileForm) -> None:
    file = form.cleaned_data["avatar"]
    if file is not None and file.size > limits.AVATAR_BYTES_MAX:
        raise TooLarge(f"A picture may have at most {limits.AVATAR_BYTES_MAX // limits.MIB} MiB.", field="avatar")
    actions.update_profile(
        account=viewer,
        by=viewer,
        display_name=form.cleaned_data["display_name"],
        bio=form.cleaned_data["bio"],
        avatar=file.read() if file is not None else None,
        manually_approves_followers=form.cleaned_data["manually_approves_followers"],
    )


@require_safe
@door
@needs_account
def following(request: HttpRequest, viewer: Account) -> HttpResponse:
    """Whom the viewer follows, who waits for her answer, whom she blocked or muted."""
    follows = Follow.objects.filter(follower=viewer).select_related("target").order_by("-id")[:PEOPLE_COUNT_MAX]
    context = {
        "follows": follows,
        "requests": accounts.follow_requests(viewer)[:PEOPLE_COUNT_MAX],
        "blocks": Block.objects.filter(account=viewer).select_related("target").order_by("-id")[:PEOPLE_COUNT_MAX],
        "mutes": Mute.objects.filter(account=viewer).select_related("target").order_by("-id")[:PEOPLE_COUNT_MAX],
    }
    return render(request, "me/following.html", context)


@require_POST
@door
@needs_account
def answer_request(request: HttpRequest, viewer: Account, follow_id: int) -> HttpResponse:
    """Let a follower in, or not."""
    follow = get_object_or_404(Follow.objects.select_related("follower"), pk=follow_id, target=viewer, state="pending")
    accept = request.POST.get("answer") == "accept"
    name = follow.follower.name
    actions.answer_follow(follow=follow, by=viewer, accept=accept)
    return done(request, to=reverse("following"), say=f"{name} follows you now." if accept else f"You turned {name} away.")
